//! An index in three parts, so that the largest can be used where they stand in a file: the graph (see
//! `frozen`), the vectors' rows, and the codes' rows (int8, packed if there are such, and what goes with
//! each).
//!
//! A file that keeps rows may not be there for good, and its owner may want to make good from RAM what
//! has become of it: so rows are *lent* until they are copied, after a while.
//!
//! Rows are padded and numbers little-endian, as in RAM. Codes follow from the vectors: some are
//! computed again and held against those that are read, and if one is another (made by another way
//! of coding), or if there are none, all are computed.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytemuck::{Pod, cast_slice};

use crate::error::Error;
use crate::frozen::{APART, Frozen};
use crate::index::Index;
use crate::memory::{CopiedChunk, LentChunk, Rows, Scratch, Seal, read_at};
use crate::parts::first;
use crate::thaw::in_range;

#[cfg(target_endian = "big")]
compile_error!("rows are used as they stand in files: little-endian");

/// Slots whose codes are computed again to see whether those that are read can be used.
const SAMPLE: usize = 32;
/// Slots whose codes are computed before they are stored.
const PIECE: usize = 1 << 10;

/// What an index is read from.
pub struct Apart<'a> {
    /// The graph, and how many bytes that is.
    pub graph: (&'a mut dyn Read, u64),
    /// The vectors, and how many bytes they are.
    pub vectors: (Kept<'a>, u64),
    /// The codes, and how many bytes they are; none where there are no codes.
    pub codes: (Kept<'a>, u64),
    /// Where vectors go if not to RAM.
    pub scratch: Option<Scratch>,
}

/// Where rows are kept.
pub enum Kept<'a> {
    /// In a stream, to be copied.
    Stream(&'a mut dyn Read),
    /// In a file. They are used there until they are copied ([`Index::lent`]).
    File(Place<'a>),
}

/// Where in a file rows are kept, and how they are known to be right.
pub struct Place<'a> {
    /// The file: what of it is used must neither change nor go meanwhile.
    pub file: Arc<OwnedFd>,
    /// The first byte; of vectors a multiple of 64.
    pub start: u64,
    /// Is shown all bytes once, piece by piece and in order, and gives the checksum of each; if it refuses
    /// one, there is no index.
    pub seen: &'a mut dyn FnMut(&[u8]) -> io::Result<u32>,
    /// A piece's checksum: what has another one later is not used any more.
    pub checksum: fn(&[u8]) -> u32,
}

/// Some rows that are used where they were read from.
pub enum Lent {
    /// Of vectors.
    Vectors(LentChunk<f32>),
    /// Of their codes.
    Int8(LentChunk<i8>),
    /// Of those that are walked on.
    Packed(LentChunk<u8>),
}

/// Their copy.
pub enum Copied {
    /// Of vectors.
    Vectors(CopiedChunk<f32>),
    /// Of their codes.
    Int8(CopiedChunk<i8>),
    /// Of those that are walked on.
    Packed(CopiedChunk<u8>),
}

impl Lent {
    /// Copies them to where rows of their kind are. Takes no lock against anything.
    pub fn copy(self) -> Result<Copied, Error> {
        let copied = match self {
            Self::Vectors(lent) => lent.copy().map(Copied::Vectors),
            Self::Int8(lent) => lent.copy().map(Copied::Int8),
            Self::Packed(lent) => lent.copy().map(Copied::Packed),
        };
        copied.map_err(Error::Scratch)
    }
}

impl Kept<'_> {
    /// Takes the next `count` rows into empty ones, if `look` has nothing against them.
    pub(crate) fn fill<T: Pod>(
        &mut self,
        rows: &mut Rows<T>,
        count: usize,
        look: &dyn Fn(&[T]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let place = match self {
            Self::Stream(stream) => {
                rows.read(count, *stream)?;
                return rows.first(count).try_for_each(|rows| look(rows?));
            }
            Self::File(place) => place,
        };
        let mut left = count;
        while left > 0 {
            let some = left.min(rows.chunk_rows());
            let mut looked = Ok(());
            let (there, mut sealed) = place.next(some * rows.stride() * size_of::<T>());
            let mut seal = |numbers: &[T]| {
                looked = look(numbers);
                sealed(cast_slice(numbers))
            };
            rows.append_kept(there, some, &mut seal)?;
            looked?;
            left -= some;
        }
        Ok(())
    }

    /// Copies the next bytes.
    pub(crate) fn copy(&mut self, bytes: &mut [u8]) -> io::Result<()> {
        let place = match self {
            Self::Stream(stream) => return stream.read_exact(bytes),
            Self::File(place) => place,
        };
        let ((file, start), mut seal) = place.next(bytes.len());
        read_at(file, bytes, start)?;
        seal(bytes)?;
        Ok(())
    }
}

/// A byte of a file.
type Spot<'a> = (&'a Arc<OwnedFd>, u64);

impl Place<'_> {
    /// Where the next `bytes` stand, and what seals them.
    fn next(&mut self, bytes: usize) -> (Spot<'_>, impl FnMut(&[u8]) -> io::Result<Seal>) {
        let (seen, checksum) = (&mut *self.seen, self.checksum);
        let seal = move |bytes: &[u8]| {
            let value = seen(bytes)?;
            Ok(Seal { checksum, value })
        };
        let start = self.start;
        self.start += bytes as u64;
        ((&self.file, start), seal)
    }
}

impl Frozen {
    /// Writes the graph.
    pub fn write_graph(&self, out: &mut dyn Write) -> io::Result<()> {
        self.write_slots(APART, out)?;
        self.write_links(out)
    }

    /// Writes the vectors: a multiple of 64 bytes.
    pub fn write_vectors(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = self.rows.first(self.levels.len());
        rows.try_for_each(|rows| out.write_all(cast_slice(rows?)))
    }

    /// Writes the codes; nothing where there are none.
    pub fn write_codes(&self, out: &mut dyn Write) -> io::Result<()> {
        let codes = self.codes.as_ref();
        codes.map_or(Ok(()), |codes| codes.write(self.levels.len(), out))
    }
}

impl Index {
    /// Reads what [`Frozen::write_graph`], [`Frozen::write_vectors`] and [`Frozen::write_codes`] wrote.
    /// Nothing in it is trusted.
    pub fn read_apart(from: Apart<'_>) -> Result<Index, Error> {
        let Apart {
            graph: (graph, len),
            mut vectors,
            mut codes,
            scratch,
        } = from;
        Self::thaw(graph, len, scratch, &mut |index, input| {
            if input.is_some() {
                return Err(Error::Corrupt("its vectors are in it and apart".into()));
            }
            index.fill_rows((&mut vectors.0, vectors.1))?;
            index.fill_codes((&mut codes.0, codes.1))
        })
    }

    fn fill_rows(&mut self, (vectors, len): (&mut Kept<'_>, u64)) -> Result<(), Error> {
        let slots = self.slots();
        let rows = &mut self.vectors.rows;
        if len != (slots * rows.stride() * size_of::<f32>()) as u64 {
            return Err(Error::Corrupt(
                "there are not as many vectors as slots".into(),
            ));
        }
        let (stride, dim) = (rows.stride(), self.params.dim);
        let look = |numbers: &[f32]| {
            in_range(numbers)?;
            let mut padding = numbers.chunks(stride).flat_map(|row| &row[dim..]);
            match stride > dim && padding.any(|x| *x != 0.0) {
                true => Err(Error::Corrupt("a row is not padded with zeros".into())),
                false => Ok(()),
            }
        };
        vectors.fill(rows, slots, &look)
    }

    fn fill_codes(&mut self, (kept, len): (&mut Kept<'_>, u64)) -> Result<(), Error> {
        let slots = self.slots();
        let Some(codes) = self.vectors.codes_mut() else {
            return Ok(());
        };
        let there = len == (slots * codes.slot_bytes()) as u64;
        if !(there && codes.take(slots, kept)? && self.are_codes_right()) {
            self.recode_all()?;
        }
        Ok(())
    }

    /// Whether codes are those of the vectors, by some of them.
    fn are_codes_right(&self) -> bool {
        let slots = 0..u32::try_from(self.slots()).unwrap_or(u32::MAX);
        let step = (self.slots() / SAMPLE).max(1);
        let mut some = slots.step_by(step);
        some.all(|slot| self.vectors.codes_match(slot))
    }

    /// Computes all codes, so many at a time.
    fn recode_all(&mut self) -> Result<(), Error> {
        let mut slots = 0..u32::try_from(self.slots()).unwrap_or(u32::MAX);
        while !slots.is_empty() {
            let some = first(&mut slots, PIECE);
            self.vectors.recode_all(some).map_err(Error::Scratch)?;
        }
        Ok(())
    }

    /// Some rows that are used where they were read from, to be copied while searches go on.
    pub fn lent(&self) -> Option<Lent> {
        self.vectors.lent()
    }

    /// Uses a copy from now on.
    pub fn own(&mut self, copied: Copied) {
        self.vectors.own_copied(copied);
    }
}
