//! Rows of one length, in chunks: a copy shares the chunks, and a later write copies only the chunk
//! it touches.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytemuck::Pod;

use super::{Region, Scratch, Seal};
use crate::error::Error;

/// A chunk is at least this large, so that large pages pay.
const CHUNK_BYTES: usize = 2 << 20;
/// Rows of the first chunk when it is new; it doubles until it is a whole one.
const FIRST_ROWS: usize = 16;

/// An array of rows.
pub(crate) struct Rows<T> {
    stride: usize,
    /// Rows of a chunk, as a power of two.
    shift: u32,
    chunks: Vec<Arc<Region<T>>>,
    scratch: Option<Scratch>,
}

/// A chunk that stands in a file which keeps it.
pub struct LentChunk<T> {
    at: usize,
    chunk: Arc<Region<T>>,
}

/// A copy of it.
pub struct CopiedChunk<T> {
    of: LentChunk<T>,
    copy: Region<T>,
}

impl<T: Pod> LentChunk<T> {
    /// Copies it to where chunks of its kind are.
    pub(crate) fn copy(self) -> io::Result<CopiedChunk<T>> {
        let copy = self.chunk.copied(0)?;
        Ok(CopiedChunk { of: self, copy })
    }
}

impl<T> Clone for Rows<T> {
    fn clone(&self) -> Self {
        Self {
            stride: self.stride,
            shift: self.shift,
            chunks: self.chunks.clone(),
            scratch: self.scratch.clone(),
        }
    }
}

impl<T: Pod> Rows<T> {
    pub(crate) fn new(stride: usize, scratch: Option<Scratch>) -> Self {
        let rows = CHUNK_BYTES.div_ceil(stride * size_of::<T>());
        Self {
            stride,
            shift: rows.next_power_of_two().max(FIRST_ROWS).trailing_zeros(),
            chunks: Vec::new(),
            scratch,
        }
    }

    /// A row; slots come from the index and have been made room for.
    #[inline]
    pub(crate) fn row(&self, slot: u32) -> &[T] {
        let (chunk, start) = self.place(slot);
        &self.chunks[chunk].as_slice()[start..start + self.stride]
    }

    /// A row to be written; its chunk is copied first if a frozen copy shares it or a file keeps it.
    pub(crate) fn row_mut(&mut self, slot: u32) -> io::Result<&mut [T]> {
        let (chunk, start) = self.place(slot);
        let stride = self.stride;
        let chunk = &mut self.chunks[chunk];
        if Arc::get_mut(chunk).is_none_or(|chunk| !chunk.is_own()) {
            *chunk = Arc::new(chunk.copied(0)?);
        }
        let chunk = Arc::get_mut(chunk).expect("a chunk that was copied just now is not shared");
        Ok(&mut chunk.as_mut_slice()[start..start + stride])
    }

    /// Makes room for rows up to `slot`.
    pub(crate) fn reserve(&mut self, slot: u32) -> io::Result<()> {
        let (chunk, start) = self.place(slot);
        let whole = self.stride << self.shift;
        while self.chunks.len() <= chunk {
            if let Some(last) = self.chunks.last_mut().filter(|last| last.len() < whole) {
                *last = Arc::new(last.copied(whole)?);
            }
            let len = if self.chunks.is_empty() {
                self.stride * FIRST_ROWS
            } else {
                whole
            };
            let region = Region::new(len, self.scratch.as_ref())?;
            self.chunks.push(Arc::new(region));
        }
        let chunk = &mut self.chunks[chunk];
        let needed = start + self.stride;
        if chunk.len() < needed {
            let len = (chunk.len() * 2).max(needed.next_power_of_two()).min(whole);
            *chunk = Arc::new(chunk.copied(len)?);
        }
        Ok(())
    }

    /// Rows of a chunk.
    pub(crate) fn chunk_rows(&self) -> usize {
        1 << self.shift
    }

    /// Numbers of a row.
    pub(crate) fn stride(&self) -> usize {
        self.stride
    }

    /// Adds rows behind those of whole chunks: as many as a chunk holds, fewer only at the end.
    pub(crate) fn append(&mut self, rows: &[T]) -> io::Result<()> {
        let chunk = Region::holding(rows, self.scratch.as_ref())?;
        self.chunks.push(Arc::new(chunk));
        Ok(())
    }

    /// The same with rows that stand in a file, which go on standing there (see [`Region::kept`]).
    pub(crate) fn append_kept(
        &mut self,
        place: (&Arc<OwnedFd>, u64),
        rows: usize,
        seal: &mut dyn FnMut(&[T]) -> io::Result<Seal>,
    ) -> Result<(), Error> {
        let chunk = Region::kept(place, rows * self.stride, self.scratch.as_ref(), seal)?;
        self.chunks.push(Arc::new(chunk));
        Ok(())
    }

    /// The first chunk that stands in a file which keeps it.
    pub(crate) fn first_kept(&self) -> Option<LentChunk<T>> {
        let mut chunks = self.chunks.iter().enumerate();
        let found = chunks.find(|(_, chunk)| !chunk.is_own());
        found.map(|(at, chunk)| LentChunk {
            at,
            chunk: Arc::clone(chunk),
        })
    }

    /// Puts a copy into the place of the chunk it is of, if that is there still.
    pub(crate) fn exchange(&mut self, copied: CopiedChunk<T>) {
        if let Some(chunk) = self.chunks.get_mut(copied.of.at)
            && Arc::ptr_eq(chunk, &copied.of.chunk)
        {
            *chunk = Arc::new(copied.copy);
        }
    }

    /// The first `count` rows, chunk by chunk; an error where a file has not kept them.
    pub(crate) fn first(&self, count: usize) -> impl Iterator<Item = io::Result<&[T]>> {
        let whole = self.stride << self.shift;
        let chunks = self.chunks.iter().enumerate();
        chunks.map_while(move |(at, chunk)| {
            let left = (count * self.stride).checked_sub(at * whole);
            let left = left.filter(|left| *left > 0)?.min(whole);
            Some(chunk.checked().map(|rows| &rows[..left]))
        })
    }

    /// Takes the place of empty rows with `count` of them as bytes have them.
    pub(crate) fn read(&mut self, count: usize, input: &mut dyn Read) -> Result<(), Error> {
        let mut left = count;
        while left > 0 {
            let rows = left.min(self.chunk_rows());
            let chunk = Region::new(rows * self.stride, self.scratch.as_ref());
            let mut chunk = chunk.map_err(Error::Scratch)?;
            input.read_exact(bytemuck::cast_slice_mut(chunk.as_mut_slice()))?;
            self.chunks.push(Arc::new(chunk));
            left -= rows;
        }
        Ok(())
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        let chunks = self.chunks.iter();
        chunks.map(|chunk| chunk.resident_bytes()).sum()
    }

    #[inline]
    fn place(&self, slot: u32) -> (usize, usize) {
        let at = slot as usize;
        let within = at & ((1 << self.shift) - 1);
        (at >> self.shift, within * self.stride)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stay_as_they_were_in_a_copy_and_through_every_growth() {
        let file = tempfile::tempfile().unwrap();
        for scratch in [None, Some(Scratch::new(file))] {
            // 200 numbers of 8 bytes: a chunk holds 2,048 rows.
            let mut rows = Rows::<u64>::new(200, scratch);
            let mut frozen = Vec::new();
            for slot in 0..5_000u32 {
                rows.reserve(slot).unwrap();
                rows.row_mut(slot).unwrap().fill(u64::from(slot) + 1);
                if [10, 1_000, 3_000].contains(&slot) {
                    frozen.push((slot, rows.clone()));
                }
            }
            rows.row_mut(3).unwrap().fill(77);
            for (upto, copy) in &frozen {
                for slot in 0..=*upto {
                    let row = copy.row(slot);
                    assert!(row.iter().all(|x| *x == u64::from(slot) + 1), "{slot}");
                }
            }
            assert_eq!((rows.row(3)[0], rows.row(4_999)[199]), (77, 5_000));
        }
    }

    #[test]
    fn rows_that_come_by_the_chunk_are_the_same_and_go_on_growing() {
        let scratch = Scratch::new(tempfile::tempfile().unwrap());
        for scratch in [None, Some(scratch)] {
            let mut rows = Rows::<u64>::new(200, scratch);
            let all: Vec<u64> = (0..3_000).flat_map(|row| [row + 1; 200]).collect();
            for chunk in all.chunks(rows.chunk_rows() * 200) {
                rows.append(chunk).unwrap();
            }
            for slot in 3_000..5_000u32 {
                rows.reserve(slot).unwrap();
                rows.row_mut(slot).unwrap().fill(u64::from(slot) + 1);
            }
            rows.row_mut(7).unwrap().fill(8);
            for slot in 0..5_000u32 {
                let row = rows.row(slot);
                assert!(row.iter().all(|x| *x == u64::from(slot) + 1), "{slot}");
            }
        }
    }

    #[test]
    fn a_part_of_the_file_that_is_used_again_starts_as_zeros() {
        let scratch = Scratch::new(tempfile::tempfile().unwrap());
        let mut first = Region::<u32>::new(5_000, Some(&scratch)).unwrap();
        first.as_mut_slice().fill(9);
        drop(first);
        let second = Region::<u32>::new(5_000, Some(&scratch)).unwrap();
        assert!(second.as_slice().iter().all(|x| *x == 0));
    }
}
