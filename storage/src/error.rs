//! What can go wrong with the files, told apart by who can mend it.

use std::io;
use std::path::{Path, PathBuf};

/// A storage failure; it names the file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The operating system refused an operation.
    #[error("{}: {action}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A file does not hold what it must.
    #[error("{}: damaged at byte {offset}: {what}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// Where in the file.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// Bytes that are no valid record, row or payload.
    #[error("cannot decode {what}: {reason}")]
    Decode {
        /// What was to be read.
        what: &'static str,
        /// Why it could not be.
        reason: String,
    },
    /// More than a limit allows.
    #[error("{what} of {got} bytes is over the limit of {limit}")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// Its size.
        got: usize,
        /// The largest size.
        limit: usize,
    },
    /// The folder is in use.
    #[error("{}: another process has this data folder open", .0.display())]
    Locked(PathBuf),
    /// The folder was written by a newer doppel.
    #[error(
        "{}: written in format {found}, and this program knows formats up to {known}; use a newer doppel",
        path.display()
    )]
    NewerFormat {
        /// The marker file.
        path: PathBuf,
        /// The folder's format.
        found: u32,
        /// The newest format this program knows.
        known: u32,
    },
    /// An earlier write or sync failed; nothing may be written until a restart.
    #[error("the log takes no more records until a restart: {0}")]
    Latched(String),
    /// Other nodes have appended to the log first, so nothing was written.
    #[error("other nodes have written to the log meanwhile")]
    Overtaken,
    /// Nothing can be appended to the log for now, so nothing was written.
    #[error("{0}")]
    Waits(String),
    /// The log could not be reached in time; what was to be appended may be there or not.
    #[error("the log cannot be reached: {0}")]
    Unreachable(String),
    /// What nodes begin with could not be reached where it is kept.
    #[error("{0}")]
    Checkpoints(String),
    /// Whoever keeps the log has refused what was to be appended, and said so: nothing of it is there.
    #[error("the log takes nothing now: {why}")]
    Refused {
        /// What they have said.
        why: String,
        /// They have no room for more.
        is_full: bool,
    },
    /// What several nodes share as their log is not as it must be.
    #[error("the shared log: {0}")]
    Shared(String),
    /// What several nodes share as their log is not there any more.
    #[error("the shared log: {0}")]
    Gone(String),
    /// The tables failed.
    #[error("tables: {0}")]
    Tables(String),
    /// The disk took nothing of the tables.
    #[error("tables: {0}")]
    TablesDisk(io::ErrorKind),
    /// They were written anew and could not be opened after that.
    #[error("tables: they could not be opened again; a restart rebuilds them")]
    TablesShut,
}

/// So that what fails inside a writer of a file can still be told apart.
impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        io::Error::new(error.kind(), error)
    }
}

impl Error {
    /// The system's answer, where it was the system that refused.
    pub fn kind(&self) -> io::ErrorKind {
        match self {
            Error::Io { source, .. } => source.kind(),
            Error::TablesDisk(kind) => *kind,
            _ => io::ErrorKind::Other,
        }
    }

    /// Whether it was the tables that failed.
    pub fn is_of_tables(&self) -> bool {
        matches!(
            self,
            Error::Tables(_) | Error::TablesDisk(_) | Error::TablesShut
        )
    }

    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Io {
            path: path.to_owned(),
            action,
            source,
        }
    }

    pub(crate) fn corrupt(path: &Path, offset: u64, what: impl Into<String>) -> Error {
        Error::Corrupt {
            path: path.to_owned(),
            offset,
            what: what.into(),
        }
    }
}
