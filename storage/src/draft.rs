//! A draft of a data folder: recovery can be tried on it, and the folder stays as it is.
//!
//! sled knows no disk but the operating system's, so its tables are copied; everything else is
//! read from the folder itself. The copies lie in the system's folder for temporary files.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use crate::disk::{Disk, DraftDisk};
use crate::error::Error;

/// A draft; what was written to it goes with it.
pub struct Draft {
    disk: Arc<DraftDisk>,
    beside: TempDir,
}

impl Draft {
    /// A draft of `dir` with a copy of its tables.
    pub fn of(dir: &Path) -> Result<Self, Error> {
        let draft = Self::without_tables()?;
        let tables = dir.join("tables");
        if tables.exists() {
            copy_folder(&tables, &draft.beside().join("tables"))?;
        }
        Ok(draft)
    }

    /// A draft in which the tables are missing, so that recovery builds them anew.
    pub fn without_tables() -> Result<Self, Error> {
        let scratch = std::env::temp_dir();
        let beside = tempfile::tempdir();
        let beside = beside.map_err(Error::io(&scratch, "make a temporary folder"))?;
        let disk = Arc::new(DraftDisk::new(beside.path()));
        Ok(Self { disk, beside })
    }

    /// What reads the folder and swallows writes.
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::clone(&self.disk) as Arc<dyn Disk>
    }

    /// Where tables and scratch file of the draft lie.
    pub fn beside(&self) -> &Path {
        self.beside.path()
    }
}

fn copy_folder(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir(to).map_err(Error::io(to, "make the folder"))?;
    for entry in fs::read_dir(from).map_err(Error::io(from, "list"))? {
        let entry = entry.map_err(Error::io(from, "list"))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        match source.is_dir() {
            true => copy_folder(&source, &target)?,
            false => {
                fs::copy(&source, &target).map_err(Error::io(&source, "copy"))?;
            }
        }
    }
    Ok(())
}
