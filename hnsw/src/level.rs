//! The level of a point: geometric with factor 1/ln(M) as in the paper, but drawn from a hash of
//! the point's id, so that every replay draws the same.

use crate::limits::MAX_LEVEL;

/// The level for a well-mixed 64-bit seed.
pub(crate) fn level(seed: u64, m: usize) -> u8 {
    // P(level >= l) = M^-l: count how often the seed falls below a shrinking bound.
    let m = m.max(2) as u64;
    let mut bound = u64::MAX / m;
    let mut level = 0;
    while level < MAX_LEVEL && seed < bound {
        bound /= m;
        level += 1;
    }
    level
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_point_in_m_reaches_the_next_level() {
        let count = |l| {
            (0..100_000u64)
                .filter(|i| level(i.wrapping_mul(0x9e37_79b9_7f4a_7c15), 16) >= l)
                .count()
        };
        assert!((6_000..6_500).contains(&count(1)), "{}", count(1));
        assert!((350..430).contains(&count(2)), "{}", count(2));
    }
}
