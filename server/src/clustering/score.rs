//! How well groups agree with the people that somebody has named: purity, and precision and recall
//! over pairs of faces. Faces without a person do not count.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

/// What groups are worth by the labels that there are.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub(crate) struct Agreement {
    /// Faces that have a person.
    pub(crate) labelled: usize,
    /// The part of them that are in a group of which most labelled faces are of their person. High
    /// for groups that are too small as well, so read it together with the recall.
    pub(crate) purity: f64,
    /// Of the pairs of faces in one group, the part that are of one person.
    pub(crate) pair_precision: f64,
    /// Of the pairs of faces of one person, the part that are in one group.
    pub(crate) pair_recall: f64,
    /// The harmonic mean of both.
    pub(crate) pair_f1: f64,
}

impl Agreement {
    /// Of groups, each the people of its labelled faces; `None` if no face has a person.
    pub(crate) fn of<'a>(groups: impl Iterator<Item = Vec<&'a str>>) -> Option<Self> {
        let (mut labelled, mut in_majority) = (0_usize, 0_usize);
        let (mut together, mut right) = (0_u64, 0_u64);
        let mut people: HashMap<&str, u64> = HashMap::new();
        for group in groups {
            let mut counts: HashMap<&str, u64> = HashMap::new();
            for person in &group {
                *counts.entry(person).or_default() += 1;
                *people.entry(person).or_default() += 1;
            }
            labelled += group.len();
            let most = counts.values().max().copied().unwrap_or(0);
            in_majority += usize::try_from(most).unwrap_or(usize::MAX);
            together += pairs(group.len() as u64);
            right += counts.values().copied().map(pairs).sum::<u64>();
        }
        let of_one: u64 = people.values().copied().map(pairs).sum();
        let (precision, recall) = (part(right, together), part(right, of_one));
        (labelled > 0).then(|| Self {
            labelled,
            purity: in_majority as f64 / labelled as f64,
            pair_precision: precision,
            pair_recall: recall,
            pair_f1: match precision + recall {
                0.0 => 0.0,
                sum => 2.0 * precision * recall / sum,
            },
        })
    }
}

fn pairs(count: u64) -> u64 {
    count * count.saturating_sub(1) / 2
}

/// Of nothing, everything is right.
fn part(right: u64, of: u64) -> f64 {
    match of {
        0 => 1.0,
        of => right as f64 / of as f64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_is_what_counting_by_hand_gives() {
        // Two groups: a a b, and a b b: 4 of 6 are in the majority; 2 of 6 pairs are right, of 6
        // that there should be.
        let groups = [vec!["a", "a", "b"], vec!["a", "b", "b"]];
        let agreement = Agreement::of(groups.into_iter()).unwrap();
        assert_eq!(agreement.labelled, 6);
        assert!((agreement.purity - 4.0 / 6.0).abs() < 1e-12);
        for part in [
            agreement.pair_precision,
            agreement.pair_recall,
            agreement.pair_f1,
        ] {
            assert!((part - 2.0 / 6.0).abs() < 1e-12, "{agreement:?}");
        }
        let alone = [vec!["a"], vec!["a"], vec!["b"]];
        let alone = Agreement::of(alone.into_iter()).unwrap();
        assert_eq!((alone.purity, alone.pair_recall), (1.0, 0.0));
        assert_eq!(Agreement::of([Vec::new()].into_iter()), None);
    }
}
