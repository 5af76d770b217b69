//! A log in RAM, for tests of what follows a log. It is durable as long as the process lives.
//!
//! It can be shared by several nodes of one process, and leaves gaps between positions, so that what
//! counts on being alone, or on positions without gaps, shows itself.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use super::{Log, Records};
use crate::error::Error;
use crate::ids::Lsn;

/// A log without files, as one of the nodes that share it knows it.
#[derive(Default)]
pub struct MemoryLog {
    kept: Arc<Mutex<Kept>>,
    known: Lsn,
    shared: Option<u128>,
}

#[derive(Default)]
struct Kept {
    released: Lsn,
    last: Lsn,
    records: Vec<(Lsn, Vec<u8>)>,
}

impl MemoryLog {
    /// An empty log of one node.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty log that several nodes may share, with the number that tells it from others.
    pub fn shared_as(number: u128) -> Self {
        Self {
            shared: Some(number),
            ..Self::default()
        }
    }

    /// Lets go of records below a position, as an operator of a shared log does.
    pub fn trim_below(&self, lsn: Lsn) {
        let mut kept = self.kept.lock();
        kept.records.retain(|(at, _)| *at >= lsn);
        kept.released = lsn;
    }

    /// The same log as another node opens it now.
    pub fn another(&self) -> Self {
        Self {
            kept: Arc::clone(&self.kept),
            known: self.kept.lock().last,
            shared: self.shared,
        }
    }
}

/// The position after this one; two of three are left out.
fn after(last: Lsn) -> Lsn {
    Lsn(last.0 + 1 + last.0 % 3)
}

impl Log for MemoryLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        let mut kept = self.kept.lock();
        if kept.last > self.known {
            return Err(Error::Overtaken);
        }
        let mut lsns = Vec::with_capacity(records.len());
        for record in records {
            let lsn = after(kept.last);
            kept.records.push((lsn, record.clone()));
            kept.last = lsn;
            lsns.push(lsn);
        }
        self.known = kept.last;
        Ok(lsns)
    }

    fn follow(&mut self, _: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        let kept = self.kept.lock();
        let from = kept.records.partition_point(|(lsn, _)| *lsn <= self.known);
        self.known = kept.last;
        Ok(kept.records.iter().skip(from).cloned().collect())
    }

    fn shared(&self) -> Option<u128> {
        self.shared
    }

    fn last_lsn(&self) -> Lsn {
        self.known
    }

    fn end(&self) -> Result<Lsn, Error> {
        Ok(self.kept.lock().last)
    }

    fn first_lsn(&self) -> Lsn {
        self.kept.lock().released.max(Lsn(1))
    }

    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let kept = self.kept.lock();
        let known = self.known;
        let records = kept.records.iter();
        let records = records.filter(|(lsn, _)| (from..=known).contains(lsn));
        let records: Vec<_> = records.cloned().map(Ok).collect();
        Ok(Box::new(records.into_iter()))
    }

    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        let mut kept = self.kept.lock();
        if self.shared.is_none() {
            kept.records.retain(|(at, _)| *at >= lsn);
            kept.released = lsn.min(kept.last.next());
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        let kept = self.kept.lock();
        kept.records
            .iter()
            .map(|(_, record)| record.len() as u64)
            .sum()
    }
}
