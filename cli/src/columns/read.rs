//! Rows of a Parquet file as points.

use std::fs::File;

use anyhow::{Context, Result, bail, ensure};
use parquet::basic::{Compression, ConvertedType};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;
use parquet::record::{Field, Row};
use parquet::schema::types::{Type, TypePtr};
use serde_json::{Map, Value};

use super::value::value;
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
    /// Those that are read.
    columns: Vec<TypePtr>,
    model: Option<String>,
    /// Whether the only vector has no name.
    unnamed: bool,
    next: u64,
}

impl Rows {
    /// Reads what the file says about itself; of columns that are left out no more than their names.
    pub(crate) fn open(file: File, without: &[String]) -> Result<Self> {
        let reader = SerializedFileReader::new(file).context("it is no Parquet file")?;
        let about = reader.metadata().file_metadata();
        let schema = about.schema_descr().root_schema();
        let columns = kept(schema.get_fields(), without)?;
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
                let path = column.column_path();
                let is_left_out = |name: &String| without.contains(name);
                if path.parts().first().is_some_and(is_left_out) {
                    continue;
                }
                check(column.compression())
                    .with_context(|| format!("column `{}`", path.string()))?;
                let kind = column.column_descr().converted_type();
                ensure!(
                    kind != ConvertedType::INTERVAL,
                    "column `{}`: it is of intervals, which payloads do not have",
                    path.string()
                );
            }
        }
        let projected = match without {
            [] => None,
            _ => {
                let schema = Type::group_type_builder(schema.name());
                Some(schema.with_fields(columns.clone()).build()?)
            }
        };
        let unnamed = names == [""];
        let told = about.key_value_metadata().into_iter().flatten();
        let mut told = told.filter(|pair| pair.key == MODEL);
        let model = told.next().and_then(|pair| pair.value.clone());
        Ok(Self {
            rows: RowIter::from_file_into(Box::new(reader)).project(projected)?,
            columns,
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
        for ((name, field), of) in row.into_columns().into_iter().zip(&self.columns) {
            if name == ID {
                id = plain(field, of).with_context(|| format!("`{ID}`"))?;
            } else if let Some(vector) = vector_of(&name) {
                if !matches!(field, Field::Null) {
                    let numbers = numbers(&field).with_context(|| format!("`{name}`"))?;
                    vectors.insert(vector.to_owned(), numbers);
                }
            } else if name == PAYLOAD && !matches!(field, Field::Null) {
                payload.extend(object(field, of).with_context(|| format!("`{PAYLOAD}`"))?);
            } else if !matches!(field, Field::Null) {
                payload.insert(
                    name.clone(),
                    value(field, Some(of)).with_context(|| format!("`{name}`"))?,
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

/// The columns that are read, without those of some names, which there must be.
fn kept(columns: &[TypePtr], without: &[String]) -> Result<Vec<TypePtr>> {
    let mut absent = without.iter();
    if let Some(absent) = absent.find(|name| columns.iter().all(|it| it.name() != **name)) {
        bail!("it has no column `{absent}` that could be left out");
    }
    let kept = columns.iter().filter(|it| {
        let name = it.name();
        without.iter().all(|other| other != name)
    });
    Ok(kept.cloned().collect())
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
fn object(field: Field, of: &Type) -> Result<Map<String, Value>> {
    match value(field, Some(of))? {
        Value::Object(object) => Ok(object),
        Value::String(text) => serde_json::from_str(&text).context("it is no object of JSON"),
        _ => bail!("it is no object of JSON"),
    }
}

/// A number or a text.
fn plain(field: Field, of: &Type) -> Result<Value> {
    match value(field, Some(of))? {
        id @ (Value::Number(_) | Value::String(_)) => Ok(id),
        _ => bail!("it is neither a number nor a text"),
    }
}
