//! A fixed random rotation, so that no vector's numbers are larger in some places than in others
//! and a few bits a number say equally much about each.
//!
//! Two rounds, each a random order with random signs and then sums and differences at strides
//! from [`LANES`] up (a Hadamard transform less its shortest strides, which the random order makes
//! up for; compare the fast Johnson-Lindenstrauss transform of Ailon & Chazelle 2009). Only sums,
//! differences and products by powers of two and one constant are taken, number by number, so the
//! result is the same on every machine.

use crate::distance::{LANES, kernels};

const ROUNDS: u64 = 2;

/// A rotation of vectors of one size.
pub(crate) struct Rotation {
    dim: usize,
    rounds: Vec<Round>,
}

struct Round {
    /// Where the number at each place comes from.
    from: Vec<u32>,
    /// 1 or -1, times what keeps the length.
    signs: Vec<f32>,
}

impl Rotation {
    /// The rotation for vectors of `dim` numbers, always the same.
    pub(crate) fn new(dim: usize) -> Self {
        let padded = padded(dim);
        let rounds = (0..ROUNDS).map(|number| Round::new(padded, number));
        Self {
            dim,
            rounds: rounds.collect(),
        }
    }

    /// Turns a vector less the centre; its length is kept. The result has [`padded`] numbers.
    pub(crate) fn turn(&self, vector: &[f32], centre: &[f32], turned: &mut Turned) {
        let padded = padded(self.dim);
        let Turned { values, next } = turned;
        values.clear();
        values.extend(vector.iter().zip(centre).map(|(x, c)| x - c));
        values.resize(padded, 0.0);
        next.resize(padded, 0.0);
        let block = block(padded);
        let butterflies = kernels().butterflies;
        for round in &self.rounds {
            let sources = round.from.iter().zip(&round.signs);
            for (to, (from, sign)) in next.iter_mut().zip(sources) {
                *to = values[*from as usize] * sign;
            }
            butterflies(&mut next[..block]);
            let rest = padded - block;
            if rest > 0 {
                rescale(&mut next[block..], block);
                butterflies(&mut next[rest..]);
                rescale(&mut next[..rest], block);
            }
            std::mem::swap(values, next);
        }
    }
}

/// A turned vector, and room to turn the next.
#[derive(Default)]
pub(crate) struct Turned {
    values: Vec<f32>,
    next: Vec<f32>,
}

impl Turned {
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }
}

/// Numbers of a turned vector: whole cache lines of bytes.
pub(crate) fn padded(dim: usize) -> usize {
    dim.next_multiple_of(64)
}

/// The longest power of two that fits.
fn block(padded: usize) -> usize {
    1 << padded.ilog2()
}

/// What lies outside of one block grows as if it had been in it, so that all has one scale.
fn rescale(values: &mut [f32], block: usize) {
    let growth = growth(block);
    values.iter_mut().for_each(|x| *x *= growth);
}

/// How much longer sums and differences make a vector.
#[expect(clippy::cast_precision_loss, reason = "a power of two far below 2^24")]
fn growth(block: usize) -> f32 {
    ((block / LANES) as f32).sqrt()
}

impl Round {
    fn new(padded: usize, number: u64) -> Self {
        let mut state = mix(number);
        let mut next = || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            mix(state)
        };
        let mut from: Vec<u32> = (0..).take(padded).collect();
        // Fisher & Yates; the tiny preference of a remainder does no harm here.
        for at in (1..padded).rev() {
            let other = next() % (at as u64 + 1);
            from.swap(at, usize::try_from(other).unwrap_or(at));
        }
        let block = block(padded);
        let turns = if block == padded { 1 } else { 2 };
        let scale = growth(block).recip().powi(turns);
        let signs = (0..padded).map(|_| if next() & 1 == 0 { scale } else { -scale });
        Self {
            signs: signs.collect(),
            from,
        }
    }
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dot(a: &[f32], b: &[f32]) -> f32 {
        a.iter().zip(b).map(|(x, y)| x * y).sum()
    }

    fn turn(rotation: &Rotation, vector: &[f32]) -> Vec<f32> {
        let mut turned = Turned::default();
        rotation.turn(vector, &vec![0.0; vector.len()], &mut turned);
        turned.values
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
