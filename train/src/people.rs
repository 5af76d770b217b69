//! People who are learned from, and people who are kept out of it. Which of both somebody is follows
//! from seed and name alone, so that whoever measures later can find the same people again.

use sha2::{Digest, Sha256};

/// Whether somebody is kept out, where the share `part` of all people is.
pub fn split(seed: u64, name: &str, part: f64) -> bool {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(name.as_bytes());
    let bytes = hash.finalize();
    let first = bytes
        .iter()
        .take(6)
        .fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    (first as f64) < part * (1_u64 << 48) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn about_the_share_that_is_asked_for_is_kept_out_and_another_seed_keeps_out_others() {
        let names: Vec<String> = (0..4_000).map(|n| format!("person {n}")).collect();
        let out = |seed: u64| {
            names
                .iter()
                .map(|name| split(seed, name, 0.3))
                .collect::<Vec<_>>()
        };
        let count = out(1).iter().filter(|out| **out).count();
        assert!((1_100..1_300).contains(&count), "{count}");
        assert_eq!(out(1), out(1));
        assert_ne!(out(1), out(2));
    }
}
