//! The log: the ordered, durable list of records that everything else follows.

mod examine;
mod file;
mod frame;
mod memory;
mod witness;

pub use examine::{GivenUp, LogState, examine_log, forget_given_up, give_up_damaged};
pub use file::{Cut, FileLog};
pub use memory::MemoryLog;

use crate::error::Error;
use crate::ids::Lsn;

/// Records in order, each with its position.
pub type Records<'a> = Box<dyn Iterator<Item = Result<(Lsn, Vec<u8>), Error>> + 'a>;

/// The seam to whatever keeps the records.
///
/// Positions rise with every record and are never given twice; callers must not count on them
/// being without gaps.
pub trait Log: Send {
    /// Writes records and makes them durable together; on return they are. After an error nothing
    /// more is taken until the log is opened anew, and whether the records are there is then seen.
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error>;

    /// The position of the last record, or the one before the first if there is none yet.
    fn last_lsn(&self) -> Lsn;

    /// The position of the oldest record that is still kept (or will be written next).
    fn first_lsn(&self) -> Lsn;

    /// All kept records at or after a position.
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error>;

    /// Lets go of records below a position, as far as whole files allow.
    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error>;

    /// Has the next record go into a new file, so that all before it can be let go of.
    fn rotate(&mut self) -> Result<(), Error>;

    /// Bytes kept.
    fn bytes(&self) -> u64;
}
