//! `.npy` (NumPy enhancement proposal 1), versions 1 to 3: two-dimensional, C order, little-endian.
//!
//! The header is a Python literal; only the one form that NumPy writes is read: a dictionary of
//! `descr` (text), `fortran_order` (`True` or `False`) and `shape` (two whole numbers).

use std::fs::File;
use std::io::{BufReader, BufWriter, Read, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::super::table::Table;
use super::{array, checked_width, id, numbers, open};

const MAGIC: &[u8; 6] = b"\x93NUMPY";
const MAX_HEADER_BYTES: u32 = 65_536;
/// The data starts at a multiple of this.
const ALIGNMENT: usize = 64;

#[derive(Debug, PartialEq)]
struct Header {
    descr: String,
    rows: u64,
    width: u64,
}

pub(super) fn read_vectors(path: &Path) -> Result<Table<f32>> {
    let (mut input, header, left) = start(path)?;
    match header.descr.as_str() {
        "<f4" => body(&mut input, &header, left, |x| Ok(f32::from_le_bytes(x))),
        other => bail!("vectors are `<f4` (float32), not `{other}`"),
    }
}

pub(super) fn read_ids(path: &Path) -> Result<Table<u32>> {
    let (mut input, header, left) = start(path)?;
    match header.descr.as_str() {
        "<i4" => body(&mut input, &header, left, |x| {
            id(i64::from(i32::from_le_bytes(x)))
        }),
        "<u4" => body(&mut input, &header, left, |x| Ok(u32::from_le_bytes(x))),
        "<i8" => body(&mut input, &header, left, |x| id(i64::from_le_bytes(x))),
        other => bail!("neighbours are `<i4`, `<u4` or `<i8`, not `{other}`"),
    }
}

/// The header, and how many bytes come after it.
fn start(path: &Path) -> Result<(BufReader<File>, Header, u64)> {
    let (mut input, len) = open(path)?;
    let magic: [u8; 8] = array(&mut input)?;
    if !magic.starts_with(MAGIC) {
        bail!("it does not begin as NumPy's files do");
    }
    let (header_bytes, before) = match magic[6] {
        1 => (u32::from(u16::from_le_bytes(array(&mut input)?)), 10),
        2 | 3 => (u32::from_le_bytes(array(&mut input)?), 12),
        other => bail!("version {other} of the format is not known"),
    };
    if header_bytes > MAX_HEADER_BYTES {
        bail!("a header of {header_bytes} bytes is too long");
    }
    let mut text = vec![0; header_bytes as usize];
    input
        .read_exact(&mut text)
        .context("the file ends in its header")?;
    let text = std::str::from_utf8(&text).context("the header is no text")?;
    let header = parse(text).with_context(|| format!("the header {text:?}"))?;
    let left = len.checked_sub(before + u64::from(header_bytes));
    Ok((input, header, left.context("the file ends in its header")?))
}

fn body<const N: usize, T>(
    input: &mut impl Read,
    header: &Header,
    left: u64,
    decode: impl Fn([u8; N]) -> Result<T>,
) -> Result<Table<T>> {
    let width = checked_width(header.width)?;
    let count = header.rows.checked_mul(header.width);
    let claimed = count.and_then(|count| count.checked_mul(N as u64));
    if claimed != Some(left) {
        bail!(
            "the header speaks of {} x {} numbers of {N} bytes, the file has {left} bytes",
            header.rows,
            header.width
        );
    }
    let count = usize::try_from(left)? / N;
    let mut values = Vec::with_capacity(count);
    numbers(input, count, decode, &mut values)?;
    Table::new(width, values)
}

fn parse(text: &str) -> Result<Header> {
    let inner = text.trim().strip_prefix('{');
    let mut rest = inner.and_then(|text| text.strip_suffix('}'));
    let (mut descr, mut c_order, mut shape) = (None, false, None);
    while let Some(text) = rest.map(str::trim_start).filter(|text| !text.is_empty()) {
        let (key, text) = quoted(text)?;
        let text = text.trim_start().strip_prefix(':').context("no colon")?;
        let text = text.trim_start();
        let text = match key {
            "descr" => {
                let (value, text) = quoted(text)?;
                descr = Some(value.to_owned());
                text
            }
            "fortran_order" => {
                c_order = text.starts_with("False");
                let word = text.find(|c: char| !c.is_ascii_alphabetic());
                &text[word.unwrap_or(text.len())..]
            }
            "shape" => {
                let (value, text) = tuple(text)?;
                shape = Some(value);
                text
            }
            other => bail!("`{other}` is not expected"),
        };
        let text = text.trim_start();
        rest = Some(match text.strip_prefix(',') {
            Some(text) => text,
            None if text.is_empty() => text,
            None => bail!("no comma before {text:?}"),
        });
    }
    if !c_order {
        bail!("only rows one after another (C order) can be read");
    }
    let (rows, width) = shape.context("no shape")?;
    Ok(Header {
        descr: descr.context("no descr")?,
        rows,
        width,
    })
}

fn quoted(text: &str) -> Result<(&str, &str)> {
    let quote = text.chars().next().filter(|c| ['\'', '"'].contains(c));
    let quote = quote.context("text is expected")?;
    text[1..].split_once(quote).context("text has no end")
}

/// Two whole numbers in brackets.
fn tuple(text: &str) -> Result<((u64, u64), &str)> {
    let inner = text.strip_prefix('(').context("a shape is expected")?;
    let (inner, rest) = inner.split_once(')').context("the shape has no end")?;
    let parts: Vec<_> = inner.split(',').map(str::trim).collect();
    match parts.as_slice() {
        [rows, width] => Ok(((rows.parse()?, width.parse()?), rest)),
        _ => bail!("the shape ({inner}) has not two numbers"),
    }
}

pub(super) fn write<T: Copy>(
    path: &Path,
    descr: &str,
    table: &Table<T>,
    encode: impl Fn(T) -> [u8; 4],
) -> Result<()> {
    let mut header = format!(
        "{{'descr': '{descr}', 'fortran_order': False, 'shape': ({}, {}), }}",
        table.len(),
        table.width()
    );
    // Ten bytes before it, a line end after it.
    let padded = (header.len() + 11).next_multiple_of(ALIGNMENT);
    header.extend(std::iter::repeat_n(' ', padded - header.len() - 11));
    header.push('\n');
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    out.write_all(MAGIC)?;
    out.write_all(&[1, 0])?;
    out.write_all(&u16::try_from(header.len())?.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    for value in table.values() {
        out.write_all(&encode(*value))?;
    }
    Ok(out.flush()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_numpy_writes_are_understood_in_any_order() {
        let expected = Header {
            descr: "<f4".to_owned(),
            rows: 3,
            width: 512,
        };
        for text in [
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 512), }   \n",
            "{'shape':(3,512),'fortran_order':False,'descr':\"<f4\"}",
        ] {
            assert_eq!(parse(text).unwrap(), expected);
        }
    }

    #[test]
    fn headers_of_other_arrays_and_nonsense_are_refused() {
        for text in [
            "",
            "{",
            "{}",
            "{'descr': '<f4', 'fortran_order': True, 'shape': (3, 512), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3,), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, -1), }",
            "{'descr': '<f4', 'fortran_order': False, 'shape': (3, 512, 2), }",
            "{'descr': '<f4', 'fortran_order': False}",
            "{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (3, 2)}",
            "{'descr': '<f4' 'fortran_order': False, 'shape': (3, 2)}",
            "{'descr: 1",
            "{'é': 1}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
