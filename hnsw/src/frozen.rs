//! An index as a stream of bytes, all in one or with the vectors apart from it (see `apart`).
//!
//! All little-endian: a header (see `header`), the history (`u64`, only in version 3), then by slot the levels (`u8`, 255 = free), births
//! (`u64`) and anchors (`u32`), the free list, the centre that codes are measured from (not in
//! version 1), the vectors (not in version 3), and for every live slot its lists from level 0 up, each a count (`u16`)
//! and that many slots (`u32`). Codes and reverse links follow from these and are computed again, the
//! latter when they are needed (see `thaw`).

use std::io::{self, Write};

use crate::codes::FrozenCodes;
use crate::distance::Bits;
use crate::index::FREE;
use crate::links::Links;
use crate::memory::Rows;
use crate::params::{Metric, Params, Quantization, Slot};

pub(crate) const MAGIC: &[u8; 8] = b"doppelHN";
pub(crate) const VERSION: u32 = 2;
/// Whose vectors stand apart.
pub(crate) const APART: u32 = 3;
/// The first one, which had no centre.
pub(crate) const UNCENTRED: u32 = 1;
pub(crate) const HEADER: usize = 48;

/// An index as it was when it was frozen.
pub struct Frozen {
    pub(crate) params: Params,
    pub(crate) rows: Rows<f32>,
    pub(crate) codes: Option<FrozenCodes>,
    pub(crate) centred: u8,
    /// All zeros where there are no codes.
    pub(crate) centre: Vec<f32>,
    pub(crate) links: Links,
    pub(crate) levels: Vec<u8>,
    pub(crate) births: Vec<u64>,
    pub(crate) anchors: Vec<u32>,
    pub(crate) free: Vec<u32>,
    pub(crate) next_birth: u64,
    pub(crate) history: u64,
    pub(crate) entry: u32,
}

fn word(n: usize) -> io::Result<u32> {
    u32::try_from(n).map_err(io::Error::other)
}

impl Frozen {
    /// The vector of a slot, if a point is in it.
    pub fn vector(&self, slot: Slot) -> Option<&[f32]> {
        let level = self.levels.get(slot.0 as usize)?;
        (*level != FREE).then(|| &self.rows.row(slot.0)[..self.params.dim])
    }

    /// Writes the index; [`Index::read`](crate::Index::read) reads it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_slots(VERSION, out)?;
        for rows in self.rows.first(self.levels.len()) {
            for row in rows?.chunks(self.rows.stride()) {
                write_all(out, row[..self.params.dim].iter().map(|x| x.to_le_bytes()))?;
            }
        }
        self.write_links(out)
    }

    /// Header, what there is of each slot, and the centre.
    pub(crate) fn write_slots(&self, version: u32, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header(version)?)?;
        if version == APART {
            out.write_all(&self.history.to_le_bytes())?;
        }
        out.write_all(&self.levels)?;
        write_all(out, self.births.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.anchors.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.free.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.centre.iter().map(|x| x.to_le_bytes()))
    }

    pub(crate) fn write_links(&self, out: &mut dyn Write) -> io::Result<()> {
        for (slot, level) in (0u32..)
            .zip(&self.levels)
            .filter(|(_, level)| **level != FREE)
        {
            for at in 0..=usize::from(*level) {
                let list = self.links.get(slot, at);
                out.write_all(
                    &u16::try_from(list.len())
                        .map_err(io::Error::other)?
                        .to_le_bytes(),
                )?;
                write_all(out, list.iter().map(|n| n.to_le_bytes()))?;
            }
        }
        Ok(())
    }

    fn header(&self, version: u32) -> io::Result<Vec<u8>> {
        let metric = match self.params.metric {
            Metric::Cosine => 0,
            Metric::Dot => 1,
            Metric::Euclid => 2,
            Metric::Manhattan => 3,
        };
        let quantization = match self.params.quantization {
            Quantization::None => 0,
            Quantization::Int8 => 1,
            Quantization::Packed(Bits::One) => 2,
            Quantization::Packed(Bits::Two) => 3,
            Quantization::Packed(Bits::Four) => 4,
        };
        let mut header = MAGIC.to_vec();
        header.extend_from_slice(&version.to_le_bytes());
        header.extend_from_slice(&word(self.params.dim)?.to_le_bytes());
        header.extend_from_slice(&word(self.params.m)?.to_le_bytes());
        header.extend_from_slice(&word(self.params.ef_construct)?.to_le_bytes());
        header.extend_from_slice(&[metric, quantization, self.centred, 0]);
        header.extend_from_slice(&word(self.levels.len())?.to_le_bytes());
        header.extend_from_slice(&word(self.free.len())?.to_le_bytes());
        header.extend_from_slice(&self.next_birth.to_le_bytes());
        header.extend_from_slice(&self.entry.to_le_bytes());
        Ok(header)
    }
}

/// Small arrays through a buffer, so that `out` is not called for each number.
fn write_all<const N: usize>(
    out: &mut dyn Write,
    numbers: impl Iterator<Item = [u8; N]>,
) -> io::Result<()> {
    let mut buffer = Vec::with_capacity(8_192 + N);
    for number in numbers {
        buffer.extend_from_slice(&number);
        if buffer.len() >= 8_192 {
            out.write_all(&buffer)?;
            buffer.clear();
        }
    }
    out.write_all(&buffer)
}
