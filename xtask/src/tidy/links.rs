//! Relative links in Markdown lead to files of the repository, and their `#anchor` to a heading.
//! Links to the web are not followed.

use std::collections::BTreeSet;

use super::{Finding, TextFile};

/// Every link of a Markdown file that leads nowhere.
pub(crate) fn check(file: &TextFile, paths: &BTreeSet<String>) -> Vec<Finding> {
    if !file.path.ends_with(".md") {
        return Vec::new();
    }
    let broken = prose(&file.text).flat_map(|(line, text)| {
        let links = targets(text).filter(|link| !resolves(file, link, paths));
        links.map(move |link| format!("{}:{line}: `{link}` leads nowhere", file.path))
    });
    broken.collect()
}

/// Numbered lines outside fenced code.
fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut fenced = false;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        (!fenced && !fence).then_some((at + 1, line))
    })
}

fn targets(line: &str) -> impl Iterator<Item = &str> {
    line.split("](")
        .skip(1)
        .filter_map(|rest| rest.split([')', ' ']).next())
}

fn resolves(file: &TextFile, link: &str, paths: &BTreeSet<String>) -> bool {
    if link.contains("://") || link.starts_with("mailto:") {
        return true;
    }
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    if path.is_empty() {
        return prose(&file.text).any(|(_, line)| anchor_of(line).as_deref() == Some(anchor));
    }
    let folder = file.path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let Some(target) = normalised(folder, path) else {
        return false;
    };
    let inside = format!("{}/", target.trim_end_matches('/'));
    target.is_empty() || paths.contains(&target) || paths.iter().any(|p| p.starts_with(&inside))
}

/// A path from the root; nothing if it leaves the repository.
fn normalised(folder: &str, path: &str) -> Option<String> {
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

/// The anchor that a heading gets on the usual hosts.
fn anchor_of(line: &str) -> Option<String> {
    let title = line.strip_prefix('#')?.trim_start_matches('#').trim();
    let kept = title.to_lowercase().replace(' ', "-");
    Some(
        kept.chars()
            .filter(|c| c.is_alphanumeric() || "-_".contains(*c))
            .collect(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(text: &str) -> Vec<Finding> {
        let paths = ["README.md", "docs/guide.md", "storage/FORMAT.md"];
        let paths = paths.into_iter().map(str::to_owned).collect();
        let file = TextFile {
            path: "docs/guide.md".to_owned(),
            text: text.to_owned(),
        };
        check(&file, &paths)
    }

    #[test]
    fn links_that_lead_to_a_file_a_folder_a_heading_or_the_web_pass() {
        let text = "# A Heading, here\n[a](../README.md) [b](../storage/FORMAT.md#x) [c](../storage)\n\
                    [d](#a-heading-here) [e](https://example.org/x) [f](guide.md \"title\") [g](..)\n";
        assert_eq!(broken(text), Vec::<Finding>::new());
    }

    #[test]
    fn a_link_to_a_file_that_is_not_there_is_found_with_its_line() {
        let expected = ["docs/guide.md:2: `README.md` leads nowhere"];
        assert_eq!(broken("\n[a](README.md)\n"), expected);
    }

    #[test]
    fn a_link_out_of_the_repository_or_to_no_heading_is_found() {
        assert_eq!(broken("[a](../../README.md) [b](#nothing)").len(), 2);
    }

    #[test]
    fn links_in_fenced_code_are_no_links() {
        assert!(broken("```\n[a](nowhere.md)\n```\n").is_empty());
    }
}
