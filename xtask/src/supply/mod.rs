//! What others have written of what is shipped: under which licences and from where, the bill of
//! materials, and the texts of the licences. Reads only what `cargo metadata` says and the packages that lie here, so
//! it needs no network and no tool.

mod bill;
mod licence;
mod texts;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

pub(crate) use bill::write;
pub(crate) use texts::write as write_texts;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// A package that is part of the binary.
#[derive(Debug)]
pub(crate) struct Part {
    name: String,
    version: String,
    licence: String,
    /// Nothing for one of ours.
    source: Option<String>,
    /// Those that it is made of, by their place in the list.
    uses: Vec<usize>,
    /// Where it lies.
    dir: PathBuf,
    authors: Vec<String>,
}

/// The names of packages that something is wrong with, each with what; empty if all is well.
pub(crate) fn check() -> Result<()> {
    let allowed = allowed(&fs::read_to_string("deny.toml").context("deny.toml")?)?;
    let parts = parts()?;
    let mut findings = Vec::new();
    for part in &parts {
        let (name, version, licence) = (&part.name, &part.version, &part.licence);
        if !licence::is_within(licence, &|one| allowed.contains(one)) {
            findings.push(format!("{name} {version}: `{licence}` is not in deny.toml"));
        }
        if let Some(source) = part.source.as_ref().filter(|it| *it != REGISTRY) {
            findings.push(format!("{name} {version} comes from {source}"));
        }
    }
    if !findings.is_empty() {
        bail!("what is shipped:\n  {}", findings.join("\n  "));
    }
    let others = parts.iter().filter(|part| part.source.is_some()).count();
    eprintln!("licences: those of {others} packages are in order");
    Ok(())
}

/// The list of licences: quoted words, one a line.
fn allowed(deny: &str) -> Result<BTreeSet<String>> {
    let licences = deny.split_once("[licenses]").context("no [licenses]")?.1;
    let list = licences.split_once("allow = [").context("no list")?.1;
    let list = list.split_once(']').context("the list has no end")?.0;
    let words = list.split('"').skip(1).step_by(2);
    Ok(words.map(str::to_owned).collect())
}

/// What the binary is made for; the same as in `deny.toml`.
const TARGETS: [&str; 2] = ["x86_64-unknown-linux-gnu", "aarch64-unknown-linux-gnu"];

/// What the binary is made of; neither tests nor what only builds it.
pub(crate) fn parts() -> Result<Vec<Part>> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--format-version", "1", "--locked"]);
    for target in TARGETS {
        command.args(["--filter-platform", target]);
    }
    let output = command.output()?;
    if !output.status.success() {
        bail!(
            "cargo metadata: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    parts_of(&serde_json::from_slice(&output.stdout).context("cargo metadata is not JSON")?)
}

fn parts_of(metadata: &Value) -> Result<Vec<Part>> {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let nodes: BTreeMap<String, Vec<String>> = list(&metadata["resolve"]["nodes"])
        .iter()
        .map(|node| {
            let normal = |used: &&Value| {
                list(&used["dep_kinds"])
                    .iter()
                    .any(|it| it["kind"].is_null())
            };
            let uses = list(&node["deps"]);
            let uses = uses.iter().filter(normal).map(|used| text(&used["pkg"]));
            (text(&node["id"]), uses.collect())
        })
        .collect();
    let packages = list(&metadata["packages"]);
    let start = packages.iter().find(|it| it["name"] == "cli");
    let mut order = vec![text(&start.context("there is no package `cli`")?["id"])];
    let mut place = BTreeMap::from([(order[0].clone(), 0)]);
    let mut at = 0;
    while let Some(id) = order.get(at).cloned() {
        for used in nodes.get(&id).into_iter().flatten() {
            if !place.contains_key(used) {
                place.insert(used.clone(), order.len());
                order.push(used.clone());
            }
        }
        at += 1;
    }
    let parts = order.iter().map(|id| {
        let package = packages.iter().find(|it| it["id"] == **id);
        let package = package.with_context(|| format!("cargo tells nothing of {id}"))?;
        let uses = nodes.get(id).into_iter().flatten();
        Ok(Part {
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: text(&package["license"]),
            source: package["source"].as_str().map(str::to_owned),
            uses: uses.filter_map(|used| place.get(used).copied()).collect(),
            dir: PathBuf::from(text(&package["manifest_path"])).with_file_name(""),
            authors: list(&package["authors"]).iter().map(text).collect(),
        })
    });
    parts.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_what_the_binary_is_made_of_counts() {
        let package =
            |name: &str| json!({"id": name, "name": name, "version": "1.0.0", "license": "MIT"});
        let used = |name: &str, kind: Value| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
        let packages = ["cli", "a", "b", "only-tests", "only-builds"].map(package);
        let metadata = json!({
            "packages": packages,
            "resolve": {"nodes": [
                {"id": "cli", "deps": [used("a", Value::Null), used("only-tests", json!("dev"))]},
                {"id": "a", "deps": [used("b", Value::Null), used("only-builds", json!("build"))]},
            ]},
        });
        let parts = parts_of(&metadata).unwrap();
        let names: Vec<_> = parts.iter().map(|part| part.name.as_str()).collect();
        assert_eq!(names, ["cli", "a", "b"]);
        assert_eq!(parts[0].uses, [1]);
    }

    #[test]
    fn the_list_is_read_from_the_file() {
        let deny = "[graph]\nx = [\"no\"]\n[licenses]\nallow = [\n  \"MIT\",\n  \"ISC\",\n]\n";
        let allowed = allowed(deny).unwrap();
        assert_eq!(allowed.into_iter().collect::<Vec<_>>(), ["ISC", "MIT"]);
    }
}
