//! A fixed random rotation, so that no vector's numbers are larger in some places than in others
//! and a few bits a number say equally much about each.
//!
//! Two rounds, each of random signs and then sums and differences at strides from [`LANES`] up: a
//! Hadamard transform less its shortest strides (compare the fast Johnson-Lindenstrauss transform of
//! Ailon & Chazelle 2009). Numbers that such strides would have brought together change places with
//! others between the rounds, so that the second brings them together. Only sums, differences and
//! products are taken, number by number, so the result is the same on every machine.

use crate::distance::{LANES, kernels};

const ROUNDS: u64 = 2;

/// A rotation of vectors of one size.
pub(crate) struct Rotation {
    dim: usize,
    rounds: Vec<Vec<Pass>>,
}

/// Signs, sums and differences of a run of numbers.
struct Pass {
    start: usize,
    /// For each number 1 or -1, times what keeps the length.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation for vectors of `dim` numbers, always the same.
    pub(crate) fn new(dim: usize) -> Self {
        let padded = padded(dim);
        let block = 1 << padded.ilog2();
        // Where one block is not all, a second one overlaps it.
        let starts = [0, padded - block];
        let starts = &starts[..if block == padded { 1 } else { 2 }];
        let mut random = Random(0);
        let mut pass = |start: &usize| Pass::new(*start, block, &mut random);
        let rounds = (0..ROUNDS).map(|_| starts.iter().map(&mut pass).collect());
        Self {
            dim,
            rounds: rounds.collect(),
        }
    }

    /// Turns a vector less the centre; its length is kept. The result has [`padded`] numbers.
    pub(crate) fn turn(&self, vector: &[f32], centre: &[f32], turned: &mut Vec<f32>) {
        turned.clear();
        turned.extend(vector.iter().zip(centre).map(|(x, c)| x - c));
        turned.resize(padded(self.dim), 0.0);
        let butterflies = kernels().butterflies;
        for (round, passes) in self.rounds.iter().enumerate() {
            if round > 0 {
                turned.as_chunks_mut().0.iter_mut().for_each(transpose);
            }
            for Pass { start, signs } in passes {
                let block = &mut turned[*start..start + signs.len()];
                block.iter_mut().zip(signs).for_each(|(x, sign)| *x *= sign);
                butterflies(block);
            }
        }
    }
}

impl Pass {
    #[expect(clippy::cast_precision_loss, reason = "a power of two far below 2^24")]
    fn new(start: usize, block: usize, random: &mut Random) -> Self {
        let scale = ((block / LANES) as f32).sqrt().recip();
        let signs = (0..block).map(|_| {
            if random.next() & 1 == 0 {
                scale
            } else {
                -scale
            }
        });
        Self {
            start,
            signs: signs.collect(),
        }
    }
}

/// Lanes become strides and strides lanes.
fn transpose(square: &mut [f32; LANES * LANES]) {
    for row in 1..LANES {
        for column in 0..row {
            square.swap(row * LANES + column, column * LANES + row);
        }
    }
}

/// Numbers of a turned vector: whole cache lines of bytes.
pub(crate) fn padded(dim: usize) -> usize {
    dim.next_multiple_of(64)
}

/// SplitMix64 (Steele, Lea, Flood 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    fn turn(rotation: &Rotation, vector: &[f32]) -> Vec<f32> {
        let mut turned = Vec::new();
        rotation.turn(vector, &vec![0.0; vector.len()], &mut turned);
        turned
    }

    #[test]
    fn inner_products_are_kept_at_every_size() {
        for dim in [1, 7, 64, 65, 128, 200, 300, 512, 768, 1_000] {
            let rotation = Rotation::new(dim);
            let wave = |step: f32| {
                (0..dim)
                    .map(|i| (i as f32 * step).sin())
                    .collect::<Vec<_>>()
            };
            let (a, b) = (wave(0.7), wave(1.9));
            let (ra, rb) = (turn(&rotation, &a), turn(&rotation, &b));
            let near = |x: f32, y: f32| (x - y).abs() <= 1e-4 * (1.0 + dim as f32);
            assert!(near(dot(&a, &b), dot(&ra, &rb)), "{dim}");
            assert!(near(dot(&a, &a), dot(&ra, &ra)), "{dim}");
        }
    }

    #[test]
    fn a_single_number_is_spread_over_all_places() {
        for dim in [64, 128, 300, 512] {
            let mut vector = vec![0.0; dim];
            vector[5] = 1.0;
            let turned = turn(&Rotation::new(dim), &vector);
            let largest = turned.iter().fold(0f32, |a, x| a.max(x.abs()));
            let even = (turned.len() as f32).sqrt().recip();
            // A few numbers of equal size meet in each place, so some places get several times more.
            assert!(largest < 6.0 * even, "{dim}: {largest} against {even}");
        }
    }
}
