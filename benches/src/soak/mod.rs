//! The soak: a server under a mixed load for as long as one likes, looked at after each interval.
//! What there is stays the same in number, so that whatever grows is a leak: memory, file handles
//! and disk must be flat, and so must recall and the time of searches.

mod look;
mod work;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use crate::Process;
pub use look::{Flat, Look, disk_bytes};
use work::Work;

/// How large a soak is.
#[derive(Debug, Clone, Copy)]
pub struct Size {
    /// All chance follows from it.
    pub seed: u64,
    /// Points, of which there are as many after each interval.
    pub points: usize,
    /// Numbers in a vector.
    pub dim: usize,
    /// Queries that recall is measured with.
    pub queries: usize,
}

/// A server that is soaked.
pub struct Soak<'a> {
    server: &'a Process,
    data_dir: &'a Path,
    work: Work,
}

impl<'a> Soak<'a> {
    /// Fills a server's collection.
    ///
    /// # Errors
    /// The server refuses.
    pub fn begin(server: &'a Process, data_dir: &'a Path, size: Size) -> Result<Self> {
        let work = Work::new(size);
        work.fill(server)?;
        Ok(Self {
            server,
            data_dir,
            work,
        })
    }

    /// Works for a while, then looks at how the server stands.
    ///
    /// # Errors
    /// The server is gone, refuses something, or has not the points it should have.
    pub fn interval(&mut self, how_long: Duration) -> Result<Look> {
        let done = self.work.run(self.server, how_long)?;
        Look::at(self.server, self.data_dir, &self.work, done)
    }
}
