//! A disk on which nothing happens: reads see a folder of the operating system, writes go to
//! copies that vanish with it. What recovery would do can be tried on it.
//!
//! A file is copied when it is first written to, whole. Nothing is ever synced.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::os::OsFile;
use super::{Disk, DiskFile, OsDisk};

/// A draft of what would be written.
pub(crate) struct DraftDisk {
    /// Where copies lie, without a name.
    scratch: PathBuf,
    /// Files that were opened, made, renamed or removed (`None`).
    known: Mutex<BTreeMap<PathBuf, Option<Arc<Node>>>>,
}

/// A file under whatever name.
struct Node {
    scratch: PathBuf,
    content: Mutex<Content>,
}

enum Content {
    /// As it is on the disk, not to be written to.
    Real(PathBuf, OsFile),
    Copy(OsFile),
}

impl DraftDisk {
    /// A draft whose copies lie in `scratch`, a folder of the operating system.
    pub(crate) fn new(scratch: &Path) -> Self {
        Self {
            scratch: scratch.to_owned(),
            known: Mutex::default(),
        }
    }

    fn node(&self, content: Content) -> Arc<Node> {
        Arc::new(Node {
            scratch: self.scratch.clone(),
            content: Mutex::new(content),
        })
    }

    fn find(&self, path: &Path) -> io::Result<Arc<Node>> {
        let mut known = self.known.lock();
        match known.get(path) {
            Some(Some(node)) => Ok(Arc::clone(node)),
            Some(None) => Err(io::ErrorKind::NotFound.into()),
            None => {
                let real = OsFile(File::open(path)?);
                let node = self.node(Content::Real(path.to_owned(), real));
                known.insert(path.to_owned(), Some(Arc::clone(&node)));
                Ok(node)
            }
        }
    }
}

impl Disk for DraftDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let copy = OsFile(tempfile::tempfile_in(&self.scratch)?);
        let node = self.node(Content::Copy(copy));
        let mut known = self.known.lock();
        known.insert(path.to_owned(), Some(Arc::clone(&node)));
        Ok(Box::new(DraftFile(node)))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(DraftFile(self.find(path)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let node = self.find(from)?;
        let mut known = self.known.lock();
        known.insert(from.to_owned(), None);
        known.insert(to.to_owned(), Some(node));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.find(path)?;
        self.known.lock().insert(path.to_owned(), None);
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let known = self.known.lock();
        let mut names = OsDisk.list(dir)?;
        names.retain(|name| !matches!(known.get(&dir.join(name)), Some(None)));
        let drafted = known
            .iter()
            .filter(|(path, node)| node.is_some() && path.parent() == Some(dir));
        names.extend(drafted.filter_map(|(path, _)| Some(path.file_name()?.to_str()?.to_owned())));
        names.sort();
        names.dedup();
        Ok(names)
    }

    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }
}

struct DraftFile(Arc<Node>);

impl DraftFile {
    fn read<T>(&self, act: impl FnOnce(&OsFile) -> io::Result<T>) -> io::Result<T> {
        match &*self.0.content.lock() {
            Content::Real(_, file) | Content::Copy(file) => act(file),
        }
    }

    fn change<T>(&self, act: impl FnOnce(&OsFile) -> io::Result<T>) -> io::Result<T> {
        let mut content = self.0.content.lock();
        if let Content::Real(path, _) = &*content {
            let mut copy = tempfile::tempfile_in(&self.0.scratch)?;
            io::copy(&mut File::open(path)?, &mut copy)?;
            *content = Content::Copy(OsFile(copy));
        }
        match &*content {
            Content::Real(_, file) | Content::Copy(file) => act(file),
        }
    }
}

impl DiskFile for DraftFile {
    fn len(&self) -> io::Result<u64> {
        self.read(|file| file.len())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(|file| file.read_at(buffer, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(|file| file.write_at(bytes, offset))
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(|file| file.set_len(len))
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(disk: &dyn Disk, path: &Path) -> Vec<u8> {
        let file = disk.open(path).unwrap();
        crate::disk::read_all(&*file, u64::MAX).unwrap()
    }

    #[test]
    fn a_draft_reads_back_what_was_written_and_the_folder_stays_as_it_was() {
        let dir = tempfile::tempdir().unwrap();
        let scratch = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("kept"), b"abc").unwrap();
        std::fs::write(at("gone"), b"xyz").unwrap();
        let disk = DraftDisk::new(scratch.path());
        let reader = disk.open(&at("kept")).unwrap();
        disk.open(&at("kept")).unwrap().write_at(b"B", 1).unwrap();
        assert_eq!(content(&disk, &at("kept")), b"aBc");
        assert_eq!(reader.len().unwrap(), 3);
        let mut first = [0; 2];
        reader.read_at(&mut first, 0).unwrap();
        assert_eq!(&first, b"aB", "an open file sees what another wrote");
        disk.create(&at("new.tmp"))
            .unwrap()
            .write_at(b"n", 0)
            .unwrap();
        disk.rename(&at("new.tmp"), &at("new")).unwrap();
        disk.remove(&at("gone")).unwrap();
        assert_eq!(disk.list(dir.path()).unwrap(), ["kept", "new"]);
        assert!(disk.open(&at("gone")).is_err());
        assert_eq!(std::fs::read(at("kept")).unwrap(), b"abc");
        assert_eq!(OsDisk.list(dir.path()).unwrap(), ["gone", "kept"]);
    }
}
