//! What holds for the whole tree and no compiler checks: who may depend on whom, where `unsafe`
//! and file access may stand, how files begin and how long they grow, links, tests that documents
//! name, left-over notes, paths of one machine, registries. All findings are printed, not only the first.
//!
//! Each rule is a pure function from text to findings, and has a test that shows it can fail.

mod crates;
mod lexer;
mod links;
mod lock;
mod promised;
mod source;
mod words;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// A file of the repository: its path from the root, with `/`, and its text.
pub(crate) struct TextFile {
    pub(crate) path: String,
    pub(crate) text: String,
}

/// Something that is not as it should be, and where.
pub(crate) type Finding = String;

/// Checks the repository that holds the working directory.
pub(crate) fn run() -> Result<()> {
    let metadata = metadata()?;
    let root = metadata["workspace_root"].as_str();
    let root = PathBuf::from(root.context("cargo metadata names no workspace root")?);
    let paths = repository_files(&root)?;
    let files = read_texts(&root, &paths)?;
    let mut findings = crates::check(&crates::packages(&metadata)?);
    for file in &files {
        findings.extend(source::check(file));
        findings.extend(words::check(file));
        findings.extend(links::check(file, &paths));
        findings.extend(lock::check(file));
    }
    findings.extend(source::stale_exceptions(&files));
    findings.extend(promised::check(&files));
    if findings.is_empty() {
        eprintln!("tidy: {} files are in order", files.len());
        return Ok(());
    }
    for finding in &findings {
        eprintln!("{finding}");
    }
    bail!("tidy: {} findings", findings.len());
}

/// What cargo knows about this workspace, dependencies of dependencies left out.
pub(crate) fn metadata() -> Result<Value> {
    let arguments = [
        "metadata",
        "--format-version",
        "1",
        "--no-deps",
        "--offline",
    ];
    let output = Command::new("cargo").args(arguments).output()?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")
}

/// Tracked files and those that would be; never what git ignores.
fn repository_files(root: &Path) -> Result<BTreeSet<String>> {
    let arguments = [
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ];
    let output = Command::new("git")
        .args(arguments)
        .current_dir(root)
        .output()
        .context("cannot run git")?;
    if !output.status.success() {
        bail!("git ls-files: {}", String::from_utf8_lossy(&output.stderr));
    }
    let listing = String::from_utf8(output.stdout).context("a path is not UTF-8")?;
    let paths = listing.split('\0').filter(|path| !path.is_empty());
    let present = paths.filter(|path| root.join(path).is_file());
    Ok(present.map(str::to_owned).collect())
}

/// Files that are not UTF-8 are no text and are left out.
fn read_texts(root: &Path, paths: &BTreeSet<String>) -> Result<Vec<TextFile>> {
    let mut files = Vec::new();
    for path in paths {
        let bytes = std::fs::read(root.join(path)).with_context(|| path.clone())?;
        if let Ok(text) = String::from_utf8(bytes) {
            let path = path.clone();
            files.push(TextFile { path, text });
        }
    }
    Ok(files)
}
