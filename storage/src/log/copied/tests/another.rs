//! What is another's: a log that lacks what a node has copied, has something else in its place, or has only the rest of a
//! group; and a copy of another log.

use super::*;

/// A log that has lost a record.
struct Without(MemoryLog, Lsn);

impl Log for Without {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        self.0.append(records)
    }
    fn shared(&self) -> Option<u128> {
        self.0.shared()
    }
    fn last_lsn(&self) -> Lsn {
        self.0.last_lsn()
    }
    fn first_lsn(&self) -> Lsn {
        self.0.first_lsn()
    }
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let records = self.0.read_from(from)?;
        Ok(Box::new(records.filter(|it| {
            it.as_ref().is_ok_and(|(lsn, _)| *lsn != self.1)
        })))
    }
    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.0.release_below(lsn)
    }
    fn rotate(&mut self) -> Result<(), Error> {
        self.0.rotate()
    }
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

/// What is read before it is told that the log is another; all of that this node had applied.
fn expect_told(one: &CopiedLog, from: Lsn, had: &[(Lsn, Vec<u8>)]) {
    let mut read: Vec<_> = one.read_from(from).unwrap().collect();
    let last = read.pop().unwrap();
    assert!(matches!(last, Err(Error::Shared(_))), "{last:?}");
    let read: Vec<_> = read.into_iter().map(Result::unwrap).collect();
    assert_eq!(read, had);
}

#[test]
fn a_log_that_has_lost_a_record_in_between_is_told_from_what_was_applied() {
    let (dir, log, all) = filled();
    for lost in 1..6 {
        let without = Without(log.another(), all[lost].0);
        let one = copied(without, dir.path(), all[0].0);
        expect_told(&one, all[0].0.next(), &all[1..]);
        drop(one);
        let without = Without(log.another(), all[lost].0);
        let one = copied(without, dir.path(), all[6].0);
        assert!(one.rewritten().unwrap().contains("another record"));
    }
}

#[test]
fn what_is_left_of_a_group_in_the_copy_is_not_asked_of_a_log_that_begins_behind_it() {
    let (dir, log, all) = filled();
    // It begins behind the group of the fifth and the sixth, whichever of them was applied last.
    log.trim_below(all[4].0.next());
    let without = Without(log.another(), all[5].0);
    let one = copied(without, dir.path(), all[6].0);
    assert_eq!(one.rewritten(), None);
}

#[test]
fn what_stands_in_the_copy_behind_a_bookmark_is_held_against_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::shared_as(LOG);
    let (mut one, _) = marked(&log, dir.path(), (Lsn(0), History::Same));
    one.append(&[b"marked".to_vec()]).unwrap();
    drop(one);
    // One that does not know how it stands.
    let mut one = copied(log.another(), dir.path(), Lsn(0));
    one.append(&[b"unmarked".to_vec()]).unwrap();
    let all = records(&one, Lsn(1));
    assert_eq!(all.len(), 2);
    drop(one);
    let mut other = MemoryLog::shared_as(LOG);
    for record in [&b"marked"[..], b"another", b"and more"] {
        other.append(&[record.to_vec()]).unwrap();
    }
    let (one, told) = marked(&other, dir.path(), (Lsn(0), History::Same));
    assert_eq!(told.unwrap().last, all[0].0);
    expect_told(&one, Lsn(1), &all);
}

#[test]
fn a_copy_of_another_log_or_folder_is_nobodys() {
    let (dir, _, all) = filled();
    let opened = |store: u128, number: u128| {
        let log = SeveredLog::new(number, Lsn(0), "it is gone".into());
        let (disk, dir) = (Arc::new(OsDisk), dir.path().join("copy"));
        let one = CopiedLog::open(Box::new(log), disk, dir, (store, Lsn(0)), None).unwrap();
        records(&one, Lsn(1))
    };
    assert_eq!(opened(7, LOG), all);
    assert_eq!((opened(8, LOG), opened(7, LOG + 1)), (vec![], vec![]));
}

#[test]
fn what_others_have_written_is_in_the_copy_once_it_was_followed() {
    let dir = tempfile::tempdir().unwrap();
    let log = MemoryLog::shared_as(LOG);
    let mut one = copied(log.another(), dir.path(), Lsn(0));
    let mut other = log.another();
    other
        .append(&[b"theirs".to_vec(), b"too".to_vec()])
        .unwrap();
    let followed = one.follow(Duration::ZERO).unwrap();
    assert_eq!(followed.len(), 2);
    // As a killed process leaves it.
    drop(one);
    assert_eq!(records(&severed(dir.path(), Lsn(0)), Lsn(1)), followed);
}

#[test]
fn a_group_that_another_comes_behind_has_ended_though_it_was_read_one_by_one() {
    let (dir, log, all) = filled();
    std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
    let read = copied(log.another(), dir.path(), all[0].0);
    assert_eq!(read.read_from(all[0].0.next()).unwrap().count(), 6);
    drop(read);
    // Between the last two whose positions do not stand one behind the other.
    let mut pairs = all.windows(2);
    let gap = pairs.rposition(|pair| pair[1].0 != pair[0].0.next());
    log.trim_below(all[gap.unwrap()].0.next());
    let one = copied(log.another(), dir.path(), all[0].0);
    assert!(one.first_lsn() <= all[0].0.next());
    assert_eq!(records(&one, all[0].0.next()), all[1..]);
}
