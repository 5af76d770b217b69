//! A shared log that cannot be had, as a node that has followed it up to its checkpoint knows it: it ends
//! there, has no records, and takes none.

use super::{Log, Records};
use crate::error::Error;
use crate::ids::Lsn;

/// What is known of a log without it.
pub struct SeveredLog {
    number: u128,
    last: Lsn,
    why: String,
}

impl SeveredLog {
    /// The shared log of this number, which was followed up to here, and why it cannot be had.
    pub fn new(number: u128, last: Lsn, why: String) -> Self {
        Self { number, last, why }
    }
}

impl Log for SeveredLog {
    fn append(&mut self, _: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        Err(Error::Gone(self.why.clone()))
    }

    fn shared(&self) -> Option<u128> {
        Some(self.number)
    }

    fn broken(&self) -> Option<String> {
        Some(self.why.clone())
    }

    fn is_severed(&self) -> bool {
        true
    }

    fn last_lsn(&self) -> Lsn {
        self.last
    }

    fn first_lsn(&self) -> Lsn {
        self.last.next()
    }

    fn read_from(&self, _: Lsn) -> Result<Records<'_>, Error> {
        Ok(Box::new(std::iter::empty()))
    }

    fn release_below(&mut self, _: Lsn) -> Result<(), Error> {
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn bytes(&self) -> u64 {
        0
    }
}
