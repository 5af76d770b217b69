//! `.fvecs` and `.ivecs` (TEXMEX): each row is its width as `int32`, then that many numbers of four
//! bytes, all little-endian. All rows must have one width.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::super::table::Table;
use super::{array, checked_width, id, numbers, open};

pub(super) fn read_vectors(path: &Path) -> Result<Table<f32>> {
    read(path, |bytes| Ok(f32::from_le_bytes(bytes)))
}

pub(super) fn read_ids(path: &Path) -> Result<Table<u32>> {
    read(path, |bytes| id(i64::from(i32::from_le_bytes(bytes))))
}

fn read<T>(path: &Path, decode: impl Fn([u8; 4]) -> Result<T>) -> Result<Table<T>> {
    let (mut input, len) = open(path)?;
    let width_of_row = |bytes| checked_width(u64::from(u32::from_le_bytes(bytes)));
    let width = width_of_row(array(&mut input)?)?;
    let row_bytes = 4 + 4 * width as u64;
    if !len.is_multiple_of(row_bytes) {
        bail!("{len} bytes are no whole number of rows of {row_bytes}");
    }
    let rows = usize::try_from(len / row_bytes)?;
    let mut values = Vec::with_capacity(rows * width);
    for row in 0..rows {
        if row > 0 && width_of_row(array(&mut input)?)? != width {
            bail!("row {row} has another width than the first, {width}");
        }
        numbers(&mut input, width, &decode, &mut values)?;
    }
    Table::new(width, values)
}

pub(super) fn write<T: Copy>(
    path: &Path,
    table: &Table<T>,
    encode: impl Fn(T) -> [u8; 4],
) -> Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    let width = i32::try_from(table.width()).context("a row is too wide")?;
    for row in table.rows() {
        out.write_all(&width.to_le_bytes())?;
        for value in row {
            out.write_all(&encode(*value))?;
        }
    }
    Ok(out.flush()?)
}
