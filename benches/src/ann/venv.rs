//! The peers' virtual environment: made on first use in the build's folder, with the versions that
//! `peers/requirements.txt` pins. Each package is installed alone, so that one which cannot be
//! installed here takes only its own systems with it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, anyhow, bail};

use super::peer::scripts;

/// Where peers live, and which packages are there or are known not to be had.
pub struct Venv {
    dir: PathBuf,
    base_python: String,
    outcomes: HashMap<String, Result<(), String>>,
}

impl Venv {
    /// An environment in a folder, which need not exist; `base_python` makes it.
    pub fn new(dir: PathBuf, base_python: String) -> Self {
        Self {
            dir,
            base_python,
            outcomes: HashMap::new(),
        }
    }

    /// The interpreter, with these packages (and NumPy) there in the pinned versions.
    ///
    /// # Errors
    /// One cannot be installed; the same answer is given at the next time of asking.
    pub fn python_with(&mut self, packages: &[&str]) -> Result<PathBuf> {
        let python = self.dir.join("bin").join("python");
        if !python.exists() {
            eprintln!("making {}", self.dir.display());
            let made = Command::new(&self.base_python)
                .args(["-m", "venv"])
                .arg(&self.dir)
                .output()
                .with_context(|| self.base_python.clone())?;
            if !made.status.success() {
                bail!("no virtual environment: {}", last_line(&made.stderr));
            }
        }
        let listed = scripts().join("requirements.txt");
        let text =
            std::fs::read_to_string(&listed).with_context(|| listed.display().to_string())?;
        let requirements = Requirements::parse(&text);
        for package in ["numpy"].iter().chain(packages) {
            let outcome = match self.outcomes.get(*package) {
                Some(known) => known.clone(),
                None => install(&python, &requirements, package).map_err(|e| format!("{e:#}")),
            };
            self.outcomes.insert((*package).to_owned(), outcome.clone());
            outcome.map_err(|why| anyhow!("{package} cannot be installed: {why}"))?;
        }
        Ok(python)
    }
}

fn install(python: &Path, requirements: &Requirements, package: &str) -> Result<()> {
    let version = requirements.version(package);
    let version = version.with_context(|| format!("requirements.txt does not pin {package}"))?;
    let there = Command::new(python)
        .args([
            "-c",
            "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))",
        ])
        .arg(package)
        .output()?;
    if String::from_utf8_lossy(&there.stdout).trim() == version {
        return Ok(());
    }
    eprintln!("installing {package} {version}");
    let installed = Command::new(python)
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
        ])
        .args(&requirements.options)
        .arg(format!("{package}=={version}"))
        .output()?;
    match installed.status.success() {
        true => Ok(()),
        false => bail!("{}", last_line(&installed.stderr)),
    }
}

fn last_line(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let mut lines = text.lines().rev().map(str::trim);
    let said = lines.find(|line| line.to_ascii_lowercase().contains("error"));
    said.or(text.lines().last())
        .unwrap_or("it did not say why")
        .to_owned()
}

/// Pinned versions and options for all of them.
struct Requirements<'a> {
    options: Vec<&'a str>,
    pins: Vec<(&'a str, &'a str)>,
}

impl<'a> Requirements<'a> {
    fn parse(text: &'a str) -> Self {
        let lines = text
            .lines()
            .map(|line| line.split('#').next().unwrap_or(""));
        let lines = lines.map(str::trim).filter(|line| !line.is_empty());
        let (options, pins): (Vec<_>, Vec<_>) = lines.partition(|line| line.starts_with("--"));
        Self {
            options,
            pins: pins.iter().filter_map(|pin| pin.split_once("==")).collect(),
        }
    }

    fn version(&self, package: &str) -> Option<&'a str> {
        let pin = self.pins.iter().find(|(name, _)| *name == package);
        pin.map(|(_, version)| *version)
    }
}

#[cfg(test)]
mod tests {
    use super::super::catalogue::KINDS;
    use super::*;

    #[test]
    fn every_package_of_every_system_is_pinned() {
        let text = std::fs::read_to_string(scripts().join("requirements.txt")).unwrap();
        let requirements = Requirements::parse(&text);
        for package in KINDS.iter().flat_map(|kind| kind.packages) {
            assert!(requirements.version(package).is_some(), "{package}");
        }
        assert!(requirements.version("numpy").is_some());
        assert!(requirements.options.iter().all(|o| o.starts_with("--")));
    }
}
