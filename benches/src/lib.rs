//! Data sets, workloads and measurements. Nothing here is part of the product.

pub mod ann;
pub mod capacity;
mod chance;
pub mod load;
pub mod nats;
pub mod original;
mod process;
pub mod ratio;
pub mod servers;
pub mod soak;
pub mod tail;
pub mod torture;
mod vectors;

pub use process::Process;
pub use vectors::{People, faces, people};
