//! What the server does under load: `cargo build --release && cargo run --release -p benches --bin load`.
//!
//! The server has one core and the client another (where there are two). Face-like vectors: people
//! of 20 photos each at cosine 0.6, one photo of some people asked for. Printed are inserts a second
//! by batch size and connections, with `wait=true` (searchable when answered) and `wait=false`
//! (durable when answered), searches a second and how long they take by connections at an `ef` that
//! reaches a recall, what of a search is the parsing of its body, memory, disk, and how long a restart
//! takes.

use std::hint::black_box;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::ann::clock;
use benches::load::{self, Connection, request, search_requests};
use benches::soak::disk_bytes;
use benches::{Process, people};
use clap::Parser;
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// Vectors to put in.
    #[arg(long, default_value_t = 100_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// Seconds that each load lasts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// `quantization_config` of the collection, as JSON [default: what suits the size].
    #[arg(long, value_parser = json_of)]
    quantization: Option<Value>,
    /// Writes what each search over one connection took into this file, in milliseconds, a line each
    /// (the lower recall; `--bin tail` reads it).
    #[arg(long)]
    times: Option<PathBuf>,
}

const QUERIES: usize = 1_000;
const K: usize = 10;
const COLLECTION: &str = "/collections/faces";
/// Points in one request while the collection is filled.
const FILL: usize = 256;
/// Points kept for each load of inserts.
const SPARE: usize = 20_000;
const EFS: [usize; 8] = [8, 16, 32, 64, 128, 256, 512, 1_024];
const RECALLS: [f64; 2] = [0.96, 0.999];

/// As text it would be taken for a string of JSON.
fn json_of(text: &str) -> serde_json::Result<Value> {
    serde_json::from_str(text)
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let client = clock::last_core()?;
    let dir = tempfile::tempdir()?;
    let server = clock::pinned(0, || Process::start(dir.path()))?;
    clock::pinned(client, || measure(&arguments, server, dir.path()))
}

fn measure(arguments: &Arguments, server: Process, dir: &Path) -> Result<()> {
    let mut out = std::io::stdout().lock();
    let mut all = people(1, arguments.vectors + SPARE + QUERIES, arguments.dim);
    // The last of every so many, so that others of the same person are there.
    let step = arguments.vectors / QUERIES;
    let queries: Vec<Vec<f32>> = (0..QUERIES).rev().map(|at| all.remove(at * step)).collect();
    let (vectors, spare) = all.split_at(arguments.vectors);
    let mut config = json!({"vectors": {"size": arguments.dim, "distance": "Cosine"}});
    if let Some(quantization) = &arguments.quantization {
        config["quantization_config"] = quantization.clone();
    }
    server.send("PUT", COLLECTION, &config)?;

    let fill = upserts(0, vectors, FILL, true);
    let filled = load::run(server.address(), &fill, 1, Duration::MAX, false)?;
    writeln!(
        out,
        "{} vectors of {}: filled at {:.0} a second",
        vectors.len(),
        arguments.dim,
        filled.per_second() * FILL as f64
    )?;
    inserts(&mut out, &server, arguments, spare)?;
    searches(&mut out, &server, arguments, &queries)?;
    if let Some(bytes) = server.private_bytes() {
        writeln!(out, "memory {} MB", bytes >> 20)?;
    }
    restarts(&mut out, server, dir)
}

/// Requests that put these vectors, batch by batch.
fn upserts(first: usize, vectors: &[Vec<f32>], batch: usize, wait: bool) -> Vec<Vec<u8>> {
    let path = format!("{COLLECTION}/points?wait={wait}");
    let batches = vectors.chunks(batch).enumerate();
    let body = |(at, vectors): (usize, &[Vec<f32>])| {
        let ids = first + at * batch..;
        let points = ids.zip(vectors);
        let points: Vec<Value> = points
            .map(|(id, vector)| json!({"id": id, "vector": vector}))
            .collect();
        request("PUT", &path, &json!({ "points": points }))
    };
    batches.map(body).collect()
}

fn inserts(
    out: &mut impl Write,
    server: &Process,
    arguments: &Arguments,
    spare: &[Vec<f32>],
) -> Result<()> {
    let how_long = Duration::from_secs(arguments.seconds);
    let mut first = arguments.vectors;
    writeln!(
        out,
        "batch  connections  wait   inserts/s  p50 ms  p99 ms  then all searchable after ms"
    )?;
    for (batch, connections) in [(1, 1), (1, 16), (16, 1), (64, 1), (256, 1)] {
        for wait in [true, false] {
            let requests = upserts(first, spare, batch, wait);
            let load = load::run(server.address(), &requests, connections, how_long, false)?;
            let started = Instant::now();
            let last = upserts(first, &spare[..1], 1, true);
            Connection::open(server.address())?.ask(&last[0])?;
            let behind = started.elapsed().as_secs_f64() * 1_000.0;
            writeln!(
                out,
                "{batch:5}  {connections:11}  {wait:5}  {:9.0}  {:6.2}  {:6.2}  {behind:.1}",
                load.per_second() * batch as f64,
                load.percentile_ms(50),
                load.percentile_ms(99)
            )?;
            // They go again, so that all loads meet a collection of the same size.
            let put = first..first + (load.count() * batch).min(spare.len());
            let ids: Vec<usize> = put.collect();
            let path = format!("{COLLECTION}/points/delete?wait=true");
            server.send("POST", &path, &json!({ "points": ids }))?;
            first += spare.len();
        }
    }
    Ok(())
}

fn searches(
    out: &mut impl Write,
    server: &Process,
    arguments: &Arguments,
    queries: &[Vec<f32>],
) -> Result<()> {
    let how_long = Duration::from_secs(arguments.seconds);
    let truth = answers(server, queries, &json!({"exact": true}))?;
    let mut points = Vec::new();
    for ef in EFS {
        let found = answers(server, queries, &json!({"hnsw_ef": ef}))?;
        let right = |(found, truth): (&Vec<u64>, &Vec<u64>)| {
            found.iter().filter(|id| truth.contains(id)).count()
        };
        let right: usize = found.iter().zip(&truth).map(right).sum();
        points.push((ef, right as f64 / (queries.len() * K) as f64));
    }
    writeln!(
        out,
        "recall@{K}  ef  connections  searches/s  p50 ms  p99 ms"
    )?;
    for wanted in RECALLS {
        let reached = points.iter().find(|(_, recall)| *recall >= wanted);
        let Some((ef, recall)) = reached else {
            writeln!(out, "no ef up to {} reaches {wanted}", EFS[EFS.len() - 1])?;
            continue;
        };
        let requests = search_requests(COLLECTION, queries, K, &json!({"hnsw_ef": ef}));
        for connections in [1, 4, 16, 64] {
            let load = load::run(server.address(), &requests, connections, how_long, true)?;
            writeln!(
                out,
                "{recall:.4}  {ef:6}  {connections:11}  {:10.0}  {:6.2}  {:6.2}",
                load.per_second(),
                load.percentile_ms(50),
                load.percentile_ms(99)
            )?;
            if connections == 1 {
                parsing(out, queries, *ef, load.percentile_ms(50) * 1e3)?;
                if let Some(path) = arguments.times.as_ref().filter(|_| wanted == RECALLS[0]) {
                    let lines = load.times_ms().map(|time| format!("{time}\n"));
                    std::fs::write(path, lines.collect::<String>())?;
                }
            }
        }
    }
    Ok(())
}

/// A search as the server reads it.
#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
struct Search {
    query: Vec<f32>,
    limit: usize,
    params: Params,
}

#[derive(Deserialize)]
#[expect(dead_code, reason = "it is only read")]
struct Params {
    hnsw_ef: usize,
}

/// What of a search over one connection is the parsing of its body, by the same parser.
fn parsing(out: &mut impl Write, queries: &[Vec<f32>], ef: usize, whole_us: f64) -> Result<()> {
    let body = |query| json!({"query": query, "limit": K, "params": {"hnsw_ef": ef}}).to_string();
    let bodies: Vec<String> = queries.iter().map(body).collect();
    let started = Instant::now();
    for body in &bodies {
        let search: Search = serde_json::from_slice(body.as_bytes())?;
        black_box(search);
    }
    let parsed_us = started.elapsed().as_secs_f64() * 1e6 / bodies.len() as f64;
    writeln!(
        out,
        "a body of {} bytes is parsed in {parsed_us:.1} us, {:.0} % of {whole_us:.0} us",
        bodies.iter().map(String::len).sum::<usize>() / bodies.len(),
        parsed_us / whole_us * 100.0
    )?;
    Ok(())
}

fn answers(server: &Process, queries: &[Vec<f32>], params: &Value) -> Result<Vec<Vec<u64>>> {
    let mut connection = Connection::open(server.address())?;
    let answer = |request: Vec<u8>| {
        let answer: Value = serde_json::from_slice(connection.ask(&request)?)?;
        let hits = answer["result"]["points"].as_array().context("no points")?;
        Ok(hits.iter().filter_map(|hit| hit["id"].as_u64()).collect())
    };
    search_requests(COLLECTION, queries, K, params)
        .into_iter()
        .map(answer)
        .collect()
}

fn restarts(out: &mut impl Write, server: Process, dir: &Path) -> Result<()> {
    server.stop()?;
    writeln!(out, "disk {} MB", disk_bytes(dir)? >> 20)?;
    for how in ["a stop", "a kill"] {
        let server = clock::pinned(clock::last_core()?, || Process::start(dir))?;
        let ready = server.time_to_ready.as_secs_f64();
        writeln!(out, "ready {ready:.2} s after {how}")?;
        server.kill()?;
    }
    Ok(())
}
