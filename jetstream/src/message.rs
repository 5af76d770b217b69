//! One message of the stream: a group of records, or a part of one that is larger than a message may be.
//!
//! | bytes | what |
//! | --- | --- |
//! | 4 | `DPLJ` |
//! | 4 | version, 1 |
//! | 16 | the number of the log |
//! | 8 | the message's own sequence |
//! | 4 | the checksum of the message before, 0 before the first |
//! | 16 | the number of the group, which nobody has been given before |
//! | 4, 4 | which part of it this is, from 0, and how many there are |
//! | | the part |
//! | 4 | CRC32C of all before |
//!
//! All numbers are little-endian. A message that is not exactly this is damage: it is never passed over.

use storage::checksum;

const MAGIC: [u8; 4] = *b"DPLJ";
const VERSION: u32 = 1;
/// Bytes before the part.
const HEAD: usize = 4 + 4 + 16 + 8 + 4 + 16 + 4 + 4;
/// Bytes after it.
const TAIL: usize = 4;

/// A message without the checksum at its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Message<'a> {
    pub(crate) log: u128,
    pub(crate) sequence: u64,
    pub(crate) before: u32,
    pub(crate) group: u128,
    pub(crate) part: u32,
    pub(crate) parts: u32,
    pub(crate) body: &'a [u8],
}

impl<'a> Message<'a> {
    /// Its bytes, and the checksum they end with.
    pub(crate) fn encode(&self) -> (Vec<u8>, u32) {
        let mut bytes = Vec::with_capacity(HEAD + self.body.len() + TAIL);
        bytes.extend(MAGIC);
        bytes.extend(VERSION.to_le_bytes());
        bytes.extend(self.log.to_le_bytes());
        bytes.extend(self.sequence.to_le_bytes());
        bytes.extend(self.before.to_le_bytes());
        bytes.extend(self.group.to_le_bytes());
        bytes.extend(self.part.to_le_bytes());
        bytes.extend(self.parts.to_le_bytes());
        bytes.extend(self.body);
        let sum = checksum(&[&bytes]);
        bytes.extend(sum.to_le_bytes());
        (bytes, sum)
    }

    /// A message and its checksum, or what is wrong with these bytes.
    pub(crate) fn decode(bytes: &'a [u8]) -> Result<(Self, u32), String> {
        let (content, tail) = bytes
            .split_last_chunk::<TAIL>()
            .ok_or("it is too short to be one")?;
        let sum = u32::from_le_bytes(*tail);
        let found = checksum(&[content]);
        if found != sum {
            return Err(format!("its checksum is {found:08x}, not {sum:08x}"));
        }
        let mut rest = content;
        let short = || "it is too short to be one".to_owned();
        if take::<4>(&mut rest) != Some(MAGIC) {
            return Err("it is none of doppel's".into());
        }
        let version = take(&mut rest).map(u32::from_le_bytes).ok_or_else(short)?;
        if version != VERSION {
            return Err(format!(
                "it is of version {version}, and this program knows {VERSION}: use a newer doppel"
            ));
        }
        let mut number = || take(&mut rest).map(u128::from_le_bytes);
        let log = number().ok_or_else(short)?;
        let sequence = take(&mut rest).map(u64::from_le_bytes).ok_or_else(short)?;
        let before = take(&mut rest).map(u32::from_le_bytes).ok_or_else(short)?;
        let group = take(&mut rest).map(u128::from_le_bytes).ok_or_else(short)?;
        let part = take(&mut rest).map(u32::from_le_bytes).ok_or_else(short)?;
        let parts = take(&mut rest).map(u32::from_le_bytes).ok_or_else(short)?;
        if part >= parts {
            return Err(format!("it says to be part {part} of {parts}"));
        }
        let message = Self {
            log,
            sequence,
            before,
            group,
            part,
            parts,
            body: rest,
        };
        Ok((message, sum))
    }
}

/// The checksum that the bytes of a message end with.
pub(crate) fn sum(bytes: &[u8]) -> Option<u32> {
    let (_, tail) = bytes.split_last_chunk::<TAIL>()?;
    Some(u32::from_le_bytes(*tail))
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn message(body: &[u8]) -> Message<'_> {
        Message {
            log: 7,
            sequence: 9,
            before: 11,
            group: 13,
            part: 1,
            parts: 2,
            body,
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(body: Vec<u8>, sequence: u64, before: u32, group: u128) {
            let written = Message { sequence, before, group, ..message(&body) };
            let (bytes, sum) = written.encode();
            prop_assert_eq!(Message::decode(&bytes), Ok((written, sum)));
        }

        #[test]
        fn bytes_that_are_no_message_are_refused(bytes: Vec<u8>) {
            prop_assert!(Message::decode(&bytes).is_err());
        }
    }

    #[test]
    fn any_flipped_bit_and_any_cut_is_seen() {
        let (bytes, _) = message(b"a part of a group").encode();
        for bit in 0..bytes.len() * 8 {
            let mut bent = bytes.clone();
            bent[bit / 8] ^= 1 << (bit % 8);
            assert!(Message::decode(&bent).is_err(), "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert!(Message::decode(&bytes[..len]).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn a_message_of_a_newer_version_says_what_to_do() {
        let (mut bytes, _) = message(b"").encode();
        bytes[4] = 2;
        let len = bytes.len() - TAIL;
        let sum = checksum(&[&bytes[..len]]);
        bytes[len..].copy_from_slice(&sum.to_le_bytes());
        let told = Message::decode(&bytes).unwrap_err();
        assert!(told.contains("newer doppel"), "{told}");
    }
}
