//! Shared logs that are purged, cut, removed or written anew, beside the copy of a node.

mod another;

use super::*;
use crate::disk::OsDisk;
use crate::log::{MemoryLog, SeveredLog, keeps_log_contract, keeps_shared_log_contract};

const LOG: u128 = 5;

fn copied(log: impl Log + 'static, dir: &std::path::Path, kept: Lsn) -> CopiedLog {
    let dir = dir.join("copy");
    CopiedLog::open(Box::new(log), Arc::new(OsDisk), dir, (7, kept), None).unwrap()
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
fn a_log_that_was_written_anew_before_the_checkpoint_is_told_at_every_start() {
    let (dir, log, all) = filled();
    let mut one = copied(log.another(), dir.path(), all[0].0);
    one.rotate().unwrap();
    one.release_below(all[6].0.next()).unwrap();
    assert_eq!(one.rewritten(), None);
    drop(one);
    let mut other = MemoryLog::shared_as(LOG);
    let mut anew: Vec<_> = all.iter().map(|(_, record)| record.clone()).collect();
    anew[5] = b"another".to_vec();
    anew.push(b"and more".to_vec());
    other.append(&anew).unwrap();
    for _ in 0..2 {
        let one = copied(other.another(), dir.path(), all[6].0);
        assert!(one.rewritten().unwrap().contains("another record"));
    }
    // The log that it has followed, and one that has not all of that any more.
    assert_eq!(
        copied(log.another(), dir.path(), all[6].0).rewritten(),
        None
    );
    log.trim_below(all[6].0);
    assert_eq!(
        copied(log.another(), dir.path(), all[6].0).rewritten(),
        None
    );
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
    assert_eq!(names(), ["0000000001.copy"], "the newest stays");
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

/// A log that knows how it stands, and is told how it stood.
struct Marked {
    log: MemoryLog,
    told: Arc<Mutex<Option<Bookmark>>>,
    says: History,
}

impl Log for Marked {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        self.log.append(records)
    }
    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        self.log.follow(wait)
    }
    fn bookmark(&self) -> Option<Bookmark> {
        let last = self.log.last_lsn();
        Some(Bookmark {
            message: last.0,
            sum: 77,
            last,
        })
    }
    fn remember(&mut self, bookmark: &Bookmark) -> Result<History, Error> {
        *self.told.lock() = Some(*bookmark);
        Ok(self.says.clone())
    }
    fn shared(&self) -> Option<u128> {
        self.log.shared()
    }
    fn last_lsn(&self) -> Lsn {
        self.log.last_lsn()
    }
    fn first_lsn(&self) -> Lsn {
        self.log.first_lsn()
    }
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        self.log.read_from(from)
    }
    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.log.release_below(lsn)
    }
    fn rotate(&mut self) -> Result<(), Error> {
        self.log.rotate()
    }
    fn bytes(&self) -> u64 {
        self.log.bytes()
    }
}

/// Opens it anew; gives what it was told.
fn marked(
    log: &MemoryLog,
    dir: &std::path::Path,
    (kept, says): (Lsn, History),
) -> (CopiedLog, Option<Bookmark>) {
    let told = Arc::new(Mutex::new(None));
    let log = Marked {
        log: log.another(),
        told: Arc::clone(&told),
        says,
    };
    let opened = copied(log, dir, kept);
    let told = *told.lock();
    (opened, told)
}

#[test]
fn a_log_is_told_how_it_stood_when_it_was_read_last_and_what_it_says_to_that_holds() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::shared_as(LOG);
    let same = || (Lsn(0), History::Same);
    let (mut one, told) = marked(&log, dir.path(), same());
    assert_eq!(told, None);
    one.follow(Duration::ZERO).unwrap();
    let mut stood = vec![one.bookmark().unwrap()];
    for n in 0..4u8 {
        one.append(&[vec![n], vec![n; 3]]).unwrap();
        stood.push(one.bookmark().unwrap());
    }
    let all = records(&one, Lsn(1));
    drop(one);
    let (again, told) = marked(&log, dir.path(), same());
    assert_eq!(told, Some(stood[4]));
    assert_eq!(
        (again.rewritten(), records(&again, Lsn(1))),
        (None, all.clone())
    );
    drop(again);
    let another = History::Another("it is another".into());
    let (again, _) = marked(&log, dir.path(), (Lsn(0), another));
    assert_eq!(again.rewritten().unwrap(), "the shared log: it is another");
    drop(again);
    // What the log has not read yet says nothing of it.
    let mut short = MemoryLog::shared_as(LOG);
    let first: Vec<_> = all[..3].iter().map(|(_, record)| record.clone()).collect();
    short.append(&first).unwrap();
    let (again, told) = marked(&short, dir.path(), same());
    assert_eq!(told, Some(stood[1]));
    drop(again);
    // Of a copy that is cut what is left of it tells.
    let path = dir.path().join("copy/0000000000.copy");
    let whole = std::fs::read(&path).unwrap();
    for cut in [whole.len() - 1, whole.len() - 44] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let (_, told) = marked(&log, dir.path(), same());
        assert_eq!(told, Some(stood[3]), "{cut}");
    }
}

#[test]
fn a_log_that_ends_before_what_is_remembered_is_short_also_where_the_copy_is_gone() {
    let (dir, _, all) = filled();
    std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
    let opened = |records: usize| {
        let mut log = MemoryLog::shared_as(LOG);
        let first = all.iter().take(records);
        let first: Vec<_> = first.map(|(_, record)| record.clone()).collect();
        log.append(&first).unwrap();
        let (disk, dir) = (Arc::new(OsDisk), dir.path().join("copy"));
        let remembered = Bookmark {
            message: all[5].0.0,
            sum: 77,
            last: all[5].0,
        };
        let kept = all[2].0;
        CopiedLog::open(Box::new(log), disk, dir, (7, kept), Some(remembered)).unwrap()
    };
    for records in 3..=7 {
        let one = opened(records);
        let told = one.broken();
        assert_eq!(told.is_some(), records < 6, "{records}: {told:?}");
        assert!(told.is_none_or(|it| it.contains("it ends at LSN")));
    }
}

#[test]
fn what_was_read_one_by_one_is_whole_where_a_bookmark_is_behind_it() {
    let (dir, log, all) = filled();
    std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
    let (mut one, _) = marked(&log, dir.path(), (all[0].0, History::Same));
    assert_eq!(one.read_from(all[0].0.next()).unwrap().count(), 6);
    one.follow(Duration::ZERO).unwrap();
    drop(one);
    log.trim_below(all[6].0.next());
    let (one, _) = marked(&log, dir.path(), (all[0].0, History::Same));
    assert!(one.first_lsn() <= all[0].0.next());
    assert_eq!(records(&one, all[0].0.next()), all[1..]);
}

#[test]
fn a_start_that_writes_nothing_leaves_no_more_files_than_there_were() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::shared_as(LOG);
    for _ in 0..4 {
        let (mut one, _) = marked(&log, dir.path(), (Lsn(0), History::Same));
        one.follow(Duration::ZERO).unwrap();
        assert_eq!(OsDisk.list(&dir.path().join("copy")).unwrap().len(), 1);
    }
}

#[test]
fn a_copy_is_begun_anew_by_who_begins_with_what_came_from_elsewhere() {
    let (dir, log, all) = filled();
    let (mut one, _) = marked(&log, dir.path(), (Lsn(0), History::Same));
    one.begin_copy(all[5].0);
    assert_eq!(one.copied_to(), all[5].0);
    one.append(&[b"behind".to_vec()]).unwrap();
    drop(one);
    assert_eq!(records(&severed(dir.path(), Lsn(0)), Lsn(1)), []);
    let behind = records(&severed(dir.path(), all[5].0), all[5].0.next());
    assert_eq!(behind.len(), 1);
    let (_, told) = marked(&log, dir.path(), (all[5].0, History::Same));
    assert_eq!(told.unwrap().last, log.another().last_lsn());
}

#[test]
fn a_folder_that_is_none_costs_the_copy_until_a_checkpoint_finds_it_mended() {
    let (dir, log, all) = filled();
    let path = dir.path().join("copy");
    let bytes = |one: &CopiedLog| {
        let names = OsDisk.list(&path).unwrap().into_iter();
        let there = names.map(|name| path.join(name).metadata().unwrap().len());
        (one.copy_state().bytes, there.sum::<u64>())
    };
    let one = copied(log.another(), dir.path(), Lsn(0));
    let (told, there) = bytes(&one);
    assert!(told == there && told > 64);
    drop(one);
    std::fs::remove_dir_all(&path).unwrap();
    std::fs::write(&path, "no folder").unwrap();
    let mut one = copied(log.another(), dir.path(), Lsn(0));
    assert!(one.copy_state().has_given_up);
    assert_eq!(records(&one, Lsn(1)), all);
    let next = |one: &mut CopiedLog| one.append(&[b"next".to_vec()]).unwrap()[0];
    next(&mut one);
    // A checkpoint tries again, in vain, and then not.
    one.rotate().unwrap();
    next(&mut one);
    assert!(one.copy_state().has_given_up && path.is_file());
    std::fs::remove_file(&path).unwrap();
    one.rotate().unwrap();
    let kept = next(&mut one);
    assert!(!one.copy_state().has_given_up);
    let (told, there) = bytes(&one);
    assert!(told == there && told > 64);
    let before = one.log.read_from(Lsn(1)).unwrap().map(Result::unwrap);
    let before = before.map(|(lsn, _)| lsn).filter(|lsn| *lsn < kept).last();
    drop(one);
    let left = records(&severed(dir.path(), before.unwrap()), kept);
    assert_eq!(left, [(kept, b"next".to_vec())]);
}

#[test]
fn a_copy_that_a_bookmark_has_told_to_be_of_the_log_is_read_once() {
    let file = |dir: &tempfile::TempDir| dir.path().join("copy/0000000000.copy");
    let filled = |dir: &tempfile::TempDir, byte: u8| {
        let log = MemoryLog::shared_as(LOG);
        let (mut one, _) = marked(&log, dir.path(), (Lsn(0), History::Same));
        for n in 0..3 {
            one.append(&[vec![byte; n]]).unwrap();
        }
        log
    };
    let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let log = filled(&dir, 1);
    filled(&other, 2);
    for (says, is_read) in [(History::Same, false), (History::Untold, true)] {
        let whole = std::fs::read(file(&dir)).unwrap();
        let (one, _) = marked(&log, dir.path(), (Lsn(0), says));
        std::fs::copy(file(&other), file(&dir)).unwrap();
        let read: Vec<_> = one.read_from(Lsn(1)).unwrap().collect();
        assert_eq!(read.iter().any(Result::is_err), is_read, "{read:?}");
        std::fs::write(file(&dir), whole).unwrap();
    }
}
