//! Vectors and neighbours in files: `.npy` (NumPy, C order) and `.fvecs`/`.ivecs` (TEXMEX).
//!
//! Invariant: nothing in a file is trusted. What a header claims is compared with the file's real
//! length before memory is taken, numbers must be finite, identifiers not negative.

mod npy;
mod vecs;

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::table::Table;

/// Numbers in a vector or neighbours in a row.
const MAX_WIDTH: usize = 65_536;

/// Marks an answer that a system did not give.
pub const NO_ID: u32 = u32::MAX;

/// Reads `float32` vectors from a `.npy` or `.fvecs` file.
///
/// # Errors
/// The file cannot be read, or is not what its name says.
pub fn read_vectors(path: &Path) -> Result<Table<f32>> {
    let read = |path: &Path| match extension(path) {
        "npy" => npy::read_vectors(path),
        "fvecs" => vecs::read_vectors(path),
        other => bail!("vectors are read from .npy and .fvecs, not from .{other}"),
    };
    let table = read(path).with_context(|| path.display().to_string())?;
    if let Some(at) = table.values().iter().position(|x| !x.is_finite()) {
        let row = at / table.width();
        bail!(
            "{}: vector {row} has a number that is not finite",
            path.display()
        );
    }
    Ok(table)
}

/// Reads neighbours from a `.npy` (`int32`, `int64` or `uint32`) or `.ivecs` file.
///
/// # Errors
/// The file cannot be read, or is not what its name says.
pub fn read_ids(path: &Path) -> Result<Table<u32>> {
    let read = |path: &Path| match extension(path) {
        "npy" => npy::read_ids(path),
        "ivecs" => vecs::read_ids(path),
        other => bail!("neighbours are read from .npy and .ivecs, not from .{other}"),
    };
    read(path).with_context(|| path.display().to_string())
}

/// Writes `float32` vectors as `.npy` or `.fvecs`, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_vectors(path: &Path, table: &Table<f32>) -> Result<()> {
    whole(path, |path, temporary| match extension(path) {
        "npy" => npy::write(temporary, "<f4", table, |x| x.to_le_bytes()),
        "fvecs" => vecs::write(temporary, table, |x| x.to_le_bytes()),
        other => bail!("vectors are written as .npy and .fvecs, not as .{other}"),
    })
}

/// Writes neighbours as `.npy` (`uint32`) or `.ivecs`, whole or not at all.
///
/// # Errors
/// The file cannot be written.
pub fn write_ids(path: &Path, table: &Table<u32>) -> Result<()> {
    whole(path, |path, temporary| match extension(path) {
        "npy" => npy::write(temporary, "<u4", table, |x| x.to_le_bytes()),
        "ivecs" => vecs::write(temporary, table, |x| x.to_le_bytes()),
        other => bail!("neighbours are written as .npy and .ivecs, not as .{other}"),
    })
}

fn whole(path: &Path, write: impl FnOnce(&Path, &Path) -> Result<()>) -> Result<()> {
    let temporary = path.with_extension("part");
    write(path, &temporary).with_context(|| path.display().to_string())?;
    std::fs::rename(&temporary, path).with_context(|| path.display().to_string())
}

fn extension(path: &Path) -> &str {
    path.extension().and_then(|e| e.to_str()).unwrap_or("")
}

/// A file with its real length.
fn open(path: &Path) -> Result<(BufReader<File>, u64)> {
    let file = File::open(path)?;
    let len = file.metadata()?.len();
    Ok((BufReader::with_capacity(1 << 20, file), len))
}

fn array<const N: usize>(input: &mut impl Read) -> Result<[u8; N]> {
    let mut bytes = [0; N];
    input
        .read_exact(&mut bytes)
        .context("the file ends too early")?;
    Ok(bytes)
}

fn checked_width(width: u64) -> Result<usize> {
    match usize::try_from(width) {
        Ok(width) if (1..=MAX_WIDTH).contains(&width) => Ok(width),
        _ => bail!("a row has {width} numbers, 1 to {MAX_WIDTH} can be read"),
    }
}

fn id(value: i64) -> Result<u32> {
    u32::try_from(value).with_context(|| format!("{value} is no neighbour's number"))
}

/// The next little-endian numbers, `count` of them, each of `N` bytes.
fn numbers<const N: usize, T>(
    input: &mut impl Read,
    count: usize,
    decode: impl Fn([u8; N]) -> Result<T>,
    out: &mut Vec<T>,
) -> Result<()> {
    for _ in 0..count {
        out.push(decode(array(input)?)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> std::path::PathBuf {
        let name = format!("ann-formats-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&dir).unwrap();
        dir
    }

    #[test]
    fn vectors_and_neighbours_come_back_as_they_were_written() {
        let dir = folder("back");
        let vectors = Table::new(3, vec![1.5, -0.0, 3e-39, 4.0, 5.0, f32::MAX]).unwrap();
        for name in ["v.npy", "v.fvecs"] {
            write_vectors(&dir.join(name), &vectors).unwrap();
            assert_eq!(read_vectors(&dir.join(name)).unwrap(), vectors);
        }
        let ids = Table::new(2, vec![0, 1, 2_000_000_000, 3]).unwrap();
        for name in ["i.npy", "i.ivecs"] {
            write_ids(&dir.join(name), &ids).unwrap();
            assert_eq!(read_ids(&dir.join(name)).unwrap(), ids);
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_cut_or_lengthened_anywhere_is_refused() {
        let dir = folder("cut");
        let vectors = Table::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        for name in ["v.npy", "v.fvecs"] {
            let path = dir.join(name);
            write_vectors(&path, &vectors).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            for len in 0..bytes.len() {
                std::fs::write(&path, &bytes[..len]).unwrap();
                match read_vectors(&path) {
                    // A whole number of its rows is a shorter file of that kind.
                    Ok(read) => assert!(name == "v.fvecs" && read.len() * 12 == len),
                    Err(_) => assert!(name == "v.npy" || len % 12 != 0 || len == 0),
                }
            }
            std::fs::write(&path, [&bytes[..], &[0]].concat()).unwrap();
            assert!(read_vectors(&path).is_err(), "{name}");
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_file_with_any_byte_flipped_gives_an_error_or_a_table_and_never_a_panic() {
        let dir = folder("flip");
        let vectors = Table::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        for name in ["v.npy", "v.fvecs"] {
            let path = dir.join(name);
            write_vectors(&path, &vectors).unwrap();
            let bytes = std::fs::read(&path).unwrap();
            for at in 0..bytes.len() {
                for flip in [1, 0x80, 0xff] {
                    let mut bytes = bytes.clone();
                    bytes[at] ^= flip;
                    std::fs::write(&path, &bytes).unwrap();
                    if let Ok(table) = read_vectors(&path) {
                        assert!(table.values().len() <= 4);
                    }
                }
            }
        }
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn numbers_that_are_not_finite_and_negative_neighbours_are_refused() {
        let dir = folder("odd");
        let path = dir.join("v.npy");
        write_vectors(&path, &Table::new(2, vec![1.0, f32::NAN]).unwrap()).unwrap();
        assert!(read_vectors(&path).is_err());
        let path = dir.join("i.ivecs");
        std::fs::write(&path, [1, 0, 0, 0, 0xff, 0xff, 0xff, 0xff]).unwrap();
        assert!(read_ids(&path).is_err());
        assert!(read_ids(&dir.join("i.txt")).is_err());
        std::fs::remove_dir_all(dir).unwrap();
    }
}
