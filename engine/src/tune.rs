//! Searches for a wanted recall: how far a walk must go for it is measured on the collection's own
//! points, once, and again when there are a quarter more or fewer. Searches that name no recall go by
//! what is measured beside them (see `usual`).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use hnsw::Effort;
use hnsw::limits::{DEFAULT_EF, USUAL_K, USUAL_RECALL};
use hnsw::{Hit, Scan, SearchOptions};
use storage::VectorId;

use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{LONG_PAUSE, LONG_PAUSES, MAX_HITS, SCAN_PART, TUNINGS, USUAL_CHANGES};
use crate::sync::Mutex;

/// What was measured.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tuned {
    /// The least `ef` tried that reached the wanted recall, or the least that was not tried.
    pub ef: usize,
    /// No walk that is less work than a scan reached it: all points are to be looked at.
    pub exact: bool,
    /// The mean recall@k measured with it.
    pub recall: f32,
    /// Hits of each search: those asked for, rounded up to 1, 2 or 5 times a power of ten.
    pub k: usize,
    /// Points that were asked for.
    pub sample: usize,
    /// Points there were.
    pub points: usize,
    /// Times of searches with that `ef`.
    pub median: Duration,
    /// One in a hundred took longer.
    pub p99: Duration,
}

/// What was measured of a collection.
#[derive(Default)]
pub(crate) struct Tunings {
    known: Mutex<HashMap<Wanted, Tuned>>,
    /// Held by the one who measures.
    measuring: Mutex<()>,
}

/// Vectors, hits, and the bits of the recall.
type Wanted = (VectorId, usize, u32);

impl Engine {
    /// The `ef` that finds this part of the true `k` nearest points, and the recall measured with
    /// it. Costs some hundred scans of the collection when it has not been measured lately; searches
    /// and writes go on.
    pub fn tune(
        &self,
        collection: &str,
        using: &str,
        k: usize,
        target_recall: f32,
    ) -> Result<Tuned, Error> {
        let collection = self.collection(collection)?;
        let by = collection.settings().by_name(using)?.id;
        collection.tuned(by, k, target_recall)
    }

    /// What searches by one of a collection's vectors have cost since the engine was opened.
    pub fn effort(&self, collection: &str, using: &str) -> Result<Effort, Error> {
        let collection = self.collection(collection)?;
        let state = collection.state.read();
        let by = state.settings.by_name(using)?.id;
        Ok(state.space(by)?.index.effort())
    }

    /// Points that searches of all indexes there are have compared with a query, since the engine
    /// was opened.
    pub fn compared(&self) -> u64 {
        let of = |collection: &Arc<Collection>| -> u64 {
            let state = collection.state.read();
            let spaces = state.spaces.values();
            spaces.map(|space| space.index.effort().looked_at).sum()
        };
        self.shared().catalog.all().iter().map(of).sum()
    }
}

impl Collection {
    /// Whoever finds nothing fresh measures, one at a time; meanwhile others go by what was
    /// measured before, if anything was.
    fn tuned(&self, by: VectorId, k: usize, recall: f32) -> Result<Tuned, Error> {
        if !(1..=MAX_HITS).contains(&k) {
            return Err(Error::BadRequest(format!(
                "{k} hits cannot be tuned for; 1 to {MAX_HITS} can"
            )));
        }
        let wanted = (by, rounded(k), recall.to_bits());
        let known = self.tunings.get(&wanted);
        if let Some(fresh) = known.filter(|tuned| is_fresh(tuned, self.len())) {
            return Ok(fresh);
        }
        let _measuring = match (self.tunings.measuring.try_lock(), known) {
            (Some(first), _) => first,
            (None, Some(stale)) => return Ok(stale),
            (None, None) => self.tunings.measuring.lock(),
        };
        let known = self.tunings.get(&wanted);
        match known.filter(|tuned| is_fresh(tuned, self.len())) {
            Some(fresh) => Ok(fresh),
            None => {
                let tuned = self.measure((by, wanted.1), recall, |_| Ok(()))?;
                self.tunings.keep(wanted, tuned);
                Ok(tuned)
            }
        }
    }

    /// Has searches that name no `ef` walk as far as it takes, now. `pace` is given the time of each
    /// walk and each part of a scan that this makes, and may rest, or have it end. Returns whether it came to an end: where
    /// too many points come or go meanwhile, what is found cannot be compared, and nothing changes.
    pub(crate) fn settle_usual(
        &self,
        by: VectorId,
        mut pace: impl FnMut(Duration) -> Result<(), Error>,
    ) -> Result<bool, Error> {
        let (points, turnover) = {
            let state = self.state.read();
            let index = &state.space(by)?.index;
            (index.len(), index.turnover())
        };
        let mut long = 0;
        let measured = self.measure((by, USUAL_K), USUAL_RECALL, |took| {
            long += usize::from(took > LONG_PAUSE);
            match long < LONG_PAUSES {
                true => pace(took),
                false => Err(Error::Stopped),
            }
        });
        let state = self.state.read();
        let index = &state.space(by)?.index;
        if long >= LONG_PAUSES {
            index.settle_on(Some(DEFAULT_EF), points);
            return Ok(true);
        }
        let tuned = measured?;
        // Another index may stand there since.
        let changed = index.turnover().abs_diff(turnover);
        if changed * USUAL_CHANGES > points as u64 {
            return Ok(false);
        }
        index.settle_on((!tuned.exact).then_some(tuned.ef), points);
        Ok(true)
    }

    fn measure(
        &self,
        (by, k): (VectorId, usize),
        recall: f32,
        mut pace: impl FnMut(Duration) -> Result<(), Error>,
    ) -> Result<Tuned, Error> {
        let points = self.len();
        let (queries, vectors) = {
            let state = self.state.read();
            let index = &state.space(by)?.index;
            (index.samples(), index.len())
        };
        let (mut scans, mut of_ef, mut times) = (Vec::new(), 0, Vec::new());
        // The lock is taken anew for each walk and each part of a scan, so that writes go on.
        let search = |query: &[f32], options: &SearchOptions<'_>| -> Result<Vec<Hit>, Error> {
            if options.exact {
                let (hits, took) = self.scanned(by, (query, k), &mut pace)?;
                scans.push(took);
                return Ok(hits);
            }
            let state = self.state.read();
            let started = Instant::now();
            let hits = state.space(by)?.index.trial(query, k, options)?;
            let took = started.elapsed();
            drop(state);
            if of_ef == options.ef {
                times.push(took);
            } else {
                (of_ef, times) = (options.ef, vec![took]);
            }
            pace(took)?;
            Ok(hits)
        };
        let found = hnsw::tune(&queries, recall, (k, vectors), search)?;
        if found.exact {
            times = scans;
        }
        times.sort_unstable();
        let at = |percent: usize| times.get(times.len() * percent / 100).copied();
        Ok(Tuned {
            ef: found.ef,
            exact: found.exact,
            recall: found.recall,
            k,
            sample: found.sample,
            points,
            median: at(50).unwrap_or_default(),
            p99: at(99).unwrap_or_default(),
        })
    }

    /// The exact answer to a query, and how long it took without what lay between its parts.
    fn scanned(
        &self,
        by: VectorId,
        asked: (&[f32], usize),
        pace: &mut impl FnMut(Duration) -> Result<(), Error>,
    ) -> Result<(Vec<Hit>, Duration), Error> {
        let (mut scan, mut all) = (Scan::default(), Duration::ZERO);
        loop {
            let state = self.state.read();
            let started = Instant::now();
            let hits = (state.space(by)?.index).scan_on(&mut scan, asked, SCAN_PART)?;
            let took = started.elapsed();
            drop(state);
            all += took;
            pace(took)?;
            if let Some(hits) = hits {
                return Ok((hits, all));
            }
        }
    }
}

/// So that pages of many sizes are not measured one by one.
fn rounded(k: usize) -> usize {
    let mut power = 1;
    loop {
        if let Some(round) = [1, 2, 5].map(|n| n * power).into_iter().find(|n| *n >= k) {
            return round.min(MAX_HITS);
        }
        power *= 10;
    }
}

fn is_fresh(tuned: &Tuned, len: usize) -> bool {
    len.abs_diff(tuned.points) <= tuned.points / 4
}

impl Tunings {
    fn get(&self, wanted: &Wanted) -> Option<Tuned> {
        self.known.lock().get(wanted).copied()
    }

    /// The vector's index is another one now.
    pub(crate) fn forget(&self, of: VectorId) {
        self.known.lock().retain(|(vector, _, _), _| *vector != of);
    }

    fn keep(&self, wanted: Wanted, tuned: Tuned) {
        let mut known = self.known.lock();
        if known.len() >= TUNINGS {
            known.clear();
        }
        known.insert(wanted, tuned);
    }
}

#[cfg(test)]
mod tests {
    use crate::{Ack, CollectionSpec, Metric, Options, Payload, Point, PointId};

    use super::*;

    #[test]
    fn hits_are_rounded_up_to_few_numbers() {
        let cases = [
            (1, 1),
            (3, 5),
            (10, 10),
            (11, 20),
            (100, 100),
            (101, 200),
            (MAX_HITS, MAX_HITS),
        ];
        for (k, round) in cases {
            assert_eq!(rounded(k), round);
        }
    }

    #[test]
    fn what_changes_while_it_is_measured_decides_nothing_about_later_searches() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(Options::new(dir.path())).unwrap();
        let spec = CollectionSpec::new(2, Metric::Euclid);
        engine.create_collection("c", spec).unwrap();
        let put = |ids: std::ops::Range<u64>| {
            let points = ids.map(|id| Point {
                id: PointId::Num(id),
                #[expect(clippy::cast_precision_loss, reason = "a few thousand")]
                vectors: vec![(id % 61) as f32, id as f32].into(),
                payload: Payload::new(),
                face: None,
            });
            engine.upsert("c", points.collect(), Ack::Applied).unwrap();
        };
        put(0..2_000);
        let collection = engine.collection("c").unwrap();
        let by = collection.settings().by_name("").unwrap().id;
        let mut ids = 2_000..2_010;
        let beside = |_| {
            ids.next().into_iter().for_each(|id| put(id..id + 1));
            Ok(())
        };
        assert!(!collection.settle_usual(by, beside).unwrap());
        assert!(collection.settle_usual(by, |_| Ok(())).unwrap());
    }
}
