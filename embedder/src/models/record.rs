//! Which files installations have put into a folder of models, with their checksums: written last,
//! so that what it names is complete.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::InstallError;
use super::files_of;
use super::locate::there;
use crate::manifest::Manifest;

/// Its name in the folder.
pub(super) const FILE: &str = "installed.json";

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Record {
    files: Vec<RecordedFile>,
    /// The models that were asked for by their names.
    #[serde(default)]
    models: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct RecordedFile {
    name: String,
    sha256: String,
    /// Of a file that was translated, what has made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made_by: Option<String>,
}

impl Record {
    pub(super) fn read(dir: &Path) -> Result<Self, InstallError> {
        let path = dir.join(FILE);
        let text = fs::read_to_string(&path).map_err(InstallError::io(&path))?;
        serde_json::from_str(&text).map_err(|error| InstallError::Package {
            package: path.display().to_string(),
            reason: error.to_string(),
        })
    }

    pub(super) fn sha256_of(&self, name: &str) -> Option<&str> {
        self.file(name).map(|file| file.sha256.as_str())
    }

    /// What has made a file, if that was noted.
    pub(super) fn maker_of(&self, name: &str) -> Option<&str> {
        self.file(name)?.made_by.as_deref()
    }

    fn file(&self, name: &str) -> Option<&RecordedFile> {
        self.files.iter().find(|file| file.name == name)
    }

    /// Says of a file what it is from now on.
    pub(super) fn note(&mut self, name: &str, sha256: String, made_by: Option<String>) {
        self.files.retain(|file| file.name != name);
        self.files.push(RecordedFile {
            name: name.to_owned(),
            sha256,
            made_by,
        });
    }

    /// Says of a model that it was asked for.
    pub(super) fn note_model(&mut self, model: &str) {
        if !self.models.iter().any(|it| it == model) {
            self.models.push(model.to_owned());
        }
    }

    /// Whether a model was asked for.
    pub(super) fn expect_model(&self, model: &str, dir: &Path) -> Result<(), InstallError> {
        match self.models.iter().any(|it| it == model) {
            true => Ok(()),
            false => Err(InstallError::NotAskedFor {
                model: model.to_owned(),
                dir: dir.to_owned(),
            }),
        }
    }

    /// Whether a model was installed: asked for, or, if it has one network alone, had all its files put in, for
    /// whichever model that was. What makes a head nobody installs; the rest of it is its base's.
    pub(super) fn has(&self, manifest: &Manifest) -> bool {
        let is_asked_for = self.models.contains(&manifest.name);
        let is_put_in = || {
            manifest
                .files()
                .iter()
                .all(|name| self.file(name).is_some())
        };
        manifest.head.is_none() && (is_asked_for || manifest.beside.is_empty() && is_put_in())
    }

    /// The files that it names.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.name.as_str())
    }

    /// Writes it into a folder, whole or not at all.
    pub(super) fn write(&self, dir: &Path) -> Result<(), InstallError> {
        let text = serde_json::to_string_pretty(self).map_err(|error| InstallError::Package {
            package: FILE.into(),
            reason: error.to_string(),
        })?;
        let (temporary, path) = (dir.join(format!(".{FILE}")), dir.join(FILE));
        let written = File::create(&temporary).and_then(|mut file| {
            file.write_all(text.as_bytes())?;
            file.sync_all()
        });
        written.map_err(InstallError::io(&temporary))?;
        fs::rename(&temporary, &path).map_err(InstallError::io(&path))
    }
}

/// What of a model that was installed is not there any more; of one that was not there is nothing to say.
pub fn lost(dir: &Path, manifest: &Manifest) -> Vec<InstallError> {
    let record = Record::read(dir).unwrap_or_default();
    if !record.has(manifest) {
        return Vec::new();
    }
    let files = files_of(manifest).into_iter();
    files
        .filter_map(|name| there(dir, name, manifest).err())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_installation_adds_its_files_and_replaces_those_of_the_same_name() {
        let dir = tempfile::tempdir().unwrap();
        for (name, sha256) in [("a", "1"), ("b", "2"), ("a", "3")] {
            let mut record = Record::read(dir.path()).unwrap_or_default();
            record.note(name, sha256.into(), None);
            record.write(dir.path()).unwrap();
        }
        let record = Record::read(dir.path()).unwrap();
        assert_eq!(record.sha256_of("a"), Some("3"));
        assert_eq!(record.sha256_of("b"), Some("2"));
        assert_eq!(record.sha256_of("c"), None);
    }

    #[test]
    fn a_model_whose_files_came_with_others_is_there_once_it_was_asked_for() {
        let dir = tempfile::tempdir().unwrap();
        // As it was written before models were noted.
        fs::write(dir.path().join(FILE), r#"{"files": []}"#).unwrap();
        let mut record = Record::read(dir.path()).unwrap();
        let refused = record.expect_model("two", dir.path()).unwrap_err();
        let told = refused.to_string();
        assert!(
            told.contains("models install") && told.contains("two"),
            "{told}"
        );
        record.note_model("two");
        record.note_model("two");
        assert_eq!(record.models, ["two"]);
        record.expect_model("two", dir.path()).unwrap();
    }
}
