//! Power cuts of a real process: a preloaded shim (`shim.c`) writes down what the process does to its
//! data folder; after a kill the folder is made anew of what was synced, and of whatever chance says
//! of the rest. The tables of sled are in it like everything else.

mod journal;

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use storage::SimDisk;

use super::remains::{Files, read_real, read_simulated};

const SHIM: &str = include_str!("shim.c");

/// Why nothing can be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// There is no space left.
    NoSpace,
    /// The disk is read-only.
    ReadOnly,
    /// There is none for the tables alone, so that it is they who meet it first.
    Tables,
}

/// A data folder that lives through power cuts.
pub struct Power {
    shim: PathBuf,
    data: PathBuf,
    journal: PathBuf,
    full: PathBuf,
}

impl Power {
    /// Of the folder `data`, with its own files in `scratch`. None where there is no C compiler.
    ///
    /// # Errors
    /// There is one and it refuses.
    pub fn over(data: &Path, scratch: &Path) -> Result<Option<Self>> {
        fs::create_dir_all(scratch)?;
        let source = scratch.join("shim.c");
        let shim = scratch.join("shim.so");
        fs::write(&source, SHIM)?;
        let mut compiler = Command::new("cc");
        compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&shim);
        let compiled = compiler.arg(&source).args(["-ldl", "-lpthread"]).output();
        match compiled {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            compiled => {
                let compiled = compiled?;
                if !compiled.status.success() {
                    let why = String::from_utf8_lossy(&compiled.stderr).into_owned();
                    bail!("the shim does not compile: {why}");
                }
            }
        }
        Ok(Some(Self {
            shim,
            data: data.to_owned(),
            journal: scratch.join("journal"),
            full: scratch.join("full"),
        }))
    }

    /// Has a process be watched.
    pub fn watch(&self, command: &mut Command) {
        command
            .env("LD_PRELOAD", &self.shim)
            .env("DOPPEL_POWER_ROOT", &self.data)
            .env("DOPPEL_POWER_JOURNAL", &self.journal)
            .env("DOPPEL_POWER_FULL", &self.full);
    }

    /// From now on nothing can be written.
    ///
    /// # Errors
    /// The system refuses.
    pub fn fill(&self, full: Full) -> Result<()> {
        let how = match full {
            Full::NoSpace => "full",
            Full::ReadOnly => "read-only",
            Full::Tables => "tables",
        };
        // It is there whole or not at all.
        let new = self.full.with_extension("new");
        fs::write(&new, how)?;
        Ok(fs::rename(new, &self.full)?)
    }

    /// There is room again.
    ///
    /// # Errors
    /// The system refuses.
    pub fn empty(&self) -> Result<()> {
        match fs::remove_file(&self.full) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            removed => Ok(removed?),
        }
    }

    /// The process has ended, and power has gone. Gives how many things it had done.
    ///
    /// # Errors
    /// The journal does not fit the folder.
    pub fn cut(&self, seed: u64, before: &Before) -> Result<u64> {
        let bytes = match fs::read(&self.journal) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            bytes => bytes?,
        };
        let done = journal::replay(&bytes, &before.0).context("the journal")?;
        let after = before.0.crash(seed);
        fs::remove_dir_all(&self.data)?;
        let mut files = Files::new();
        read_simulated(&after, &self.data, &mut files)?;
        fs::create_dir_all(&self.data)?;
        for (path, bytes) in files {
            fs::create_dir_all(path.parent().unwrap_or(&self.data))?;
            fs::write(path, bytes)?;
        }
        Ok(done)
    }

    /// The folder as it is before a process begins; all of it is taken to be durable.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn before(&self) -> Result<Before> {
        if self.journal.exists() {
            fs::remove_file(&self.journal)?;
        }
        let disk = SimDisk::new();
        let mut files = Files::new();
        if self.data.exists() {
            read_real(&self.data, &mut files)?;
        }
        journal::settle(&disk, &self.data, &files)?;
        Ok(Before(disk))
    }
}

/// See [`Power::before`].
pub struct Before(SimDisk);
