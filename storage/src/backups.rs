//! The backups that a data folder keeps: one folder a collection, and one for those of everything.
//!
//! A backup stays when its collection is dropped. Beside it lies its SHA-256, written after it, so
//! that a list need not read the files: 64 hexadecimal digits, a space and the CRC32C of the digits in 8
//! more, so that none is told that has rotted.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::backup;
use crate::bytes::checksum;
use crate::disk::{Disk, make_dir, read_all};
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::MAX_BACKUP_NAME_LEN;

const SUFFIX: &str = ".snapshot";
const SHA256: &str = ".sha256";
/// Digits, a space, and the checksum of the digits.
const SHA256_BYTES: u64 = 64 + 1 + 8;

/// What lies beside a backup of this SHA-256.
fn beside(sha256: &str) -> String {
    format!("{sha256} {:08x}", checksum(&[sha256.as_bytes()]))
}

/// Which backups.
#[derive(Debug, Clone, Copy)]
pub enum Shelf<'a> {
    /// Those of one collection, by its name.
    Collection(&'a str),
    /// Those of everything.
    Full,
}

/// A backup that lies here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupFile {
    /// Its name.
    pub name: String,
    /// Its bytes.
    pub bytes: u64,
    /// The LSN it was made at; unknown if its header is damaged.
    pub lsn: Option<Lsn>,
    /// When it was made, in seconds since 1970; unknown if its header is damaged.
    pub made_s: Option<u64>,
    /// The SHA-256 of the whole file, in hexadecimal.
    pub sha256: Option<String>,
}

/// The folder of backups.
pub struct Backups {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
}

impl Backups {
    /// The backups in `dir`.
    pub fn new(disk: Arc<dyn Disk>, dir: PathBuf) -> Self {
        Self { disk, dir }
    }

    /// What they lie on.
    pub fn disk(&self) -> &dyn Disk {
        &*self.disk
    }

    fn folder(&self, shelf: Shelf<'_>) -> PathBuf {
        match shelf {
            Shelf::Full => self.dir.join("full"),
            Shelf::Collection(name) => self.dir.join("collections").join(name),
        }
    }

    /// Where a backup of this name is or would be; `None` for names that no backup can have, so
    /// that nobody leaves the folder.
    pub fn path(&self, shelf: Shelf<'_>, name: &str) -> Option<PathBuf> {
        let stem = name.strip_suffix(SUFFIX)?;
        let decent = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
        let good = !stem.is_empty()
            && !stem.starts_with('.')
            && name.len() <= MAX_BACKUP_NAME_LEN
            && name.bytes().all(decent);
        good.then(|| self.folder(shelf).join(name))
    }

    /// A name for a new backup and where to write it; its folder is made.
    pub fn new_name(
        &self,
        shelf: Shelf<'_>,
        origin: &backup::Origin,
    ) -> Result<(String, PathBuf), Error> {
        let folder = self.folder(shelf);
        let above = [self.dir.as_path(), folder.parent().unwrap_or(&self.dir)];
        for dir in above.into_iter().chain([folder.as_path()]) {
            make_dir(&*self.disk, dir).map_err(Error::io(dir, "make the folder"))?;
        }
        let of = match shelf {
            Shelf::Full => "full",
            Shelf::Collection(name) => name.get(..100).unwrap_or(name),
        };
        let random = self.disk.unique() >> 96;
        let name = format!("{of}-{}-{}-{random:08x}{SUFFIX}", origin.lsn, origin.made_s);
        let path = folder.join(&name);
        Ok((name, path))
    }

    /// Keeps the SHA-256 of a backup beside it.
    pub fn note_sha256(&self, shelf: Shelf<'_>, name: &str, sha256: &str) -> Result<(), Error> {
        let path = self.folder(shelf).join(format!("{name}{SHA256}"));
        let file = self
            .disk
            .create(&path)
            .map_err(Error::io(&path, "create"))?;
        file.write_at(beside(sha256).as_bytes(), 0)
            .map_err(Error::io(&path, "write"))?;
        file.sync().map_err(Error::io(&path, "sync"))
    }

    /// The backups of a shelf, by name.
    pub fn list(&self, shelf: Shelf<'_>) -> Result<Vec<BackupFile>, Error> {
        let folder = self.folder(shelf);
        let names = self
            .disk
            .list(&folder)
            .map_err(Error::io(&folder, "list"))?;
        let mut files = Vec::new();
        for name in names.into_iter().filter(|name| name.ends_with(SUFFIX)) {
            files.extend(self.find(shelf, &name)?);
        }
        Ok(files)
    }

    /// One backup, if it is there.
    pub fn find(&self, shelf: Shelf<'_>, name: &str) -> Result<Option<BackupFile>, Error> {
        let Some(path) = self.path(shelf, name) else {
            return Ok(None);
        };
        let file = match self.disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io(&path, "open"))?,
        };
        let bytes = file.len().map_err(Error::io(&path, "measure"))?;
        let origin = backup::origin(&*self.disk, &path).ok();
        Ok(Some(BackupFile {
            name: name.to_owned(),
            bytes,
            lsn: origin.map(|origin| origin.lsn),
            made_s: origin.map(|origin| origin.made_s),
            sha256: self.sha256(shelf, name).unwrap_or_default(),
        }))
    }

    /// The SHA-256 that lies beside a backup, if there is one.
    ///
    /// # Errors
    /// It is damaged, or cannot be read.
    pub fn sha256(&self, shelf: Shelf<'_>, name: &str) -> Result<Option<String>, Error> {
        let path = self.folder(shelf).join(format!("{name}{SHA256}"));
        let file = match self.disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(Error::io(&path, "open"))?,
        };
        let bytes = read_all(&*file, SHA256_BYTES).map_err(Error::io(&path, "read"))?;
        let text = String::from_utf8(bytes).ok();
        let sha256 = text.as_deref().and_then(|text| text.split_once(' '));
        let whole = sha256.filter(|(sha256, _)| text.as_ref() == Some(&beside(sha256)));
        match whole {
            Some((sha256, _)) => Ok(Some(sha256.to_owned())),
            None => Err(Error::corrupt(
                &path,
                0,
                "the SHA-256 of a backup is damaged",
            )),
        }
    }

    /// Removes a backup; `false` if it is not there.
    pub fn remove(&self, shelf: Shelf<'_>, name: &str) -> Result<bool, Error> {
        let Some(path) = self.path(shelf, name) else {
            return Ok(false);
        };
        let folder = self.folder(shelf);
        match self.disk.remove(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            removed => removed.map_err(Error::io(&path, "remove"))?,
        }
        let beside = folder.join(format!("{name}{SHA256}"));
        match self.disk.remove(&beside) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(Error::io(&beside, "remove"))?,
        }
        self.disk
            .sync_dir(&folder)
            .map_err(Error::io(&folder, "sync the folder"))?;
        Ok(true)
    }

    /// The collections that have a shelf.
    pub fn collections(&self) -> Result<Vec<String>, Error> {
        let dir = self.dir.join("collections");
        self.disk.list(&dir).map_err(Error::io(&dir, "list"))
    }

    /// Removes what a crash left half written.
    pub fn tidy(&self) -> Result<(), Error> {
        let collections = self.dir.join("collections");
        let shelves = self.collections()?;
        let folders = shelves.iter().map(|name| collections.join(name));
        for folder in folders.chain([self.dir.join("full")]) {
            let names = self.disk.list(&folder);
            for name in names.map_err(Error::io(&folder, "list"))? {
                if name.ends_with(".tmp") {
                    let path = folder.join(&name);
                    self.disk
                        .remove(&path)
                        .map_err(Error::io(&path, "remove"))?;
                }
            }
        }
        Ok(())
    }
}
