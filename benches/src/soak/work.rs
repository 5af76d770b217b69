//! What a soak does to a server, all at once: points are replaced, deleted and put in again, payloads
//! changed, searches asked with and without a filter, points scrolled and counted, checkpoints and
//! backups taken, other collections made and dropped.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};

use super::Size;
use crate::chance::Chance;
use crate::{Process, people};

const COLLECTION: &str = "/collections/soaked";
const K: usize = 10;
/// Points in a request of the load, and while it is filled.
const BATCH: usize = 16;
const FILL: usize = 500;
const SEARCHERS: u64 = 2;
/// Rests between two requests of one client: a load that the server can bear, not its limit.
const WRITER_REST: Duration = Duration::from_millis(20);
const SEARCHER_REST: Duration = Duration::from_millis(2);
const OPERATOR_REST: Duration = Duration::from_secs(2);

/// The data, and how often the load was begun.
pub(super) struct Work {
    size: Size,
    /// More than there are points, so that a replaced point gets another vector.
    vectors: Vec<Vec<f32>>,
    /// One photo of some of the same people, which is never put in.
    queries: Vec<Vec<f32>>,
    rounds: u64,
}

/// What was done in an interval.
#[derive(Default)]
pub(super) struct Done {
    pub(super) searches: Vec<Duration>,
    pub(super) writes: Vec<Duration>,
    pub(super) operations: u64,
}

impl Work {
    pub(super) fn new(size: Size) -> Self {
        let mut vectors = people(size.seed, size.points * 2 + size.queries, size.dim);
        let step = vectors.len() / size.queries;
        let queries = (0..size.queries).rev();
        let queries = queries.map(|at| vectors.swap_remove(at * step)).collect();
        Self {
            size,
            vectors,
            queries,
            rounds: 0,
        }
    }

    pub(super) fn fill(&self, server: &Process) -> Result<()> {
        let vectors = json!({"size": self.size.dim, "distance": "Cosine"});
        server.send("PUT", COLLECTION, &json!({ "vectors": vectors }))?;
        for (key, kind) in [("n", "integer"), ("group", "keyword")] {
            let index = json!({"field_name": key, "field_schema": kind});
            server.send("PUT", &format!("{COLLECTION}/index?wait=true"), &index)?;
        }
        let ids: Vec<usize> = (0..self.size.points).collect();
        let mut chance = Chance::new(self.size.seed);
        for ids in ids.chunks(FILL) {
            self.put(server, ids, &mut chance)?;
        }
        checkpoint(server)
    }

    /// Works until time is up. Everything that was deleted is there again then.
    pub(super) fn run(&mut self, server: &Process, how_long: Duration) -> Result<Done> {
        self.rounds += 1;
        let stop = AtomicBool::new(false);
        let operations = AtomicU64::new(0);
        let chance = |client: u64| Chance::new(self.size.seed ^ (self.rounds << 8) ^ client);
        let this = &*self;
        let mut done = thread::scope(|scope| {
            let timed =
                |client: u64,
                 rest: Duration,
                 work: fn(&Self, &Process, &mut Chance) -> Result<()>| {
                    let (stop, operations, mut chance) = (&stop, &operations, chance(client));
                    scope.spawn(move || {
                        let mut times = Vec::new();
                        let mut go = || -> Result<()> {
                            while !stop.load(Ordering::Relaxed) {
                                let started = Instant::now();
                                work(this, server, &mut chance)?;
                                times.push(started.elapsed());
                                operations.fetch_add(1, Ordering::Relaxed);
                                thread::sleep(rest);
                            }
                            Ok(())
                        };
                        let outcome = go();
                        // One that has failed ends the interval for all.
                        stop.fetch_or(outcome.is_err(), Ordering::Relaxed);
                        outcome.map(|()| times)
                    })
                };
            let writer = timed(100, WRITER_REST, Self::change);
            let operator = timed(200, OPERATOR_REST, Self::operate);
            let searchers = (0..SEARCHERS).map(|n| timed(n, SEARCHER_REST, Self::search));
            let searchers: Vec<_> = searchers.collect();
            let until = Instant::now() + how_long;
            while Instant::now() < until && !stop.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(20));
            }
            stop.store(true, Ordering::Relaxed);
            let panicked = |_| anyhow!("a client panicked");
            let mut done = Done {
                writes: writer.join().map_err(panicked)??,
                ..Done::default()
            };
            operator.join().map_err(panicked)??;
            for searcher in searchers {
                done.searches.extend(searcher.join().map_err(panicked)??);
            }
            Ok::<_, anyhow::Error>(done)
        })?;
        done.operations = operations.into_inner();
        self.settle(server)?;
        Ok(done)
    }

    /// Has no more on the disk than there is of points. The log is kept from the checkpoint before the
    /// last on, and how long ago that was, and how much was written since, is the operator's chance:
    /// so two are taken with one record between them, without which the second would be none.
    fn settle(&self, server: &Process) -> Result<()> {
        checkpoint(server)?;
        let change = json!({"payload": {"settled": self.rounds}, "points": [0]});
        let path = format!("{COLLECTION}/points/payload?wait=true");
        server.send("POST", &path, &change)?;
        checkpoint(server)
    }

    /// Takes points out and puts them in again with other vectors, or changes payloads.
    fn change(&self, server: &Process, chance: &mut Chance) -> Result<()> {
        let ids: Vec<usize> = (0..BATCH).map(|_| chance.index(self.size.points)).collect();
        match chance.below(4) {
            0 => {
                let path = format!("{COLLECTION}/points/delete?wait=true");
                server.send("POST", &path, &json!({ "points": ids }))?;
                self.put(server, &ids, chance)
            }
            1 => {
                let change = json!({"payload": {"n": chance.below(100)}, "points": ids});
                let path = format!("{COLLECTION}/points/payload?wait=true");
                server.send("POST", &path, &change).map(drop)
            }
            _ => self.put(server, &ids, chance),
        }
    }

    fn put(&self, server: &Process, ids: &[usize], chance: &mut Chance) -> Result<()> {
        let points = ids.iter().map(|id| {
            let vector = &self.vectors[chance.index(self.vectors.len())];
            let group = ["a", "b", "c", "d"][chance.index(4)];
            let payload = json!({"n": chance.below(100), "group": group, "text": "x".repeat(100)});
            json!({"id": id, "vector": vector, "payload": payload})
        });
        let body = json!({"points": points.collect::<Vec<_>>()});
        let path = format!("{COLLECTION}/points?wait=true");
        server.send("PUT", &path, &body).map(drop)
    }

    fn search(&self, server: &Process, chance: &mut Chance) -> Result<()> {
        let query = &self.vectors[chance.index(self.vectors.len())];
        let n = chance.below(80);
        let filter = match chance.below(4) {
            0 => json!({"must": [{"key": "n", "range": {"gte": n, "lt": n + 20}}]}),
            1 => json!({"must": [{"key": "group", "match": {"value": "a"}}]}),
            _ => Value::Null,
        };
        let body = json!({"query": query, "limit": K, "filter": filter, "with_payload": true});
        server.send("POST", &format!("{COLLECTION}/points/query"), &body)?;
        Ok(())
    }

    /// What happens now and then.
    fn operate(&self, server: &Process, chance: &mut Chance) -> Result<()> {
        match chance.below(4) {
            0 => checkpoint(server),
            1 => {
                let path = format!("{COLLECTION}/snapshots");
                let made = server.send("POST", &path, &json!({}))?;
                let name = made["name"].as_str().context("a backup without a name")?;
                server.send("DELETE", &format!("{path}/{name}"), &json!({}))?;
                Ok(())
            }
            2 => {
                let path = "/collections/passing";
                let vectors = json!({"size": self.size.dim, "distance": "Dot"});
                server.send("PUT", path, &json!({ "vectors": vectors }))?;
                let point = json!({"id": 1, "vector": self.vectors[0]});
                let points = json!({ "points": [point] });
                server.send("PUT", &format!("{path}/points?wait=true"), &points)?;
                server.send("DELETE", path, &json!({})).map(drop)
            }
            _ => {
                let from = chance.index(self.size.points);
                let page = json!({"limit": 100, "offset": from});
                server.send("POST", &format!("{COLLECTION}/points/scroll"), &page)?;
                server.call("GET", "/metrics", None).map(drop)
            }
        }
    }

    /// The part of the true neighbours that searches find.
    pub(super) fn recall(&self, server: &Process) -> Result<f64> {
        let mut found = 0;
        for query in &self.queries {
            let ask = |exact: bool| -> Result<Vec<u64>> {
                let body = json!({"query": query, "limit": K, "params": {"exact": exact}});
                let answer = server.send("POST", &format!("{COLLECTION}/points/query"), &body)?;
                let hits = answer["points"].as_array().context("no points")?;
                Ok(hits.iter().filter_map(|hit| hit["id"].as_u64()).collect())
            };
            let truth = ask(true)?;
            found += ask(false)?.iter().filter(|id| truth.contains(id)).count();
        }
        Ok(found as f64 / (self.queries.len() * K) as f64)
    }

    /// That there are as many points as there should be.
    pub(super) fn count(&self, server: &Process) -> Result<()> {
        let exact = json!({"exact": true});
        let count = server.send("POST", &format!("{COLLECTION}/points/count"), &exact)?;
        match count["count"].as_u64() {
            Some(count) if count == self.size.points as u64 => Ok(()),
            other => bail!("{other:?} points, there should be {}", self.size.points),
        }
    }
}

fn checkpoint(server: &Process) -> Result<()> {
    server
        .send("POST", "/admin/checkpoint", &json!({}))
        .map(drop)
}
