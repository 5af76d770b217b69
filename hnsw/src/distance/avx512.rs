//! AVX-512 with VNNI: 16 floats or 64 codes a step, tails by masks.

use std::arch::x86_64::{
    __m512, __m512i, _mm512_abs_ps, _mm512_add_epi32, _mm512_add_ps, _mm512_and_si512,
    _mm512_dpbusd_epi32, _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_maskz_loadu_epi8,
    _mm512_maskz_loadu_ps, _mm512_reduce_add_epi32, _mm512_reduce_add_ps, _mm512_set1_epi8,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_srli_epi16, _mm512_sub_ps, _mm512_xor_si512,
};

use super::{BLOCK, Bits, Kernels, scalar};

/// The kernels, if the CPU has what they need.
pub(super) fn kernels() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx512f")
        && is_x86_feature_detected!("avx512bw")
        && is_x86_feature_detected!("avx512vnni");
    has.then_some(Kernels {
        name: "avx512",
        dot,
        squared,
        manhattan,
        dot_codes,
        packed,
        butterflies,
        quantize,
        squares,
        scale,
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

fn packed(bits: Bits, query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    // SAFETY: as for `dot`.
    unsafe { packed_impl(bits, query, rows, dots) }
}

fn butterflies(values: &mut [f32]) {
    // SAFETY: as for `dot`.
    unsafe { butterflies_impl(values) }
}

fn quantize(values: &[f32], codes: &mut [i8]) -> f32 {
    // SAFETY: as for `dot`.
    unsafe { quantize_impl(values, codes) }
}

fn squares(values: &[f32]) -> f64 {
    // SAFETY: as for `dot`.
    unsafe { squares_impl(values) }
}

fn scale(values: &mut [f32], by: f64) {
    // SAFETY: as for `dot`.
    unsafe { scale_impl(values, by) }
}

/// Sixteen floats of each slice from `at` on, zeros past `len`.
#[target_feature(enable = "avx512f")]
fn load(a: &[f32], b: &[f32], at: usize, len: usize) -> (__m512, __m512) {
    let rest = len - at;
    let mask: u16 = if rest >= 16 {
        u16::MAX
    } else {
        (1 << rest) - 1
    };
    // SAFETY: `at + rest <= len` is within both slices and masked lanes are not read.
    unsafe {
        (
            _mm512_maskz_loadu_ps(mask, a.as_ptr().add(at)),
            _mm512_maskz_loadu_ps(mask, b.as_ptr().add(at)),
        )
    }
}

#[target_feature(enable = "avx512f")]
fn dot_impl(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (mut even, mut odd) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let mut at = 0;
    while at + 32 <= len {
        let (x, y) = load(a, b, at, len);
        even = _mm512_fmadd_ps(x, y, even);
        let (x, y) = load(a, b, at + 16, len);
        odd = _mm512_fmadd_ps(x, y, odd);
        at += 32;
    }
    while at < len {
        let (x, y) = load(a, b, at, len);
        even = _mm512_fmadd_ps(x, y, even);
        at += 16;
    }
    _mm512_reduce_add_ps(_mm512_add_ps(even, odd))
}

#[target_feature(enable = "avx512f")]
fn squared_impl(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let (mut even, mut odd) = (_mm512_setzero_ps(), _mm512_setzero_ps());
    let mut at = 0;
    while at + 32 <= len {
        let (x, y) = load(a, b, at, len);
        let d = _mm512_sub_ps(x, y);
        even = _mm512_fmadd_ps(d, d, even);
        let (x, y) = load(a, b, at + 16, len);
        let d = _mm512_sub_ps(x, y);
        odd = _mm512_fmadd_ps(d, d, odd);
        at += 32;
    }
    while at < len {
        let (x, y) = load(a, b, at, len);
        let d = _mm512_sub_ps(x, y);
        even = _mm512_fmadd_ps(d, d, even);
        at += 16;
    }
    _mm512_reduce_add_ps(_mm512_add_ps(even, odd))
}

#[target_feature(enable = "avx512f")]
fn manhattan_impl(a: &[f32], b: &[f32]) -> f32 {
    let len = a.len().min(b.len());
    let mut sum = _mm512_setzero_ps();
    let mut at = 0;
    while at < len {
        let (x, y) = load(a, b, at, len);
        sum = _mm512_add_ps(sum, _mm512_abs_ps(_mm512_sub_ps(x, y)));
        at += 16;
    }
    _mm512_reduce_add_ps(sum)
}

/// VNNI multiplies unsigned by signed bytes: `(a + 128) . b - 128 * sum(b)` is `a . b`.
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn dot_codes_impl(a: &[i8], b: &[i8]) -> i32 {
    let len = a.len().min(b.len());
    let sign = _mm512_set1_epi8(i8::MIN);
    let ones = _mm512_set1_epi8(1);
    let (mut products, mut sums) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut at = 0;
    while at < len {
        let (x, y) = load_codes(a, b, at, len);
        products = _mm512_dpbusd_epi32(products, _mm512_xor_si512(x, sign), y);
        sums = _mm512_dpbusd_epi32(sums, ones, y);
        at += 64;
    }
    _mm512_reduce_add_epi32(products).wrapping_sub(_mm512_reduce_add_epi32(sums).wrapping_mul(128))
}

#[target_feature(enable = "avx512f,avx512bw")]
fn load_codes(a: &[i8], b: &[i8], at: usize, len: usize) -> (__m512i, __m512i) {
    let rest = len - at;
    let mask: u64 = if rest >= 64 {
        u64::MAX
    } else {
        (1 << rest) - 1
    };
    // SAFETY: `at + rest <= len` is within both slices and masked lanes are not read.
    unsafe {
        (
            _mm512_maskz_loadu_epi8(mask, a.as_ptr().add(at)),
            _mm512_maskz_loadu_epi8(mask, b.as_ptr().add(at)),
        )
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn packed_impl(bits: Bits, query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    match bits {
        Bits::One => packed_rows::<1>(query, rows, dots),
        Bits::Two => packed_rows::<2>(query, rows, dots),
        Bits::Four => packed_rows::<4>(query, rows, dots),
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn packed_rows<const WIDTH: u32>(query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    for (row, dot) in rows.iter().zip(dots) {
        *dot = packed_row::<WIDTH>(query, row);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn packed_row<const WIDTH: u32>(query: &[i8], row: &[u8]) -> i32 {
    let mask = _mm512_set1_epi8((1 << WIDTH) - 1);
    let per_byte = 8 / WIDTH as usize;
    let (blocks, _) = row.as_chunks::<BLOCK>();
    let (mut even, mut odd) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    for (block, query) in blocks.iter().zip(query.chunks_exact(BLOCK * per_byte)) {
        let mut codes = load_block(block);
        for part in query.as_chunks::<BLOCK>().0 {
            let sums = _mm512_dpbusd_epi32(even, _mm512_and_si512(codes, mask), load_block(part));
            (even, odd) = (odd, sums);
            codes = _mm512_srli_epi16::<WIDTH>(codes);
        }
    }
    _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd))
}

#[target_feature(enable = "avx512f")]
fn load_block<T: Byte>(block: &[T; BLOCK]) -> __m512i {
    // SAFETY: the array holds the 64 bytes that are read.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}

/// What fills one byte.
trait Byte {}
impl Byte for u8 {}
impl Byte for i8 {}

#[target_feature(enable = "avx512f")]
fn butterflies_impl(values: &mut [f32]) {
    scalar::butterflies(values);
}

#[target_feature(enable = "avx512f,avx512bw")]
fn quantize_impl(values: &[f32], codes: &mut [i8]) -> f32 {
    scalar::quantize(values, codes)
}

#[target_feature(enable = "avx512f")]
fn squares_impl(values: &[f32]) -> f64 {
    scalar::squares(values)
}

#[target_feature(enable = "avx512f")]
fn scale_impl(values: &mut [f32], by: f64) {
    scalar::scale(values, by);
}
