//! The texts of the licences under which others have given what is in the binary: most of them ask whoever passes
//! it on to bring their words along. Each text stands there once, after the packages that brought it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::{Part, parts};

/// How the names of such files begin, in small letters.
const NAMES: [&str; 6] = [
    "license",
    "licence",
    "copying",
    "copyright",
    "notice",
    "unlicense",
];
/// A file that is longer holds something else.
const LONGEST: u64 = 256 << 10;
const LINE: &str =
    "--------------------------------------------------------------------------------";

/// Writes them.
pub(crate) fn write(path: &Path) -> Result<()> {
    let mut brought = Vec::new();
    for part in parts()?.into_iter().filter(|part| part.source.is_some()) {
        let texts = of_package(&part.dir)?;
        brought.push((part, texts));
    }
    let text = told(&brought);
    let (packages, kib) = (brought.len(), text.len() >> 10);
    eprintln!("licences: the texts of {packages} packages have {kib} KiB");
    fs::write(path, text).with_context(|| path.display().to_string())
}

/// The texts that lie in a package's folder, or one below it, where what it is built from may lie.
fn of_package(dir: &Path) -> Result<Vec<String>> {
    let mut texts = Vec::new();
    for entry in read_dir(dir)? {
        if entry.is_dir() {
            for below in read_dir(&entry)? {
                texts.extend(text(&below)?);
            }
        }
        texts.extend(text(&entry)?);
    }
    Ok(texts)
}

fn read_dir(dir: &Path) -> Result<Vec<std::path::PathBuf>> {
    let entries = fs::read_dir(dir).with_context(|| dir.display().to_string())?;
    let mut paths = entries
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn text(path: &Path) -> Result<Option<String>> {
    let name = path
        .file_name()
        .and_then(|it| it.to_str())
        .unwrap_or_default();
    let name = name.to_lowercase();
    let is_text = NAMES.iter().any(|start| name.starts_with(start))
        && !name.ends_with(".rs")
        && path.is_file()
        && fs::metadata(path)?.len() <= LONGEST;
    // What is no UTF-8 is no text of a licence.
    Ok(is_text.then(|| fs::read_to_string(path).ok()).flatten())
}

fn told(brought: &[(Part, Vec<String>)]) -> String {
    let mut by_text: BTreeMap<String, (&str, Vec<String>)> = BTreeMap::new();
    let mut without = Vec::new();
    for (part, texts) in brought {
        let name = format!("{} {} ({})", part.name, part.version, part.licence);
        if texts.is_empty() {
            let by = part.authors.join(", ");
            let by = if by.is_empty() {
                String::new()
            } else {
                format!(", by {by}")
            };
            without.push(format!("{name}{by}"));
        }
        for text in texts {
            // The same words, wherever lines are broken.
            let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
            let (_, names) = by_text.entry(words).or_insert((text.trim(), Vec::new()));
            if !names.contains(&name) {
                names.push(name.clone());
            }
        }
    }
    let mut told = String::from(
        "What others have written of doppel's binary, and under which licences. Where a package leaves a choice,\n\
         any of its licences may be taken.\n",
    );
    if !without.is_empty() {
        let list = without.join("\n");
        told +=
            &format!("\n{LINE}\nThese bring no text of the licence that they name:\n\n{list}\n");
    }
    let mut texts: Vec<_> = by_text.into_values().collect();
    // What most came under is told first.
    texts.sort_by_key(|(_, names)| std::cmp::Reverse(names.len()));
    for (text, names) in texts {
        told += &format!("\n{LINE}\n{}\n\n{text}\n", names.join("\n"));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(name: &str) -> Part {
        Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: "MIT".to_owned(),
            source: Some("registry".to_owned()),
            uses: Vec::new(),
            dir: ".".into(),
            authors: vec!["Ada".to_owned()],
        }
    }

    #[test]
    fn a_text_that_several_bring_stands_there_once_and_who_brings_none_is_named() {
        let brought = [
            (
                part("a"),
                vec!["Do as\nyou like".to_owned(), "Only here".to_owned()],
            ),
            (part("b"), vec!["Do as you   like\n".to_owned()]),
            (part("c"), Vec::new()),
        ];
        let told = told(&brought);
        assert_eq!(told.matches("you").count(), 1, "{told}");
        assert!(
            told.contains("a 1.0.0 (MIT)\nb 1.0.0 (MIT)\n\nDo as\nyou like\n"),
            "{told}"
        );
        assert!(told.contains("c 1.0.0 (MIT), by Ada"), "{told}");
        assert!(told.contains("a 1.0.0 (MIT)\n\nOnly here"), "{told}");
    }

    #[test]
    fn texts_are_found_in_the_folder_and_one_below_by_their_names() {
        let dir = std::env::temp_dir().join(format!("doppel-texts-{}", std::process::id()));
        fs::create_dir_all(dir.join("zstd")).unwrap();
        for (name, text) in [
            ("LICENSE-MIT", "one"),
            ("zstd/COPYING", "two"),
            ("license.rs", "code"),
            ("README.md", "no"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let found = of_package(&dir);
        fs::remove_dir_all(&dir).unwrap();
        assert_eq!(found.unwrap(), ["one", "two"]);
    }
}
