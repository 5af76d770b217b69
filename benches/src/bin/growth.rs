//! What the server costs as its collection grows:
//!
//! ```sh
//! cargo build --release && cargo run --release -p benches --bin growth -- --svg docs/benchmarks/growth.svg
//! ```
//!
//! One server, on one core, is filled up to each size in turn (batches of 256, the client on another
//! core), then written to point by point, searched, told to take a checkpoint, stopped and started,
//! killed and started. Vectors are people of 20 photos each at cosine 0.6. Below the table stands for
//! each column the power of `n` that fits it best (least squares of the logarithms), and for searches
//! what `log n` would be over the same sizes.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::ann::clock;
use benches::ann::svg::{Axis, Plot, Series, draw};
use benches::load::{self, Connection, request, search_requests};
use benches::soak::disk_bytes;
use benches::{People, Process};
use clap::Parser;
use serde_json::{Value, json};

#[derive(Parser)]
#[command(name = "growth")]
struct Arguments {
    /// Numbers of vectors, rising.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "10000,20000,50000,100000,200000"
    )]
    sizes: Vec<usize>,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// What they are made from.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds that each load of searches lasts.
    #[arg(long, default_value_t = 3.0)]
    seconds: f64,
    /// Draws the plot into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
}

const COLLECTION: &str = "/collections/faces";
const BATCH: usize = 256;
/// Vectors whose requests are made at once: a request is five times its vectors.
const CHUNK: usize = 20 * BATCH;
const QUERIES: usize = 200;
const SINGLES: usize = 500;
const K: usize = 10;

/// The columns after the size.
const COLUMNS: [&str; 11] = [
    "insert in batches, us",
    "insert one, us",
    "search p50, us",
    "search p99, us",
    "compared a search",
    "recall@10",
    "checkpoint, s",
    "ready after a stop, s",
    "after a kill, s",
    "memory MB",
    "disk MB",
];

struct Row {
    n: usize,
    cells: [f64; COLUMNS.len()],
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let rising = arguments.sizes.is_sorted_by(|a, b| a < b);
    anyhow::ensure!(
        rising && arguments.sizes.first().is_some_and(|first| *first > 0),
        "--sizes must rise, from 1 or more"
    );
    let dir = tempfile::tempdir()?;
    let mut people = People::new(arguments.seed, arguments.dim);
    // Photos of the first people, who are in every collection.
    let queries: Vec<Vec<f32>> = people.take(QUERIES * 20).into_iter().step_by(20).collect();
    let mut server = start(dir.path())?;
    let config = json!({"vectors": {"size": arguments.dim, "distance": "Cosine"}});
    server.send("PUT", COLLECTION, &config)?;
    let mut people = People::new(arguments.seed, arguments.dim);
    let mut rows = Vec::new();
    let mut there = 0;
    for n in &arguments.sizes {
        eprintln!("{n}");
        let grown = clock::pinned(clock::last_core()?, || {
            let mut growing = Growing {
                server: &server,
                queries: &queries,
                seconds: arguments.seconds,
            };
            growing.grow(&mut people, there..*n)
        })?;
        there = *n;
        let mut cells = grown;
        server.stop()?;
        cells[10] = mb(disk_bytes(dir.path())?);
        server = start(dir.path())?;
        cells[7] = server.time_to_ready.as_secs_f64();
        server.kill()?;
        server = start(dir.path())?;
        cells[8] = server.time_to_ready.as_secs_f64();
        rows.push(Row { n: *n, cells });
    }
    server.stop()?;
    print(&rows)?;
    if let Some(path) = arguments.svg {
        std::fs::write(&path, picture(&rows)).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn start(dir: &Path) -> Result<Process> {
    clock::pinned(0, || Process::start(dir))
}

fn mb(bytes: u64) -> f64 {
    bytes as f64 / (1u64 << 20) as f64
}

struct Growing<'a> {
    server: &'a Process,
    queries: &'a [Vec<f32>],
    seconds: f64,
}

impl Growing<'_> {
    /// Fills up, and measures all that a running server tells.
    fn grow(
        &mut self,
        people: &mut People,
        range: std::ops::Range<usize>,
    ) -> Result<[f64; COLUMNS.len()]> {
        let mut cells = [0.0; COLUMNS.len()];
        // The last points come one by one.
        let singles = range.end.saturating_sub(SINGLES).max(range.start);
        let mut spent = Duration::ZERO;
        let mut first = range.start;
        while first < singles {
            let vectors = people.take(CHUNK.min(singles - first));
            let requests = upserts(first, &vectors, BATCH);
            first += vectors.len();
            let started = Instant::now();
            load::run(self.server.address(), &requests, 1, Duration::MAX, false)?;
            spent += started.elapsed();
        }
        cells[0] = spent.as_secs_f64() * 1e6 / (singles - range.start).max(1) as f64;
        let requests = upserts(singles, &people.take(range.end - singles), 1);
        let load = load::run(self.server.address(), &requests, 1, Duration::MAX, false)?;
        cells[1] = load.percentile_ms(50) * 1e3;
        let asked = search_requests(COLLECTION, self.queries, K, &json!({}));
        let how_long = Duration::from_secs_f64(self.seconds);
        let before = self.compared()?;
        let load = load::run(self.server.address(), &asked, 1, how_long, true)?;
        cells[2] = load.percentile_ms(50) * 1e3;
        cells[3] = load.percentile_ms(99) * 1e3;
        cells[4] = (self.compared()? - before) / load.count().max(1) as f64;
        cells[5] = self.recall()?;
        cells[9] = self.server.private_bytes().map_or(0.0, mb);
        let started = Instant::now();
        self.server.send("POST", "/admin/checkpoint", &json!({}))?;
        cells[6] = started.elapsed().as_secs_f64();
        Ok(cells)
    }

    /// Points that searches have compared with a query so far.
    fn compared(&self) -> Result<f64> {
        self.server.metric("doppel_search_compared_points_total")
    }

    fn recall(&self) -> Result<f64> {
        let found = self.answers(&json!({}))?;
        let truth = self.answers(&json!({"exact": true}))?;
        let pairs = found.iter().zip(&truth);
        let right = |(found, truth): (&Vec<u64>, &Vec<u64>)| {
            found.iter().filter(|id| truth.contains(id)).count()
        };
        let right: usize = pairs.map(right).sum();
        Ok(right as f64 / (truth.len() * K) as f64)
    }

    fn answers(&self, params: &Value) -> Result<Vec<Vec<u64>>> {
        let mut connection = Connection::open(self.server.address())?;
        let mut all = Vec::new();
        for request in search_requests(COLLECTION, self.queries, K, params) {
            let answer: Value = serde_json::from_slice(connection.ask(&request)?)?;
            let hits = answer["result"]["points"].as_array().context("no points")?;
            all.push(hits.iter().filter_map(|hit| hit["id"].as_u64()).collect());
        }
        Ok(all)
    }
}

fn upserts(first: usize, vectors: &[Vec<f32>], batch: usize) -> Vec<Vec<u8>> {
    let batches = vectors.chunks(batch).enumerate();
    let put = |(at, vectors): (usize, &[Vec<f32>])| {
        let points = (first + at * batch..).zip(vectors);
        let points: Vec<Value> = points
            .map(|(id, vector)| json!({"id": id, "vector": vector}))
            .collect();
        let path = format!("{COLLECTION}/points?wait=true");
        request("PUT", &path, &json!({ "points": points }))
    };
    batches.map(put).collect()
}

fn print(rows: &[Row]) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "| vectors | {} |", COLUMNS.join(" | "))?;
    writeln!(out, "| --: |{}", " --: |".repeat(COLUMNS.len()))?;
    for row in rows {
        let cells = row.cells.iter().map(|cell| format!(" {} |", short(*cell)));
        writeln!(out, "| {} |{}", row.n, cells.collect::<String>())?;
    }
    let power = |at: usize| {
        let points = rows.iter().map(|row| (row.n as f64, row.cells[at]));
        let power = slope(&points.collect::<Vec<_>>());
        power.map_or(" - |".to_owned(), |power| format!(" n^{power:.2} |"))
    };
    let powers: String = (0..COLUMNS.len()).map(power).collect();
    writeln!(out, "| grows as |{powers}")?;
    let log: Vec<_> = rows
        .iter()
        .map(|row| (row.n as f64, (row.n as f64).ln()))
        .collect();
    if let Some(power) = slope(&log) {
        writeln!(out, "\nlog n over these sizes is n^{power:.2}")?;
    }
    Ok(())
}

fn short(cell: f64) -> String {
    match cell {
        cell if cell >= 100.0 => format!("{cell:.0}"),
        cell if cell >= 10.0 => format!("{cell:.1}"),
        cell => format!("{cell:.3}"),
    }
}

/// The power of x that y grows with, by least squares of the logarithms; none of fewer than two.
fn slope(points: &[(f64, f64)]) -> Option<f64> {
    let logs = points.iter().filter(|(x, y)| *x > 0.0 && *y > 0.0);
    let logs: Vec<(f64, f64)> = logs.map(|(x, y)| (x.ln(), y.ln())).collect();
    let mean = |of: fn(&(f64, f64)) -> f64| logs.iter().map(of).sum::<f64>() / logs.len() as f64;
    let (x, y) = (mean(|p| p.0), mean(|p| p.1));
    let both: f64 = logs.iter().map(|p| (p.0 - x) * (p.1 - y)).sum();
    let own: f64 = logs.iter().map(|p| (p.0 - x).powi(2)).sum();
    (logs.len() > 1).then(|| both / own)
}

fn picture(rows: &[Row]) -> String {
    let series = [0, 1, 2, 3].map(|at| line(rows, at));
    let seconds = [6, 7, 8].map(|at| line(rows, at));
    let sizes = [9, 10].map(|at| line(rows, at));
    let plot = |title, y, series| Plot {
        title,
        x: ("vectors", Axis::Log),
        y,
        series,
    };
    draw(&[
        plot("A request", "us", &series),
        plot("Checkpoint and start", "s", &seconds),
        plot("Size", "MB", &sizes),
    ])
}

fn line(rows: &[Row], at: usize) -> Series {
    let points = rows.iter().map(|row| (row.n as f64, row.cells[at]));
    Series {
        name: COLUMNS[at].to_owned(),
        points: points.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_of_a_power_is_that_power() {
        let points: Vec<_> = [10.0, 100.0, 5_000.0]
            .iter()
            .map(|x: &f64| (*x, 3.0 * x.powf(0.7)))
            .collect();
        assert!((slope(&points).unwrap() - 0.7).abs() < 1e-9);
        assert!(slope(&points[..1]).is_none());
    }
}
