//! What other nodes append and is no record: the beginning of a group, which goes on or comes to nothing.

use std::sync::Arc;
use std::time::Duration;

use engine::{Ack, Engine, Options};
use storage::{Error, Log, Lsn, MemoryLog, Records};

use super::{Cluster, spec};
use crate::common::point;

/// A log in which the beginning of a group was first once.
struct Unfinished {
    log: MemoryLog,
    overtaken: bool,
    /// Messages of it that have arrived, and will.
    seen: u64,
    parts: u64,
    /// Whether it is whole with these.
    ends: bool,
}

impl Unfinished {
    fn another(log: &MemoryLog, parts: u64, ends: bool) -> Self {
        Self {
            log: log.another(),
            overtaken: false,
            seen: 0,
            parts,
            ends,
        }
    }
}

impl Log for Unfinished {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        if !std::mem::replace(&mut self.overtaken, true) {
            return Err(Error::Overtaken);
        }
        let all = "nothing is appended before all is seen";
        assert_eq!(self.seen, self.parts, "{all}");
        self.log.append(records)
    }
    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        if self.overtaken && self.seen < self.parts && !wait.is_zero() {
            self.seen += 1;
            return Ok(Vec::new());
        }
        self.log.follow(Duration::ZERO)
    }
    fn seen(&self) -> u64 {
        self.log.seen() + self.seen
    }
    fn is_within_group(&self) -> bool {
        self.seen > 0 && (self.seen < self.parts || !self.ends)
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

#[test]
fn a_write_goes_on_when_what_was_first_was_the_beginning_of_nothing() {
    writes_behind(1, false);
}

#[test]
fn a_write_waits_for_all_messages_of_a_group_that_was_first() {
    writes_behind(5, true);
}

fn writes_behind(parts: u64, ends: bool) {
    let cluster = Cluster::new();
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::clone(&cluster.0);
    let options = Options {
        shared_log: Some(Arc::new(move |_| {
            Ok(Box::new(Unfinished::another(&log.lock(), parts, ends)) as Box<dyn Log>)
        })),
        ..Options::new(dir.path())
    };
    let one = Engine::open(options).unwrap();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    assert_eq!(one.count("c").unwrap(), 1);
}
