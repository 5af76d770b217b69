//! One life of an engine on a simulated disk after another, and what must be found after each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use engine::Engine;
use storage::{Disk, Fault, SimDisk};

use super::model::Model;
use super::ops::Op;
use super::remains::remains;
use super::shelf::{BackupId, Shelf};
use super::tally::Tally;
use super::world::{backups, observe, open, perform};
use crate::chance::Chance;

/// The end of a life.
#[derive(Debug, Clone, Copy)]
pub(super) enum End {
    PowerCut(u64),
    Kill(u64),
    Fault(u64, Fault),
}

/// What went wrong.
pub(super) enum Failure {
    Lost(String),
    Wrong(String),
}

/// What was acknowledged.
#[derive(Clone, Default)]
pub(super) struct Known {
    pub(super) model: Model,
    pub(super) shelf: Shelf,
    /// Backups that were asked for and refused: each may have come to be.
    strays: usize,
    /// By collection: vectors that were in it and are not any more.
    gone: BTreeMap<String, BTreeSet<u64>>,
}

pub(super) struct Life {
    pub(super) chance: Chance,
    pub(super) disk: SimDisk,
    beside: PathBuf,
    engine: Option<Engine>,
    pub(super) known: Known,
    /// What was asked for and not acknowledged: it may have come to be.
    open: Option<Op>,
}

impl Life {
    /// A fresh disk.
    pub(super) fn begin(seed: u64, scratch: &Path) -> Result<Self, Failure> {
        Self::on(SimDisk::seeded(seed), Known::default(), seed, scratch)
    }

    /// A disk with something on it, and no tables beside it.
    pub(super) fn on(
        disk: SimDisk,
        known: Known,
        seed: u64,
        scratch: &Path,
    ) -> Result<Self, Failure> {
        let beside = scratch.join("beside");
        if beside.exists() {
            let cleared = std::fs::remove_dir_all(&beside);
            cleared.map_err(|error| Failure::Wrong(error.to_string()))?;
        }
        Ok(Self {
            chance: Chance::new(seed),
            disk,
            beside,
            engine: None,
            known,
            open: None,
        })
    }

    pub(super) fn choose_end(&mut self) -> End {
        let chance = &mut self.chance;
        let at = self.disk.operations() + chance.below(240);
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

    /// Works until something fails for good or the operations are done. `tell` hears of each
    /// operation before it is done.
    pub(super) fn run(
        &mut self,
        end: End,
        operations: u64,
        tally: &mut Tally,
        tell: &mut dyn FnMut(&SimDisk, &Known, &Op),
    ) -> Result<(), Failure> {
        match end {
            End::PowerCut(at) | End::Kill(at) => self.disk.power_off_at(at),
            End::Fault(at, fault) => {
                tally.faults += 1;
                self.disk.fail_at(at, fault);
            }
        }
        let before = self.disk.operations();
        for _ in 0..operations {
            if self.engine.is_none() {
                tell(&self.disk, &self.known, &Op::Reopen);
                match open(&self.disk, &self.beside) {
                    Ok(engine) => self.engine = Some(engine),
                    // The end came while it was opened.
                    Err(_) => break,
                }
            }
            let op = self.known.model.choose(&self.known.shelf, &mut self.chance);
            tally.operations += 1;
            tell(&self.disk, &self.known, &op);
            match self.step(&op)? {
                true => {}
                false => break,
            }
        }
        tally.disk_steps += self.disk.operations() - before;
        self.engine = None;
        Ok(())
    }

    /// One operation; `false` when there is no point in going on.
    fn step(&mut self, op: &Op) -> Result<bool, Failure> {
        let Some(engine) = &self.engine else {
            return Ok(false);
        };
        let stopped = engine.status().read_only.is_some();
        if matches!(op, Op::Reopen) {
            self.engine = None;
            return Ok(!stopped);
        }
        let outcome = perform(engine, &self.known.model, op);
        let latched = engine.status().read_only.is_some();
        match outcome {
            Ok(_) if stopped && self.known.model.after(Some(op)) != self.known.model => Err(
                Failure::Wrong(format!("{op:?} was taken after writing had stopped")),
            ),
            Ok(made) => {
                self.acknowledged(op, made)?;
                Ok(true)
            }
            // Once more was enough, to see that nothing is taken any more.
            Err(_) if stopped => Ok(false),
            Err(error) if !latched && !op.may_fail_alone() => Err(Failure::Wrong(format!(
                "{op:?} was refused, and the next one would not be: {error}"
            ))),
            Err(_) => {
                self.known.refused(op);
                if latched {
                    self.open = Some(op.clone());
                }
                Ok(true)
            }
        }
    }

    fn acknowledged(&mut self, op: &Op, made: Option<String>) -> Result<(), Failure> {
        let known = &mut self.known;
        let before = known.model.vector_numbers();
        known.model.apply(op);
        for (name, numbers) in before {
            let now = known.model.vector_numbers();
            let now = now.get(&name);
            let gone = numbers
                .into_iter()
                .filter(|n| !now.is_some_and(|now| now.contains(n)));
            known.gone.entry(name).or_default().extend(gone);
        }
        match op {
            Op::Backup(of) => known.shelf.put(*of, made.unwrap_or_default(), &known.model),
            Op::DropBackup(id) => known.shelf.remove(id),
            Op::Purge(name, backups) => {
                if *backups {
                    let before = |of: &Option<String>| of.as_deref().is_none_or(|of| of == *name);
                    known.shelf.forget(|(of, _)| before(of));
                }
                return self.purged(name);
            }
            _ => {}
        }
        Ok(())
    }

    /// What has been deleted from a collection is in no file any more.
    fn purged(&mut self, name: &str) -> Result<(), Failure> {
        let known = &mut self.known;
        let gone = known.gone.remove(name).unwrap_or_default();
        let live = known.model.vector_numbers();
        let elsewhere = |n: &u64| {
            let mut all = live.values().chain(known.gone.values());
            all.any(|numbers| numbers.contains(n)) || known.shelf.may_hold(*n)
        };
        let gone: Vec<u64> = gone.into_iter().filter(|n| !elsewhere(n)).collect();
        let found = remains(&self.disk, &self.beside, &gone).map_err(Failure::Wrong)?;
        match found {
            None => Ok(()),
            Some(what) => Err(Failure::Wrong(format!("after a purge of `{name}`: {what}"))),
        }
    }

    /// This operation was under way when it ended.
    pub(super) fn had_begun(&mut self, op: &Op) {
        self.known.refused(op);
        self.open = Some(op.clone());
    }

    /// The next life begins; recovery itself may be cut short a few times.
    pub(super) fn reopen(&mut self, end: End, tally: &mut Tally) -> Result<(), Failure> {
        let mut cut = !matches!(end, End::Kill(_));
        self.end(end, tally);
        for _ in 0..self.chance.below(3) {
            let at = self.disk.operations() + self.chance.below(12);
            self.disk.power_off_at(at);
            drop(open(&self.disk, &self.beside));
            let end = match self.chance.once_in(2) {
                true => End::PowerCut(0),
                false => End::Kill(0),
            };
            cut |= matches!(end, End::PowerCut(_));
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
        let backups = backups(&engine, &self.disk).map_err(Failure::Wrong)?;
        if let Some(id) = self.known.shelf.missing(&backups) {
            return Err(Failure::Lost(format!("backup {id:?}")));
        }
        let unknown: Vec<_> = self.known.shelf.unknown(&backups).cloned().collect();
        if unknown.len() > self.known.strays {
            return Err(Failure::Wrong(format!("nobody made backups {unknown:?}")));
        }
        self.known.settle(&backups, unknown, cut);
        self.known.model = found;
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
        let model = &self.known.model;
        if found == model || *found == model.after(open) {
            return Ok(());
        }
        let told = format!("found {found:?}\nacknowledged {model:?}\nand perhaps {open:?}");
        Err(Failure::Lost(told))
    }

    /// An engine at work gives the same.
    pub(super) fn look(&self, tally: &mut Tally) -> Result<(), Failure> {
        let Some(engine) = &self.engine else {
            return Ok(());
        };
        tally.answers += 1;
        self.expect(&observe(engine).map_err(Failure::Wrong)?, None)
    }

    /// A life without trouble at the end of all of them, and an orderly stop.
    pub(super) fn finish(mut self, tally: &mut Tally) -> Result<(), Failure> {
        self.run(End::PowerCut(u64::MAX), 8, tally, &mut |_, _, _| {})?;
        if let Some(op) = &self.open {
            return Err(Failure::Wrong(format!("{op:?} is refused for good")));
        }
        let engine = open(&self.disk, &self.beside)
            .map_err(|error| Failure::Lost(format!("it does not open: {error}")))?;
        self.expect(&observe(&engine).map_err(Failure::Wrong)?, None)?;
        tally.answers += 1;
        drop(engine);
        tally.note(self.disk.trace());
        let leftovers = self.disk.list(Path::new("/data/snapshots"));
        let leftovers = leftovers.map_err(|error| Failure::Wrong(error.to_string()))?;
        match leftovers.iter().find(|name| name.ends_with(".tmp")) {
            Some(name) => Err(Failure::Wrong(format!("{name} was left behind"))),
            None => Ok(()),
        }
    }
}

impl Known {
    /// After a look. What was refused is settled by a power cut: until then its file may be gone
    /// and its folder not synced.
    fn settle(&mut self, backups: &[BackupId], unknown: Vec<BackupId>, cut: bool) {
        self.strays -= unknown.len();
        self.shelf.learn(unknown);
        if cut {
            self.strays = 0;
            self.shelf.forget(|id| !backups.contains(id));
        }
    }

    fn refused(&mut self, op: &Op) {
        match op {
            Op::Backup(_) => self.strays += 1,
            Op::DropBackup(id) => self.shelf.doubt(|other| other == id),
            Op::Purge(name, true) => {
                let before = |of: &Option<String>| of.as_deref().is_none_or(|of| of == *name);
                self.shelf.doubt(|(of, _)| before(of));
            }
            _ => {}
        }
    }
}
