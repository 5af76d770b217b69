//! Which examples of a batch are learned from: the hardest there are, found anew in every batch.

use candle_core::{DType, Tensor};

use crate::chance::Chance;
use crate::error::Error;

/// Quadruplets by the places of their members in a batch: two of one person, a third of another, and
/// a pair of two other people. Where there is no such pair (too few people), none is learned from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Examples {
    /// Of these each has a positive and a negative.
    pub anchors: Vec<u32>,
    /// The anchor's person.
    pub positives: Vec<u32>,
    /// Somebody else.
    pub negatives: Vec<u32>,
    /// Pairs of people of whom neither is the anchor's person.
    pub others: Vec<(u32, u32)>,
    /// The pairs (by their places in `anchors`) that each of `others` is held against.
    pub against: Vec<u32>,
}

/// Squared distances of all pairs.
///
/// # Errors
/// The computation fails.
pub fn distances(vectors: &Tensor) -> Result<Vec<Vec<f64>>, Error> {
    let vectors = vectors.detach().to_dtype(DType::F64)?;
    let squares = vectors.sqr()?.sum_keepdim(1)?;
    let products = (vectors.matmul(&vectors.t()?)? * 2.0)?;
    let distances = squares.broadcast_add(&squares.t()?)?.sub(&products)?;
    Ok(distances.relu()?.to_vec2()?)
}

/// For every pair of one person: the negative nearest to its first, and the nearest pair of two others
/// that begins with somebody drawn at random, so that not all are held against the same two.
pub fn mine(distances: &[Vec<f64>], people: &[u32], chance: &mut Chance) -> Examples {
    let mut examples = Examples::default();
    let count = people.len();
    let nearest = |at: usize, but: &[u32]| {
        let others = (0..count).filter(|other| !but.contains(&people[*other]));
        others.min_by(|a, b| distances[at][*a].total_cmp(&distances[at][*b]))
    };
    for anchor in 0..count {
        let Some(negative) = nearest(anchor, &[people[anchor]]) else {
            continue;
        };
        for positive in 0..count {
            if positive == anchor || people[positive] != people[anchor] {
                continue;
            }
            let place = number(examples.anchors.len());
            examples.anchors.push(number(anchor));
            examples.positives.push(number(positive));
            examples.negatives.push(number(negative));
            let strangers: Vec<usize> = (0..count)
                .filter(|other| people[*other] != people[anchor])
                .collect();
            let one = strangers[chance.below(strangers.len())];
            if let Some(other) = nearest(one, &[people[anchor], people[one]]) {
                examples.others.push((number(one), number(other)));
                examples.against.push(place);
            }
        }
    }
    examples
}

fn number(at: usize) -> u32 {
    u32::try_from(at).expect("a batch has fewer than 2^32 samples")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_stranger_is_the_negative_and_pairs_of_others_leave_the_anchor_out() {
        let at: [f64; 6] = [0.0, 1.0, 1.5, 9.0, 9.5, 20.0];
        let people = [1, 1, 2, 3, 4, 2];
        let distances: Vec<Vec<f64>> = at
            .iter()
            .map(|a| at.iter().map(|b| (a - b).powi(2)).collect())
            .collect();
        let found = mine(&distances, &people, &mut Chance::new(1));
        assert_eq!(found.anchors, [0, 1, 2, 5]);
        assert_eq!(found.positives, [1, 0, 5, 2]);
        assert_eq!(found.negatives, [2, 2, 1, 4]);
        assert_eq!(found.others.len(), 4);
        for ((a, b), against) in found.others.iter().zip(&found.against) {
            let anchor = people[found.anchors[*against as usize] as usize];
            let both = [people[*a as usize], people[*b as usize]];
            assert!(
                both[0] != both[1] && !both.contains(&anchor),
                "{both:?} {anchor}"
            );
        }
    }

    #[test]
    fn two_people_have_triplets_and_no_quadruplets_and_one_has_neither() {
        let distances = vec![vec![1.0; 3]; 3];
        let two = mine(&distances, &[1, 1, 2], &mut Chance::new(1));
        assert_eq!((two.anchors.len(), two.others.len()), (2, 0));
        assert_eq!(
            mine(&distances, &[1, 1, 1], &mut Chance::new(1)),
            Examples::default()
        );
    }
}
