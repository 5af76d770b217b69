//! The points of a file of vectors, one after the other: a table (`.npy`, `.fvecs`) with the ids beside it, or
//! points in Parquet or in lines of JSON. It can be gone through as often as need be and is never held whole.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::lines::lines;
use super::people::{About, PERSON};
use super::photo::PhotoId;
use crate::{columns, limits, npy};

/// A vector with its id, as the server takes it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPoint {
    pub(super) id: PhotoId,
    pub(super) vector: Value,
    #[serde(default)]
    payload: Option<Map<String, Value>>,
    /// What has made the vector, as lines of an export say.
    #[serde(default, skip_serializing)]
    pub(super) model: Option<String>,
}

impl NewPoint {
    /// Whether it has no vector at all.
    pub(super) fn is_bare(&self) -> bool {
        self.vector.as_object().is_some_and(Map::is_empty)
    }
}

/// A point, its row, or its line in a file of lines, and what it says of its person.
pub(super) struct Row {
    pub(super) number: usize,
    pub(super) point: NewPoint,
    pub(super) about: Option<About>,
}

/// A file of vectors, the ids of a table's rows, and the columns of Parquet that are left out.
pub(super) struct Source {
    path: PathBuf,
    ids: Option<PathBuf>,
    without: Vec<String>,
}

/// The rows of a file; a mistake says where it is. Nothing comes after one.
pub(super) type Rows = Box<dyn Iterator<Item = Result<Row>>>;

/// Points, each with its row, or its line in a file of lines.
type Points = Box<dyn Iterator<Item = (usize, Result<NewPoint>)>>;

/// Whether a file holds vectors, and not a list of photos. Why one cannot be read is told by whoever reads it.
pub(super) fn are_in(path: &Path) -> bool {
    match path.extension().and_then(|end| end.to_str()) {
        Some("npy" | "fvecs" | "parquet") => true,
        Some("jsonl") => {
            let first = || -> Option<Map<String, Value>> {
                let (_, line) = lines(BufReader::new(File::open(path).ok()?)).next()?;
                serde_json::from_str(&line.ok()?).ok()
            };
            first().is_some_and(|first| first.contains_key("vector"))
        }
        _ => false,
    }
}

impl Source {
    pub(super) fn new(path: &Path, ids: Option<&Path>, without: &[String]) -> Self {
        Self {
            path: path.to_owned(),
            ids: ids.map(Path::to_owned),
            without: without.to_vec(),
        }
    }

    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// All rows from the beginning, and the model that the file says to have made the vectors.
    pub(super) fn rows(&self) -> Result<(Rows, Option<String>)> {
        let (mut points, model) = self.points().with_context(|| self.shown())?;
        let (shown, mut ended) = (self.shown(), false);
        let rows = std::iter::from_fn(move || {
            if ended {
                return None;
            }
            let (number, point) = points.next()?;
            let row = point.and_then(|point| Row::of(number, point));
            ended = row.is_err();
            Some(row.with_context(|| format!("{shown}, row {number}")))
        });
        Ok((Box::new(rows), model))
    }

    fn points(&self) -> Result<(Points, Option<String>)> {
        let file = File::open(&self.path)?;
        let end = self.path.extension().and_then(|end| end.to_str());
        let rows: Box<dyn Iterator<Item = Result<Vec<f32>>>> = match end {
            Some("npy") => Box::new(npy::Rows::open(BufReader::new(file))?),
            Some("fvecs") => Box::new(Fvecs {
                input: BufReader::new(file),
            }),
            Some("parquet") => {
                self.has_own_ids("rows")?;
                let rows = columns::Rows::open(file, &self.without)?;
                let model = rows.model().map(str::to_owned);
                let rows = rows.map(|row| row?.try_into());
                return Ok((Box::new((1..).zip(rows)), model));
            }
            _ => {
                self.has_own_ids("lines")?;
                let lines = lines(BufReader::new(file));
                return Ok((Box::new(lines.map(|(at, line)| (at, point(line)))), None));
            }
        };
        let ids = self.ids.as_deref().map(ids).transpose()?;
        let points = Numbered { rows, ids, done: 0 };
        Ok((Box::new((1..).zip(points)), None))
    }

    fn has_own_ids(&self, what: &str) -> Result<()> {
        ensure!(
            self.ids.is_none(),
            "--ids is for tables: {what} have their own ids"
        );
        Ok(())
    }
}

impl Row {
    fn of(number: usize, mut point: NewPoint) -> Result<Self> {
        // A name of blanks is nobody's.
        let is_blank = |it: &Value| it.as_str().is_some_and(|name| name.trim().is_empty());
        if let Some(payload) = &mut point.payload
            && payload.get(PERSON).is_some_and(is_blank)
        {
            payload.remove(PERSON);
        }
        let about = point.payload.as_mut().map(About::taken_from).transpose()?;
        Ok(Self {
            number,
            point,
            about: about.flatten(),
        })
    }
}

/// Rows of a table with their ids, which are as many; without any, their numbers from 0.
struct Numbered<R, I> {
    rows: R,
    ids: Option<I>,
    done: u64,
}

impl<R, I> Iterator for Numbered<R, I>
where
    R: Iterator<Item = Result<Vec<f32>>>,
    I: Iterator<Item = Result<PhotoId>>,
{
    type Item = Result<NewPoint>;

    fn next(&mut self) -> Option<Self::Item> {
        let (row, done) = (self.rows.next(), self.done);
        let id = match &mut self.ids {
            Some(ids) => ids.next(),
            None => row.is_some().then_some(Ok(PhotoId::Number(done))),
        };
        self.done += 1;
        let wrong = |what: &str| anyhow::anyhow!("there are {done} {what}: each row has one id");
        match (row, id) {
            (Some(row), Some(id)) => Some(row.and_then(|row| tabled(id?, row))),
            (Some(row), None) => Some(row.and(Err(wrong("ids, and more rows")))),
            (None, Some(_)) => Some(Err(wrong("rows, and more ids"))),
            (None, None) => None,
        }
    }
}

fn tabled(id: PhotoId, row: Vec<f32>) -> Result<NewPoint> {
    Ok(NewPoint {
        id,
        vector: finite(row)?.into(),
        payload: None,
        model: None,
    })
}

/// The ids of a file, one in a line.
fn ids(path: &Path) -> Result<impl Iterator<Item = Result<PhotoId>> + use<>> {
    let shown = path.display().to_string();
    let file = File::open(path).with_context(|| format!("cannot read {shown}"))?;
    let ids = lines(BufReader::new(file)).map(move |(number, line)| {
        let id = line.and_then(|line| id(&line));
        id.with_context(|| format!("{shown}, line {number}"))
    });
    Ok(ids)
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
pub(super) fn point_of(line: &str) -> NewPoint {
    point(Ok(line.to_owned())).expect("a test writes points")
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
        for (line, vector, bare) in [
            (r#"{"id": 1, "vector": null}"#, serde_json::json!({}), true),
            (r#"{"id": 1, "vector": [2]}"#, serde_json::json!([2]), false),
        ] {
            let point = point_of(line);
            assert_eq!((point.is_bare(), point.vector), (bare, vector));
        }
    }

    #[test]
    fn a_name_of_blanks_is_nobodys() {
        for (person, due) in [("\"Ada\"", true), ("\"  \"", false), ("\"\"", false)] {
            let about = r#"{"id": "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b"}"#;
            let payload = format!("{{\"person\": {person}, \"about_person\": {about}}}");
            let line = format!("{{\"id\": 1, \"vector\": [2], \"payload\": {payload}}}");
            let row = Row::of(1, point_of(&line)).unwrap();
            let has_name = row.point.payload.unwrap().contains_key("person");
            assert_eq!((has_name, row.about.is_some()), (due, due), "{person}");
        }
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

    #[test]
    fn a_table_has_as_many_ids_as_rows() {
        let rows = || (0..2_u8).map(|n| Ok(vec![f32::from(n)]));
        let of = |count: u64| {
            let ids = (0..count).map(|n| Ok(PhotoId::Number(n + 7)));
            let (ids, done) = (Some(ids), 0);
            let all = Numbered {
                rows: rows(),
                ids,
                done,
            };
            all.map(|point| point.map(|it| it.id))
                .collect::<Result<Vec<_>>>()
        };
        assert_eq!(of(2).unwrap(), [7, 8].map(PhotoId::Number));
        let few = of(1).unwrap_err().to_string();
        assert!(few.contains("1 ids, and more rows"), "{few}");
        let many = of(3).unwrap_err().to_string();
        assert!(many.contains("2 rows, and more ids"), "{many}");
    }
}
