//! The figures of one set of vectors, kept so that they can be had for people of any weight: a person
//! who is drawn twice counts twice, with all pairs that go with that.

use std::collections::BTreeMap;

use super::nearest::{nearest, product};

/// The part of strangers' pairs that may match.
const FALSE_MATCHES: f64 = 1e-3;
/// The part of strangers' pairs that is kept, the most alike: more than any draw asks for.
const KEPT: f64 = 0.02;

/// Whose photos there are.
pub(super) struct Photos {
    /// The number of each photo's person, from 0.
    who: Vec<usize>,
    /// Photos of each person.
    counts: Vec<f64>,
}

impl Photos {
    pub(super) fn of(people: &[u32]) -> Self {
        let mut numbers = BTreeMap::new();
        let mut who = Vec::new();
        for person in people {
            let next = numbers.len();
            who.push(*numbers.entry(*person).or_insert(next));
        }
        let mut counts = vec![0.0; numbers.len()];
        who.iter().for_each(|person| counts[*person] += 1.0);
        Self { who, counts }
    }

    pub(super) fn people(&self) -> usize {
        self.counts.len()
    }

    /// The mean of a value of each photo, where each person has a weight.
    pub(super) fn mean(&self, values: &[f64], weights: &[f64]) -> f64 {
        let photos = self.who.iter().zip(values);
        mean(photos.map(|(person, value)| (*value, weights[*person])))
    }

    pub(super) fn rank_one_by_chance(&self) -> f64 {
        let others = (self.who.len() as f64 - 1.0).max(1.0);
        let asked = self.counts.iter().filter(|count| **count > 1.0);
        mean(asked.map(|count| ((count - 1.0) / others, *count)))
    }
}

/// Of values with their weights; 0 where nothing has any.
fn mean(values: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (sum, all) = values.fold((0.0, 0.0), |(sum, all), (value, weight)| {
        (sum + value * weight, all + weight)
    });
    if all > 0.0 { sum / all } else { 0.0 }
}

/// Two photos' inner product.
struct Pair {
    cosine: f32,
    a: usize,
    b: usize,
}

pub(super) struct Figures {
    threshold: f32,
    /// By photo: whether its nearest is of the same person.
    right: Vec<bool>,
    /// By photo: the part of the true ten nearest that was found.
    recall: Vec<f64>,
    /// Of one person.
    same: Vec<Pair>,
    /// Of strangers: those that reach the threshold, and the most alike at least; falling.
    other: Vec<Pair>,
}

impl Figures {
    pub(super) fn of(
        vectors: &[Vec<f32>],
        photos: &Photos,
        threshold: f32,
        true_nearest: &[Vec<usize>],
    ) -> Self {
        let own = nearest(vectors);
        let right = own.iter().enumerate().map(|(at, near)| {
            near.first()
                .is_some_and(|near| photos.who[*near] == photos.who[at])
        });
        let recall = own.iter().zip(true_nearest).map(|(own, due)| {
            let found = due.iter().filter(|place| own.contains(place)).count();
            found as f64 / due.len().max(1) as f64
        });
        let (same, mut other) = pairs(vectors, &photos.who);
        other.sort_by(|a, b| {
            b.cosine
                .total_cmp(&a.cosine)
                .then((a.a, a.b).cmp(&(b.a, b.b)))
        });
        let reach = other.partition_point(|pair| pair.cosine >= threshold);
        other.truncate(reach.max(part_of(other.len())));
        Self {
            threshold,
            right: right.collect(),
            recall: recall.collect(),
            same,
            other,
        }
    }

    /// In the order of `FIGURES`, where each person has a weight.
    pub(super) fn with(&self, photos: &Photos, weights: &[f64]) -> [f64; 4] {
        let of = |photo: usize| weights[photos.who[photo]];
        let several = |photo: usize| photos.counts[photos.who[photo]] > 1.0;
        let asked = (0..self.right.len()).filter(|photo| several(*photo));
        let rank_one = mean(asked.map(|photo| (f64::from(u8::from(self.right[photo])), of(photo))));
        let recall = photos.mean(&self.recall, weights);
        let matched = |threshold: f32, inclusive: bool| {
            mean(self.same.iter().map(|pair| {
                let matches = pair.cosine > threshold || (inclusive && pair.cosine == threshold);
                (f64::from(u8::from(matches)), of(pair.a))
            }))
        };
        // Everybody with everybody, less everybody with themselves.
        let sums = photos
            .counts
            .iter()
            .zip(weights)
            .map(|(count, weight)| count * weight);
        let (sum, squares) = sums.fold((0.0, 0.0), |(s, q), x| (s + x, q + x * x));
        let strangers = (sum * sum - squares) / 2.0;
        let (mut falsely, mut limit, mut counted) = (0.0, self.lowest(), 0.0);
        let mut is_open = true;
        for pair in &self.other {
            let weight = of(pair.a) * of(pair.b);
            counted += weight;
            if is_open && counted > FALSE_MATCHES * strangers {
                (limit, is_open) = (pair.cosine, false);
            }
            if pair.cosine >= self.threshold {
                falsely += weight;
            }
        }
        let false_rate = if strangers > 0.0 {
            falsely / strangers
        } else {
            0.0
        };
        let verification = (matched(self.threshold, true) + 1.0 - false_rate) / 2.0;
        [rank_one, verification, matched(limit, false), recall]
    }

    fn lowest(&self) -> f32 {
        self.other.last().map_or(-1.0, |pair| pair.cosine)
    }
}

fn pairs(vectors: &[Vec<f32>], who: &[usize]) -> (Vec<Pair>, Vec<Pair>) {
    let (mut same, mut other) = (Vec::new(), Vec::new());
    for (a, vector) in vectors.iter().enumerate() {
        for (b, with) in vectors.iter().enumerate().skip(a + 1) {
            let pair = Pair {
                cosine: product(vector, with),
                a,
                b,
            };
            match who[a] == who[b] {
                true => same.push(pair),
                false => other.push(pair),
            }
        }
    }
    (same, other)
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a part of a count, rounded up"
)]
fn part_of(count: usize) -> usize {
    (count as f64 * KEPT).ceil() as usize
}

/// The cosine at which most pairs are told rightly, both kinds weighing the same.
pub(super) fn threshold(vectors: &[Vec<f32>], people: &[u32]) -> f32 {
    let (same, other) = pairs(vectors, &Photos::of(people).who);
    let (ones, twos) = (same.len().max(1) as f64, other.len().max(1) as f64);
    let mut all: Vec<(f32, bool)> = same.iter().map(|pair| (pair.cosine, true)).collect();
    all.extend(other.iter().map(|pair| (pair.cosine, false)));
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut right, mut best) = (1.0, (1.0, -1.0));
    for pair in all.windows(2) {
        // The lower one of both is now taken for two people.
        right += if pair[0].1 { -1.0 / ones } else { 1.0 / twos };
        if right > best.0 {
            best = (right, f32::midpoint(pair[0].0, pair[1].0));
        }
    }
    best.1
}
