//! Choosing `ef` from a wanted recall, by measuring on the index's own points.

use std::collections::HashSet;

use crate::error::Error;
use crate::index::Index;
use crate::limits::{DEFAULT_EF, MIN_EF, TUNE_PART, TUNE_SAMPLE, TUNE_TOP};
use crate::search::{Hit, SearchOptions, within};

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuned {
    /// The least `ef` tried that reached the wanted recall, or the least that was not tried.
    pub ef: usize,
    /// No walk that is less work than a scan reached the wanted recall: all points are to be looked at.
    pub exact: bool,
    /// The mean recall@k measured with it.
    pub recall: f32,
    /// Points that were asked for.
    pub sample: usize,
}

/// Measures recall@`k` of `search`, among `points`, at rising `ef` until it is at least `target_recall`
/// or a scan is less work. Queries are those of [`Index::samples`]; each is answered exactly too, which
/// costs a scan. What cannot reach the recall any more is not asked on, so that the rest costs little.
///
/// An index that may not be held on to for so long can be locked anew for every search.
pub fn tune<E: From<Error>>(
    queries: &[Vec<f32>],
    target_recall: f32,
    (k, points): (usize, usize),
    mut search: impl FnMut(&[f32], &SearchOptions<'_>) -> Result<Vec<Hit>, E>,
) -> Result<Tuned, E> {
    within("k", k, 1, crate::limits::MAX_K)?;
    if !(target_recall > 0.0 && target_recall <= 1.0) {
        return Err(Error::Recall(target_recall).into());
    }
    let mut answer = |query: &Vec<f32>, ef, exact| {
        let options = SearchOptions {
            ef,
            exact,
            filter: None,
        };
        search(query, &options)
    };
    let truth = queries.iter().map(|query| answer(query, 0, true));
    let truth = truth.collect::<Result<Vec<_>, E>>()?;
    let wanted: usize = truth.iter().map(Vec::len).sum();
    let top = points.div_ceil(TUNE_PART).clamp(DEFAULT_EF + 1, TUNE_TOP);
    let mut ef = MIN_EF;
    let (exact, recall) = loop {
        if ef >= top {
            break (true, 1.0);
        }
        let mut found = wanted;
        for (query, truth) in queries.iter().zip(&truth) {
            found -= truth.len() - common(&answer(query, ef, false)?, truth);
            if part(found, wanted) < target_recall {
                break;
            }
        }
        if part(found, wanted) >= target_recall {
            break (false, part(found, wanted));
        }
        ef += ef.div_ceil(4);
    };
    Ok(Tuned {
        ef,
        exact,
        recall,
        sample: queries.len(),
    })
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand hits")]
fn part(found: usize, wanted: usize) -> f32 {
    match wanted {
        0 => 1.0,
        _ => found as f32 / wanted as f32,
    }
}

impl Index {
    /// [`tune`] for this index, which is only read.
    pub fn tune(&self, target_recall: f32, k: usize) -> Result<Tuned, Error> {
        let search = |query: &[f32], options: &SearchOptions<'_>| self.trial(query, k, options);
        let of = (k, self.len());
        tune(&self.samples(), target_recall, of, search)
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
