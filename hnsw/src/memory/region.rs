//! A run of numbers at a cache line's start: zeroed when new, or as a file has them.

use std::alloc::Layout;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytemuck::Pod;
use memmap2::{MmapMut, MmapOptions};

use super::Scratch;
use super::scratch::Place;
use crate::error::Error;

/// The size of a large page.
const HUGE_PAGE: usize = 2 << 20;
/// Parts of a file start at whole pages of it.
const FILE_PAGE: usize = 4 << 10;

/// Numbers that are there as long as this is.
pub(crate) struct Region<T> {
    map: MmapMut,
    /// Bytes before the first number.
    offset: usize,
    len: usize,
    home: Home,
    kind: std::marker::PhantomData<T>,
}

/// What stands behind a region.
enum Home {
    Ram,
    /// A part of the file that stands in for RAM, which goes back to it.
    Scratch(
        #[expect(dead_code, reason = "it is given back when dropped")] Place,
        Scratch,
    ),
    /// A file that keeps these numbers: they are read only, and copies go to the other one or to RAM.
    Kept(Option<Scratch>, Origin),
}

/// Where a file has numbers, and by what they are known to be what they were.
struct Origin {
    file: Arc<OwnedFd>,
    start: u64,
    seal: Seal,
}

impl Origin {
    /// Reads them anew, without the map: what cannot be read is an error and no fault.
    fn read(&self, bytes: &mut [u8]) -> io::Result<()> {
        read_at(&self.file, bytes, self.start)?;
        self.seal.check(bytes)
    }
}

/// By what numbers in a file are known to be what they were.
#[derive(Clone, Copy)]
pub(crate) struct Seal {
    pub(crate) checksum: fn(&[u8]) -> u32,
    pub(crate) value: u32,
}

impl Seal {
    fn check(&self, bytes: &[u8]) -> io::Result<()> {
        if (self.checksum)(bytes) == self.value {
            return Ok(());
        }
        let what = "vectors are not what they were when they were read from this file";
        Err(io::Error::new(io::ErrorKind::InvalidData, what))
    }
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
        let (map, offset, home) = match scratch {
            None => {
                let (map, offset) = anonymous(bytes).unwrap_or_else(|_| out_of_memory(bytes));
                (map, offset, Home::Ram)
            }
            Some(scratch) => {
                let numbers = bytemuck::cast_slice(numbers);
                let (map, place) =
                    scratch.map_holding(numbers, bytes.next_multiple_of(FILE_PAGE))?;
                (map, 0, Home::Scratch(place, scratch.clone()))
            }
        };
        Ok(Self {
            map,
            offset,
            len,
            home,
            kind: std::marker::PhantomData,
        })
    }

    /// `len` numbers that stand in a file at `start`, where a number may stand, and what `seal` makes
    /// of them. They can only be copied, to `scratch` or to RAM; where the system maps no more they are now.
    pub(crate) fn kept(
        (file, start): (&Arc<OwnedFd>, u64),
        len: usize,
        scratch: Option<&Scratch>,
        seal: &mut dyn FnMut(&[T]) -> io::Result<Seal>,
    ) -> Result<Self, Error> {
        let mut options = MmapOptions::new();
        options.offset(start).len(len * size_of::<T>());
        // SAFETY: whoever hands over the file promises that its bytes never change (see `Apart`); the
        // map is private, so not even a write through it would change them.
        #[expect(unsafe_code, reason = "mapping a file needs a promise about it")]
        let map = unsafe { options.map_copy(&**file) };
        let Some(map) = map.ok().filter(|map| is_aligned::<T>(map)) else {
            let mut copy = Self::new(len, scratch).map_err(Error::Scratch)?;
            read_at(file, bytemuck::cast_slice_mut(copy.as_mut_slice()), start)?;
            seal(copy.as_slice())?;
            return Ok(copy);
        };
        let mut this = Self {
            map,
            offset: 0,
            len,
            home: Home::Ram,
            kind: std::marker::PhantomData,
        };
        let origin = Origin {
            file: Arc::clone(file),
            start,
            seal: seal(this.as_slice())?,
        };
        this.home = Home::Kept(scratch.cloned(), origin);
        Ok(this)
    }

    /// Whether it may be written to by its only owner.
    pub(crate) fn is_own(&self) -> bool {
        !matches!(self.home, Home::Kept(..))
    }

    /// The numbers, if they are what they were when they were read.
    pub(crate) fn checked(&self) -> io::Result<&[T]> {
        let numbers = self.as_slice();
        if let Home::Kept(_, origin) = &self.home {
            origin.seal.check(bytemuck::cast_slice(numbers))?;
        }
        Ok(numbers)
    }

    /// A region of the same kind with other contents: these and then zeros.
    pub(crate) fn copied(&self, len: usize) -> io::Result<Self> {
        let scratch = match &self.home {
            Home::Ram => None,
            Home::Scratch(_, scratch) => Some(scratch),
            Home::Kept(scratch, _) => scratch.as_ref(),
        };
        let mut copy = Self::new(len.max(self.len), scratch)?;
        let numbers = &mut copy.as_mut_slice()[..self.len];
        match &self.home {
            Home::Kept(_, origin) => origin.read(bytemuck::cast_slice_mut(numbers))?,
            _ => numbers.copy_from_slice(self.as_slice()),
        }
        Ok(copy)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[T] {
        let start = self.map.as_ptr().wrapping_add(self.offset).cast();
        #[expect(
            unsafe_code,
            reason = "checks at every row that is read were 4 % of a search"
        )]
        // SAFETY: `new` and `kept` have mapped `len` numbers from an offset at which numbers may
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

    /// Bytes of RAM that the system cannot take back, or will not be able to once they are copied.
    pub(crate) fn resident_bytes(&self) -> usize {
        match self.home {
            Home::Ram | Home::Kept(None, _) => self.len * size_of::<T>(),
            Home::Scratch(..) | Home::Kept(Some(_), _) => 0,
        }
    }
}

fn is_aligned<T>(map: &MmapMut) -> bool {
    map.as_ptr().align_offset(align_of::<T>()) == 0
}

/// Reads all of `bytes` from a place in a file.
pub(crate) fn read_at(file: &OwnedFd, bytes: &mut [u8], start: u64) -> io::Result<()> {
    let mut done = 0;
    while let Some(rest) = bytes.get_mut(done..).filter(|rest| !rest.is_empty()) {
        match rustix::io::pread(file, rest, start + done as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => done += n,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
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
