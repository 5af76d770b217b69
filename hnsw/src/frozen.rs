//! An index as a stream of bytes.
//!
//! All little-endian: a header (see `header`), then by slot the levels (`u8`, 255 = free), births
//! (`u64`) and anchors (`u32`), the free list, the centre that codes are measured from (not in
//! version 1), the vectors, and for every live slot its lists from level 0 up, each a count (`u16`)
//! and that many slots (`u32`). Codes and reverse links follow from these and are computed again.

use std::io::{self, Read, Write};

use crate::distance::Bits;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::limits::{MAX_LEVEL, MAX_NUMBER, MAX_SLOTS};
use crate::links::Links;
use crate::memory::{Rows, Scratch};
use crate::params::{Metric, Params, Quantization, Slot};
use crate::parts::{in_parts, threads};

const MAGIC: &[u8; 8] = b"doppelHN";
const VERSION: u32 = 2;
/// The first one, which had no centre.
const UNCENTRED: u32 = 1;
const HEADER: usize = 48;

/// An index as it was when it was frozen.
pub struct Frozen {
    pub(crate) params: Params,
    pub(crate) rows: Rows<f32>,
    pub(crate) centred: u8,
    /// All zeros where there are no codes.
    pub(crate) centre: Vec<f32>,
    pub(crate) links: Links,
    pub(crate) levels: Vec<u8>,
    pub(crate) births: Vec<u64>,
    pub(crate) anchors: Vec<u32>,
    pub(crate) free: Vec<u32>,
    pub(crate) next_birth: u64,
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

    /// Writes the index; [`Index::read`] reads it.
    pub fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        out.write_all(&self.header()?)?;
        out.write_all(&self.levels)?;
        write_all(out, self.births.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.anchors.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.free.iter().map(|n| n.to_le_bytes()))?;
        write_all(out, self.centre.iter().map(|x| x.to_le_bytes()))?;
        for slot in 0..word(self.levels.len())? {
            let row = &self.rows.row(slot)[..self.params.dim];
            write_all(out, row.iter().map(|x| x.to_le_bytes()))?;
        }
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

    fn header(&self) -> io::Result<Vec<u8>> {
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
        header.extend_from_slice(&VERSION.to_le_bytes());
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

struct Header {
    version: u32,
    params: Params,
    slots: usize,
    free: usize,
    next_birth: u64,
    entry: u32,
    centred: u8,
}

impl Header {
    fn parse(bytes: &[u8; HEADER]) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::Corrupt(what.into());
        let word = |at: usize| {
            u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        if !bytes.starts_with(MAGIC) {
            return Err(corrupt("it does not start as an index"));
        }
        let version = word(8);
        if !(UNCENTRED..=VERSION).contains(&version) {
            return Err(Error::Corrupt(format!("version {version} is unknown")));
        }
        let all = [
            Metric::Cosine,
            Metric::Dot,
            Metric::Euclid,
            Metric::Manhattan,
        ];
        let metric = all
            .get(usize::from(bytes[24]))
            .ok_or_else(|| corrupt("the metric is unknown"))?;
        let all = [
            Quantization::None,
            Quantization::Int8,
            Quantization::Packed(Bits::One),
            Quantization::Packed(Bits::Two),
            Quantization::Packed(Bits::Four),
        ];
        let quantization = all
            .get(usize::from(bytes[25]))
            .ok_or_else(|| corrupt("the quantization is unknown"))?;
        let params = Params {
            dim: word(12) as usize,
            m: word(16) as usize,
            ef_construct: word(20) as usize,
            metric: *metric,
            quantization: *quantization,
        };
        params.check()?;
        let next_birth = u64::from(word(36)) | u64::from(word(40)) << 32;
        Ok(Self {
            version,
            params,
            slots: word(28) as usize,
            free: word(32) as usize,
            next_birth,
            entry: word(44),
            centred: bytes[26],
        })
    }

    /// Bytes that the arrays of fixed size take up, so that nothing is allocated for a lie.
    fn fixed_bytes(&self) -> u64 {
        let slot = 1 + 8 + 4 + 4 * self.params.dim as u64;
        HEADER as u64 + self.slots as u64 * slot + self.free as u64 * 4
    }
}

/// Bytes of vectors that are read at once.
const READ_BYTES: usize = 8 << 20;

fn read_vector(input: &mut dyn Read, dim: usize) -> Result<Vec<f32>, Error> {
    let mut bytes = vec![0; dim * 4];
    input.read_exact(&mut bytes)?;
    let (numbers, _) = bytes.as_chunks::<4>();
    let vector: Vec<f32> = numbers.iter().map(|x| f32::from_le_bytes(*x)).collect();
    // Not only finite: what `prepare` would have let in.
    if vector.iter().any(|x| x.is_nan() || x.abs() > MAX_NUMBER) {
        return Err(Error::Corrupt(
            "a number of a vector is out of range".into(),
        ));
    }
    Ok(vector)
}

fn read_array<const N: usize>(input: &mut dyn Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    input.read_exact(&mut bytes)?;
    Ok(bytes)
}

impl Index {
    /// Reads what [`Frozen::write`] wrote; `len` is the number of bytes there are. Nothing in them
    /// is trusted.
    pub fn read(input: &mut dyn Read, len: u64, scratch: Option<Scratch>) -> Result<Index, Error> {
        let header = Header::parse(&read_array(input)?)?;
        let crowded = header.slots > MAX_SLOTS || header.free > header.slots;
        if header.fixed_bytes() > len || crowded {
            return Err(Error::Corrupt(
                "it is too short for what its header says".into(),
            ));
        }
        let mut index = Index::with_scratch(header.params, scratch)?;
        index.read_slots(input, &header)?;
        if header.version > UNCENTRED {
            let centre = read_vector(input, header.params.dim)?;
            index.vectors.set_centre(&centre);
            index.centred = header.centred;
        }
        index.read_vectors(input)?;
        index.read_links(input)?;
        if input.read(&mut [0])? != 0 {
            return Err(Error::Corrupt("bytes are left over".into()));
        }
        if let Some(violation) = index.structure().first() {
            return Err(Error::Corrupt(violation.to_string()));
        }
        index.derive_incoming();
        Ok(index)
    }

    fn read_slots(&mut self, input: &mut dyn Read, header: &Header) -> Result<(), Error> {
        self.levels = vec![0; header.slots];
        input.read_exact(&mut self.levels)?;
        if self
            .levels
            .iter()
            .any(|level| *level > MAX_LEVEL && *level != FREE)
        {
            return Err(Error::Corrupt("a level is too high".into()));
        }
        for _ in 0..header.slots {
            self.births.push(u64::from_le_bytes(read_array(input)?));
        }
        for _ in 0..header.slots {
            self.anchors.push(u32::from_le_bytes(read_array(input)?));
        }
        for _ in 0..header.free {
            self.free.push(u32::from_le_bytes(read_array(input)?));
        }
        self.next_birth = header.next_birth;
        self.entry = header.entry;
        self.incoming.resize(header.slots);
        let live = (0u32..)
            .zip(&self.levels)
            .filter(|(_, level)| **level != FREE);
        self.by_birth = live
            .map(|(slot, _)| (self.births[slot as usize], slot))
            .collect();
        Ok(())
    }

    /// Reads so many vectors at a time and has their codes computed on all cores.
    fn read_vectors(&mut self, input: &mut dyn Read) -> Result<(), Error> {
        let dim = self.params.dim;
        let share = (READ_BYTES / (4 * dim)).max(1);
        let mut slots = 0..u32::try_from(self.slots()).map_err(|_| Error::Full)?;
        while !slots.is_empty() {
            let some: Vec<u32> = slots.by_ref().take(share).collect();
            let vectors = some.iter().map(|_| read_vector(input, dim));
            let vectors = vectors.collect::<Result<Vec<_>, _>>()?;
            let codes = in_parts(threads(), some.len(), |part| {
                let vectors = vectors[part].iter();
                vectors.map(|vector| self.vectors.encode(vector)).collect()
            });
            for ((slot, vector), codes) in some.iter().zip(&vectors).zip(&codes) {
                let set = self.vectors.set(*slot, vector, codes.as_ref());
                set.map_err(Error::Scratch)?;
            }
        }
        Ok(())
    }

    fn read_links(&mut self, input: &mut dyn Read) -> Result<(), Error> {
        for (slot, level) in (0u32..).zip(self.levels.clone()) {
            if level == FREE {
                self.links.reset(slot, 0);
                continue;
            }
            self.links.reset(slot, level);
            for at in 0..=usize::from(level) {
                let count = usize::from(u16::from_le_bytes(read_array(input)?));
                if count > self.params.cap(at) {
                    return Err(Error::Corrupt(format!("slot {slot} has {count} links")));
                }
                let mut list = Vec::with_capacity(count);
                for _ in 0..count {
                    list.push(u32::from_le_bytes(read_array(input)?));
                }
                self.links.set(slot, at, &list);
            }
        }
        Ok(())
    }

    fn derive_incoming(&mut self) {
        for (slot, level) in (0u32..).zip(&self.levels) {
            if *level != FREE {
                for at in 0..=usize::from(*level) {
                    for other in self.links.get(slot, at) {
                        self.incoming.add(slot, *other, at);
                    }
                }
            }
        }
    }
}

// A slot number can never be the mark for "none".
const _: () = assert!(NONE == u32::MAX);
