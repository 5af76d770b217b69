//! What a node has read and written of the shared log since its checkpoints, in files of its own: so that what it has
//! applied is there where the log is not.
//!
//! Invariant: an entry names the record that it stands right behind, so that none is ever passed over: where one does
//! not go on from the one before, the copy ends. It is nobody's record of anything while the log is there. Files are never
//! synced: they outlive the process, however that ends, and after a power cut they may end earlier.
//!
//! A file is a header (magic, version, store, the number of the log, behind which record it begins), and then
//! (`entries`) records and, between groups, bookmarks in the log.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::bookmark::Bookmark;
use super::entries::{ENDS, Entries, Entry, HEADER, MARKS, What, push};
use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile, make_dir};
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::COPY_FILE_BYTES;
use crate::sections::{checked_header, header};

const MAGIC: &[u8; 8] = b"doppelCP";
const VERSION: u32 = 2;

/// The files of one folder.
pub(crate) struct CopyFiles {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    /// What every header begins with.
    own: Vec<u8>,
    /// Those that are there, in the order in which they were written.
    files: Vec<Kept>,
    /// Whether the folder is there, and these are all that are in it.
    is_looked: bool,
    out: Option<Out>,
    next: u64,
    /// The last record that was given to it.
    last: Lsn,
    /// The last bookmark that was written.
    marked: Option<Bookmark>,
    /// The disk has let nothing more into this file.
    given_up: bool,
}

struct Kept {
    path: PathBuf,
    /// Behind which record it begins; none of one whose header cannot be read.
    behind: Option<Lsn>,
    bytes: u64,
}

struct Out {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
}

/// What a start wants to know of all that is there.
pub(crate) struct Known {
    /// Up to where it goes on from where the node begins,
    pub(crate) end: Lsn,
    /// and with groups of which surely nothing is missing.
    pub(crate) whole: Lsn,
    /// The checksums of the last records before that; with some their group ends.
    pub(crate) before: VecDeque<(Lsn, u32, bool)>,
    /// The last bookmark in what the log has read by now,
    pub(crate) bookmark: Option<Bookmark>,
    /// and the last of all.
    pub(crate) followed: Option<Bookmark>,
}

impl CopyFiles {
    /// Looks what there is of the log of this number. Where the folder can be neither made nor read nothing is kept.
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: PathBuf, (store, log): (u128, u128)) -> Self {
        let fields = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &store.to_le_bytes(),
            &log.to_le_bytes(),
        ];
        let mut this = Self {
            own: fields.concat(),
            files: Vec::new(),
            is_looked: false,
            out: None,
            next: 0,
            last: Lsn(0),
            marked: None,
            given_up: false,
            disk,
            dir,
        };
        if let Err(error) = this.look() {
            this.give_up(&error);
        }
        this
    }

    fn look(&mut self) -> Result<(), Error> {
        make_dir(&*self.disk, &self.dir).map_err(Error::io(&self.dir, "make the folder"))?;
        let names = self.disk.list(&self.dir);
        for name in names.map_err(Error::io(&self.dir, "list"))? {
            let number = name.strip_suffix(".copy").and_then(|it| it.parse().ok());
            let Some(number) = number else { continue };
            self.next = self.next.max(u64::saturating_add(number, 1));
            let path = self.dir.join(name);
            let (behind, bytes) = self.head(&path).unwrap_or_default();
            self.files.push(Kept {
                path,
                behind,
                bytes,
            });
        }
        self.is_looked = true;
        Ok(())
    }

    /// What a file's header says, if it is one of these, and how large it is.
    fn head(&self, path: &Path) -> Option<(Option<Lsn>, u64)> {
        let file = self.disk.open(path).ok()?;
        Some((self.behind(&*file), file.len().ok()?))
    }

    fn behind(&self, file: &dyn DiskFile) -> Option<Lsn> {
        let mut bytes = [0; HEADER];
        let got = file.read_at(&mut bytes, 0).ok()?;
        let body = checked_header(bytes.get(..got)?).ok()?;
        let rest = body.strip_prefix(self.own.as_slice())?;
        Take::new(rest).u64().map(Lsn)
    }

    /// All entries from the first file on that begins behind this record or before it.
    fn entries(&self, from: Lsn) -> Entries {
        let is_later = |kept: &&Kept| kept.behind.is_none_or(|behind| behind > from);
        let files = self.files.iter().skip_while(is_later);
        let files = files.filter(|it| it.behind.is_some());
        Entries::of(
            Arc::clone(&self.disk),
            files.map(|it| it.path.clone()).collect(),
        )
    }

    /// All that stands in it right behind this record, one behind the other.
    pub(crate) fn behind_of(&self, last: Lsn) -> Chain {
        Chain {
            entries: self.entries(last),
            at: Place::behind(last),
        }
    }

    /// Reads all there is, of a node that has everything up to `kept`, with so many records before that. `seen`: how far
    /// the log was read.
    pub(crate) fn read_through(&mut self, kept: Lsn, seen: u64, compared: usize) -> Known {
        let mut at = Place::behind(kept);
        let mut before = VecDeque::new();
        let (mut bookmark, mut followed) = (None, None);
        for entry in self.entries(Lsn(u64::MAX)) {
            match entry.what {
                What::Bookmark => {
                    at.goes_on(&entry);
                    let read = Bookmark::from_bytes(&entry.bytes);
                    self.marked = read.filter(|it| it.last == at.last);
                    bookmark = read.filter(|it| it.message <= seen).or(bookmark);
                    followed = read.or(followed);
                }
                What::Record { ends } if entry.lsn <= kept => {
                    let is_next = |(last, ..): &(Lsn, _, _)| *last < entry.lsn;
                    if before.back().is_none_or(is_next) {
                        if before.len() == compared {
                            before.pop_front();
                        }
                        before.push_back((entry.lsn, checksum(&[&entry.bytes]), ends));
                    }
                }
                What::Record { .. } => {
                    at.goes_on(&entry);
                }
            }
        }
        Known {
            end: at.last,
            whole: at.whole,
            before,
            bookmark,
            followed,
        }
    }

    /// From now on what comes behind this record is kept.
    pub(crate) fn begin(&mut self, last: Lsn) {
        self.last = last;
    }

    /// Removes all there is, and begins behind this record. What cannot be removed is of nobody: all in it is before that.
    pub(crate) fn begin_anew(&mut self, behind: Lsn) {
        (self.out, self.marked, self.last) = (None, None, behind);
        for kept in std::mem::take(&mut self.files) {
            if let Err(error) = self.disk.remove(&kept.path) {
                tracing::warn!(%error, file = %kept.path.display(), "what is left of another copy of the log stays");
            }
        }
    }

    /// The last record that was given to it.
    pub(crate) fn last(&self) -> Lsn {
        self.last
    }

    /// Bytes of the files.
    pub(crate) fn bytes(&self) -> u64 {
        self.files.iter().map(|kept| kept.bytes).sum()
    }

    /// Whether nothing more is kept until the next file.
    pub(crate) fn has_given_up(&self) -> bool {
        self.given_up
    }

    /// Keeps whole groups of records, the first right behind the last, and how the log stands behind them if that is
    /// known. Where the disk does not let it, nothing more is kept until the next file.
    pub(crate) fn keep_groups<'a>(
        &mut self,
        records: impl Iterator<Item = (Lsn, &'a [u8])>,
        bookmark: Option<Bookmark>,
    ) {
        let begins = self.last;
        let mut bytes = self.encode(records, ENDS);
        let new = bookmark.filter(|_| self.marked != bookmark);
        if let Some(bookmark) = new {
            self.marked = Some(bookmark);
            push(
                &mut bytes,
                MARKS,
                (self.last, self.last),
                &bookmark.to_bytes(),
            );
        }
        self.put(&bytes, begins);
    }

    /// Keeps one record of a group, of which more may come.
    pub(crate) fn keep_one(&mut self, lsn: Lsn, record: &[u8]) {
        let begins = self.last;
        let bytes = self.encode(std::iter::once((lsn, record)), 0);
        self.put(&bytes, begins);
    }

    fn encode<'a>(&mut self, records: impl Iterator<Item = (Lsn, &'a [u8])>, ends: u32) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut records = records.peekable();
        while let Some((lsn, record)) = records.next() {
            let ends = if records.peek().is_none() { ends } else { 0 };
            push(&mut bytes, ends, (lsn, self.last), record);
            self.last = lsn;
        }
        bytes
    }

    fn put(&mut self, bytes: &[u8], behind: Lsn) {
        if self.given_up || bytes.is_empty() {
            return;
        }
        if let Err(error) = self.write(bytes, behind) {
            self.give_up(&error);
        }
    }

    fn give_up(&mut self, error: &Error) {
        self.given_up = true;
        tracing::warn!(
            %error,
            "until the next checkpoint this node keeps no copy of the log that nodes share; its folder must be one that \
             doppel can read and write"
        );
    }

    fn write(&mut self, bytes: &[u8], behind: Lsn) -> Result<(), Error> {
        if !self.is_looked {
            self.look()?;
        }
        if self.out.is_none() {
            let path = self.dir.join(format!("{:010}.copy", self.next));
            let file = self.disk.create(&path);
            let file = file.map_err(Error::io(&path, "create"))?;
            self.next += 1;
            let fields = [self.own.as_slice(), &behind.0.to_le_bytes()].concat();
            let begun = file.write_at(&header(fields), 0);
            begun.map_err(Error::io(&path, "write"))?;
            let end = HEADER as u64;
            self.files.push(Kept {
                path: path.clone(),
                behind: Some(behind),
                bytes: end,
            });
            self.out = Some(Out { path, file, end });
        }
        if let Some(out) = &mut self.out {
            let end = out.end + bytes.len() as u64;
            if end > COPY_FILE_BYTES {
                let long = io::Error::other("there has been no checkpoint for too long");
                return Err(Error::io(&out.path, "write")(long));
            }
            let written = out.file.write_at(bytes, out.end);
            written.map_err(Error::io(&out.path, "write"))?;
            out.end = end;
            if let Some(kept) = self.files.last_mut() {
                kept.bytes = end;
            }
        }
        Ok(())
    }

    /// Goes on in another file, so that this one can go.
    pub(crate) fn rotate(&mut self) {
        self.out = None;
        if std::mem::take(&mut self.given_up) {
            self.marked = None;
        }
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

/// How far records were read that stand one behind the other.
struct Place {
    last: Lsn,
    whole: Lsn,
    /// Nothing was read yet.
    is_first: bool,
}

impl Place {
    fn behind(last: Lsn) -> Self {
        Self {
            last,
            whole: last,
            is_first: true,
        }
    }

    /// Whether this is a record that comes next. Where one is missing none does any more, but for what was read again
    /// after that and is in a later file.
    fn goes_on(&mut self, entry: &Entry) -> bool {
        let What::Record { ends } = entry.what else {
            let bookmark = Bookmark::from_bytes(&entry.bytes);
            if bookmark.is_some_and(|it| it.last == self.last) {
                // All up to there is of whole groups.
                self.whole = self.last;
            }
            return false;
        };
        // Where it begins may be behind a record without being one.
        let follows = match self.is_first {
            true => entry.before <= self.last,
            false => entry.before == self.last,
        };
        if entry.lsn <= self.last || !follows {
            return false;
        }
        // Positions in a group stand one behind the other, and a group that another comes behind has ended.
        if entry.lsn != self.last.next() {
            self.whole = self.last;
        }
        if ends {
            self.whole = entry.lsn;
        }
        (self.last, self.is_first) = (entry.lsn, false);
        true
    }
}

/// Records, each right behind the one before.
pub(crate) struct Chain {
    entries: Entries,
    at: Place,
}

impl Iterator for Chain {
    type Item = (Lsn, Vec<u8>);

    fn next(&mut self) -> Option<Self::Item> {
        let at = &mut self.at;
        let entry = self.entries.find(|entry| at.goes_on(entry))?;
        Some((entry.lsn, entry.bytes))
    }
}

impl Chain {
    /// Up to where what was read is of groups of which surely nothing is missing.
    pub(crate) fn whole(&self) -> Lsn {
        self.at.whole
    }
}
