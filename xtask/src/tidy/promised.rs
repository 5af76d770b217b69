//! Tests that a document names are there: a promise that a test is said to hold has one.

use super::{Finding, TextFile};

/// Whole sentences only; shorter names are of other things too.
const SENTENCE: usize = 6;

/// Every name in a Markdown file that reads like a test's and is none.
pub(crate) fn check(files: &[TextFile]) -> Vec<Finding> {
    let (documents, rest): (Vec<_>, Vec<_>) = files.iter().partition(|it| is_document(it));
    let sources: Vec<_> = rest.iter().filter(|it| it.path.ends_with(".rs")).collect();
    let is_there = |name: &str| {
        let head = format!("fn {name}(");
        sources.iter().any(|file| file.text.contains(&head))
    };
    let mut findings = Vec::new();
    for file in documents {
        for (at, line) in file.text.lines().enumerate() {
            let missing = sentences(line).filter(|name| !is_there(name));
            findings.extend(missing.map(|name| {
                let line = at + 1;
                format!("{}:{line}: there is no test `{name}`", file.path)
            }));
        }
    }
    findings
}

fn is_document(file: &TextFile) -> bool {
    file.path.ends_with(".md")
}

/// Names in backticks of at least so many words.
fn sentences(line: &str) -> impl Iterator<Item = &str> {
    let quoted = line.split('`').skip(1).step_by(2);
    quoted.filter(|it| {
        let of_words = it
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_');
        of_words && it.split('_').filter(|word| !word.is_empty()).count() >= SENTENCE
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, text: &str) -> TextFile {
        TextFile {
            path: path.into(),
            text: text.into(),
        }
    }

    #[test]
    fn a_name_of_a_test_that_is_not_there_is_found() {
        let files = [
            file(
                "a.md",
                "| x | `what_was_put_here_is_there`, `what_was_put_here_is_gone` and `fn_of_two` |",
            ),
            file("a.rs", "fn what_was_put_here_is_there() {}"),
        ];
        assert_eq!(
            check(&files),
            ["a.md:1: there is no test `what_was_put_here_is_gone`"]
        );
    }
}
