//! A file on its way in: it has a temporary name, and is gone when nobody keeps it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use std::io::Write;

use crate::digest::Digest;
use crate::disk::{Disk, DiskFile, make_dir};
use crate::error::Error;

/// Bytes that come in piece by piece.
pub struct Incoming {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    name: String,
    file: Box<dyn DiskFile>,
    bytes: u64,
    digest: Digest,
    kept: bool,
}

impl Incoming {
    /// Starts an empty file in `dir`.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        make_dir(&*disk, dir).map_err(Error::io(dir, "make the folder"))?;
        let name = format!("{:032x}", disk.unique());
        let path = dir.join(format!("{name}.tmp"));
        let file = disk.create(&path).map_err(Error::io(&path, "create"))?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            name,
            file,
            bytes: 0,
            digest: Digest::new(),
            kept: false,
        })
    }

    /// Takes the next bytes.
    pub fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.file
            .write_at(bytes, self.bytes)
            .and_then(|()| self.digest.write_all(bytes))
            .map_err(Error::io(&self.path(), "write"))?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }

    /// Takes the whole of another file.
    pub fn copy(&mut self, from: &Path) -> Result<(), Error> {
        let file = self.disk.open(from).map_err(Error::io(from, "open"))?;
        let mut buffer = vec![0; 1 << 20];
        let mut at = 0;
        loop {
            let got = file
                .read_at(&mut buffer, at)
                .map_err(Error::io(from, "read"))?;
            if got == 0 {
                return Ok(());
            }
            self.write(buffer.get(..got).unwrap_or_default())?;
            at += got as u64;
        }
    }

    /// Bytes so far.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The SHA-256 of what has come so far, in hexadecimal.
    pub fn sha256(&self) -> String {
        self.digest.clone().hex()
    }

    /// Where it lies for now.
    pub fn path(&self) -> PathBuf {
        self.dir.join(format!("{}.tmp", self.name))
    }

    /// Makes it durable under a name of its own, which is returned.
    pub fn keep(mut self, suffix: &str) -> Result<String, Error> {
        let (from, name) = (self.path(), format!("{}{suffix}", self.name));
        let to = self.dir.join(&name);
        self.file.sync().map_err(Error::io(&from, "sync"))?;
        self.disk
            .rename(&from, &to)
            .map_err(Error::io(&to, "rename"))?;
        self.kept = true;
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io(&self.dir, "sync the folder"))?;
        Ok(name)
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept {
            // What cannot be removed now is removed at the next start.
            let _ = self.disk.remove(&self.path());
        }
    }
}
