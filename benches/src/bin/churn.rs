//! What is left of an index after half of its vectors were deleted and put back, again and again:
//! `cargo run --release -p benches --bin churn -- --n 50000 --systems doppel,hnswlib`.
//!
//! Round 0 is the fresh build. A round deletes half of the vectors (`--patterns random` any ones,
//! `clusters` all photos of half of the identities), asks all queries, puts them back in random
//! order and asks again, at one search parameter (`--ef`) throughout. All systems go through the
//! same rounds over the same data, on one core; deletions and insertions go in one by one for ours,
//! in one call for a peer. hnswlib marks as deleted and replaces (`mark_deleted`,
//! `replace_deleted`), with new labels, because it refuses the old ones; usearch removes and adds.
//! Data, peers and memory (`B/vector`) are those of the `ann` comparison, whose head describes them.
//!
//! Columns: `recall` and `qps` (queries per second of CPU) with everything back, `half` the same
//! while half is gone (judged by the exact neighbours among the rest), CPU seconds of the deletions
//! and insertions, what the index finds broken in itself (ours only), and how far recall and memory
//! are from the fresh build. `--json` prints one object a round instead.

use std::io::Write;
use std::path::PathBuf;

use anyhow::Result;
use benches::ann::catalogue::Choice;
use benches::ann::churn::{ChurnPlan, Pattern, Round, run, steps};
use benches::ann::clock::last_core;
use benches::ann::dataset::{DataArguments, Dataset, target_dir};
use benches::ann::system::System;
use benches::ann::venv::Venv;
use clap::Parser;

/// Deleting and re-inserting half of an index, round after round, against a fresh build.
///
/// The method and the columns stand at the head of benches/src/bin/churn.rs.
#[derive(Parser)]
#[command(name = "churn")]
struct Arguments {
    #[command(flatten)]
    data: DataArguments,
    /// Systems that can delete: doppel, hnswlib, usearch-f32, usearch-bf16, usearch-i8.
    #[arg(long, value_delimiter = ',', default_value = "doppel,hnswlib")]
    systems: Vec<String>,
    /// Which half is deleted.
    #[arg(
        long,
        value_enum,
        value_delimiter = ',',
        default_value = "random,clusters"
    )]
    patterns: Vec<Pattern>,
    /// Rounds of deleting and re-inserting.
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Neighbours asked for.
    #[arg(long, default_value_t = 10)]
    k: usize,
    /// The search parameter, the same for all.
    #[arg(long, default_value_t = 128)]
    ef: usize,
    /// The core that everything measured runs on [default: the last one].
    #[arg(long)]
    core: Option<usize>,
    /// Prints JSON lines instead of tables.
    #[arg(long)]
    json: bool,
    /// The interpreter that makes the peers' environment.
    #[arg(long, default_value = "python3")]
    python: String,
    /// The peers' environment [default: ann-peers-venv in the build's own folder].
    #[arg(long)]
    venv: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let plan = ChurnPlan {
        core: arguments.core.map_or_else(last_core, Ok)?,
        k: arguments.k,
        param: arguments.ef,
        rounds: arguments.rounds,
        seed: arguments.data.seed,
    };
    let choices = arguments.systems.iter().map(|name| Choice::parse(name));
    let choices: Vec<Choice> = choices.collect::<Result<_>>()?;
    let dir = match &arguments.venv {
        Some(dir) => dir.clone(),
        None => target_dir()?.join("ann-peers-venv"),
    };
    let mut venv = Venv::new(dir, arguments.python.clone());
    let data = Dataset::prepare(&arguments.data, arguments.k)?;
    let mut out = std::io::stdout().lock();
    for pattern in &arguments.patterns {
        eprintln!(
            "comparing everything with everything for {} rounds",
            plan.rounds
        );
        let steps = steps(&data, *pattern, &plan)?;
        for choice in &choices {
            let built = System::build(choice, &data, plan.core, &mut venv);
            let gone_through = built.and_then(|(mut system, built)| {
                if !arguments.json {
                    head(&mut out, choice, *pattern, &data)?;
                }
                let mut fresh = None;
                run(&mut system, &built, &steps, &data, &plan, |round| {
                    let fresh = fresh.get_or_insert_with(|| round.clone());
                    match arguments.json {
                        true => {
                            let line = round.json(&choice.label, *pattern, &data, &plan);
                            writeln!(out, "{line}")?;
                        }
                        false => row(&mut out, round, fresh)?,
                    }
                    Ok(out.flush()?)
                })
            });
            if let Err(why) = gone_through {
                eprintln!("{}: given up: {why:#}", choice.label);
                writeln!(
                    out,
                    "skipped: {} ({}): {why:#}",
                    choice.label,
                    pattern.name()
                )?;
            }
        }
    }
    Ok(())
}

fn head(out: &mut impl Write, choice: &Choice, pattern: Pattern, data: &Dataset) -> Result<()> {
    writeln!(
        out,
        "\n{}, half deleted and put back ({}), {}",
        choice.label,
        pattern.name(),
        data.name
    )?;
    writeln!(
        out,
        "{:>5} {:>8} {:>9} {:>8} {:>8} {:>9} {:>9} {:>9} {:>9} {:>8} {:>7}",
        "round",
        "recall",
        "to fresh",
        "half",
        "qps",
        "half",
        "delete s",
        "insert s",
        "B/vector",
        "to fresh",
        "broken"
    )?;
    Ok(())
}

fn row(out: &mut impl Write, round: &Round, fresh: &Round) -> Result<()> {
    let or_dash = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
    writeln!(
        out,
        "{:>5} {:>8.4} {:>+9.4} {:>8} {:>8.0} {:>9} {:>9.2} {:>9.2} {:>9.0} {:>+7.1}% {:>7}",
        round.number,
        round.recall,
        round.recall - fresh.recall,
        or_dash(round.recall_half.map(|recall| format!("{recall:.4}"))),
        round.qps_cpu,
        or_dash(round.qps_cpu_half.map(|qps| format!("{qps:.0}"))),
        round.remove_cpu_s,
        round.insert_cpu_s,
        round.bytes_per_vector,
        100.0 * (round.bytes_per_vector / fresh.bytes_per_vector - 1.0),
        or_dash(round.violations.map(|count| count.to_string())),
    )?;
    Ok(())
}
