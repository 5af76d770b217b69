//! What a simulated disk holds: the bytes of a file and the entries of folders, each as they are
//! now and as they surely are after a power cut.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use super::random::Random;

/// The unit in which a real disk writes; of one write any subset of them may survive.
const SECTOR: usize = 512;

/// A file.
#[derive(Default, Clone)]
pub(super) struct Inode {
    pub(super) live: Vec<u8>,
    synced: Vec<u8>,
    pending: Vec<Change>,
}

/// A change of a file that is not synced.
#[derive(Clone)]
pub(super) enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    SetLen(usize),
}

impl Inode {
    /// A file that is as durable as it looks.
    fn settled(content: Vec<u8>) -> Self {
        Self {
            live: content.clone(),
            synced: content,
            pending: Vec::new(),
        }
    }

    pub(super) fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.synced);
        }
    }

    /// A sync that failed: what was to be written is forgotten, as Linux does. Until the pages are
    /// evicted the file still looks as if it were there.
    pub(super) fn lose(&mut self, evicted: bool) {
        self.pending.clear();
        if evicted {
            self.live = self.synced.clone();
        }
    }

    pub(super) fn flip(&mut self, offset: usize, mask: u8) {
        for content in [&mut self.live, &mut self.synced] {
            if let Some(byte) = content.get_mut(offset) {
                *byte ^= mask;
            }
        }
    }

    /// What is left after a power cut: all that was synced, and of the rest whatever chance says.
    pub(super) fn survive(&self, random: &mut Random) -> Self {
        let mut content = self.synced.clone();
        for change in &self.pending {
            match (random.below(5), change) {
                (0, _) => {}
                (1, Change::Write { offset, bytes }) => {
                    let torn = bytes.get(..random.below(bytes.len())).unwrap_or_default();
                    write(&mut content, *offset, torn);
                }
                (2, Change::Write { offset, bytes }) => {
                    for (at, sector) in bytes.chunks(SECTOR).enumerate() {
                        if random.below(2) == 0 {
                            write(&mut content, offset + at * SECTOR, sector);
                        }
                    }
                }
                _ => change.apply(&mut content),
            }
        }
        Self::settled(content)
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Change::Write { offset, bytes } => write(content, *offset, bytes),
            Change::SetLen(len) => content.resize(*len, 0),
        }
    }
}

fn write(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Node {
    File(u64),
    Dir,
}

/// A change of a folder that is not synced.
#[derive(Clone)]
pub(super) enum EntryChange {
    Link(PathBuf, Node),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf),
}

type Names = BTreeMap<PathBuf, Node>;

/// The entries of all folders.
#[derive(Default, Clone)]
pub(super) struct Entries {
    pub(super) live: Names,
    synced: Names,
    pending: Vec<EntryChange>,
}

impl Entries {
    pub(super) fn find(&self, path: &Path) -> io::Result<Node> {
        let found = self.live.get(path).copied();
        found.ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    pub(super) fn change(&mut self, change: EntryChange) {
        change.apply(&mut self.live);
        if let EntryChange::Rename(from, to) = &change {
            // What is not durable in a folder still is not under the folder's new name.
            self.pending
                .iter_mut()
                .for_each(|pending| pending.follow(from, to));
        }
        self.pending.push(change);
    }

    /// Makes the entries of one folder durable.
    pub(super) fn sync(&mut self, dir: &Path) {
        let pending = std::mem::take(&mut self.pending);
        let (durable, rest): (Vec<_>, Vec<_>) =
            pending.into_iter().partition(|c| c.dir() == Some(dir));
        for change in durable {
            change.apply(&mut self.synced);
        }
        self.pending = rest;
    }

    /// What is left after a power cut: of each folder's changes a first part, and nothing that lies
    /// in a folder which is gone itself.
    pub(super) fn survive(&self, random: &mut Random) -> Self {
        let mut names = self.synced.clone();
        let mut dirs: Vec<_> = self.pending.iter().filter_map(EntryChange::dir).collect();
        dirs.sort();
        dirs.dedup();
        for dir in dirs {
            let changes = self.pending.iter().filter(|c| c.dir() == Some(dir));
            let changes: Vec<_> = changes.collect();
            let kept = random.below(changes.len() + 1);
            changes
                .iter()
                .take(kept)
                .for_each(|change| change.apply(&mut names));
        }
        let lost: Vec<PathBuf> = self
            .live
            .iter()
            .filter(|(path, node)| **node == Node::Dir && !names.contains_key(*path))
            .map(|(path, _)| path.clone())
            .collect();
        names.retain(|path, _| !lost.iter().any(|dir| path.starts_with(dir)));
        Self {
            live: names.clone(),
            synced: names,
            pending: Vec::new(),
        }
    }
}

impl EntryChange {
    fn dir(&self) -> Option<&Path> {
        match self {
            EntryChange::Link(path, _) | EntryChange::Unlink(path) => path.parent(),
            EntryChange::Rename(_, to) => to.parent(),
        }
    }

    fn apply(&self, names: &mut Names) {
        match self {
            EntryChange::Link(path, node) => {
                names.insert(path.clone(), *node);
            }
            EntryChange::Unlink(path) => {
                names.remove(path);
            }
            EntryChange::Rename(from, to) => {
                let moved = names.extract_if(.., |path, _| path.starts_with(from));
                let moved: Vec<_> = moved.collect();
                names.extend(moved.into_iter().filter_map(|(path, node)| {
                    let rest = path.strip_prefix(from).ok()?;
                    Some((joined(to, rest), node))
                }));
            }
        }
    }

    /// A folder that this is in has another name now.
    fn follow(&mut self, from: &Path, to: &Path) {
        let paths = match self {
            EntryChange::Link(path, _) | EntryChange::Unlink(path) => [Some(path), None],
            EntryChange::Rename(a, b) => [Some(a), Some(b)],
        };
        for path in paths.into_iter().flatten() {
            if path != from
                && let Ok(rest) = path.strip_prefix(from)
            {
                *path = joined(to, rest);
            }
        }
    }
}

/// A path does not end in a slash where there is no rest.
fn joined(to: &Path, rest: &Path) -> PathBuf {
    match rest.as_os_str().is_empty() {
        true => to.to_owned(),
        false => to.join(rest),
    }
}
