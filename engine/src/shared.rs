//! What the engine's threads and its callers share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hnsw::Scratch;
use parking_lot::{Condvar, Mutex};
use storage::{Blobs, DataFolder, Disk, Log, Lsn, Tables};

use crate::catalog::Catalog;
use crate::error::Error;
use crate::options::{Event, Options};

/// The open data folder with everything in it.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) folder: DataFolder,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) log: Mutex<Box<dyn Log>>,
    pub(crate) tables: Tables,
    pub(crate) blobs: Blobs,
    pub(crate) catalog: Catalog,
    /// What vectors that are kept on disk lie in.
    pub(crate) scratch: Scratch,
    /// Snapshot files that are damaged: the next checkpoint writes others in their place.
    pub(crate) damaged: Mutex<HashSet<String>>,
    pub(crate) progress: Progress,
    latched: OnceLock<String>,
    /// The followers have stopped: what is durable from here on waits for a restart.
    apply_failed: AtomicBool,
}

/// How far the log and its followers are.
#[derive(Default)]
pub(crate) struct Progress {
    pub(crate) durable: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) checkpoint: AtomicU64,
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
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        folder: DataFolder,
        disk: Arc<dyn Disk>,
        log: Box<dyn Log>,
        tables: Tables,
        blobs: Blobs,
        (catalog, scratch): (Catalog, Scratch),
    ) -> Self {
        Self {
            options,
            folder,
            disk,
            log: Mutex::new(log),
            tables,
            blobs,
            catalog,
            scratch,
            damaged: Mutex::default(),
            progress: Progress::default(),
            latched: OnceLock::new(),
            apply_failed: AtomicBool::new(false),
        }
    }

    /// Where recovery has brought everything.
    pub(crate) fn start_at(&self, durable: Lsn, checkpoint: Lsn) {
        self.progress.durable.store(durable.0, Ordering::Release);
        self.progress.applied.store(durable.0, Ordering::Release);
        self.progress
            .checkpoint
            .store(checkpoint.0, Ordering::Release);
    }

    /// Stops all writing until a restart; the first reason stands.
    pub(crate) fn latch(&self, reason: &str) {
        if self.latched.set(reason.to_owned()).is_ok() {
            tracing::error!(reason, "writing has stopped until a restart");
        }
    }

    /// Why writing has stopped, if it has.
    pub(crate) fn read_only(&self) -> Option<String> {
        self.latched.get().cloned()
    }

    /// Stops the followers too: one of them has failed.
    pub(crate) fn latch_apply(&self, reason: &str) {
        self.apply_failed.store(true, Ordering::Release);
        self.latch(reason);
        self.progress.wake();
    }

    /// Waits until all that is durable now is applied.
    pub(crate) fn wait_applied(&self) -> Result<(), Error> {
        let durable = self.progress.durable.load(Ordering::Acquire);
        let mut waiting = self.progress.going_on.lock();
        while self.progress.applied.load(Ordering::Acquire) < durable {
            if let Some(reason) = self.read_only().filter(|_| self.apply_failed()) {
                return Err(Error::ReadOnly(reason));
            }
            self.progress.gone_on.wait(&mut waiting);
        }
        Ok(())
    }

    pub(crate) fn apply_failed(&self) -> bool {
        self.apply_failed.load(Ordering::Acquire)
    }

    pub(crate) fn observe(&self, event: Event) {
        self.options.observe(event);
    }
}
