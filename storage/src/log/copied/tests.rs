//! Shared logs that are purged, cut, removed or written anew, beside the copy of a node.

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
