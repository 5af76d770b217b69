//! What the indexes of a collection say about a filter.
//!
//! The answer holds every point that the filter lets through. Whether it holds others as well is
//! said with it; then their payloads have to be asked.

use roaring::RoaringBitmap;
use storage::PointId;

use super::PayloadIndexes;
use super::field::{Found, perhaps};
use crate::filter::{Condition, Filter, Test};

/// What filters ask of a collection beside its payloads.
pub(crate) trait Points {
    /// The number of a point.
    fn number(&self, id: &PointId) -> Option<u32>;
    /// The points that have a vector.
    fn with_vector(&self, name: &str) -> RoaringBitmap;
}

impl PayloadIndexes {
    /// The points that a filter may let through.
    pub(crate) fn find(&self, filter: &Filter, points: &impl Points) -> Found {
        let mut found = Found {
            points: self.live.clone(),
            exact: true,
        };
        for condition in &filter.must {
            let one = self.find_one(condition, points);
            found.points &= one.points;
            found.exact &= one.exact;
        }
        for condition in &filter.must_not {
            let one = self.find_one(condition, points);
            match one.exact {
                true => found.points -= one.points,
                // Some that may be let through are not: who, the payloads say.
                false => found.exact &= found.points.is_disjoint(&one.points),
            }
        }
        if !filter.should.is_empty() {
            let any = self.find_some(&filter.should, 1, points);
            found.points &= any.points;
            found.exact &= any.exact;
        }
        if let Some(some) = &filter.min_should {
            let some = self.find_some(&some.conditions, some.min_count, points);
            found.points &= some.points;
            found.exact &= some.exact;
        }
        // Of nobody it is known.
        found.exact |= found.points.is_empty();
        found
    }

    /// Points for which at least so many conditions hold.
    fn find_some(&self, conditions: &[Condition], least: usize, points: &impl Points) -> Found {
        // `reached[n]`: for more than `n` of the conditions so far.
        let mut reached = vec![RoaringBitmap::new(); least.min(conditions.len())];
        let mut exact = true;
        if least == 0 {
            return Found {
                points: self.live.clone(),
                exact,
            };
        }
        if least > conditions.len() {
            return Found {
                points: RoaringBitmap::new(),
                exact,
            };
        }
        for condition in conditions {
            let one = self.find_one(condition, points);
            exact &= one.exact;
            for n in (1..reached.len()).rev() {
                let more = &reached[n - 1] & &one.points;
                reached[n] |= more;
            }
            reached[0] |= one.points;
        }
        Found {
            points: reached.pop().unwrap_or_default(),
            exact,
        }
    }

    fn find_one(&self, condition: &Condition, points: &impl Points) -> Found {
        match condition {
            Condition::Key { key, test } => match self.fields.get(key) {
                Some(field) => field.find(test, &self.live),
                None => perhaps(self.live.clone()),
            },
            Condition::HasId(ids) => Found {
                points: ids.iter().filter_map(|id| points.number(id)).collect(),
                exact: true,
            },
            Condition::HasVector(name) => Found {
                points: points.with_vector(name),
                exact: true,
            },
            Condition::Filter(filter) => self.find(filter, points),
            Condition::Nested { key, filter } => {
                let mut found = perhaps(self.live.clone());
                for condition in &filter.must {
                    if let Condition::Key { key: inner, test } = condition
                        && !matches!(test, Test::Empty | Test::Count(_))
                        && let Some(field) = self.fields.get(&key.nested(inner))
                    {
                        found.points &= field.find(test, &self.live).points;
                    }
                }
                found
            }
        }
    }
}
