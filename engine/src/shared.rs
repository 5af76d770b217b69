//! What the engine's threads and its callers share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use hnsw::Scratch;
use parking_lot::Mutex;
use storage::{Backups, Blobs, DataFolder, Disk, Log, Lsn, Tables};

use crate::backup::Restores;
use crate::catalog::Catalog;
use crate::options::{Event, Options};
use crate::watch::Watches;

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
    /// Backups that were made here.
    pub(crate) backups: Backups,
    /// Backups that records of the log restore.
    pub(crate) restores: Restores,
    /// Who reads the tables as they were.
    pub(crate) watches: Watches,
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
}

impl Shared {
    pub(crate) fn new(
        options: Options,
        folder: DataFolder,
        disk: Arc<dyn Disk>,
        log: Box<dyn Log>,
        tables: Tables,
        blobs: Blobs,
        (catalog, scratch, restores): (Catalog, Scratch, Restores),
    ) -> Self {
        Self {
            backups: Backups::new(Arc::clone(&disk), folder.backups()),
            restores,
            watches: Watches::default(),
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
    }

    pub(crate) fn apply_failed(&self) -> bool {
        self.apply_failed.load(Ordering::Acquire)
    }

    pub(crate) fn observe(&self, event: Event) {
        self.options.observe(event);
    }
}
