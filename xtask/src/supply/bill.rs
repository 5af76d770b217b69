//! The bill of materials of the binary, as CycloneDX 1.5 in JSON (ECMA-424): each package with its
//! version, licence and the checksum that the lock file holds it to, and which is made of which.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{Part, parts};

/// Writes it.
pub(crate) fn write(path: &Path) -> Result<()> {
    let checksums = checksums(&fs::read_to_string("Cargo.lock").context("Cargo.lock")?);
    let bill = bill(&parts()?, &checksums);
    let text = serde_json::to_string_pretty(&bill)?;
    fs::write(path, text).with_context(|| path.display().to_string())
}

fn bill(parts: &[Part], checksums: &BTreeMap<(String, String), String>) -> Value {
    let name = |part: &Part| format!("pkg:cargo/{}@{}", part.name, part.version);
    let component = |part: &Part| {
        let key = (part.name.clone(), part.version.clone());
        let mut told = json!({
            "type": "library", "bom-ref": name(part), "purl": name(part),
            "name": part.name, "version": part.version,
            "licenses": [{"expression": part.licence.replace('/', " OR ")}],
        });
        if let Some(checksum) = checksums.get(&key) {
            told["hashes"] = json!([{"alg": "SHA-256", "content": checksum}]);
        }
        told
    };
    let made_of = |part: &Part| {
        let uses = part.uses.iter().map(|used| name(&parts[*used]));
        json!({"ref": name(part), "dependsOn": uses.collect::<Vec<_>>()})
    };
    let first = parts.first();
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "version": 1,
        "metadata": {"component": first.map(|cli| json!({
            "type": "application", "bom-ref": name(cli), "name": "doppel", "version": cli.version,
        }))},
        "components": parts.iter().skip(1).map(component).collect::<Vec<_>>(),
        "dependencies": parts.iter().map(made_of).collect::<Vec<_>>(),
    })
}

/// By name and version.
fn checksums(lock: &str) -> BTreeMap<(String, String), String> {
    let of = |package: &str, key: &str| {
        let line = package.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|line| Some(line.strip_prefix(" = \"")?.strip_suffix('"')?.to_owned()))
    };
    let packages = lock.split("[[package]]").filter_map(|package| {
        let key = (of(package, "name")?, of(package, "version")?);
        Some((key, of(package, "checksum")?))
    });
    packages.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_package_is_told_with_its_licence_checksum_and_parts() {
        let part = |name: &str, licence: &str, uses: &[usize]| Part {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            licence: licence.to_owned(),
            source: None,
            uses: uses.to_vec(),
            dir: ".".into(),
            authors: Vec::new(),
        };
        let parts = [part("cli", "MIT", &[1]), part("a", "MIT/ISC", &[])];
        let lock = "[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nchecksum = \"ab\"\n";
        let bill = bill(&parts, &checksums(lock));
        let a = &bill["components"][0];
        assert_eq!(a["purl"], "pkg:cargo/a@1.0.0");
        assert_eq!(a["licenses"][0]["expression"], "MIT OR ISC");
        assert_eq!(a["hashes"][0]["content"], "ab");
        assert_eq!(bill["dependencies"][0]["dependsOn"][0], "pkg:cargo/a@1.0.0");
    }
}
