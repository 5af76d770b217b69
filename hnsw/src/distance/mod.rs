//! The kernels that compare two vectors, chosen once at run time by what the CPU can do.
//!
//! `scalar` is the specification; every other kernel is tested against it. `DOPPEL_SIMD` set to
//! `scalar`, `avx2`, `avx512` or `neon` forces one, if the CPU has it. Slices of different length
//! are compared over the shorter one.
#![expect(unsafe_code, reason = "SIMD intrinsics; the only module that may")]

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod scalar;

use std::sync::OnceLock;

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
    all.push(neon::KERNELS);
    all.push(scalar::KERNELS);
    all
}

/// The kernels in use.
pub fn kernels() -> &'static Kernels {
    static CHOSEN: OnceLock<Kernels> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let all = available();
        let forced = std::env::var("DOPPEL_SIMD").ok();
        let wanted =
            forced.and_then(|name| all.iter().find(|kernels| kernels.name == name).copied());
        wanted.or(all.first().copied()).unwrap_or(scalar::KERNELS)
    })
}

/// Asks for the first bytes of a row to be brought near.
pub(crate) fn prefetch<T>(row: &[T]) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let bytes = size_of_val(row).min(1024);
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
