//! What is said of a checkpoint elsewhere, where a store keeps nothing beside the bytes: an object of its own.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `DPLC` |
//! | 4 | version, 1 |
//! | 16 | the number of the log |
//! | | what its maker said about it |
//! | 4 | CRC32C of all before |
//!
//! All numbers are little-endian. The checkpoint has checksums of its own.

use storage::checksum;

const MAGIC: [u8; 4] = *b"DPLC";
const VERSION: u32 = 1;
/// Bytes before what is said, and after it.
const FIXED: usize = 4 + 4 + 16;
const SUM: usize = 4;

/// What is said of a checkpoint of this log.
pub(super) fn encode(number: u128, about: &str) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(FIXED + about.len() + SUM);
    bytes.extend(MAGIC);
    bytes.extend(VERSION.to_le_bytes());
    bytes.extend(number.to_le_bytes());
    bytes.extend(about.as_bytes());
    let sum = checksum(&[&bytes]);
    bytes.extend(sum.to_le_bytes());
    bytes
}

/// What stands in these bytes.
///
/// # Errors
/// They are damaged, or of another log.
pub(super) fn decode(bytes: &[u8], number: u128) -> Result<String, String> {
    let whole = bytes.split_last_chunk::<SUM>();
    let whole = whole.filter(|(said, sum)| checksum(&[said]).to_le_bytes() == **sum);
    let whole = whole.and_then(|(said, _)| said.split_first_chunk::<FIXED>());
    let (fixed, about) = whole.ok_or("it is damaged: the checksum does not fit")?;
    let version = u32::from_le_bytes(std::array::from_fn(|n| fixed[4 + n]));
    if !fixed.starts_with(&MAGIC) || version != VERSION {
        return Err(format!(
            "its version is {version}, and this program reads {VERSION}"
        ));
    }
    let of = u128::from_le_bytes(std::array::from_fn(|n| fixed[8 + n]));
    if of != number {
        return Err(format!("it is of the log {of:032x}, not of {number:032x}"));
    }
    let about = std::str::from_utf8(about);
    Ok(about.map_err(|_| "it is not text")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_read_as_it_was_written_and_never_with_a_bit_bent() {
        let bytes = encode(7, "{\"lsn\":3}");
        assert_eq!(decode(&bytes, 7).unwrap(), "{\"lsn\":3}");
        assert!(decode(&bytes, 8).unwrap_err().contains("of the log"));
        for end in 0..bytes.len() {
            assert!(decode(&bytes[..end], 7).is_err(), "{end} bytes");
        }
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(&bent, 7).is_err(), "bit {bit}");
        }
    }
}
