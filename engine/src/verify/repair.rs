//! Mending a data folder that no one has open: what a start mends by itself, tables that a start
//! would not see are wrong, and, only if the loss is accepted, a log that goes on without what is
//! damaged. What is taken out of the log or out of use is kept beside it.

use std::fmt;
use std::path::Path;

use storage::{FolderLock, OsDisk, Tables, give_up_damaged};

use super::{Remedy, Verdict, files, verify};
use crate::engine::Engine;
use crate::error::Error;
use crate::options::Options;

/// Whether records that were acknowledged may be given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// None may.
    Refused,
    /// Those may that are damaged, and those after them.
    Accepted,
}

/// Something that [`repair`] does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The log goes on without what is damaged.
    GiveUp,
    /// The tables are moved aside.
    SetTablesAside,
    /// The folder is opened, which mends the rest, and a checkpoint taken.
    Start,
}

impl fmt::Display for Step {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Step::GiveUp => {
                "take what is damaged and all that follows it out of the log, into files beside it \
                 that end in .damaged"
            }
            Step::SetTablesAside => {
                "move the tables to `tables.broken`, so that they are built anew from snapshots \
                 and log"
            }
            Step::Start => "open the folder, which mends the rest, and take a checkpoint",
        })
    }
}

impl Verdict {
    /// What can be done here, in order.
    pub fn plan(&self, loss: Loss) -> Vec<Step> {
        let has = |remedy| self.findings.iter().any(|it| it.remedy == remedy);
        let gives_up = has(Remedy::AcceptLoss);
        let refused = [
            Remedy::RestoreFolder,
            Remedy::BeginAnew,
            Remedy::MakeReadable,
        ];
        let refused = refused.into_iter().any(has);
        if self.is_whole() || refused || (gives_up && loss == Loss::Refused) {
            return Vec::new();
        }
        let mut all = self.findings.iter();
        let mends = all.any(|it| it.remedy.loses_nothing() || it.remedy == Remedy::LookWhatIsThere);
        let steps = [
            (gives_up, Step::GiveUp),
            // They may know more than the log does then.
            (gives_up || has(Remedy::RebuildTables), Step::SetTablesAside),
            (gives_up || mends, Step::Start),
        ];
        let due = steps.into_iter().filter(|(due, _)| *due);
        due.map(|(_, step)| step).collect()
    }
}

/// Does what can be done about `found`, the verdict on this folder. Gives what was done, in
/// sentences, and a new verdict.
///
/// # Errors
/// The folder is in use, cannot be read or written, or a start is still refused.
pub fn repair(dir: &Path, found: &Verdict, loss: Loss) -> Result<(Vec<String>, Verdict), Error> {
    let mut done = Vec::new();
    for step in found.plan(loss) {
        match step {
            Step::GiveUp => give_up(dir, &mut done)?,
            Step::SetTablesAside => {
                let _lock = FolderLock::take(dir)?;
                Tables::set_aside(&dir.join("tables"))?;
                done.push("the tables were moved to `tables.broken`".to_owned());
            }
            Step::Start => start(dir, &mut done)?,
        }
    }
    Ok((done, verify(dir)?))
}

fn give_up(dir: &Path, done: &mut Vec<String>) -> Result<(), Error> {
    let lock = FolderLock::take(dir)?;
    let from = files::log_needed_from(dir, lock.store)?;
    let given = give_up_damaged(&OsDisk, &dir.join("log"), lock.store, from)?;
    done.push(format!("the log ends at LSN {} now", given.last));
    let moved = given.moved.iter();
    done.extend(moved.map(|path| format!("taken out of the log: {}", path.display())));
    Ok(())
}

fn start(dir: &Path, done: &mut Vec<String>) -> Result<(), Error> {
    let engine = Engine::open(Options {
        without_log: true,
        ..Options::new(dir)
    })?;
    if engine.status().tables_rebuilt.is_some() {
        done.push("the tables were built anew".to_owned());
    }
    // While a collection is kept from being served, nothing may be let go of.
    if engine.quarantined().is_empty() {
        let lsn = engine.checkpoint()?;
        done.push(format!("a checkpoint stands at LSN {lsn}"));
    }
    engine.shutdown()
}
