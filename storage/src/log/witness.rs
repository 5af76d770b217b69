//! The witness: how far the log has been synced, in a small file of its own.
//!
//! A torn last frame and a last frame that was damaged after it was acknowledged look alike, and so
//! do a log that ends and a log that was cut. The witness tells them apart: it is written after
//! each sync, and never synced itself, so it costs next to nothing, outlives a kill of the process,
//! and after a power cut is merely older, or unreadable and then says nothing. It is never ahead of
//! what is on disk. It does not say where in the log a record is.

use std::io;
use std::path::{Path, PathBuf};

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::ids::Lsn;

const FILE: &str = "witness";
const MAGIC: &[u8; 8] = b"doppelWI";
const LEN: usize = 20;

pub(super) struct Witness {
    file: Box<dyn DiskFile>,
    store: u128,
}

impl Witness {
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join(FILE)
    }

    /// What the witness in `dir` says: the log was synced at least up to here; or why it says nothing.
    pub(super) fn read(
        disk: &dyn Disk,
        dir: &Path,
        store: u128,
    ) -> Result<Result<Lsn, &'static str>, Error> {
        let path = Self::path(dir);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Err("it is missing"));
            }
            file => file.map_err(Error::io(&path, "open"))?,
        };
        let mut bytes = [0; LEN];
        file.read_at(&mut bytes, 0)
            .map_err(Error::io(&path, "read"))?;
        Ok(decode(&bytes, store).ok_or("it is torn or damaged"))
    }

    /// Opens the witness in `dir`, or makes it.
    pub(super) fn open(disk: &dyn Disk, dir: &Path, store: u128) -> Result<Self, Error> {
        let path = Self::path(dir);
        let file = match disk.open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => disk.create(&path),
            file => file,
        };
        let file = file.map_err(Error::io(&path, "open"))?;
        Ok(Self { file, store })
    }

    /// Says that the log is synced up to `lsn`.
    pub(super) fn say(&self, lsn: Lsn) {
        // An older witness is no lie: whatever keeps this from being written, the log has it.
        let _ = self.file.write_at(&encode(lsn, self.store), 0);
    }
}

fn crc(head: &[u8], store: u128) -> [u8; 4] {
    checksum(&[&store.to_le_bytes(), head]).to_le_bytes()
}

fn encode(lsn: Lsn, store: u128) -> Vec<u8> {
    let head = [MAGIC.as_slice(), &lsn.0.to_le_bytes()].concat();
    [head.as_slice(), &crc(&head, store)].concat()
}

fn decode(bytes: &[u8], store: u128) -> Option<Lsn> {
    let (head, sum) = bytes.split_at_checked(LEN - 4)?;
    let mut take = Take::new(head);
    let (magic, lsn) = (take.bytes(8)?, take.u64()?);
    (magic == MAGIC && sum == crc(head, store)).then_some(Lsn(lsn))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_witness_says_nothing() {
        let good = encode(Lsn(77), 5);
        assert_eq!(decode(&good, 5), Some(Lsn(77)));
        assert_eq!(decode(&good, 6), None, "of another data folder");
        for at in 0..good.len() {
            let mut bad = good.clone();
            bad[at] ^= 1;
            assert_eq!(decode(&bad, 5), None, "byte {at}");
            assert_eq!(decode(&good[..at], 5), None, "cut at {at}");
        }
    }
}
