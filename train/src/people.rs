//! People who are learned from, and people who are kept out of it. Which of both somebody is follows
//! from seed and name alone, so that whoever measures later can find the same people again, in folders of
//! photos (`Ada_Lovelace`) as in a collection that was made of them (`Ada Lovelace`).

use sha2::{Digest, Sha256};

/// A name in the one way in which all its spellings are written here: its words with one `_` between them,
/// however many blanks and `_` there were. Capital letters count.
pub fn one_spelling(name: &str) -> String {
    let words = name.split(|it: char| it == '_' || it.is_whitespace());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("_")
}

/// Whether somebody is kept out, where the share `part` of all people is.
pub fn split(seed: u64, name: &str, part: f64) -> bool {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(one_spelling(name));
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

    #[test]
    fn whether_somebody_is_kept_out_does_not_depend_on_how_spaces_are_written() {
        for n in 0..200 {
            let out = |name: String| split(7, &name, 0.5);
            let plain = out(format!("Ada_de_{n}"));
            assert_eq!(out(format!("Ada de {n}")), plain);
            assert_eq!(out(format!(" Ada_de {n}_")), plain);
            assert_eq!(out(format!("Ada  de _\u{a0}{n}")), plain);
        }
        assert_ne!(one_spelling("Ada Lovelace"), one_spelling("ada lovelace"));
        assert_eq!(one_spelling("Ada Lovelace"), one_spelling("Ada_Lovelace"));
        assert_ne!(one_spelling("Ada Lovelace"), one_spelling("AdaLovelace"));
    }
}
