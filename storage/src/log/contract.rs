//! What every log keeps to, as a test that any of them can be put through. It panics where one does not.

use std::time::{Duration, Instant};

use super::Log;
use crate::error::Error;
use crate::ids::Lsn;

/// How long a node waits at most for what another has appended.
const PATIENCE: Duration = Duration::from_secs(20);

/// The record of a number; sizes differ, and some are empty.
fn record(n: u64) -> Vec<u8> {
    let (len, byte) = (n * 13 % 50, n % 251);
    std::iter::repeat_n(byte.to_le_bytes()[0], usize::try_from(len).unwrap_or(0)).collect()
}

fn numbered(from: u64, count: u64) -> Vec<Vec<u8>> {
    (from..from + count).map(record).collect()
}

/// All that a log keeps from a position on.
fn kept(log: &dyn Log, from: Lsn) -> Vec<(Lsn, Vec<u8>)> {
    let records = log.read_from(from).expect("a kept record can be read");
    let records = records.collect::<Result<_, _>>();
    records.expect("a kept record can be read")
}

/// Appends the next records after those that were before.
fn append(log: &mut dyn Log, model: &mut Vec<(Lsn, Vec<u8>)>, count: u64) {
    let records = numbered(model.len() as u64, count);
    let lsns = log.append(&records).expect("records are taken");
    assert_eq!(lsns.len(), records.len(), "every record has a position");
    model.extend(lsns.into_iter().zip(records));
    let rises = model.windows(2).all(|pair| pair[0].0 < pair[1].0);
    assert!(rises, "positions rise");
    let last = model.last().map(|(lsn, _)| *lsn);
    assert_eq!(Some(log.last_lsn()), last, "the last one is known");
}

/// Puts a log through what every one must do. `open` opens one and the same log anew each time, empty
/// at first.
///
/// # Panics
/// The log does something else.
pub fn keeps_log_contract(open: &mut dyn FnMut() -> Box<dyn Log>) {
    let mut log = open();
    assert_eq!((log.first_lsn(), log.last_lsn()), (Lsn(1), Lsn(0)));
    assert_eq!(log.append(&[]).expect("nothing is taken"), []);
    let mut model = Vec::new();
    for count in [1, 3, 2, 5, 1, 1, 8] {
        append(&mut *log, &mut model, count);
        assert_eq!(kept(&*log, Lsn(1)), model);
    }
    drop(log);
    let mut log = open();
    assert_eq!(kept(&*log, Lsn(0)), model, "what was taken is there after");
    append(&mut *log, &mut model, 1);
    let middle = model[15].0;
    assert_eq!(kept(&*log, middle), model[15..]);
    assert_eq!(kept(&*log, log.last_lsn().next()), []);
    assert_eq!(log.follow(Duration::ZERO).expect("it follows"), []);
    let (bytes, last) = (log.bytes(), log.last_lsn());
    log.rotate().expect("it goes on");
    log.release_below(middle).expect("records are let go of");
    assert!(log.first_lsn() <= middle && log.last_lsn() == last);
    assert!(log.shared().is_some() || log.bytes() < bytes);
    assert_eq!(kept(&*log, middle), model[15..], "what is asked for stays");
    append(&mut *log, &mut model, 2);
    drop(log);
    let log = open();
    let there = kept(&*log, Lsn(0));
    assert!(there.len() >= model.len() - 15 && model.ends_with(&there));
}

/// Puts a log that several nodes share through what every such one must do. `open` opens one and the
/// same log for one more node each time, empty at first.
///
/// # Panics
/// The log does something else.
pub fn keeps_shared_log_contract(open: &mut dyn FnMut() -> Box<dyn Log>) {
    let (mut one, mut other) = (open(), open());
    assert!(one.shared().is_some() && one.shared() == other.shared());
    let mut model = Vec::new();
    append(&mut *one, &mut model, 3);
    assert_eq!(kept(&*other, Lsn(1)), [], "not known there yet");
    let refused = other.append(&numbered(100, 2));
    assert!(matches!(refused, Err(Error::Overtaken)), "{refused:?}");
    assert_eq!(follow(&mut *other, 3), model);
    append(&mut *other, &mut model, 4);
    let refused = one.append(&numbered(100, 1));
    assert!(matches!(refused, Err(Error::Overtaken)), "{refused:?}");
    assert_eq!(follow(&mut *one, 4), model[3..]);
    for turn in 0..6 {
        let (writer, reader) = match turn % 2 {
            0 => (&mut one, &mut other),
            _ => (&mut other, &mut one),
        };
        append(&mut **writer, &mut model, turn + 1);
        let count = usize::try_from(turn + 1).expect("a small number");
        assert_eq!(follow(&mut **reader, count), model[model.len() - count..]);
    }
    for log in [one, other, open()] {
        assert_eq!(kept(&*log, Lsn(1)), model, "all see the same");
    }
}

/// What another node has appended, at least so many records.
fn follow(log: &mut dyn Log, count: usize) -> Vec<(Lsn, Vec<u8>)> {
    let (started, mut all) = (Instant::now(), Vec::new());
    while all.len() < count {
        all.extend(log.follow(Duration::from_secs(1)).expect("it follows"));
        assert!(started.elapsed() < PATIENCE, "{} of {count}", all.len());
    }
    all
}
