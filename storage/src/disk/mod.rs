//! The seam to the disk: the operating system, or a simulator that can lose power.
//!
//! A call that returns `Ok` from `sync` or `sync_dir` promises that what it covers survives a power
//! cut; nothing else does.

mod draft;
mod os;
mod sim;

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

pub(crate) use draft::DraftDisk;
pub use os::OsDisk;
pub use sim::{Fault, SimDisk};

/// A place for files.
pub trait Disk: Send + Sync {
    /// Makes an empty file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file that is there, for reading and writing.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it, at once.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// The names of the files and folders in a folder, sorted; none if there is no such folder.
    fn list(&self, dir: &Path) -> io::Result<Vec<String>>;
    /// Makes a folder and those above it.
    fn create_dir_all(&self, dir: &Path) -> io::Result<()>;
    /// Makes the entries of a folder durable.
    fn sync_dir(&self, dir: &Path) -> io::Result<()>;
    /// A number that nobody has been given before: of a data folder, a log file, a file on its way.
    /// A simulated disk says which, so that all that lies on it follows from one seed.
    fn unique(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
    /// The time, in seconds since 1970.
    fn now_s(&self) -> u64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        since.map_or(0, |since| since.as_secs())
    }
}

/// An open file. Writes at any offset; reading past the end gives fewer bytes.
pub trait DiskFile: Send + Sync {
    /// Its length in bytes.
    fn len(&self) -> io::Result<u64>;
    /// Whether it holds no bytes.
    fn is_empty(&self) -> io::Result<bool> {
        Ok(self.len()? == 0)
    }
    /// Reads up to `buffer.len()` bytes; fewer only at the end of the file.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all of `bytes`.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Cuts or extends (with zeros) the file.
    fn set_len(&self, len: u64) -> io::Result<()>;
    /// Makes content and length durable (`fdatasync`).
    fn sync(&self) -> io::Result<()>;
    /// The operating system's file, where there is one to be mapped.
    fn handle(&self) -> io::Result<Option<OwnedFd>> {
        Ok(None)
    }
}

/// Makes a folder whose name is durable on return. The name may have been given by a process that was
/// killed before it could see to that, so it is always synced.
pub(crate) fn make_dir(disk: &dyn Disk, dir: &Path) -> io::Result<()> {
    disk.create_dir_all(dir)?;
    match dir.parent() {
        Some(parent) if parent.as_os_str().is_empty() => disk.sync_dir(Path::new(".")),
        Some(parent) => disk.sync_dir(parent),
        None => Ok(()),
    }
}

/// The whole content of a file, at most `limit` bytes.
pub(crate) fn read_all(file: &dyn DiskFile, limit: u64) -> io::Result<Vec<u8>> {
    let len = file.len()?;
    let too_long = || {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("{len} bytes are over the limit of {limit}"),
        )
    };
    let size = usize::try_from(len)
        .ok()
        .filter(|_| len <= limit)
        .ok_or_else(too_long)?;
    let mut bytes = vec![0; size];
    let got = file.read_at(&mut bytes, 0)?;
    bytes.truncate(got);
    Ok(bytes)
}
