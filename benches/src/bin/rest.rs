//! Vectors through REST, with a server process of its own:
//! `cargo build --release && cargo run --release -p benches --bin rest -- 100000 512`.
//!
//! Prints how fast batches with `wait=true` go in, how long searches take meanwhile and after, the
//! recall of the answers, searches while points go in one by one at a steady pace against searches
//! of an idle server, how long a backup and its restore under another name take, with a search of what
//! was restored right after, and how long a restart takes, after an orderly stop and after a kill.

use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use benches::{Process, faces};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Vectors to put in.
    vectors: usize,
    /// Numbers in a vector.
    dim: usize,
    /// Points in one request.
    #[arg(long, default_value_t = 500)]
    batch: usize,
    /// Requests under way at once.
    #[arg(long, default_value_t = 2)]
    clients: usize,
    /// Points a second that are put in one by one in the steady part.
    #[arg(long, default_value_t = 100)]
    steady: u32,
}

/// How long each half of the steady part takes.
const STEADY: Duration = Duration::from_secs(8);

/// Vectors that are asked for, not put in.
const QUERIES: usize = 500;
const K: usize = 10;
const COLLECTION: &str = "/collections/faces";
const RESTORED: &str = "/collections/restored";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let all = faces(1, arguments.vectors + QUERIES, arguments.dim);
    // Spread over all people, so that most queries have photos of the same person.
    let step = all.len() / QUERIES;
    let (queries, vectors): (Vec<_>, Vec<_>) = all
        .iter()
        .enumerate()
        .partition(|(at, _)| at % step == 0 && at / step < QUERIES);
    let queries: Vec<_> = queries.into_iter().map(|(_, vector)| vector).collect();
    let vectors: Vec<_> = vectors.into_iter().map(|(_, vector)| vector).collect();
    let dir = std::env::temp_dir().join(format!("doppel-rest-{}", std::process::id()));
    let measured = measure(&arguments, &vectors, &queries, &dir);
    std::fs::remove_dir_all(&dir)?;
    measured
}

fn measure(
    arguments: &Arguments,
    vectors: &[&Vec<f32>],
    queries: &[&Vec<f32>],
    dir: &std::path::Path,
) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let server = Process::start(dir)?;
    let config = json!({"vectors": {"size": arguments.dim, "distance": "Cosine"}});
    server.send("PUT", COLLECTION, &config)?;
    let started = Instant::now();
    let (inserts, meanwhile) = insert(&server, arguments, vectors, queries)?;
    let seconds = started.elapsed().as_secs_f64();
    let count = vectors.len();
    writeln!(
        out,
        "inserted             {count} vectors of {} in {seconds:.1} s: {:.0} a second",
        arguments.dim,
        per_second(count, seconds)
    )?;
    writeln!(
        out,
        "a batch of {:<9} {}",
        arguments.batch,
        percentiles(inserts)
    )?;
    let while_inserting = meanwhile.len();
    writeln!(
        out,
        "search meanwhile     {} over {while_inserting} searches",
        percentiles(meanwhile)
    )?;
    let (times, recall) = search(&server, queries)?;
    writeln!(out, "search after         {}", percentiles(times))?;
    writeln!(out, "recall@{K}            {recall:.4}")?;
    let idle = search_for(&server, queries, STEADY)?;
    let (loaded, put) = steadily(&server, arguments, vectors, queries)?;
    writeln!(out, "search, idle         {}", percentiles(idle))?;
    writeln!(
        out,
        "search, {} inserts/s  {}, {put} went in",
        arguments.steady,
        percentiles(loaded)
    )?;
    let count = count + put;
    restore(&server, queries, dir, count, &mut out)?;
    let started = Instant::now();
    server.stop()?;
    let stop = started.elapsed().as_secs_f64();
    writeln!(
        out,
        "orderly stop         {stop:.2} s, with the last checkpoint"
    )?;
    for how in ["an orderly stop", "a kill"] {
        let server = Process::start(dir)?;
        let replayed = server.metric("doppel_recovery_replayed_records")?;
        writeln!(
            out,
            "ready after {how:<15}  {:.2} s, {replayed} records replayed",
            server.time_to_ready.as_secs_f64()
        )?;
        let held = server.send("POST", &format!("{COLLECTION}/points/count"), &json!({}))?;
        if held["count"] != count {
            return Err(anyhow!("it holds {held}, not {count}"));
        }
        server.kill()?;
    }
    Ok(())
}

/// A backup, its restore under another name, and a search of that at once: it walks, so the index
/// came along.
fn restore(
    server: &Process,
    queries: &[&Vec<f32>],
    dir: &Path,
    count: usize,
    out: &mut impl Write,
) -> Result<()> {
    let started = Instant::now();
    let made = server.send("POST", &format!("{COLLECTION}/snapshots"), &json!({}))?;
    let seconds = started.elapsed().as_secs_f64();
    let (name, bytes) = (&made["name"], &made["size"]);
    writeln!(out, "backup               {seconds:.2} s, {bytes} bytes")?;
    let name = name.as_str().context("a backup has a name")?;
    let path = dir.join("backups/collections/faces").join(name);
    let location = format!("file://{}", path.display());
    let body = json!({"location": location, "checksum": made["checksum"]});
    let started = Instant::now();
    server.send("PUT", &format!("{RESTORED}/snapshots/recover"), &body)?;
    let seconds = started.elapsed().as_secs_f64();
    let query = queries.first().context("there are queries")?;
    let body = json!({"query": query, "limit": K});
    let started = Instant::now();
    let hits = server.send("POST", &format!("{RESTORED}/points/query"), &body)?;
    let first_ms = started.elapsed().as_secs_f64() * 1_000.0;
    let due = server.send("POST", &format!("{COLLECTION}/points/query"), &body)?;
    let told = server.send("GET", RESTORED, &json!({}))?;
    if hits != due || told["points_count"] != count {
        return Err(anyhow!("what was restored is not what was backed up"));
    }
    writeln!(
        out,
        "restore              {seconds:.2} s; the first search after it {first_ms:.1} ms, with the \
         same hits; {} vectors indexed",
        told["indexed_vectors_count"]
    )?;
    server.send("DELETE", RESTORED, &json!({}))?;
    Ok(())
}

/// Times of the batches, and of the searches that ran beside them.
fn insert(
    server: &Process,
    arguments: &Arguments,
    vectors: &[&Vec<f32>],
    queries: &[&Vec<f32>],
) -> Result<(Vec<Duration>, Vec<Duration>)> {
    let next = AtomicUsize::new(0);
    let done = AtomicBool::new(false);
    let batches: Vec<_> = vectors.chunks(arguments.batch).collect();
    let put = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some(batch) = batches.get(at) else {
                return Ok(times);
            };
            let ids = at * arguments.batch..;
            let points = ids.zip(*batch);
            let points: Vec<_> = points
                .map(|(id, vector)| json!({"id": id, "vector": vector}))
                .collect();
            let body = json!({ "points": points });
            let started = Instant::now();
            server.send("PUT", &format!("{COLLECTION}/points?wait=true"), &body)?;
            times.push(started.elapsed());
        }
    };
    let look = || -> Result<Vec<Duration>> {
        let mut times = Vec::new();
        for query in queries.iter().cycle() {
            if done.load(Ordering::Relaxed) {
                break;
            }
            times.push(ask(server, query, false)?.1);
            thread::sleep(Duration::from_millis(20));
        }
        Ok(times)
    };
    thread::scope(|scope| {
        let putting: Vec<_> = (0..arguments.clients).map(|_| scope.spawn(put)).collect();
        let looking = scope.spawn(look);
        let mut inserts = Vec::new();
        let mut failed = None;
        for thread in putting {
            match thread.join().map_err(|_| anyhow!("a thread panicked"))? {
                Ok(times) => inserts.extend(times),
                Err(error) => failed = Some(error),
            }
        }
        done.store(true, Ordering::Relaxed);
        let meanwhile = looking.join().map_err(|_| anyhow!("a thread panicked"))??;
        failed.map_or(Ok((inserts, meanwhile)), Err)
    })
}

/// Searches one after another for a while.
fn search_for(
    server: &Process,
    queries: &[&Vec<f32>],
    how_long: Duration,
) -> Result<Vec<Duration>> {
    let (started, mut times) = (Instant::now(), Vec::new());
    for query in queries.iter().cycle() {
        if started.elapsed() >= how_long {
            break;
        }
        times.push(ask(server, query, false)?.1);
        thread::sleep(Duration::from_millis(1));
    }
    Ok(times)
}

/// The same while points go in one by one; and how many went in.
fn steadily(
    server: &Process,
    arguments: &Arguments,
    vectors: &[&Vec<f32>],
    queries: &[&Vec<f32>],
) -> Result<(Vec<Duration>, usize)> {
    let done = AtomicBool::new(false);
    let pace = Duration::from_secs(1) / arguments.steady.max(1);
    let put = || -> Result<usize> {
        let started = Instant::now();
        let mut count = 0;
        for vector in vectors.iter().cycle() {
            if done.load(Ordering::Relaxed) {
                break;
            }
            let point = json!({"id": vectors.len() + count, "vector": vector});
            let body = json!({ "points": [point] });
            server.send("PUT", &format!("{COLLECTION}/points?wait=true"), &body)?;
            count += 1;
            let due = pace * u32::try_from(count)?;
            thread::sleep(due.saturating_sub(started.elapsed()));
        }
        Ok(count)
    };
    thread::scope(|scope| {
        let putting = scope.spawn(put);
        let times = search_for(server, queries, STEADY);
        done.store(true, Ordering::Relaxed);
        let put = putting.join().map_err(|_| anyhow!("a thread panicked"))??;
        Ok((times?, put))
    })
}

fn search(server: &Process, queries: &[&Vec<f32>]) -> Result<(Vec<Duration>, f64)> {
    let (mut times, mut found) = (Vec::new(), 0);
    for query in queries {
        let (hits, time) = ask(server, query, false)?;
        times.push(time);
        let (truth, _) = ask(server, query, true)?;
        found += hits.iter().filter(|id| truth.contains(id)).count();
    }
    Ok((times, per_second(found, (queries.len() * K) as f64)))
}

fn ask(server: &Process, query: &[f32], exact: bool) -> Result<(Vec<u64>, Duration)> {
    let body = json!({"query": query, "limit": K, "params": {"exact": exact}});
    let started = Instant::now();
    let answer = server.send("POST", &format!("{COLLECTION}/points/query"), &body)?;
    let time = started.elapsed();
    let hits = answer["points"].as_array().into_iter().flatten();
    let id = |hit: &Value| hit["id"].as_u64();
    Ok((hits.filter_map(id).collect(), time))
}

fn per_second(count: usize, seconds: f64) -> f64 {
    count as f64 / seconds
}

fn percentiles(mut times: Vec<Duration>) -> String {
    times.sort_unstable();
    let at = |percent: usize| {
        let time = times.get(times.len() * percent / 100);
        time.map_or(0.0, Duration::as_secs_f64) * 1_000.0
    };
    format!("median {:.2} ms, p99 {:.2} ms", at(50), at(99))
}
