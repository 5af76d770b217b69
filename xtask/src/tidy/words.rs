//! Words that no committed file holds: notes to oneself and paths of one machine. They are spelt
//! in two halves here, because this file is checked too.

use super::{Finding, TextFile};

/// Notes to oneself: what is left to do belongs into an issue.
const NOTES: [&str; 4] = [
    concat!("TO", "DO"),
    concat!("FIX", "ME"),
    concat!("X", "XX"),
    concat!("db", "g!"),
];

/// Folders that exist on one machine only.
const MACHINE_PATHS: [&str; 3] = [
    concat!("/wo", "rk/"),
    concat!("/tmp/", "doppel"),
    concat!("/ro", "ot/"),
];

/// Every line with such a word.
pub(crate) fn check(file: &TextFile) -> Vec<Finding> {
    let lines = file.text.lines().enumerate();
    let found = lines.filter_map(|(at, line)| {
        let what = offence(line)?;
        Some(format!("{}:{}: {what}", file.path, at + 1))
    });
    found.collect()
}

fn offence(line: &str) -> Option<String> {
    if let Some(note) = NOTES.iter().find(|note| has_word(line, note)) {
        return Some(format!("`{note}`: settle it or open an issue"));
    }
    let path = MACHINE_PATHS.iter().find(|path| line.contains(**path))?;
    Some(format!("`{path}` is a path of one machine"))
}

fn has_word(line: &str, word: &str) -> bool {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(word).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + word.len()..]);
        edge(before.chars().next_back()) && (word.ends_with('!') || edge(after.chars().next()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(line: &str) -> usize {
        check(&TextFile {
            path: "a.rs".to_owned(),
            text: format!("fine\n{line}\n"),
        })
        .len()
    }

    #[test]
    fn every_note_is_found_as_a_word() {
        for note in NOTES {
            assert_eq!(findings(&format!("// {note}(me) later")), 1, "{note}");
            assert_eq!(findings(&format!("let a{note} = 1;")), 0, "{note}");
        }
    }

    #[test]
    fn every_path_of_a_machine_is_found() {
        for path in MACHINE_PATHS {
            assert_eq!(findings(&format!("see {path}x")), 1, "{path}");
        }
        assert_eq!(findings("work/ and tmp/doppel"), 0);
    }
}
