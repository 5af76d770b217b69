//! A disk in RAM that loses power, fails and rots.
//!
//! It keeps what was made durable apart from what was only written. [`SimDisk::crash`] gives a disk
//! as it may look after a power cut: of the writes that were not synced some are there, some are
//! not, some are torn at any byte or sector, in any order across files; of the changes to a folder
//! that were not synced a first part is there, and with a folder goes all that lies in it.
//!
//! Every operation that changes the disk has a number, and so has every one that reads. Power can
//! go at any of them ([`SimDisk::power_off_at`]), and any can go wrong ([`Fault`]). All of it
//! follows from numbers, so that one seed reproduces a failure. It does not simulate disks that lie
//! about a sync.

mod content;
mod file;
mod random;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use parking_lot::Mutex;

use super::{Disk, DiskFile};
use content::{Change, Entries, EntryChange, Inode, Node};
use file::SimFile;
use random::Random;

/// How an operation goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It does nothing and fails.
    Error(io::ErrorKind),
    /// A write is done in its first half only, and fails.
    ShortWrite(io::ErrorKind),
    /// A sync fails and what it should have made durable will never be, whatever is synced later;
    /// reads see the old bytes at once, or go on seeing the new ones until power goes.
    LostSync {
        /// Whether reads see the old bytes at once.
        evicted: bool,
    },
    /// A read succeeds with this one of its bits flipped (counted modulo its length).
    FlippedBit(usize),
}

/// A simulated disk; clones share it.
#[derive(Clone, Default)]
pub struct SimDisk(Arc<Mutex<State>>);

#[derive(Default, Clone)]
struct State {
    inodes: BTreeMap<u64, Arc<Inode>>,
    next_inode: u64,
    entries: Entries,
    operations: u64,
    reads: u64,
    power_off_at: Option<u64>,
    faults: BTreeMap<u64, Fault>,
    read_faults: BTreeMap<u64, Fault>,
    full: Option<io::ErrorKind>,
    /// What [`Disk::unique`] follows from.
    numbers: Option<Random>,
    /// Of all that was asked of it, so that two runs can be compared.
    trace: u32,
    /// The disk before each operation, if that is kept.
    forks: Option<Vec<State>>,
}

impl SimDisk {
    /// An empty disk.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty disk on which everything follows from a number: also the numbers that folders and
    /// files are told apart by.
    pub fn seeded(seed: u64) -> Self {
        Self::of(State {
            numbers: Some(Random::new(seed)),
            ..State::default()
        })
    }

    fn of(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    /// Of all the changes that were asked of it and of the number of readings: the same for two runs
    /// that did the same.
    pub fn trace(&self) -> (u32, u64) {
        let state = self.0.lock();
        (state.trace, state.reads)
    }

    /// A second disk that is as this one is now, and goes its own way.
    pub fn fork(&self) -> SimDisk {
        Self::of(self.0.lock().clone())
    }

    /// From now on the disk is kept as it is before each operation that changes it.
    pub fn keep_forks(&self) {
        self.0.lock().forks = Some(Vec::new());
    }

    /// The disk as it was before each operation since [`SimDisk::keep_forks`]; each goes its own way.
    pub fn take_forks(&self) -> Vec<SimDisk> {
        let forks = self.0.lock().forks.take().unwrap_or_default();
        forks.into_iter().map(Self::of).collect()
    }

    /// How many operations that change the disk it has seen.
    pub fn operations(&self) -> u64 {
        self.0.lock().operations
    }

    /// How many operations that read it has seen.
    pub fn reads(&self) -> u64 {
        self.0.lock().reads
    }

    /// From the operation of this number on (counted from 0) everything fails, as without power.
    pub fn power_off_at(&self, operation: u64) {
        self.0.lock().power_off_at = Some(operation);
    }

    /// The process was killed and starts again: the disk is as it was left, with all that was
    /// written, but nothing more has become durable. Faults that have not come do not come any more.
    pub fn restart(&self) {
        let mut state = self.0.lock();
        state.power_off_at = None;
        state.faults.clear();
        state.read_faults.clear();
    }

    /// The changing operation of this number goes wrong, once.
    pub fn fail_at(&self, operation: u64, fault: Fault) {
        self.0.lock().faults.insert(operation, fault);
    }

    /// The reading operation of this number goes wrong, once.
    pub fn fail_read_at(&self, read: u64, fault: Fault) {
        self.0.lock().read_faults.insert(read, fault);
    }

    /// From now on everything that writes fails with this, until `None`. Removing still works.
    pub fn refuse_writes(&self, kind: Option<io::ErrorKind>) {
        self.0.lock().full = kind;
    }

    /// The disk as it may be found when power is back.
    pub fn crash(&self, seed: u64) -> SimDisk {
        let mut random = Random::new(seed);
        let state = self.0.lock();
        let entries = state.entries.survive(&mut random);
        let mut inodes = BTreeMap::new();
        for node in entries.live.values() {
            if let Node::File(number) = node
                && let Some(inode) = state.inodes.get(number)
            {
                inodes.insert(*number, Arc::new(inode.survive(&mut random)));
            }
        }
        Self::of(State {
            inodes,
            next_inode: state.next_inode,
            entries,
            numbers: state.numbers.clone(),
            trace: state.trace,
            ..State::default()
        })
    }

    /// Changes one byte behind the back of whoever uses the disk.
    pub fn flip(&self, path: &Path, offset: usize, mask: u8) {
        let mut state = self.0.lock();
        if let Ok(number) = state.file(path)
            && let Some(inode) = state.inodes.get_mut(&number)
        {
            Arc::make_mut(inode).flip(offset, mask);
        }
    }
}

impl State {
    /// Counts an operation that changes something; fails when it is its turn to.
    fn step(&mut self, writes: bool, what: &[&[u8]]) -> io::Result<Option<Fault>> {
        if let Some(mut forks) = self.forks.take() {
            forks.push(self.clone());
            self.forks = Some(forks);
        }
        let number = self.operations;
        self.operations += 1;
        for part in what {
            self.trace = crc32c::crc32c_append(self.trace, part);
        }
        if self.power_off_at.is_some_and(|at| number >= at) {
            return Err(io::Error::other("power is off"));
        }
        if let Some(kind) = self.full.filter(|_| writes) {
            return Err(kind.into());
        }
        match self.faults.remove(&number) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            fault => Ok(fault),
        }
    }

    /// Counts an operation that reads.
    fn read(&mut self) -> io::Result<Option<Fault>> {
        let number = self.reads;
        self.reads += 1;
        match self.read_faults.remove(&number) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            fault => Ok(fault),
        }
    }

    fn file(&self, path: &Path) -> io::Result<u64> {
        match self.entries.live.get(path) {
            Some(Node::File(number)) => Ok(*number),
            Some(Node::Dir) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for SimDisk {
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.step(true, &[b"create", name(path)])?;
        let number = match state.file(path) {
            Ok(number) => number,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let number = state.next_inode;
                state.next_inode += 1;
                let link = EntryChange::Link(path.to_owned(), Node::File(number));
                state.entries.change(link);
                number
            }
            Err(error) => return Err(error),
        };
        let inode = state.inodes.entry(number).or_default();
        Arc::make_mut(inode).change(Change::SetLen(0));
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
        }))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let mut state = self.0.lock();
        state.read()?;
        let number = state.file(path)?;
        Ok(Box::new(SimFile {
            disk: self.clone(),
            number,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step(true, &[b"rename", name(from), name(to)])?;
        state.entries.find(from)?;
        let change = EntryChange::Rename(from.to_owned(), to.to_owned());
        state.entries.change(change);
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        state.step(false, &[b"remove", name(path)])?;
        state.entries.find(path)?;
        state.entries.change(EntryChange::Unlink(path.to_owned()));
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let mut state = self.0.lock();
        state.read()?;
        let all = state
            .entries
            .live
            .keys()
            .filter(|path| path.parent() == Some(dir));
        Ok(all
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn create_dir_all(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        let missing = |path: &&Path| {
            path.parent().is_some() && !state.entries.live.contains_key::<Path>(path)
        };
        let mut missing: Vec<_> = dir.ancestors().filter(missing).collect();
        missing.reverse();
        for path in missing {
            state.step(true, &[b"make", name(path)])?;
            let link = EntryChange::Link(path.to_owned(), Node::Dir);
            state.entries.change(link);
        }
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        let mut state = self.0.lock();
        match state.step(false, &[b"sync folder", name(dir)])? {
            Some(Fault::LostSync { .. }) => Err(io::Error::other("the sync failed")),
            _ => {
                state.entries.sync(dir);
                Ok(())
            }
        }
    }

    fn unique(&self) -> u128 {
        match &mut self.0.lock().numbers {
            Some(numbers) => u128::from(numbers.next()) << 64 | u128::from(numbers.next()),
            None => uuid::Uuid::new_v4().as_u128(),
        }
    }

    /// Goes on by a second with each operation.
    fn now_s(&self) -> u64 {
        1_700_000_000 + self.operations()
    }
}

fn name(path: &Path) -> &[u8] {
    path.as_os_str().as_encoded_bytes()
}

#[cfg(test)]
mod tests {
    use super::super::read_all;
    use super::*;

    const DIR: &str = "/d";

    fn at(name: &str) -> std::path::PathBuf {
        Path::new(DIR).join(name)
    }

    fn content(disk: &SimDisk, name: &str) -> Option<Vec<u8>> {
        let file = disk.open(&at(name)).ok()?;
        Some(read_all(&*file, 10_000).unwrap())
    }

    #[test]
    fn what_was_synced_survives_and_what_was_not_may_vanish() {
        let mut vanished = 0;
        for seed in 0..64 {
            let disk = SimDisk::new();
            let file = disk.create(&at("f")).unwrap();
            file.write_at(b"synced", 0).unwrap();
            file.sync().unwrap();
            disk.sync_dir(Path::new(DIR)).unwrap();
            file.write_at(b"later", 6).unwrap();
            disk.create(&at("g")).unwrap();
            let after = disk.crash(seed);
            let content = content(&after, "f").unwrap();
            assert!(content.starts_with(b"synced"), "seed {seed}");
            vanished += usize::from(content.len() == 6);
            vanished += usize::from(after.open(&at("g")).is_err());
        }
        assert!(vanished > 10, "a crash that loses nothing tests nothing");
    }

    #[test]
    fn a_folder_that_was_not_synced_takes_what_was_synced_in_it_along() {
        let mut vanished = 0;
        for seed in 0..16 {
            let disk = SimDisk::new();
            disk.create_dir_all(Path::new(DIR)).unwrap();
            disk.create(&at("f")).unwrap().sync().unwrap();
            disk.sync_dir(Path::new(DIR)).unwrap();
            vanished += usize::from(disk.crash(seed).open(&at("f")).is_err());
            disk.sync_dir(Path::new("/")).unwrap();
            assert!(disk.crash(seed).open(&at("f")).is_ok());
        }
        assert!(vanished > 2, "a crash that loses nothing tests nothing");
    }

    #[test]
    fn what_a_failed_sync_lost_does_not_come_back_with_the_next_one() {
        for evicted in [false, true] {
            let disk = SimDisk::new();
            let file = disk.create(&at("f")).unwrap();
            file.write_at(b"first.", 0).unwrap();
            file.sync().unwrap();
            disk.sync_dir(Path::new(DIR)).unwrap();
            file.write_at(b"lost..", 6).unwrap();
            disk.fail_at(disk.operations(), Fault::LostSync { evicted });
            assert!(file.sync().is_err());
            assert_eq!(content(&disk, "f").unwrap().len() == 6, evicted);
            file.write_at(b"third.", 12).unwrap();
            file.sync().unwrap();
            let after = content(&disk.crash(1), "f").unwrap();
            assert_eq!(after, b"first.\0\0\0\0\0\0third.");
        }
    }

    #[test]
    fn a_short_write_leaves_its_first_half_and_a_flipped_read_leaves_the_file_alone() {
        let disk = SimDisk::new();
        let file = disk.create(&at("f")).unwrap();
        let short = Fault::ShortWrite(io::ErrorKind::StorageFull);
        disk.fail_at(disk.operations(), short);
        let error = file.write_at(b"abcd", 0).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::StorageFull);
        let mut bytes = [0; 2];
        disk.fail_read_at(disk.reads(), Fault::FlippedBit(9));
        file.read_at(&mut bytes, 0).unwrap();
        assert_eq!(bytes, [b'a', b'b' ^ 2]);
        assert_eq!(content(&disk, "f").unwrap(), b"ab");
        disk.fail_read_at(disk.reads(), Fault::Error(io::ErrorKind::PermissionDenied));
        assert!(file.len().is_err());
    }
}
