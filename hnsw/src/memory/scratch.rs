//! A file that stands in for RAM: rows are mapped from it, so that the system may write them out
//! and read them back as it needs memory. It is nobody's record of anything: an index is always
//! filled anew from elsewhere, and the file should have no name any more when it is handed over.

use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use memmap2::{MmapMut, MmapOptions};

/// A file whose every byte belongs to this index alone.
#[derive(Clone)]
pub struct Scratch(Arc<Shared>);

struct Shared {
    file: File,
    places: Mutex<Places>,
}

/// Which parts of the file are in use.
#[derive(Default)]
struct Places {
    end: u64,
    /// Length and start of each part that was given back.
    free: Vec<(u64, u64)>,
}

/// A part of the file, given back when dropped.
pub(super) struct Place {
    scratch: Scratch,
    start: u64,
    len: u64,
}

impl Scratch {
    /// Takes an empty file that is open for reading and writing and that nobody else uses.
    pub fn new(file: File) -> Self {
        Self(Arc::new(Shared {
            file,
            places: Mutex::default(),
        }))
    }

    /// Maps `len` bytes: these, and then zeros. The disk space is taken now: a full disk is an error
    /// here and not a fault at some later write. What is known is written to the file, which is less
    /// work than a fault for every page of the map.
    pub(super) fn map_holding(&self, bytes: &[u8], len: usize) -> io::Result<(MmapMut, Place)> {
        use std::os::unix::fs::FileExt;
        let place = self.place(len as u64)?;
        self.0.file.write_all_at(bytes, place.start)?;
        // SAFETY: the caller of `new` promised that nobody else uses the file, it is never
        // truncated, and no two places overlap; so these bytes change through this map alone.
        #[expect(unsafe_code, reason = "mapping a file needs a promise about it")]
        let map = unsafe {
            MmapOptions::new()
                .offset(place.start)
                .len(len)
                .map_mut(&self.0.file)
        }?;
        Ok((map, place))
    }

    fn place(&self, len: u64) -> io::Result<Place> {
        let mut places = self.0.places.lock().unwrap_or_else(PoisonError::into_inner);
        let scratch = self.clone();
        if let Some(at) = places.free.iter().position(|(free, _)| *free == len) {
            let start = places.free[at].1;
            self.reserve(start, len)?;
            places.free.swap_remove(at);
            return Ok(Place {
                scratch,
                start,
                len,
            });
        }
        let start = places.end;
        self.reserve(start, len)?;
        places.end = start + len;
        Ok(Place {
            scratch,
            start,
            len,
        })
    }

    #[cfg(target_os = "linux")]
    fn reserve(&self, start: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        fallocate(&self.0.file, FallocateFlags::empty(), start, len).map_err(io::Error::from)
    }

    /// Gives the disk space of a part back, and what was in it with it.
    #[cfg(target_os = "linux")]
    fn discard(&self, start: u64, len: u64) -> io::Result<()> {
        use rustix::fs::{FallocateFlags, fallocate};
        let hole = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(&self.0.file, hole, start, len).or_else(|_| self.overwrite(start, len))
    }

    #[cfg(not(target_os = "linux"))]
    fn discard(&self, start: u64, len: u64) -> io::Result<()> {
        self.overwrite(start, len)
    }

    fn overwrite(&self, start: u64, len: u64) -> io::Result<()> {
        use std::os::unix::fs::FileExt;
        let zeros = [0; 64 << 10];
        let mut at = 0;
        while at < len {
            let piece = (len - at).min(zeros.len() as u64);
            let piece = zeros.get(..usize::try_from(piece).unwrap_or(0));
            self.0
                .file
                .write_all_at(piece.unwrap_or_default(), start + at)?;
            at += zeros.len() as u64;
        }
        Ok(())
    }

    #[cfg(not(target_os = "linux"))]
    fn reserve(&self, start: u64, len: u64) -> io::Result<()> {
        self.0.file.set_len(start + len)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Only what is zeros again is used again. Where it fails the old numbers stay until the
        // process ends.
        if self.scratch.discard(self.start, self.len).is_err() {
            return;
        }
        let mut places = self.scratch.0.places.lock();
        if let Ok(places) = &mut places {
            places.free.push((self.len, self.start));
        }
    }
}
