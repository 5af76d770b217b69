//! The specification: what every other kernel must compute.

use super::{BLOCK, Bits, Kernels, LANES};

pub(super) const KERNELS: Kernels = Kernels {
    name: "scalar",
    dot,
    squared,
    manhattan,
    dot_codes,
    packed,
    butterflies,
    quantize,
    squares,
    scale,
};

fn dot(a: &[f32], b: &[f32]) -> f32 {
    in_lanes(a, b, |x, y| x * y)
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    in_lanes(a, b, |x, y| (x - y) * (x - y))
}

fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    in_lanes(a, b, |x, y| (x - y).abs())
}

/// In several sums, as wider registers do it: one alone would grow so large that what is added to
/// it loses digits.
#[inline(always)]
fn in_lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let len = a.len().min(b.len());
    let ((a, a_rest), (b, b_rest)) = (a[..len].as_chunks::<16>(), b[..len].as_chunks::<16>());
    let mut lanes = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((lane, x), y) in lanes.iter_mut().zip(a).zip(b) {
            *lane += term(*x, *y);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
    lanes.iter().sum::<f32>() + rest
}

fn dot_codes(a: &[i8], b: &[i8]) -> i32 {
    a.iter()
        .zip(b)
        .map(|(x, y)| i32::from(*x) * i32::from(*y))
        .sum()
}

fn packed(bits: Bits, query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    for (row, dot) in rows.iter().zip(dots) {
        *dot = packed_row(bits, query, row);
    }
}

fn packed_row(bits: Bits, query: &[i8], row: &[u8]) -> i32 {
    let (width, per_byte) = (bits.width(), bits.per_byte());
    let mask = bits.mask();
    let mut sum = 0;
    for (block, query) in row.chunks(BLOCK).zip(query.chunks(BLOCK * per_byte)) {
        for (part, query) in (0u32..).zip(query.chunks(BLOCK)) {
            for (byte, q) in block.iter().zip(query) {
                sum += i32::from((byte >> (part * width)) & mask) * i32::from(*q);
            }
        }
    }
    sum
}

/// Written so that it can be compiled for wider registers as it stands: its results do not depend
/// on how many lanes are added at once.
#[inline(always)]
pub(super) fn butterflies(values: &mut [f32]) {
    let mut stride = LANES;
    while stride < values.len() {
        for pair in values.chunks_exact_mut(2 * stride) {
            let (low, high) = pair.split_at_mut(stride);
            for (a, b) in low.iter_mut().zip(high) {
                (*a, *b) = (*a + *b, *a - *b);
            }
        }
        stride *= 2;
    }
}

/// As for `butterflies`.
#[inline(always)]
pub(super) fn quantize(values: &[f32], codes: &mut [i8]) -> f32 {
    let (chunks, rest) = values.as_chunks::<16>();
    let mut lanes = [0f32; 16];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if x.abs() > *lane { x.abs() } else { *lane };
        }
    }
    let (scale, inverse) = scales(lanes.iter().chain(rest));
    codes_of(values, inverse, codes);
    scale
}

/// What makes codes of the numbers with this largest size numbers again, and its inverse; zeros
/// where there is none, or where it would not be finite.
#[inline(always)]
pub(super) fn scales<'a>(sizes: impl Iterator<Item = &'a f32>) -> (f32, f32) {
    let largest = sizes.fold(0f32, |a, x| a.max(x.abs()));
    let inverse = 127.0 / largest;
    if inverse.is_finite() {
        (largest / 127.0, inverse)
    } else {
        (0.0, 0.0)
    }
}

/// The nearest codes, of numbers whose largest size is `127 / inverse`.
#[inline(always)]
pub(super) fn codes_of(values: &[f32], inverse: f32, codes: &mut [i8]) {
    for (code, x) in codes.iter_mut().zip(values) {
        let nearest = (x * inverse).round_ties_even();
        #[expect(clippy::cast_possible_truncation, reason = "clamped to a code's range")]
        let nearest = nearest.clamp(-127.0, 127.0) as i32 as i8;
        *code = nearest;
    }
}

/// As for `butterflies`: eight lanes, whatever they are kept in.
#[inline(always)]
pub(super) fn squares(values: &[f32]) -> f64 {
    let (chunks, rest) = values.as_chunks::<8>();
    let mut lanes = [0f64; 8];
    for chunk in chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += f64::from(*x) * f64::from(*x);
        }
    }
    let rest: f64 = rest.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
    lanes.iter().sum::<f64>() + rest
}

/// As for `butterflies`.
#[expect(
    clippy::cast_possible_truncation,
    reason = "what does not fit becomes infinite, as it should"
)]
#[inline(always)]
pub(super) fn scale(values: &mut [f32], by: f64) {
    for x in values {
        *x = (f64::from(*x) * by) as f32;
    }
}
