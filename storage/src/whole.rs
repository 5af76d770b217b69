//! A small file that is replaced as a whole: whenever the power fails, the old one or the new one
//! is there, and what is read is what was written.

use std::io::ErrorKind;
use std::path::Path;

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, OsDisk, read_all};
use crate::error::Error;
use crate::limits::MAX_WHOLE_BYTES;

const MAGIC: &[u8; 8] = b"doppelWH";
const VERSION: u32 = 1;
/// Magic, version and checksum.
const HEAD: usize = 16;

/// Puts a file's content in place of what it held, durably.
pub fn replace_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    put(&OsDisk, path, &[&head(VERSION, content), content].concat())
}

/// A file's content, or nothing if there is no such file.
///
/// # Errors
/// The file cannot be read, is damaged or of a newer version.
pub fn read_whole(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    let file = match OsDisk.open(path) {
        Ok(file) => file,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(None);
        }
        Err(error) => return Err(Error::io(path, "open")(error)),
    };
    let bytes = read_all(&*file, MAX_WHOLE_BYTES).map_err(Error::io(path, "read"))?;
    let mut take = Take::new(&bytes);
    let version = take.bytes(MAGIC.len()).and_then(|_| take.u32());
    let (Some(version), Some((start, content))) = (version, bytes.split_at_checked(HEAD)) else {
        return Err(Error::corrupt(path, 0, "it is too short"));
    };
    match *start == head(version, content) {
        true if version == VERSION => Ok(Some(content.to_vec())),
        true => Err(Error::NewerFormat {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        }),
        false => Err(Error::corrupt(path, 0, "its checksum does not fit")),
    }
}

/// What stands before the content.
fn head(version: u32, content: &[u8]) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    head[..8].copy_from_slice(MAGIC);
    head[8..12].copy_from_slice(&version.to_le_bytes());
    let sum = checksum(&[&head[..12], content]);
    head[12..].copy_from_slice(&sum.to_le_bytes());
    head
}

/// Writes beside, syncs, renames, syncs the folder.
pub(crate) fn put(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let temporary = path.with_extension("tmp");
    let file = disk
        .create(&temporary)
        .map_err(Error::io(&temporary, "create"))?;
    file.write_at(bytes, 0)
        .map_err(Error::io(&temporary, "write"))?;
    file.sync().map_err(Error::io(&temporary, "sync"))?;
    disk.rename(&temporary, path)
        .map_err(Error::io(path, "rename"))?;
    let dir = path.parent().unwrap_or(Path::new("."));
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_read_and_damage_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("KEYS");
        assert_eq!(read_whole(&path).unwrap(), None);
        for content in [b"".as_slice(), b"one", b"another"] {
            replace_whole(&path, content).unwrap();
            assert_eq!(read_whole(&path).unwrap().as_deref(), Some(content));
        }
        let good = std::fs::read(&path).unwrap();
        for at in 0..good.len() {
            let mut bent = good.clone();
            bent[at] ^= 1;
            std::fs::write(&path, &bent).unwrap();
            let told = read_whole(&path).unwrap_err().to_string();
            assert!(told.contains("KEYS"), "{told}");
            std::fs::write(&path, &good[..at]).unwrap();
            assert!(read_whole(&path).is_err());
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_its_number() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("KEYS");
        let content = b"of tomorrow".as_slice();
        std::fs::write(&path, [&head(7, content), content].concat()).unwrap();
        let told = read_whole(&path).unwrap_err().to_string();
        assert!(told.contains("format 7") && told.contains("KEYS"), "{told}");
    }
}
