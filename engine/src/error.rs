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
    /// Something that cannot be done where several nodes follow one log.
    #[error("{0} is not possible where several nodes share one log")]
    Shared(&'static str),
    /// A disk error has stopped all writing until the process is started again.
    #[error("writing has stopped until a restart: {0}")]
    ReadOnly(String),
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

impl From<hnsw::Error> for Error {
    fn from(error: hnsw::Error) -> Self {
        Self::BadRequest(error.to_string())
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        match error {
            storage::Error::Latched(reason) => Error::ReadOnly(reason),
            storage::Error::Overtaken => Error::Overtaken,
            unreachable @ storage::Error::Unreachable(_) => {
                Error::Unreachable(unreachable.to_string())
            }
            // Whoever shut them stops all writing, a moment later.
            shut @ storage::Error::TablesShut => Error::ReadOnly(shut.to_string()),
            other => Error::Storage(Arc::new(other)),
        }
    }
}

impl Error {
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
        matches!(self, Error::Storage(error)
            if matches!(error.kind(), StorageFull | ReadOnlyFilesystem))
    }
}
