//! The backups that records of the log restore: kept as long as such a record may be replayed.
//!
//! A file is made durable under its name before a record names it, and removed when both manifests
//! that are kept are at or after the record: then nobody replays it. What is found at a start and
//! was not replayed belongs to a record below the newest manifest, or to none; it is kept as if it
//! belonged to the last record of the log, which is on the safe side.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use storage::{BackupReader, Disk, Lsn};

use crate::collection::State;
use crate::error::Error;
use crate::sync::Mutex;

/// The folder of backups to be restored.
pub(crate) struct Restores {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// By file: the last record that may name it.
    needed: Mutex<BTreeMap<String, Lsn>>,
    /// Collections that have been loaded already, so that the applier need not.
    loaded: Mutex<BTreeMap<String, Vec<State>>>,
}

impl Restores {
    pub(crate) fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self {
            disk,
            dir,
            needed: Mutex::default(),
            loaded: Mutex::default(),
        }
    }

    /// Opens a backup that a record names.
    pub(crate) fn open(&self, file: &str) -> Result<BackupReader, Error> {
        Ok(BackupReader::open(&*self.disk, &self.dir.join(file))?)
    }

    /// Says that a record names this file.
    pub(crate) fn note(&self, file: &str, lsn: Lsn) {
        self.needed.lock().insert(file.to_owned(), lsn);
    }

    /// Whether there are files that a start may still need.
    pub(crate) fn keeps_any(&self) -> bool {
        !self.needed.lock().is_empty()
    }

    pub(crate) fn hand_over(&self, file: &str, loaded: Vec<State>) {
        self.loaded.lock().insert(file.to_owned(), loaded);
    }

    pub(crate) fn take(&self, file: &str) -> Option<Vec<State>> {
        self.loaded.lock().remove(file)
    }

    /// Removes what an upload left behind when the process ended; what else is not known yet is
    /// kept until `last` is behind both manifests.
    pub(crate) fn look(&self, last: Lsn) -> Result<(), Error> {
        for file in self.disk.list(&self.dir).map_err(|e| self.failed(e))? {
            if file.ends_with(".tmp") {
                self.remove(&file)?;
            } else {
                self.needed.lock().entry(file).or_insert(last);
            }
        }
        Ok(())
    }

    /// Removes the files that only records below `lsn` name. Returns how many.
    pub(crate) fn release_below(&self, lsn: Lsn) -> Result<usize, Error> {
        let mut needed = self.needed.lock();
        let done = needed.iter().filter(|(_, last)| **last < lsn);
        let done: Vec<String> = done.map(|(file, _)| file.clone()).collect();
        for file in &done {
            self.remove(file)?;
            needed.remove(file);
        }
        Ok(done.len())
    }

    fn remove(&self, file: &str) -> Result<(), Error> {
        let path = self.dir.join(file);
        match self.disk.remove(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            removed => removed.map_err(|error| self.failed(error)),
        }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::Corrupt(format!("{}: {error}", self.dir.display()))
    }
}
