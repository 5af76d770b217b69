//! What the engine's threads and its callers share.

use std::collections::HashSet;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

use hnsw::Scratch;
use storage::{Backups, Blobs, CopyState, DataFolder, Disk, Log, Lsn, Plans, Tables};

use crate::backup::Restores;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::lent::Uncopied;
use crate::options::{Event, Options};
use crate::sync::{AtomicBool, AtomicU64, Condvar, Mutex};
use crate::view::View;
use crate::watch::Watches;

/// The open data folder with everything in it.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) folder: DataFolder,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) log: Mutex<Box<dyn Log>>,
    /// How it stood when it was last looked at: who only wants to know does not wait for it.
    pub(crate) log_stands: Mutex<LogStands>,
    /// Whether other nodes write to the log too.
    pub(crate) log_is_shared: bool,
    pub(crate) tables: Tables,
    pub(crate) blobs: Blobs,
    pub(crate) catalog: Catalog,
    /// What vectors that are kept on disk lie in.
    pub(crate) scratch: Scratch,
    /// Snapshot files that are damaged: the next checkpoint writes others in their place.
    pub(crate) damaged: Mutex<HashSet<String>>,
    /// Why vectors cannot be copied from where snapshots have them: there are no checkpoints then.
    pub(crate) uncopied: Uncopied,
    /// Backups that were made here.
    pub(crate) backups: Backups,
    /// Backups that records of the log restore.
    pub(crate) restores: Restores,
    /// What inserts have worked out since the last checkpoint.
    pub(crate) plans: Mutex<Plans>,
    /// Who reads the tables as they were.
    pub(crate) watches: Watches,
    /// What was there at the last mark, until somebody asks for it.
    pub(crate) marked: Mutex<Option<View>>,
    pub(crate) progress: Progress,
    /// Why writing has stopped; the first reason stands.
    stopped: OnceLock<Error>,
    /// The disk takes nothing more: there are no checkpoints either.
    disk_failed: AtomicBool,
    /// The followers have stopped: what is durable from here on waits for a restart.
    apply_failed: AtomicBool,
}

/// How the log is.
#[derive(Debug, Clone, Default)]
pub(crate) struct LogStands {
    pub(crate) bytes: u64,
    pub(crate) copy: CopyState,
    /// Why nothing can be written to it for now.
    pub(crate) waits: Option<String>,
}

impl LogStands {
    fn of(log: &dyn Log) -> Self {
        Self {
            bytes: log.bytes(),
            copy: log.copy_state(),
            waits: log.waits(),
        }
    }
}

/// How far the log and its followers are.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) durable: AtomicU64,
    pub(crate) applied: AtomicU64,
    /// The last record that is durable and no mark; any from before the start may be none.
    pub(crate) changed: AtomicU64,
    pub(crate) checkpoint: AtomicU64,
    /// The last record whose writer was answered though it need not be applied yet.
    pub(crate) answered: AtomicU64,
    pub(crate) queued_bytes: AtomicU64,
    /// Since the last checkpoint.
    pub(crate) appended_bytes: AtomicU64,
    /// Held for a moment when `applied` goes on, for those who wait for it.
    going_on: Mutex<()>,
    gone_on: Condvar,
}

impl Progress {
    /// Everything up to here is applied.
    pub(crate) fn has_applied(&self, lsn: Lsn) {
        self.applied.store(lsn.0, Ordering::Release);
        self.wake();
    }

    fn wake(&self) {
        drop(self.going_on.lock());
        self.gone_on.notify_all();
    }

    /// Waits until all up to here is applied. `stopped` says why nothing will be, and whoever makes it
    /// say so wakes those who wait.
    fn wait_for(&self, lsn: u64, stopped: impl Fn() -> Option<Error>) -> Result<(), Error> {
        let mut waiting = self.going_on.lock();
        while self.applied.load(Ordering::Acquire) < lsn {
            if let Some(error) = stopped() {
                return Err(error);
            }
            self.gone_on.wait(&mut waiting);
        }
        Ok(())
    }
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        folder: DataFolder,
        disk: Arc<dyn Disk>,
        log: Box<dyn Log>,
        tables: Tables,
        blobs: Blobs,
        (catalog, scratch, restores, plans): (Catalog, Scratch, Restores, Mutex<Plans>),
    ) -> Self {
        Self {
            backups: Backups::new(Arc::clone(&disk), folder.backups()),
            restores,
            plans,
            watches: Watches::default(),
            marked: Mutex::new(None),
            options,
            folder,
            disk,
            log_is_shared: log.shared().is_some(),
            progress: Progress::default(),
            log_stands: Mutex::new(LogStands::of(&*log)),
            log: Mutex::new(log),
            tables,
            blobs,
            catalog,
            scratch,
            damaged: Mutex::default(),
            uncopied: Uncopied::default(),
            stopped: OnceLock::new(),
            disk_failed: AtomicBool::new(false),
            apply_failed: AtomicBool::new(false),
        }
    }

    /// Keeps how the log is, for who wants to know.
    pub(crate) fn looked_at(&self, log: &dyn Log) {
        *self.log_stands.lock() = LogStands::of(log);
    }

    /// Where recovery has brought everything.
    pub(crate) fn start_at(&self, durable: Lsn, checkpoint: Lsn) {
        self.progress.durable.store(durable.0, Ordering::Release);
        self.progress.applied.store(durable.0, Ordering::Release);
        self.progress.changed.store(durable.0, Ordering::Release);
        self.progress
            .checkpoint
            .store(checkpoint.0, Ordering::Release);
    }

    /// Stops all writing until a restart: the disk has failed.
    pub(crate) fn latch(&self, reason: &str) {
        self.disk_failed.store(true, Ordering::Release);
        self.stop(Error::ReadOnly(reason.to_owned()));
    }

    /// Stops all writing: nothing more can be read of the shared log. What has been applied is whole, so
    /// that checkpoints and backups are made of it.
    pub(crate) fn latch_log(&self, reason: String) {
        self.stop(Error::LogBroken(reason));
    }

    /// The same from the start on, of a node that has only what is in its folder. For who reads the folder by itself
    /// that is no error.
    pub(crate) fn reads_a_copy(&self, reason: String) {
        match self.options.without_log {
            // Nothing has stopped before a start has ended.
            true => drop(self.stopped.set(Error::LogBroken(reason))),
            false => self.latch_log(reason),
        }
    }

    fn stop(&self, error: Error) {
        let told = error.to_string();
        if self.stopped.set(error).is_ok() {
            tracing::error!("{told}");
        }
    }

    /// Why writing has stopped, if it has.
    pub(crate) fn read_only(&self) -> Option<Error> {
        self.stopped.get().cloned()
    }

    /// Why no checkpoint can be made, if that is so.
    pub(crate) fn disk_failed(&self) -> Option<Error> {
        let failed = self.disk_failed.load(Ordering::Acquire);
        self.read_only().filter(|_| failed)
    }

    /// Stops the followers too: one of them has failed.
    pub(crate) fn latch_apply(&self, reason: &str) {
        self.apply_failed.store(true, Ordering::Release);
        self.latch(reason);
        self.progress.wake();
    }

    /// Waits until all that is durable now is applied.
    pub(crate) fn wait_applied(&self) -> Result<(), Error> {
        self.wait_for(&self.progress.durable)
    }

    /// Waits until all is applied that any writer was answered about by now. Where all writers wait
    /// for theirs that is so, whatever else is on its way.
    pub(crate) fn wait_answered(&self) -> Result<(), Error> {
        match self.log_is_shared {
            true => self.wait_applied(),
            false => self.wait_for(&self.progress.answered),
        }
    }

    fn wait_for(&self, lsn: &AtomicU64) -> Result<(), Error> {
        let stopped = || self.read_only().filter(|_| self.apply_failed());
        self.progress.wait_for(lsn.load(Ordering::Acquire), stopped)
    }

    pub(crate) fn apply_failed(&self) -> bool {
        self.apply_failed.load(Ordering::Acquire)
    }

    pub(crate) fn observe(&self, event: Event) {
        self.options.observe(event);
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod interleavings {
    use super::*;

    #[test]
    fn nobody_waits_for_what_has_been_applied() {
        let life = || {
            let progress = Arc::new(Progress::default());
            let applier = Arc::clone(&progress);
            let applier = shuttle::thread::spawn(move || applier.has_applied(Lsn(1)));
            let waited = progress.wait_for(1, || None);
            assert!(waited.is_ok() && progress.applied.load(Ordering::Acquire) == 1);
            assert!(applier.join().is_ok());
        };
        shuttle::check_random(life, 1_000);
    }

    #[test]
    fn nobody_waits_for_an_applier_that_has_stopped() {
        let life = || {
            let progress = Arc::new(Progress::default());
            let stopped = Arc::new(AtomicBool::new(false));
            let (applier, says) = (Arc::clone(&progress), Arc::clone(&stopped));
            let applier = shuttle::thread::spawn(move || {
                says.store(true, Ordering::Release);
                applier.wake();
            });
            let why = || stopped.load(Ordering::Acquire).then_some(Error::Stopped);
            assert!(progress.wait_for(1, why).is_err());
            assert!(applier.join().is_ok());
        };
        shuttle::check_random(life, 1_000);
    }
}
