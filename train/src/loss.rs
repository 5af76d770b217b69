//! What is made small: the quadruplet loss of Chen et al. 2017 (arXiv 1704.01719, equations 7 and 8),
//! the triplet loss that is its first term, and the contrastive loss of Hadsell et al. 2006.
//!
//! All are over squared distances of vectors of length 1. Margins follow from how far apart the batch
//! has people, and are taken as given: no gradient goes through them.

use candle_core::{Device, Tensor};
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::mining::Examples;

/// Which loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Loss {
    /// Somebody's photos nearer to each other than to strangers, and than strangers are to each other.
    Quadruplet,
    /// Somebody's photos nearer to each other than to strangers.
    Triplet,
    /// Somebody's photos near each other, strangers farther than a margin.
    Contrastive,
}

/// How much farther strangers have to be, in squared distance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Margins {
    /// From an anchor, than its positive.
    pub first: f64,
    /// From each other, than an anchor from its positive.
    pub second: f64,
}

/// A margin does not fall below this, so that a network that tells nobody from anybody learns too.
const LEAST: f64 = 0.1;
/// The second margin over the first: the second term is the weaker one (section 3.3 of the paper).
const SECOND: f64 = 0.5;

impl Margins {
    /// The mean distance of strangers less that of photos of one person, as the paper adapts them.
    pub fn of(distances: &[Vec<f64>], people: &[u32]) -> Self {
        let (mut same, mut other) = ((0.0, 0.0), (0.0, 0.0));
        for (a, row) in distances.iter().enumerate() {
            for (b, distance) in row.iter().enumerate().skip(a + 1) {
                let (sum, count) = match people[a] == people[b] {
                    true => &mut same,
                    false => &mut other,
                };
                *sum += distance;
                *count += 1.0;
            }
        }
        let mean = |(sum, count): (f64, f64)| sum / f64::max(count, 1.0);
        let first = (mean(other) - mean(same)).max(LEAST);
        Self {
            first,
            second: SECOND * first,
        }
    }
}

/// A loss, and what each of its terms adds.
pub struct Terms {
    /// What is made small.
    pub loss: Tensor,
    /// The part of triplets (or pairs) that are not as they should be, 0 to 1.
    pub violated: f64,
}

impl Loss {
    /// Of vectors of length 1 (rows). 0 where there are no examples.
    ///
    /// # Errors
    /// The computation fails.
    pub fn of(
        self,
        vectors: &Tensor,
        examples: &Examples,
        margins: Margins,
    ) -> Result<Terms, Error> {
        let Examples {
            anchors,
            positives,
            negatives,
            others,
            against,
        } = examples;
        let near = squared(vectors, anchors, positives)?;
        let far = squared(vectors, anchors, negatives)?;
        let hinge = match self {
            Self::Contrastive => (margins.first - &far)?.relu()?,
            Self::Quadruplet | Self::Triplet => ((&near - &far)? + margins.first)?.relu()?,
        };
        let violated = share_above_zero(&hinge)?;
        let mut loss = mean(&hinge)?;
        match self {
            Self::Triplet => {}
            Self::Contrastive => loss = (loss + mean(&near)?)?,
            Self::Quadruplet => {
                let (ones, twos): (Vec<u32>, Vec<u32>) = others.iter().copied().unzip();
                let apart = squared(vectors, &ones, &twos)?;
                let near = near.index_select(&places(against)?, 0)?;
                loss = (loss + mean(&((near - apart)? + margins.second)?.relu()?)?)?;
            }
        }
        Ok(Terms { loss, violated })
    }
}

fn places(places: &[u32]) -> Result<Tensor, Error> {
    Ok(Tensor::from_slice(places, places.len(), &Device::Cpu)?)
}

/// The squared distances of pairs of rows.
fn squared(vectors: &Tensor, a: &[u32], b: &[u32]) -> Result<Tensor, Error> {
    let (a, b) = (
        vectors.index_select(&places(a)?, 0)?,
        vectors.index_select(&places(b)?, 0)?,
    );
    Ok((a - b)?.sqr()?.sum(1)?)
}

fn mean(values: &Tensor) -> Result<Tensor, Error> {
    let count = values.elem_count().max(1) as f64;
    Ok((values.sum_all()? / count)?)
}

fn share_above_zero(values: &Tensor) -> Result<f64, Error> {
    let above = values.detach().gt(0.0)?.to_vec1::<u8>()?;
    let count = above.iter().filter(|above| **above != 0).count();
    Ok(count as f64 / above.len().max(1) as f64)
}

#[cfg(test)]
mod tests {
    use candle_core::Var;

    use super::*;
    use crate::chance::Chance;
    use crate::mining::{Mining, distances, mine};

    const ALL: [Loss; 3] = [Loss::Quadruplet, Loss::Triplet, Loss::Contrastive];
    const PEOPLE: [u32; 8] = [1, 1, 1, 2, 2, 3, 4, 4];

    fn rows(seed: u64) -> Vec<f64> {
        let mut chance = Chance::new(seed);
        (0..8 * 5).map(|_| chance.normal()).collect()
    }

    fn unit(values: &[f64]) -> Tensor {
        let rows = Tensor::from_slice(values, (8, 5), &Device::Cpu).unwrap();
        crate::head::unit(&rows).unwrap()
    }

    fn value(loss: Loss, values: &[f64], examples: &Examples, margins: Margins) -> f64 {
        loss.of(&unit(values), examples, margins)
            .unwrap()
            .loss
            .to_scalar()
            .unwrap()
    }

    /// Central differences, over the normalisation too.
    #[test]
    fn gradients_are_those_of_finite_differences() {
        for (seed, loss) in (20_u64..24).flat_map(|seed| ALL.map(|loss| (seed, loss))) {
            let values = rows(seed);
            let apart = distances(&unit(&values)).unwrap();
            let examples = mine(Mining::Hardest, &apart, &PEOPLE, &mut Chance::new(seed));
            let margins = Margins::of(&apart, &PEOPLE);
            let var = Var::from_slice(&values, (8, 5), &Device::Cpu).unwrap();
            let vectors = crate::head::unit(var.as_tensor()).unwrap();
            let terms = loss.of(&vectors, &examples, margins).unwrap();
            let gradients = terms.loss.backward().unwrap();
            let gradient = gradients.get(&var).unwrap().flatten_all().unwrap();
            let gradient: Vec<f64> = gradient.to_vec1().unwrap();
            assert!(
                gradient.iter().any(|x| x.abs() > 1e-3),
                "seed {seed}, {loss:?}: all flat"
            );
            let step = 1e-6;
            for at in 0..values.len() {
                let moved = |by: f64| {
                    let mut values = values.clone();
                    values[at] += by;
                    value(loss, &values, &examples, margins)
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                assert!(
                    (slope - gradient[at]).abs() < 1e-6,
                    "seed {seed}, {loss:?}, number {at}: {slope} against {}",
                    gradient[at]
                );
            }
        }
    }

    /// Worked out by hand: on a line, so that every distance can be seen.
    #[test]
    fn the_quadruplet_loss_adds_its_second_term_to_the_triplet_loss() {
        let vectors = Tensor::from_slice(&[0.0, 1.0, 2.0, 2.5_f64], (4, 1), &Device::Cpu).unwrap();
        let examples = Examples {
            anchors: vec![0],
            positives: vec![1],
            negatives: vec![2],
            others: vec![(2, 3)],
            against: vec![0],
        };
        let margins = Margins {
            first: 4.0,
            second: 2.0,
        };
        let told = |loss: Loss| -> f64 {
            loss.of(&vectors, &examples, margins)
                .unwrap()
                .loss
                .to_scalar()
                .unwrap()
        };
        // 1 - 4 + 4, and 1 - 0.25 + 2; pairs: 1, and 4 - 4.
        assert_eq!(told(Loss::Triplet), 1.0);
        assert_eq!(told(Loss::Quadruplet), 1.0 + 2.75);
        assert_eq!(told(Loss::Contrastive), 1.0);
    }

    #[test]
    fn margins_follow_how_far_apart_people_are() {
        let at: [f64; 4] = [0.0, 1.0, 5.0, 6.0];
        let distances: Vec<Vec<f64>> = at
            .iter()
            .map(|a| at.iter().map(|b| (a - b).powi(2)).collect())
            .collect();
        let margins = Margins::of(&distances, &[1, 1, 2, 2]);
        let strangers = (25.0 + 36.0 + 16.0 + 25.0) / 4.0;
        assert_eq!(
            margins,
            Margins {
                first: strangers - 1.0,
                second: (strangers - 1.0) / 2.0
            }
        );
        let mixed = Margins::of(&distances, &[1, 2, 2, 1]);
        assert_eq!(mixed.first, LEAST);
    }
}
