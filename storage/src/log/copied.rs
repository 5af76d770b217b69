//! A shared log together with what a node has copied of it: where the log begins too late, ends too early or cannot be
//! had, the node goes on with what it has applied itself.
//!
//! Invariant: while the log has a record, the log says what it is; the copy only goes on where the log does not.

use std::iter::Peekable;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::copy::{Chain, Copy};
use super::{Log, Records};
use crate::disk::Disk;
use crate::error::Error;
use crate::ids::Lsn;

/// A shared log, of which a copy is kept.
pub struct CopiedLog {
    log: Box<dyn Log>,
    copy: Mutex<Copy>,
    /// Where the node begins.
    kept: Lsn,
    /// Up to where the copy goes on from there,
    end: Lsn,
    /// and with whole groups: logs begin between two.
    whole: Lsn,
    /// Why nothing comes behind that: the log ended before it when it was opened.
    short: Option<String>,
}

impl CopiedLog {
    /// A shared log whose copy lies in a folder, of a node that has everything up to `kept`.
    ///
    /// # Errors
    /// The folder cannot be made or listed.
    pub fn open(
        log: Box<dyn Log>,
        disk: Arc<dyn Disk>,
        dir: PathBuf,
        (store, kept): (u128, Lsn),
    ) -> Result<Self, Error> {
        let mut copy = Copy::open(disk, dir, (store, log.shared().unwrap_or_default()))?;
        let (mut chain, mut end) = (copy.behind_of(kept), kept);
        for (lsn, _) in chain.by_ref() {
            end = lsn;
        }
        let whole = chain.whole();
        copy.begin(end);
        let last = log.last_lsn();
        let short = (end > last && end > kept).then(|| ends_early(last, end));
        Ok(Self {
            log,
            copy: Mutex::new(copy),
            kept,
            end,
            whole,
            short,
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
        self.copy.get_mut().keep_groups(written);
        Ok(lsns)
    }

    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        let followed = self.log.follow(wait)?;
        let read = followed
            .iter()
            .map(|(lsn, record)| (*lsn, record.as_slice()));
        self.copy.get_mut().keep_groups(read);
        Ok(followed)
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
    /// And what was copied of it, to be compared.
    Log(Records<'a>, Peekable<Chain>),
    /// What the log has not, and what is wrong with it.
    Behind(Chain, Option<Error>),
    Done,
}

impl CopiedLog {
    fn read_log(&self, from: Lsn) -> Result<Stage<'_>, Error> {
        let last = Lsn(from.0.saturating_sub(1));
        let copied = self.copy.lock().behind_of(last);
        Ok(Stage::Log(self.log.read_from(from)?, copied.peekable()))
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
                    Some(Ok((lsn, record))) => Some(as_copied(lsn, record, copied)),
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

/// A record of the log, unless this node has copied another at this place.
fn as_copied(
    lsn: Lsn,
    record: Vec<u8>,
    copied: &mut Peekable<Chain>,
) -> Result<(Lsn, Vec<u8>), Error> {
    match copied.peek() {
        Some((at, own)) if *at < lsn || (*at == lsn && *own != record) => {
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
mod tests {
    use super::*;
    use crate::disk::OsDisk;
    use crate::log::{MemoryLog, SeveredLog, keeps_log_contract, keeps_shared_log_contract};

    const LOG: u128 = 5;

    fn copied(log: impl Log + 'static, dir: &std::path::Path, kept: Lsn) -> CopiedLog {
        let dir = dir.join("copy");
        CopiedLog::open(Box::new(log), Arc::new(OsDisk), dir, (7, kept)).unwrap()
    }

    fn severed(dir: &std::path::Path, kept: Lsn) -> CopiedLog {
        copied(SeveredLog::new(LOG, kept, "it is gone".into()), dir, kept)
    }

    fn records(log: &dyn Log, from: Lsn) -> Vec<(Lsn, Vec<u8>)> {
        log.read_from(from).unwrap().map(Result::unwrap).collect()
    }

    /// A log, what is in it, and a folder with a copy in two files, of which the second begins behind the third record.
    fn filled() -> (tempfile::TempDir, MemoryLog, Vec<(Lsn, Vec<u8>)>) {
        let dir = tempfile::tempdir().unwrap();
        let log = MemoryLog::shared_as(LOG);
        let mut one = copied(log.another(), dir.path(), Lsn(0));
        let mut other = log.another();
        for n in 0..3u8 {
            one.append(&[vec![n], vec![n; 3]]).unwrap();
            assert_eq!(other.follow(Duration::ZERO).unwrap().len(), 2);
            if n == 1 {
                one.rotate().unwrap();
            }
        }
        other.append(&[vec![9; 40]]).unwrap();
        assert_eq!(one.follow(Duration::ZERO).unwrap().len(), 1);
        let all = records(&one, Lsn(1));
        assert_eq!(all.len(), 7);
        (dir, log.another(), all)
    }

    #[test]
    fn a_log_that_is_copied_keeps_what_every_log_keeps() {
        let dir = tempfile::tempdir().unwrap();
        let log = MemoryLog::shared_as(LOG);
        keeps_log_contract(&mut || Box::new(copied(log.another(), dir.path(), Lsn(0))));
        let (log, mut nodes) = (MemoryLog::shared_as(LOG), 0);
        keeps_shared_log_contract(&mut || {
            nodes += 1;
            let dir = dir.path().join(nodes.to_string());
            Box::new(copied(log.another(), &dir, Lsn(0)))
        });
    }

    #[test]
    fn what_was_read_and_written_is_there_without_the_log_from_any_place_on() {
        let (dir, _, all) = filled();
        for at in 0..=all.len() {
            let kept = at.checked_sub(1).map_or(Lsn(0), |before| all[before].0);
            let log = severed(dir.path(), kept);
            assert_eq!(records(&log, kept.next()), all[at..]);
            assert_eq!(log.last_lsn(), all[6].0);
            assert_eq!(log.broken().unwrap(), "it is gone");
        }
    }

    #[test]
    fn a_copy_that_is_cut_or_bent_anywhere_ends_there_and_passes_over_nothing() {
        let (dir, _, all) = filled();
        let mut lengths = std::collections::BTreeSet::new();
        for name in ["0000000000.copy", "0000000001.copy"] {
            let path = dir.path().join("copy").join(name);
            let whole = std::fs::read(&path).unwrap();
            for at in 0..whole.len() {
                let mut bent = whole.clone();
                bent[at] ^= 1;
                for bytes in [&whole[..at], &bent] {
                    std::fs::write(&path, bytes).unwrap();
                    let left = records(&severed(dir.path(), Lsn(0)), Lsn(1));
                    assert_eq!(left, all[..left.len()], "{name} at {at}");
                    lengths.insert(left.len());
                }
            }
            std::fs::write(&path, &whole).unwrap();
        }
        assert!(lengths.into_iter().eq(0..7), "each record is the last once");
    }

    #[test]
    fn what_was_purged_of_the_log_is_read_from_the_copy_if_they_meet() {
        let (dir, log, all) = filled();
        for at in 1..=all.len() {
            log.trim_below(all[at - 1].0.next());
            let one = copied(log.another(), dir.path(), all[0].0);
            assert!(one.broken().is_none());
            assert!(one.first_lsn() <= all[0].0.next());
            assert_eq!(records(&one, all[0].0.next()), all[1..]);
        }
        let path = dir.path().join("copy/0000000001.copy");
        std::fs::remove_file(path).unwrap();
        let one = copied(log.another(), dir.path(), all[0].0);
        assert!(one.first_lsn() > all[0].0.next(), "they do not meet");
        let copied = one.copied_from(all[0].0.next());
        let copied: Vec<_> = copied.map(Result::unwrap).collect();
        assert_eq!(copied, all[1..4]);
        let last = one.read_from(all[0].0.next()).unwrap().last().unwrap();
        assert!(matches!(last, Err(Error::Unreachable(_))), "{last:?}");
    }

    #[test]
    fn a_copy_that_ends_within_a_group_does_not_meet_a_log_that_begins_behind_that_group() {
        let (dir, log, all) = filled();
        // Behind the first record of a group: all that was written with it is gone.
        log.trim_below(all[4].0.next());
        let meets = || {
            let one = copied(log.another(), dir.path(), all[0].0);
            one.first_lsn() <= all[0].0.next()
        };
        assert!(meets());
        let path = dir.path().join("copy/0000000001.copy");
        let whole = std::fs::read(&path).unwrap();
        let entry = |at: usize| 24 + all[at].1.len();
        let (first, both) = (64 + entry(4), 64 + entry(4) + entry(5));
        for (len, is_whole) in [(64, false), (first, false), (both - 1, false), (both, true)] {
            std::fs::write(&path, &whole[..len]).unwrap();
            assert_eq!(meets(), is_whole, "{len} bytes");
        }
        // Of what was read from the log one by one nothing says that it ends a group.
        let (dir, log, all) = filled();
        std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
        let read = copied(log.another(), dir.path(), all[0].0);
        assert_eq!(read.read_from(all[0].0.next()).unwrap().count(), 6);
        drop(read);
        log.trim_below(all[6].0.next());
        let one = copied(log.another(), dir.path(), all[0].0);
        assert!(
            one.first_lsn() > all[0].0.next(),
            "more may have come with the last"
        );
    }

    #[test]
    fn a_log_that_is_trimmed_between_its_opening_and_its_reading_is_not_read_with_a_gap() {
        let (dir, log, all) = filled();
        std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
        let one = copied(log.another(), dir.path(), all[0].0);
        log.trim_below(all[4].0);
        let read: Vec<_> = one.read_from(all[0].0.next()).unwrap().collect();
        assert!(matches!(read[..], [Err(Error::Unreachable(_))]), "{read:?}");
    }

    #[test]
    fn a_log_that_was_put_back_and_written_to_since_is_told_from_what_was_applied() {
        let (dir, _, all) = filled();
        let mut other = MemoryLog::shared_as(LOG);
        let mut anew: Vec<_> = all.iter().map(|(_, record)| record.clone()).collect();
        anew[4] = b"another".to_vec();
        anew.push(b"and more".to_vec());
        other.append(&anew).unwrap();
        let one = copied(other, dir.path(), all[0].0);
        let mut read: Vec<_> = one.read_from(all[0].0.next()).unwrap().collect();
        let last = read.pop().unwrap();
        assert!(matches!(last, Err(Error::Shared(_))), "{last:?}");
        let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
        assert_eq!(read, all[1..], "what this node had applied");
    }

    #[test]
    fn a_copy_of_who_began_with_what_came_from_elsewhere_begins_behind_that() {
        let (dir, log, all) = filled();
        std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
        let mut one = copied(log.another(), dir.path(), Lsn(0));
        assert_eq!(one.read_from(all[6].0.next()).unwrap().count(), 0);
        one.append(&[b"behind".to_vec()]).unwrap();
        drop(one);
        assert_eq!(records(&severed(dir.path(), Lsn(0)), Lsn(1)), []);
        let behind = records(&severed(dir.path(), all[6].0), all[6].0.next());
        assert_eq!(behind.len(), 1);
    }

    #[test]
    fn what_is_read_again_after_a_hole_in_the_copy_is_found_behind_it() {
        let (dir, log, all) = filled();
        let path = dir.path().join("copy/0000000000.copy");
        let whole = std::fs::read(&path).unwrap();
        std::fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        let one = copied(log.another(), dir.path(), Lsn(0));
        assert_eq!(records(&one, Lsn(1)), all);
        drop(one);
        assert_eq!(records(&severed(dir.path(), Lsn(0)), Lsn(1)), all);
    }

    #[test]
    fn a_log_that_ends_before_its_copy_is_short_and_read_to_the_end_of_that() {
        let (dir, _, all) = filled();
        let mut short = MemoryLog::shared_as(LOG);
        let first: Vec<_> = all[..2].iter().map(|(_, record)| record.clone()).collect();
        short.append(&first).unwrap();
        let one = copied(short, dir.path(), Lsn(0));
        assert!(one.broken().unwrap().contains("it ends at LSN"));
        assert_eq!(one.last_lsn(), all[6].0);
        assert_eq!(records(&one, Lsn(1)), all);
    }

    #[test]
    fn what_checkpoints_need_no_more_goes_and_what_is_read_again_comes_back() {
        let (dir, log, all) = filled();
        let names = || {
            let mut names = OsDisk.list(&dir.path().join("copy")).unwrap();
            names.retain(|name| name.ends_with(".copy"));
            names
        };
        let mut one = copied(log.another(), dir.path(), all[3].0);
        assert_eq!(records(&one, all[3].0.next()), all[4..]);
        assert_eq!(names().len(), 2, "it has all that is read");
        one.rotate().unwrap();
        one.release_below(all[3].0).unwrap();
        assert_eq!(names().len(), 2);
        one.release_below(all[3].0.next()).unwrap();
        assert_eq!(names(), ["0000000001.copy"]);
        one.release_below(all[6].0.next()).unwrap();
        assert!(names().is_empty());
        // Where a power cut has left nothing, the replay puts it there again.
        drop(one);
        let one = copied(log.another(), dir.path(), all[1].0);
        assert_eq!(records(&one, all[1].0.next()), all[2..]);
        drop(one);
        assert_eq!(
            records(&severed(dir.path(), all[1].0), all[1].0.next()),
            all[2..]
        );
    }
}
