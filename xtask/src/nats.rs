//! The server of NATS that tests of the shared log start. A machine without Python or network can still
//! run everything else: those tests then say that they were skipped.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::conformance::{python_with, root};

/// Under which tests find it.
pub(crate) const VARIABLE: &str = "DOPPEL_NATS_SERVER";

/// The server, installed if it is not there, or the one that is named already; nothing where it cannot be
/// had.
pub(crate) fn server(target_dir: &Path) -> Option<PathBuf> {
    if let Some(named) = std::env::var_os(VARIABLE) {
        return Some(named.into());
    }
    match install(target_dir) {
        Ok(server) => Some(server),
        Err(why) => {
            eprintln!(
                "NOTICE: no server of NATS: {why:#}; tests of the shared log will say `skipped`"
            );
            None
        }
    }
}

fn install(target_dir: &Path) -> Result<PathBuf> {
    let home = std::path::absolute(target_dir)?.join("nats");
    fs::create_dir_all(&home)?;
    python_with(&root()?.join("conformance/nats-requirements.txt"), &home)?;
    let server = home.join("python").join("bin").join("nats-server");
    if !server.exists() {
        bail!("the package has no {}", server.display());
    }
    Ok(server)
}
