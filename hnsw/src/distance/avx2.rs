//! AVX2 with FMA: 8 floats or 16 codes a step, tails by the scalar code.

use std::arch::x86_64::{
    __m256, __m256i, _mm_add_epi32, _mm_add_ps, _mm_add_ss, _mm_cvtsi128_si32, _mm_cvtss_f32,
    _mm_loadu_si128, _mm_movehdup_ps, _mm_movehl_ps, _mm_shuffle_epi32, _mm_storeu_si128,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_add_ps, _mm256_and_si256, _mm256_andnot_ps,
    _mm256_castps256_ps128, _mm256_castsi256_si128, _mm256_cvtepi8_epi16, _mm256_cvtps_epi32,
    _mm256_extractf128_ps, _mm256_extracti128_si256, _mm256_fmadd_ps, _mm256_hadd_epi32,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_madd_epi16, _mm256_maddubs_epi16, _mm256_max_ps,
    _mm256_mul_ps, _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permutevar8x32_epi32,
    _mm256_set1_epi8, _mm256_set1_epi16, _mm256_set1_ps, _mm256_setr_epi32, _mm256_setzero_ps,
    _mm256_setzero_si256, _mm256_srai_epi32, _mm256_srli_epi16, _mm256_storeu_ps,
    _mm256_storeu_si256, _mm256_sub_ps,
};

use super::{BLOCK, Bits, Kernels, scalar};

/// The kernels, if the CPU has what they need.
pub(super) fn kernels() -> Option<Kernels> {
    let has = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
    has.then_some(Kernels {
        name: "avx2",
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
    // Four sums, so that the next product need not wait for the last.
    let ((a, a_few), (b, b_few)) = (a.as_chunks::<4>(), b.as_chunks::<4>());
    let mut sums = [_mm256_setzero_ps(); 4];
    for (x, y) in a.iter().zip(b) {
        for ((x, y), sum) in x.iter().zip(y).zip(&mut sums) {
            *sum = _mm256_fmadd_ps(load(x), load(y), *sum);
        }
    }
    for (x, y) in a_few.iter().zip(b_few) {
        sums[0] = _mm256_fmadd_ps(load(x), load(y), sums[0]);
    }
    let [a, b, c, d] = sums;
    let total = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
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
    sum_codes(total) + (scalar::KERNELS.dot_codes)(a_rest, b_rest)
}

#[target_feature(enable = "avx2")]
fn sum_codes(v: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256::<1>(v));
    let two = _mm_add_epi32(four, _mm_shuffle_epi32::<0b00_00_11_10>(four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<0b00_00_00_01>(two));
    _mm_cvtsi128_si32(one)
}

#[target_feature(enable = "avx2")]
fn packed_impl(bits: Bits, query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    match bits {
        Bits::One => packed_rows::<1>(query, rows, dots),
        Bits::Two => packed_rows::<2>(query, rows, dots),
        Bits::Four => packed_rows::<4>(query, rows, dots),
    }
}

#[target_feature(enable = "avx2")]
fn packed_rows<const WIDTH: i32>(query: &[i8], rows: &[&[u8]], dots: &mut [i32]) {
    let (fours, rest) = rows.as_chunks::<4>();
    let (dot_fours, dot_rest) = dots.split_at_mut(fours.as_flattened().len());
    for (rows, dots) in fours.iter().zip(dot_fours.as_chunks_mut().0) {
        *dots = sum_four(rows.map(|row| packed_row::<WIDTH>(query, row)));
    }
    for (row, dot) in rest.iter().zip(dot_rest) {
        *dot = sum_codes(packed_row::<WIDTH>(query, row));
    }
}

/// Sums whose sum is the inner product.
#[inline]
#[target_feature(enable = "avx2")]
fn packed_row<const WIDTH: i32>(query: &[i8], row: &[u8]) -> __m256i {
    let per_byte = 8 / usize::try_from(WIDTH).unwrap_or(1);
    let (blocks, _) = row.as_chunks::<BLOCK>();
    let mut total = _mm256_setzero_si256();
    for (block, query) in blocks.iter().zip(query.chunks_exact(BLOCK * per_byte)) {
        let (parts, _) = query.as_chunks::<BLOCK>();
        let sums = match parts.as_array() {
            Some(parts) => two_bit_block(block, parts),
            None => packed_block::<WIDTH>(block, parts),
        };
        total = _mm256_add_epi32(total, sums);
    }
    total
}

/// Sixteen-bit sums hold the products of one half block, at most 2 * 15 * 127 * 2 or 2 * 127 * 8.
#[inline]
#[target_feature(enable = "avx2")]
fn packed_block<const WIDTH: i32>(block: &[u8; BLOCK], parts: &[[i8; BLOCK]]) -> __m256i {
    let mask = _mm256_set1_epi8((1 << WIDTH) - 1);
    let ones = _mm256_set1_epi16(1);
    let mut total = _mm256_setzero_si256();
    for half in 0..2 {
        let mut codes = load_half(block, half);
        let mut sums = _mm256_setzero_si256();
        for part in parts {
            let products =
                _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), load_half(part, half));
            sums = _mm256_add_epi16(sums, products);
            codes = _mm256_srli_epi16::<WIDTH>(codes);
        }
        total = _mm256_add_epi32(total, _mm256_madd_epi16(sums, ones));
    }
    total
}

/// With two bits every other code is taken where it stands, four times as large, which saves a
/// shift: sixteen-bit sums hold at most 4 * 3 * 127 * 2 and 4 * 12 * 127 * 2.
#[inline]
#[target_feature(enable = "avx2")]
fn two_bit_block(block: &[u8; BLOCK], parts: &[[i8; BLOCK]; 4]) -> __m256i {
    let (low, high) = (_mm256_set1_epi8(0b0011), _mm256_set1_epi8(0b1100));
    let (mut once, mut four_times) = (_mm256_setzero_si256(), _mm256_setzero_si256());
    for half in 0..2 {
        let codes = load_half(block, half);
        let upper = _mm256_srli_epi16::<4>(codes);
        let product = |codes, mask, part: &[i8; BLOCK]| {
            _mm256_maddubs_epi16(_mm256_and_si256(codes, mask), load_half(part, half))
        };
        once = _mm256_add_epi16(once, product(codes, low, &parts[0]));
        four_times = _mm256_add_epi16(four_times, product(codes, high, &parts[1]));
        once = _mm256_add_epi16(once, product(upper, low, &parts[2]));
        four_times = _mm256_add_epi16(four_times, product(upper, high, &parts[3]));
    }
    let once = _mm256_madd_epi16(once, _mm256_set1_epi16(4));
    let four_times = _mm256_madd_epi16(four_times, _mm256_set1_epi16(1));
    _mm256_srai_epi32::<2>(_mm256_add_epi32(once, four_times))
}

/// The sum of each.
#[target_feature(enable = "avx2")]
fn sum_four([a, b, c, d]: [__m256i; 4]) -> [i32; 4] {
    let pairs = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let sums = _mm_add_epi32(
        _mm256_castsi256_si128(pairs),
        _mm256_extracti128_si256::<1>(pairs),
    );
    let mut four = [0; 4];
    // SAFETY: the array has room for the four numbers.
    unsafe { _mm_storeu_si128(four.as_mut_ptr().cast(), sums) };
    four
}

#[target_feature(enable = "avx2")]
fn load_half<T: Byte>(block: &[T; BLOCK], half: usize) -> __m256i {
    debug_assert!(half < 2);
    // SAFETY: the array holds 64 bytes, 32 for each half.
    unsafe { _mm256_loadu_si256(block.as_ptr().add(half * 32).cast()) }
}

/// What fills one byte.
trait Byte {}
impl Byte for u8 {}
impl Byte for i8 {}

#[target_feature(enable = "avx2")]
fn butterflies_impl(values: &mut [f32]) {
    scalar::butterflies(values);
}

#[target_feature(enable = "avx2")]
fn quantize_impl(values: &[f32], codes: &mut [i8]) -> f32 {
    let (chunks, rest) = values.as_chunks::<32>();
    let (code_chunks, code_rest) = codes.as_chunks_mut::<32>();
    let sign = _mm256_set1_ps(-0.0);
    let mut largest = _mm256_setzero_ps();
    for eight in chunks.as_flattened().as_chunks().0 {
        largest = _mm256_max_ps(_mm256_andnot_ps(sign, load(eight)), largest);
    }
    let mut lanes = [0f32; 8];
    // SAFETY: the array has room for the eight floats.
    unsafe { _mm256_storeu_ps(lanes.as_mut_ptr(), largest) };
    let (scale, inverse) = scalar::scales(lanes.iter().chain(rest));
    let times = _mm256_set1_ps(inverse);
    for (codes, chunk) in code_chunks.iter_mut().zip(chunks) {
        let (eights, _) = chunk.as_chunks();
        let whole = |at: usize| _mm256_cvtps_epi32(_mm256_mul_ps(load(&eights[at]), times));
        let low = _mm256_packs_epi32(whole(0), whole(1));
        let high = _mm256_packs_epi32(whole(2), whole(3));
        // Packing works on halves of registers; this puts their quarters in order.
        let order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
        let packed = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(low, high), order);
        // SAFETY: the array has room for the 32 bytes.
        unsafe { _mm256_storeu_si256(codes.as_mut_ptr().cast(), packed) };
    }
    scalar::codes_of(rest, inverse, code_rest);
    scale
}

fn cut<T>(slice: &[T], len: usize) -> &[T] {
    &slice[..slice.len().min(len)]
}

#[target_feature(enable = "avx2")]
fn squares_impl(values: &[f32]) -> f64 {
    scalar::squares(values)
}

#[target_feature(enable = "avx2")]
fn scale_impl(values: &mut [f32], by: f64) {
    scalar::scale(values, by);
}
