//! The torture: `cargo run --release -p benches --bin torture -- --seed 1 --minutes 10`.
//!
//! A third of the time each goes to engines on simulated disks, to kills of a server process under
//! load, and to damaged files and bad inputs. With `--steps` it is simulated disks alone, until they
//! have seen so many steps. Prints what was tried, and what was lost, wrong or panicked, with the
//! number that brings it about again (`--life` or `--script`); fails if anything was.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::torture::{
    Hammer, Tally, Until, bad_inputs, damage_every_byte, lives, scripts, serve,
};
use clap::Parser;

/// Operations of a script that is stopped at every step.
const SCRIPT: u64 = 40;

#[derive(Parser)]
struct Arguments {
    /// All chance follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long it takes.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Simulated disks alone, until they have seen so many steps.
    #[arg(long, conflicts_with_all = ["minutes", "kills"])]
    steps: Option<u64>,
    /// Kills of the server process, at least, however long they take.
    #[arg(long, default_value_t = 100)]
    kills: u64,
    /// The lives on one simulated disk once more, by the seed that was printed.
    #[arg(long, value_name = "SEED")]
    life: Option<u64>,
    /// A script that is stopped at every step once more, by the seed that was printed.
    #[arg(long, value_name = "SEED")]
    script: Option<u64>,
    /// Serve this folder until killed; what the torture starts.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
    /// Seconds between two checkpoints of what is served, and MiB of log.
    #[arg(long, hide = true, default_value_t = 1)]
    checkpoint_every: u32,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(dir) = &arguments.serve {
        return serve(dir, arguments.checkpoint_every);
    }
    let dir = scratch()?;
    let started = Instant::now();
    let tally = torture(&arguments, dir.path())?;
    let mut out = std::io::stdout().lock();
    let seconds = started.elapsed().as_secs();
    writeln!(out, "seed {}, {seconds} s\n{tally}", arguments.seed)?;
    if !tally.is_clean() {
        bail!("not everything held");
    }
    Ok(())
}

/// Where a sync costs nothing, if there is such a place: what is real about the disk is not tested
/// by any of this, and what is simulated lies in memory.
fn scratch() -> Result<tempfile::TempDir> {
    Ok(tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir())?)
}

fn torture(arguments: &Arguments, dir: &Path) -> Result<Tally> {
    let seed = arguments.seed;
    let threads = thread::available_parallelism().map_or(1, |n| n.get() as u64);
    match (arguments.life, arguments.script, arguments.steps) {
        (Some(seed), ..) => return Ok(lives(seed, Until::Rounds(1), 1, dir)),
        (_, Some(seed), _) => return Ok(scripts(seed, Until::Rounds(1), SCRIPT, 1, dir)),
        (_, _, Some(steps)) => {
            let mut tally = scripts(seed, Until::Steps(steps / 4), SCRIPT, threads, dir);
            if tally.is_clean() {
                let rest = Until::Steps(steps.saturating_sub(tally.disk_steps));
                tally.add(lives(seed, rest, threads, dir));
            }
            return Ok(tally);
        }
        _ => {}
    }
    let share = Duration::from_secs_f64(arguments.minutes.max(0.0) * 20.0);
    let until = |share: Duration| Until::Time(Instant::now() + share);
    let mut tally = scripts(seed, until(share / 4), SCRIPT, threads, dir);
    tally.add(lives(seed, until(share * 3 / 4), threads, dir));
    let binary = std::env::current_exe()?;
    let plain = Hammer::new(seed, &dir.join("hammered"), &binary).in_trouble();
    tally.add(hammer(plain, share / 2, arguments.kills)?);
    match Hammer::with_power_cuts(seed, &dir.join("power"), &binary)? {
        Some(cut) => tally.add(hammer(cut.in_trouble(), share / 2, arguments.kills / 2)?),
        None => writeln!(std::io::stderr(), "no C compiler: power is not cut")?,
    }
    tally.add(bad_inputs(seed, until(share / 4), dir)?);
    tally.add(damage_every_byte(seed, 1, until(share * 3 / 4), dir)?);
    Ok(tally)
}

/// Kills a server for so long, and so often.
fn hammer(mut hammer: Hammer, share: Duration, kills: u64) -> Result<Tally> {
    let end = Instant::now() + share;
    while hammer.tally.is_clean() && (Instant::now() < end || hammer.tally.kills < kills) {
        hammer.round()?;
    }
    Ok(hammer.tally)
}
