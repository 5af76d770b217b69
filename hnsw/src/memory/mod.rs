//! Where rows of numbers lie: anonymous memory in 2 MiB pages, or a file that the system may page
//! out.
//!
//! A walk reads rows at random. With 4 KiB pages nearly every one of those reads also misses the
//! TLB, which about doubles its price; 2 MiB pages are therefore asked for wherever a region is
//! large enough to fill one.

mod freed;
mod region;
mod rows;
mod scratch;

pub use freed::give_back_freed;
pub(crate) use region::{Region, Seal, read_at};
pub(crate) use rows::Rows;
pub use rows::{CopiedChunk, LentChunk};
pub use scratch::Scratch;

/// Why nothing can fail where no file stands behind rows.
pub(crate) const IN_RAM: &str = "only rows in a file can fail";
