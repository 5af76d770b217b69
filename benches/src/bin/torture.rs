//! The torture by the minute: `cargo run --release -p benches --bin torture -- --seed 1 --minutes 10`.
//!
//! A third of the time each goes to lives of an engine on a simulated disk, to kills of a server
//! process under load, and to damaged files and bad inputs. Prints what was tried, and what was
//! lost, wrong or panicked, with the seed that brings it about again; fails if anything was.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use benches::torture::{
    Hammer, Tally, bad_inputs, crash_at_every_step, damage_every_byte, lives, serve,
};
use clap::Parser;

#[derive(Parser)]
struct Arguments {
    /// All chance follows from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How long it takes.
    #[arg(long, default_value_t = 1.0)]
    minutes: f64,
    /// Kills of the server process, at least, however long they take.
    #[arg(long, default_value_t = 100)]
    kills: u64,
    /// Serve this folder until killed; what the torture starts.
    #[arg(long, hide = true)]
    serve: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    if let Some(dir) = &arguments.serve {
        return serve(dir);
    }
    let dir = scratch()?;
    let tally = torture(&arguments, dir.path())?;
    let mut out = std::io::stdout().lock();
    writeln!(
        out,
        "seed {}, {} minutes\n{tally}",
        arguments.seed, arguments.minutes
    )?;
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
    let share = Duration::from_secs_f64(arguments.minutes.max(0.0) * 20.0);
    let mut tally = crash_at_every_step(seed, 40, 5, dir);
    tally.add(lives(seed, Instant::now() + share, dir));
    let mut hammer = Hammer::new(seed, &dir.join("hammered"));
    let until = Instant::now() + share;
    while hammer.tally.is_clean()
        && (Instant::now() < until || hammer.tally.kills < arguments.kills)
    {
        hammer.round()?;
    }
    tally.add(hammer.tally);
    tally.add(bad_inputs(seed, Instant::now() + share / 4, dir)?);
    tally.add(damage_every_byte(
        seed,
        1,
        Instant::now() + share * 3 / 4,
        dir,
    )?);
    Ok(tally)
}
