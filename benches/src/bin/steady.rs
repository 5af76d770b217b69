//! Searches of an idle engine against searches while points go in one by one at a steady pace, in
//! one process: `cargo run --release -p benches --bin steady -- --vectors 100000 --dim 512`.
//!
//! Everything an insert does is done (log, sync, tables, graph); what is left out beside
//! `--bin rest` is HTTP, whose threads would share the cores with what is measured. Idle and loaded
//! parts take turns, so that both meet the same machine.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use benches::faces;
use clap::Parser;
use engine::{
    Ack, CollectionSpec, Engine, Metric, Options, Payload, Point, PointId, Query, Select, Which,
};

#[derive(Parser)]
struct Arguments {
    /// Vectors that are there before.
    #[arg(long, default_value_t = 100_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// Points a second that are put in, one run for each pace.
    #[arg(long, value_delimiter = ',', default_value = "100,500,1000")]
    paces: Vec<u32>,
    /// Rounds of an idle and a loaded part.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
}

/// How long a part takes.
const PART: Duration = Duration::from_secs(4);
/// Time between two searches: a user at a time, not a benchmark of the lock.
const PAUSE: Duration = Duration::from_micros(500);
const QUERIES: usize = 500;
const BATCH: usize = 1_000;
const NAME: &str = "faces";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let all = faces(1, arguments.vectors + QUERIES, arguments.dim);
    let (queries, vectors) = all.split_at(QUERIES);
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(Options::new(folder.path()))?;
    engine.create_collection(NAME, CollectionSpec::new(arguments.dim, Metric::Cosine))?;
    for (at, batch) in vectors.chunks(BATCH).enumerate() {
        let ids = (at * BATCH) as u64..;
        let points = ids.zip(batch).map(|(id, vector)| point(id, vector));
        engine.upsert(NAME, points.collect(), Ack::Applied)?;
    }
    engine.checkpoint()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} vectors of {}", vectors.len(), arguments.dim)?;
    for pace in arguments.paces {
        let (mut idle, mut loaded, mut put) = (Vec::new(), Vec::new(), 0);
        for _ in 0..arguments.rounds {
            idle.extend(search(&engine, queries)?);
            let (times, count) = beside_inserts(&engine, queries, vectors, pace)?;
            loaded.extend(times);
            put += count;
        }
        let (idle, loaded) = (Times::of(idle), Times::of(loaded));
        let seconds = PART.as_secs_f64() * arguments.rounds as f64;
        writeln!(
            out,
            "{pace:5} inserts/s asked, {:5.0} done: search median {:.0} -> {:.0} us, p99 {:.0} -> {:.0} us ({:.2}x)",
            put as f64 / seconds,
            idle.median_us,
            loaded.median_us,
            idle.p99_us,
            loaded.p99_us,
            loaded.p99_us / idle.p99_us
        )?;
    }
    engine.shutdown()?;
    Ok(())
}

fn point(id: u64, vector: &[f32]) -> Point {
    Point {
        id: PointId::Num(id),
        vectors: vector.to_vec().into(),
        payload: Payload::new(),
        face: None,
    }
}

/// Searches one after another for the length of a part.
fn search(engine: &Engine, queries: &[Vec<f32>]) -> Result<Vec<Duration>> {
    let (started, mut times) = (Instant::now(), Vec::new());
    for vector in queries.iter().cycle() {
        if started.elapsed() >= PART {
            break;
        }
        let query = Query {
            vector: vector.clone(),
            using: String::new(),
            limit: 10,
            offset: 0,
            ef: None,
            exact: false,
            score_threshold: None,
            filter: None,
            select: Select {
                payload: false,
                vectors: Which::None,
            },
        };
        let one = Instant::now();
        engine.search(NAME, &query)?;
        times.push(one.elapsed());
        thread::sleep(PAUSE);
    }
    Ok(times)
}

/// The same while points go in one by one, in later rounds in the place of those of the first; and
/// how many did.
fn beside_inserts(
    engine: &Engine,
    queries: &[Vec<f32>],
    vectors: &[Vec<f32>],
    pace: u32,
) -> Result<(Vec<Duration>, usize)> {
    let done = AtomicBool::new(false);
    let put = || -> Result<usize> {
        let (started, mut count) = (Instant::now(), 0);
        let fresh = (vectors.len() as u64..).zip(vectors.iter().rev().cycle());
        for (id, vector) in fresh {
            if done.load(Ordering::Relaxed) {
                break;
            }
            engine.upsert(NAME, vec![point(id, vector)], Ack::Applied)?;
            count += 1;
            let due = Duration::from_secs(1) / pace.max(1) * u32::try_from(count)?;
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let putting = scope.spawn(put);
        let times = search(engine, queries);
        done.store(true, Ordering::Relaxed);
        let put = putting.join().map_err(|_| anyhow!("a thread panicked"))??;
        Ok((times?, put))
    })
}

struct Times {
    median_us: f64,
    p99_us: f64,
}

impl Times {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let time = times.get(times.len() * percent / 100);
            time.map_or(0.0, Duration::as_secs_f64) * 1e6
        };
        Self {
            median_us: at(50),
            p99_us: at(99),
        }
    }
}
