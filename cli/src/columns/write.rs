//! Points as rows of a Parquet file, a group of rows at a time.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use anyhow::{Context, Result};
use parquet::basic::{Compression, LogicalType, Repetition, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{Type, TypePtr};
use serde_json::Value;

use super::{ID, MODEL, PAYLOAD, VECTOR};
use crate::client::Record;
use crate::limits;

/// A file that is being written. What is in it is worth something only once it is finished.
pub(crate) struct Writer<W: Write + Send> {
    file: SerializedFileWriter<W>,
    ids: Vec<ByteArray>,
    /// By their names, in their order; `None` where a point has none of this name.
    vectors: BTreeMap<String, Vec<Option<Vec<f32>>>>,
    payloads: Vec<ByteArray>,
}

impl<W: Write + Send> Writer<W> {
    /// A file for points that may have the vectors of these names; `model` has made the only one.
    pub(crate) fn new(out: W, names: &[String], model: Option<&str>) -> Result<Self> {
        Self::packed(out, names, model, Compression::SNAPPY)
    }

    /// The same, packed in some way.
    pub(super) fn packed(
        out: W,
        names: &[String],
        model: Option<&str>,
        compression: Compression,
    ) -> Result<Self> {
        let vectors: BTreeMap<_, _> = names.iter().map(|it| (it.clone(), Vec::new())).collect();
        let mut columns = vec![text(ID, LogicalType::String)?];
        for name in vectors.keys() {
            columns.push(list(name)?);
        }
        columns.push(text(PAYLOAD, LogicalType::Json)?);
        let schema = Type::group_type_builder("points").with_fields(columns);
        let model = model.map(|model| vec![KeyValue::new(MODEL.to_owned(), model.to_owned())]);
        let properties = WriterProperties::builder()
            .set_compression(compression)
            // Ids and numbers are all different.
            .set_dictionary_enabled(false)
            .set_key_value_metadata(model)
            .build();
        let schema = Arc::new(schema.build()?);
        Ok(Self {
            file: SerializedFileWriter::new(out, schema, Arc::new(properties))?,
            ids: Vec::new(),
            vectors,
            payloads: Vec::new(),
        })
    }

    /// Adds a point.
    pub(crate) fn put(&mut self, point: &Record) -> Result<()> {
        let id = point
            .id
            .as_str()
            .map_or_else(|| point.id.to_string(), str::to_owned);
        for (name, column) in &mut self.vectors {
            let vector = match &point.vector {
                Some(Value::Object(named)) => named.get(name),
                vector if name.is_empty() => vector.as_ref(),
                _ => None,
            };
            let vector = vector.map(|vector| serde_json::from_value(vector.clone()));
            let vector = vector.transpose();
            column.push(vector.with_context(|| format!("point {id}"))?);
        }
        self.ids.push(ByteArray::from(id.into_bytes()));
        let payload = point.payload.clone().unwrap_or_default();
        self.payloads.push(serde_json::to_vec(&payload)?.into());
        match self.ids.len() < limits::ROWS_OF_A_GROUP {
            true => Ok(()),
            false => self.flush(),
        }
    }

    /// Writes what is left and the end.
    pub(crate) fn finish(mut self) -> Result<()> {
        self.flush()?;
        self.file.close()?;
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        if self.ids.is_empty() {
            return Ok(());
        }
        let mut group = self.file.next_row_group()?;
        let (ids, payloads) = (
            std::mem::take(&mut self.ids),
            std::mem::take(&mut self.payloads),
        );
        let mut vectors = self.vectors.values_mut();
        let columns = vectors.len() + 2;
        let mut at = 0;
        while let Some(mut column) = group.next_column()? {
            if at == 0 || at + 1 == columns {
                let texts = if at == 0 { &ids } else { &payloads };
                column
                    .typed::<ByteArrayType>()
                    .write_batch(texts, None, None)?;
            } else if let Some(rows) = vectors.next() {
                let rows = std::mem::take(rows);
                let (numbers, defined, repeated) = flat(&rows);
                let column = column.typed::<FloatType>();
                column.write_batch(&numbers, Some(&defined), Some(&repeated))?;
            }
            column.close()?;
            at += 1;
        }
        group.close()?;
        Ok(())
    }
}

fn text(name: &str, kind: LogicalType) -> Result<TypePtr> {
    let column = Type::primitive_type_builder(name, Physical::BYTE_ARRAY)
        .with_repetition(Repetition::REQUIRED)
        .with_logical_type(Some(kind));
    Ok(Arc::new(column.build()?))
}

/// A list of numbers, of three levels as the format asks for, that a row may do without.
fn list(name: &str) -> Result<TypePtr> {
    let element = Type::primitive_type_builder("element", Physical::FLOAT)
        .with_repetition(Repetition::REQUIRED);
    let elements = Type::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![Arc::new(element.build()?)]);
    let name = match name {
        "" => VECTOR.to_owned(),
        name => format!("{VECTOR}.{name}"),
    };
    let column = Type::group_type_builder(&name)
        .with_repetition(Repetition::OPTIONAL)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(elements.build()?)]);
    Ok(Arc::new(column.build()?))
}

/// All numbers, and for each place whether there is a list (1) and a number in it (2), and whether it
/// goes on with the list before (1).
fn flat(rows: &[Option<Vec<f32>>]) -> (Vec<f32>, Vec<i16>, Vec<i16>) {
    let (mut numbers, mut defined, mut repeated) = (Vec::new(), Vec::new(), Vec::new());
    for row in rows {
        match row.as_deref() {
            None | Some([]) => {
                defined.push(i16::from(row.is_some()));
                repeated.push(0);
            }
            Some(row) => {
                numbers.extend_from_slice(row);
                defined.extend(row.iter().map(|_| 2));
                repeated.push(0);
                repeated.extend(row.iter().skip(1).map(|_| 1));
            }
        }
    }
    (numbers, defined, repeated)
}
