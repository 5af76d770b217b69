//! The kernels that compare two vectors, chosen once at run time by what the CPU can do.
//!
//! `scalar` is the specification; every other kernel is tested against it. `DOPPEL_SIMD` set to
//! `scalar`, `avx2`, `avx512` or `neon` forces one; [`wanted`] says whether the CPU has it. Slices of different length
//! are compared over the shorter one.
#![expect(unsafe_code, reason = "SIMD intrinsics")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::sync::OnceLock;

use crate::error::Error;

/// A set of kernels.
#[derive(Clone, Copy)]
pub struct Kernels {
    /// What they are made of.
    pub name: &'static str,
    /// Inner product.
    pub dot: fn(&[f32], &[f32]) -> f32,
    /// Squared Euclidean distance.
    pub squared: fn(&[f32], &[f32]) -> f32,
    /// Manhattan distance.
    pub manhattan: fn(&[f32], &[f32]) -> f32,
    /// Inner product of codes in -127..=127, exact up to 65,536 of them.
    pub dot_codes: fn(&[i8], &[i8]) -> i32,
    /// Inner products of a query's codes and packed rows (see [`Bits`]).
    pub packed: PackedDots,
    /// Sums and differences at every stride from [`LANES`] up, in place; the length is a power of
    /// two. The same bits from every kernel.
    pub butterflies: fn(&mut [f32]),
    /// Codes in -127..=127 and the scale that makes them numbers again. The same bits from every
    /// kernel.
    pub quantize: fn(&[f32], &mut [i8]) -> f32,
    /// Sum of the squares; not finite if a number is not. The same bits from every kernel.
    pub squares: fn(&[f32]) -> f64,
    /// Multiplies in place. The same bits from every kernel.
    pub scale: fn(&mut [f32], f64),
}

/// Bits of a code, a query's codes, rows, and where their inner products go.
pub type PackedDots = fn(Bits, &[i8], &[&[u8]], &mut [i32]);

/// The shortest stride of [`Kernels::butterflies`].
pub const LANES: usize = 8;

/// Bytes of a block of packed codes: a cache line.
pub const BLOCK: usize = 64;

/// How many bits a packed code has.
///
/// A row is made of blocks. Byte `j` of a block holds the codes `j`, `64 + j`, `128 + j`, ... of the
/// block's codes, the first in its lowest bits: so a shift and a mask bring 64 neighbouring codes
/// into 64 neighbouring bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bits {
    /// 512 codes a block.
    One,
    /// 256 codes a block.
    Two,
    /// 128 codes a block.
    Four,
}

impl Bits {
    /// Bits of a code.
    pub fn width(self) -> u32 {
        match self {
            Bits::One => 1,
            Bits::Two => 2,
            Bits::Four => 4,
        }
    }

    /// Codes in a byte.
    pub fn per_byte(self) -> usize {
        8 / self.width() as usize
    }

    /// Codes in a block.
    pub fn per_block(self) -> usize {
        self.per_byte() * BLOCK
    }

    /// The lowest code's bits of a byte: also the greatest code.
    pub fn mask(self) -> u8 {
        (1 << self.width()) - 1
    }
}

/// All kernels this CPU can run, the best first.
pub fn available() -> Vec<Kernels> {
    let mut all = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        all.extend(avx512::kernels());
        all.extend(avx2::kernels());
    }
    #[cfg(target_arch = "aarch64")]
    all.extend([neon::KERNELS]);
    all.push(scalar::KERNELS);
    all
}

/// The kernels in use.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| wanted().unwrap_or_else(|_| best(&available())))
}

fn best(all: &[Kernels]) -> Kernels {
    all.first().copied().unwrap_or(scalar::KERNELS)
}

/// The kernels that `DOPPEL_SIMD` forces, or the best.
///
/// # Errors
/// It names none that this CPU can run. Who goes on all the same compares with the best.
pub fn wanted() -> Result<Kernels, Error> {
    named(std::env::var("DOPPEL_SIMD").ok().as_deref())
}

fn named(name: Option<&str>) -> Result<Kernels, Error> {
    let all = available();
    let Some(name) = name else {
        return Ok(best(&all));
    };
    let named = all.iter().find(|kernels| kernels.name == name);
    named.copied().ok_or_else(|| {
        let here: Vec<&str> = all.iter().map(|kernels| kernels.name).collect();
        Error::Kernels {
            wanted: name.to_owned(),
            here: here.join(", "),
        }
    })
}

/// A kernel's sum over vectors of any length. Digits are lost where many numbers are added to one, so
/// long vectors are summed in runs.
#[expect(clippy::cast_possible_truncation, reason = "as exact as an `f32` is")]
#[inline]
pub(crate) fn in_runs(sum: impl Fn(&[f32], &[f32]) -> f32, a: &[f32], b: &[f32]) -> f32 {
    if a.len() <= RUN {
        return sum(a, b);
    }
    let runs = a.chunks(RUN).zip(b.chunks(RUN));
    runs.map(|(a, b)| f64::from(sum(a, b))).sum::<f64>() as f32
}

/// Numbers that a kernel adds up in one go.
const RUN: usize = 2_048;

/// Asks for the first bytes of a row to be brought near.
#[inline]
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let bytes = size_of_val(row).min(2_048);
        for line in (0..bytes).step_by(64) {
            // SAFETY: a prefetch reads nothing, and the address lies inside `row`.
            unsafe { _mm_prefetch(row.as_ptr().cast::<i8>().add(line), _MM_HINT_T0) };
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = row;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn random(seed: &mut u64) -> f32 {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        ((*seed >> 40) as f32) / 8_388_608.0 - 1.0
    }

    #[expect(clippy::cast_possible_truncation, reason = "the numbers are small")]
    #[test]
    fn every_kernel_agrees_with_the_scalar_one_at_every_length_and_offset() {
        let mut seed = 7;
        let long = |seed: &mut u64| (0..2_100).map(|_| random(seed)).collect::<Vec<f32>>();
        let (a, b) = (long(&mut seed), long(&mut seed));
        let code = |v: &[f32]| {
            v.iter()
                .map(|x| i8::try_from((x * 127.0).round() as i32).unwrap())
                .collect::<Vec<i8>>()
        };
        let (ca, cb) = (code(&a), code(&b));
        for kernels in available() {
            for len in (0..200).chain([511, 512, 1_024, 2_049]) {
                for offset in [0, 1, 3] {
                    let (x, y) = (&a[offset..offset + len], &b[offset + 1..offset + 1 + len]);
                    let close = |got: f32, want: f32| {
                        (got - want).abs() <= 1e-4 * (1.0 + len as f32).sqrt()
                    };
                    let scalar = scalar::KERNELS;
                    assert!(
                        close((kernels.dot)(x, y), (scalar.dot)(x, y)),
                        "{} dot {len}",
                        kernels.name
                    );
                    assert!(
                        close((kernels.squared)(x, y), (scalar.squared)(x, y)),
                        "{} squared {len}",
                        kernels.name
                    );
                    assert!(
                        close((kernels.manhattan)(x, y), (scalar.manhattan)(x, y)),
                        "{} l1 {len}",
                        kernels.name
                    );
                    let quantized = |kernels: &Kernels| {
                        let mut codes = vec![0; len];
                        let scale = (kernels.quantize)(x, &mut codes);
                        (codes, scale.to_bits())
                    };
                    assert_eq!(quantized(&kernels), quantized(&scalar), "{}", kernels.name);
                    let squares = |kernels: &Kernels| (kernels.squares)(x).to_bits();
                    assert_eq!(squares(&kernels), squares(&scalar), "{}", kernels.name);
                    let scaled = |kernels: &Kernels| {
                        let mut scaled = x.to_vec();
                        (kernels.scale)(&mut scaled, 0.123_456);
                        scaled.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
                    };
                    assert_eq!(scaled(&kernels), scaled(&scalar), "{}", kernels.name);
                    let (x, y) = (&ca[offset..offset + len], &cb[offset + 1..offset + 1 + len]);
                    assert_eq!(
                        (kernels.dot_codes)(x, y),
                        (scalar.dot_codes)(x, y),
                        "{} codes {len}",
                        kernels.name
                    );
                }
            }
        }
    }

    #[expect(clippy::cast_possible_truncation, reason = "compared with a tolerance")]
    #[test]
    fn long_sums_of_numbers_that_are_alike_are_as_exact_as_short_ones() {
        for kernels in available() {
            for len in [512, 4_096, 20_001, 65_536] {
                let (a, b) = (vec![0.7; len], vec![0.1; len]);
                let exact = |term: fn(f64, f64) -> f64| {
                    let pairs = a.iter().zip(&b);
                    let terms = pairs.map(|(x, y)| term(f64::from(*x), f64::from(*y)));
                    terms.sum::<f64>() as f32
                };
                for (what, got, want) in [
                    ("dot", in_runs(kernels.dot, &a, &b), exact(|x, y| x * y)),
                    (
                        "squared",
                        in_runs(kernels.squared, &a, &b),
                        exact(|x, y| (x - y).powi(2)),
                    ),
                    (
                        "manhattan",
                        in_runs(kernels.manhattan, &a, &b),
                        exact(|x, y| (x - y).abs()),
                    ),
                ] {
                    let wrong = (got / want - 1.0).abs();
                    assert!(wrong < 1e-5, "{} {what} {len}: {wrong}", kernels.name);
                }
            }
        }
    }

    #[test]
    fn packed_rows_are_read_alike_by_every_kernel_at_every_length_offset_and_extreme() {
        let mut seed = 17;
        let mut byte = || random(&mut seed).to_bits().to_le_bytes()[1];
        let bytes: Vec<u8> = (0..1_400).map(|_| byte()).collect();
        let queries: Vec<i8> = (0..9_000)
            .map(|_| i8::from_le_bytes([byte()]).max(-127))
            .collect();
        let full = (
            vec![u8::MAX; 32_768],
            vec![-127i8; 65_536],
            vec![127i8; 65_536],
        );
        let packed = |kernels: &Kernels, bits, query: &[i8], row: &[u8]| {
            let mut dots = [0; 3];
            (kernels.packed)(bits, query, &[row, row, row], &mut dots);
            assert_eq!(dots, [dots[0]; 3]);
            dots[0]
        };
        for kernels in available() {
            for bits in [Bits::One, Bits::Two, Bits::Four] {
                for blocks in 0..16 {
                    for offset in [0, 1, 7] {
                        let row = &bytes[offset..offset + blocks * BLOCK];
                        let query = &queries[offset..offset + blocks * bits.per_block()];
                        let want = packed(&scalar::KERNELS, bits, query, row);
                        let got = packed(&kernels, bits, query, row);
                        assert_eq!(got, want, "{} {bits:?} {blocks}", kernels.name);
                    }
                }
                let row = &full.0[..65_536 / bits.per_byte()];
                let greatest = i32::from(bits.mask()) * 127 * 65_536;
                assert_eq!(
                    packed(&kernels, bits, &full.1, row),
                    -greatest,
                    "{}",
                    kernels.name
                );
                assert_eq!(
                    packed(&kernels, bits, &full.2, row),
                    greatest,
                    "{}",
                    kernels.name
                );
            }
        }
    }

    #[test]
    fn as_many_packed_rows_are_compared_as_there_are_however_much_room_there_is_for_sums() {
        let mut seed = 23;
        let mut byte = || random(&mut seed).to_bits().to_le_bytes()[1];
        let bytes: Vec<u8> = (0..2 * BLOCK + 11).map(|_| byte()).collect();
        let query: Vec<i8> = (0..1_024)
            .map(|_| i8::from_le_bytes([byte()]).max(-127))
            .collect();
        let rows: Vec<&[u8]> = (0..11).map(|at| &bytes[at..at + 2 * BLOCK]).collect();
        for kernels in available() {
            for bits in [Bits::One, Bits::Two, Bits::Four] {
                let query = &query[..2 * bits.per_block()];
                for count in 0..rows.len() {
                    let dots = |kernels: &Kernels| {
                        let mut dots = [7; 64];
                        (kernels.packed)(bits, query, &rows[..count], &mut dots);
                        dots
                    };
                    assert_eq!(
                        dots(&kernels),
                        dots(&scalar::KERNELS),
                        "{} {bits:?} {count}",
                        kernels.name
                    );
                }
            }
        }
    }

    #[test]
    fn butterflies_give_the_same_bits_everywhere() {
        let mut seed = 5;
        for kernels in available() {
            for len in [8, 16, 64, 512, 2_048] {
                let values: Vec<f32> = (0..len).map(|_| random(&mut seed)).collect();
                let run = |kernels: &Kernels| {
                    let mut values = values.clone();
                    (kernels.butterflies)(&mut values);
                    values.iter().map(|x| x.to_bits()).collect::<Vec<_>>()
                };
                assert_eq!(
                    run(&kernels),
                    run(&scalar::KERNELS),
                    "{} {len}",
                    kernels.name
                );
            }
        }
    }

    #[test]
    fn kernels_are_had_by_name_and_unknown_ones_refused_with_those_there_are() {
        assert_eq!(named(Some("scalar")).map(|it| it.name).ok(), Some("scalar"));
        assert_eq!(
            named(None).map(|it| it.name).ok(),
            Some(available()[0].name)
        );
        let refusal = named(Some("avx9"))
            .map(|it| it.name)
            .unwrap_err()
            .to_string();
        assert!(
            refusal.contains("avx9") && refusal.contains("scalar"),
            "{refusal}"
        );
    }

    #[test]
    fn codes_at_their_extremes_do_not_overflow() {
        for kernels in available() {
            let (high, low) = (vec![127i8; 65_536], vec![-127i8; 65_536]);
            assert_eq!(
                (kernels.dot_codes)(&high, &high),
                127 * 127 * 65_536,
                "{}",
                kernels.name
            );
            assert_eq!(
                (kernels.dot_codes)(&high, &low),
                -127 * 127 * 65_536,
                "{}",
                kernels.name
            );
            assert_eq!(
                (kernels.dot_codes)(&low, &low),
                127 * 127 * 65_536,
                "{}",
                kernels.name
            );
        }
    }
}
