//! Tables of numbers as NumPy writes them (NEP 1): a header of text, then rows of little-endian
//! numbers, one after the other.

use std::io::{self, Read, Seek, SeekFrom, Write};

use anyhow::{Context, Result, bail, ensure};

use crate::limits;

const MAGIC: &[u8] = b"\x93NUMPY";
/// The bytes of a header as it is written here, all told: room for any count of rows.
const HEADER_BYTES: usize = 128;
/// Bytes of a header as it is read.
const MOST_HEADER_BYTES: usize = 1 << 16;

/// The numbers of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    F32,
    F64,
}

/// A table that is read row by row.
pub(crate) struct Rows<R> {
    input: R,
    number: Number,
    left: usize,
    dim: usize,
    ended: bool,
}

impl<R: Read> Rows<R> {
    /// Reads the header.
    pub(crate) fn open(mut input: R) -> Result<Self> {
        let mut start = [0; 8];
        input
            .read_exact(&mut start)
            .context("it ends within its header")?;
        ensure!(start.starts_with(MAGIC), "it is no .npy file");
        let length = match start[6] {
            1 => {
                let mut bytes = [0; 2];
                input.read_exact(&mut bytes)?;
                usize::from(u16::from_le_bytes(bytes))
            }
            2 | 3 => {
                let mut bytes = [0; 4];
                input.read_exact(&mut bytes)?;
                usize::try_from(u32::from_le_bytes(bytes))?
            }
            version => bail!("it is of version {version}, 1 to 3 are read"),
        };
        ensure!(length <= MOST_HEADER_BYTES, "its header is too long");
        let mut header = vec![0; length];
        input
            .read_exact(&mut header)
            .context("it ends within its header")?;
        let header = String::from_utf8_lossy(&header).replace(' ', "");
        let number = match () {
            () if header.contains("'descr':'<f4'") => Number::F32,
            () if header.contains("'descr':'<f8'") => Number::F64,
            () => bail!("its numbers must be little-endian float32 or float64"),
        };
        ensure!(
            header.contains("'fortran_order':False"),
            "it must be in C order"
        );
        let shape = header
            .split_once("'shape':(")
            .and_then(|(_, rest)| rest.split_once(')'));
        let shape = shape.map(|(shape, _)| shape.split(',').filter(|side| !side.is_empty()));
        let sides: Vec<usize> = shape
            .context("it has no shape")?
            .map(|side| {
                side.parse()
                    .with_context(|| format!("its shape has {side} in it"))
            })
            .collect::<Result<_, _>>()?;
        let &[left, dim] = sides.as_slice() else {
            bail!(
                "it must have two dimensions, rows and numbers, not {}",
                sides.len()
            );
        };
        let most = limits::VECTOR_NUMBERS;
        ensure!(
            u32::try_from(dim).is_ok_and(|dim| (1..=most).contains(&dim)),
            "its rows are of {dim} numbers, vectors of 1 to {most}"
        );
        Ok(Self {
            input,
            number,
            left,
            dim,
            ended: false,
        })
    }

    /// Refuses what lies behind the last row: the header is of fewer rows than there are.
    fn end(&mut self) -> Result<()> {
        let mut more = Vec::new();
        self.input.by_ref().take(1).read_to_end(&mut more)?;
        ensure!(
            more.is_empty(),
            "there is more behind the last row that its header tells of"
        );
        Ok(())
    }

    fn row(&mut self) -> Result<Vec<f32>> {
        let width = match self.number {
            Number::F32 => 4,
            Number::F64 => 8,
        };
        let mut bytes = vec![0; self.dim * width];
        self.input
            .read_exact(&mut bytes)
            .context("it ends before its last row")?;
        Ok(match self.number {
            Number::F32 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
            Number::F64 => bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| narrow(f64::from_le_bytes(*b)))
                .collect(),
        })
    }
}

#[expect(clippy::cast_possible_truncation, reason = "vectors are kept as f32")]
fn narrow(x: f64) -> f32 {
    x as f32
}

impl<R: Read> Iterator for Rows<R> {
    type Item = Result<Vec<f32>>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = match self.left {
            0 => self.end().err().map(Err),
            _ => Some(self.row()),
        };
        self.left = self.left.saturating_sub(1);
        self.ended = !matches!(row, Some(Ok(_)));
        row
    }
}

/// A table that is written row by row; how many there are stands in the header at the end.
pub(crate) struct Writer<W> {
    out: W,
    dim: Option<usize>,
    rows: usize,
}

impl<W: Write + Seek> Writer<W> {
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&[0; HEADER_BYTES])?;
        Ok(Self {
            out,
            dim: None,
            rows: 0,
        })
    }

    /// Adds a row, as long as the first.
    pub(crate) fn row(&mut self, row: &[f32]) -> Result<()> {
        let dim = *self.dim.get_or_insert(row.len());
        ensure!(
            row.len() == dim,
            "vectors of {dim} and of {} numbers make no table",
            row.len()
        );
        for number in row {
            self.out.write_all(&number.to_le_bytes())?;
        }
        self.rows += 1;
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<()> {
        let (rows, dim) = (self.rows, self.dim.unwrap_or(0));
        let dict =
            format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {dim}), }}");
        let length = HEADER_BYTES - MAGIC.len() - 4;
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(MAGIC)?;
        self.out.write_all(&[1, 0])?;
        self.out.write_all(&u16::try_from(length)?.to_le_bytes())?;
        self.out
            .write_all(format!("{dict:<width$}\n", width = length - 1).as_bytes())?;
        Ok(self.out.flush()?)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn written(rows: &[&[f32]]) -> Vec<u8> {
        let mut bytes = Cursor::new(Vec::new());
        let mut writer = Writer::new(&mut bytes).unwrap();
        for row in rows {
            writer.row(row).unwrap();
        }
        writer.finish().unwrap();
        bytes.into_inner()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let bytes = written(&[&[1.0, 2.0, 3.0], &[4.0, -5.5, 6.0]]);
        let rows = Rows::open(bytes.as_slice()).unwrap();
        let rows: Vec<_> = rows.collect::<Result<_>>().unwrap();
        assert_eq!(rows, [[1.0, 2.0, 3.0], [4.0, -5.5, 6.0]]);
        assert_eq!(bytes.len(), 128 + 24);
        assert_eq!(bytes[127], b'\n');
    }

    #[test]
    fn what_is_cut_short_or_of_another_kind_is_told() {
        let bytes = written(&[&[1.0, 2.0], &[3.0, 4.0]]);
        let short = Rows::open(&bytes[..bytes.len() - 1]).unwrap();
        let rows: Vec<_> = short.collect();
        assert!(rows.len() == 2 && rows[0].is_ok() && rows[1].is_err());
        let long = [&bytes[..], b"x"].concat();
        let rows: Vec<_> = Rows::open(long.as_slice()).unwrap().collect();
        assert!(rows.len() == 3 && rows[1].is_ok());
        let behind = rows[2].as_ref().unwrap_err().to_string();
        assert!(behind.contains("behind the last row"), "{behind}");
        let other = |from: &str, to: &str| {
            let text: Vec<u8> = bytes.clone();
            let at = text
                .windows(from.len())
                .position(|window| window == from.as_bytes())
                .unwrap();
            let mut text = text;
            text[at..at + to.len()].copy_from_slice(to.as_bytes());
            Rows::open(Cursor::new(text)).err().unwrap().to_string()
        };
        assert!(other("<f4", "<i4").contains("float32"));
        assert!(other("False", "True ").contains("C order"));
        assert!(other("NUMPY", "numpy").contains("no .npy"));
        assert!(other("(2, 2)", "(2,  )").contains("two dimensions"));
        assert!(other("(2, 2)", "(2, 0)").contains("of 0 numbers"));
        assert!(other("(2, 2), }", "(2,70000)").contains("70000 numbers, vectors of 1 to"));
    }
}
