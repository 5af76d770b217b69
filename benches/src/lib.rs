//! Data sets, workloads and measurements. Nothing here is part of the product.

mod lfw;

pub use lfw::{Lfw, Pair, Photo};
