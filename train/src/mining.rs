//! Which examples of a batch are learned from, found anew in every batch.

use candle_core::{DType, Tensor};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::error::Error;

/// Which strangers a pair of one person is held against.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mining {
    /// The nearest. Vectors that tell people apart already are made better by nothing else.
    Hardest,
    /// The nearest that are farther than the pair, as in FaceNet (Schroff et al. 2015, arXiv 1503.03832), or
    /// the farthest. Where strangers are as near as anybody, the hardest would draw all vectors into one
    /// point.
    SemiHard,
}

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

/// For every pair of one person: a negative of its first, and a pair of two others that begins with somebody
/// drawn at random, so that not all are held against the same two.
pub fn mine(
    mining: Mining,
    distances: &[Vec<f64>],
    people: &[u32],
    chance: &mut Chance,
) -> Examples {
    let mut examples = Examples::default();
    let count = people.len();
    // Of those who are none of some, the one to hold against a pair that is so far apart.
    let chosen = |at: usize, but: &[u32], apart: f64| {
        let row = &distances[at];
        let others = (0..count).filter(|other| !but.contains(&people[*other]));
        let order = |a: &usize, b: &usize| row[*a].total_cmp(&row[*b]);
        match mining {
            Mining::Hardest => others.min_by(order),
            Mining::SemiHard => {
                let farther = others.clone().filter(|other| row[*other] > apart);
                farther.min_by(order).or_else(|| others.max_by(order))
            }
        }
    };
    for anchor in 0..count {
        for positive in 0..count {
            if positive == anchor || people[positive] != people[anchor] {
                continue;
            }
            let apart = distances[anchor][positive];
            let Some(negative) = chosen(anchor, &[people[anchor]], apart) else {
                continue;
            };
            let place = number(examples.anchors.len());
            examples.anchors.push(number(anchor));
            examples.positives.push(number(positive));
            examples.negatives.push(number(negative));
            let strangers: Vec<usize> = (0..count)
                .filter(|other| people[*other] != people[anchor])
                .collect();
            let one = strangers[chance.below(strangers.len())];
            if let Some(other) = chosen(one, &[people[anchor], people[one]], apart) {
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
        let found = mine(Mining::Hardest, &distances, &people, &mut Chance::new(1));
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
    fn a_semi_hard_negative_is_the_nearest_that_is_farther_than_the_positive_or_the_farthest() {
        let at: [f64; 5] = [0.0, 2.0, 1.0, 3.0, 9.0];
        let distances: Vec<Vec<f64>> = at
            .iter()
            .map(|a| at.iter().map(|b| (a - b).powi(2)).collect())
            .collect();
        let mine = |people: &[u32]| mine(Mining::SemiHard, &distances, people, &mut Chance::new(1));
        let found = mine(&[1, 1, 2, 3, 4]);
        assert_eq!((found.anchors, found.positives), (vec![0, 1], vec![1, 0]));
        assert_eq!(found.negatives, [3, 4]);
        // Nobody is farther from 9 than 0 is.
        let found = mine(&[1, 2, 3, 4, 1]);
        assert_eq!((found.anchors[1], found.negatives[1]), (4, 2));
    }

    #[test]
    fn two_people_have_triplets_and_no_quadruplets_and_one_has_neither() {
        let distances = vec![vec![1.0; 3]; 3];
        let two = mine(Mining::Hardest, &distances, &[1, 1, 2], &mut Chance::new(1));
        assert_eq!((two.anchors.len(), two.others.len()), (2, 0));
        assert_eq!(
            mine(Mining::Hardest, &distances, &[1, 1, 1], &mut Chance::new(1)),
            Examples::default()
        );
    }
}
