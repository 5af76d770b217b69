//! The table of crates: which of ours each may use, and which outside library lives in which.
//! ARCHITECTURE.md shows the same table to people.

use anyhow::{Context, Result};
use serde_json::Value;

use super::Finding;

/// A crate of ours and the ones of ours it may use.
const MAY_USE: [(&str, &[&str]); 12] = [
    ("hnsw", &[]),
    ("storage", &[]),
    ("jetstream", &["storage"]),
    ("engine", &["hnsw", "storage"]),
    ("embedder", &[]),
    ("config", &[]),
    ("migrations", &["storage"]),
    (
        "server",
        &[
            "engine",
            "embedder",
            "config",
            "jetstream",
            "migrations",
            "storage",
        ],
    ),
    ("train", &[]),
    ("cli", &["server", "config", "embedder", "train", "hnsw"]),
    (
        "benches",
        &[
            "hnsw",
            "storage",
            "engine",
            "embedder",
            "config",
            "jetstream",
            "migrations",
            "server",
            "cli",
        ],
    ),
    ("xtask", &[]),
];

/// A library and the only crates it may appear in, tests aside: what a crate is the home of can be
/// replaced by changing that crate alone.
const HOMES: [(&str, &[&str]); 29] = [
    ("async-nats", &["jetstream"]),
    ("object_store", &["jetstream"]),
    ("reqwest", &["jetstream"]),
    ("candle-core", &["train"]),
    ("prost", &["train"]),
    ("sled", &["storage"]),
    ("rmp-serde", &["storage", "server"]),
    ("serde_bytes", &["storage"]),
    ("crc32c", &["storage"]),
    ("ort", &["embedder"]),
    ("image", &["embedder"]),
    ("fast_image_resize", &["embedder"]),
    ("kamadak-exif", &["embedder"]),
    ("zip", &["embedder"]),
    ("actix-http", &["server"]),
    ("actix-service", &["server"]),
    ("actix-web", &["server"]),
    ("actix-multipart", &["server"]),
    ("schemars", &["server"]),
    ("tokio", &["server", "jetstream"]),
    ("prometheus", &["server"]),
    ("clap", &["cli", "benches"]),
    ("clap_complete", &["cli"]),
    ("clap_mangen", &["cli"]),
    ("indicatif", &["cli"]),
    ("toml", &["config"]),
    ("crossbeam-channel", &["engine"]),
    ("tracing-subscriber", &["cli"]),
    ("anyhow", &["cli", "benches", "xtask"]),
];

/// One crate of the workspace.
pub(crate) struct Package {
    name: String,
    uses: Vec<Use>,
}

struct Use {
    name: String,
    only_in_tests: bool,
}

/// The crates that `cargo metadata` lists.
pub(crate) fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let packages = metadata["packages"].as_array();
    let packages = packages.context("cargo metadata lists no packages")?;
    packages.iter().map(package).collect()
}

fn package(value: &Value) -> Result<Package> {
    let name = value["name"].as_str().context("a package has no name")?;
    let uses = value["dependencies"].as_array();
    let uses = uses.context("a package has no dependencies")?.iter();
    let uses = uses.map(|dependency| {
        Some(Use {
            name: dependency["name"].as_str()?.to_owned(),
            only_in_tests: dependency["kind"] == "dev",
        })
    });
    Ok(Package {
        name: name.to_owned(),
        uses: uses
            .collect::<Option<_>>()
            .context("a dependency has no name")?,
    })
}

/// Compares the workspace with both tables.
pub(crate) fn check(packages: &[Package]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, _) in MAY_USE {
        if !packages.iter().any(|package| package.name == name) {
            findings.push(format!(
                "xtask: the table of crates names `{name}`, which is not there"
            ));
        }
    }
    for package in packages {
        let Some((name, allowed)) = MAY_USE.iter().find(|(name, _)| *name == package.name) else {
            findings.push(format!("{}: not in the table of crates", package.name));
            continue;
        };
        for used in &package.uses {
            findings.extend(refused(name, allowed, used));
        }
    }
    findings
}

fn refused(name: &str, allowed: &[&str], used: &Use) -> Option<Finding> {
    let used_name = used.name.as_str();
    let ours = MAY_USE.iter().any(|(name, _)| *name == used_name);
    if ours && used_name != name && !allowed.contains(&used_name) {
        return Some(format!(
            "{name}/Cargo.toml: may not depend on `{used_name}`"
        ));
    }
    let (_, homes) = HOMES.iter().find(|(library, _)| *library == used_name)?;
    (!used.only_in_tests && !homes.contains(&name)).then(|| {
        let homes = homes.join(", ");
        format!("{name}/Cargo.toml: `{used_name}` lives only in {homes}")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The workspace as it may be, with one more dependency.
    fn with(name: &str, used: &str, only_in_tests: bool) -> Vec<Finding> {
        let mut packages: Vec<_> = MAY_USE
            .iter()
            .map(|(name, _)| Package {
                name: (*name).to_owned(),
                uses: Vec::new(),
            })
            .collect();
        let package = packages.iter_mut().find(|package| package.name == name);
        package.unwrap().uses.push(Use {
            name: used.to_owned(),
            only_in_tests,
        });
        check(&packages)
    }

    #[test]
    fn an_arrow_that_is_in_the_table_passes() {
        assert!(with("engine", "storage", false).is_empty());
        assert!(with("server", "tokio", false).is_empty());
        assert!(with("server", "serde", false).is_empty());
    }

    #[test]
    fn an_arrow_that_is_not_in_the_table_is_found_even_in_tests() {
        let expected = ["hnsw/Cargo.toml: may not depend on `storage`"];
        assert_eq!(with("hnsw", "storage", false), expected);
        assert_eq!(with("hnsw", "storage", true), expected);
    }

    #[test]
    fn a_library_outside_its_home_is_found_but_not_in_tests() {
        let expected = ["engine/Cargo.toml: `sled` lives only in storage"];
        assert_eq!(with("engine", "sled", false), expected);
        assert!(with("server", "image", true).is_empty());
    }

    #[test]
    fn a_crate_that_the_table_does_not_know_is_found_and_so_is_one_that_is_gone() {
        let stranger = Package {
            name: "stranger".to_owned(),
            uses: Vec::new(),
        };
        let findings = check(&[stranger]);
        assert!(findings.contains(&"stranger: not in the table of crates".to_owned()));
        assert_eq!(findings.len(), 1 + MAY_USE.len());
    }

    #[test]
    fn the_metadata_of_this_workspace_is_understood() {
        let packages = packages(&super::super::metadata().unwrap()).unwrap();
        let cli = packages
            .iter()
            .find(|package| package.name == "cli")
            .unwrap();
        assert!(cli.uses.iter().any(|used| used.name == "clap"));
        assert!(cli.uses.iter().any(|used| used.only_in_tests));
    }
}
