//! Why models could not be installed, and what to do about it.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of installing or finding models.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// Python is not there.
    #[error(
        "`{0}` was not found; install Python 3.9 or newer (Debian: apt-get install python3 python3-venv), or name it in DOPPEL_PYTHON"
    )]
    NoPython(String),
    /// Python has no virtual environments, hence no pip.
    #[error(
        "Python cannot make a virtual environment with pip (Debian: apt-get install python3-venv):\n{0}"
    )]
    NoPip(String),
    /// npm is not there.
    #[error(
        "`{0}` was not found; install Node.js with npm (Debian: apt-get install npm), or name it in DOPPEL_NPM"
    )]
    NoNpm(String),
    /// A package could not be fetched.
    #[error(
        "{client} could not fetch {package}; is there a network, and does this platform have the package?\n{output}"
    )]
    Fetch {
        /// Who was to fetch it.
        client: &'static str,
        /// The package.
        package: String,
        /// The last lines that were printed.
        output: String,
    },
    /// A file is not the one that is expected.
    #[error("{} has SHA-256 {got}, but {expected} is expected; it is not used", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What it should be.
        expected: String,
        /// What it is.
        got: String,
    },
    /// A package does not hold what it should.
    #[error("{package} cannot be unpacked: {reason}")]
    Package {
        /// The package.
        package: String,
        /// What is wrong.
        reason: String,
    },
    /// The translation to ONNX failed.
    #[error("the weights could not be translated to ONNX:\n{0}")]
    Translate(String),
    /// No ONNX Runtime for this machine.
    #[error(
        "there is no ONNX Runtime package for {0}, but for Linux on x86_64 and aarch64: doppel built with \
         `--features tract` looks at photos without it"
    )]
    Platform(String),
    /// The disk is full.
    #[error("the disk is full: {} needs about 500 MB while installing", .0.display())]
    DiskFull(PathBuf),
    /// Another failure of the disk.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A file of the installation is not there.
    #[error("{} is missing; run `doppel models install --models-dir {} {model}`", path.display(), dir.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The folder of models.
        dir: PathBuf,
        /// The model that it belongs to.
        model: String,
    },
    /// The file of a head is not there, which no package has.
    #[error("{} is missing, which {model} itself is: put the file back, or remove {model}.manifest.json and learn it again (`doppel train head {model}`)", path.display())]
    MissingHead {
        /// The file.
        path: PathBuf,
        /// The head.
        model: String,
    },
    /// A model of several networks, the files of which may be there for others, was not asked for.
    #[error("{model} was not installed; run `doppel models install --models-dir {} {model}`", dir.display())]
    NotAskedFor {
        /// The model.
        model: String,
        /// The folder of models.
        dir: PathBuf,
    },
    /// A file was translated by another version of doppel, which makes it in another way.
    #[error("{} was made by another version of doppel and is not used; run `doppel models install --models-dir {} {model}`, which makes it anew", path.display(), dir.display())]
    Stale {
        /// The file.
        path: PathBuf,
        /// The folder of models.
        dir: PathBuf,
        /// The model that it belongs to.
        model: String,
    },
    /// A head is wanted, and this is none.
    #[error("{0} is no head on another model")]
    NoHead(String),
    /// There is no such model.
    #[error("there is no model `{name}`; there are `{known}`")]
    Unknown {
        /// The name that was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A manifest makes no sense.
    #[error("{}: {reason}", path.display())]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl InstallError {
    pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> InstallError {
        move |source| match source.kind() {
            io::ErrorKind::StorageFull => InstallError::DiskFull(path.to_owned()),
            _ => InstallError::Io {
                path: path.to_owned(),
                source,
            },
        }
    }
}
