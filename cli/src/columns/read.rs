//! Rows of a Parquet file as points.

use std::fs::File;

use anyhow::{Context, Result, bail, ensure};
use parquet::basic::Compression;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use serde_json::{Map, Value};

use super::{ID, MODEL, PAYLOAD, VECTOR};

/// A row.
#[derive(Debug)]
pub(crate) struct Point {
    /// A number or a text; its number from 0 where the file has no ids.
    pub(crate) id: Value,
    /// The numbers of the only vector, or vectors by name.
    pub(crate) vector: Value,
    pub(crate) payload: Map<String, Value>,
}

/// The rows of a file.
pub(crate) struct Rows {
    rows: RowIter<'static>,
    model: Option<String>,
    /// Whether the only vector has no name.
    unnamed: bool,
    next: u64,
}

impl Rows {
    /// Reads what the file says about itself.
    pub(crate) fn open(file: File) -> Result<Self> {
        let reader = SerializedFileReader::new(file).context("it is no Parquet file")?;
        let about = reader.metadata().file_metadata();
        let columns = about.schema_descr().root_schema().get_fields();
        let names: Vec<_> = columns
            .iter()
            .filter_map(|it| vector_of(it.name()))
            .collect();
        ensure!(
            !names.is_empty(),
            "it has no column `{VECTOR}`, nor `{VECTOR}.NAME`: a list of numbers"
        );
        for group in reader.metadata().row_groups() {
            for column in group.columns() {
                check(column.compression())
                    .with_context(|| format!("column `{}`", column.column_path()))?;
            }
        }
        let unnamed = names == [""];
        let told = about.key_value_metadata().into_iter().flatten();
        let mut told = told.filter(|pair| pair.key == MODEL);
        let model = told.next().and_then(|pair| pair.value.clone());
        Ok(Self {
            rows: RowIter::from_file_into(Box::new(reader)),
            model,
            unnamed,
            next: 0,
        })
    }

    /// The model that has made the only vector, if the file says so.
    pub(crate) fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    fn point(&mut self, row: Row) -> Result<Point> {
        let mut id = Value::from(self.next);
        self.next += 1;
        let (mut vectors, mut payload) = (Map::new(), Map::new());
        for (name, field) in row.into_columns() {
            if name == ID {
                id = plain(field).with_context(|| format!("`{ID}`"))?;
            } else if let Some(vector) = vector_of(&name) {
                if !matches!(field, Field::Null) {
                    let numbers = numbers(&field).with_context(|| format!("`{name}`"))?;
                    vectors.insert(vector.to_owned(), numbers);
                }
            } else if name == PAYLOAD && !matches!(field, Field::Null) {
                payload.extend(object(field).with_context(|| format!("`{PAYLOAD}`"))?);
            } else if !matches!(field, Field::Null) {
                payload.insert(
                    name.clone(),
                    value(field).with_context(|| format!("`{name}`"))?,
                );
            }
        }
        let only = if self.unnamed {
            vectors.remove("")
        } else {
            None
        };
        Ok(Point {
            id,
            vector: only.unwrap_or(Value::Object(vectors)),
            payload,
        })
    }
}

impl Iterator for Rows {
    type Item = Result<Point>;

    fn next(&mut self) -> Option<Self::Item> {
        let row = self.rows.next()?;
        Some(row.map_err(Into::into).and_then(|row| self.point(row)))
    }
}

/// Refuses what cannot be unpacked here.
pub(super) fn check(compression: Compression) -> Result<()> {
    match compression {
        Compression::UNCOMPRESSED
        | Compression::SNAPPY
        | Compression::GZIP(_)
        | Compression::ZSTD(_) => Ok(()),
        other => bail!("it is packed with {other}: plain, snappy, gzip and zstd are read"),
    }
}

/// The vector that a column is of.
fn vector_of(column: &str) -> Option<&str> {
    match column.strip_prefix(VECTOR)? {
        "" => Some(""),
        rest => rest.strip_prefix('.'),
    }
}

fn numbers(field: &Field) -> Result<Value> {
    let Field::ListInternal(list) = field else {
        bail!("it is no list of numbers");
    };
    let number = |(at, field): (usize, &Field)| {
        let number = match field {
            Field::Float(x) => Value::from(*x),
            Field::Double(x) => Value::from(*x),
            Field::Float16(x) => Value::from(x.to_f32()),
            _ => Value::Null,
        };
        // What JSON has no number for is a null there.
        ensure!(!number.is_null(), "number {} is `{field}`", at + 1);
        Ok(number)
    };
    let numbers = list.elements().iter().enumerate().map(number);
    Ok(Value::Array(numbers.collect::<Result<_>>()?))
}

/// A payload is a text of JSON, or a group of its keys.
fn object(field: Field) -> Result<Map<String, Value>> {
    match value(field)? {
        Value::Object(object) => Ok(object),
        Value::String(text) => serde_json::from_str(&text).context("it is no object of JSON"),
        _ => bail!("it is no object of JSON"),
    }
}

/// A number or a text.
fn plain(field: Field) -> Result<Value> {
    match value(field)? {
        id @ (Value::Number(_) | Value::String(_)) => Ok(id),
        _ => bail!("it is neither a number nor a text"),
    }
}

fn value(field: Field) -> Result<Value> {
    Ok(match field {
        Field::Null => Value::Null,
        Field::Bool(it) => it.into(),
        Field::Byte(it) => it.into(),
        Field::Short(it) => it.into(),
        Field::Int(it) => it.into(),
        Field::Long(it) => it.into(),
        Field::UByte(it) => it.into(),
        Field::UShort(it) => it.into(),
        Field::UInt(it) => it.into(),
        Field::ULong(it) => it.into(),
        Field::Float16(it) => it.to_f32().into(),
        Field::Float(it) => it.into(),
        Field::Double(it) => it.into(),
        Field::Str(it) => it.into(),
        Field::Bytes(it) => it.as_utf8().context("its bytes are no text")?.into(),
        Field::Group(row) => {
            let keys = row.into_columns().into_iter();
            let keys = keys.map(|(key, field)| Ok((key, value(field)?)));
            Value::Object(keys.collect::<Result<_>>()?)
        }
        Field::ListInternal(list) => {
            let elements = list.elements().iter().cloned().map(value);
            Value::Array(elements.collect::<Result<_>>()?)
        }
        other => bail!("`{other}` has a type that payloads do not have"),
    })
}
