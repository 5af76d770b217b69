//! `doppel export`: a collection's points into files that other programs read, over REST, page by
//! page: never more than one page is in memory.

mod arguments;

use std::fs::{self, File};
use std::io::{BufWriter, ErrorKind, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::Serialize;
use serde_json::Value;

use crate::client::{Client, Error, Record};
use crate::exit::Exit;
use crate::npy::Writer;
use crate::{columns, out};
pub(crate) use arguments::ExportArgs;

/// Exports what a server holds. Of an export that fails, or is stopped, no file stays under its name, so that the same
/// command can be run again.
pub(crate) fn run(arguments: &ExportArgs, client: &Client) -> Result<Exit> {
    let mut made = Made::default();
    let outcome = export(arguments, client, &mut made);
    let outcome = outcome.and_then(|told| made.finish().map(|()| told));
    if outcome.is_err() {
        made.remove();
    }
    out::print(&outcome?)?;
    Ok(Exit::Success)
}

/// Says what was written.
fn export(arguments: &ExportArgs, client: &Client, made: &mut Made) -> Result<String> {
    let mut sink = Sink::create(&arguments.file, client, (&arguments.collection, made))?;
    if let Some(folder) = &arguments.crops {
        fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let (mut points, mut crops, mut from) = (0_usize, 0_usize, None);
    loop {
        let page = client.scroll(&arguments.collection, from.as_ref())?;
        for point in &page.points {
            sink.put(point, arguments.using.as_deref())?;
            if let Some(folder) = &arguments.crops {
                crops += usize::from(crop(client, &arguments.collection, &point.id, folder)?);
            }
        }
        points += page.points.len();
        from = page.next_page_offset;
        if from.is_none() {
            break;
        }
    }
    sink.finish()?;
    let mut text = format!("{points} points in {}\n", arguments.file.display());
    if let Some(folder) = &arguments.crops {
        text += &format!("{crops} crops in {}\n", folder.display());
    }
    Ok(text)
}

/// The files that an export makes; until it is whole each has `.part` behind its name.
#[derive(Default)]
struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a file; one that is there already is not overwritten, but for the part that an export which was stopped
    /// has left.
    fn create(&mut self, path: &Path) -> Result<BufWriter<File>> {
        is_free(path)?;
        let part = part_of(path);
        let file = File::create(&part);
        let file = file.with_context(|| format!("cannot make {}", part.display()))?;
        self.0.push(path.to_owned());
        Ok(BufWriter::new(file))
    }

    /// Gives the files their names.
    fn finish(&self) -> Result<()> {
        self.0.iter().try_for_each(|path| is_free(path))?;
        for path in &self.0 {
            let named = fs::rename(part_of(path), path);
            named.with_context(|| format!("cannot make {}", path.display()))?;
        }
        Ok(())
    }

    fn remove(self) {
        for path in self.0 {
            let part = part_of(&path);
            match fs::remove_file(&part) {
                Err(error) if error.kind() != ErrorKind::NotFound => {
                    eprintln!("cannot remove {}: {error}", part.display());
                }
                _ => {}
            }
        }
    }
}

fn is_free(path: &Path) -> Result<()> {
    let is_there = path.symlink_metadata().is_ok();
    ensure!(
        !is_there,
        "cannot make {}: it is there already",
        path.display()
    );
    Ok(())
}

fn part_of(path: &Path) -> PathBuf {
    let mut part = path.as_os_str().to_owned();
    part.push(".part");
    part.into()
}

/// Where points go.
enum Sink {
    /// Each in a line of its own, with all that it has.
    Lines {
        file: BufWriter<File>,
        /// What has made the only vector of each.
        model: Option<String>,
    },
    /// Their vectors as a table, and their ids beside it, one in a line.
    Table {
        rows: Writer<BufWriter<File>>,
        ids: BufWriter<File>,
    },
    /// Each in a row, with all that it has.
    Rows(Box<columns::Writer<BufWriter<File>>>),
}

impl Sink {
    fn create(path: &Path, client: &Client, (collection, made): (&str, &mut Made)) -> Result<Self> {
        match path.extension().and_then(|end| end.to_str()) {
            Some("jsonl") => {
                let (_, model) = client.vectors_of(collection)?;
                let file = made.create(path)?;
                Ok(Self::Lines { file, model })
            }
            Some("npy") => {
                let ids = made.create(&ids_beside(path))?;
                let rows = Writer::new(made.create(path)?)?;
                Ok(Self::Table { rows, ids })
            }
            Some("parquet") => {
                let (names, model) = client.vectors_of(collection)?;
                let rows = columns::Writer::new(made.create(path)?, &names, model.as_deref())?;
                Ok(Self::Rows(Box::new(rows)))
            }
            _ => bail!("the file's name must end in .jsonl, .parquet or .npy"),
        }
    }

    fn put(&mut self, point: &Record, using: Option<&str>) -> Result<()> {
        match self {
            Self::Lines { file, model } => {
                let model = model.as_deref();
                serde_json::to_writer(&mut *file, &Line { point, model })?;
                file.write_all(b"\n")?;
            }
            Self::Rows(rows) => rows.put(point)?,
            Self::Table { rows, ids } => {
                let vector = vector_of(point, using);
                rows.row(&vector.with_context(|| format!("point {}", point.id))?)?;
                writeln!(ids, "{}", bare(&point.id))?;
            }
        }
        Ok(())
    }

    fn finish(self) -> Result<()> {
        match self {
            Self::Lines { mut file, .. } => Ok(file.flush()?),
            Self::Rows(rows) => rows.finish(),
            Self::Table { rows, mut ids } => {
                ids.flush()?;
                rows.finish()
            }
        }
    }
}

/// A point with the model that has made its vector.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(flatten)]
    point: &'a Record,
    #[serde(skip_serializing_if = "Option::is_none")]
    model: Option<&'a str>,
}

/// The file with the ids of a table.
fn ids_beside(table: &Path) -> PathBuf {
    table.with_extension("ids.txt")
}

/// The only vector of a point, or the one of a name.
fn vector_of(point: &Record, using: Option<&str>) -> Result<Vec<f32>> {
    let vector = match (&point.vector, using) {
        (Some(Value::Object(named)), Some(name)) => named.get(name),
        (Some(Value::Object(named)), None) if named.is_empty() => None,
        (Some(Value::Object(_)), None) => bail!("it has vectors by name: say which with --using"),
        (vector, None) => vector.as_ref(),
        (_, Some(name)) => bail!("it has no vector `{name}`"),
    };
    let vector = vector.context("it has no such vector: a table needs one of every point")?;
    Ok(serde_json::from_value(vector.clone())?)
}

/// An id without quotes.
fn bare(id: &Value) -> String {
    id.as_str().map_or_else(|| id.to_string(), str::to_owned)
}

/// Whether a crop is kept of a point, and written now.
fn crop(client: &Client, collection: &str, id: &Value, folder: &Path) -> Result<bool> {
    let id = bare(id);
    let mut bytes = Vec::new();
    match client.fetch_crop(collection, &id, &mut bytes) {
        Err(Error::Refused { status: 404, .. }) => return Ok(false),
        other => other?,
    };
    let path = folder.join(format!("{id}.jpg"));
    fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn point(vector: Value) -> Record {
        serde_json::from_value(json!({"id": 1, "payload": {}, "vector": vector})).unwrap()
    }

    #[test]
    fn a_table_takes_the_only_vector_or_the_one_that_is_named() {
        assert_eq!(
            vector_of(&point(json!([1, 2.5])), None).unwrap(),
            [1.0, 2.5]
        );
        let named = point(json!({"face": [3], "text": [4]}));
        assert_eq!(vector_of(&named, Some("text")).unwrap(), [4.0]);
        for (point, using, word) in [
            (&named, None, "--using"),
            (&named, Some("voice"), "no such vector"),
            (&point(json!([1])), Some("face"), "no vector `face`"),
            (&point(Value::Null), None, "no such vector"),
            (&point(json!({})), None, "no such vector"),
        ] {
            let error = vector_of(point, using).unwrap_err().to_string();
            assert!(error.contains(word), "{error}");
        }
    }
}
