//! The data folder: its lock, its marker, and where everything lies in it.

use std::fs::{File, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, OsDisk, make_dir, read_all};
use crate::error::Error;
use crate::whole::put;

/// The on-disk format this program writes.
pub const FORMAT_VERSION: u32 = 1;
const MAGIC: &[u8; 8] = b"doppelFM";
const MARKER_LEN: u64 = 32;

/// An open data folder; the lock is held as long as this lives.
pub struct DataFolder {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    beside: PathBuf,
    store: u128,
    _lock: Lock,
}

impl DataFolder {
    /// Opens a data folder for this process alone, making it if it is not there.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        Self::open_on(Arc::new(OsDisk), dir, dir)
    }

    /// Opens a data folder on a disk that is not the operating system's. What is no part of the
    /// truth and cannot lie there (lock, tables, scratch file) lies `beside`.
    pub fn open_on(disk: Arc<dyn Disk>, dir: &Path, beside: &Path) -> Result<Self, Error> {
        make_dir(&OsDisk, beside).map_err(Error::io(beside, "make the data folder"))?;
        let lock = lock(beside)?;
        make_dir(&*disk, dir).map_err(Error::io(dir, "make the data folder"))?;
        let store = match read_format_on(&*disk, dir)? {
            Some((version, store)) if version == FORMAT_VERSION => store,
            Some((found, _)) => {
                return Err(Error::NewerFormat {
                    path: marker(dir),
                    found,
                    known: FORMAT_VERSION,
                });
            }
            None => create_marker(&*disk, dir)?,
        };
        // Whoever made the marker may have been killed before it was durable.
        disk.sync_dir(dir)
            .map_err(Error::io(dir, "sync the folder"))?;
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            beside: beside.to_owned(),
            store,
            _lock: lock,
        })
    }

    /// The disk it lies on.
    pub fn disk(&self) -> &Arc<dyn Disk> {
        &self.disk
    }

    /// The number that tells this data folder from all others.
    pub fn store(&self) -> u128 {
        self.store
    }

    /// The folder itself; manifests lie here.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Where the log lies.
    pub fn log(&self) -> PathBuf {
        self.dir.join("log")
    }

    /// Where it lies what inserts have worked out since the last checkpoint.
    pub fn plans(&self) -> PathBuf {
        self.dir.join("plans")
    }

    /// Where it lies what a node has copied of the log that it shares with others.
    pub fn copy(&self) -> PathBuf {
        self.dir.join("copy")
    }

    /// Where the sled tables lie.
    pub fn tables(&self) -> PathBuf {
        self.beside.join("tables")
    }

    /// Where blob files lie.
    pub fn blobs(&self) -> PathBuf {
        self.dir.join("blobs")
    }

    /// A new file without a name on the folder's disk, for what need not outlive the process. The
    /// system takes its space back when it is closed, however the process ends.
    pub fn scratch(&self) -> Result<File, Error> {
        tempfile::tempfile_in(&self.beside)
            .map_err(Error::io(&self.beside, "make a file for vectors"))
    }

    /// Where the backups lie that were made here.
    pub fn backups(&self) -> PathBuf {
        self.dir.join("backups")
    }

    /// Where backups lie that records of the log restore.
    pub fn restores(&self) -> PathBuf {
        self.dir.join("restores")
    }

    /// Where snapshots lie.
    pub fn snapshots(&self) -> PathBuf {
        self.dir.join("snapshots")
    }

    /// Makes the folder of snapshots, durable on return.
    pub fn make_snapshots(&self) -> Result<PathBuf, Error> {
        let path = self.snapshots();
        make_dir(&*self.disk, &path).map_err(Error::io(&path, "make the folder"))?;
        Ok(path)
    }
}

/// A data folder that is there, kept from being opened by others while this lives.
pub struct FolderLock {
    /// The number that tells the data folder from all others.
    pub store: u128,
    _lock: Lock,
}

impl FolderLock {
    /// Takes the lock; nothing else of the folder is touched, and none is made.
    pub fn take(dir: &Path) -> Result<Self, Error> {
        Self::take_of(dir, FORMAT_VERSION)
    }

    /// The same for a folder of this format.
    pub fn take_of(dir: &Path, version: u32) -> Result<Self, Error> {
        let Some((found, store)) = read_format(dir)? else {
            let nothing = io::Error::new(io::ErrorKind::NotFound, "there is no data folder here");
            return Err(Error::io(dir, "find")(nothing));
        };
        if found != version {
            return Err(Error::NewerFormat {
                path: marker(dir),
                found,
                known: version,
            });
        }
        let _lock = lock(dir)?;
        Ok(Self { store, _lock })
    }
}

fn marker(dir: &Path) -> PathBuf {
    dir.join("FORMAT")
}

/// The lock of a folder.
struct Lock(File);

/// Given back by name and not by closing: a process that another thread is just starting has the
/// file open too, and would keep the lock until it has become another program.
impl Drop for Lock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

fn lock(dir: &Path) -> Result<Lock, Error> {
    let path = dir.join("LOCK");
    let file = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .mode(0o600)
        .open(&path);
    let file = file.map_err(Error::io(&path, "open"))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(TryLockError::WouldBlock) => Err(Error::Locked(dir.to_owned())),
        Err(TryLockError::Error(error)) => Err(Error::io(&path, "lock")(error)),
    }
}

/// A folder's format version and number; `None` when it has no marker and nothing that needs one.
pub fn read_format(dir: &Path) -> Result<Option<(u32, u128)>, Error> {
    read_format_on(&OsDisk, dir)
}

fn read_format_on(disk: &dyn Disk, dir: &Path) -> Result<Option<(u32, u128)>, Error> {
    let path = marker(dir);
    let file = match disk.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return refuse_unmarked(disk, dir),
        file => file.map_err(Error::io(&path, "open"))?,
    };
    let bytes = read_all(&*file, MARKER_LEN).map_err(Error::io(&path, "read"))?;
    let decode = || {
        let mut take = Take::new(&bytes);
        let (magic, version, store, crc) = (take.bytes(8)?, take.u32()?, take.u128()?, take.u32()?);
        let good = magic == MAGIC && checksum(&[bytes.get(..28)?]) == crc && take.is_empty();
        good.then_some((version, store))
    };
    decode()
        .map(Some)
        .ok_or_else(|| Error::corrupt(&path, 0, "the format marker is damaged"))
}

/// A folder without a marker is new only if it holds none of our data.
fn refuse_unmarked(disk: &dyn Disk, dir: &Path) -> Result<Option<(u32, u128)>, Error> {
    for part in ["log", "snapshots"] {
        let path = dir.join(part);
        if !disk
            .list(&path)
            .map_err(Error::io(&path, "list"))?
            .is_empty()
        {
            return Err(Error::corrupt(
                &marker(dir),
                0,
                format!("the format marker is missing, but `{part}/` holds data"),
            ));
        }
    }
    Ok(None)
}

fn create_marker(disk: &dyn Disk, dir: &Path) -> Result<u128, Error> {
    let store = disk.unique();
    put_marker(disk, dir, FORMAT_VERSION, store)?;
    Ok(store)
}

/// Says of which format a folder is from now on; for steps from one to the next.
pub fn write_format(dir: &Path, version: u32, store: u128) -> Result<(), Error> {
    put_marker(&OsDisk, dir, version, store)
}

fn put_marker(disk: &dyn Disk, dir: &Path, version: u32, store: u128) -> Result<(), Error> {
    let mut bytes = [
        MAGIC.as_slice(),
        &version.to_le_bytes(),
        &store.to_le_bytes(),
    ]
    .concat();
    bytes.extend_from_slice(&checksum(&[&bytes]).to_le_bytes());
    put(disk, &marker(dir), &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_given_back_though_a_child_has_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let held = lock(dir.path()).unwrap();
        let inherited = held.0.try_clone().unwrap();
        assert!(matches!(lock(dir.path()), Err(Error::Locked(_))));
        drop(held);
        lock(dir.path()).unwrap();
        drop(inherited);
    }
}
