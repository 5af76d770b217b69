//! Lives of an engine on a simulated disk: each ends in a power cut, a kill or a fault, and the next
//! one must find all that was acknowledged, and what was not whole or not at all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::Instant;

use engine::Engine;
use std::io::ErrorKind;
use storage::{Disk, Fault, SimDisk};

use super::chance::Chance;
use super::model::{Model, Op};
use super::tally::Tally;
use super::world::{observe, open, perform};

/// Operations of one life, at most.
const LIFE: u64 = 40;
/// Lives that share one disk.
const LIVES: u64 = 6;

/// The end of a life.
#[derive(Debug, Clone, Copy)]
enum End {
    PowerCut(u64),
    Kill(u64),
    Fault(u64, Fault),
}

/// Fresh disks, one after another, each with a few lives, until the time is up. Returns what was
/// tried; a failure names the seed of its disk.
pub fn lives(seed: u64, until: Instant, scratch: &Path) -> Tally {
    let mut tally = Tally::default();
    let mut disk = 0;
    while Instant::now() < until && tally.is_clean() {
        let seed = seed.wrapping_add(disk);
        guarded(&mut tally, &format!("seed {seed}"), |tally| {
            several_lives(seed, scratch, tally)
        });
        disk += 1;
    }
    tally
}

/// One script, stopped at each single step of the disk in turn, by a power cut and by a kill.
pub fn crash_at_every_step(seed: u64, operations: u64, every: u64, scratch: &Path) -> Tally {
    let mut tally = Tally::default();
    let mut steps = 0;
    guarded(&mut tally, &format!("seed {seed}"), |tally| {
        let mut life = Life::begin(seed, scratch)?;
        life.run(End::Kill(u64::MAX), operations, tally)?;
        steps = life.steps;
        Ok(())
    });
    let mut at = 0;
    while at <= steps && tally.is_clean() {
        for end in [End::PowerCut(at), End::Kill(at)] {
            guarded(&mut tally, &format!("seed {seed}, {end:?}"), |tally| {
                let mut life = Life::begin(seed, scratch)?;
                life.run(end, operations, tally)?;
                life.reopen(end, tally)?;
                life.finish(tally)
            });
        }
        at += every;
    }
    tally
}

/// What went wrong.
enum Failure {
    Lost(String),
    Wrong(String),
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
        life.run(end, LIFE, tally)?;
        life.reopen(end, tally)?;
        life.look(tally)?;
    }
    life.finish(tally)
}

struct Life {
    chance: Chance,
    disk: SimDisk,
    beside: PathBuf,
    engine: Option<Engine>,
    /// What was acknowledged.
    model: Model,
    /// What was asked for and not acknowledged: it may have come to be.
    open: Option<Op>,
    /// Steps of the disk that the last run took.
    steps: u64,
}

impl Life {
    fn begin(seed: u64, scratch: &Path) -> Result<Self, Failure> {
        let beside = scratch.join("beside");
        clear(&beside)?;
        Ok(Self {
            chance: Chance::new(seed),
            disk: SimDisk::new(),
            beside,
            engine: None,
            model: Model::default(),
            open: None,
            steps: 0,
        })
    }

    fn choose_end(&mut self) -> End {
        let chance = &mut self.chance;
        let at = self.disk.operations() + chance.below(160);
        let kind = [ErrorKind::Other, ErrorKind::StorageFull][chance.index(2)];
        let evicted = chance.once_in(2);
        match chance.below(8) {
            0..=2 => End::PowerCut(at),
            3..=4 => End::Kill(at),
            5 => End::Fault(at, Fault::Error(kind)),
            6 => End::Fault(at, Fault::ShortWrite(kind)),
            _ => End::Fault(at, Fault::LostSync { evicted }),
        }
    }

    /// Works until something fails or the operations are done.
    fn run(&mut self, end: End, operations: u64, tally: &mut Tally) -> Result<(), Failure> {
        match end {
            End::PowerCut(at) | End::Kill(at) => self.disk.power_off_at(at),
            End::Fault(at, fault) => {
                tally.faults += 1;
                self.disk.fail_at(at, fault);
            }
        }
        let before = self.disk.operations();
        let mut failed = false;
        for _ in 0..operations {
            if self.engine.is_none() {
                match open(&self.disk, &self.beside) {
                    Ok(engine) => self.engine = Some(engine),
                    // The end came while it was opened.
                    Err(_) => break,
                }
            }
            let op = self.model.choose(&mut self.chance);
            tally.operations += 1;
            if matches!(op, Op::Reopen) {
                self.engine = None;
                match failed {
                    true => break,
                    false => continue,
                }
            }
            let Some(engine) = &self.engine else { break };
            match perform(engine, &op) {
                Ok(()) if failed && !matches!(op, Op::Checkpoint) => {
                    return Err(Failure::Wrong(format!("{op:?} was taken after a failure")));
                }
                Ok(()) => self.model.apply(&op),
                Err(_) if failed => break,
                Err(_) => {
                    // Once more, to see that nothing is taken any more.
                    failed = true;
                    self.open = Some(op);
                }
            }
        }
        self.steps = self.disk.operations() - before;
        tally.disk_steps += self.steps;
        self.engine = None;
        Ok(())
    }

    /// The next life begins; recovery itself may be cut short a few times.
    fn reopen(&mut self, end: End, tally: &mut Tally) -> Result<(), Failure> {
        self.end(end, tally);
        for _ in 0..self.chance.below(3) {
            let at = self.disk.operations() + self.chance.below(12);
            self.disk.power_off_at(at);
            drop(open(&self.disk, &self.beside));
            let end = match self.chance.once_in(2) {
                true => End::PowerCut(0),
                false => End::Kill(0),
            };
            self.end(end, tally);
        }
        if self.chance.once_in(4) {
            self.read_badly(tally)?;
        }
        let engine = open(&self.disk, &self.beside)
            .map_err(|error| Failure::Lost(format!("it does not open: {error}")))?;
        let found = observe(&engine).map_err(Failure::Wrong)?;
        tally.answers += 1;
        self.expect(&found, self.open.as_ref())?;
        self.model = found;
        self.open = None;
        self.engine = Some(engine);
        Ok(())
    }

    /// Power is back, or the process starts again.
    fn end(&mut self, end: End, tally: &mut Tally) {
        match end {
            End::Kill(_) => {
                tally.simulated_kills += 1;
                self.disk.restart();
            }
            End::PowerCut(_) | End::Fault(..) => {
                tally.crashes += 1;
                self.disk = self.disk.crash(self.chance.next());
                // What is beside follows and may be gone, whole or in part.
                if self.chance.once_in(4) {
                    drop(std::fs::remove_dir_all(self.beside.join("tables")));
                }
            }
        }
    }

    /// Reads go wrong while it is opened: it must refuse, or be right. Either way it changes nothing
    /// for the worse, which the next opening shows.
    fn read_badly(&mut self, tally: &mut Tally) -> Result<(), Failure> {
        let fault = match self.chance.once_in(3) {
            true => Fault::Error(ErrorKind::Other),
            false => Fault::FlippedBit(self.chance.index(100_000)),
        };
        tally.faults += 1;
        let at = self.disk.reads() + self.chance.below(40);
        self.disk.fail_read_at(at, fault);
        let opened = open(&self.disk, &self.beside);
        self.disk.restart();
        if let Ok(engine) = opened
            && engine.quarantined().is_empty()
        {
            let found = observe(&engine).map_err(Failure::Wrong)?;
            tally.answers += 1;
            self.expect(&found, self.open.as_ref())?;
        }
        Ok(())
    }

    /// What is found must be what was acknowledged, with or without what was asked for last.
    fn expect(&self, found: &Model, open: Option<&Op>) -> Result<(), Failure> {
        if *found == self.model || *found == self.model.after(open) {
            return Ok(());
        }
        let told = format!(
            "found {found:?}\nacknowledged {:?}\nand perhaps {open:?}",
            self.model
        );
        Err(Failure::Lost(told))
    }

    /// An engine at work gives the same.
    fn look(&self, tally: &mut Tally) -> Result<(), Failure> {
        let Some(engine) = &self.engine else {
            return Ok(());
        };
        tally.answers += 1;
        self.expect(&observe(engine).map_err(Failure::Wrong)?, None)
    }

    /// A life without trouble at the end of all of them, and an orderly stop.
    fn finish(mut self, tally: &mut Tally) -> Result<(), Failure> {
        self.run(End::PowerCut(u64::MAX), 8, tally)?;
        if let Some(op) = &self.open {
            return Err(Failure::Wrong(format!("{op:?} is refused for good")));
        }
        let engine = open(&self.disk, &self.beside)
            .map_err(|error| Failure::Lost(format!("it does not open: {error}")))?;
        self.expect(&observe(&engine).map_err(Failure::Wrong)?, None)?;
        tally.answers += 1;
        let leftovers = self.disk.list(Path::new("/data/snapshots"));
        let leftovers = leftovers.map_err(|error| Failure::Wrong(error.to_string()))?;
        match leftovers.iter().find(|name| name.ends_with(".tmp")) {
            Some(name) => Err(Failure::Wrong(format!("{name} was left behind"))),
            None => Ok(()),
        }
    }
}

fn clear(dir: &Path) -> Result<(), Failure> {
    if dir.exists() {
        std::fs::remove_dir_all(dir).map_err(|error| Failure::Wrong(error.to_string()))?;
    }
    Ok(())
}
