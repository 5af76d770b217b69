//! What can go wrong in a training.

use std::io;
use std::path::PathBuf;

/// Why something was not learned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The samples or the settings make no sense; the text says what would.
    #[error("{0}")]
    Refused(String),
    /// A checkpoint is damaged, or of another training.
    #[error("{}: {reason}", path.display())]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Numbers are no longer finite.
    #[error("the training went astray: {0}; a lower rate may keep it")]
    Astray(String),
    /// The library that computes has refused something: a mistake of ours.
    #[error("the computation failed: {0}")]
    Computation(#[from] candle_core::Error),
    /// The disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}
