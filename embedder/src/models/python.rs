//! The user's Python, which fetches packages and translates weights.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::InstallError;

/// A virtual environment of our own in a temporary folder, so that nothing of the user's changes.
pub(super) struct Python {
    program: PathBuf,
}

impl Python {
    pub(super) fn in_folder(dir: &Path) -> Result<Self, InstallError> {
        let system = std::env::var("DOPPEL_PYTHON").unwrap_or_else(|_| "python3".into());
        let venv = dir.join("venv");
        let made = run(Command::new(&system).arg("-m").arg("venv").arg(&venv));
        let made = made.map_err(|_| InstallError::NoPython(system))?;
        if !made.status.success() {
            return Err(InstallError::NoPip(tail(&made)));
        }
        Ok(Self {
            program: venv.join("bin").join("python"),
        })
    }

    fn pip(&self, package: &str, arguments: &[&str]) -> Result<(), InstallError> {
        let mut command = Command::new(&self.program);
        command
            .args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
            .args(arguments)
            .arg(package);
        let done = run(&mut command).map_err(InstallError::io(&self.program))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(InstallError::Fetch {
                package: package.into(),
                output: tail(&done),
            }),
        }
    }

    /// Fetches one wheel into `dir`.
    pub(super) fn download(
        &self,
        package: &str,
        dir: &Path,
        tags: &[&str],
    ) -> Result<(), InstallError> {
        let dir = dir.display().to_string();
        let fixed = [
            "download",
            "--no-deps",
            "--only-binary=:all:",
            "--dest",
            &dir,
        ];
        self.pip(package, &[&fixed, tags].concat())
    }

    /// Installs what the translation needs into the environment.
    pub(super) fn install(&self, packages: &[&str]) -> Result<(), InstallError> {
        packages
            .iter()
            .try_for_each(|package| self.pip(package, &["install", "--only-binary=:all:"]))
    }

    /// Runs a script.
    pub(super) fn script(&self, script: &str, arguments: &[&Path]) -> Result<(), InstallError> {
        let mut command = Command::new(&self.program);
        let done = run(command.arg("-c").arg(script).args(arguments))
            .map_err(InstallError::io(&self.program))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(InstallError::Translate(tail(&done))),
        }
    }
}

fn run(command: &mut Command) -> std::io::Result<Output> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
}

/// The last lines of what a command printed.
fn tail(output: &Output) -> String {
    let text = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let text = String::from_utf8_lossy(&text).into_owned();
    let lines: Vec<&str> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .collect();
    let from = lines.len().saturating_sub(6);
    lines.get(from..).unwrap_or_default().join("\n")
}
