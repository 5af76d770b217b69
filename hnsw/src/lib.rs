//! One vector index in RAM: an HNSW graph (Malkov & Yashunin 2016, arXiv 1603.09320) that takes
//! inserts, deletes and searches at any time and never loses a point.
//!
//! The graph is walked on packed codes, the best are ordered by int8 codes and then by their `f32`s,
//! so every score is exact. The same operations in the same order give the same graph, bit for bit.
//! Threads run only inside a call that is told to use several, and files are the caller's: one that stands
//! in for RAM, and such as rows are lent from after they were read; sharing an index is the caller's.
//!
//! ```
//! use hnsw::{Index, Metric, Params, SearchOptions};
//!
//! let mut index = Index::new(Params::new(2, Metric::Euclid))?;
//! let near = index.insert(1, &[1.0, 1.0])?;
//! index.insert(2, &[5.0, 5.0])?;
//! let hits = index.search(&[1.0, 2.0], 1, &SearchOptions::default())?;
//! assert_eq!((hits[0].slot, hits[0].score), (near, 1.0));
//! # Ok::<(), hnsw::Error>(())
//! ```

mod anchor;
mod apart;
mod beam;
mod check;
mod codes;
mod distance;
mod effort;
mod error;
mod filter;
mod frozen;
mod index;
mod insert;
mod level;
pub mod limits;
mod links;
pub mod measures;
mod memory;
mod packed;
mod params;
mod parts;
mod recall;
mod remove;
mod rotate;
mod scan;
mod scratch;
mod search;
mod select;
mod thaw;
mod tune;
mod usual;
mod vectors;
mod walk;

pub use apart::{Apart, Copied, Kept, Lent, Place};
pub use check::Violation;
pub use distance::{
    BLOCK, Bits, Kernels, LANES, PackedDots, available as available_kernels, kernels,
    wanted as wanted_kernels,
};
pub use effort::Effort;
pub use error::Error;
pub use filter::SlotSet;
pub use frozen::Frozen;
pub use index::Index;
pub use insert::{Batch, Plan, Prepared};
pub use memory::{CopiedChunk, LentChunk, Scratch, give_back_freed};
pub use params::{Metric, Params, Quantization, Slot};
pub use parts::{in_parts, set_threads, threads};
pub use remove::Removal;
pub use scan::Scan;
pub use search::{Hit, SearchOptions};
pub use tune::{Tuned, tune};
