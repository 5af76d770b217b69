//! AVX2 with FMA: 8 floats or 16 codes a step, tails by the scalar code.

use std::arch::x86_64::{
    __m256, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32,
    _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_shuffle_epi32, _mm256_add_epi32,
    _mm256_add_ps, _mm256_andnot_ps, _mm256_castps256_ps128, _mm256_castsi256_si128,
    _mm256_cvtepi8_epi16, _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_madd_epi16, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_sub_ps,
};

use super::{Kernels, scalar};

/// The kernels, if the CPU has what they need.
pub(super) fn kernels() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    has.then_some(Kernels {
        name: "avx2",
        dot,
        squared,
        manhattan,
        dot_codes,
    })
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: `kernels` gives this function out only when the CPU has the features.
    unsafe { dot_impl(a, b) }
}

fn squared(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: as for `dot`.
    unsafe { squared_impl(a, b) }
}

fn manhattan(a: &[f32], b: &[f32]) -> f32 {
    // SAFETY: as for `dot`.
    unsafe { manhattan_impl(a, b) }
}

fn dot_codes(a: &[i8], b: &[i8]) -> i32 {
    // SAFETY: as for `dot`.
    unsafe { dot_codes_impl(a, b) }
}

#[target_feature(enable = "avx2")]
fn load(a: &[f32; 8]) -> __m256 {
    // SAFETY: the array holds the eight floats that are read.
    unsafe { _mm256_loadu_ps(a.as_ptr()) }
}

#[target_feature(enable = "avx2")]
fn sum(v: __m256) -> f32 {
    let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)))
}

#[target_feature(enable = "avx2,fma")]
fn dot_impl(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    let mut total = _mm256_setzero_ps();
    for (x, y) in a.iter().zip(b) {
        total = _mm256_fmadd_ps(load(x), load(y), total);
    }
    sum(total) + (scalar::KERNELS.dot)(a_rest, b_rest)
}

#[target_feature(enable = "avx2,fma")]
fn squared_impl(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    let mut total = _mm256_setzero_ps();
    for (x, y) in a.iter().zip(b) {
        let d = _mm256_sub_ps(load(x), load(y));
        total = _mm256_fmadd_ps(d, d, total);
    }
    sum(total) + (scalar::KERNELS.squared)(a_rest, b_rest)
}

#[target_feature(enable = "avx2,fma")]
fn manhattan_impl(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (cut(a, b.len()).as_chunks(), cut(b, a.len()).as_chunks());
    let sign = _mm256_set1_ps(-0.0);
    let mut total = _mm256_setzero_ps();
    for (x, y) in a.iter().zip(b) {
        total = _mm256_add_ps(
            total,
            _mm256_andnot_ps(sign, _mm256_sub_ps(load(x), load(y))),
        );
    }
    sum(total) + (scalar::KERNELS.manhattan)(a_rest, b_rest)
}

#[target_feature(enable = "avx2")]
fn dot_codes_impl(a: &[i8], b: &[i8]) -> i32 {
    let ((a, a_rest), (b, b_rest)) = (
        cut(a, b.len()).as_chunks::<16>(),
        cut(b, a.len()).as_chunks::<16>(),
    );
    let mut total = _mm256_setzero_si256();
    for (x, y) in a.iter().zip(b) {
        // SAFETY: each array holds the sixteen bytes that are read.
        let (x, y) = unsafe {
            (
                _mm_loadu_si128(x.as_ptr().cast()),
                _mm_loadu_si128(y.as_ptr().cast()),
            )
        };
        let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(x), _mm256_cvtepi8_epi16(y));
        total = _mm256_add_epi32(total, products);
    }
    let four = _mm_add_epi32(
        _mm256_castsi256_si128(total),
        _mm256_extracti128_si256::<1>(total),
    );
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
    _mm_cvtsi128_si32(one) + (scalar::KERNELS.dot_codes)(a_rest, b_rest)
}

fn cut<T>(slice: &[T], len: usize) -> &[T] {
    &slice[..slice.len().min(len)]
}
