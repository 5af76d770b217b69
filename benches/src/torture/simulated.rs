//! Engines on simulated disks: lives that each end in a power cut, a kill or a fault, after which
//! the next one must find all that was acknowledged, and what was not whole or not at all.
//!
//! All of it follows from one number a disk. What is counted are steps, never time.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use storage::SimDisk;

use super::life::{End, Failure, Known, Life};
use super::ops::Op;
use super::tally::Tally;

/// Operations of one life, at most.
const LIFE: u64 = 40;
/// Lives that share one disk.
const LIVES: u64 = 6;

/// How much is tried.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// So many rounds: disks, files that are harmed, inputs.
    Rounds(u64),
    /// So many steps of simulated disks.
    Steps(u64),
    /// This moment.
    Time(Instant),
}

impl Until {
    pub(super) fn is_over(self, rounds: u64, tally: &Tally, threads: u64) -> bool {
        match self {
            Until::Rounds(all) => rounds >= all.div_ceil(threads),
            Until::Steps(all) => tally.disk_steps >= all.div_ceil(threads),
            Until::Time(until) => Instant::now() >= until,
        }
    }
}

/// Fresh disks, one after another, each with a few lives, on so many threads. Returns what was
/// tried; a failure names the seed of its disk, which [`lives`] with one disk brings about again.
pub fn lives(seed: u64, until: Until, threads: u64, scratch: &Path) -> Tally {
    on_threads(seed, until, threads, scratch, &several_lives)
}

/// Scripts, each stopped at every single step of its disk in turn, by a power cut and by a kill.
pub fn scripts(seed: u64, until: Until, operations: u64, threads: u64, scratch: &Path) -> Tally {
    on_threads(seed, until, threads, scratch, &|seed, scratch, tally| {
        every_step(seed, operations, scratch, tally)
    })
}

type Disk<'a> = &'a (dyn Fn(u64, &Path, &mut Tally) -> Result<(), Failure> + Sync);

/// Every disk has a seed of its own, so it does not matter on which thread it is tried.
fn on_threads(seed: u64, until: Until, threads: u64, scratch: &Path, run: Disk<'_>) -> Tally {
    let failed = AtomicBool::new(false);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let each = |thread: u64| {
            let (failed, scratch) = (&failed, scratch.join(thread.to_string()));
            scope.spawn(move || {
                let mut tally = Tally::default();
                let mut disks = 0;
                while !until.is_over(disks, &tally, threads) && !failed.load(Ordering::Relaxed) {
                    let seed = seed.wrapping_add(thread + disks * threads);
                    guarded(&mut tally, &format!("seed {seed}"), |tally| {
                        run(seed, &scratch, tally)
                    });
                    failed.fetch_or(!tally.is_clean(), Ordering::Relaxed);
                    disks += 1;
                }
                tally
            })
        };
        let running: Vec<_> = (0..threads).map(each).collect();
        for thread in running {
            match thread.join() {
                Ok(other) => tally.add(other),
                Err(_) => tally.panicked.push("the torture itself".into()),
            }
        }
    });
    tally
}

fn guarded(tally: &mut Tally, what: &str, run: impl FnOnce(&mut Tally) -> Result<(), Failure>) {
    match catch_unwind(AssertUnwindSafe(|| run(tally))) {
        Ok(Ok(())) => {}
        Ok(Err(Failure::Lost(why))) => tally.lost.push(format!("{what}: {why}")),
        Ok(Err(Failure::Wrong(why))) => tally.wrong.push(format!("{what}: {why}")),
        Err(_) => tally.panicked.push(what.to_owned()),
    }
}

fn several_lives(seed: u64, scratch: &Path, tally: &mut Tally) -> Result<(), Failure> {
    let mut life = Life::begin(seed, scratch)?;
    for _ in 0..LIVES {
        let end = life.choose_end();
        life.run(end, LIFE, tally, &mut |_, _, _| {})?;
        life.reopen(end, tally)?;
        life.look(tally)?;
    }
    life.finish(tally)
}

/// Where a script stood when an operation began.
struct Moment {
    step: u64,
    known: Known,
    op: Op,
}

/// A script is run once; then it goes on from the disk as it was before each step.
fn every_step(
    seed: u64,
    operations: u64,
    scratch: &Path,
    tally: &mut Tally,
) -> Result<(), Failure> {
    let mut moments: Vec<Moment> = Vec::new();
    let mut script = Life::begin(seed, scratch)?;
    script.disk.keep_forks();
    let mut note = |disk: &SimDisk, known: &Known, op: &Op| {
        moments.push(Moment {
            step: disk.operations(),
            known: known.clone(),
            op: op.clone(),
        });
    };
    script.run(End::Kill(u64::MAX), operations, tally, &mut note)?;
    let forks = script.disk.take_forks();
    drop(script);
    for (step, fork) in (0..).zip(forks) {
        let begun = moments.partition_point(|moment| moment.step <= step);
        let Some(moment) = begun.checked_sub(1).and_then(|at| moments.get(at)) else {
            continue;
        };
        for end in [End::PowerCut(step), End::Kill(step)] {
            let what = format!("seed {seed}, {end:?}");
            guarded(tally, &what, |tally| {
                let seed = seed.wrapping_add(step);
                let mut life = Life::on(fork.fork(), moment.known.clone(), seed, scratch)?;
                life.had_begun(&moment.op);
                life.reopen(end, tally)?;
                life.finish(tally)
            });
            if !tally.is_clean() {
                return Ok(());
            }
        }
    }
    Ok(())
}
