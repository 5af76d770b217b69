//! Prometheus scraping the `doppel` that was built: the shipped alerts are checked by its own tool,
//! and every query of the dashboard is asked (`conformance/observe.py`). Debian's package is fetched
//! and unpacked into the build's folder; nothing is installed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::conformance::{self, Interpreter, Outcome, Server};

/// Fetches what is missing and runs the program.
pub(crate) fn run(target_dir: &Path, _models_dir: Option<&Path>) -> Result<Outcome> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent();
    let root = root.context("xtask has no parent folder")?;
    let home = target_dir.join("conformance");
    if !conformance::python(&home).exists() {
        return Ok(Outcome::Skipped("there is no Python for it".to_owned()));
    }
    let tools = match fetched(&target_dir.join("prometheus")) {
        Ok(tools) => tools,
        Err(why) => return Ok(Outcome::Skipped(format!("{why:#}"))),
    };
    let server = Server::start(&target_dir.join("debug/doppel"), &home, None)?;
    let program = (Interpreter::Python, "conformance/observe.py");
    conformance::run_program(root, &home, program, &server.url, Some(&tools))?;
    Ok(Outcome::Ran)
}

/// The folder of its programs.
fn fetched(folder: &Path) -> Result<PathBuf> {
    let tools = folder.join("usr/bin");
    if tools.join("promtool").exists() {
        return Ok(tools);
    }
    fs::create_dir_all(folder)?;
    let mut fetch = Command::new("apt-get");
    fetch.args(["download", "prometheus"]).current_dir(folder);
    if conformance::quiet(&mut fetch).is_err() {
        // Debian's lists may be old, or not there yet.
        conformance::quiet(Command::new("apt-get").arg("update"))?;
        conformance::quiet(&mut fetch)?;
    }
    let packages = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path()));
    let mut packages = packages.filter(|path| path.extension().is_some_and(|end| end == "deb"));
    let package = packages.next().context("apt-get has fetched nothing")?;
    conformance::quiet(Command::new("dpkg-deb").arg("-x").arg(package).arg(folder))?;
    if !tools.join("promtool").exists() {
        bail!("Debian's prometheus has no promtool");
    }
    Ok(tools)
}
