//! Where the files of an installation are, as far as that is told without reading them.

use std::path::{Path, PathBuf};

use super::error::InstallError;
use super::files::check;
use super::record::{self, Record};
use super::translation::is_stale;
use super::{Installed, NetworkFiles, RUNTIME_FILE};
use crate::manifest::{Head, Manifest};

/// Finds an installation of a model without reading all of it.
///
/// # Errors
/// A file of it is missing; or it has several networks, which others may have brought, and has not been
/// installed by its own name.
pub fn locate(dir: &Path, manifest: &Manifest) -> Result<Installed, InstallError> {
    let there = |name: &str| there(dir, name, manifest);
    there(record::FILE)?;
    if !manifest.beside.is_empty() && manifest.head.is_none() {
        Record::read(dir)?.expect_model(&manifest.name, dir)?;
    }
    let record = Record::read(dir).unwrap_or_default();
    let networks = manifest.parts().into_iter().map(|part| {
        let embedder = part.embedder;
        let is_current = |file: &&str| !is_stale(&record, embedder, file);
        let rounded = embedder.rounded().filter(is_current);
        Ok(NetworkFiles {
            network: there(&embedder.file)?,
            rounded: rounded.map(there).transpose()?,
        })
    });
    Ok(Installed {
        library: library(dir, manifest)?,
        detector: there(&manifest.detector.file)?,
        networks: networks.collect::<Result<_, _>>()?,
        head: manifest
            .head
            .as_ref()
            .map(|head| head_file(dir, head, manifest))
            .transpose()?,
    })
}

/// The file of a head, which must be there: nothing gets it.
fn head_file(dir: &Path, head: &Head, manifest: &Manifest) -> Result<PathBuf, InstallError> {
    there(dir, &head.file, manifest).map_err(|_| InstallError::MissingHead {
        path: dir.join(&head.file),
        model: manifest.name.clone(),
    })
}

/// Whether the file of a head is there and whole; of a model that is none there is nothing to say.
///
/// # Errors
/// It is missing, or not what it should be.
pub fn expect_head(dir: &Path, manifest: &Manifest) -> Result<(), InstallError> {
    match &manifest.head {
        Some(head) => check(&head_file(dir, head, manifest)?, &head.sha256),
        None => Ok(()),
    }
}

pub(super) fn there(dir: &Path, name: &str, manifest: &Manifest) -> Result<PathBuf, InstallError> {
    let path = dir.join(name);
    match path.is_file() {
        true => Ok(path),
        false => Err(InstallError::Missing {
            path,
            dir: dir.to_owned(),
            model: manifest.name.clone(),
        }),
    }
}

/// Whether the models of a folder are run without ONNX Runtime, which takes many times as long.
pub fn run_without_library(dir: &Path) -> bool {
    cfg!(feature = "tract") && !dir.join(RUNTIME_FILE).is_file()
}

/// ONNX Runtime, which need not be there for who can do without.
fn library(dir: &Path, manifest: &Manifest) -> Result<Option<PathBuf>, InstallError> {
    match there(dir, RUNTIME_FILE, manifest) {
        Err(InstallError::Missing { .. }) if cfg!(feature = "tract") => Ok(None),
        found => found.map(Some),
    }
}

/// Finds ONNX Runtime and a model's detector.
///
/// # Errors
/// One of them is missing.
pub fn locate_detector(
    dir: &Path,
    manifest: &Manifest,
) -> Result<(Option<PathBuf>, PathBuf), InstallError> {
    let library = library(dir, manifest)?;
    Ok((library, there(dir, &manifest.detector.file, manifest)?))
}

/// Finds ONNX Runtime and a head's own file, which is checked.
///
/// # Errors
/// One of them is missing or not what it should be, or the manifest is of no head.
pub fn locate_head(
    dir: &Path,
    manifest: &Manifest,
) -> Result<(Option<PathBuf>, PathBuf), InstallError> {
    let head = manifest.head.as_ref();
    let head = head.ok_or_else(|| InstallError::NoHead(manifest.name.clone()))?;
    let file = head_file(dir, head, manifest)?;
    check(&file, &head.sha256)?;
    Ok((library(dir, manifest)?, file))
}
