//! Vectors that somebody has made already, with their ids: a table (`.npy`, `.fvecs`), or points in
//! Parquet or in lines of JSON. Read row by row; what is there already is not sent again.

use std::fs::File;
use std::io::{BufReader, Read};
use std::iter;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lines::{lines, read_line};
use super::people::{About, People};
use super::photo::PhotoId;
use super::report::Rows as Report;
use super::seen::Seen;
use super::sofar::SoFar;
use crate::client::{Client, Error};
use crate::{columns, limits, npy};

/// A vector with its id, as the server takes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPoint {
    id: PhotoId,
    vector: Value,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
}

/// Points, each with its row, or its line in a file of lines.
type Points = Box<dyn Iterator<Item = (usize, Result<NewPoint>)>>;

/// Whether a file holds vectors, and not a list of photos.
pub(super) fn are_in(path: &Path) -> Result<bool> {
    match path.extension().and_then(|end| end.to_str()) {
        Some("npy" | "fvecs" | "parquet") => Ok(true),
        Some("jsonl") => {
            let mut line = String::new();
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            read_line(&mut BufReader::new(file), &mut line)
                .with_context(|| path.display().to_string())?;
            let first: Option<Map<String, Value>> = serde_json::from_str(&line).ok();
            Ok(first.is_some_and(|first| first.contains_key("vector")))
        }
        _ => Ok(false),
    }
}

/// Sends a file's vectors; says what became of them.
pub(super) fn import(
    client: &Client,
    (collection, model): (&str, Option<&str>),
    (path, ids): (&Path, Option<&Path>),
    (dry_run, so_far): (bool, &mut SoFar),
) -> Result<Report> {
    let start = Instant::now();
    let mut report = Report {
        source: path.display().to_string(),
        collection: collection.to_owned(),
        dry_run,
        ..Report::default()
    };
    let (mut points, told) = read(path, ids).with_context(|| path.display().to_string())?;
    let model = model.or(told.as_deref());
    let (mut seen, mut people) = (Seen::new(), People::of(client, collection));
    let before = so_far.put().count();
    let mut is_there = dry_run;
    loop {
        let batch = batch(&mut points, &mut seen, &mut report)?;
        if batch.is_empty() {
            break;
        }
        if !is_there {
            let mut vectors = batch
                .iter()
                .filter_map(|(point, _)| point.vector.as_array());
            client.ensure_vectors(collection, vectors.next().map(Vec::len), model)?;
            is_there = true;
        }
        let all: Vec<PhotoId> = batch.iter().map(|(point, _)| point.id).collect();
        let known = client.known_ids(collection, &all)?;
        let points = batch.iter().map(|(point, _)| point);
        let new: Vec<_> = points.filter(|it| !known.contains(&it.id)).collect();
        report.already_there += batch.len() - new.len();
        if dry_run {
            continue;
        }
        if !new.is_empty() {
            // Another import may have put some meanwhile.
            let there = put(client, collection, &new)?;
            report.already_there += there;
            let put = new.len() - there;
            report.imported += put;
            so_far.add(iter::repeat_n(None, put));
        }
        // Of those that were there too: an import before this one may have ended in between.
        for (point, about) in &batch {
            if let Some(about) = about {
                let id = serde_json::to_value(point.id)?;
                people.restore((&id, !known.contains(&point.id)), about)?;
            }
        }
    }
    if !dry_run {
        report.take_over(before);
    }
    report.people = people.restored;
    report.seconds = start.elapsed().as_secs_f64();
    Ok(report)
}

/// Puts points in, and says how many were there; where they are too many for the server, or for its memory, in
/// halves.
fn put(client: &Client, collection: &str, points: &[&NewPoint]) -> Result<usize, Error> {
    match client.put_points(collection, points) {
        Err(error) if points.len() > 1 && error.is_of_size() => {
            let (first, second) = points.split_at(points.len() / 2);
            Ok(put(client, collection, first)? + put(client, collection, second)?)
        }
        outcome => outcome,
    }
}

/// The next points and what they say of their people, without those whose id a row before them has.
fn batch(
    points: &mut Points,
    seen: &mut Seen,
    report: &mut Report,
) -> Result<Vec<(NewPoint, Option<About>)>> {
    let mut batch = Vec::new();
    while batch.len() < limits::BATCH_POINTS
        && let Some((row, point)) = points.next()
    {
        let mut point = point.with_context(|| format!("{}, row {row}", report.source))?;
        report.rows += 1;
        if seen.is_new(&point.id) {
            let about = point.payload.as_mut().and_then(About::taken_from);
            batch.push((point, about));
        } else {
            report.repeat(row);
        }
    }
    Ok(batch)
}

/// The points of a file, and the model that it says to have made them.
fn read(path: &Path, ids: Option<&Path>) -> Result<(Points, Option<String>)> {
    let file = File::open(path)?;
    if path.extension().is_some_and(|end| end == "parquet") {
        ensure!(
            ids.is_none(),
            "--ids is for tables: rows have their own ids"
        );
        let rows = columns::Rows::open(file)?;
        let model = rows.model().map(str::to_owned);
        let rows = rows.map(|row| row?.try_into());
        return Ok((Box::new((1..).zip(rows)), model));
    }
    let input = BufReader::new(file);
    let rows: Box<dyn Iterator<Item = Result<Vec<f32>>>> =
        match path.extension().and_then(|end| end.to_str()) {
            Some("npy") => Box::new(npy::Rows::open(input)?),
            Some("fvecs") => Box::new(Fvecs { input }),
            _ => {
                ensure!(
                    ids.is_none(),
                    "--ids is for tables: lines have their own ids"
                );
                let lines = lines(input).map(|(number, line)| (number, point(line)));
                return Ok((Box::new(lines), None));
            }
        };
    let mut ids: Box<dyn Iterator<Item = Result<PhotoId>>> = match ids {
        Some(path) => {
            let file =
                File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
            Box::new(lines(BufReader::new(file)).map(|(_, line)| id(&line?)))
        }
        None => Box::new((0..).map(|row| Ok(PhotoId::Number(row)))),
    };
    let points = rows.map(move |row| {
        let id = ids.next().context("there are fewer ids than rows")??;
        Ok(NewPoint {
            id,
            vector: finite(row?)?.into(),
            payload: None,
        })
    });
    Ok((Box::new((1..).zip(points)), None))
}

impl TryFrom<columns::Point> for NewPoint {
    type Error = anyhow::Error;

    fn try_from(point: columns::Point) -> Result<Self> {
        let id = match &point.id {
            Value::String(text) => id(text)?,
            other => id(&other.to_string())?,
        };
        Ok(Self {
            id,
            vector: point.vector,
            payload: Some(point.payload),
        })
    }
}

/// A null is no vector, as an export tells of a point that has none.
fn point(line: Result<String>) -> Result<NewPoint> {
    let mut point: NewPoint = serde_json::from_str(&line?).context("it is no point")?;
    if point.vector.is_null() {
        point.vector = Value::Object(Map::new());
    }
    Ok(point)
}

/// JSON has no other numbers: what they are would be lost on the way.
fn finite(row: Vec<f32>) -> Result<Vec<f32>> {
    match row.iter().position(|number| !number.is_finite()) {
        None => Ok(row),
        Some(at) => bail!(
            "column {} is {}, but must be a number of 32 bits",
            at + 1,
            row[at]
        ),
    }
}

fn id(line: &str) -> Result<PhotoId> {
    let text = line.trim();
    let number = text.parse().map(Value::Number);
    let id = number.unwrap_or_else(|_| Value::String(text.to_owned()));
    serde_json::from_value(id)
        .with_context(|| format!("`{text}` is no id: an unsigned integer or a UUID"))
}

/// Rows of a count and as many numbers (corpus-texmex.irisa.fr).
struct Fvecs<R> {
    input: R,
}

impl<R: Read> Fvecs<R> {
    fn row(&mut self) -> Result<Option<Vec<f32>>> {
        let mut count = [0; 4];
        match self.input.read(&mut count[..1])? {
            0 => return Ok(None),
            _ => self
                .input
                .read_exact(&mut count[1..])
                .context("it ends within a row")?,
        }
        let count = u32::from_le_bytes(count);
        if count == 0 || count > limits::VECTOR_NUMBERS {
            bail!("a row of {count} numbers");
        }
        let mut bytes = vec![0; usize::try_from(count)? * 4];
        self.input
            .read_exact(&mut bytes)
            .context("it ends within a row")?;
        Ok(Some(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|b| f32::from_le_bytes(*b))
                .collect(),
        ))
    }
}

impl<R: Read> Iterator for Fvecs<R> {
    type Item = Result<Vec<f32>>;

    fn next(&mut self) -> Option<Self::Item> {
        self.row().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_fvecs_say_how_long_they_are() {
        let row = |numbers: &[f32]| {
            let count = u32::try_from(numbers.len()).unwrap().to_le_bytes();
            let numbers = numbers.iter().flat_map(|number| number.to_le_bytes());
            count.into_iter().chain(numbers).collect::<Vec<u8>>()
        };
        let bytes = [row(&[1.0, 2.0]), row(&[3.0, 4.5])].concat();
        let read = |bytes: &[u8]| Fvecs { input: bytes }.collect::<Result<Vec<_>>>();
        assert_eq!(read(&bytes).unwrap(), [[1.0, 2.0], [3.0, 4.5]]);
        assert!(read(&bytes[..bytes.len() - 1]).is_err() && read(&bytes[..14]).is_err());
        assert!(read(&[255; 8]).is_err());
    }

    #[test]
    fn a_number_that_is_none_is_told_with_its_column() {
        assert_eq!(finite(vec![1.0, -2.5]).unwrap(), [1.0, -2.5]);
        for (bad, word) in [(f32::NAN, "column 2 is NaN"), (f32::INFINITY, "inf")] {
            let told = finite(vec![1.0, bad, bad]).unwrap_err().to_string();
            assert!(told.contains(word), "{told}");
        }
    }

    #[test]
    fn a_point_may_go_without_a_vector() {
        let read = |line: &str| point(Ok(line.to_owned())).unwrap().vector;
        assert_eq!(read(r#"{"id": 1, "vector": null}"#), serde_json::json!({}));
        assert_eq!(read(r#"{"id": 1, "vector": [2]}"#), serde_json::json!([2]));
    }

    #[test]
    fn ids_are_numbers_or_uuids() {
        assert_eq!(id(" 17 ").unwrap(), PhotoId::Number(17));
        assert!(matches!(
            id("0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b").unwrap(),
            PhotoId::Uuid(_)
        ));
        assert!(id("-1").is_err() && id("ada").is_err());
    }
}
