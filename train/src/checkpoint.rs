//! Where a training stands, in a file: what is learned from (as a checksum), state of chance, weights,
//! moments, and the best weights so far. Going on from it gives what an undisturbed run gives, bit for
//! bit.
//!
//! A line that names the format and the SHA-256 of all that follows; a line of JSON; then numbers, little
//! endian.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::Error;
use crate::file;
use crate::limits::CHECKPOINT_BYTES;

const FORMAT: &str = "doppel training 1";

/// All of it but the numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Head {
    /// Of settings, shape and samples.
    pub(crate) training: String,
    pub(crate) chance: u64,
    pub(crate) epoch: usize,
    pub(crate) steps: u64,
    pub(crate) best_epoch: usize,
    pub(crate) best_score: f64,
    /// How many numbers each list has.
    pub(crate) numbers: usize,
}

/// Weights, first and second moments, best weights.
pub(crate) type Numbers = [Vec<f32>; 4];

pub(crate) fn write(path: &Path, head: &Head, numbers: &Numbers) -> Result<(), Error> {
    let json = serde_json::to_string(head).map_err(|error| Error::Refused(error.to_string()))?;
    let mut body = json.into_bytes();
    body.push(b'\n');
    for number in numbers.iter().flatten() {
        body.extend_from_slice(&number.to_le_bytes());
    }
    let mut bytes = format!("{FORMAT} {}\n", sha256(&body)).into_bytes();
    bytes.extend(body);
    file::write_whole(path, &bytes)
}

/// `None` if there is none.
pub(crate) fn read(path: &Path) -> Result<Option<(Head, Numbers)>, Error> {
    let Some(bytes) = file::read(path, CHECKPOINT_BYTES)? else {
        return Ok(None);
    };
    let found = parse(&bytes).map_err(|reason| Error::Checkpoint {
        path: path.to_owned(),
        reason: format!("{reason}; remove it to begin anew"),
    });
    found.map(Some)
}

fn parse(bytes: &[u8]) -> Result<(Head, Numbers), &'static str> {
    let (first, body) = line(bytes).ok_or("it is no checkpoint of a training")?;
    let first = std::str::from_utf8(first).unwrap_or_default();
    let checksum = first
        .strip_prefix(FORMAT)
        .ok_or("it is no checkpoint of a training")?;
    if checksum.trim() != sha256(body) {
        return Err("its checksum does not fit: it is damaged");
    }
    let (head, numbers) = line(body).ok_or("it ends too early")?;
    let head: Head = serde_json::from_slice(head).map_err(|_| "it is of another version")?;
    let numbers: Vec<f32> = numbers
        .as_chunks()
        .0
        .iter()
        .map(|b| f32::from_le_bytes(*b))
        .collect();
    if head.numbers.checked_mul(4) != Some(numbers.len()) {
        return Err("it has too few numbers");
    }
    let list = |at: usize| numbers[at * head.numbers..(at + 1) * head.numbers].to_vec();
    let lists = [list(0), list(1), list(2), list(3)];
    Ok((head, lists))
}

fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = bytes.iter().position(|byte| *byte == b'\n')?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// Hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
