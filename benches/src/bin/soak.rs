//! The soak: `cargo build --release && cargo run --release -p benches --bin soak -- --minutes 60`.
//!
//! A server as it is shipped, with its usual checkpoints, under a mixed load over REST: points
//! replaced, deleted and put in again, payloads changed, searches with and without filters, backups,
//! checkpoints, collections that come and go. After each interval memory, file handles, disk, the
//! times of searches and recall are printed; it fails if they are not flat (see `FLAT`).

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::Process;
use benches::soak::{Flat, Size, Soak};
use clap::Parser;

/// How the last quarter may differ from the first.
const FLAT: Flat = Flat {
    memory: 1.15,
    handles: 8,
    disk: 1.25,
    recall: 0.01,
    p99: Some(2.0),
};

#[derive(Parser)]
struct Arguments {
    /// How long the load lasts.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 60)]
    interval_s: u64,
    /// Points that there are.
    #[arg(long, default_value_t = 50_000)]
    points: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 128)]
    dim: usize,
    /// All chance follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let dir = tempfile::tempdir()?;
    let server = Process::start(dir.path())?;
    let size = Size {
        seed: arguments.seed,
        points: arguments.points,
        dim: arguments.dim,
        queries: 200,
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{} points of {} numbers", size.points, size.dim)?;
    let mut soak = Soak::begin(&server, dir.path(), size)?;
    let (started, mut looks) = (Instant::now(), Vec::new());
    let how_long = Duration::from_secs_f64(arguments.minutes * 60.0);
    while started.elapsed() < how_long {
        let look = soak.interval(Duration::from_secs(arguments.interval_s))?;
        writeln!(out, "{:6.0} s: {look}", started.elapsed().as_secs_f64())?;
        looks.push(look);
    }
    let found = FLAT.violations(&looks);
    server.stop()?;
    if !found.is_empty() {
        bail!("not flat: {}", found.join("; "));
    }
    writeln!(out, "flat, by {FLAT:?}")?;
    Ok(())
}
