//! Searches of an idle engine against searches while points go in one by one at a steady pace, or
//! (`--reindex`) while its index is built anew, in one process:
//! `cargo run --release -p benches --bin steady -- --vectors 100000 --dim 512 --reindex`.
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
    Ack, CollectionSpec, Copied, Engine, IndexChange, Metric, Options, Payload, Point, PointId,
    Query, Select, Which,
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
    /// Searches beside a rebuild of the index too, which rests as long as it works, as a server's
    /// does while somebody is about.
    #[arg(long)]
    reindex: bool,
}

/// How long a part takes.
const PART: Duration = Duration::from_secs(4);
/// Time between two searches: a user at a time, not a benchmark of the lock.
const PAUSE: Duration = Duration::from_micros(500);
const QUERIES: usize = 500;
const BATCH: usize = 1_000;
/// Points that a rebuild copies at once, as a server's does while somebody is about.
const COPIED: usize = engine::limits::PARALLEL_PLANS - 1;
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
        let put = |done: &AtomicBool| put(&engine, vectors, pace, done);
        let told = compare(&engine, queries, arguments.rounds, &put)?;
        writeln!(out, "{pace:5} inserts/s asked, {told}")?;
    }
    if arguments.reindex {
        let rebuild = |done: &AtomicBool| rebuild(&engine, done);
        let told = compare(&engine, queries, arguments.rounds, &rebuild)?;
        writeln!(out, "points copied by a rebuild a second: {told}")?;
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

/// Idle and loaded parts in turn; what the load did in a second, and the times of searches.
fn compare(
    engine: &Engine,
    queries: &[Vec<f32>],
    rounds: usize,
    load: &(impl Fn(&AtomicBool) -> Result<usize> + Sync),
) -> Result<String> {
    let (mut idle, mut loaded, mut count) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        idle.extend(search(engine, queries)?);
        let done = AtomicBool::new(false);
        let (times, worked) = thread::scope(|scope| {
            let working = scope.spawn(|| load(&done));
            let times = search(engine, queries);
            done.store(true, Ordering::Relaxed);
            let worked = working.join().map_err(|_| anyhow!("a thread panicked"))??;
            Ok::<_, anyhow::Error>((times?, worked))
        })?;
        loaded.extend(times);
        count += worked;
    }
    let (idle, loaded) = (Times::of(idle), Times::of(loaded));
    Ok(format!(
        "{:5.0} done: search median {:.0} -> {:.0} us, p99 {:.0} -> {:.0} us ({:.2}x)",
        count as f64 / (PART.as_secs_f64() * rounds as f64),
        idle.median_us,
        loaded.median_us,
        idle.p99_us,
        loaded.p99_us,
        loaded.p99_us / idle.p99_us
    ))
}

/// Puts points one by one until it is done, in later rounds in the place of those of the first.
fn put(engine: &Engine, vectors: &[Vec<f32>], pace: u32, done: &AtomicBool) -> Result<usize> {
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
}

/// Builds the index anew, again and again, until it is done.
fn rebuild(engine: &Engine, done: &AtomicBool) -> Result<usize> {
    let (mut copied, mut count) = (Copied::default(), 0);
    engine.begin_reindex(NAME, "", IndexChange::default())?;
    while !done.load(Ordering::Relaxed) {
        let started = Instant::now();
        match engine.continue_reindex(NAME, "", copied, COPIED)? {
            Some(next) => copied = next,
            None => {
                engine.finish_reindex(NAME, "")?;
                engine.begin_reindex(NAME, "", IndexChange::default())?;
                copied = Copied::default();
            }
        }
        count += COPIED;
        thread::sleep(started.elapsed());
    }
    engine.cancel_reindex(NAME, "")?;
    Ok(count)
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
