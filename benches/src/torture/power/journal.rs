//! What a process did to its files, as the shim has written it down, done again on a simulated disk.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use storage::{Disk, DiskFile, SimDisk};

use crate::torture::remains::Files;

const HEAD: usize = 17;
/// Of the flags of `open`, on Linux.
const CREATE: u64 = 0o100;
const TRUNCATE: u64 = 0o1000;

/// One record.
struct Event<'a> {
    kind: u8,
    fd: i32,
    number: u64,
    bytes: &'a [u8],
}

/// The records in order; the last one may have been cut off with the process.
fn events(mut bytes: &[u8]) -> Vec<Event<'_>> {
    let mut events = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(HEAD) {
        let (kind, head) = (head[0], &head[1..]);
        let fd = head.first_chunk().map(|fd| i32::from_le_bytes(*fd));
        let number = head[4..].first_chunk().map(|n| u64::from_le_bytes(*n));
        let len = head[12..].first_chunk().map(|n| u32::from_le_bytes(*n));
        let len = usize::try_from(len.unwrap_or(0)).unwrap_or(usize::MAX);
        let Some((bytes_of, rest)) = rest.split_at_checked(len) else {
            break;
        };
        events.push(Event {
            kind,
            fd: fd.unwrap_or(-1),
            number: number.unwrap_or(0),
            bytes: bytes_of,
        });
        bytes = rest;
    }
    events
}

/// What a file descriptor stands for.
enum Open {
    File(std::rc::Rc<dyn DiskFile>),
    Folder(PathBuf),
}

/// Makes files durable that are there before all else.
pub(super) fn settle(disk: &SimDisk, root: &Path, files: &Files) -> Result<()> {
    disk.create_dir_all(root)?;
    let mut folders: BTreeSet<&Path> = root.ancestors().collect();
    for (path, bytes) in files {
        let folder = path.parent().context("a file is in a folder")?;
        disk.create_dir_all(folder)?;
        folders.extend(folder.ancestors());
        let file = disk.create(path)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
    }
    for folder in folders {
        disk.sync_dir(folder)?;
    }
    Ok(())
}

/// Does it all again. A sync counts from where it began, if it came to an end.
pub(super) fn replay(bytes: &[u8], disk: &SimDisk) -> Result<u64> {
    let events = events(bytes);
    let ended: HashSet<u64> = events
        .iter()
        .filter(|event| event.kind == 8)
        .map(|event| event.number)
        .collect();
    let mut open: BTreeMap<i32, Open> = BTreeMap::new();
    for event in &events {
        let path = Path::new(OsStr::from_bytes(event.bytes));
        let file = || match open.get(&event.fd) {
            Some(Open::File(file)) => Ok(std::rc::Rc::clone(file)),
            _ => bail!("descriptor {} is none of a file", event.fd),
        };
        match event.kind {
            1 => drop(open.insert(event.fd, opened(disk, path, event.number)?)),
            2 => file()?.write_at(event.bytes, event.number)?,
            3 => file()?.set_len(event.number)?,
            4 => {
                let mut names = event.bytes.split(|byte| *byte == 0);
                let mut next = || names.next().map(|name| Path::new(OsStr::from_bytes(name)));
                let (from, to) = next().zip(next()).context("two names")?;
                disk.rename(from, to)?;
            }
            5 => disk.remove(path)?,
            6 => disk.create_dir_all(path)?,
            7 if ended.contains(&event.number) => match open.get(&event.fd) {
                Some(Open::Folder(path)) => disk.sync_dir(path)?,
                _ => file()?.sync()?,
            },
            7 | 8 => {}
            9 => {
                let of = i32::try_from(event.number)?;
                let same = match open.get(&of) {
                    Some(Open::File(file)) => Open::File(std::rc::Rc::clone(file)),
                    Some(Open::Folder(path)) => Open::Folder(path.clone()),
                    None => bail!("descriptor {of} is not open"),
                };
                open.insert(event.fd, same);
            }
            other => bail!("a record of kind {other}"),
        }
    }
    Ok(events.len() as u64)
}

fn opened(disk: &SimDisk, path: &Path, flags: u64) -> Result<Open> {
    let file = match disk.open(path) {
        Ok(_) if flags & TRUNCATE != 0 => disk.create(path)?,
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::IsADirectory => {
            return Ok(Open::Folder(path.to_owned()));
        }
        Err(_) if flags & CREATE != 0 => disk.create(path)?,
        Err(error) => return Err(error).with_context(|| path.display().to_string()),
    };
    Ok(Open::File(file.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(kind: u8, fd: i32, number: u64, bytes: &[u8]) -> Vec<u8> {
        let len = u32::try_from(bytes.len()).unwrap_or(0);
        let head = [&[kind][..], &fd.to_le_bytes(), &number.to_le_bytes()];
        [&head.concat(), &len.to_le_bytes()[..], bytes].concat()
    }

    #[test]
    fn only_a_sync_that_ended_keeps_what_was_written_before_it_began() -> Result<()> {
        let disk = SimDisk::new();
        settle(&disk, Path::new("/d"), &Files::new())?;
        let mut journal = [
            event(1, 3, CREATE, b"/d/f"),
            event(1, 4, 0, b"/d"),
            event(2, 3, 0, b"kept"),
            event(7, 3, 1, b""),
            event(2, 3, 4, b"perhaps"),
            event(8, 3, 1, b""),
            event(7, 4, 2, b""),
            event(8, 4, 2, b""),
            event(7, 3, 3, b""),
        ]
        .concat();
        // The process ended in the middle of this one.
        journal.extend(&event(2, 3, 11, b"cut off")[..20]);
        assert_eq!(replay(&journal, &disk)?, 9);
        let mut lengths = BTreeSet::new();
        for seed in 0..32 {
            let file = disk.crash(seed).open(Path::new("/d/f"))?;
            lengths.insert(file.len()?);
        }
        assert!(lengths.contains(&4) && lengths.contains(&11), "{lengths:?}");
        assert!(lengths.iter().all(|len| (4..=11).contains(len)));
        Ok(())
    }
}
