//! Erasure: what has been deleted from a collection is in no file of the data folder any more.
//!
//! A record marks the place in the log. Then, in this order, so that a cut at any moment leaves what
//! recovery needs: the pictures in use are copied out of files that hold others too, the tables are
//! written anew, and checkpoints are taken until both manifests are behind the place; with them go
//! the log up to it, the snapshots and the restored backups from before. The old files of pictures
//! go last, when nothing names them, and with them what a repair had taken out of the log. A purge that was cut short is simply asked for again.
//!
//! Slots of an index are wiped when their point goes, and free parts of the file without a name are
//! given back to the disk. Writes wait while the tables are written anew, backups and restores for
//! all of it; searches go on.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use storage::{BlobRef, Blobs, CollectionId, Lsn, Record, Shelf, forget_given_up};

use crate::commit::Work;
use crate::decide::Basis;
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::options::Progress;
use crate::point::Ack;
use crate::shared::Shared;
use crate::sync::bounded;

/// Checkpoints that are taken at most until the log is behind; each waits for what was written
/// before it.
const CHECKPOINTS: usize = 100;
/// A mark in the log, tables and pictures, a checkpoint, those that follow it, old files.
const STEPS: u64 = 5;

/// What becomes of backups in the data folder that were made before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OldBackups {
    /// They stay, and the report names them.
    Keep,
    /// Those of this collection and those of everything go.
    Delete,
}

/// What a purge has done.
#[derive(Debug, Clone)]
pub struct PurgeReport {
    /// The collection.
    pub collection: String,
    /// All that was deleted or replaced up to here is gone.
    pub lsn: Lsn,
    /// When it was done, in seconds since 1970.
    pub at_s: u64,
    /// How long it took.
    pub seconds: f64,
    /// Files that have gone, by their paths in the data folder.
    pub removed: Vec<String>,
    /// Files that were written, likewise; the tables count as one.
    pub written: Vec<String>,
    /// Backups from before that are still there, and may hold what was deleted.
    pub backups_kept: Vec<String>,
}

/// What the applier has done while nothing was applied.
struct Rewritten {
    /// Collections whose snapshots may name pictures in files that will go: all that have pictures, if
    /// any go. A purge that came to no end may have moved them before, and left the snapshots.
    pictured: HashSet<CollectionId>,
    stale: Vec<u32>,
    /// The end of what is in files of the log that are not written to any more.
    sealed: Lsn,
}

impl Engine {
    /// Takes what was deleted from a collection, or replaced, out of all files. Other collections
    /// may have files rewritten too.
    pub fn purge(&self, collection: &str, backups: OldBackups) -> Result<PurgeReport, Error> {
        self.purge_watched(collection, backups, &mut |_, _| true)
    }

    /// The same, telling which of its steps are done. One that is to go no further ends between two
    /// steps, as a cut does there: what it has written anew stays, and nothing is promised gone.
    pub fn purge_watched(
        &self,
        collection: &str,
        backups: OldBackups,
        progress: Progress<'_>,
    ) -> Result<PurgeReport, Error> {
        let mut step = |done| match progress(done, STEPS) {
            true => Ok(()),
            false => Err(Error::Cancelled),
        };
        step(0)?;
        if self.shared().log_is_shared {
            return Err(Error::Shared("erasing what was deleted from all files"));
        }
        let started = Instant::now();
        let target = self.collection(collection)?;
        let _moving = self.moving.write();
        let before = self.files()?;
        let record = Record::Purge {
            collection: target.id,
        };
        let written = self.write(Basis::NOTHING, record, Ack::Applied);
        let lsn = written
            .map_err(|error| rename_missing(error, collection))?
            .lsn;
        step(1)?;
        self.write_anew(Some(target.id), &mut |done| step(1 + done))?;
        let shared = self.shared();
        forget_given_up(&*shared.disk, &shared.folder.log())?;
        let backups_kept = self.old_backups(&target.name, lsn, backups)?;
        let after = self.files()?;
        let missing = |a: &Files, b: &Files| {
            let names = a.keys().filter(|name| !b.contains_key(*name));
            names.cloned().collect::<Vec<_>>()
        };
        let mut files_written = missing(&after, &before);
        files_written.push("tables/".into());
        // Done; there is nothing left to be cancelled.
        let _ = progress(STEPS, STEPS);
        Ok(PurgeReport {
            collection: target.name.clone(),
            lsn,
            at_s: shared.disk.now_s(),
            seconds: started.elapsed().as_secs_f64(),
            removed: missing(&before, &after),
            written: files_written,
            backups_kept,
        })
    }

    /// Writes tables and pictures anew, and takes checkpoints until what was there before is behind
    /// both of them, the log too; with new snapshots of this collection in any case. `step` is told of
    /// each of the three steps, and may end it between two: `moving` is held by the caller.
    pub(crate) fn write_anew(
        &self,
        of: Option<CollectionId>,
        step: &mut dyn FnMut(u64) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut rewritten = self.rewrite()?;
        rewritten.pictured.extend(of);
        let checkpointer = self.checkpointer()?;
        let mut force = rewritten.pictured;
        for round in 0..CHECKPOINTS {
            step(1 + round.min(1) as u64)?;
            let behind = checkpointer.take_anew(&force)? > rewritten.sealed;
            // Both manifests must be younger than the new tables, each with snapshots of its own.
            match round {
                0 => {}
                _ if behind => break,
                _ => force.clear(),
            }
        }
        step(3)?;
        self.shared().plans.lock().release()?;
        Ok(self.shared().blobs.remove(&rewritten.stale)?)
    }

    /// Has the applier write tables and pictures anew between two groups.
    fn rewrite(&self) -> Result<Rewritten, Error> {
        let (reply, done) = bounded(1);
        let work = Box::new(move |shared: &Shared| {
            let rewritten = rewrite(shared);
            if let Err(error) = &rewritten
                && shared.tables.applied_lsn().is_err()
            {
                shared.latch_apply(&error.to_string());
            }
            drop(reply.send(rewritten));
        });
        self.work()?
            .send(Work::Alone(work))
            .map_err(|_| Error::Stopped)?;
        done.recv().map_err(|_| match self.shared().read_only() {
            Some(error) => error,
            None => Error::Stopped,
        })?
    }

    /// The names of backups that were made before a purge and are still there.
    fn old_backups(&self, name: &str, lsn: Lsn, what: OldBackups) -> Result<Vec<String>, Error> {
        let backups = &self.shared().backups;
        let shelves = [
            (
                Shelf::Collection(name),
                format!("backups/collections/{name}"),
            ),
            (Shelf::Full, "backups/full".to_owned()),
        ];
        let mut kept = Vec::new();
        for (shelf, folder) in shelves {
            let files = backups.list(shelf)?.into_iter();
            for file in files.filter(|file| file.lsn.is_none_or(|made| made < lsn)) {
                match what {
                    OldBackups::Keep => kept.push(format!("{folder}/{}", file.name)),
                    OldBackups::Delete => {
                        backups.remove(shelf, &file.name)?;
                    }
                }
            }
        }
        Ok(kept)
    }

    /// The files of the data folder that come and go by name.
    fn files(&self) -> Result<Files, Error> {
        let shared = self.shared();
        let folder = &shared.folder;
        let folders = [
            ("", folder.dir().to_owned()),
            ("log/", folder.log()),
            ("snapshots/", folder.snapshots()),
            ("blobs/", folder.blobs()),
            ("restores/", folder.restores()),
            ("plans/", folder.plans()),
        ];
        let mut files = Files::new();
        for (prefix, dir) in folders {
            let names = shared.disk.list(&dir);
            let names = names.map_err(|e| Error::Corrupt(format!("{}: {e}", dir.display())))?;
            let files_of = names.into_iter().filter(|name| !dir.join(name).is_dir());
            files.extend(files_of.map(|name| (format!("{prefix}{name}"), ())));
        }
        // Tables that could not be used, kept for whoever wants to look.
        if folder.tables().with_file_name("tables.broken").is_dir() {
            files.insert("tables.broken/".into(), ());
        }
        Ok(files)
    }
}

type Files = BTreeMap<String, ()>;

fn rewrite(shared: &Shared) -> Result<Rewritten, Error> {
    let mut used: HashMap<u32, u64> = HashMap::new();
    let mut pictured = HashSet::new();
    shared.tables.each_face(&mut |collection, _, face| {
        for place in [&face.crop, &face.photo].into_iter().flatten() {
            *used.entry(place.file).or_default() += Blobs::bytes_of(place);
            pictured.insert(collection);
        }
        Ok(())
    })?;
    let stale = shared.blobs.stale(&used)?;
    let mut copy = |collection, id, place: BlobRef| match stale.contains(&place.file) {
        true => shared.blobs.copy(&place, collection, &id),
        false => Ok(place),
    };
    // What the new tables name must be durable before they are: a cut may come at any moment.
    let sealed = {
        let mut log = shared.log.lock();
        log.rotate().map_err(|error| {
            shared.latch(&error.to_string());
            Error::ReadOnly(error.to_string())
        })?;
        log.last_lsn()
    };
    // A sync that failed may have lost what it should have saved: no checkpoint may follow it.
    let mut settle = || {
        let synced = shared.blobs.sync();
        synced.inspect_err(|error| shared.latch(&error.to_string()))
    };
    shared.tables.rewrite(&mut copy, &mut settle)?;
    if stale.is_empty() {
        pictured.clear();
    }
    Ok(Rewritten {
        pictured,
        stale,
        sealed,
    })
}
