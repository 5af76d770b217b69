//! How weights are translated to ONNX, and by which version of doppel a file was: a hash of the script, and of
//! the ranges where numbers are rounded, stands in the record beside the file's own. The file's own would
//! not do: another version of what the script imports may write the same network with other bytes.

use std::path::Path;

use super::error::InstallError;
use super::files::sha256_of;
use super::record::Record;
use crate::manifest::{Embedder, Manifest, Weights};

const KERAS: &str = include_str!("translate.py");
const TFLITE: &str = include_str!("translate_tflite.py");
/// What flows through the embedder, as `ranges.py` has measured it.
pub(super) const RANGES: &str = include_str!("facenet-128.ranges.json");

/// The script, and what it imports.
pub(super) fn script(kind: Weights) -> (&'static str, [&'static str; 3]) {
    match kind {
        Weights::KerasFacenet => (KERAS, ["numpy>=1.24,<3", "h5py>=3.8,<4", "onnx>=1.15,<2"]),
        Weights::Tflite => (
            TFLITE,
            ["numpy>=1.24,<3", "tflite>=2.18,<3", "onnx>=1.15,<2"],
        ),
    }
}

/// What makes a file of a network; nothing makes what is published as it is run.
pub(super) fn maker(embedder: &Embedder, file: &str) -> Option<String> {
    let (script, _) = script(embedder.translated.as_ref()?.kind);
    let is_rounded = embedder.rounded() == Some(file);
    let ranges = if is_rounded { RANGES } else { "" };
    Some(sha256_of(&[script, ranges]))
}

/// Whether another version has made a file of a network.
pub(super) fn is_stale(record: &Record, embedder: &Embedder, file: &str) -> bool {
    let by = record.maker_of(file).or_else(|| unnoted(record, file));
    maker(embedder, file).is_some_and(|now| by.is_some_and(|by| by != now))
}

/// Who has made a file of before that was noted: of the one that has been made in several ways its bytes tell.
fn unnoted(record: &Record, file: &str) -> Option<&'static str> {
    const ROUNDED: &str = "facenet_keras_2024.int8.onnx";
    const LAST: &str = "dd37a180fd9a1d9fcfd41a0abd64783cc8cb62d1db0c7671a265abcd8beb5871";
    const MAKER_OF_LAST: &str = "b2416db03bb271754bfe89debf5e4e54b3978a73ae62e22eff498a375cb7e1b0";
    let sha256 = record.sha256_of(file).filter(|_| file == ROUNDED)?;
    Some(if sha256 == LAST { MAKER_OF_LAST } else { "" })
}

/// Whether all of an installation was made as this version makes it. What another one has made is run no more
/// with numbers of 8 bits.
///
/// # Errors
/// A file was made by another version.
pub fn expect_current(dir: &Path, manifest: &Manifest) -> Result<(), InstallError> {
    let record = Record::read(dir).unwrap_or_default();
    for part in manifest.parts() {
        let mut files = part.embedder.files();
        if let Some(stale) = files.find(|file| is_stale(&record, part.embedder, file)) {
            return Err(InstallError::Stale {
                path: dir.join(stale),
                dir: dir.to_owned(),
                model: manifest.name.clone(),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_translation_of_another_version_is_told_and_one_of_this_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let manifest = Manifest::builtin();
        let own = maker(&manifest.embedder, "facenet_keras_2024.int8.onnx").unwrap();
        assert_ne!(
            own,
            maker(&manifest.embedder, "facenet_keras_2024.onnx").unwrap()
        );
        let last = "dd37a180fd9a1d9fcfd41a0abd64783cc8cb62d1db0c7671a265abcd8beb5871";
        let older = "74e21e3aa1e008e256b19af3d79c18eee20d985925f379f3d352b23c64c3c644";
        for (sha256, made_by, is_told) in [
            ("0", Some(own.as_str()), false),
            ("0", Some("another"), true),
            (last, Some("another"), true),
            (older, None, true),
        ] {
            let mut file = serde_json::json!({
                "name": "facenet_keras_2024.int8.onnx", "sha256": sha256,
            });
            if let Some(made_by) = made_by {
                file["made_by"] = made_by.into();
            }
            let other = serde_json::json!({"name": "facenet_keras_2024.onnx", "sha256": "1"});
            let text = serde_json::json!({"files": [file, other]}).to_string();
            std::fs::write(dir.path().join("installed.json"), text).unwrap();
            let told = expect_current(dir.path(), &manifest);
            assert_eq!(told.is_err(), is_told, "{sha256} {made_by:?}");
            if let Err(why) = told {
                let why = why.to_string();
                assert!(
                    why.contains("int8.onnx") && why.contains("models install"),
                    "{why}"
                );
            }
        }
    }
}
