//! How a shared log stood behind one of its messages: what whoever has read it remembers of it, for the case that
//! nothing of that is kept any more.
//!
//! It is a fact about the log, whatever its owner holds: each message has the checksum of the one before, so that one
//! checksum stands for all up to there.

use crate::bytes::Take;
use crate::ids::Lsn;

/// A place between two messages, behind which no group of records is left over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bookmark {
    /// The number of the message before it.
    pub message: u64,
    /// The checksum of that message.
    pub sum: u32,
    /// The last record up to there.
    pub last: Lsn,
}

/// The bytes of a bookmark in a file.
pub(crate) const BOOKMARK_BYTES: usize = 8 + 4 + 8;

impl Bookmark {
    /// As it stands in a file.
    pub fn to_bytes(self) -> [u8; BOOKMARK_BYTES] {
        let mut bytes = [0; BOOKMARK_BYTES];
        bytes[..8].copy_from_slice(&self.message.to_le_bytes());
        bytes[8..12].copy_from_slice(&self.sum.to_le_bytes());
        bytes[12..].copy_from_slice(&self.last.0.to_le_bytes());
        bytes
    }

    /// The reverse.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut take = Take::new(bytes);
        let bookmark = Self {
            message: take.u64()?,
            sum: take.u32()?,
            last: Lsn(take.u64()?),
        };
        take.is_empty().then_some(bookmark)
    }
}

/// What a log is to whoever has kept a bookmark in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum History {
    /// The same as then, up to there.
    Same,
    /// Another, and how.
    Another(String),
    /// It has nothing any more, or nothing yet, that could tell.
    Untold,
}
