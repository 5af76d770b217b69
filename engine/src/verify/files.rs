//! Every checksum of log, manifests, snapshots and backups.

use std::collections::HashMap;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use storage::{
    BackupReader, Backups, CollectionEntry, Disk, LogState, Lsn, Manifests, OsDisk, Shelf,
    SnapshotReader, examine_log, read_rows,
};

use super::{Remedy, Verdict};
use crate::error::Error;
use crate::sections;

/// What the files are like.
pub(super) struct Seen {
    /// There is a checkpoint that is whole with all that it names, or none was ever taken.
    whole: bool,
}

impl Seen {
    /// What can be done where a start is refused for this reason.
    pub(super) fn remedy(&self, error: &Error) -> Remedy {
        match (is_damage(error), self.whole) {
            (true, true) => Remedy::AcceptLoss,
            (true, false) => Remedy::RestoreFolder,
            (false, _) => Remedy::MakeReadable,
        }
    }
}

/// Whether bytes are wrong, and not the disk, the rights or the program.
fn is_damage(error: &Error) -> bool {
    match error {
        Error::Corrupt(_) => true,
        Error::Storage(error) => matches!(**error, storage::Error::Corrupt { .. }),
        _ => false,
    }
}

/// Reads all files but tables and blobs.
pub(super) fn read(
    dir: &Path,
    store: u128,
    of_a_node: bool,
    verdict: &mut Verdict,
) -> Result<Seen, Error> {
    let (base, damaged) = checkpoints(dir, store, verdict)?;
    let seen = Seen {
        whole: base.is_some() || damaged.is_empty(),
    };
    for error in damaged {
        verdict.find(error, Remedy::Spare);
    }
    if of_a_node {
        return Ok(seen);
    }
    match examine_log(&OsDisk, &dir.join("log"), store) {
        Ok(log) => tell_log(&dir.join("log"), &log, verdict),
        Err(error) => {
            let error = error.into();
            verdict.find(&error, seen.remedy(&error));
        }
    }
    Ok(seen)
}

/// What is in a log that can be read, and what is missing of it.
fn tell_log(dir: &Path, log: &LogState, verdict: &mut Verdict) {
    verdict.log = Some((log.first, log.last));
    let dir = dir.display();
    if log.segments == 0 {
        let what = format!("{dir}: no log is there, and every start leaves one");
        verdict.find(what, Remedy::LookWhatIsThere);
    }
    if let Err(why) = log.witness {
        let what = format!(
            "{dir}/witness: {why}, so nothing says how far the log was synced, and whether records after LSN {} are \
             missing",
            log.last
        );
        verdict.find(what, Remedy::LookWhatIsThere);
    }
    if let Some(cut) = &log.torn {
        let told = match log.witness {
            Ok(_) => "a write that nobody was told of",
            Err(_) => "a last write, of which somebody may have been told",
        };
        let what = format!(
            "{}: torn at byte {}: {} bytes of {told}",
            cut.path.display(),
            cut.offset,
            cut.bytes
        );
        verdict.find(what, Remedy::Start);
    }
}

/// Every checksum of the backups that lie in the folder, for as long as `go_on` says so.
///
/// # Errors
/// It does not any more; or the folder cannot be listed.
pub(super) fn read_backups(
    backups: &Backups,
    verdict: &mut Verdict,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(), Error> {
    let names = backups.collections()?;
    let shelves = names.iter().map(|name| Shelf::Collection(name));
    for shelf in shelves.chain([Shelf::Full]) {
        for file in backups.list(shelf)? {
            let Some(path) = backups.path(shelf, &file.name) else {
                continue;
            };
            let read = BackupReader::open(backups.disk(), &path);
            match read.and_then(|backup| backup.verify_while(go_on)) {
                Ok(true) => {}
                Ok(false) => return Err(Error::Cancelled),
                // Somebody has removed it since it was listed.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => verdict.find(error, Remedy::MakeBackupAgain),
            }
            verdict.backups += 1;
            if let Err(error) = backups.sha256(shelf, &file.name) {
                verdict.find(error, Remedy::RemoveChecksum);
            }
        }
    }
    Ok(())
}

/// Where a log must at least begin that goes on from the newest checkpoint that is whole.
///
/// # Errors
/// There are checkpoints, but none is whole.
pub(super) fn log_needed_from(dir: &Path, store: u128) -> Result<Lsn, Error> {
    match checkpoints(dir, store, &mut Verdict::default())? {
        (Some(base), _) => Ok(base.next()),
        (None, damaged) => match damaged.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(Lsn(1)),
        },
    }
}

/// The newest checkpoint that is whole, and what is wrong with any.
fn checkpoints(
    dir: &Path,
    store: u128,
    verdict: &mut Verdict,
) -> Result<(Option<Lsn>, Vec<Error>), Error> {
    let (mut base, mut damaged) = (None, Vec::new());
    let mut known: HashMap<String, bool> = HashMap::new();
    for manifest in Manifests::examine(Arc::new(OsDisk), dir, store)? {
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                damaged.push(error.into());
                continue;
            }
        };
        let mut whole = true;
        for entry in &manifest.collections {
            whole &= *known.entry(entry.snapshot.file.clone()).or_insert_with(|| {
                match snapshot(dir, store, entry) {
                    Ok(()) => true,
                    Err(error) => {
                        damaged.push(error);
                        false
                    }
                }
            });
        }
        verdict.checkpoint = Some(manifest.lsn);
        base = if whole { Some(manifest.lsn) } else { base };
    }
    Ok((base, damaged))
}

/// Every section's checksum, and every row.
fn snapshot(dir: &Path, store: u128, entry: &CollectionEntry) -> Result<(), Error> {
    let path = dir.join("snapshots").join(&entry.snapshot.file);
    let reader = SnapshotReader::open(&OsDisk as &dyn Disk, &path, store)?;
    reader.verify()?;
    if reader.collection != entry.id {
        let path = path.display();
        return Err(Error::Corrupt(format!(
            "{path}: it holds another collection"
        )));
    }
    for row in read_rows(reader.part().section(sections::POINTS)?) {
        row.map_err(|error| Error::Corrupt(format!("{}: {error}", path.display())))?;
    }
    Ok(())
}
