//! Face-like vectors, the same ones that the index's own tests and measurements use.

#[allow(dead_code, reason = "the index's tests use all of it")]
#[path = "../../hnsw/tests/common/mod.rs"]
mod common;

/// `n` unit vectors of `dim` numbers from a seed: people with 1 to 30 photos each.
pub fn faces(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    common::faces(&mut common::Random(seed), n, dim)
}

/// Unit vectors of people with 20 photos each, the cosine of two photos of one about 0.6, of
/// strangers about 0.
pub struct People {
    random: common::Random,
    dim: usize,
    person: Vec<f32>,
    made: usize,
}

impl People {
    /// The same ones for the same seed.
    pub fn new(seed: u64, dim: usize) -> Self {
        Self {
            random: common::Random(seed),
            dim,
            person: Vec::new(),
            made: 0,
        }
    }

    /// The next `n` photos.
    pub fn take(&mut self, n: usize) -> Vec<Vec<f32>> {
        (0..n).map(|_| self.photo()).collect()
    }

    fn photo(&mut self) -> Vec<f32> {
        const PHOTOS: usize = 20;
        const COSINE: f32 = 0.6;
        if self.made.is_multiple_of(PHOTOS) {
            self.person = common::unit(self.random.vector(self.dim));
        }
        self.made += 1;
        let noise = common::unit(self.random.vector(self.dim));
        let parts = self.person.iter().zip(noise);
        let photo = parts.map(|(p, n)| COSINE.sqrt() * p + (1.0 - COSINE).sqrt() * n);
        common::unit(photo.collect())
    }
}

/// The first `n` of [`People`].
pub fn people(seed: u64, n: usize, dim: usize) -> Vec<Vec<f32>> {
    People::new(seed, dim).take(n)
}
