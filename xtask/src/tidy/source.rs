//! Rules for Rust sources: how a file begins, how long it grows, where `unsafe` and the file
//! system may stand.

use super::lexer::{code_only, words};
use super::{Finding, TextFile};

const MAX_LINES: usize = 500;

/// Files that may be longer, each with the reason.
const LONGER: [(&str, &str); 0] = [];

/// The only homes of `unsafe`: SIMD, and mapped memory.
const UNSAFE_HOMES: [&str; 2] = ["hnsw/src/distance", "hnsw/src/memory"];

/// Where `std::fs` may stand beside tests, each with the reason. Everything that is data of the
/// database goes through `storage`.
const FILES_HOMES: [(&str, &str); 12] = [
    (
        "hnsw/src/memory/scratch.rs",
        "it maps a file that it is handed, which is nobody's record",
    ),
    ("storage/", "it is the home of every byte on disk"),
    ("migrations/", "steps change files of old formats in place"),
    (
        "embedder/src/models",
        "models are obtained into a folder of their own",
    ),
    ("config/src/file.rs", "it reads the settings file"),
    (
        "jetstream/src/store/elsewhere.rs",
        "it removes what is left of uploads, which `object_store` does not list",
    ),
    ("server/src/tls/", "it reads certificates"),
    (
        "server/src/memory/given.rs",
        "it reads what the system says of memory",
    ),
    ("train/src/file.rs", "it keeps where a training stands"),
    ("cli/", "it reads users' photos and writes reports"),
    ("benches/", "they read data sets and write results"),
    ("xtask/", "it reads the sources"),
];

/// All rules for one file.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    if !is_rust(&file.path) {
        return Vec::new();
    }
    let code = code_only(&file.text);
    let rules = [
        begins(file),
        length(file),
        unsafe_code(file, &code),
        file_access(file, &code),
    ];
    rules.into_iter().flatten().collect()
}

/// Exceptions that nothing needs any more.
pub(crate) fn stale_exceptions(files: &[TextFile]) -> Vec<Finding> {
    let needed = |path: &str| {
        let file = files.iter().find(|file| file.path == path);
        file.is_some_and(|file| file.text.lines().count() > MAX_LINES)
    };
    let stale = LONGER.iter().filter(|(path, _)| !needed(path));
    stale
        .map(|(path, _)| format!("xtask: `{path}` is listed as longer than {MAX_LINES} lines"))
        .collect()
}

fn is_rust(path: &str) -> bool {
    std::path::Path::new(path)
        .extension()
        .is_some_and(|extension| extension == "rs")
}

fn begins(file: &TextFile) -> Option<Finding> {
    let fine = file.text.starts_with("//! ");
    (!fine).then(|| format!("{}:1: must begin with `//! ` and what it is for", file.path))
}

fn length(file: &TextFile) -> Option<Finding> {
    let lines = file.text.lines().count();
    let listed = LONGER.iter().any(|(path, _)| *path == file.path);
    (lines > MAX_LINES && !listed)
        .then(|| format!("{}: {lines} lines, more than {MAX_LINES}", file.path))
}

fn unsafe_code(file: &TextFile, code: &str) -> Option<Finding> {
    if UNSAFE_HOMES.iter().any(|home| file.path.starts_with(home)) {
        return None;
    }
    let mut lines = code.lines().enumerate();
    let (at, _) = lines.find(|(_, line)| words(line).any(|word| word == "unsafe"))?;
    Some(format!(
        "{}:{}: `unsafe` outside {}",
        file.path,
        at + 1,
        UNSAFE_HOMES.join(" and ")
    ))
}

fn file_access(file: &TextFile, code: &str) -> Option<Finding> {
    let homes = FILES_HOMES.map(|(home, _)| home);
    let of_tests = ["/tests/", "/tests.rs"]
        .iter()
        .any(|part| file.path.contains(part));
    if of_tests || homes.iter().any(|home| file.path.starts_with(home)) {
        return None;
    }
    let shipped = code.split("#[cfg(test)]").next()?;
    let found = shipped.contains("std::fs") || names_fs_in_a_group(shipped);
    found.then(|| {
        format!(
            "{}: uses `std::fs`, which belongs to {}",
            file.path,
            homes.join(", ")
        )
    })
}

/// `use std::{fs, ...}`
fn names_fs_in_a_group(code: &str) -> bool {
    let mut groups = code.split("std::{").skip(1);
    groups.any(|rest| {
        let group = rest.split(';').next().unwrap_or_default();
        words(group).any(|word| word == "fs")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(path: &str, text: &str) -> Vec<Finding> {
        check(&TextFile {
            path: path.to_owned(),
            text: text.to_owned(),
        })
    }

    #[test]
    fn a_file_without_its_opening_words_is_found() {
        assert_eq!(findings("a/src/b.rs", "fn main() {}\n").len(), 1);
        assert_eq!(findings("a/src/b.rs", "//!\nfn main() {}\n").len(), 1);
        assert!(findings("a/src/b.rs", "//! What for.\nfn main() {}\n").is_empty());
    }

    #[test]
    fn a_long_file_is_found() {
        let long = format!("//! Long.\n{}", "\n".repeat(MAX_LINES));
        assert_eq!(findings("a/src/b.rs", &long).len(), 1);
        assert!(findings("a/src/b.rs", &long[..long.len() - 1]).is_empty());
    }

    #[test]
    fn unsafe_code_is_found_outside_its_home_and_only_as_code() {
        let text = "//! Kernels.\nfn f() { unsafe { g() } }\n";
        let expected =
            ["hnsw/src/graph.rs:2: `unsafe` outside hnsw/src/distance and hnsw/src/memory"];
        assert_eq!(findings("hnsw/src/graph.rs", text), expected);
        assert!(findings("hnsw/src/distance/avx2.rs", text).is_empty());
        let words =
            "//! Not unsafe.\n#![deny(unsafe_code)] // unsafe\nconst A: &str = \"unsafe\";\n";
        assert!(findings("hnsw/src/graph.rs", words).is_empty());
    }

    #[test]
    fn file_access_is_found_outside_its_homes_however_it_is_imported() {
        let imports = [
            "use std::fs::File;",
            "use std::{fs, io};",
            "use std::{\n io,\n fs::File\n};",
        ];
        for import in imports {
            let text = format!("//! Points.\n{import}\n");
            assert_eq!(findings("engine/src/point.rs", &text).len(), 1, "{import}");
            assert!(findings("storage/src/disk.rs", &text).is_empty());
            assert!(findings("engine/tests/model.rs", &text).is_empty());
        }
    }

    #[test]
    fn file_access_in_a_test_module_is_fine() {
        let text = "//! Points.\n#[cfg(test)]\nmod tests {\n    use std::fs;\n}\n";
        assert!(findings("engine/src/point.rs", text).is_empty());
    }

    #[test]
    fn other_files_are_left_alone() {
        assert!(findings("README.md", "unsafe std::fs").is_empty());
    }
}
