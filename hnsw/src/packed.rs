//! Packed codes: one to four bits a number of the turned vector, by which the graph is walked.
//!
//! A vector `r` becomes levels `v = 2 c - L` with codes `c` in `0..=L`, and a factor
//! `|r|^2 / (v . r)` that makes `factor * (v . q)` an unbiased estimate of `r . q` (Gao & Long 2024,
//! arXiv 2405.12497; with more than one bit as in their arXiv 2409.09913). Unlike theirs, codes are
//! not relative to a node of the graph: a vector has one code wherever it is met, so that changing
//! the graph changes no code, and all codes together are small enough to lie in a cache.
//!
//! A row is whole cache lines and ends with what else an estimate needs, so that nothing but the
//! row is read for it. With few bits the last numbers make room for that; a turned vector's numbers
//! all say equally much, and an estimate is then made from the others.

use crate::distance::{BLOCK, Bits};

/// Bytes at the end of a row: base and factor, each the upper half of an `f32`.
const TERMS: usize = 4;

/// What an estimate needs beside the codes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Terms {
    /// The point's own part of a cost.
    pub(crate) base: f32,
    /// Makes the product of levels an estimate of the vectors' product.
    pub(crate) factor: f32,
}

/// The form of the rows of one index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) bits: Bits,
    blocks: usize,
}

impl Layout {
    /// For turned vectors of so many numbers.
    pub(crate) fn new(bits: Bits, padded: usize) -> Self {
        let full = padded.div_ceil(bits.per_block());
        // Four bits are so precise that leaving numbers out would be felt.
        let spare = bits != Bits::Four;
        Self {
            bits,
            blocks: full + usize::from(!spare),
        }
    }

    /// Bytes of a row.
    pub(crate) fn row_bytes(self) -> usize {
        self.blocks * BLOCK
    }

    /// Codes that a query has; those that stand over the terms must be 0.
    pub(crate) fn query_len(self) -> usize {
        self.blocks * self.bits.per_block()
    }

    /// Takes out the codes that have no place in a row.
    pub(crate) fn clear_unheld(self, codes: &mut [i8]) {
        let last = codes.len() - self.bits.per_block();
        for part in codes[last..].chunks_mut(BLOCK) {
            part[BLOCK - TERMS..].fill(0);
        }
    }

    /// Whether the code of this number has its place in a row.
    fn holds(self, number: usize) -> bool {
        number / self.bits.per_block() + 1 < self.blocks || number % BLOCK < BLOCK - TERMS
    }

    /// Standard deviation of an estimate, for vectors of length 1 with so many numbers.
    #[expect(clippy::cast_precision_loss, reason = "sizes are small integers")]
    pub(crate) fn error(self, padded: usize) -> f32 {
        let kept = (0..padded).filter(|number| self.holds(*number)).count();
        let lost = (padded - kept) as f32 / padded as f32;
        ((distortion(self.bits) + lost) / ((1.0 - lost) * padded as f32)).sqrt()
    }

    /// Packs a turned vector of this length.
    pub(crate) fn pack(self, turned: &[f32], length: f32, base: f32, row: &mut [u8]) {
        row.fill(0);
        let factor = if length == 0.0 {
            0.0
        } else {
            self.pack_codes(turned, length, row)
        };
        let terms = [base, factor].map(|term| upper(term).to_le_bytes());
        if let Some((_, end)) = row.split_last_chunk_mut::<TERMS>() {
            *end = [terms[0][0], terms[0][1], terms[1][0], terms[1][1]];
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "sizes are small integers")]
    fn pack_codes(self, turned: &[f32], length: f32, row: &mut [u8]) -> f32 {
        let top = f32::from(self.bits.mask());
        let inverse = (turned.len() as f32).sqrt() / (length * step(self.bits));
        let mut dot = 0f32;
        let numbers = turned
            .chunks(self.bits.per_block())
            .zip(row.chunks_mut(BLOCK));
        for (block, (numbers, bytes)) in numbers.enumerate() {
            let places = if block + 1 == self.blocks {
                BLOCK - TERMS
            } else {
                BLOCK
            };
            for (part, numbers) in (0u32..).zip(numbers.chunks(BLOCK)) {
                let shift = part * self.bits.width();
                for (byte, x) in bytes.iter_mut().zip(numbers).take(places) {
                    let code = nearest(x * inverse + top / 2.0, top);
                    dot += (2.0 * f32::from(code) - top) * x;
                    *byte |= code << shift;
                }
            }
        }
        // No level says anything of a vector that lies in numbers without a place.
        if dot > 0.0 {
            length * length / dot
        } else {
            0.0
        }
    }
}

/// The whole number in `0..=top` that is nearest.
fn nearest(x: f32, top: f32) -> u8 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "clamped to a code's range"
    )]
    let code = (x + 0.5).clamp(0.0, top) as u8;
    code
}

/// The upper half of a number's bits, rounded.
fn upper(x: f32) -> u16 {
    (x.to_bits().saturating_add(0x8000) >> 16) as u16
}

/// The terms that a row ends with.
#[inline]
pub(crate) fn terms(row: &[u8]) -> Terms {
    let [a, b, c, d] = row.last_chunk().copied().unwrap_or_default();
    Terms {
        base: f32::from_bits(u32::from(u16::from_le_bytes([a, b])) << 16),
        factor: f32::from_bits(u32::from(u16::from_le_bytes([c, d])) << 16),
    }
}

/// Distance of two levels for numbers of a normal distribution with variance 1 that loses the least
/// (Max 1960, table II).
fn step(bits: Bits) -> f32 {
    match bits {
        Bits::One => 1.596,
        Bits::Two => 0.9957,
        Bits::Four => 0.3352,
    }
}

/// Variance of an estimate per number: `1 / c^2 - 1` where `c` is the cosine between a vector and
/// its levels, from the same table.
fn distortion(bits: Bits) -> f32 {
    match bits {
        Bits::One => 0.571,
        Bits::Two => 0.1349,
        Bits::Four => 0.0117,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn normal(seed: &mut u64) -> f32 {
        let mut unit = || {
            *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (*seed >> 40) as f32 / 16_777_216.0
        };
        let sum: f32 = (0..12).map(|_| unit()).sum();
        sum - 6.0
    }

    #[test]
    fn estimates_are_unbiased_and_as_sure_as_they_are_said_to_be() {
        let mut seed = 3;
        for (bits, size) in [
            (Bits::One, 512),
            (Bits::Two, 512),
            (Bits::Two, 384),
            (Bits::Four, 128),
        ] {
            let layout = Layout::new(bits, size);
            let mut vector = || {
                let v: Vec<f32> = (0..size).map(|_| normal(&mut seed)).collect();
                let length = v.iter().map(|x| x * x).sum::<f32>().sqrt();
                v.iter().map(|x| x / length).collect::<Vec<f32>>()
            };
            let (mut sum, mut squares) = (0f64, 0f64);
            let rounds = 2_000;
            for _ in 0..rounds {
                let (a, b) = (vector(), vector());
                let mut row = vec![0; layout.row_bytes()];
                layout.pack(&a, 1.0, -0.25, &mut row);
                let terms = terms(&row);
                assert_eq!(terms.base, -0.25);
                let top = f32::from(bits.mask());
                let level = |number: usize| {
                    let byte = row[number / bits.per_block() * BLOCK + number % BLOCK];
                    let part = u32::try_from(number % bits.per_block() / BLOCK).unwrap();
                    2.0 * f32::from((byte >> (part * bits.width())) & bits.mask()) - top
                };
                let held = (0..size).filter(|number| layout.holds(*number));
                let estimate = terms.factor * held.map(|n| level(n) * b[n]).sum::<f32>();
                let exact: f32 = a.iter().zip(&b).map(|(x, y)| x * y).sum();
                sum += f64::from(estimate - exact);
                squares += f64::from(estimate - exact).powi(2);
            }
            let spread = (squares / f64::from(rounds)).sqrt();
            let said = f64::from(layout.error(size));
            assert!(
                (0.9..1.1).contains(&(spread / said)),
                "{bits:?}: {spread} against {said}"
            );
            assert!(
                sum.abs() / f64::from(rounds) < 0.1 * said,
                "{bits:?}: biased"
            );
        }
    }

    #[test]
    fn a_vector_of_no_length_has_an_estimate_of_nothing() {
        let layout = Layout::new(Bits::Two, 512);
        let mut row = vec![7; layout.row_bytes()];
        layout.pack(&[0.0; 512], 0.0, 1.5, &mut row);
        assert_eq!(
            terms(&row),
            Terms {
                base: 1.5,
                factor: 0.0
            }
        );
    }
}
