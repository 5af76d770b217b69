//! Which candidates become neighbours: the paper's heuristic (Algorithm 4), which takes a candidate
//! only if it is nearer to the new point than to every neighbour taken before it, relaxed as in
//! Vamana (Subramanya et al. 2019): "nearer" may be missed by a factor, which leaves more ways to
//! the same place and more recall at the same effort.

use crate::beam::Candidate;
use crate::vectors::Vectors;

/// Neighbours chosen so far.
pub(crate) struct Chosen<'a> {
    vectors: &'a Vectors,
    slots: Vec<u32>,
}

impl<'a> Chosen<'a> {
    /// With some that are there whatever else is near.
    pub(crate) fn with(vectors: &'a Vectors, slots: Vec<u32>) -> Self {
        Self { vectors, slots }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes the candidate if it is nearer to the point than to all that were chosen before, or nearly
    /// so; says whether it did.
    pub(crate) fn offer(&mut self, candidate: &Candidate) -> bool {
        let fits = self.slots.iter().all(|other| {
            let apart = self.vectors.between(candidate.slot, *other);
            self.vectors.relaxed(apart) > candidate.cost
        });
        if fits {
            self.slots.push(candidate.slot);
        }
        fits
    }

    pub(crate) fn into_slots(self) -> Vec<u32> {
        self.slots
    }
}

/// At most `m` of `candidates`, which must be sorted, nearest first.
pub(crate) fn diverse(vectors: &Vectors, candidates: &[Candidate], m: usize) -> Vec<u32> {
    let mut chosen = Chosen::with(vectors, Vec::with_capacity(m));
    for candidate in candidates {
        if chosen.len() == m {
            break;
        }
        chosen.offer(candidate);
    }
    chosen.into_slots()
}
