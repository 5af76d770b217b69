//! How much of the true answers searches find, watched while the server works: now and then one of
//! the last searches is asked again, as it was and exactly, and the two answers are compared. It
//! takes a thousandth of the time of one core, so that nobody waits for it.

use std::collections::{HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use engine::{Engine, Query, Select, Which, stand_back};
use parking_lot::Mutex;

use crate::limits;
use crate::metrics::Metrics;
use crate::pause::Pause;

/// Of so many searches one is remembered.
const EVERY: u64 = 16;
/// Searches that are remembered.
const REMEMBERED: usize = 16;
/// Rest between two looks, and how often the time of one look it is at least.
const REST: Duration = Duration::from_secs(1);
const REST_TIMES: u32 = 1_000;
/// What stands for collections that have no series of their own.
const OTHERS: &str = "_other";
/// What the newest look counts against all before it.
const WEIGHT: f64 = 0.05;

/// The last searches, and whether to go on watching them.
#[derive(Default)]
pub(crate) struct Recall {
    searches: AtomicU64,
    last: Mutex<VecDeque<(String, Query)>>,
    pause: Pause,
}

impl Recall {
    /// A search that is about to be answered.
    pub(crate) fn note(&self, collection: &str, query: &Query) {
        let nth = self.searches.fetch_add(1, Ordering::Relaxed);
        if query.exact || !nth.is_multiple_of(EVERY) {
            return;
        }
        // Whoever is at it need not be waited for.
        if let Some(mut last) = self.last.try_lock() {
            last.truncate(REMEMBERED - 1);
            last.push_front((collection.to_owned(), query.clone()));
        }
    }

    /// Asks again until it is closed.
    pub(crate) fn watch(&self, engine: &Engine, metrics: &Metrics) {
        stand_back();
        let mut means: HashMap<String, f64> = HashMap::new();
        let mut rest = REST;
        while self.pause.rests(rest) {
            rest = REST;
            means.retain(|name, _| {
                let there = name == OTHERS || engine.count(name).is_ok();
                if !there {
                    metrics.recall_unknown(name);
                }
                there
            });
            let Some((collection, query)) = self.last.lock().pop_front() else {
                continue;
            };
            let started = Instant::now();
            let look = AssertUnwindSafe(|| found(engine, &collection, query));
            let Ok(found) = catch_unwind(look) else {
                metrics.panicked();
                continue;
            };
            rest = REST.max(started.elapsed() * REST_TIMES);
            // Else there is nothing to find, or the collection has gone meanwhile.
            if let Ok(Some(found)) = found {
                note(&mut means, metrics, collection, found);
            }
        }
    }

    pub(crate) fn close(&self) {
        self.pause.close();
    }
}

fn note(means: &mut HashMap<String, f64>, metrics: &Metrics, collection: String, found: f64) {
    let full = means.len() >= limits::METRIC_COLLECTIONS;
    let name = match full && !means.contains_key(&collection) {
        true => OTHERS.to_owned(),
        false => collection,
    };
    let mean = means.entry(name.clone()).or_insert(found);
    *mean += WEIGHT * (found - *mean);
    metrics.recall_is(&name, *mean);
}

/// The part of the true hits that a search finds; nothing if there are none. A hit that is as near
/// as the last of the true ones is a true one.
fn found(
    engine: &Engine,
    collection: &str,
    mut query: Query,
) -> Result<Option<f64>, engine::Error> {
    query.select = Select {
        payload: false,
        vectors: Which::None,
    };
    let spec = engine.describe(collection)?.spec;
    let metric = spec.vectors.get(&query.using).map(|vector| vector.metric);
    let higher = metric.is_none_or(engine::Metric::higher_is_better);
    let hits = engine.search(collection, &query)?;
    query.exact = true;
    let truth = engine.search(collection, &query)?;
    let Some(last) = truth.last().map(|hit| hit.score) else {
        return Ok(None);
    };
    let true_ones = hits.iter().filter(|hit| match higher {
        true => hit.score >= last,
        false => hit.score <= last,
    });
    #[expect(clippy::cast_precision_loss, reason = "counts of hits are small")]
    let share = true_ones.count().min(truth.len()) as f64 / truth.len() as f64;
    Ok(Some(share))
}

#[cfg(test)]
mod tests {
    use engine::{Ack, CollectionSpec, Metric, Options, Payload, Point, PointId};

    use super::*;
    use crate::metrics::Work;

    fn query(exact: bool) -> Query {
        Query {
            vector: vec![3.2],
            using: String::new(),
            limit: 10,
            offset: 0,
            ef: None,
            exact,
            score_threshold: None,
            filter: None,
            select: Select {
                payload: true,
                vectors: Which::All,
            },
        }
    }

    #[test]
    fn what_a_search_finds_is_told_and_forgotten_with_its_collection() {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(Options::new(dir.path())).unwrap();
        let spec = CollectionSpec::new(1, Metric::Euclid);
        engine.create_collection("a", spec).unwrap();
        let point = |id: u16| Point {
            id: PointId::Num(id.into()),
            vectors: vec![f32::from(id / 3)].into(),
            payload: Payload::new(),
            face: None,
        };
        assert_eq!(found(&engine, "a", query(false)).unwrap(), None);
        let points = (0..50).map(point).collect();
        engine.upsert("a", points, Ack::Applied).unwrap();
        assert_eq!(found(&engine, "a", query(false)).unwrap(), Some(1.0));
        assert!(found(&engine, "b", query(false)).is_err());

        let (recall, metrics) = (Recall::default(), Metrics::new());
        let told = || metrics.text(None, Work::default()).unwrap();
        recall.note("a", &query(true));
        assert!(recall.last.lock().is_empty());
        (0..EVERY).for_each(|_| recall.note("a", &query(false)));
        assert_eq!(recall.last.lock().len(), 1);
        std::thread::scope(|scope| {
            scope.spawn(|| recall.watch(&engine, &metrics));
            while !told().contains("doppel_search_recall_ratio{collection=\"a\"} 1\n") {
                std::thread::yield_now();
            }
            engine.drop_collection("a").unwrap();
            while told().contains("doppel_search_recall_ratio{") {
                std::thread::yield_now();
            }
            recall.close();
        });
    }
}
