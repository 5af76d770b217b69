//! How far a search walks that is not told: [`DEFAULT_EF`], unless that was measured to be too little
//! for the index's points. It is a guess that only decides how much is found: nothing that is kept
//! follows from it, and it is gone when the index is dropped.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;
use crate::index::Index;
use crate::limits::{DEFAULT_EF, USUAL_K, USUAL_RECALL, WALK_STEP};
use crate::tune::Tuned;

/// What was measured last: how many points there were and the `ef`, a half of the bits each, so that
/// both change at once.
#[derive(Default)]
pub(crate) struct Usual(AtomicU64);

/// Stands for an `ef` that looks at all points.
const ALL: u32 = u32::MAX;

impl Usual {
    fn points(&self) -> usize {
        half(self.0.load(Ordering::Relaxed) >> 32)
    }

    fn ef(&self) -> usize {
        half(self.0.load(Ordering::Relaxed))
    }

    fn set(&self, points: usize, ef: usize) {
        let half = |number: usize| u64::from(u32::try_from(number).unwrap_or(ALL));
        self.0
            .store(half(points) << 32 | half(ef), Ordering::Relaxed);
    }
}

fn half(both: u64) -> usize {
    usize::try_from(both & u64::from(ALL)).unwrap_or(usize::MAX)
}

impl Index {
    /// The `ef` of searches that are given none; more than there are points where a scan is less work
    /// than a walk that finds as much.
    pub(crate) fn usual_ef(&self) -> usize {
        self.usual.ef().max(DEFAULT_EF)
    }

    /// Whether [`Index::settle_on`] has nothing to find out: so few points are always all looked at, or it
    /// was measured since there were twice as many or half as many.
    pub fn is_settled(&self) -> bool {
        let (points, len) = (self.usual.points(), self.len());
        len <= WALK_STEP * DEFAULT_EF || (points / 2 < len && len < points * 2)
    }

    /// Has searches that are given no `ef` walk as far as was measured to take for [`USUAL_RECALL`] of
    /// the [`USUAL_K`] nearest among so many `points`, if that is farther than [`DEFAULT_EF`], or
    /// (`None`) look at all points.
    pub fn settle_on(&self, ef: Option<usize>, points: usize) {
        self.usual.set(points, ef.unwrap_or(ALL as usize));
    }

    /// How many vectors have come and gone, ever: what is compared over a while can be told by the
    /// difference to have changed.
    pub fn turnover(&self) -> u64 {
        2 * self.next_birth - self.len() as u64
    }

    /// Measures it and settles on it.
    pub fn settle_now(&self) -> Result<Tuned, Error> {
        let tuned = self.tune(USUAL_RECALL, USUAL_K)?;
        self.settle_on((!tuned.exact).then_some(tuned.ef), self.len());
        Ok(tuned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Metric, Params};

    #[test]
    fn what_was_measured_holds_until_there_are_twice_as_many_points_or_half() {
        let mut index = Index::new(Params::new(1, Metric::Euclid)).unwrap();
        let vectors: Vec<[f32; 1]> = (0..2_600u16).map(|at| [f32::from(at)]).collect();
        let points: Vec<_> = (0u64..)
            .zip(vectors.iter().map(<[f32; 1]>::as_slice))
            .collect();
        index.insert_batch(&points, 1).unwrap();
        assert!(!index.is_settled());
        for (measured, holds) in [(1_300, false), (1_301, true), (5_199, true), (5_200, false)] {
            index.settle_on(Some(DEFAULT_EF), measured);
            assert_eq!(index.is_settled(), holds, "{measured}");
        }
    }
}
