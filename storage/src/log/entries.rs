//! What stands in the files of a copy of the log behind their headers: entries, each a checksum (CRC32C) of the rest of it, a
//! length and what it is, the position of its record, that of the one before, and the record; or, in place of a record, a
//! bookmark.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Arc;

use super::bookmark::BOOKMARK_BYTES;
use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile};
use crate::ids::Lsn;
use crate::limits::MAX_RECORD_BYTES;

/// Bytes of a header.
pub(super) const HEADER: usize = 64;
/// Bytes of an entry before its record.
const HEAD: usize = 4 + 4 + 8 + 8;
/// The bit of a length that says: with this record its group ends.
pub(super) const ENDS: u32 = 1 << 31;
/// The bit of a length that says: this is a bookmark.
pub(super) const MARKS: u32 = 1 << 30;

/// One of them.
pub(super) struct Entry {
    pub(super) what: What,
    pub(super) lsn: Lsn,
    pub(super) before: Lsn,
    pub(super) bytes: Vec<u8>,
}

/// What it is; of a record whether its group ends with it.
#[derive(Clone, Copy)]
pub(super) enum What {
    Record { ends: bool },
    Bookmark,
}

/// An entry as it stands in a file: the bits of what it is, its own position and that of the record before.
pub(super) fn push(bytes: &mut Vec<u8>, bits: u32, (lsn, before): (Lsn, Lsn), content: &[u8]) {
    let start = bytes.len();
    let len = u32::try_from(content.len()).unwrap_or(u32::MAX) | bits;
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&lsn.0.to_le_bytes());
    bytes.extend_from_slice(&before.0.to_le_bytes());
    bytes.extend_from_slice(content);
    let crc = checksum(&[bytes.get(start + 4..).unwrap_or_default()]);
    bytes[start..start + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Entries of files, one after another: of each those before the first that is not whole.
pub(super) struct Entries {
    disk: Arc<dyn Disk>,
    files: VecDeque<PathBuf>,
    open: Option<(Box<dyn DiskFile>, u64)>,
}

impl Entries {
    pub(super) fn of(disk: Arc<dyn Disk>, files: VecDeque<PathBuf>) -> Self {
        Self {
            disk,
            files,
            open: None,
        }
    }
}

impl Iterator for Entries {
    type Item = Entry;

    fn next(&mut self) -> Option<Entry> {
        loop {
            let Some((file, at)) = &mut self.open else {
                let path = self.files.pop_front()?;
                // What cannot be read is not there.
                let file = self.disk.open(&path).ok();
                self.open = file.map(|file| (file, HEADER as u64));
                continue;
            };
            match entry(&**file, *at) {
                Some(entry) => {
                    *at += (HEAD + entry.bytes.len()) as u64;
                    return Some(entry);
                }
                None => self.open = None,
            }
        }
    }
}

/// What stands there, if it is whole.
fn entry(file: &dyn DiskFile, at: u64) -> Option<Entry> {
    let mut head = [0; HEAD];
    if file.read_at(&mut head, at).ok()? < HEAD {
        return None;
    }
    let mut take = Take::new(&head);
    let (crc, len) = (take.u32()?, take.u32()?);
    let what = match len & MARKS {
        0 => What::Record {
            ends: len & ENDS != 0,
        },
        _ => What::Bookmark,
    };
    let len = (len & !(ENDS | MARKS)) as usize;
    let most = match what {
        What::Record { .. } => MAX_RECORD_BYTES,
        What::Bookmark => BOOKMARK_BYTES,
    };
    if len > most {
        return None;
    }
    let (lsn, before) = (Lsn(take.u64()?), Lsn(take.u64()?));
    let mut bytes = vec![0; len];
    let got = file.read_at(&mut bytes, at + HEAD as u64).ok()?;
    let is_whole = got == len && checksum(&[&head[4..], &bytes]) == crc;
    is_whole.then_some(Entry {
        what,
        lsn,
        before,
        bytes,
    })
}
