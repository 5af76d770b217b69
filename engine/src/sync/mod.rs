//! What threads meet at: locks, atomics, channels. The engine takes them from here and from nowhere
//! else, so that one build can put every meeting under a scheduler that tries orders out.
//!
//! In the product they are parking_lot's, crossbeam's and the standard library's. With the feature
//! `shuttle`, which is for `tests/interleavings.rs` alone, they are shuttle's.

#[cfg(feature = "shuttle")]
mod explored;
#[cfg(not(feature = "shuttle"))]
mod system;

#[cfg(feature = "shuttle")]
pub(crate) use explored::*;
#[cfg(not(feature = "shuttle"))]
pub(crate) use system::*;
