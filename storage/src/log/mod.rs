//! The log: the ordered, durable list of records that everything else follows.

mod bookmark;
mod contract;
mod copied;
mod copy;
mod entries;
mod examine;
mod file;
mod frame;
mod memory;
mod severed;
mod witness;

pub use bookmark::{Bookmark, History};
pub use contract::{keeps_log_contract, keeps_shared_log_contract};
pub use copied::{CopiedLog, ends_early};
pub use examine::{GivenUp, LogState, examine_log, forget_given_up, give_up_damaged};
pub use file::{Cut, FileLog};
pub use memory::MemoryLog;
pub use severed::SeveredLog;

use std::time::Duration;

use crate::error::Error;
use crate::ids::Lsn;

/// Records in order, each with its position.
pub type Records<'a> = Box<dyn Iterator<Item = Result<(Lsn, Vec<u8>), Error>> + 'a>;

/// How a node's copy of a shared log is.
#[derive(Debug, Clone, Copy, Default)]
pub struct CopyState {
    /// Bytes of its files.
    pub bytes: u64,
    /// Its disk does not take it: nothing is kept until the next checkpoint.
    pub has_given_up: bool,
}

/// What a record takes at most beside itself, among others that are written with it.
pub const RECORD_HEAD: usize = 8;

/// The seam to whatever keeps the records.
///
/// Positions rise with every record and are never given twice; callers must not count on them
/// being without gaps. A log may be shared: other nodes then append to it too, and all of them see
/// the same records at the same positions. Whoever holds one knows it up to [`Log::last_lsn`], and
/// learns of what others have appended after that by [`Log::follow`] alone.
pub trait Log: Send {
    /// Writes records and makes them durable together, right after the last one that is known here;
    /// on return they are.
    ///
    /// # Errors
    /// [`Error::Overtaken`]: others were first, and nothing was written; follow them and try again.
    /// [`Error::Waits`]: nothing was written, because of what [`Log::waits`] says.
    /// [`Error::Unreachable`]: whether they are there is not known yet; [`Log::follow`] brings them
    /// if they are. [`Error::Refused`]: nothing was written; it may be tried again. After any other error nothing more is taken until the log is opened anew, and
    /// whether the records are there is then seen.
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error>;

    /// The next records that others have appended, from then on known here; none if there are none
    /// within `wait`.
    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        let _ = wait;
        Ok(Vec::new())
    }

    /// How far the log was read; it rises with what others have appended, also where that was no record.
    fn seen(&self) -> u64 {
        self.last_lsn().0
    }

    /// Whether what was read last is the beginning of a group whose rest is to come right behind it, unless
    /// its writer has gone or something comes between.
    fn is_within_group(&self) -> bool {
        false
    }

    /// Records that take no more bytes than this together, and [`RECORD_HEAD`] each, are written in one
    /// piece, between which and the next one others may come. More are tried as one nevertheless.
    fn piece_bytes(&self) -> usize {
        usize::MAX
    }

    /// How a shared log stands where it was read last, for who opens it anew; nothing where that is not known, or a group is
    /// not whole yet.
    fn bookmark(&self) -> Option<Bookmark> {
        None
    }

    /// Is told how it stood once, before anything is read or written; says whether it is the same.
    ///
    /// # Errors
    /// Whoever keeps the log does not answer.
    fn remember(&mut self, bookmark: &Bookmark) -> Result<History, Error> {
        let _ = bookmark;
        Ok(History::Untold)
    }

    /// Why nothing can be appended for now, if that is so: it is not known what is before. It can be when something has
    /// been read.
    fn waits(&self) -> Option<String> {
        None
    }

    /// The number that tells a log that several nodes follow from all others; `None` for the log of
    /// one data folder.
    fn shared(&self) -> Option<u128> {
        None
    }

    /// Why nothing is appended to it and nothing more is read of it, if that is so: what is behind that place is
    /// damaged or missing. What is before it can be read; [`Log::last_lsn`] may be further.
    fn broken(&self) -> Option<String> {
        None
    }

    /// Whether it cannot be had at all, nor what lies beside it.
    fn is_severed(&self) -> bool {
        false
    }

    /// The position of the last record that is known here, or the one before the first if there is
    /// none yet.
    fn last_lsn(&self) -> Lsn;

    /// A position that no record is behind now, whether it is known here yet or not.
    ///
    /// # Errors
    /// Whoever keeps the log does not answer.
    fn end(&self) -> Result<Lsn, Error> {
        Ok(self.last_lsn())
    }

    /// All records are kept that come behind those which were written together with the record right before this
    /// position: nothing is missing for whoever has applied that.
    fn first_lsn(&self) -> Lsn;

    /// All kept records at or after a position, up to the last that is known here.
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error>;

    /// What this node has copied of a shared log behind a position, as far as one record stands behind the other.
    fn copied_from(&self, from: Lsn) -> Records<'_> {
        let _ = from;
        Box::new(std::iter::empty())
    }

    /// Up to where it has copied it when it was opened.
    fn copied_to(&self) -> Lsn {
        Lsn(0)
    }

    /// Does without that copy, and begins another behind a position: the node begins with what came from elsewhere.
    fn begin_copy(&mut self, behind: Lsn) {
        let _ = behind;
    }

    /// How that copy is.
    fn copy_state(&self) -> CopyState {
        CopyState::default()
    }

    /// How a shared log is another, up to where this node begins, than the one that it has followed.
    fn rewritten(&self) -> Option<String> {
        None
    }

    /// Lets go of records below a position, as far as whole files allow; a shared log keeps what
    /// other nodes may need.
    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error>;

    /// Has the next record go into a new file, so that all before it can be let go of.
    fn rotate(&mut self) -> Result<(), Error>;

    /// Bytes kept.
    fn bytes(&self) -> u64;
}
