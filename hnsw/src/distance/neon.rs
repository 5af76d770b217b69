//! NEON: 4 floats or 16 codes a step, tails by the scalar code. Every AArch64 CPU has it.

use std::arch::aarch64::{
    float32x4_t, vabdq_f32, vaddq_f32, vaddq_s32, vaddvq_f32, vaddvq_s32, vdupq_n_f32, vdupq_n_s32,
    vfmaq_f32, vget_low_s8, vld1q_f32, vld1q_s8, vmull_high_s8, vmull_s8, vpadalq_s16, vsubq_f32,
};

use super::{Kernels, scalar};

pub(super) const KERNELS: Kernels = Kernels {
    name: "neon",
    dot,
    squared,
    manhattan,
    dot_codes,
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

fn cut<T>(slice: &[T], len: usize) -> &[T] {
    &slice[..slice.len().min(len)]
}
