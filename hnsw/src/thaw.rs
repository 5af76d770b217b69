//! An index from the bytes that `frozen` has written. Nothing in them is trusted.

use std::io::{self, Read};
use std::sync::OnceLock;

use crate::distance::Bits;
use crate::error::Error;
use crate::frozen::{APART, HEADER, MAGIC, UNCENTRED};
use crate::index::{FREE, Index, NONE};
use crate::limits::{MAX_LEVEL, MAX_NUMBER, MAX_SLOTS};
use crate::links::Incoming;
use crate::memory::Scratch;
use crate::params::{Metric, Params, Quantization};
use crate::parts::first;

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
        if !(UNCENTRED..=APART).contains(&version) {
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
        let vector = match self.version {
            APART => 0,
            _ => 4 * self.params.dim as u64,
        };
        let slot = 1 + 8 + 4 + vector;
        HEADER as u64 + self.slots as u64 * slot + self.free as u64 * 4
    }
}

/// Bytes that are asked for at once.
const PIECE_BYTES: usize = 64 << 10;

/// What is left to read, taken in small pieces.
pub(crate) struct Input<'a> {
    from: &'a mut dyn Read,
    buffer: Vec<u8>,
    at: usize,
}

impl<'a> Input<'a> {
    fn new(from: &'a mut dyn Read) -> Self {
        Self {
            from,
            buffer: Vec::new(),
            at: 0,
        }
    }

    /// The next `count` bytes.
    fn take(&mut self, count: usize) -> io::Result<&[u8]> {
        if self.buffer.len() - self.at < count {
            self.fill(count)?;
        }
        self.at += count;
        Ok(&self.buffer[self.at - count..self.at])
    }

    /// Reads on until so many bytes are there.
    fn fill(&mut self, count: usize) -> io::Result<()> {
        self.buffer.drain(..self.at);
        self.at = 0;
        let mut filled = self.buffer.len();
        self.buffer.resize(count.max(PIECE_BYTES), 0);
        while filled < count {
            match self.from.read(&mut self.buffer[filled..]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => filled += n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.buffer.truncate(filled);
        Ok(())
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.take(N)?;
        Ok(bytes.first_chunk().copied().unwrap_or([0; N]))
    }

    /// So many numbers, appended to `out`.
    fn numbers<const N: usize, T>(
        &mut self,
        count: usize,
        out: &mut Vec<T>,
        number: impl Fn([u8; N]) -> T,
    ) -> io::Result<()> {
        out.reserve(count);
        let mut left = count;
        while left > 0 {
            let some = left.min(PIECE_BYTES / N);
            let (bytes, _) = self.take(some * N)?.as_chunks::<N>();
            out.extend(bytes.iter().map(|bytes| number(*bytes)));
            left -= some;
        }
        Ok(())
    }

    fn at_end(&mut self) -> io::Result<bool> {
        Ok(self.at == self.buffer.len() && self.from.read(&mut [0])? == 0)
    }
}

/// Not only finite: what `prepare` would have let in.
pub(crate) fn in_range(numbers: &[f32]) -> Result<(), Error> {
    // All are looked at before anything is decided, so that several are at once.
    let outside = |x: &f32| x.is_nan() | (x.abs() > MAX_NUMBER);
    match numbers.iter().fold(false, |any, x| any | outside(x)) {
        true => Err(Error::Corrupt(
            "a number of a vector is out of range".into(),
        )),
        false => Ok(()),
    }
}

/// Fills in an index's vectors and codes.
pub(crate) type FillIn<'a> =
    dyn FnMut(&mut Index, Option<&mut Input<'_>>) -> Result<(), Error> + 'a;

impl Index {
    /// Reads what [`crate::Frozen::write`] wrote; `len` is the number of bytes there are. Nothing in
    /// them is trusted.
    pub fn read(input: &mut dyn Read, len: u64, scratch: Option<Scratch>) -> Result<Index, Error> {
        Self::thaw(input, len, scratch, &mut |index, input| {
            index.read_vectors(input.ok_or_else(|| Error::Corrupt("its vectors are apart".into()))?)
        })
    }

    /// Reads an index; `vectors` fills in the vectors and their codes, from the rest of the input if they
    /// are in it.
    pub(crate) fn thaw(
        input: &mut dyn Read,
        len: u64,
        scratch: Option<Scratch>,
        vectors: &mut FillIn<'_>,
    ) -> Result<Index, Error> {
        let mut input = Input::new(input);
        let header = Header::parse(&input.array()?)?;
        let crowded = header.slots > MAX_SLOTS || header.free > header.slots;
        if header.fixed_bytes() > len || crowded {
            return Err(Error::Corrupt(
                "it is too short for what its header says".into(),
            ));
        }
        let mut index = Index::with_scratch(header.params, scratch)?;
        if header.version == APART {
            index.history = u64::from_le_bytes(input.array()?);
        }
        index.read_slots(&mut input, &header)?;
        if header.version > UNCENTRED {
            let mut centre = Vec::new();
            input.numbers(header.params.dim, &mut centre, f32::from_le_bytes)?;
            in_range(&centre)?;
            index.vectors.set_centre(&centre);
            index.centred = header.centred;
        }
        vectors(&mut index, (header.version != APART).then_some(&mut input))?;
        index.read_links(&mut input)?;
        if !input.at_end()? {
            return Err(Error::Corrupt("bytes are left over".into()));
        }
        if let Some(violation) = index.structure().first() {
            return Err(Error::Corrupt(violation.to_string()));
        }
        index.incoming = OnceLock::new();
        Ok(index)
    }

    fn read_slots(&mut self, input: &mut Input<'_>, header: &Header) -> Result<(), Error> {
        input.numbers(header.slots, &mut self.levels, |[level]| level)?;
        if self
            .levels
            .iter()
            .any(|level| *level > MAX_LEVEL && *level != FREE)
        {
            return Err(Error::Corrupt("a level is too high".into()));
        }
        input.numbers(header.slots, &mut self.births, u64::from_le_bytes)?;
        input.numbers(header.slots, &mut self.anchors, u32::from_le_bytes)?;
        input.numbers(header.free, &mut self.free, u32::from_le_bytes)?;
        self.next_birth = header.next_birth;
        self.entry = header.entry;
        let live = (0u32..)
            .zip(&self.levels)
            .filter(|(_, level)| **level != FREE);
        self.by_birth = live
            .map(|(slot, _)| (self.births[slot as usize], slot))
            .collect();
        Ok(())
    }

    /// Reads vectors chunk by chunk and has their codes computed.
    pub(crate) fn read_vectors(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let dim = self.params.dim;
        let (stride, share) = (self.vectors.rows.stride(), self.vectors.rows.chunk_rows());
        let mut slots = 0..u32::try_from(self.slots()).map_err(|_| Error::Full)?;
        let mut rows = Vec::new();
        while !slots.is_empty() {
            let some = first(&mut slots, share);
            rows.clear();
            for end in (1..=some.len()).map(|row| row * stride) {
                input.numbers(dim, &mut rows, f32::from_le_bytes)?;
                rows.resize(end, 0.0);
            }
            in_range(&rows)?;
            self.vectors.append(&rows).map_err(Error::Scratch)?;
            self.vectors.recode_all(some).map_err(Error::Scratch)?;
        }
        Ok(())
    }

    fn read_links(&mut self, input: &mut Input<'_>) -> Result<(), Error> {
        let mut list = Vec::new();
        for (slot, level) in (0u32..).zip(self.levels.clone()) {
            if level == FREE {
                self.links.reset(slot, 0);
                continue;
            }
            self.links.reset(slot, level);
            for at in 0..=usize::from(level) {
                let count = usize::from(u16::from_le_bytes(input.array()?));
                if count > self.params.cap(at) {
                    return Err(Error::Corrupt(format!("slot {slot} has {count} links")));
                }
                list.clear();
                input.numbers(count, &mut list, u32::from_le_bytes)?;
                self.links.set(slot, at, &list);
            }
        }
        Ok(())
    }

    /// Who points at whom, each list made as long as it has to be.
    pub(crate) fn derived_incoming(&self) -> Incoming {
        let live = || {
            let all = (0u32..).zip(&self.levels);
            all.filter(|(_, level)| **level != FREE)
        };
        let mut counts: Vec<Vec<u32>> = Vec::new();
        for (slot, level) in live() {
            let levels = usize::from(*level) + 1;
            if counts.len() < levels {
                counts.resize(levels, vec![0; self.levels.len()]);
            }
            for (at, counts) in counts.iter_mut().enumerate().take(levels) {
                for other in self.links.get(slot, at) {
                    counts[*other as usize] += 1;
                }
            }
        }
        let mut incoming = Incoming::with_room(self.levels.len(), &counts);
        for (slot, level) in live() {
            for at in 0..=usize::from(*level) {
                for other in self.links.get(slot, at) {
                    incoming.add(slot, *other, at);
                }
            }
        }
        incoming
    }
}

// A slot number can never be the mark for "none".
const _: () = assert!(NONE == u32::MAX);
