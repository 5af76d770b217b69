//! Looks for what was erased, in every file.

use std::fs;
use std::path::{Path, PathBuf};

use storage::{Disk, SimDisk};

use super::world::vector;

/// Numbers that are looked for at most.
const SOME: usize = 16;

/// Where the vector of one of these numbers still is, if anywhere: on the simulated disk, or in the
/// tables beside it.
pub(super) fn remains(
    disk: &SimDisk,
    beside: &Path,
    numbers: &[u64],
) -> Result<Option<String>, String> {
    // The first numbers of a vector are the same in every vector of a point.
    let needle = |n: &u64| {
        let bytes = vector("", *n).into_iter().take(3);
        let bytes: Vec<u8> = bytes.flat_map(f32::to_le_bytes).collect();
        (*n, bytes)
    };
    let needles: Vec<_> = numbers.iter().rev().take(SOME).map(needle).collect();
    if needles.is_empty() {
        return Ok(None);
    }
    let mut files = Vec::new();
    read_simulated(disk, Path::new("/data"), &mut files).map_err(|error| error.to_string())?;
    read_real(beside, &mut files).map_err(|error| error.to_string())?;
    for (path, bytes) in &files {
        for (n, needle) in &needles {
            if bytes.windows(needle.len()).any(|run| run == needle) {
                return Ok(Some(format!("vector {n} is in {}", path.display())));
            }
        }
    }
    Ok(None)
}

/// Files with their bytes.
pub(super) type Files = Vec<(PathBuf, Vec<u8>)>;

/// Every file of a folder of a simulated disk.
pub(super) fn read_simulated(disk: &SimDisk, dir: &Path, files: &mut Files) -> std::io::Result<()> {
    for name in disk.list(dir)? {
        let path = dir.join(name);
        let Ok(file) = disk.open(&path) else {
            read_simulated(disk, &path, files)?;
            continue;
        };
        let mut bytes = vec![0; usize::try_from(file.len()?).unwrap_or(0)];
        file.read_at(&mut bytes, 0)?;
        files.push((path, bytes));
    }
    Ok(())
}

/// Every file of a folder of the system.
pub(super) fn read_real(dir: &Path, files: &mut Files) -> std::io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            read_real(&path, files)?;
        } else {
            files.push((path.clone(), fs::read(&path)?));
        }
    }
    Ok(())
}
