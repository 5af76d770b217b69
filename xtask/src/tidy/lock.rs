//! Cargo.lock names one registry, the public one, so that a clone builds everywhere.

use super::{Finding, TextFile};

const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// Every package of a lock file that comes from elsewhere.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if file.path != "Cargo.lock" {
        return Vec::new();
    }
    let lines = file.text.lines().enumerate();
    let sources = lines.filter_map(|(at, line)| {
        let source = line.strip_prefix("source = ")?.trim_matches('"');
        Some((at + 1, source))
    });
    let foreign = sources.filter(|(_, source)| *source != CRATES_IO);
    foreign
        .map(|(line, source)| format!("{}:{line}: `{source}` is not crates.io", file.path))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(source: &str) -> usize {
        check(&TextFile {
            path: "Cargo.lock".to_owned(),
            text: format!("[[package]]\nname = \"a\"\nsource = \"{source}\"\n"),
        })
        .len()
    }

    #[test]
    fn only_crates_io_passes() {
        assert_eq!(findings(CRATES_IO), 0);
        assert_eq!(findings("registry+https://mirror.example/index"), 1);
        assert_eq!(findings("sparse+https://index.crates.io/"), 1);
        assert_eq!(findings("git+https://github.com/a/b#c"), 1);
    }
}
