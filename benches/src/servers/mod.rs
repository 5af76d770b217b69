//! The server beside other servers, and beside databases that run in the process that asks.

mod embedded;
mod measure;
mod peer;
mod process;
pub mod report;

pub use embedded::{EMBEDDED, embedded};
pub use measure::{Measured, Plan, Set, measure};
pub use peer::Peer;
