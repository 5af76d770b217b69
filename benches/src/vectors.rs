//! Face-like vectors, the same ones that the index's own tests and measurements use.

#[allow(dead_code, reason = "the index's tests use all of it")]
#[path = "../../hnsw/tests/common/mod.rs"]
mod common;

/// `n` unit vectors of `dim` numbers from a seed: people with 1 to 30 photos each.
pub fn faces(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    common::faces(&mut common::Random(seed), n, dim)
}
