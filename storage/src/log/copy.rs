//! What a node has read and written of the shared log since its checkpoints, in files of its own: so that what it has
//! applied is there where the log is not.
//!
//! Invariant: an entry names the record that it stands right behind, so that none is ever passed over: where one does
//! not go on from the one before, the copy ends. It is nobody's record of anything while the log is there. Files are never
//! synced: they outlive the process, however that ends, and after a power cut they may end earlier.
//!
//! A file is a header (magic, version, store, the number of the log, behind which record it begins), and then entries,
//! each a checksum (CRC32C) of the rest of it, a length and whether its group ends with it, the position of its record, that of the one before, and the
//! record.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile, make_dir};
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::{COPY_FILE_BYTES, MAX_RECORD_BYTES};
use crate::sections::{checked_header, header};

const MAGIC: &[u8; 8] = b"doppelCP";
const VERSION: u32 = 1;
/// Bytes of a header.
const HEADER: usize = 64;
/// Bytes of an entry before its record.
const HEAD: usize = 4 + 4 + 8 + 8;
/// The bit of a length that says: with this record its group ends.
const ENDS: u32 = 1 << 31;

/// The files of one folder.
pub(crate) struct Copy {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// What every header begins with.
    own: Vec<u8>,
    /// Those that are there, in the order in which they were written.
    files: Vec<Kept>,
    out: Option<Out>,
    next: u64,
    /// The last record that was given to it.
    last: Lsn,
    /// The disk has let nothing more into this file.
    given_up: bool,
}

struct Kept {
    path: PathBuf,
    /// Behind which record it begins; none of one whose header cannot be read.
    behind: Option<Lsn>,
}

struct Out {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
}

impl Copy {
    /// Looks what there is of the log of this number.
    pub(crate) fn open(
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        (store, log): (u128, u128),
    ) -> Result<Self, Error> {
        make_dir(&*disk, &dir).map_err(Error::io(&dir, "make the folder"))?;
        let fields = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &store.to_le_bytes(),
            &log.to_le_bytes(),
        ];
        let mut this = Self {
            own: fields.concat(),
            files: Vec::new(),
            out: None,
            next: 0,
            last: Lsn(0),
            given_up: false,
            disk,
            dir,
        };
        let names = this.disk.list(&this.dir);
        for name in names.map_err(Error::io(&this.dir, "list"))? {
            let number = name.strip_suffix(".copy").and_then(|it| it.parse().ok());
            let Some(number) = number else { continue };
            this.next = this.next.max(u64::saturating_add(number, 1));
            let path = this.dir.join(name);
            let behind = this.behind(&path);
            this.files.push(Kept { path, behind });
        }
        Ok(this)
    }

    /// What a file's header says, if it is one of these.
    fn behind(&self, path: &std::path::Path) -> Option<Lsn> {
        let mut bytes = [0; HEADER];
        let file = self.disk.open(path).ok()?;
        let got = file.read_at(&mut bytes, 0).ok()?;
        let body = checked_header(bytes.get(..got)?).ok()?;
        let rest = body.strip_prefix(self.own.as_slice())?;
        Take::new(rest).u64().map(Lsn)
    }

    /// All that stands in it right behind this record, one behind the other.
    pub(crate) fn behind_of(&self, last: Lsn) -> Chain {
        let begins = |kept: &Kept| kept.behind.is_some_and(|behind| behind <= last);
        let first = self.files.iter().position(begins);
        let files = first
            .and_then(|at| self.files.get(at..))
            .unwrap_or_default();
        let files = files.iter().filter(|it| it.behind.is_some());
        Chain {
            disk: Arc::clone(&self.disk),
            files: files.map(|it| it.path.clone()).collect(),
            open: None,
            last,
            whole: last,
            is_first: true,
        }
    }

    /// All that stands in it, from its beginning on.
    pub(crate) fn all(&self) -> Chain {
        let begins = self.files.iter().find_map(|kept| kept.behind);
        self.behind_of(begins.unwrap_or_default())
    }

    /// From now on what comes behind this record is kept.
    pub(crate) fn begin(&mut self, last: Lsn) {
        self.last = last;
    }

    /// The last record that was given to it.
    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// Keeps whole groups of records, the first right behind the last. Where the disk does not let it, nothing more is
    /// kept until the next file.
    pub(crate) fn keep_groups<'a>(&mut self, records: impl Iterator<Item = (Lsn, &'a [u8])>) {
        self.keep(records, ENDS);
    }

    /// The same with one record of a group, of which more may come.
    pub(crate) fn keep_one(&mut self, lsn: Lsn, record: &[u8]) {
        self.keep(std::iter::once((lsn, record)), 0);
    }

    fn keep<'a>(&mut self, records: impl Iterator<Item = (Lsn, &'a [u8])>, ends: u32) {
        let mut bytes = Vec::new();
        let begins = self.last;
        let mut records = records.peekable();
        while let Some((lsn, record)) = records.next() {
            let start = bytes.len();
            let mut len = u32::try_from(record.len()).unwrap_or(u32::MAX);
            if records.peek().is_none() {
                len |= ends;
            }
            bytes.extend_from_slice(&[0; 4]);
            bytes.extend_from_slice(&len.to_le_bytes());
            bytes.extend_from_slice(&lsn.0.to_le_bytes());
            bytes.extend_from_slice(&self.last.0.to_le_bytes());
            bytes.extend_from_slice(record);
            let crc = checksum(&[bytes.get(start + 4..).unwrap_or_default()]);
            bytes[start..start + 4].copy_from_slice(&crc.to_le_bytes());
            self.last = lsn;
        }
        if self.given_up || bytes.is_empty() {
            return;
        }
        if let Err(error) = self.write(&bytes, begins) {
            self.given_up = true;
            let dir = self.dir.display();
            tracing::warn!(%error, %dir, "until the next checkpoint this node keeps no copy of the log that nodes share");
        }
    }

    fn write(&mut self, bytes: &[u8], behind: Lsn) -> io::Result<()> {
        if self.out.is_none() {
            let path = self.dir.join(format!("{:010}.copy", self.next));
            let file = self.disk.create(&path)?;
            self.next += 1;
            let fields = [self.own.as_slice(), &behind.0.to_le_bytes()].concat();
            file.write_at(&header(fields), 0)?;
            self.files.push(Kept {
                path: path.clone(),
                behind: Some(behind),
            });
            let end = HEADER as u64;
            self.out = Some(Out { path, file, end });
        }
        if let Some(out) = &mut self.out {
            if out.end + bytes.len() as u64 > COPY_FILE_BYTES {
                return Err(io::Error::other(
                    "there has been no checkpoint for too long",
                ));
            }
            out.file.write_at(bytes, out.end)?;
            out.end += bytes.len() as u64;
        }
        Ok(())
    }

    /// Goes on in another file, so that this one can go.
    pub(crate) fn rotate(&mut self) {
        self.out = None;
        self.given_up = false;
    }

    /// Removes the files that have nothing at or behind this position, but for the newest: what was applied last is held
    /// against the log at the next start.
    pub(crate) fn release_below(&mut self, lsn: Lsn) {
        let out = self.out.as_ref().map(|out| out.path.clone());
        // What is in a file ends where the next begins, if one has begun, or with the last record.
        let mut ends = self.last;
        let mut gone = Vec::new();
        let mut is_newest = true;
        for kept in self.files.iter().rev() {
            if ends < lsn && out.as_ref() != Some(&kept.path) && !is_newest {
                gone.push(kept.path.clone());
            }
            ends = kept.behind.unwrap_or(ends);
            is_newest &= kept.behind.is_none();
        }
        for path in &gone {
            match self.disk.remove(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    tracing::warn!(%error, file = %path.display(), "a part of the copy of the log stays for now");
                }
                _ => self.files.retain(|kept| kept.path != *path),
            }
        }
    }
}

/// Records, each right behind the one before.
pub(crate) struct Chain {
    disk: Arc<dyn Disk>,
    files: VecDeque<PathBuf>,
    open: Option<(Box<dyn DiskFile>, u64)>,
    last: Lsn,
    whole: Lsn,
    /// Nothing was read yet.
    is_first: bool,
}

impl Iterator for Chain {
    type Item = (Lsn, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Some((file, at)) = &mut self.open else {
                let path = self.files.pop_front()?;
                // What cannot be read is not there.
                let file = self.disk.open(&path).ok();
                self.open = file.map(|file| (file, HEADER as u64));
                continue;
            };
            let Some((entry, bytes)) = entry(&**file, *at) else {
                self.open = None;
                continue;
            };
            *at += (HEAD + bytes.len()) as u64;
            if entry.lsn <= self.last {
                continue;
            }
            // Where it begins may be behind a record without being one.
            let follows = match self.is_first {
                true => entry.before <= self.last,
                false => entry.before == self.last,
            };
            if !follows {
                // Something is missing here; what was read again after that may be in a later file.
                self.open = None;
                continue;
            }
            // Positions in a group stand one behind the other, and a group that another comes behind has ended.
            if entry.lsn != self.last.next() {
                self.whole = self.last;
            }
            if entry.ends {
                self.whole = entry.lsn;
            }
            (self.last, self.is_first) = (entry.lsn, false);
            return Some((entry.lsn, bytes));
        }
    }
}

impl Chain {
    /// Up to where what was read is of groups of which surely nothing is missing.
    pub(crate) fn whole(&self) -> Lsn {
        self.whole
    }
}

struct Entry {
    lsn: Lsn,
    ends: bool,
    before: Lsn,
}

/// What stands there, if it is whole.
fn entry(file: &dyn DiskFile, at: u64) -> Option<(Entry, Vec<u8>)> {
    let mut head = [0; HEAD];
    if file.read_at(&mut head, at).ok()? < HEAD {
        return None;
    }
    let mut take = Take::new(&head);
    let (crc, len) = (take.u32()?, take.u32()?);
    let (len, ends) = ((len & !ENDS) as usize, len & ENDS != 0);
    let entry = Entry {
        lsn: Lsn(take.u64()?),
        ends,
        before: Lsn(take.u64()?),
    };
    if len > MAX_RECORD_BYTES {
        return None;
    }
    let mut bytes = vec![0; len];
    let got = file.read_at(&mut bytes, at + HEAD as u64).ok()?;
    let whole = got == len && checksum(&[&head[4..], &bytes]) == crc;
    whole.then_some((entry, bytes))
}
