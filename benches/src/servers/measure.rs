//! One server from nothing to the end: filled, searched at two recalls over rising numbers of
//! connections, written to in batches, looked at, stopped, killed and started again.
//!
//! The server has one core and the client another (where there are two). Recall is that of the
//! answers to the same queries, against one set of exact answers.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::peer::{K, Peer, Programs};
use super::process::Running;
use crate::ann::clock;
use crate::ann::table::Table;
use crate::ann::truth::{Metric, exact};
use crate::load::{self, Load};
use crate::people;
use crate::soak::disk_bytes;

/// What everybody gets: vectors, more of them to be inserted later, queries and the exact answers.
pub struct Set {
    pub(super) vectors: Vec<Vec<f32>>,
    pub(super) spare: Vec<Vec<f32>>,
    pub(super) queries: Vec<Vec<f32>>,
    pub(super) truth: Table<u32>,
}

/// Vectors kept for each load of inserts.
pub(super) const SPARE: usize = 4_000;
/// Points a request, and connections.
pub(super) const BATCHES: [(usize, usize); 5] = [(1, 1), (1, 16), (16, 1), (64, 1), (256, 1)];
pub(super) const CONNECTIONS: [usize; 4] = [1, 4, 16, 64];
const QUERIES: usize = 500;
const FILL: usize = 256;
pub(super) const EFS: [usize; 8] = [10, 16, 32, 64, 128, 256, 512, 1_000];
pub(super) const RECALLS: [f64; 2] = [0.96, 0.999];

impl Set {
    /// People of 20 photos each at cosine 0.6; one photo of some people is asked for.
    ///
    /// # Errors
    /// There are fewer vectors than queries.
    pub fn new(seed: u64, vectors: usize, dim: usize) -> Result<Self> {
        ensure!(vectors >= QUERIES, "at least {QUERIES} vectors are needed");
        let mut all = people(seed, vectors + SPARE * BATCHES.len() + QUERIES, dim);
        let step = vectors / QUERIES;
        let queries: Vec<_> = (0..QUERIES).rev().map(|at| all.remove(at * step)).collect();
        let spare = all.split_off(vectors);
        let flat = |rows: &[Vec<f32>]| Table::new(dim, rows.concat());
        let truth = exact(&flat(&all)?, &flat(&queries)?, Metric::Cosine, K, |_| true)?;
        Ok(Self {
            vectors: all,
            spare,
            queries,
            truth,
        })
    }

    fn recall(&self, found: &[Vec<u32>]) -> f64 {
        let pairs = found.iter().zip(self.truth.rows());
        let right = |(found, truth): (&Vec<u32>, &[u32])| {
            found.iter().filter(|id| truth.contains(id)).count()
        };
        pairs.map(right).sum::<usize>() as f64 / self.truth.values().len() as f64
    }
}

/// How to measure.
pub struct Plan {
    /// How long each load lasts.
    pub seconds: f64,
    /// The peers' interpreter.
    pub python: PathBuf,
    /// Folder for data and logs.
    pub scratch: PathBuf,
}

/// A load of searches.
pub(super) struct Searched {
    pub(super) recall: f64,
    pub(super) ef: usize,
    pub(super) connections: usize,
    pub(super) per_second: f64,
    pub(super) p50_ms: f64,
    pub(super) p99_ms: f64,
}

/// A load of inserts.
pub(super) struct Inserted {
    pub(super) batch: usize,
    pub(super) connections: usize,
    pub(super) per_second: f64,
    pub(super) p99_ms: f64,
}

/// What came of it.
pub struct Measured {
    pub(super) name: String,
    pub(super) promise: String,
    pub(super) first_answer_s: f64,
    /// Until all had been taken.
    pub(super) taken_s: f64,
    /// Until all were in the index too.
    pub(super) fill_s: f64,
    pub(super) searches: Vec<Searched>,
    pub(super) inserts: Vec<Inserted>,
    pub(super) memory_mb: f64,
    pub(super) disk_mb: f64,
    pub(super) ready_after_stop_s: f64,
    pub(super) ready_after_kill_s: Option<f64>,
    /// The same, killed when the last of some thousand inserts had been answered.
    pub(super) ready_after_writes_s: Option<f64>,
}

/// Measures one server.
///
/// # Errors
/// It does not start, or refuses something.
pub fn measure(peer: Peer, set: &Set, plan: &Plan) -> Result<Measured> {
    let server_core = 0;
    let doppel = std::env::current_exe()?.with_file_name("doppel");
    ensure!(doppel.exists(), "no {}: build it first", doppel.display());
    let programs = Programs {
        doppel,
        python: plan.python.clone(),
        serve: Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/serve.py"),
    };
    let dir = tempfile::tempdir_in(&plan.scratch)?;
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let log = plan.scratch.join(format!("{peer:?}.log").to_lowercase());
    let start = || {
        let command = peer.command(&programs, dir.path(), port, server_core);
        Running::start(command, &log)
    };
    clock::pinned(clock::last_core()?, || {
        let mut asked = Asked {
            peer,
            set,
            plan,
            address: format!("127.0.0.1:{port}"),
            collection: String::new(),
        };
        let mut server = start()?;
        let mut measured = asked.nothing(&mut server)?;
        measured.fill_s = asked.fill()?;
        measured.taken_s = measured.fill_s;
        measured.memory_mb = server.memory_mb()?;
        (server, measured.searches) = asked.searches(server, &start)?;
        measured.inserts = asked.inserts()?;
        server.end(peer.ending())?;
        measured.disk_mb = disk_bytes(dir.path())? as f64 / (1u64 << 20) as f64;
        let mut server = start()?;
        measured.ready_after_stop_s = asked.ready(&mut server)?;
        server.end("-KILL")?;
        let mut server = start()?;
        measured.ready_after_kill_s = Some(asked.ready(&mut server)?);
        let (last, vector) = asked.write_more()?;
        server.end("-KILL")?;
        let mut server = start()?;
        measured.ready_after_writes_s = Some(asked.finds(&mut server, last, &vector)?);
        server.end(peer.ending())?;
        Ok(measured)
    })
}

struct Asked<'a> {
    peer: Peer,
    set: &'a Set,
    plan: &'a Plan,
    address: String,
    collection: String,
}

impl Asked<'_> {
    /// From the start of a server without data until a search has found the one point there is.
    fn nothing(&mut self, server: &mut Running) -> Result<Measured> {
        let dim = self.set.queries[0].len();
        let (collection, _) = server.until(|| self.peer.create(&self.address, dim))?;
        self.collection = collection;
        let one = &self.set.vectors[..1];
        let put = self.peer.put(&self.collection, 0, one);
        self.peer.open(&self.address, EFS[0])?.ask(&put)?;
        let ((), first_answer_s) = server.until(|| {
            let hits = self.answer(&one[0], EFS[3])?;
            ensure!(hits == [0], "found {hits:?}");
            Ok(())
        })?;
        Ok(Measured {
            name: self.peer.name().to_owned(),
            promise: self.peer.promise().to_owned(),
            first_answer_s,
            taken_s: 0.0,
            fill_s: 0.0,
            searches: Vec::new(),
            inserts: Vec::new(),
            memory_mb: 0.0,
            disk_mb: 0.0,
            ready_after_stop_s: 0.0,
            ready_after_kill_s: None,
            ready_after_writes_s: None,
        })
    }

    fn answer(&self, query: &[f32], ef: usize) -> Result<Vec<u32>> {
        let mut connection = self.peer.open(&self.address, ef)?;
        let request = self.peer.search(&self.collection, query, ef);
        self.peer.found(connection.ask(&request)?)
    }

    fn load(
        &self,
        requests: &[Vec<u8>],
        (connections, ef): (usize, usize),
        again: bool,
    ) -> Result<Load> {
        let open = || self.peer.open(&self.address, ef);
        let how_long = match again {
            true => Duration::from_secs_f64(self.plan.seconds),
            false => Duration::MAX,
        };
        load::run_over(open, requests, connections, how_long, again)
    }

    fn puts(&self, first: usize, vectors: &[Vec<f32>], batch: usize) -> Vec<Vec<u8>> {
        let batches = vectors.chunks(batch).enumerate();
        let put = |(at, vectors)| self.peer.put(&self.collection, first + at * batch, vectors);
        batches.map(put).collect()
    }

    /// The first vector is there already.
    fn fill(&self) -> Result<f64> {
        let requests = self.puts(1, &self.set.vectors[1..], FILL);
        let started = Instant::now();
        self.load(&requests, (1, EFS[0]), false)?;
        Ok(started.elapsed().as_secs_f64())
    }

    fn searches(
        &self,
        mut server: Running,
        start: &dyn Fn() -> Result<Running>,
    ) -> Result<(Running, Vec<Searched>)> {
        let mut done = Vec::new();
        let mut efs = EFS.iter().copied();
        let mut reached = (0, 0.0);
        for wanted in RECALLS {
            while reached.1 < wanted {
                let Some(ef) = efs.next() else {
                    return Ok((server, done));
                };
                if self.peer.tune(&self.address, &self.collection, ef)? {
                    server.end(self.peer.ending())?;
                    server = start()?;
                    self.ready(&mut server)?;
                }
                reached = (ef, self.recall(ef)?);
                eprintln!("{}: recall {:.4} at {ef}", self.peer.name(), reached.1);
            }
            let (ef, recall) = reached;
            let queries = self.set.queries.iter();
            let requests = queries.map(|query| self.peer.search(&self.collection, query, ef));
            let requests: Vec<_> = requests.collect();
            for connections in CONNECTIONS {
                let load = self.load(&requests, (connections, ef), true)?;
                done.push(Searched {
                    recall,
                    ef,
                    connections,
                    per_second: load.per_second(),
                    p50_ms: load.percentile_ms(50),
                    p99_ms: load.percentile_ms(99),
                });
            }
        }
        Ok((server, done))
    }

    fn recall(&self, ef: usize) -> Result<f64> {
        let mut connection = self.peer.open(&self.address, ef)?;
        let mut found = Vec::new();
        for query in &self.set.queries {
            let request = self.peer.search(&self.collection, query, ef);
            found.push(self.peer.found(connection.ask(&request)?)?);
        }
        Ok(self.set.recall(&found))
    }

    fn inserts(&self) -> Result<Vec<Inserted>> {
        let loads = BATCHES.iter().zip(self.set.spare.chunks(SPARE));
        let mut first = self.set.vectors.len();
        let mut done = Vec::new();
        for ((batch, connections), vectors) in loads {
            let requests = self.puts(first, vectors, *batch);
            first += vectors.len();
            let load = self.load(&requests, (*connections, EFS[0]), false)?;
            done.push(Inserted {
                batch: *batch,
                connections: *connections,
                per_second: vectors.len() as f64 * load.per_second() / load.count().max(1) as f64,
                p99_ms: load.percentile_ms(99),
            });
        }
        Ok(done)
    }

    /// Puts as many vectors more as all loads of inserts did, and gives the last one with its number.
    fn write_more(&self) -> Result<(u32, Vec<f32>)> {
        let first = self.set.vectors.len() + self.set.spare.len();
        // The same numbers in another order: nobody has these yet.
        let turned = |vector: &Vec<f32>| vector.iter().rev().copied().collect();
        let mut vectors: Vec<Vec<f32>> = self.set.spare.iter().map(turned).collect();
        self.load(&self.puts(first, &vectors, FILL), (1, EFS[0]), false)?;
        let last = u32::try_from(first + vectors.len() - 1)?;
        Ok((last, vectors.pop().context("no spare vectors")?))
    }

    /// Until a search finds a vector that was put.
    fn finds(&self, server: &mut Running, id: u32, vector: &[f32]) -> Result<f64> {
        let ((), seconds) = server.until(|| {
            let hits = self.answer(vector, EFS[3])?;
            ensure!(hits.first() == Some(&id), "found {hits:?}");
            Ok(())
        })?;
        Ok(seconds)
    }

    /// Until a search has as many hits as it should.
    fn ready(&self, server: &mut Running) -> Result<f64> {
        let query = self.set.queries.first().context("no queries")?;
        let ((), seconds) = server.until(|| {
            let hits = self.answer(query, EFS[3])?;
            ensure!(hits.len() == K, "found {} hits", hits.len());
            Ok(())
        })?;
        Ok(seconds)
    }
}
