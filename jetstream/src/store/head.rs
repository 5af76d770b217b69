//! What stands before a checkpoint in an object elsewhere, where a store keeps nothing beside the bytes:
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `DPLC` |
//! | 4 | version, 1 |
//! | 16 | the number of the log |
//! | 4 | bytes of what its maker said about it |
//! | | that |
//! | 4 | CRC32C of all before |
//!
//! All numbers are little-endian. What follows has checksums of its own.

use storage::checksum;

const MAGIC: [u8; 4] = *b"DPLC";
const VERSION: u32 = 1;
/// Bytes before what is said.
const FIXED: usize = 4 + 4 + 16 + 4;
const SUM: usize = 4;
/// Bytes that may be said.
const ABOUT: usize = 16 << 20;

/// The head of a checkpoint of this log.
pub(super) fn encode(number: u128, about: &str) -> Vec<u8> {
    let mut head = Vec::with_capacity(FIXED + about.len() + SUM);
    head.extend(MAGIC);
    head.extend(VERSION.to_le_bytes());
    head.extend(number.to_le_bytes());
    head.extend(u32::try_from(about.len()).unwrap_or(u32::MAX).to_le_bytes());
    head.extend(about.as_bytes());
    let sum = checksum(&[&head]);
    head.extend(sum.to_le_bytes());
    head
}

/// What stands at the beginning of these bytes, and how long that is: nothing before there are enough of them.
///
/// # Errors
/// It is damaged, or of another log.
pub(super) fn decode(bytes: &[u8], number: u128) -> Result<Option<(String, usize)>, String> {
    let Some(fixed) = bytes.first_chunk::<FIXED>() else {
        return Ok(None);
    };
    if !fixed.starts_with(&MAGIC) {
        return Err("it is no checkpoint".to_owned());
    }
    let word = |at: usize| u32::from_le_bytes(std::array::from_fn(|n| fixed[at + n]));
    let version = word(4);
    if version != VERSION {
        return Err(format!(
            "its version is {version}, and this program reads {VERSION}"
        ));
    }
    let of = u128::from_le_bytes(std::array::from_fn(|n| fixed[8 + n]));
    let length = word(24) as usize;
    if length > ABOUT {
        return Err(format!(
            "its head is damaged: {length} bytes are said of it"
        ));
    }
    let (end, all) = (FIXED + length, FIXED + length + SUM);
    let (Some(head), Some(sum)) = (bytes.get(..end), bytes.get(end..all)) else {
        return Ok(None);
    };
    if checksum(&[head]).to_le_bytes() != *sum {
        return Err("its head is damaged: the checksum does not fit".to_owned());
    }
    if of != number {
        return Err(format!("it is of the log {of:032x}, not of {number:032x}"));
    }
    let about = std::str::from_utf8(&head[FIXED..]);
    let about = about.map_err(|_| "its head is not text".to_owned())?;
    Ok(Some((about.to_owned(), all)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_as_it_was_written_and_never_with_a_bit_bent() {
        let mut bytes = encode(7, "{\"lsn\":3}");
        let length = bytes.len();
        bytes.extend(b"the checkpoint");
        let read = decode(&bytes, 7).unwrap();
        assert_eq!(read, Some(("{\"lsn\":3}".to_owned(), length)));
        for end in 0..length {
            assert_eq!(decode(&bytes[..end], 7), Ok(None), "{end} bytes");
        }
        assert!(decode(&bytes, 8).unwrap_err().contains("of the log"));
        for bit in 0..length * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(!matches!(decode(&bent, 7), Ok(Some(_))), "bit {bit}");
        }
    }
}
