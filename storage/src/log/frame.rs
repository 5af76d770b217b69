//! A frame: the records of one append under one checksum, and a segment's header.
//!
//! A frame's checksum also covers its segment's salt, so that bytes of another segment can never
//! pass for a frame of this one. Layouts are in `FORMAT.md`.

use crate::bytes::{Take, checksum};
use crate::ids::Lsn;
use crate::limits::{MAX_FRAME_BYTES, MAX_FRAME_RECORDS};

/// Bytes before a frame's records: length, checksum, first LSN, count.
pub(crate) const FRAME_HEADER: usize = 20;
/// Bytes of a segment's header.
pub(crate) const SEGMENT_HEADER: usize = 64;
const MAGIC: &[u8; 8] = b"doppelLG";
const VERSION: u32 = 1;

/// What a segment says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) store: u128,
    pub(crate) salt: u64,
    pub(crate) first: Lsn,
}

impl SegmentHeader {
    pub(crate) fn encode(&self) -> [u8; SEGMENT_HEADER] {
        let mut bytes = [0; SEGMENT_HEADER];
        bytes[0..8].copy_from_slice(MAGIC);
        bytes[8..12].copy_from_slice(&VERSION.to_le_bytes());
        bytes[12..28].copy_from_slice(&self.store.to_le_bytes());
        bytes[28..36].copy_from_slice(&self.salt.to_le_bytes());
        bytes[36..44].copy_from_slice(&self.first.0.to_le_bytes());
        let crc = checksum(&[&bytes[..60]]);
        bytes[60..64].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// The header, or what is wrong with it.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, String> {
        let header = bytes.get(..SEGMENT_HEADER).ok_or("the header is cut off")?;
        let (body, crc) = header.split_at(60);
        if checksum(&[body]).to_le_bytes() != crc {
            return Err("the header's checksum is wrong".into());
        }
        let mut take = Take::new(body);
        let mut read = || {
            let magic = take.bytes(8)?;
            Some((magic, take.u32()?, take.u128()?, take.u64()?, take.u64()?))
        };
        let (magic, version, store, salt, first) = read().ok_or("the header is cut off")?;
        if magic != MAGIC {
            return Err("this is no log segment".into());
        }
        if version != VERSION {
            return Err(format!("segment version {version} is unknown"));
        }
        Ok(Self {
            store,
            salt,
            first: Lsn(first),
        })
    }
}

/// One frame for `records`, the first of which has position `first`.
pub(crate) fn encode(salt: u64, first: Lsn, records: &[Vec<u8>]) -> Vec<u8> {
    let payload: usize = records.iter().map(|record| record.len() + 4).sum();
    let mut frame = Vec::with_capacity(FRAME_HEADER + payload);
    frame.extend_from_slice(&word(payload));
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(&first.0.to_le_bytes());
    frame.extend_from_slice(&word(records.len()));
    for record in records {
        frame.extend_from_slice(&word(record.len()));
        frame.extend_from_slice(record);
    }
    let crc = frame_checksum(salt, &frame);
    frame[4..8].copy_from_slice(&crc.to_le_bytes());
    frame
}

/// Sizes are checked against the limits before a frame is built.
fn word(n: usize) -> [u8; 4] {
    u32::try_from(n)
        .expect("limits keep frames under 4 GiB")
        .to_le_bytes()
}

fn frame_checksum(salt: u64, frame: &[u8]) -> u32 {
    let (length, rest) = frame.split_at(4);
    checksum(&[
        &salt.to_le_bytes(),
        length,
        rest.get(4..).unwrap_or_default(),
    ])
}

/// A frame that has been read.
pub(crate) struct Frame {
    pub(crate) first: Lsn,
    pub(crate) records: Vec<Vec<u8>>,
    /// Bytes of the whole frame.
    pub(crate) len: usize,
}

/// The frame that starts at the front of `bytes`, if a good one does.
pub(crate) fn decode(salt: u64, bytes: &[u8]) -> Option<Frame> {
    let mut take = Take::new(bytes);
    let payload = usize::try_from(take.u32()?).ok()?;
    let crc = take.u32()?;
    let first = Lsn(take.u64()?);
    let count = usize::try_from(take.u32()?).ok()?;
    if payload > MAX_FRAME_BYTES || count == 0 || count > MAX_FRAME_RECORDS || first.0 == 0 {
        return None;
    }
    let len = FRAME_HEADER + payload;
    let frame = bytes.get(..len)?;
    if frame_checksum(salt, frame) != crc {
        return None;
    }
    let mut take = Take::new(frame.get(FRAME_HEADER..)?);
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let size = usize::try_from(take.u32()?).ok()?;
        records.push(take.bytes(size)?.to_vec());
    }
    take.is_empty().then_some(Frame {
        first,
        records,
        len,
    })
}

/// Whether a good frame at or after position `from` starts anywhere in `bytes`.
pub(crate) fn any_good(salt: u64, from: Lsn, bytes: &[u8]) -> Option<usize> {
    (0..bytes.len().saturating_sub(FRAME_HEADER)).find(|at| {
        bytes
            .get(*at..)
            .and_then(|rest| decode(salt, rest))
            .is_some_and(|frame| frame.first >= from)
    })
}
