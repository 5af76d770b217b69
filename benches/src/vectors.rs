//! Face-like vectors, the same ones that the index's own tests and measurements use.

#[allow(dead_code, reason = "the index's tests use all of it")]
#[path = "../../hnsw/tests/common/mod.rs"]
mod common;

/// `n` unit vectors of `dim` numbers from a seed: people with 1 to 30 photos each.
pub fn faces(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    common::faces(&mut common::Random(seed), n, dim)
}

/// `n` unit vectors of `dim` numbers from a seed: people with 20 photos each, the cosine of two
/// photos of one about 0.6, of strangers about 0.
pub fn people(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    const PHOTOS: usize = 20;
    const COSINE: f32 = 0.6;
    let mut random = common::Random(seed);
    let mut person = Vec::new();
    let photo = |at: usize| {
        if at.is_multiple_of(PHOTOS) {
            person = common::unit(random.vector(dim));
        }
        let noise = common::unit(random.vector(dim));
        let parts = person.iter().zip(noise);
        let photo = parts.map(|(p, n)| COSINE.sqrt() * p + (1.0 - COSINE).sqrt() * n);
        common::unit(photo.collect())
    };
    (0..n).map(photo).collect()
}
