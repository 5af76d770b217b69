//! An open file of a simulated disk.

use std::io;
use std::sync::Arc;

use super::content::{Change, Inode};
use super::{Fault, SimDisk, State};
use crate::disk::DiskFile;

/// See [`SimDisk`].
pub(super) struct SimFile {
    pub(super) disk: SimDisk,
    pub(super) number: u64,
}

impl SimFile {
    fn look<T>(&self, state: &State, f: impl FnOnce(&Inode) -> T) -> io::Result<T> {
        let inode = state.inodes.get(&self.number);
        inode
            .map(|inode| f(inode))
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn inode<T>(&self, state: &mut State, f: impl FnOnce(&mut Inode) -> T) -> io::Result<T> {
        let inode = state.inodes.get_mut(&self.number);
        let inode = inode.ok_or(io::ErrorKind::NotFound)?;
        Ok(f(Arc::make_mut(inode)))
    }
}

fn size(n: u64) -> io::Result<usize> {
    usize::try_from(n).map_err(io::Error::other)
}

impl DiskFile for SimFile {
    fn len(&self) -> io::Result<u64> {
        let mut state = self.disk.0.lock();
        state.read()?;
        self.look(&state, |inode| inode.live.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let offset = size(offset)?;
        let mut state = self.disk.0.lock();
        let fault = state.read()?;
        let n = self.look(&state, |inode| {
            let rest = inode.live.get(offset..).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            n
        })?;
        if let Some(Fault::FlippedBit(bit)) = fault
            && n > 0
        {
            buffer[bit / 8 % n] ^= 1 << (bit % 8);
        }
        Ok(n)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let offset = size(offset)?;
        let mut state = self.disk.0.lock();
        let at = [self.number, offset as u64].map(u64::to_le_bytes);
        let (done, outcome) = match state.step(true, &[b"write", at.as_flattened(), bytes])? {
            Some(Fault::ShortWrite(kind)) => (&bytes[..bytes.len() / 2], Err(kind.into())),
            _ => (bytes, Ok(())),
        };
        self.inode(&mut state, |inode| {
            inode.change(Change::Write {
                offset,
                bytes: done.to_vec(),
            });
        })?;
        outcome
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let len = size(len)?;
        let mut state = self.disk.0.lock();
        let at = [self.number, len as u64].map(u64::to_le_bytes);
        state.step(true, &[b"set length", at.as_flattened()])?;
        self.inode(&mut state, |inode| inode.change(Change::SetLen(len)))
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.0.lock();
        match state.step(false, &[b"sync", &self.number.to_le_bytes()])? {
            Some(Fault::LostSync { evicted }) => {
                self.inode(&mut state, |inode| inode.lose(evicted))?;
                Err(io::Error::other("the sync failed"))
            }
            _ => self.inode(&mut state, Inode::sync),
        }
    }
}
