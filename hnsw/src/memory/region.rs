//! A run of zeroed numbers at a cache line's start.

use std::alloc::Layout;
use std::io;

use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};

use super::Scratch;
use super::scratch::Place;

/// The size of a large page.
const HUGE_PAGE: usize = 2 << 20;
/// Parts of a file start at whole pages of it.
const FILE_PAGE: usize = 4 << 10;

/// Zeroed when new.
pub(crate) struct Region<T> {
    map: MmapMut,
    /// Bytes before the first number.
    offset: usize,
    len: usize,
    place: Option<(Place, Scratch)>,
    kind: std::marker::PhantomData<T>,
}

impl<T: Pod> Region<T> {
    /// Room for `len` numbers, in RAM or in a file. Only a file can fail: want of RAM ends the
    /// process, as it does everywhere else.
    pub(crate) fn new(len: usize, scratch: Option<&Scratch>) -> io::Result<Self> {
        Self::mapped(len, &[], scratch)
    }

    /// A region of these numbers.
    pub(crate) fn holding(numbers: &[T], scratch: Option<&Scratch>) -> io::Result<Self> {
        let mut this = Self::mapped(numbers.len(), numbers, scratch)?;
        if scratch.is_none() {
            this.as_mut_slice().copy_from_slice(numbers);
        }
        Ok(this)
    }

    /// Numbers come into a file here.
    fn mapped(len: usize, numbers: &[T], scratch: Option<&Scratch>) -> io::Result<Self> {
        let bytes = (len * size_of::<T>()).max(1);
        let (map, offset, place) = match scratch {
            None => {
                let (map, offset) = anonymous(bytes).unwrap_or_else(|_| out_of_memory(bytes));
                (map, offset, None)
            }
            Some(scratch) => {
                let numbers = bytemuck::cast_slice(numbers);
                let (map, place) =
                    scratch.map_holding(numbers, bytes.next_multiple_of(FILE_PAGE))?;
                (map, 0, Some((place, scratch.clone())))
            }
        };
        Ok(Self {
            map,
            offset,
            len,
            place,
            kind: std::marker::PhantomData,
        })
    }

    /// A region of the same kind with other contents: these and then zeros.
    pub(crate) fn copied(&self, len: usize) -> io::Result<Self> {
        let scratch = self.place.as_ref().map(|(_, scratch)| scratch);
        let mut copy = Self::new(len.max(self.len), scratch)?;
        copy.as_mut_slice()[..self.len].copy_from_slice(self.as_slice());
        Ok(copy)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let start = self.map.as_ptr().wrapping_add(self.offset).cast();
        #[expect(
            unsafe_code,
            reason = "checks at every row that is read were 4 % of a search"
        )]
        // SAFETY: `new` has mapped room for `len` numbers from an offset at which numbers may
        // stand, any bytes are numbers (`Pod`), and the map is borrowed as long as the slice.
        unsafe {
            std::slice::from_raw_parts(start, self.len)
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [T] {
        let bytes = self.len * size_of::<T>();
        bytemuck::cast_slice_mut(&mut self.map[self.offset..self.offset + bytes])
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of RAM that the system cannot take back.
    pub(crate) fn resident_bytes(&self) -> usize {
        if self.place.is_some() {
            0
        } else {
            self.len * size_of::<T>()
        }
    }
}

/// Large regions start at a large page and ask for such pages; that it may be refused is no harm.
fn anonymous(bytes: usize) -> io::Result<(MmapMut, usize)> {
    if bytes < HUGE_PAGE {
        return Ok((MmapOptions::new().len(bytes).map_anon()?, 0));
    }
    let map = MmapOptions::new().len(bytes + HUGE_PAGE).map_anon()?;
    #[cfg(target_os = "linux")]
    let _ = map.advise(memmap2::Advice::HugePage);
    let offset = map.as_ptr().align_offset(HUGE_PAGE);
    Ok((map, offset))
}

fn out_of_memory(bytes: usize) -> ! {
    let layout = Layout::array::<u8>(bytes).unwrap_or(Layout::new::<u8>());
    std::alloc::handle_alloc_error(layout)
}
