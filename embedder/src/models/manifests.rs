//! The manifests there are: those that come with doppel, and those in a folder of models, which come
//! before them where the names are the same.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use super::error::InstallError;
use crate::limits::MANIFEST_BYTES;
use crate::manifest::Manifest;

const END: &str = ".manifest.json";

/// The pipelines that can be had in a folder of models, the default first, then by their names. The
/// folder need not be there.
///
/// # Errors
/// A manifest in the folder cannot be read or makes no sense.
pub fn list(dir: &Path) -> Result<Vec<Manifest>, InstallError> {
    let mut manifests = Manifest::builtins();
    for own in own(dir)? {
        match manifests.iter_mut().find(|it| it.name == own.name) {
            Some(known) => *known = own,
            None => manifests.push(own),
        }
    }
    Ok(manifests)
}

/// The pipeline of a name.
///
/// # Errors
/// There is none, or a manifest in the folder cannot be read or makes no sense.
pub fn find(dir: &Path, name: &str) -> Result<Manifest, InstallError> {
    let manifests = list(dir)?;
    let known: Vec<_> = manifests.iter().map(|it| it.name.clone()).collect();
    let found = manifests.into_iter().find(|it| it.name == name);
    found.ok_or_else(|| InstallError::Unknown {
        name: name.chars().take(80).collect(),
        known: known.join("`, `"),
    })
}

/// Writes a manifest into a folder of models, in the place of one of the same name; returns its path.
///
/// # Errors
/// It cannot be written.
pub fn keep(dir: &Path, manifest: &Manifest) -> Result<PathBuf, InstallError> {
    let path = dir.join(format!("{}{END}", manifest.name));
    let text = serde_json::to_string_pretty(manifest).map_err(|error| InstallError::Manifest {
        path: path.clone(),
        reason: error.to_string(),
    })?;
    fs::create_dir_all(dir).map_err(InstallError::io(dir))?;
    let temporary = dir.join(format!(".{}{END}", manifest.name));
    fs::write(&temporary, text + "\n").map_err(InstallError::io(&temporary))?;
    fs::rename(&temporary, &path).map_err(InstallError::io(&path))?;
    Ok(path)
}

/// Those in the folder, by their names.
fn own(dir: &Path) -> Result<Vec<Manifest>, InstallError> {
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(InstallError::io(dir))? {
        let path = entry.map_err(InstallError::io(dir))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        if name.is_some_and(|name| name.ends_with(END) && !name.starts_with('.')) {
            paths.push(path);
        }
    }
    paths.sort();
    paths.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Manifest, InstallError> {
    let file = File::open(path).map_err(InstallError::io(path))?;
    let mut text = String::new();
    let mut limited = file.take(MANIFEST_BYTES);
    limited
        .read_to_string(&mut text)
        .map_err(InstallError::io(path))?;
    let refuse = |reason| InstallError::Manifest {
        path: path.to_owned(),
        reason,
    };
    let manifest = Manifest::parse(&text).map_err(refuse)?;
    let expected = format!("{}{END}", manifest.name);
    match path.file_name().is_some_and(|name| *name == *expected) {
        true => Ok(manifest),
        false => Err(refuse(format!(
            "it describes `{}`, whose manifest is named {expected}",
            manifest.name
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_in_the_folder_adds_a_model_or_stands_for_one_that_comes_along() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("models");
        let names = |folder: &Path| -> Vec<String> {
            let manifests = list(folder).unwrap().into_iter();
            manifests.map(|manifest| manifest.name).collect()
        };
        let before = names(&folder);
        let mut own = Manifest::builtin();
        own.detector.threshold = 0.5;
        keep(&folder, &own).unwrap();
        assert_eq!(names(&folder), before);
        assert_eq!(find(&folder, &own.name).unwrap(), own);
        own.name = "another".into();
        keep(&folder, &own).unwrap();
        assert_eq!(names(&folder).len(), before.len() + 1);
        assert_eq!(find(&folder, "another").unwrap(), own);
        let unknown = find(&folder, "nobody").unwrap_err().to_string();
        assert!(
            unknown.contains("nobody") && unknown.contains("another"),
            "{unknown}"
        );
    }

    #[test]
    fn a_manifest_that_cannot_be_read_is_told_with_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let cases = [
            ("x.manifest.json", "{".to_owned(), "EOF"),
            (
                "x.manifest.json",
                serde_json::to_string(&Manifest::builtin()).unwrap(),
                "facenet-128.manifest.json",
            ),
        ];
        for (name, text, word) in cases {
            fs::write(dir.path().join(name), text).unwrap();
            let refused = list(dir.path()).unwrap_err().to_string();
            assert!(
                refused.contains(word) && refused.contains("x.manifest.json"),
                "{refused}"
            );
        }
    }
}
