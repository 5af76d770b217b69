//! Verification as the data set's authors define it: each fold is answered with the threshold that
//! is best on the other folds (Huang et al. 2007, "Labeled Faces in the Wild", section III). Where few
//! pairs are told wrongly, that threshold lies now here, now there, and a fold of a hundred pairs with
//! it; halves that are drawn often say more of what is between two models.

use std::fmt;

use serde::Serialize;

use super::lfw::Pair;

/// Halves of the pairs that are drawn.
const DRAWS: u64 = 200;

/// How often it is told rightly whether two photos show one person.
#[derive(Debug, Serialize, PartialEq)]
pub(crate) struct Verification {
    /// Mean over the folds.
    pub(crate) accuracy: f64,
    /// Standard error of that mean; of one fold there is none.
    pub(crate) standard_error: Option<f64>,
    pub(crate) folds: usize,
    pub(crate) pairs: usize,
    /// Mean over halves of the pairs, drawn by chance, each with the threshold that is best on the other.
    pub(crate) halves: f64,
}

impl Verification {
    pub(crate) fn of(pairs: &[Pair], cosines: &[f32]) -> Self {
        let folds = pairs.iter().map(|pair| pair.fold + 1).max().unwrap_or(0);
        let scored = || pairs.iter().zip(cosines);
        // Of a part of the data set a fold may have none.
        let folds = (0..folds).filter(|fold| pairs.iter().any(|pair| pair.fold == *fold));
        let accuracies: Vec<f64> = folds
            .map(|fold| {
                let others = scored().filter(|(pair, _)| pair.fold != fold);
                let threshold =
                    best_threshold(others.map(|(pair, cosine)| (*cosine, pair.same)).collect());
                let own = scored().filter(|(pair, _)| pair.fold == fold);
                let right: Vec<bool> = own
                    .map(|(pair, cosine)| (*cosine >= threshold) == pair.same)
                    .collect();
                ratio(right.iter().filter(|right| **right).count(), right.len())
            })
            .collect();
        Self {
            accuracy: mean(&accuracies),
            standard_error: standard_error(&accuracies),
            folds: accuracies.len(),
            pairs: pairs.len(),
            halves: halves(pairs, cosines),
        }
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            accuracy,
            folds,
            pairs,
            halves,
            ..
        } = self;
        if *pairs == 0 {
            return out.write_str("none, as there are no pairs");
        }
        write!(out, "{accuracy:.4} ")?;
        match self.standard_error {
            Some(error) => write!(out, "+- {error:.4} ({pairs} pairs in {folds} folds)")?,
            None => write!(
                out,
                "({pairs} pairs in one fold, from cosine 0 on: no other fold says from which)"
            )?,
        }
        write!(out, ", {halves:.4} (halves)")
    }
}

fn halves(pairs: &[Pair], cosines: &[f32]) -> f64 {
    let scored = pairs.iter().zip(cosines);
    let mut scored: Vec<_> = scored.map(|(pair, cosine)| (*cosine, pair.same)).collect();
    let mut state = 1;
    let accuracies = (0..DRAWS).map(|_| {
        for last in (1..scored.len()).rev() {
            scored.swap(last, below(&mut state, last + 1));
        }
        let (chooses, told) = scored.split_at(scored.len() / 2);
        let threshold = best_threshold(chooses.to_vec());
        let right = told
            .iter()
            .filter(|(cosine, same)| (*cosine >= threshold) == *same);
        ratio(right.count(), told.len())
    });
    mean(&accuracies.collect::<Vec<_>>())
}

/// The next number below a bound, by chance (xorshift, Marsaglia 2003); always the same ones.
fn below(state: &mut u64, bound: usize) -> usize {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let bound = u64::try_from(bound).unwrap_or(u64::MAX);
    usize::try_from(*state % bound).unwrap_or(0)
}

/// Halfway between two cosines, where most pairs are on their side; of several, the one in the
/// middle.
pub(super) fn best_threshold(mut scored: Vec<(f32, bool)>) -> f32 {
    scored.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut right = scored.iter().filter(|(_, same)| *same).count();
    let (mut most, mut best) = (0, Vec::new());
    for pair in scored.windows(2) {
        // The lower one of both is now taken for two people.
        right = if pair[0].1 { right - 1 } else { right + 1 };
        if right > most {
            best.clear();
            most = right;
        }
        if right == most {
            best.push((pair[0].0 + pair[1].0) / 2.0);
        }
    }
    best.get(best.len() / 2).copied().unwrap_or(0.0)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / count(values.len()).max(1.0)
}

/// Of the mean of two values or more.
fn standard_error(values: &[f64]) -> Option<f64> {
    let (mean, others) = (mean(values), values.len().checked_sub(1)?);
    let squares = values.iter().map(|value| (value - mean).powi(2));
    let variance = squares.sum::<f64>() / count(others);
    (others > 0).then(|| (variance / count(values.len())).sqrt())
}

pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    count(part) / count(whole).max(1.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts of photos and pairs")]
pub(super) fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_threshold_lies_between_most_of_both_kinds() {
        let scored = vec![
            (0.1, false),
            (0.3, false),
            (0.5, true),
            (0.9, true),
            (0.2, true),
        ];
        assert!((best_threshold(scored) - 0.4).abs() < 1e-6);
        assert_eq!(best_threshold(Vec::new()), 0.0);
    }

    #[test]
    fn a_fold_without_pairs_counts_for_nothing() {
        let pair = |(same, fold)| Pair {
            a: 0,
            b: 0,
            same,
            fold,
        };
        let pairs = [(true, 0), (false, 0), (true, 2), (false, 2)].map(pair);
        let told = Verification::of(&pairs, &[0.9, 0.1, 0.8, 0.2]);
        assert_eq!((told.accuracy, told.folds, told.pairs), (1.0, 2, 4));
    }

    #[test]
    fn halves_are_told_rightly_where_the_kinds_lie_apart_and_by_chance_where_they_do_not() {
        let pair = |at: usize| Pair {
            a: 0,
            b: 0,
            same: at.is_multiple_of(2),
            fold: at % 10,
        };
        let pairs: Vec<_> = (0..400).map(pair).collect();
        let apart = pairs.iter().map(|pair| if pair.same { 0.8 } else { 0.1 });
        assert_eq!(halves(&pairs, &apart.collect::<Vec<_>>()), 1.0);
        let mut state = 7;
        let mut chance = || f32::from(u16::try_from(below(&mut state, 1000)).unwrap());
        let mixed: Vec<_> = pairs.iter().map(|_| chance()).collect();
        let told = halves(&pairs, &mixed);
        assert!((0.4..0.6).contains(&told), "{told}");
    }

    #[test]
    fn the_error_of_a_mean_is_that_of_its_sample() {
        let values = [0.9, 1.0, 0.95, 0.95];
        assert!((mean(&values) - 0.95).abs() < 1e-12);
        let error = standard_error(&values).unwrap();
        assert!((error - (0.005_f64 / 3.0 / 4.0).sqrt()).abs() < 1e-12);
        assert_eq!([standard_error(&[0.9]), standard_error(&[])], [None; 2]);
        assert_eq!(standard_error(&[0.9, 0.9]), Some(0.0));
    }

    #[test]
    fn one_fold_is_told_without_a_deviation_and_with_what_its_threshold_is() {
        let pair = |(same, fold)| Pair {
            a: 0,
            b: 0,
            same,
            fold,
        };
        let told = |pairs: [(bool, usize); 4]| {
            Verification::of(&pairs.map(pair), &[0.9, 0.1, 0.8, 0.2]).to_string()
        };
        let one = told([(true, 0), (false, 0), (true, 0), (false, 0)]);
        let due = "0.5000 (4 pairs in one fold, from cosine 0 on: no other fold says from which), 1.0000 (halves)";
        assert_eq!(one, due);
        let two = told([(true, 0), (false, 0), (true, 1), (false, 1)]);
        assert_eq!(
            two,
            "1.0000 +- 0.0000 (4 pairs in 2 folds), 1.0000 (halves)"
        );
        let none = Verification::of(&[], &[]).to_string();
        assert_eq!(none, "none, as there are no pairs");
    }
}
