//! A disk in RAM that can lose power.
//!
//! It keeps what was made durable apart from what was only written. [`SimDisk::crash`] gives a disk
//! as it may look after a power cut: of the writes that were not synced some are there, some are
//! not, one may be torn; of the changes to a folder that were not synced a first part is there.
//! Every operation has a number; power can go, or an error come, at any of them. All of it follows
//! from a seed. It does not simulate bits that rot or disks that lie about a sync.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};

/// A simulated disk; clones share it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    inodes: BTreeMap<u64, Inode>,
    next_inode: u64,
    /// What is in the folders now, and what surely is after a power cut.
    live: BTreeMap<PathBuf, u64>,
    synced: BTreeMap<PathBuf, u64>,
    /// Changes of folders since their last sync, in order.
    entries: Vec<EntryChange>,
    operations: u64,
    power_off_at: Option<u64>,
    fail_at: Option<(u64, io::ErrorKind)>,
}

#[derive(Default, Clone)]
struct Inode {
    live: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

#[derive(Clone)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

#[derive(Clone)]
enum EntryChange {
    Link(PathBuf, u64),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

impl EntryChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            EntryChange::Link(path, _) | EntryChange::Unlink(path) => path.parent(),
            EntryChange::Rename(_, to) => to.parent(),
        }
    }

    fn apply(&self, entries: &mut BTreeMap<PathBuf, u64>) {
        match self {
            EntryChange::Link(path, inode) => {
                entries.insert(path.clone(), *inode);
            }
            EntryChange::Unlink(path) => {
                entries.remove(path);
            }
            EntryChange::Rename(from, to) => {
                if let Some(inode) = entries.remove(from) {
                    entries.insert(to.clone(), inode);
                }
            }
        }
    }
}

fn apply(content: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write { offset, bytes } => {
            let end = offset + bytes.len();
            if content.len() < end {
                content.resize(end, 0);
            }
            content[*offset..end].copy_from_slice(bytes);
        }
        Change::SetLen(len) => content.resize(*len, 0),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((x ^ (x >> 31)) % (n.max(1) as u64)).unwrap_or(0)
    }
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many operations that change the disk it has seen.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// From the operation of this number on (counted from 0) everything fails, as without power.
    pub fn power_off_at(&self, operation: u64) {
        self.0.lock().power_off_at = Some(operation);
    }

    /// The operation of this number fails once.
    pub fn fail_at(&self, operation: u64, kind: io::ErrorKind) {
        self.0.lock().fail_at = Some((operation, kind));
    }

    /// The disk as it may be found when power is back.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut random = Random(seed);
        let state = self.0.lock();
        let mut entries = state.synced.clone();
        let mut dirs: Vec<_> = state.entries.iter().filter_map(EntryChange::dir).collect();
        dirs.sort();
        dirs.dedup();
        for dir in dirs {
            let changes: Vec<_> = state
                .entries
                .iter()
                .filter(|c| c.dir() == Some(dir))
                .collect();
            let kept = random.below(changes.len() + 1);
            changes
                .iter()
                .take(kept)
                .for_each(|change| change.apply(&mut entries));
        }
        let mut inodes = BTreeMap::new();
        for (path, number) in &entries {
            let Some(inode) = state.inodes.get(number) else {
                continue;
            };
            let _ = path;
            let content = survive(inode, &mut random);
            inodes.insert(
                *number,
                Inode {
                    live: content.clone(),
                    synced: content,
                    pending: Vec::new(),
                },
            );
        }
        SimDisk(Arc::new(Mutex::new(State {
            inodes,
            next_inode: state.next_inode,
            live: entries.clone(),
            synced: entries,
            ..State::default()
        })))
    }

    /// Changes one byte behind the back of whoever uses the disk.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut state = self.0.lock();
        let Some(number) = state.live.get(path).copied() else {
            return;
        };
        if let Some(inode) = state.inodes.get_mut(&number) {
            for content in [&mut inode.live, &mut inode.synced] {
                if let Some(byte) = content.get_mut(offset) {
                    *byte ^= mask;
                }
            }
        }
    }
}

/// What is left of a file: all that was synced, and of the rest whatever the seed says.
fn survive(inode: &Inode, random: &mut Random) -> Vec<u8> {
    let mut content = inode.synced.clone();
    for change in &inode.pending {
        match (random.below(4), change) {
            (0, _) => {}
            (1, Change::Write { offset, bytes }) => {
                let torn = bytes
                    .get(..random.below(bytes.len()))
                    .unwrap_or_default()
                    .to_vec();
                apply(
                    &mut content,
                    &Change::Write {
                        offset: *offset,
                        bytes: torn,
                    },
                );
            }
            _ => apply(&mut content, change),
        }
    }
    content
}

impl State {
    /// Counts an operation; fails when it is its turn to.
    fn step(&mut self) -> io::Result<()> {
        let number = self.operations;
        self.operations += 1;
        if self.power_off_at.is_some_and(|at| number >= at) {
            return Err(io::Error::other("power is off"));
        }
        match self.fail_at {
            Some((at, kind)) if at == number => Err(kind.into()),
            _ => Ok(()),
        }
    }

    fn change(&mut self, change: EntryChange) {
        change.apply(&mut self.live);
        self.entries.push(change);
    }

    fn inode(&self, path: &Path) -> io::Result<u64> {
        self.live
            .get(path)
            .copied()
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.step()?;
        let number = match state.live.get(path) {
            Some(number) => *number,
            None => {
                let number = state.next_inode;
                state.next_inode += 1;
                state.change(EntryChange::Link(path.to_owned(), number));
                number
            }
        };
        let inode = state.inodes.entry(number).or_default();
        inode.live.clear();
        inode.pending.push(Change::SetLen(0));
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let number = self.0.lock().inode(path)?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.inode(from)?;
        state.change(EntryChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        state.inode(path)?;
        state.change(EntryChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let state = self.0.lock();
        let inside = state.live.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step()?;
        let (durable, rest): (Vec<_>, Vec<_>) = std::mem::take(&mut state.entries)
            .into_iter()
            .partition(|c| c.dir() == Some(dir));
        durable
            .iter()
            .for_each(|change| change.apply(&mut state.synced));
        state.entries = rest;
        Ok(())
    }
}

struct SimFile {
    disk: SimDisk,
    number: u64,
}

impl SimFile {
    fn with<T>(&self, counted: bool, f: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let mut state = self.disk.0.lock();
        if counted {
            state.step()?;
        }
        state
            .inodes
            .get_mut(&self.number)
            .map(f)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn change(&self, change: Change) -> io::Result<()> {
        self.with(true, |inode| {
            apply(&mut inode.live, &change);
            inode.pending.push(change);
        })
    }
}

fn size(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(io::Error::other)
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        self.with(false, |inode| inode.live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = size(offset)?;
        self.with(false, |inode| {
            let rest = inode.live.get(offset..).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            n
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.change(Change::Write {
            offset: size(offset)?,
            bytes: bytes.to_vec(),
        })
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.change(Change::SetLen(size(len)?))
    }

    fn sync(&self) -> io::Result<()> {
        self.with(true, |inode| {
            inode.synced = inode.live.clone();
            inode.pending.clear();
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_vanish() {
        let mut vanished = 0;
        for seed in 0..64 {
            let disk = SimDisk::new();
            let file = disk.create(Path::new("/d/f")).unwrap();
            file.write_at(b"synced", 0).unwrap();
            file.sync().unwrap();
            disk.sync_dir(Path::new("/d")).unwrap();
            file.write_at(b"later", 6).unwrap();
            disk.create(Path::new("/d/g")).unwrap();
            let after = disk.crash(seed);
            let file = after.open(Path::new("/d/f")).unwrap();
            let content = super::super::read_all(&*file, 100).unwrap();
            assert!(content.starts_with(b"synced"), "seed {seed}");
            vanished += usize::from(content.len() == 6);
            vanished += usize::from(after.open(Path::new("/d/g")).is_err());
        }
        assert!(vanished > 10, "a crash that loses nothing tests nothing");
    }
}
