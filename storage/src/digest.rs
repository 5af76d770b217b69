//! SHA-256 (FIPS 180-4) of what is written to it, for comparing contents across servers.

use std::io::{self, Write};

use sha2::{Digest as _, Sha256};

/// A running SHA-256.
#[derive(Clone, Default)]
pub struct Digest(Sha256);

impl Digest {
    /// Of nothing so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a run of bytes in with its length, so that no two lists of runs look the same.
    pub fn field(&mut self, bytes: &[u8]) {
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
    }

    /// What it is, in hexadecimal.
    pub fn hex(self) -> String {
        hex(&self.0.finalize())
    }
}

impl Write for Digest {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
