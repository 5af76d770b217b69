//! Data the tests share: everything from a seed.

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    pub(crate) fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.next() % n as u64).unwrap_or(0)
    }

    #[expect(clippy::cast_precision_loss, reason = "24 bits fit")]
    pub(crate) fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }

    /// Normally distributed (Box & Muller 1958).
    pub(crate) fn normal(&mut self) -> f32 {
        let radius = (-2.0 * (1.0 - self.unit()).ln()).sqrt();
        radius * (std::f32::consts::TAU * self.unit()).cos()
    }

    pub(crate) fn vector(&mut self, dim: usize) -> Vec<f32> {
        (0..dim).map(|_| self.normal()).collect()
    }
}

pub(crate) fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.iter_mut().for_each(|x| *x /= norm);
    vector
}

/// Face-like unit vectors: identities on a 48-dimensional manifold, 1 to 30 photos each, the cosine
/// within an identity about 0.65.
pub(crate) fn faces(random: &mut Random, n: usize, dim: usize) -> Vec<Vec<f32>> {
    let basis: Vec<Vec<f32>> = (0..48).map(|_| random.vector(dim)).collect();
    let mut all = Vec::with_capacity(n);
    while all.len() < n {
        let weights = random.vector(48);
        let mut identity = vec![0.0; dim];
        for (weight, axis) in weights.iter().zip(&basis) {
            identity
                .iter_mut()
                .zip(axis)
                .for_each(|(x, a)| *x += weight * a);
        }
        let identity = unit(identity);
        for _ in 0..(1 + random.below(30)).min(n - all.len()) {
            let noise = unit(random.vector(dim));
            let photo = identity
                .iter()
                .zip(noise)
                .map(|(x, e)| x + 0.73 * e)
                .collect();
            all.push(unit(photo));
        }
    }
    all
}
