//! What can go wrong, told apart by who can mend it. `Display` is a sentence fit for a client.

use std::sync::Arc;

/// An engine failure. Cheap to clone, because one failed group answers many writers.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No collection has this name.
    #[error("collection `{0}` does not exist")]
    NoCollection(String),
    /// A collection of this name exists already.
    #[error("collection `{0}` exists already")]
    Exists(String),
    /// No alias has this name.
    #[error("alias `{0}` does not exist")]
    NoAlias(String),
    /// A collection's points have no vector of this name.
    #[error("the collection has no vector {which}: {have}")]
    NoVector {
        /// Which was asked for.
        which: String,
        /// Which there are.
        have: String,
    },
    /// No backup has this name.
    #[error("backup `{0}` does not exist")]
    NoBackup(String),
    /// A point that was to be changed is not there.
    #[error("point {0} does not exist")]
    NoPoint(storage::PointId),
    /// No point has this name under `person`.
    #[error("person `{0}` does not exist")]
    NoPerson(String),
    /// It does not fit what is there.
    #[error("{0}")]
    Conflict(String),
    /// A name that no collection can have.
    #[error("the name `{name}` is refused: {reason}")]
    BadName {
        /// The name as it was given.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A vector that the collection cannot hold.
    #[error("wrong vector: {what}")]
    BadVector {
        /// Which vector and why.
        what: String,
    },
    /// Another mistake of the caller.
    #[error("wrong input: {0}")]
    BadRequest(String),
    /// More than a limit allows.
    #[error("too large: {0}")]
    TooLarge(String),
    /// The queue of writes is full; the same call may work a moment later.
    #[error("busy: {0}")]
    Busy(String),
    /// Another node has changed meanwhile what this was decided on; it is to be decided again.
    #[error("busy: other nodes change the same all the time; try again")]
    Overtaken,
    /// The log could not be reached in time.
    #[error("{0}; what was to be written may come to be, or not: look, or write it again")]
    Unreachable(String),
    /// What nodes begin with could not be reached where it is kept.
    #[error("{0}")]
    Checkpoints(String),
    /// The servers of the log have refused what was to be written.
    #[error("{why}; it was not written{}", advice(*is_full))]
    Refused {
        /// What they have said.
        why: String,
        /// They have no room for more.
        is_full: bool,
    },
    /// Something that cannot be done where several nodes follow one log.
    #[error("{0} is not possible where several nodes share one log")]
    Shared(&'static str),
    /// A disk error has stopped all writing until the process is started again.
    #[error("writing has stopped until a restart: {0}")]
    ReadOnly(String),
    /// Nothing more can be read of the log that several nodes share, so nothing is written to it.
    #[error(
        "writing has stopped: {0}; a restart looks again, and what else to do is in docs/SCALING.md, \"When the log is \
         damaged\""
    )]
    LogBroken(String),
    /// Data on disk that does not hold what it should.
    #[error("corrupt data: {0}")]
    Corrupt(String),
    /// A collection whose snapshot is damaged; the others are served.
    #[error(
        "collection `{name}` is not served, because its data is damaged: {reason}; start again if \
         the disk could not be read only for a moment (`doppel verify` tells), else restore the \
         collection from a backup, or drop it"
    )]
    Quarantined {
        /// Its name.
        name: String,
        /// What is damaged.
        reason: String,
    },
    /// The disk has no room for what a start writes. What is kept is as it was.
    #[error(
        "the disk is full: {why}. A start may write {} MiB beside what is there, vectors to a file that goes \
         with the process and tables where they are built anew: make room and start again, nothing is lost",
        wanted_bytes.div_ceil(1 << 20)
    )]
    NoRoom {
        /// What could not be written.
        why: String,
        /// About how much a start may write.
        wanted_bytes: u64,
    },
    /// A failure of the storage below.
    #[error(transparent)]
    Storage(Arc<storage::Error>),
    /// Whoever asked for it wants it no more.
    #[error("cancelled")]
    Cancelled,
    /// The engine is shutting down.
    #[error("the engine has been shut down")]
    Stopped,
}

fn advice(is_full: bool) -> &'static str {
    match is_full {
        true => ": raise the limits of the stream, or give its servers room",
        false => "",
    }
}

impl From<hnsw::Error> for Error {
    fn from(error: hnsw::Error) -> Self {
        match error {
            // No fault of whoever called, nor of what was read.
            hnsw::Error::Scratch(source) => storage::Error::Io {
                path: "the file that stands in for memory".into(),
                action: "make room for vectors",
                source,
            }
            .into(),
            error => Self::BadRequest(error.to_string()),
        }
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Latched(reason) => Error::ReadOnly(reason),
            storage::Error::Overtaken => Error::Overtaken,
            storage::Error::Waits(why) => Error::Busy(why),
            unreachable @ storage::Error::Unreachable(_) => {
                Error::Unreachable(unreachable.to_string())
            }
            storage::Error::Checkpoints(why) => Error::Checkpoints(why),
            storage::Error::Refused { is_full, .. } => Error::Refused {
                why: error.to_string(),
                is_full,
            },
            // Whoever shut them stops all writing, a moment later.
            shut @ storage::Error::TablesShut => Error::ReadOnly(shut.to_string()),
            other => Error::Storage(Arc::new(other)),
        }
    }
}

impl Error {
    /// Why a durable record cannot be applied to its index.
    pub(crate) fn of_record(lsn: storage::Lsn, error: hnsw::Error) -> Self {
        match error {
            hnsw::Error::Scratch(_) => error.into(),
            error => Error::Corrupt(format!("record {lsn} does not fit its index: {error}")),
        }
    }

    /// The same, said of one point among many.
    pub(crate) fn of_point(self, id: &storage::PointId) -> Self {
        match self {
            Error::BadVector { what } => Error::BadVector {
                what: format!("point {id}: {what}"),
            },
            other => other,
        }
    }
}

/// So that what fails inside a writer of a file can still be told apart.
impl From<Error> for std::io::Error {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Storage(error) => error.kind(),
            _ => std::io::ErrorKind::Other,
        };
        std::io::Error::new(kind, error)
    }
}

impl Error {
    /// Whether the disk is full, or takes nothing, so that something has been given up without harm.
    pub fn is_disk_full(&self) -> bool {
        use std::io::ErrorKind::{ReadOnlyFilesystem, StorageFull};
        match self {
            Error::NoRoom { .. } => true,
            Error::Storage(error) => matches!(error.kind(), StorageFull | ReadOnlyFilesystem),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use super::*;

    #[test]
    fn a_disk_without_room_for_vectors_is_full_and_neither_the_callers_fault_nor_damage() {
        let full = hnsw::Error::Scratch(ErrorKind::StorageFull.into());
        let error = Error::from(full);
        assert!(error.is_disk_full(), "{error:?}");
        let text = error.to_string();
        assert!(text.contains("make room for vectors"), "{text}");
        let of_record = |error: hnsw::Error| Error::of_record(storage::Lsn(7), error);
        let full = of_record(hnsw::Error::Scratch(ErrorKind::StorageFull.into()));
        assert!(full.is_disk_full(), "{full:?}");
        assert!(matches!(of_record(hnsw::Error::Full), Error::Corrupt(_)));
        let other = Error::from(hnsw::Error::Full);
        assert!(matches!(other, Error::BadRequest(_)), "{other:?}");
    }
}
