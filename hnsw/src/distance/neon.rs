//! NEON: 4 floats or 16 codes a step, tails by the scalar code. Every AArch64 CPU has it.

use std::arch::aarch64::{
    float32x4_t, vabdq_f32, vaddq_f32, vaddq_s32, vaddvq_f32, vaddvq_s32, vandq_u8, vdupq_n_f32,
    vdupq_n_s32, vdupq_n_u8, vfmaq_f32, vget_low_s8, vld1q_f32, vld1q_s8, vld1q_u8, vmull_high_s8,
    vmull_s8, vpadalq_s16, vreinterpretq_s8_u8, vshrq_n_u8, vsubq_f32,
};

use super::{BLOCK, Bits, Kernels, scalar};

pub(super) const KERNELS: Kernels = Kernels {
    name: "neon",
    dot,
    squared,
    manhattan,
    dot_codes,
    packed,
    butterflies: scalar::butterflies,
    quantize: scalar::quantize,
    squares: scalar::squares,
    scale: scalar::scale,
};

fn load(a: &[f32; 4]) -> float32x4_t {
    // SAFETY: the array holds the four floats that are read; NEON is always there.
    unsafe { vld1q_f32(a.as_ptr()) }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    // SAFETY: NEON is always there.
    let total = unsafe {
        let mut total = vdupq_n_f32(0.0);
        for (x, y) in a.iter().zip(b) {
            total = vfmaq_f32(total, load(x), load(y));
        }
        vaddvq_f32(total)
    };
    total + (scalar::KERNELS.dot)(a_rest, b_rest)
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    // SAFETY: NEON is always there.
    let total = unsafe {
        let mut total = vdupq_n_f32(0.0);
        for (x, y) in a.iter().zip(b) {
            let d = vsubq_f32(load(x), load(y));
            total = vfmaq_f32(total, d, d);
        }
        vaddvq_f32(total)
    };
    total + (scalar::KERNELS.squared)(a_rest, b_rest)
}

fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    // SAFETY: NEON is always there.
    let total = unsafe {
        let mut total = vdupq_n_f32(0.0);
        for (x, y) in a.iter().zip(b) {
            total = vaddq_f32(total, vabdq_f32(load(x), load(y)));
        }
        vaddvq_f32(total)
    };
    total + (scalar::KERNELS.manhattan)(a_rest, b_rest)
}

fn dot_codes(a: &[i8], b: &[i8]) -> i32 {
    let ((a, a_rest), (b, b_rest)) = (
        cut(a, b.len()).as_chunks::<16>(),
        cut(b, a.len()).as_chunks::<16>(),
    );
    // SAFETY: each array holds the sixteen bytes that are read; NEON is always there.
    let total = unsafe {
        let (mut low, mut high) = (vdupq_n_s32(0), vdupq_n_s32(0));
        for (x, y) in a.iter().zip(b) {
            let (x, y) = (vld1q_s8(x.as_ptr()), vld1q_s8(y.as_ptr()));
            low = vpadalq_s16(low, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
            high = vpadalq_s16(high, vmull_high_s8(x, y));
        }
        vaddvq_s32(vaddq_s32(low, high))
    };
    total + (scalar::KERNELS.dot_codes)(a_rest, b_rest)
}

fn packed(bits: Bits, query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    match bits {
        Bits::One => packed_rows::<1>(query, rows, dots),
        Bits::Two => packed_rows::<2>(query, rows, dots),
        Bits::Four => packed_rows::<4>(query, rows, dots),
    }
}

fn packed_rows<const WIDTH: i32>(query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    for (row, dot) in rows.iter().zip(dots) {
        *dot = packed_row::<WIDTH>(query, row);
    }
}

/// Codes have at most four bits, so that they are the same numbers with and without a sign.
fn packed_row<const WIDTH: i32>(query: &[i8], row: &[u8]) -> i32 {
    let per_byte = 8 / usize::try_from(WIDTH).unwrap_or(1);
    let (blocks, _) = row.as_chunks::<BLOCK>();
    // SAFETY: NEON is always there, and each array of sixteen bytes holds what is read.
    unsafe {
        let mask = vdupq_n_u8((1 << WIDTH) - 1);
        let mut total = vdupq_n_s32(0);
        for (block, query) in blocks.iter().zip(query.chunks_exact(BLOCK * per_byte)) {
            for (quarter, codes) in block.as_chunks::<16>().0.iter().enumerate() {
                let mut codes = vld1q_u8(codes.as_ptr());
                for part in query.as_chunks::<BLOCK>().0 {
                    let part = vld1q_s8(part.as_chunks::<16>().0[quarter].as_ptr());
                    let low = vreinterpretq_s8_u8(vandq_u8(codes, mask));
                    total = vpadalq_s16(total, vmull_s8(vget_low_s8(low), vget_low_s8(part)));
                    total = vpadalq_s16(total, vmull_high_s8(low, part));
                    codes = vshrq_n_u8::<WIDTH>(codes);
                }
            }
        }
        vaddvq_s32(total)
    }
}

fn cut<T>(slice: &[T], len: usize) -> &[T] {
    &slice[..slice.len().min(len)]
}
