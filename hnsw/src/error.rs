//! What an index refuses, and why.

use std::io;

/// A refusal. The index is as it was before the call.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A vector of another size.
    #[error("expected a vector of {expected} numbers, got {got}")]
    Dimension {
        /// The index's size.
        expected: usize,
        /// The vector's.
        got: usize,
    },
    /// A vector with a number that is NaN or infinite.
    #[error("number {position} of the vector is {value}, only finite numbers can be compared")]
    NotFinite {
        /// Its place, from 0.
        position: usize,
        /// What it is.
        value: f32,
    },
    /// A vector with a number whose square cannot be reckoned with.
    #[error("number {position} of the vector is {value}, numbers must lie between -1e16 and 1e16")]
    TooLarge {
        /// Its place, from 0.
        position: usize,
        /// What it is.
        value: f32,
    },
    /// A score that is no number to compare with.
    #[error("a score of {0} cannot be compared with")]
    Score(f32),
    /// A recall that no search has.
    #[error("a recall of {0} cannot be had, it must be above 0 and at most 1")]
    Recall(f32),
    /// A vector of length zero (or too long to measure) has no direction.
    #[error("a vector of length {0} has no direction, which the cosine metric compares")]
    NoDirection(f32),
    /// A setting out of its range.
    #[error("{name} must be between {min} and {max}, got {got}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its least value.
        min: usize,
        /// Its greatest value.
        max: usize,
        /// What was given.
        got: usize,
    },
    /// `DOPPEL_SIMD` names kernels that this CPU cannot run.
    #[error("DOPPEL_SIMD is `{wanted}`, this machine has {here}")]
    Kernels {
        /// What it says.
        wanted: String,
        /// What it may say.
        here: String,
    },
    /// A slot that holds no live point.
    #[error("slot {0} holds no point")]
    NoSuchSlot(u32),
    /// No more slots.
    #[error("the index is full")]
    Full,
    /// The file that stands in for RAM failed.
    #[error("vectors cannot be brought into the file that stands in for memory: {0}")]
    Scratch(#[source] io::Error),
    /// Bytes that are no frozen index.
    #[error("the frozen index is damaged: {0}")]
    Corrupt(String),
    /// The bytes could not be read.
    #[error("the frozen index cannot be read: {0}")]
    Read(#[from] io::Error),
}
