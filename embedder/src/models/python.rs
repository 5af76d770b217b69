//! The user's Python, which fetches packages and translates weights.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::error::InstallError;

/// A virtual environment of our own in a temporary folder, so that nothing of the user's changes.
pub(super) struct Python {
    program: PathBuf,
    /// Holds the environment and whatever Python puts aside while it works.
    dir: PathBuf,
}

impl Python {
    pub(super) fn in_folder(dir: &Path) -> Result<Self, InstallError> {
        let system = std::env::var("DOPPEL_PYTHON").unwrap_or_else(|_| "python3".into());
        let dir = std::path::absolute(dir).map_err(InstallError::io(dir))?;
        let venv = dir.join("venv");
        let mut command = Command::new(&system);
        let made = run(command.arg("-m").arg("venv").arg(&venv), &dir);
        let made = made.map_err(|_| InstallError::NoPython(system))?;
        if !made.status.success() {
            return Err(failure(&dir, &made, InstallError::NoPip));
        }
        Ok(Self {
            program: venv.join("bin").join("python"),
            dir,
        })
    }

    fn pip(&self, package: &str, arguments: &[&str]) -> Result<(), InstallError> {
        let mut command = Command::new(&self.program);
        command
            .args(["-m", "pip", "--disable-pip-version-check", "--no-input"])
            .args(arguments)
            .arg(package);
        let done = run(&mut command, &self.dir).map_err(InstallError::io(&self.program))?;
        let unfetched = |output| InstallError::Fetch {
            client: "pip",
            package: package.into(),
            output,
        };
        match done.status.success() {
            true => Ok(()),
            false => Err(failure(&self.dir, &done, unfetched)),
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
        command.arg("-c").arg(script).args(arguments);
        let done = run(&mut command, &self.dir).map_err(InstallError::io(&self.program))?;
        match done.status.success() {
            true => Ok(()),
            false => Err(failure(&self.dir, &done, InstallError::Translate)),
        }
    }
}

pub(super) fn run(command: &mut Command, dir: &Path) -> std::io::Result<Output> {
    command
        .env("TMPDIR", dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
}

/// What a command's failure means; a full disk ends any of them.
pub(super) fn failure(
    dir: &Path,
    output: &Output,
    otherwise: impl FnOnce(String) -> InstallError,
) -> InstallError {
    let full = b"No space left on device".as_slice();
    let told = [&output.stdout, &output.stderr];
    if told
        .iter()
        .any(|text| text.windows(full.len()).any(|part| part == full))
    {
        return InstallError::DiskFull(dir.to_owned());
    }
    otherwise(tail(output))
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

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn failed(stderr: &str) -> String {
        let output = Output {
            status: ExitStatus::from_raw(256),
            stdout: Vec::new(),
            stderr: stderr.into(),
        };
        failure(Path::new("models"), &output, InstallError::NoPip).to_string()
    }

    #[test]
    fn a_disk_that_is_full_is_told_whatever_failed_for_it() {
        let full =
            "Traceback\nOSError: [Errno 28] No space left on device: '/x'\n1\n2\n3\n4\n5\n6\n7";
        assert!(failed(full).starts_with("the disk is full: models"));
        assert!(failed("No module named venv").contains("No module named venv"));
    }
}
