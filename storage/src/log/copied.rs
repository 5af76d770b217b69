//! A shared log together with what a node has copied of it: where the log begins too late, ends too early or cannot be
//! had, the node goes on with what it has applied itself.
//!
//! Invariant: while the log has a record, the log says what it is; the copy only goes on where the log does not.

use std::collections::VecDeque;
use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::bookmark::{Bookmark, History};
use super::copy::{Chain, CopyFiles};
use super::{CopyState, Log, Records};
use crate::bytes::checksum;
use crate::disk::Disk;
use crate::error::Error;
use crate::ids::Lsn;

/// How many of the records that were applied last before a checkpoint a start holds against the log.
const COMPARED: usize = 64;

/// A shared log, of which a copy is kept.
pub struct CopiedLog {
    log: Box<dyn Log>,
    copy: Mutex<CopyFiles>,
    /// Where the node begins.
    kept: Lsn,
    /// Up to where the copy goes on from there,
    end: Lsn,
    /// and with whole groups: logs begin between two.
    whole: Lsn,
    /// Why nothing comes behind that: the log ended before it when it was opened.
    short: Option<String>,
    /// How the log is another than the one that this node has followed up to where it begins.
    rewritten: Option<String>,
    /// How the log stands as this node has followed it, whatever it has come to be.
    followed: Option<Bookmark>,
    /// A bookmark has told that all that is kept is of this log: nothing needs to be compared.
    is_same: bool,
}

impl CopiedLog {
    /// A shared log whose copy lies in a folder, of a node that has everything up to `kept`, and remembers, beside what the
    /// copy does, how the log stood. Where the folder cannot be read there is no copy, and none is kept before the next
    /// checkpoint.
    ///
    /// # Errors
    /// Nobody who keeps the log answers.
    pub fn open(
        mut log: Box<dyn Log>,
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        (store, kept): (u128, Lsn),
        remembered: Option<Bookmark>,
    ) -> Result<Self, Error> {
        let mut copy = CopyFiles::open(disk, dir, (store, log.shared().unwrap_or_default()));
        let known = copy.read_through(kept, log.seen(), COMPARED);
        let (end, whole) = (known.end, known.whole);
        copy.begin(end);
        let later = |one: Option<Bookmark>, other: Option<Bookmark>| {
            one.into_iter().chain(other).max_by_key(|it| it.message)
        };
        let followed = later(remembered, known.followed);
        let remembered = remembered.filter(|it| it.message <= log.seen());
        let latest = later(remembered, known.bookmark);
        let history = match &latest {
            Some(bookmark) if log.broken().is_none() => log.remember(bookmark)?,
            _ => History::Untold,
        };
        let is_same = history == History::Same && latest.is_some_and(|it| it.last >= end);
        let rewritten = match history {
            History::Another(why) => Some(Error::Shared(why).to_string()),
            _ if is_same => None,
            _ => rewritten(&*log, known.before)?,
        };
        let last = log.last_lsn();
        let short = (end > last && end > kept).then(|| ends_early(last, end));
        // A power cut takes the copy, and leaves what is remembered beside it.
        let ahead = followed.filter(|it| log.broken().is_none() && it.message > log.seen());
        let short = short.or_else(|| Some(ends_early(last, ahead?.last)));
        Ok(Self {
            log,
            copy: Mutex::new(copy),
            kept,
            end,
            whole,
            short,
            rewritten,
            followed,
            is_same,
        })
    }
}

/// What is wrong with a shared log that ends before what was applied of it.
pub fn ends_early(last: Lsn, applied: Lsn) -> String {
    let error = Error::Shared(format!(
        "it ends at LSN {last}, and this node has applied it up to {applied}: the servers have lost what they had \
         acknowledged, or were put back to what they had before"
    ));
    error.to_string()
}

impl Log for CopiedLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        let lsns = self.log.append(records)?;
        let written = lsns.iter().copied();
        let written = written.zip(records.iter().map(Vec::as_slice));
        self.followed = self.log.bookmark().or(self.followed);
        self.copy.get_mut().keep_groups(written, self.followed);
        Ok(lsns)
    }

    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        let followed = self.log.follow(wait)?;
        let read = followed
            .iter()
            .map(|(lsn, record)| (*lsn, record.as_slice()));
        self.followed = self.log.bookmark().or(self.followed);
        self.copy.get_mut().keep_groups(read, self.followed);
        Ok(followed)
    }

    fn bookmark(&self) -> Option<Bookmark> {
        self.followed
    }

    fn remember(&mut self, bookmark: &Bookmark) -> Result<History, Error> {
        self.log.remember(bookmark)
    }

    fn waits(&self) -> Option<String> {
        self.log.waits()
    }

    fn seen(&self) -> u64 {
        self.log.seen()
    }

    fn is_within_group(&self) -> bool {
        self.log.is_within_group()
    }

    fn piece_bytes(&self) -> usize {
        self.log.piece_bytes()
    }

    fn shared(&self) -> Option<u128> {
        self.log.shared()
    }

    fn broken(&self) -> Option<String> {
        self.log.broken().or_else(|| self.short.clone())
    }

    fn is_severed(&self) -> bool {
        self.log.is_severed()
    }

    fn last_lsn(&self) -> Lsn {
        match self.broken() {
            None => self.log.last_lsn(),
            Some(_) => self.log.last_lsn().max(self.end),
        }
    }

    fn end(&self) -> Result<Lsn, Error> {
        self.log.end()
    }

    fn first_lsn(&self) -> Lsn {
        let first = self.log.first_lsn();
        match first <= self.whole.next() {
            true => first.min(self.kept.next()),
            false => first,
        }
    }

    /// The log as far as it goes, and the copy before and behind it.
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let from = from.max(Lsn(1));
        let last = Lsn(from.0 - 1);
        let mut copy = self.copy.lock();
        if last > copy.last() {
            // It begins with what came from elsewhere, and what is kept stands behind that.
            copy.begin(last);
        }
        drop(copy);
        let stage = match self.log.first_lsn() <= from {
            true => self.read_log(from)?,
            false => Stage::Before(self.copy.lock().behind_of(last)),
        };
        Ok(Box::new(Reading {
            of: self,
            last,
            stage,
        }))
    }

    fn copied_from(&self, from: Lsn) -> Records<'_> {
        let last = Lsn(from.0.saturating_sub(1));
        Box::new(self.copy.lock().behind_of(last).map(Ok))
    }

    fn copied_to(&self) -> Lsn {
        self.end
    }

    fn begin_copy(&mut self, behind: Lsn) {
        self.followed = self.log.bookmark();
        let copy = self.copy.get_mut();
        copy.begin_anew(behind);
        copy.keep_groups(std::iter::empty(), self.followed);
        (self.kept, self.end, self.whole) = (behind, behind, behind);
    }

    fn copy_state(&self) -> CopyState {
        let copy = self.copy.lock();
        CopyState {
            bytes: copy.bytes(),
            has_given_up: copy.has_given_up(),
        }
    }

    fn rewritten(&self) -> Option<String> {
        self.rewritten.clone()
    }

    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.copy.get_mut().release_below(lsn);
        self.log.release_below(lsn)
    }

    fn rotate(&mut self) -> Result<(), Error> {
        self.copy.get_mut().rotate();
        self.log.rotate()
    }

    fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}

/// Records from one on.
struct Reading<'a> {
    of: &'a CopiedLog,
    /// The last that was read, or behind which it begins.
    last: Lsn,
    stage: Stage<'a>,
}

enum Stage<'a> {
    /// What the log has not any more.
    Before(Chain),
    /// And what was copied of it, to be compared, unless that is known to be the same.
    Log(Records<'a>, Option<Peekable<Chain>>),
    /// What the log has not, and what is wrong with it.
    Behind(Chain, Option<Error>),
    Done,
}

impl CopiedLog {
    fn read_log(&self, from: Lsn) -> Result<Stage<'_>, Error> {
        let last = Lsn(from.0.saturating_sub(1));
        let compared = || self.copy.lock().behind_of(last).peekable();
        let copied = (!self.is_same).then(compared);
        Ok(Stage::Log(self.log.read_from(from)?, copied))
    }
}

impl Reading<'_> {
    fn behind(&self, error: Option<Error>) -> Stage<'static> {
        Stage::Behind(self.of.copy.lock().behind_of(self.last), error)
    }
}

impl Iterator for Reading<'_> {
    type Item = Result<(Lsn, Vec<u8>), Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let next = match &mut self.stage {
                Stage::Before(chain) | Stage::Behind(chain, _) => chain.next().map(Ok),
                Stage::Log(records, copied) => match records.next() {
                    Some(Ok((lsn, record))) => match copied {
                        Some(copied) => {
                            let is_same = |own: &Vec<u8>, record: &[u8]| own == record;
                            Some(as_copied((lsn, record), copied, is_same))
                        }
                        None => Some(Ok((lsn, record))),
                    },
                    other => other,
                },
                Stage::Done => return None,
            };
            match (next, std::mem::replace(&mut self.stage, Stage::Done)) {
                (Some(Ok((lsn, record))), stage) => {
                    if let Stage::Log(..) = stage {
                        self.note(lsn, &record);
                    }
                    self.last = lsn;
                    self.stage = stage;
                    return Some(Ok((lsn, record)));
                }
                // The log is not as it must be: what was applied of it before it came to be so is behind.
                (Some(Err(error @ Error::Shared(_))), Stage::Log(..)) => {
                    self.stage = self.behind(Some(error));
                }
                (Some(Err(error)), _) => return Some(Err(error)),
                (None, Stage::Before(chain)) => {
                    let from = self.last.next();
                    let first = self.of.log.first_lsn();
                    if first > chain.whole().next() {
                        return Some(Err(Error::Unreachable(format!(
                            "the log begins at LSN {first} now, and is wanted from {from} on: it was trimmed or purged while \
                             this node was starting, which is to begin again"
                        ))));
                    }
                    match self.of.read_log(from) {
                        Ok(stage) => self.stage = stage,
                        Err(error) => return Some(Err(error)),
                    }
                }
                (None, Stage::Log(..)) => self.stage = self.behind(None),
                (None, Stage::Behind(_, error)) => return error.map(Err),
                (None, Stage::Done) => return None,
            }
        }
    }
}

/// How the log has other records than the last that this node has copied before where it begins, each with whether its
/// group ends with it. What the log does not have any more, or cannot read, says nothing.
fn rewritten(
    log: &dyn Log,
    mut copied: VecDeque<(Lsn, u32, bool)>,
) -> Result<Option<String>, Error> {
    copied.retain(|(lsn, ..)| *lsn >= log.first_lsn() && *lsn <= log.last_lsn());
    if log.first_lsn() > Lsn(1) {
        // Others of its group may be the last that is gone.
        while copied.pop_front().is_some_and(|(.., ends)| !ends) {}
    }
    let Some((first, ..)) = copied.front().filter(|_| log.broken().is_none()) else {
        return Ok(None);
    };
    let records = log.read_from(*first)?;
    let copied = copied.into_iter().map(|(lsn, sum, _)| (lsn, sum));
    let mut copied = copied.peekable();
    for record in records {
        let Ok((lsn, record)) = record else { break };
        if copied.peek().is_none() {
            break;
        }
        let is_same = |sum: &u32, record: &[u8]| *sum == checksum(&[record]);
        if let Err(error) = as_copied((lsn, record), &mut copied, is_same) {
            return Ok(Some(error.to_string()));
        }
    }
    Ok(None)
}

/// A record of the log, unless this node has copied another at this place.
fn as_copied<T>(
    (lsn, record): (Lsn, Vec<u8>),
    copied: &mut Peekable<impl Iterator<Item = (Lsn, T)>>,
    is_same: impl Fn(&T, &[u8]) -> bool,
) -> Result<(Lsn, Vec<u8>), Error> {
    match copied.peek() {
        Some((at, own)) if *at < lsn || (*at == lsn && !is_same(own, &record)) => {
            Err(Error::Shared(format!(
                "it has another record at LSN {at} than this node has applied: the servers were put back to what they had \
                 before, and written to since"
            )))
        }
        Some((at, _)) if *at == lsn => {
            copied.next();
            Ok((lsn, record))
        }
        _ => Ok((lsn, record)),
    }
}

impl Reading<'_> {
    /// Has the copy go on with what the log has behind it.
    fn note(&self, lsn: Lsn, record: &[u8]) {
        let mut copy = self.of.copy.lock();
        if lsn > copy.last() {
            let last = self.last.max(copy.last());
            copy.begin(last);
            copy.keep_one(lsn, record);
        }
    }
}

#[cfg(test)]
mod tests;
