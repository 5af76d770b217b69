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
    /// What has made the vector, as lines of an export say.
    #[serde(default, skip_serializing)]
    model: Option<String>,
}

/// A point, its row and what it says of its person.
type Row = (usize, NewPoint, Option<About>);

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
    let mut of = model.map(str::to_owned).or(told);
    let (mut seen, mut people) = (Seen::new(), People::of(client, collection));
    let before = so_far.put().count();
    let (mut is_there, mut is_new, mut is_first) = (dry_run, false, true);
    loop {
        let batch = batch(&mut points, &mut seen, &mut report)?;
        let Some((_, first, _)) = batch.first() else {
            break;
        };
        if std::mem::take(&mut is_first) {
            of = of.or_else(|| first.model.clone());
        }
        if model.is_none() {
            of_one_model(&batch, of.as_deref()).with_context(|| report.source.clone())?;
        }
        if !is_there {
            // Before a collection is made for what it would refuse.
            let dim = of_one_size(&batch).with_context(|| report.source.clone())?;
            is_new = client.ensure_vectors(collection, dim, of.as_deref())?;
            is_there = true;
        }
        let all: Vec<PhotoId> = batch.iter().map(|(_, point, _)| point.id).collect();
        let known = client.known_ids(collection, &all)?;
        let points = batch.iter().map(|(_, point, _)| point);
        let new: Vec<_> = points.filter(|it| !known.contains(&it.id)).collect();
        report.already_there += batch.len() - new.len();
        if dry_run {
            continue;
        }
        if !new.is_empty() {
            // Another import may have put some meanwhile.
            let there = put(client, collection, &new).map_err(|error| {
                let error = told_with_row(error, &report.source, &batch);
                match is_new && report.imported == 0 {
                    // Not removed: others may have put points in meanwhile.
                    true => error.context(format!("`{collection}` was made for it and is empty")),
                    false => error,
                }
            })?;
            report.already_there += there;
            let put = new.len() - there;
            report.imported += put;
            so_far.add(iter::repeat_n(None, put));
        }
        // Of those that were there too: an import before this one may have ended in between.
        for (_, point, about) in &batch {
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

/// How many numbers the vectors have that are not told by name; nothing where there are none.
fn of_one_size(batch: &[Row]) -> Result<Option<usize>> {
    let sizes = batch.iter();
    let sizes = sizes.filter_map(|(row, point, _)| Some((row, point.vector.as_array()?.len())));
    let mut first = None;
    for (row, size) in sizes {
        match *first.get_or_insert(size) {
            first if first == size => {}
            first => bail!("row {row}: a vector of {size} numbers, those before it have {first}"),
        }
    }
    Ok(first)
}

/// Refuses rows that say to be of another model.
fn of_one_model(batch: &[Row], of: Option<&str>) -> Result<()> {
    let other = |model: &Option<String>| model.is_some() && model.as_deref() != of;
    let other = batch.iter().find(|(_, point, _)| other(&point.model));
    match other {
        Some((
            row,
            NewPoint {
                model: Some(model), ..
            },
            _,
        )) => bail!(
            "row {row}: its vector is of `{model}`, those before it {}",
            of.map_or("of none that is named".to_owned(), |of| format!(
                "of `{of}`"
            ))
        ),
        _ => Ok(()),
    }
}

/// What the server has refused, with the row that it is about, or those that were sent together.
fn told_with_row(error: Error, source: &str, batch: &[Row]) -> anyhow::Error {
    let Error::Refused { message, .. } = &error else {
        return error.into();
    };
    let is_of = |id: &PhotoId| {
        let named = format!("point {id}");
        let mut after = message.split(named.as_str()).skip(1);
        after.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-'))
    };
    let named = batch.iter().find(|(_, point, _)| is_of(&point.id));
    let rows = match (named, batch.first(), batch.last()) {
        (Some((row, ..)), ..) => format!("{source}, row {row}"),
        (None, Some((first, ..)), Some((last, ..))) => format!("{source}, rows {first} to {last}"),
        _ => source.to_owned(),
    };
    anyhow::Error::from(error).context(rows)
}

/// The next points with their rows and what they say of their people, without those whose id a row before them has.
fn batch(points: &mut Points, seen: &mut Seen, report: &mut Report) -> Result<Vec<Row>> {
    let mut batch = Vec::new();
    while batch.len() < limits::BATCH_POINTS
        && let Some((row, point)) = points.next()
    {
        let mut point = point.with_context(|| format!("{}, row {row}", report.source))?;
        report.rows += 1;
        if seen.is_new(&point.id) {
            let about = point.payload.as_mut().and_then(About::taken_from);
            batch.push((row, point, about));
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
            model: None,
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
            model: None,
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
    PhotoId::try_from(id).map_err(anyhow::Error::msg)
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
    fn what_the_server_refuses_is_told_with_its_row() {
        let row = |row: usize, id: &str| {
            let point = format!(r#"{{"id": {id}, "vector": [1]}}"#);
            (row, point_of(&point), None)
        };
        let uuid = "\"0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b\"";
        let batch = [row(4, "1"), row(7, "12"), row(9, uuid)];
        let told = |message: &str| {
            let message = message.to_owned();
            let error = Error::Refused {
                status: 400,
                message,
            };
            format!("{:#}", told_with_row(error, "in.jsonl", &batch))
        };
        for (message, due) in [
            ("wrong vector: point 12: expected", "in.jsonl, row 7: "),
            ("point 1 has too much", "in.jsonl, row 4: "),
            (
                "point 0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b: no",
                "in.jsonl, row 9: ",
            ),
            ("point 123: no", "in.jsonl, rows 4 to 9: "),
            ("no room", "in.jsonl, rows 4 to 9: "),
        ] {
            let told = told(message);
            assert!(told.starts_with(due) && told.contains(message), "{told}");
        }
    }

    #[test]
    fn rows_of_two_models_are_refused_and_such_as_say_nothing_are_not() {
        let row = |row: usize, model: &str| {
            let point = format!(r#"{{"id": {row}, "vector": [1]{model}}}"#);
            (row, point_of(&point), None)
        };
        let (none, a, b) = ("", r#", "model": "a""#, r#", "model": "b""#);
        assert!(of_one_model(&[row(1, a), row(2, a), row(3, none)], Some("a")).is_ok());
        let told = |batch: &[Row], of| of_one_model(batch, of).unwrap_err().to_string();
        let two = told(&[row(1, a), row(2, b)], Some("a"));
        assert!(
            two.contains("row 2") && two.contains("`b`") && two.contains("`a`"),
            "{two}"
        );
        assert!(told(&[row(1, none), row(2, b)], None).contains("none that is named"));
    }

    fn point_of(line: &str) -> NewPoint {
        point(Ok(line.to_owned())).unwrap()
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
