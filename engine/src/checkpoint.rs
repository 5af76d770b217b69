//! Checkpoints: "all up to LSN x is safe without the log".
//!
//! The order is what makes them right after any cut: the log goes on in a new segment; freeze at x;
//! snapshots of what has changed; tables and blobs synced; manifest; only then log segments and old
//! snapshots go, and only those that neither of the two newest manifests needs.

use std::collections::{HashMap, HashSet};
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use storage::{
    CollectionEntry, CollectionId, Disk, Lsn, Manifest, Manifests, PointId, PointRow,
    SnapshotReader, SnapshotRef, SnapshotWriter, sync_snapshots, write_row,
};

use crate::again::Again;
use crate::collection::{Collection, FrozenCollection};
use crate::commit::Work;
use crate::convert;
use crate::error::Error;
use crate::log_of::note_bookmark;
use crate::options::{Event, Progress};
use crate::recover::verify_snapshots;
use crate::sections;
use crate::shared::Shared;
use crate::sync::{Mutex, Receiver, RecvTimeoutError, Sender, bounded};

/// How often the thread looks whether a checkpoint is due.
const TICK: Duration = Duration::from_millis(500);

/// Everything as it stands between two groups.
pub(crate) struct FrozenState {
    pub(crate) lsn: Lsn,
    pub(crate) next_collection: u64,
    pub(crate) collections: Vec<(Arc<Collection>, FrozenCollection)>,
    pub(crate) aliases: Vec<(String, CollectionId)>,
}

impl FrozenState {
    /// Of one collection or of all. Taken by the applier, so that nothing changes meanwhile.
    pub(crate) fn take(shared: &Shared, only: Option<CollectionId>) -> Self {
        let freeze = |collection: Arc<Collection>| {
            let frozen = collection.freeze();
            (collection, frozen)
        };
        Self {
            lsn: Lsn(shared.progress.applied.load(Ordering::Acquire)),
            next_collection: shared.catalog.next_id().0,
            collections: shared
                .catalog
                .all()
                .into_iter()
                .filter(|collection| only.is_none_or(|only| only == collection.id))
                .map(freeze)
                .collect(),
            aliases: shared.catalog.aliases().into_iter().collect(),
        }
    }
}

/// What the checkpoints that are kept are like.
#[derive(Default)]
pub(crate) struct Looked {
    /// How many were read.
    pub(crate) snapshots: usize,
    /// Whether these are all.
    pub(crate) complete: bool,
    /// What is damaged, and how.
    pub(crate) damaged: Vec<String>,
    /// The collections that have a damaged snapshot.
    pub(crate) whose: HashSet<CollectionId>,
}

/// Takes checkpoints, one at a time.
pub(crate) struct Checkpointer {
    shared: Arc<Shared>,
    work: Sender<Work>,
    manifests: Mutex<Manifests>,
}

impl Checkpointer {
    pub(crate) fn new(shared: Arc<Shared>, work: Sender<Work>, manifests: Manifests) -> Self {
        Self {
            shared,
            work,
            manifests: Mutex::new(manifests),
        }
    }

    /// The way to the applier.
    pub(crate) fn work(&self) -> &Sender<Work> {
        &self.work
    }

    /// Runs until `stop` is closed, taking a checkpoint whenever one is due.
    pub(crate) fn run(&self, stop: &Receiver<()>) {
        let mut last = Instant::now();
        let (mut is_checked, mut own_at) = (false, Some(Instant::now()));
        let mut again = Again::default();
        while let Err(RecvTimeoutError::Timeout) = stop.recv_timeout(TICK) {
            if !is_checked {
                // Here, so that no stop has to wait for it.
                self.check_spare(&mut self.manifests.lock());
                is_checked = true;
            }
            if own_at.is_some_and(|at| at <= Instant::now()) {
                own_at = self.own_vectors(stop, last);
            }
            let due = self.is_due(last) || self.has_begun_elsewhere();
            if self.shared.disk_failed().is_some() || !due || !again.is_due(Instant::now()) {
                continue;
            }
            let failed = self.take().err();
            last = Instant::now();
            let is_news = again.tried(failed.as_ref().map(Error::to_string), last);
            // What keeps vectors from being copied has been told.
            let told = self.shared.uncopied.why().map(|why| why.to_string());
            let untold = failed.filter(|it| is_news && told != Some(it.to_string()));
            if let Some(error) = untold {
                tracing::error!(%error, "the checkpoint failed");
            }
        }
    }

    fn is_due(&self, last: Instant) -> bool {
        let progress = &self.shared.progress;
        let applied = progress.applied.load(Ordering::Acquire);
        let written = applied > progress.checkpoint.load(Ordering::Acquire);
        let bytes = progress.appended_bytes.load(Ordering::Relaxed);
        let options = &self.shared.options;
        written
            && self.shared.catalog.quarantined().is_empty()
            && (bytes >= self.log_allowed()
                || last.elapsed() >= options.checkpoint_interval
                // Of a log that is damaged: the folder is to hold all without it.
                || self.shared.read_only().is_some())
    }

    /// Whether this node has begun with what another had, and still keeps that: its own two checkpoints take the place.
    fn has_begun_elsewhere(&self) -> bool {
        let shared = &self.shared;
        shared.log_is_shared
            && shared.restores.keeps_any()
            && shared.catalog.quarantined().is_empty()
    }

    /// How many bytes the log may grow by before a checkpoint is due.
    fn log_allowed(&self) -> u64 {
        let manifests = self.manifests.lock();
        let newest = manifests.newest().into_iter();
        let snapshots = newest.flat_map(|newest| &newest.collections);
        let bytes = snapshots.map(|entry| entry.snapshot.bytes).sum::<u64>();
        log_allowed(bytes, self.shared.options.checkpoint_log_bytes)
    }

    /// Takes a checkpoint now; a failure of the disk latches. While a collection is quarantined
    /// there are no checkpoints: they would leave behind the records that its snapshot lacks.
    pub(crate) fn take(&self) -> Result<Lsn, Error> {
        self.take_with(&mut self.manifests.lock(), None)
    }

    /// Takes one even if nothing has changed, with new snapshots of these collections. Returns the
    /// position below which no manifest needs the log any more.
    pub(crate) fn take_anew(&self, anew: &HashSet<CollectionId>) -> Result<Lsn, Error> {
        let mut manifests = self.manifests.lock();
        self.take_with(&mut manifests, Some(anew))?;
        Ok(manifests.release_below())
    }

    /// Copies vectors that are used where they stand in snapshots since the start, and rests as long as
    /// that takes. Leaves off when a checkpoint is due. When to go on, if there are more.
    fn own_vectors(&self, stop: &Receiver<()>, checkpoint: Instant) -> Option<Instant> {
        let mut last = Instant::now();
        self.shared.own_some(&mut || {
            let rested = stop.recv_timeout(last.elapsed());
            last = Instant::now();
            matches!(rested, Err(RecvTimeoutError::Timeout)) && !self.is_due(checkpoint)
        })
    }

    /// Looks into the checkpoint before the newest, which the start has left for later.
    fn check_spare(&self, manifests: &mut Manifests) {
        let shared = &*self.shared;
        let (snapshots, store) = (shared.folder.snapshots(), shared.folder.store());
        let usable = |manifest: &Manifest| {
            verify_snapshots((&*shared.disk, &snapshots), store, manifest, |_| ())
        };
        if let Some(error) = manifests.check_spare(&usable) {
            tracing::warn!(%error, "the checkpoint before the last cannot be used");
        }
    }

    /// Reads the checkpoints that are kept, and every snapshot that they have, for as long as `progress` says
    /// so. Others wait.
    pub(crate) fn examine(&self, progress: Progress<'_>) -> Result<Looked, Error> {
        let manifests = self.manifests.lock();
        let shared = &*self.shared;
        let (dir, store) = (shared.folder.dir(), shared.folder.store());
        let kept = manifests.older().into_iter().chain(manifests.newest());
        let entries: Vec<_> = kept.clone().flat_map(|it| &it.collections).collect();
        let mut looked = Looked::default();
        let mut there = Vec::new();
        for read in Manifests::examine(Arc::clone(&shared.disk), dir, store)? {
            match read {
                Ok(manifest) => there.push(manifest),
                Err(error) => looked.damaged.push(error.to_string()),
            }
        }
        for lost in kept.filter(|kept| !there.contains(kept)) {
            let what = format!("the checkpoint at LSN {} cannot be read any more", lost.lsn);
            looked.damaged.push(what);
        }
        for (done, entry) in (0..).zip(&entries) {
            let mut go_on = || progress(done, entries.len() as u64);
            let path = shared.folder.snapshots().join(&entry.snapshot.file);
            let read = SnapshotReader::open(&*shared.disk, &path, store);
            match read.and_then(|snapshot| snapshot.verify_while(&mut go_on)) {
                Ok(true) => {}
                Ok(false) => return Ok(looked),
                Err(error) => {
                    looked.whose.insert(entry.id);
                    looked.damaged.push(error.to_string());
                }
            }
            looked.snapshots += 1;
        }
        looked.complete = true;
        Ok(looked)
    }

    fn take_with(
        &self,
        manifests: &mut Manifests,
        anew: Option<&HashSet<CollectionId>>,
    ) -> Result<Lsn, Error> {
        self.check_spare(manifests);
        if let Some(quarantined) = self.shared.catalog.quarantined().first() {
            return Err(quarantined.refusal());
        }
        if let Some(error) = self.shared.disk_failed() {
            return Err(error);
        }
        let applied = self.shared.progress.applied.load(Ordering::Acquire);
        if anew.is_some()
            || manifests
                .newest()
                .is_none_or(|newest| newest.lsn.0 != applied)
        {
            self.shared.own_all()?;
        }
        self.rotate_log()?;
        let (reply, frozen) = bounded(1);
        self.work
            .send(Work::Freeze(reply))
            .map_err(|_| Error::Stopped)?;
        let frozen = frozen.recv().map_err(|_| Error::Stopped)?;
        // Where there is no spare, one is made, even if nothing has changed.
        let newest = manifests.newest();
        if anew.is_none()
            && newest.is_some_and(|newest| newest.lsn == frozen.lsn)
            && manifests.older().is_some()
            && self.shared.damaged.lock().is_empty()
        {
            return Ok(frozen.lsn);
        }
        self.shared
            .progress
            .appended_bytes
            .store(0, Ordering::Relaxed);
        let none = HashSet::new();
        self.write(manifests, frozen, anew.unwrap_or(&none))
            .inspect_err(|error| self.shared.latch(&error.to_string()))
    }

    /// Ends the segment that is written to, so that all in it goes with the checkpoint after this one.
    /// Before the state is frozen: what has been written until now is below where it stands then, but
    /// for a group that is on its way to the applier, whose segment goes one checkpoint later.
    fn rotate_log(&self) -> Result<(), Error> {
        let rotated = self.shared.log.lock().rotate();
        Ok(rotated.inspect_err(|error| self.shared.latch(&error.to_string()))?)
    }

    fn write(
        &self,
        manifests: &mut Manifests,
        frozen: FrozenState,
        anew: &HashSet<CollectionId>,
    ) -> Result<Lsn, Error> {
        let started = Instant::now();
        let shared = &*self.shared;
        let (mut entries, mut bytes) = (Vec::new(), 0);
        let there = There::of(manifests);
        for (collection, state) in &frozen.collections {
            let kept = there.snapshot(collection, state);
            let kept = kept.filter(|_| !anew.contains(&collection.id));
            let kept = kept.filter(|kept| !shared.damaged.lock().contains(&kept.file));
            let snapshot = match kept {
                Some(snapshot) => snapshot.clone(),
                None => {
                    let file = there.free_name(collection, frozen.lsn);
                    let snapshot = write_snapshot(shared, collection, state, frozen.lsn, file)?;
                    bytes += snapshot.bytes;
                    snapshot
                }
            };
            let config = convert::config(&collection.name, &state.settings)?;
            entries.push(CollectionEntry {
                id: collection.id,
                config,
                snapshot,
            });
        }
        if bytes > 0 {
            sync_snapshots(&*shared.disk, &shared.folder.snapshots())?;
        }
        shared.tables.flush_and_sync()?;
        shared.blobs.sync()?;
        let (lsn, next_collection) = (frozen.lsn, frozen.next_collection);
        manifests.write(Manifest {
            lsn,
            next_collection,
            collections: entries,
            aliases: frozen.aliases,
        })?;
        shared.progress.checkpoint.store(lsn.0, Ordering::Release);
        shared.damaged.lock().clear();
        if let Err(error) = shared.plans.lock().release() {
            tracing::warn!(%error, "what inserts had worked out before a checkpoint stays for now");
        }
        let stands = {
            let mut log = shared.log.lock();
            log.release_below(manifests.release_below())?;
            shared.looked_at(&**log);
            log.bookmark()
        };
        let noted = stands.map(|stands| note_bookmark(shared.folder.dir(), stands));
        if let Some(Err(error)) = noted {
            tracing::warn!(%error, "how the log that nodes share stands is not noted");
        }
        remove_unnamed(shared, manifests)?;
        shared.restores.release_below(manifests.release_below())?;
        shared.observe(Event::Checkpoint {
            lsn,
            duration: started.elapsed(),
            bytes,
        });
        Ok(lsn)
    }
}

/// A quarter of what a checkpoint writes, so that writing stays at five times the log at most, and what
/// a kill leaves to be replayed, as long as inserts take, is a quarter of the data: but no more than was
/// said, and not so little that small folders write all the time.
fn log_allowed(snapshots: u64, at_most: u64) -> u64 {
    const LITTLE: u64 = 8 << 20;
    (snapshots / 4).max(LITTLE).min(at_most)
}

/// The snapshots that the checkpoints which are kept have; looked up, because collections may be many.
struct There<'a> {
    files: HashSet<&'a str>,
    /// Those of the checkpoint before the last.
    older: HashMap<CollectionId, &'a SnapshotRef>,
}

impl<'a> There<'a> {
    fn of(manifests: &'a Manifests) -> Self {
        let older = manifests.older().into_iter();
        let older = older.flat_map(|manifest| &manifest.collections);
        Self {
            files: manifests.snapshots(),
            older: older.map(|it| (it.id, &it.snapshot)).collect(),
        }
    }

    /// The snapshot of the checkpoint before the last, if the collection has not changed since. Not
    /// that of the last: so the two checkpoints that are kept never share a file, and one damaged
    /// file costs nothing.
    fn snapshot(&self, of: &Collection, state: &FrozenCollection) -> Option<&'a SnapshotRef> {
        let snapshot = self.older.get(&of.id).copied();
        snapshot.filter(|snapshot| snapshot.changed == state.changed.0)
    }

    /// A file that no checkpoint has: others at the same LSN are for want of a spare, for what was
    /// written anew though nothing had changed, or of a checkpoint that a kill has left besides.
    fn free_name(&self, of: &Collection, lsn: Lsn) -> String {
        let name = |end: String| format!("{:010}-{:020}{end}.snap", of.id.0, lsn.0);
        let mut free = name(String::new());
        for other in 1_u32.. {
            if !self.files.contains(free.as_str()) {
                break;
            }
            free = name(format!("-{other}"));
        }
        free
    }
}

fn write_snapshot(
    shared: &Shared,
    collection: &Collection,
    state: &FrozenCollection,
    lsn: Lsn,
    file: String,
) -> Result<SnapshotRef, Error> {
    let path = shared.folder.snapshots().join(&file);
    let disk = Arc::clone(&shared.disk);
    let mut writer =
        SnapshotWriter::create(disk, &path, shared.folder.store(), collection.id, lsn)?;
    sections::write_quick_state(state, |name, fill| writer.section(name, fill))?;
    // The tables go on changing: rows may be newer than `lsn`. The replay after it mends that.
    writer.section(sections::POINTS, |out| {
        write_points(out, shared, collection, &state.ids)
    })?;
    let bytes = writer.finish()?;
    Ok(SnapshotRef {
        file,
        changed: state.changed.0,
        bytes,
    })
}

fn write_points(
    out: &mut dyn Write,
    shared: &Shared,
    collection: &Collection,
    ids: &[Option<PointId>],
) -> io::Result<()> {
    for id in ids.iter().flatten() {
        let payload = shared.tables.payload(collection.id, id)?;
        // Gone meanwhile: the record that removed it is replayed.
        let Some(payload) = payload else { continue };
        let face = shared.tables.face(collection.id, id)?;
        write_row(
            out,
            PointRow {
                id: *id,
                payload,
                face,
            },
        )?;
    }
    Ok(())
}

/// Removes snapshots that no kept manifest names, and what a crash left half written.
pub(crate) fn remove_unnamed(shared: &Shared, manifests: &Manifests) -> Result<(), Error> {
    // Whoever mends something by hand shall find everything.
    if !shared.damaged.lock().is_empty() {
        return Ok(());
    }
    remove_unnamed_in(&*shared.disk, &shared.folder.snapshots(), manifests)
}

fn remove_unnamed_in(disk: &dyn Disk, dir: &Path, manifests: &Manifests) -> Result<(), Error> {
    let fail = |error: io::Error| Error::Corrupt(format!("{}: {error}", dir.display()));
    let named = manifests.snapshots();
    for name in disk.list(dir).map_err(fail)? {
        if !named.contains(name.as_str()) {
            disk.remove(&dir.join(&name)).map_err(fail)?;
        }
    }
    disk.sync_dir(dir).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::log_allowed;

    #[test]
    fn the_log_may_grow_by_a_quarter_of_the_data_between_two_bounds() {
        const MIB: u64 = 1 << 20;
        let cases = [(0, 8), (30, 8), (400, 100), (1_024, 256), (9_000, 256)];
        for (snapshots, allowed) in cases {
            assert_eq!(log_allowed(snapshots * MIB, 256 * MIB), allowed * MIB);
        }
        assert_eq!(log_allowed(400 * MIB, 10), 10, "no more than was said");
    }
}
