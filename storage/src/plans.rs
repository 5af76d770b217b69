//! What inserts have worked out, beside the log: so much of it as is there saves a replay its searches.
//!
//! It is nobody's record of anything. Files are never synced, and end where a cut or a fault has ended
//! them; whatever is missing or damaged is worked out again. A file is a header (magic, version, store, as in
//! a snapshot), and then entries, each a checksum (CRC32C) of the rest of it, a length, a key and what was
//! worked out.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bytes::{Take, checksum, pack};
use crate::disk::{Disk, DiskFile, make_dir};
use crate::error::Error;
use crate::ids::{CollectionId, VectorId};
use crate::sections::header;

const MAGIC: &[u8; 8] = b"doppelPL";
/// Another one whenever something else is worked out, or is written otherwise (`hnsw`'s `plan`, `thin`,
/// `select` and `recall`).
const VERSION: u32 = 1;
/// Bytes of an entry before what was worked out.
const HEAD: usize = 4 + 4 + KEY;
const KEY: usize = 8 + 4 + 8 + 4;
/// Bytes that are read at once.
const PIECE: usize = 1 << 20;
/// Bytes of one entry at most; an entry that says more is damaged.
const MAX_ENTRY: usize = 16 << 20;

/// What something was worked out for: a batch
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlanKey {
    /// of this collection
    pub collection: CollectionId,
    /// and this vector of it,
    pub vector: VectorId,
    /// when its index had this history,
    pub history: u64,
    /// and the batch had this checksum.
    pub batch: u32,
}

impl PlanKey {
    /// Of a batch of vectors and what their levels are drawn from.
    pub fn new(
        (collection, vector): (CollectionId, VectorId),
        history: u64,
        batch: &[(u64, &[f32])],
    ) -> Self {
        let batch = batch.iter().fold(0, |crc, (seed, vector)| {
            let crc = crc32c::crc32c_append(crc, &seed.to_le_bytes());
            crc32c::crc32c_append(crc, &pack(vector))
        });
        Self {
            collection,
            vector,
            history,
            batch,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.collection.0.to_le_bytes().to_vec();
        bytes.extend_from_slice(&self.vector.0.to_le_bytes());
        bytes.extend_from_slice(&self.history.to_le_bytes());
        bytes.extend_from_slice(&self.batch.to_le_bytes());
        bytes
    }

    fn take(take: &mut Take<'_>) -> Option<Self> {
        Some(Self {
            collection: CollectionId(take.u64()?),
            vector: VectorId(take.u32()?),
            history: take.u64()?,
            batch: take.u32()?,
        })
    }
}

/// The folder of these files.
pub struct Plans {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    header: Vec<u8>,
    /// Files that were there at the start.
    old: Vec<OldFile>,
    known: HashMap<PlanKey, Known>,
    /// How many of them were used.
    used: u64,
    /// Files that were ended since, and their bytes.
    ended: Vec<(PathBuf, u64)>,
    out: Option<Out>,
    next: u64,
    /// Bytes that all files may have together.
    most: u64,
    /// Nothing is kept any more in this file,
    given_up: bool,
    /// or ever.
    off: bool,
}

struct OldFile {
    path: PathBuf,
    bytes: u64,
    /// If it can be read.
    file: Option<Box<dyn DiskFile>>,
}

/// Where something stands: file, first byte, bytes.
type Known = (usize, u64, usize);

struct Out {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
}

impl Plans {
    /// Looks what there is. All files together will have `most` bytes, no more.
    ///
    /// # Errors
    /// The folder cannot be made or listed.
    pub fn open(disk: Arc<dyn Disk>, dir: PathBuf, store: u128, most: u64) -> Result<Self, Error> {
        make_dir(&*disk, &dir).map_err(Error::io(&dir, "make the folder"))?;
        let names = disk.list(&dir).map_err(Error::io(&dir, "list"))?;
        let fields = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &store.to_le_bytes(),
        ];
        let mut this = Self {
            dir,
            header: header(fields.concat()),
            most,
            given_up: false,
            off: false,
            ..Self::none(disk)
        };
        for name in names {
            let number = name.strip_suffix(".plans").and_then(|it| it.parse().ok());
            let Some(number) = number else { continue };
            this.next = this.next.max(u64::saturating_add(number, 1));
            let path = this.dir.join(name);
            // What cannot be read is worked out again.
            let file = this.disk.open(&path).ok();
            if let Some(file) = &file {
                let _ = read(&**file, &this.header, this.old.len(), &mut this.known);
            }
            let bytes = file.as_ref().and_then(|file| file.len().ok());
            this.old.push(OldFile {
                path,
                bytes: bytes.unwrap_or_default(),
                file,
            });
        }
        Ok(this)
    }

    /// Keeps nothing, where logs may come to be others.
    pub fn none(disk: Arc<dyn Disk>) -> Self {
        Self {
            disk,
            dir: PathBuf::new(),
            header: Vec::new(),
            old: Vec::new(),
            known: HashMap::new(),
            used: 0,
            ended: Vec::new(),
            out: None,
            next: 0,
            most: 0,
            given_up: true,
            off: true,
        }
    }

    /// What was worked out for a batch, if that is known from before.
    pub fn find(&self, key: &PlanKey) -> Option<Vec<u8>> {
        let (file, start, len) = self.known.get(key).copied()?;
        let mut bytes = vec![0; len];
        let file = self.old.get(file)?.file.as_ref()?;
        let got = file.read_at(&mut bytes, start).ok()?;
        (got == len).then_some(bytes)
    }

    /// Counts one that was found and could be used.
    pub fn count_used(&mut self) {
        self.used += 1;
    }

    /// Keeps what was worked out for a batch.
    ///
    /// # Errors
    /// The disk does not let it, or there would be more than may be. Then nothing is kept any more until the
    /// next file; of what was kept before, a full disk takes the room back.
    pub fn keep(&mut self, key: &PlanKey, worked_out: &[u8]) -> Result<(), Error> {
        if self.given_up || worked_out.len() > MAX_ENTRY {
            return Ok(());
        }
        let bytes = self.bytes() + (HEAD + worked_out.len()) as u64;
        if bytes > self.most {
            self.given_up = true;
            let of_memory = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
            return Err(Error::TooLarge {
                what: "what inserts have worked out since the last checkpoint",
                got: of_memory(bytes),
                limit: of_memory(self.most),
            });
        }
        self.try_keep(key, worked_out).map_err(|error| {
            self.given_up = true;
            // What is not whole takes no room.
            if let Some(out) = self.out.take() {
                let _ = self.disk.remove(&out.path);
            }
            Error::io(&self.dir, "keep what inserts work out")(error)
        })
    }

    /// Bytes of all files, with the header of one that is still to be begun.
    fn bytes(&self) -> u64 {
        let old = self.old.iter().map(|old| old.bytes);
        let ended = self.ended.iter().map(|(_, bytes)| *bytes);
        let out = self
            .out
            .as_ref()
            .map_or(self.header.len() as u64, |out| out.end);
        old.chain(ended).sum::<u64>() + out
    }

    fn try_keep(&mut self, key: &PlanKey, worked_out: &[u8]) -> io::Result<()> {
        if self.out.is_none() {
            let path = self.dir.join(format!("{:010}.plans", self.next));
            let file = self.disk.create(&path)?;
            file.write_at(&self.header, 0)?;
            self.next += 1;
            let end = self.header.len() as u64;
            self.out = Some(Out { path, file, end });
        }
        let Some(out) = &mut self.out else {
            return Ok(());
        };
        let mut entry = vec![0; 4];
        let len = u32::try_from(worked_out.len()).map_err(io::Error::other)?;
        entry.extend_from_slice(&len.to_le_bytes());
        entry.extend_from_slice(&key.bytes());
        entry.extend_from_slice(worked_out);
        let crc = checksum(&[&entry[4..]]);
        entry[..4].copy_from_slice(&crc.to_le_bytes());
        out.file.write_at(&entry, out.end)?;
        out.end += entry.len() as u64;
        Ok(())
    }

    /// Forgets what was there at the start, for good: it is of a log that may have ended otherwise than
    /// the one that goes on now. To be called when all of it is replayed, and before anything is written;
    /// what was replayed has been kept again. Returns how many were used.
    ///
    /// # Errors
    /// The disk fails: then nothing may be written.
    pub fn end_replay(&mut self) -> Result<u64, Error> {
        self.known = HashMap::new();
        if self.old.is_empty() {
            return Ok(self.used);
        }
        for old in std::mem::take(&mut self.old) {
            let removed = self.disk.remove(&old.path);
            removed.map_err(Error::io(&old.path, "remove"))?;
        }
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(Error::io(&self.dir, "sync the folder"))?;
        // There is room again.
        self.given_up = self.off;
        Ok(self.used)
    }

    /// Goes on in another file: what is kept from now on is behind the next checkpoint.
    pub fn rotate(&mut self) {
        let ended = self.out.take().map(|out| (out.path, out.end));
        self.ended.extend(ended);
        self.given_up = self.off;
    }

    /// Removes the files that a checkpoint has made needless.
    ///
    /// # Errors
    /// One stays, until the next time or the next start.
    pub fn release(&mut self) -> Result<(), Error> {
        if self.ended.is_empty() {
            return Ok(());
        }
        while let Some((path, _)) = self.ended.last() {
            match self.disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(Error::io(path, "remove")(error));
                }
                _ => drop(self.ended.pop()),
            }
        }
        let synced = self.disk.sync_dir(&self.dir);
        synced.map_err(Error::io(&self.dir, "sync the folder"))
    }
}

/// Notes all entries up to the first that is not whole.
fn read(
    file: &dyn DiskFile,
    header: &[u8],
    number: usize,
    known: &mut HashMap<PlanKey, Known>,
) -> io::Result<()> {
    let mut input = Input {
        file,
        buffer: Vec::new(),
        start: 0,
    };
    if input.at(0, header.len())? != Some(header) {
        return Ok(());
    }
    let mut at = header.len() as u64;
    while let Some(head) = input.at(at, HEAD)? {
        let mut take = Take::new(head);
        let (Some(crc), Some(len)) = (take.u32(), take.u32()) else {
            break;
        };
        let Some(key) = PlanKey::take(&mut take) else {
            break;
        };
        let len = len as usize;
        if len > MAX_ENTRY {
            break;
        }
        let entry = input.at(at, HEAD + len)?;
        if entry.is_none_or(|entry| checksum(&[&entry[4..]]) != crc) {
            break;
        }
        known.insert(key, (number, at + HEAD as u64, len));
        at += (HEAD + len) as u64;
    }
    Ok(())
}

/// A file that is read from front to back.
struct Input<'a> {
    file: &'a dyn DiskFile,
    buffer: Vec<u8>,
    /// Where in the file the buffer begins.
    start: u64,
}

impl Input<'_> {
    /// So many bytes from there on; `None` where the file ends before.
    fn at(&mut self, at: u64, count: usize) -> io::Result<Option<&[u8]>> {
        let from = |start: u64| usize::try_from(at - start).unwrap_or(usize::MAX);
        if self.buffer.len() < from(self.start).saturating_add(count) {
            self.buffer.resize(count.max(PIECE), 0);
            let got = self.file.read_at(&mut self.buffer, at)?;
            self.buffer.truncate(got);
            self.start = at;
        }
        let from = from(self.start);
        Ok(self.buffer.get(from..from + count))
    }
}
