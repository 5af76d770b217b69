//! Every photo against every other: the nearest of each, and how the cosines of one person's and of
//! different people's pairs are spread.

use std::collections::HashMap;
use std::thread;

use anyhow::{Result, anyhow};
use embedder::Scale;

use super::lfw::{Lfw, dot};

/// Steps of a cosine from -1 to 1.
const STEPS: usize = 4_000;

/// How many pairs have which cosine.
#[derive(Clone)]
pub(crate) struct Histogram(Vec<u64>);

/// What comes of comparing all photos.
pub(crate) struct Spread {
    /// Photos of people with two or more.
    pub(crate) asked: usize,
    /// Those among them whose nearest other photo shows the same person.
    pub(crate) right: usize,
    pub(crate) same: Histogram,
    pub(crate) different: Histogram,
    /// The cosines of different people's pairs, one photo of each person.
    pub(crate) strangers: Option<Scale>,
}

impl Spread {
    pub(crate) fn of(lfw: &Lfw, vectors: &[Option<&[f32]>], threads: usize) -> Result<Self> {
        let mut photos_of: HashMap<&str, usize> = HashMap::new();
        for photo in &lfw.photos {
            *photos_of.entry(&photo.person).or_default() += 1;
        }
        let is_asked = |at: usize| photos_of[lfw.photos[at].person.as_str()] > 1;
        let mut spread = Self {
            asked: (0..lfw.photos.len()).filter(|at| is_asked(*at)).count(),
            right: 0,
            same: Histogram::new(),
            different: Histogram::new(),
            strangers: strangers(lfw, vectors),
        };
        let rows = |first: usize| {
            let mut part = (0, Histogram::new(), Histogram::new());
            for at in (first..vectors.len()).step_by(threads) {
                let right = row(lfw, vectors, at, (&mut part.1, &mut part.2));
                part.0 += usize::from(right && is_asked(at));
            }
            part
        };
        thread::scope(|scope| {
            let workers: Vec<_> = (0..threads)
                .map(|first| scope.spawn(move || rows(first)))
                .collect();
            for worker in workers {
                let (right, same, different) =
                    worker.join().map_err(|_| anyhow!("a thread broke down"))?;
                spread.right += right;
                spread.same.join(&same);
                spread.different.join(&different);
            }
            Ok(spread)
        })
    }
}

/// Compares one photo with all others; each pair is counted by its first photo. Says whether the
/// nearest shows the same person.
fn row(
    lfw: &Lfw,
    vectors: &[Option<&[f32]>],
    at: usize,
    (same, different): (&mut Histogram, &mut Histogram),
) -> bool {
    let (Some(vector), person) = (vectors[at], &lfw.photos[at].person) else {
        return false;
    };
    let mut nearest = (f32::NEG_INFINITY, false);
    for (other, photo) in lfw
        .photos
        .iter()
        .enumerate()
        .filter(|(other, _)| *other != at)
    {
        let Some(others) = vectors[other] else {
            continue;
        };
        let (cosine, is_same) = (dot(vector, others), photo.person == *person);
        if cosine > nearest.0 {
            nearest = (cosine, is_same);
        }
        if other > at {
            let of_kind = if is_same { &mut *same } else { &mut *different };
            of_kind.add(cosine);
        }
    }
    nearest.1
}

fn strangers(lfw: &Lfw, vectors: &[Option<&[f32]>]) -> Option<Scale> {
    let mut first: HashMap<&str, &[f32]> = HashMap::new();
    for (photo, vector) in lfw.photos.iter().zip(vectors) {
        if let Some(vector) = vector {
            first.entry(&photo.person).or_insert(vector);
        }
    }
    let people: Vec<&[f32]> = first.into_values().collect();
    let mut cosines = Vec::with_capacity(people.len() * people.len() / 2);
    for (at, a) in people.iter().enumerate() {
        cosines.extend(people[at + 1..].iter().map(|b| dot(a, b)));
    }
    Scale::of(cosines)
}

impl Histogram {
    fn new() -> Self {
        Self(vec![0; STEPS + 1])
    }

    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a step within the histogram"
    )]
    fn add(&mut self, cosine: f32) {
        let step = (cosine.clamp(-1.0, 1.0) + 1.0) / 2.0 * STEPS as f32;
        self.0[step as usize] += 1;
    }

    fn join(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(a, b)| *a += b);
    }

    /// How many pairs there are.
    pub(crate) fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Steps from the highest cosine down: each one's cosine and the share of pairs that reach it.
    #[expect(clippy::cast_precision_loss, reason = "counts of pairs")]
    pub(crate) fn shares_from_above(&self) -> Vec<(f64, f64)> {
        let total = (self.total() as f64).max(1.0);
        let mut above = 0;
        let steps = self.0.iter().enumerate().rev().map(|(step, count)| {
            above += count;
            (step as f64 / STEPS as f64 * 2.0 - 1.0, above as f64 / total)
        });
        steps.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::lfw::{Missing, Photo};
    use super::*;

    #[test]
    fn the_nearest_other_photo_decides_and_every_pair_is_counted_once() {
        let photo = |person: &str| Photo {
            person: person.to_owned(),
            path: Default::default(),
        };
        let lfw = Lfw {
            photos: ["A", "A", "B", "B", "C"].map(photo).into(),
            pairs: Vec::new(),
            missing: Missing::default(),
        };
        let vectors: [&[f32]; 5] = [
            &[1.0, 0.0],
            &[0.96, 0.28],
            &[0.0, 1.0],
            &[1.0, 0.0],
            &[0.6, 0.8],
        ];
        let vectors = vectors.map(Some);
        for threads in [1, 2] {
            let spread = Spread::of(&lfw, &vectors, threads).unwrap();
            // A2's nearest is A1 or B2, which lie together; A1 comes first.
            assert_eq!((spread.asked, spread.right), (4, 1), "{threads} threads");
            assert_eq!((spread.same.total(), spread.different.total()), (2, 8));
            let shares = spread.different.shares_from_above();
            assert_eq!(shares.first().unwrap(), &(1.0, 0.125));
            assert_eq!(shares.last().unwrap(), &(-1.0, 1.0));
        }
    }
}
