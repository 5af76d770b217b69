//! Which candidates become neighbours: the paper's heuristic (Algorithm 4), which takes a candidate
//! only if it is nearer to the new point than to every neighbour taken before it.

use crate::beam::Candidate;
use crate::vectors::Vectors;

/// At most `m` of `candidates`, which must be sorted, nearest first.
pub(crate) fn diverse(vectors: &Vectors, candidates: &[Candidate], m: usize) -> Vec<u32> {
    let mut taken: Vec<u32> = Vec::with_capacity(m);
    for candidate in candidates {
        if taken.len() == m {
            break;
        }
        if is_diverse(vectors, candidate, &taken) {
            taken.push(candidate.slot);
        }
    }
    taken
}

/// Whether a candidate is nearer to the point than to all of its neighbours.
pub(crate) fn is_diverse(vectors: &Vectors, candidate: &Candidate, neighbours: &[u32]) -> bool {
    neighbours
        .iter()
        .all(|other| vectors.between(candidate.slot, *other) > candidate.cost)
}
