//! A log in RAM, for tests of what follows a log. It is durable as long as the process lives.

use super::{Log, Records};
use crate::error::Error;
use crate::ids::Lsn;

/// A log without files.
#[derive(Default)]
pub struct MemoryLog {
    released: u64,
    records: Vec<Vec<u8>>,
}

impl MemoryLog {
    /// An empty log.
    pub fn new() -> Self {
        Self::default()
    }
}

impl Log for MemoryLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        let next = self.last_lsn().next().0;
        self.records.extend_from_slice(records);
        Ok((next..).map(Lsn).take(records.len()).collect())
    }

    fn last_lsn(&self) -> Lsn {
        Lsn(self.released + self.records.len() as u64)
    }

    fn first_lsn(&self) -> Lsn {
        Lsn(self.released + 1)
    }

    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let numbered = (self.released + 1..)
            .map(Lsn)
            .zip(self.records.iter().cloned());
        Ok(Box::new(
            numbered.filter(move |(lsn, _)| *lsn >= from).map(Ok),
        ))
    }

    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        let n = lsn
            .0
            .saturating_sub(self.released + 1)
            .min(self.records.len() as u64);
        self.records.drain(..usize::try_from(n).unwrap_or(0));
        self.released += n;
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.records.iter().map(|record| record.len() as u64).sum()
    }
}
