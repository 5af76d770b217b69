//! The log of a data folder: its own files, or one that several nodes follow.
//!
//! A folder stays with the log it began with: what its snapshots and tables hold came from there, and
//! positions of another log mean something else. A file in it, `FOLLOWS`, names the shared log, how far the
//! node had applied it where the log was found to end before that, so that no later start takes it for whole, and how it
//! stood at the last checkpoint: so that each start sees whether it is the same, also where it was purged.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{
    Bookmark, CopiedLog, DataFolder, FileLog, Log, Lsn, SeveredLog, ends_early, read_whole,
    replace_whole,
};

use crate::error::Error;
use crate::options::Options;
use crate::shared::Shared;

/// `kept`: the folder's newest checkpoint, from which it can be read where its shared log cannot be had.
pub(crate) fn open_log(
    options: &Options,
    folder: &DataFolder,
    kept: Option<Lsn>,
) -> Result<Box<dyn Log>, Error> {
    let log = open_either(options, folder, kept)?;
    if log.shared().is_none() {
        return Ok(log);
    }
    let (gone, last) = (log.broken(), kept.unwrap_or(Lsn(0)));
    let disk = Arc::clone(folder.disk());
    let stood = followed(folder.dir())?.and_then(|it| it.stood);
    let copied = CopiedLog::open(log, disk, folder.copy(), (folder.store(), last), stood)?;
    match gone {
        // Not even the copy has anything.
        Some(why) if copied.last_lsn() == Lsn(0) => Err(Error::Corrupt(format!(
            "{}: {why}; and the folder, which follows that log, holds nothing that could be read without it",
            folder.dir().display()
        ))),
        _ => Ok(Box::new(copied)),
    }
}

fn open_either(
    options: &Options,
    folder: &DataFolder,
    kept: Option<Lsn>,
) -> Result<Box<dyn Log>, Error> {
    let dir = folder.dir();
    let followed = followed(dir)?.map(|it| it.number);
    let severed = |number: u128, why: String| -> Result<Box<dyn Log>, Error> {
        let last = kept.unwrap_or(Lsn(0));
        Ok(Box::new(SeveredLog::new(number, last, why)))
    };
    match (&options.shared_log, followed) {
        (None, None) => own(options, folder),
        (None, Some(number)) if options.without_log => severed(
            number,
            "the shared log: it was not given, so that only the copy in this folder is read"
                .to_owned(),
        ),
        (None, Some(_)) => Err(refused(dir)),
        (Some(open), None) => {
            refuse_own(folder)?;
            let log = open(None)?;
            let number = log.shared().unwrap_or_default();
            note_applied(dir, number, Lsn(0))?;
            Ok(log)
        }
        (Some(open), Some(number)) => match open(Some(number)) {
            Ok(log) if log.shared() == Some(number) => Ok(log),
            // A shard's folder follows a log of its own.
            Ok(_) if options.without_log => severed(
                number,
                "the shared log: another was given, so that only the copy in this folder is read"
                    .to_owned(),
            ),
            Ok(_) => Err(Error::BadRequest(format!(
                "{}: the data folder follows another shared log than the one it was given: give it that \
                 one (look at `nats.stream` and `nats.servers`), or start with an empty folder",
                dir.display()
            ))),
            Err(error @ storage::Error::Gone(_)) => severed(number, error.to_string()),
            Err(error @ storage::Error::Unreachable(_)) if options.without_log => {
                severed(number, error.to_string())
            }
            Err(error) => Err(error.into()),
        },
    }
}

/// The log must go on where the checkpoint ends; what is wrong with a shared one that does not.
/// `waits`: it is no start where what is between was purged, as it may come to be in the store.
pub(crate) fn check_continuity(
    log: &dyn Log,
    checkpoint: Lsn,
    waits: bool,
) -> Result<Option<String>, Error> {
    if let Some(why) = log.rewritten() {
        return Ok(Some(why));
    }
    let (first, last) = (log.first_lsn(), log.last_lsn());
    let shared = log.shared().is_some() && checkpoint > Lsn(0);
    if first > checkpoint.next() {
        let has = checkpoint.max(log.copied_to());
        let between = format!(
            "begins at LSN {first} now, and this node has all up to {has}: what is between was purged, and no checkpoint \
             in the store goes up to there"
        );
        return match log.shared() {
            Some(_) if has > Lsn(0) && waits => Err(Error::Busy(format!(
                "the shared log {between}; a node that runs, has it and has the same `nats.checkpoints` puts one there \
                 within a minute; if none does, this one serves what it has"
            ))),
            Some(_) if has > Lsn(0) => Ok(Some(format!(
                "the shared log: it {between}; started again this node goes on once another has put one there"
            ))),
            // Nodes that have all put a checkpoint there.
            Some(_) => Err(Error::Busy(format!(
                "the shared log begins at LSN {first}: what comes before was purged, and no checkpoint in the store goes \
                 up to there; a node that runs, has it and has the same `nats.checkpoints` puts one there within a \
                 minute; where none does, docs/SCALING.md, \"When the log is damaged\", says how nodes go on"
            ))),
            None => Err(Error::Corrupt(format!(
                "the checkpoint ends at LSN {checkpoint}, but the log starts at {first}: records are missing"
            ))),
        };
    }
    if last < checkpoint {
        return match shared {
            true => Ok(Some(ends_early(last, checkpoint))),
            false => Err(Error::Corrupt(format!(
                "the log ends at LSN {last}, before the checkpoint at {checkpoint}: log files are missing"
            ))),
        };
    }
    Ok(None)
}

/// Says that a node has only what it holds by itself, and how far it had applied the shared log.
pub(crate) fn is_a_copy(shared: &Shared, why: String, (lsn, applied): (Lsn, Lsn)) -> (Lsn, Lsn) {
    let had_applied = applied.max(lsn);
    tracing::warn!(
        %lsn,
        %had_applied,
        why,
        "only what this node has by itself is there: all up to this LSN of the log that nodes share"
    );
    shared.reads_a_copy(why);
    (lsn, had_applied)
}

/// Whether the folder is a node's, which follows a log that is not in it.
pub(crate) fn is_of_a_node(dir: &Path) -> Result<bool, Error> {
    Ok(followed(dir)?.is_some())
}

fn refused(dir: &Path) -> Error {
    Error::BadRequest(format!(
        "{}: the data folder follows a log that several nodes share, which was not given: start \
         `doppel serve` with its address (`--log`)",
        dir.display()
    ))
}

fn own(options: &Options, folder: &DataFolder) -> Result<Box<dyn Log>, Error> {
    let disk = Arc::clone(&options.disk);
    let (log, cut) = FileLog::open(disk, &folder.log(), folder.store(), options.segment_bytes)?;
    if let Some(cut) = cut {
        tracing::warn!(file = %cut.path.display(), cut.offset, cut.bytes, "a torn tail of the log was cut");
    }
    Ok(Box::new(log))
}

fn mark(dir: &Path) -> PathBuf {
    dir.join("FOLLOWS")
}

/// A shared log, as a folder remembers it.
struct Followed {
    number: u128,
    /// It was applied up to here at least.
    applied: Lsn,
    /// How it stood at the last checkpoint.
    stood: Option<Bookmark>,
}

impl Followed {
    fn read(content: &[u8]) -> Option<Self> {
        let (number, rest) = content.split_first_chunk::<16>()?;
        let (applied, rest) = match rest {
            [] => (0, rest),
            rest => {
                let (applied, rest) = rest.split_first_chunk::<8>()?;
                (u64::from_le_bytes(*applied), rest)
            }
        };
        let stood = match rest {
            [] => None,
            rest => Some(Bookmark::from_bytes(rest)?),
        };
        Some(Self {
            number: u128::from_le_bytes(*number),
            applied: Lsn(applied),
            stood,
        })
    }

    fn write(&self, dir: &Path) -> Result<(), Error> {
        let mut content = self.number.to_le_bytes().to_vec();
        content.extend(self.applied.0.to_le_bytes());
        content.extend(self.stood.into_iter().flat_map(Bookmark::to_bytes));
        Ok(replace_whole(&mark(dir), &content)?)
    }
}

/// The log that the folder follows, if that is a shared one.
fn followed(dir: &Path) -> Result<Option<Followed>, Error> {
    let path = mark(dir);
    let Some(content) = read_whole(&path)? else {
        return Ok(None);
    };
    let read = Followed::read(&content);
    read.map(Some)
        .ok_or_else(|| Error::Corrupt(format!("{}: it names no log", path.display())))
}

/// Whether a folder follows a shared log already, as far as can be read.
pub fn follows_shared_log(dir: &Path) -> bool {
    !matches!(followed(dir), Ok(None))
}

/// How far a shared log was applied once, as far as the folder remembers.
pub(crate) fn applied_once(dir: &Path) -> Result<Lsn, Error> {
    Ok(followed(dir)?.map_or(Lsn(0), |it| it.applied))
}

/// Has the folder remember which log it follows, and how far it had been applied.
pub(crate) fn note_applied(dir: &Path, number: u128, applied: Lsn) -> Result<(), Error> {
    let stood = followed(dir)?.and_then(|it| it.stood);
    Followed {
        number,
        applied,
        stood,
    }
    .write(dir)
}

/// Has it remember how that log stands.
pub(crate) fn note_bookmark(dir: &Path, bookmark: Bookmark) -> Result<(), Error> {
    match followed(dir)? {
        Some(followed) if followed.stood != Some(bookmark) => Followed {
            stood: Some(bookmark),
            ..followed
        }
        .write(dir),
        _ => Ok(()),
    }
}

/// What a folder has of its own would be lost to a log that does not have it.
fn refuse_own(folder: &DataFolder) -> Result<(), Error> {
    for dir in [folder.log(), folder.snapshots()] {
        let names = folder.disk().list(&dir);
        let names = names.map_err(|error| Error::Corrupt(format!("{}: {error}", dir.display())))?;
        if !names.is_empty() {
            return Err(Error::BadRequest(format!(
                "{}: the data folder has a log of its own: start with an empty one, and bring the \
                 collections in with `doppel export` and `doppel import`",
                folder.dir().display()
            )));
        }
    }
    Ok(())
}
