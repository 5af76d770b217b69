//! The settings of how points expire.

use crate::error::Error;
use crate::limits;
use crate::reader::Reader;

/// How points expire in collections that do not keep them for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retention {
    /// Seconds between two looks for points whose time is over.
    pub sweep_s: u64,
}

impl Retention {
    pub(crate) fn read(r: &mut Reader) -> Result<Self, Error> {
        Ok(Self {
            sweep_s: r.number("retention.sweep_s", 60, limits::SWEEP_S)?,
        })
    }
}
