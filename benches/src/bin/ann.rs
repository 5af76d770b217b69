//! Our index against its peers, on the same data, the same exact answers and the same core:
//! `cargo run --release -p benches --bin ann -- --systems doppel,symphonyqg,hnswlib --json`.
//!
//! # Data
//! `--data faces|uniform|gaussian --n N --dim D --queries-n Q --seed S` makes it (the recipe stands
//! in `benches/src/ann/generator.rs`); `--base F --queries F [--truth F]` reads it, vectors as
//! `.npy` (float32, C order) or `.fvecs`, exact answers as `.npy` (int32, int64, uint32) or
//! `.ivecs`. Under `--metric cosine` all vectors are scaled to length 1 first. Exact answers are
//! computed in Rust by comparing everything with everything. All of it is kept in
//! `target/ann-data/`, in a folder named after what it depends on; delete that to start over.
//!
//! # Systems
//! `--systems a,b:OPTION=VALUE:...` (`--list` shows all with their options; a system may stand there
//! several times with different options). Peers run in Python processes of their own, from
//! `benches/peers/`, in a virtual environment that is made in `target/ann-peers-venv` with the
//! versions of `benches/peers/requirements.txt`; this needs `python3` with `venv`, a C++ compiler
//! for those without a ready-made file, and a package index. A peer that cannot be installed or
//! fails is named with the reason, and the others go on.
//!
//! # Measurement
//! Every system is built over the base on one core (`--core`), then each sweeps its search parameter
//! (`--params 32,64` for all, or `--params SYSTEM=32,64`) until its recall is `--enough-recall` or a
//! point takes longer than `--patience-s`. Then `--rounds` rounds follow in which all systems are
//! asked in turn, point by point; medians over the rounds are reported.
//!
//! - `recall`: share of the true k nearest found, over all queries; one as near as the k-th counts.
//! - `qps_cpu`: queries per second of the process's CPU time; peers get all queries in one call.
//! - `qps_wall`: the same by the clock.
//! - `p99_us`, `mean_us`: times of single queries; a peer's include its call from Python.
//! - `build_cpu_s`: CPU seconds of the build, one thread.
//! - `bytes_per_vector`: size of the index, with its vectors; `bytes_are` says how it was found:
//!   `own` (the index's own count), `saved` (its file), `arrays` (its NumPy arrays).
//!   `rss_per_vector` is the growth of the process's private memory during the build.
//! - `distances`: vectors compared for a query, where the system tells.
//! - `empty_handed`: queries answered without one true neighbour.
//!
//! Speeds at recall 0.90, 0.95, 0.99 and 0.999 are read off the front of a system's points, with
//! the logarithm of the speed linear in recall between neighbours; `>=` where even its quickest
//! point has a higher recall, `-` where none reaches it (in JSON: that point's speed, and `null`). In
//! brackets: times hnswlib's.
//!
//! `--json` prints one object a point; without it, tables. `--svg FILE` draws the curves.
//! `--growth 10000,50000,...` repeats everything for each size and compares speeds and builds.

use std::io::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use benches::ann::catalogue::{Choice, KINDS, apply_sweeps};
use benches::ann::clock::last_core;
use benches::ann::dataset::{DataArguments, Dataset, target_dir};
use benches::ann::plots;
use benches::ann::report::{Grown, growth_lines, growth_table, json_lines, tables};
use benches::ann::sweep::{Outcome, Plan, compare};
use benches::ann::venv::Venv;
use clap::Parser;

/// Our index against its peers: recall, speed, memory and build time on one core.
///
/// Data is made (--data) or read (--base, --queries) and prepared once, exact answers included;
/// peers are installed once into a virtual environment. Everything about the columns and the method
/// stands at the head of benches/src/bin/ann.rs.
#[derive(Parser)]
#[command(name = "ann")]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// Neighbours asked for; several are swept one after another.
    #[arg(long, value_delimiter = ',', default_value = "10")]
    k: Vec<usize>,
    /// Systems as NAME or NAME:OPTION=VALUE:...; `all` means every one.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "doppel,symphonyqg,hnswlib"
    )]
    systems: Vec<String>,
    /// Shows the systems with their options, and ends.
    #[arg(long)]
    list: bool,
    /// Search parameters: 32,64,128 for all, or SYSTEM=32,64,128; may be given several times.
    #[arg(long)]
    params: Vec<String>,
    /// The core that everything measured runs on [default: the last one].
    #[arg(long)]
    core: Option<usize>,
    /// Rounds over all points of all systems; medians are reported.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A sweep ends at the first point with this recall.
    #[arg(long, default_value_t = 0.9995)]
    enough_recall: f64,
    /// A point that takes more seconds than this is not repeated, and ends its sweep.
    #[arg(long, default_value_t = 20.0)]
    patience_s: f64,
    /// Repeats everything for bases of these sizes.
    #[arg(long, value_delimiter = ',')]
    growth: Vec<usize>,
    /// Prints JSON lines instead of tables.
    #[arg(long)]
    json: bool,
    /// Draws the curves into this file.
    #[arg(long)]
    svg: Option<PathBuf>,
    /// The interpreter that makes the peers' environment.
    #[arg(long, default_value = "python3")]
    python: String,
    /// The peers' environment [default: ann-peers-venv in the build's own folder].
    #[arg(long)]
    venv: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mut out = std::io::stdout().lock();
    if arguments.list {
        for kind in KINDS {
            writeln!(out, "{:<20} {}", kind.name, kind.about)?;
        }
        return Ok(());
    }
    let choices = choices(&arguments)?;
    let plan = Plan {
        core: arguments.core.map_or_else(last_core, Ok)?,
        ks: arguments.k.clone(),
        rounds: arguments.rounds,
        enough_recall: arguments.enough_recall,
        patience_s: arguments.patience_s,
    };
    let dir = match &arguments.venv {
        Some(dir) => dir.clone(),
        None => target_dir()?.join("ann-peers-venv"),
    };
    let mut venv = Venv::new(dir, arguments.python.clone());
    let mut measure = |data: &DataArguments| -> Result<(Dataset, Outcome)> {
        let depth = plan.ks.iter().copied().max().unwrap_or(0);
        let data = Dataset::prepare(data, depth)?;
        let outcome = compare(&choices, &data, &plan, &mut venv);
        match arguments.json {
            true => json_lines(&mut out, &data, &outcome)?,
            false => tables(&mut out, &data, &outcome, &plan.ks)?,
        }
        out.flush()?;
        Ok((data, outcome))
    };
    if arguments.growth.is_empty() {
        let (data, outcome) = measure(&arguments.data)?;
        return save(&arguments, || plots::curves(&data.name, &outcome, &plan.ks));
    }
    let mut sizes = Vec::new();
    for n in &arguments.growth {
        let data = DataArguments {
            n: Some(*n),
            ..arguments.data.clone()
        };
        let (data, outcome) = measure(&data)?;
        let n = data.base.len();
        sizes.push(Grown { n, outcome });
    }
    for k in &plan.ks {
        match arguments.json {
            true => growth_lines(&mut out, &sizes, *k)?,
            false => growth_table(&mut out, &sizes, *k)?,
        }
    }
    let k = plan.ks.first().copied().context("no k")?;
    save(&arguments, || plots::growth(&sizes, k))
}

fn choices(arguments: &Arguments) -> Result<Vec<Choice>> {
    if arguments.k.is_empty() || arguments.k.contains(&0) {
        bail!("k is at least 1");
    }
    let all = || KINDS.iter().map(|kind| kind.name.to_owned());
    let mut names = Vec::new();
    for name in &arguments.systems {
        match name.as_str() {
            "all" => names.extend(all()),
            _ => names.push(name.clone()),
        }
    }
    let choices: Result<Vec<_>> = names.iter().map(|name| Choice::parse(name)).collect();
    let mut choices = choices?;
    apply_sweeps(&mut choices, &arguments.params)?;
    Ok(choices)
}

fn save(arguments: &Arguments, draw: impl FnOnce() -> String) -> Result<()> {
    if let Some(path) = &arguments.svg {
        std::fs::write(path, draw()).with_context(|| path.display().to_string())?;
    }
    Ok(())
}
