//! Choosing `ef` from a wanted recall, by measuring on the index's own points.

use std::collections::HashSet;

use crate::error::Error;
use crate::index::Index;
use crate::limits::{MIN_EF, TUNE_SAMPLE, TUNE_TOP};
use crate::search::{Hit, SearchOptions, within};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuned {
    /// The least `ef` tried that reached the wanted recall, or the greatest tried.
    pub ef: usize,
    /// The mean recall@k measured with it.
    pub recall: f32,
    /// Points that were asked for.
    pub sample: usize,
}

/// Measures recall@`k` of `search` at rising `ef` until it is at least `target_recall`. Queries are
/// those of [`Index::samples`]; each is answered exactly too, which costs a scan.
///
/// An index that may not be held on to for so long can be locked anew for every search.
pub fn tune<E: From<Error>>(
    queries: &[Vec<f32>],
    target_recall: f32,
    k: usize,
    mut search: impl FnMut(&[f32], &SearchOptions<'_>) -> Result<Vec<Hit>, E>,
) -> Result<Tuned, E> {
    within("k", k, 1, crate::limits::MAX_K)?;
    if !(target_recall > 0.0 && target_recall <= 1.0) {
        return Err(Error::Recall(target_recall).into());
    }
    let mut answers = |ef, exact| -> Result<Vec<Vec<Hit>>, E> {
        let options = SearchOptions {
            ef,
            exact,
            filter: None,
        };
        queries
            .iter()
            .map(|query| search(query, &options))
            .collect()
    };
    let truth = answers(0, true)?;
    let wanted: usize = truth.iter().map(Vec::len).sum();
    let mut ef = MIN_EF;
    loop {
        let found = answers(ef, false)?;
        let found = found.iter().zip(&truth);
        let found: usize = found.map(|(answer, truth)| common(answer, truth)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a few thousand hits")]
        let recall = if wanted == 0 {
            1.0
        } else {
            found as f32 / wanted as f32
        };
        if recall >= target_recall || ef >= TUNE_TOP {
            return Ok(Tuned {
                ef,
                recall,
                sample: queries.len(),
            });
        }
        ef = (ef + ef.div_ceil(4)).min(TUNE_TOP);
    }
}

impl Index {
    /// [`tune`] for this index, which is only read.
    pub fn tune(&self, target_recall: f32, k: usize) -> Result<Tuned, Error> {
        let search = |query: &[f32], options: &SearchOptions<'_>| self.search(query, k, options);
        tune(&self.samples(), target_recall, k, search)
    }

    /// Points spread over the whole age of the index, each moved by the difference of two neighbours
    /// elsewhere: new points of the same kind, which no link leads to.
    ///
    /// Where numbers are independent and points have no kind, such a point's one nearest is the point
    /// it was made of, which is easier to find than a stranger's: recall@1 is then overstated (0.83
    /// said, 0.28 for strangers among 10,000 of 300 normal numbers), recall@10 less.
    pub fn samples(&self) -> Vec<Vec<f32>> {
        let step = self.len().div_ceil(TUNE_SAMPLE).max(1);
        let chosen: Vec<u32> = self
            .by_birth
            .iter()
            .step_by(step)
            .map(|(_, slot)| *slot)
            .collect();
        let elsewhere = chosen.iter().cycle().skip(chosen.len() / 2);
        let samples = chosen.iter().zip(elsewhere).map(|(slot, other)| {
            let own = self.vectors.row(*slot);
            let near = self.links.get(*other, 0).first().unwrap_or(other);
            let (from, to) = (self.vectors.row(*other), self.vectors.row(*near));
            let moved = own.iter().zip(from.iter().zip(to));
            let moved: Vec<f32> = moved.map(|(x, (from, to))| x + to - from).collect();
            // What cannot be asked for is asked for where it was.
            self.prepare(&moved).unwrap_or_else(|_| own.to_vec())
        });
        samples.collect()
    }
}

/// Hits that are in both, those as good as the last true one counted as well: equal scores have no
/// true order.
fn common(answer: &[Hit], truth: &[Hit]) -> usize {
    let worst = truth.last().map(|hit| hit.score);
    let slots: HashSet<u32> = truth.iter().map(|hit| hit.slot.0).collect();
    let good = answer
        .iter()
        .filter(|hit| slots.contains(&hit.slot.0) || Some(hit.score) == worst);
    good.count().min(truth.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Metric, Params};

    fn index(n: usize) -> Index {
        let mut seed = 1u64;
        let mut number = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (seed >> 40) as f32 / 8_388_608.0 - 1.0
        };
        let mut index = Index::new(Params::new(80, Metric::Cosine)).unwrap();
        let vectors: Vec<Vec<f32>> = (0..n)
            .map(|_| (0..80).map(|_| number()).collect())
            .collect();
        for (at, vectors) in vectors.chunks(50).enumerate() {
            let seeds = (0u64..).map(|i| (i + 64 * at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let points: Vec<_> = seeds.zip(vectors.iter().map(Vec::as_slice)).collect();
            index.insert_batch(&points, 1).unwrap();
        }
        index
    }

    #[test]
    fn more_recall_takes_a_greater_ef_and_what_is_said_was_measured() {
        let index = index(6_000);
        let low = index.tune(0.5, 10).unwrap();
        let high = index.tune(0.95, 10).unwrap();
        assert!(low.ef < high.ef, "{low:?}, {high:?}");
        assert!(low.recall >= 0.5 && high.recall >= 0.95 && high.recall <= 1.0);
        assert!(high.sample >= 100);
    }

    #[test]
    fn an_empty_index_is_tuned_to_anything_and_a_recall_that_cannot_be_is_refused() {
        let empty = Index::new(Params::new(4, Metric::Euclid)).unwrap();
        assert_eq!(empty.tune(0.9, 10).unwrap().recall, 1.0);
        for wrong in [0.0, -1.0, 1.5, f32::NAN] {
            assert!(matches!(empty.tune(wrong, 10), Err(Error::Recall(_))));
        }
    }
}
