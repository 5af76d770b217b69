//! A list of photos in a file: a table (`.csv`) or an object in each line (`.jsonl`). `path` says
//! where a photo is, from the list's folder on; `person` and `id` are what they are everywhere; all
//! other columns and keys go into the payload.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::lines::lines;
use super::photo::{About, Found, Photo, PhotoId, id_of};
use super::source::Entries;
use super::table;
use crate::limits;

/// The photos that a file lists, one after the other.
pub(super) fn photos(path: &Path) -> Result<Entries> {
    let shown = path.display().to_string();
    let input = BufReader::new(File::open(path).with_context(|| shown.clone())?);
    let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
    let is_table = path
        .extension()
        .is_some_and(|end| end.eq_ignore_ascii_case("csv"));
    if !is_table {
        return Ok(Box::new(lines(input).map(move |(number, line)| {
            let about = line.and_then(|line| serde_json::from_str(&line).context("no JSON object"));
            let photo = about.and_then(|about| photo(&folder, number, about));
            let photo = photo.with_context(|| format!("{shown}, line {number}"));
            photo.map(Found::Photo)
        })));
    }
    let mut rows = table::rows(input);
    let first = rows.next().transpose().with_context(|| shown.clone())?;
    let (number, titles) = first.unwrap_or((1, Vec::new()));
    check(&titles).with_context(|| format!("{shown}, row {number}"))?;
    Ok(Box::new(rows.map(move |row| {
        let (number, row) = row.with_context(|| shown.clone())?;
        let photo = cells(&titles, row).and_then(|about| photo(&folder, number, about));
        let photo = photo.with_context(|| format!("{shown}, row {number}"));
        photo.map(Found::Photo)
    })))
}

/// Refuses titles that say nothing of where photos are, or one thing twice.
fn check(titles: &[String]) -> Result<()> {
    if !titles.iter().any(|title| title == "path") {
        bail!(
            "no column is called `path`, which says where a photo is: the first row names the columns, here {}",
            told(titles)
        );
    }
    let twice = titles.iter().enumerate();
    let twice = twice.filter(|(at, title)| !title.is_empty() && titles[..*at].contains(title));
    let twice: Vec<_> = twice.map(|(_, title)| title.clone()).collect();
    if !twice.is_empty() {
        bail!("more than one column is called {}", told(&twice));
    }
    Ok(())
}

fn told(titles: &[String]) -> String {
    let some = titles.iter().take(limits::COLUMNS_TOLD);
    let some: Vec<_> = some
        .map(|title| format!("`{}`", title.chars().take(40).collect::<String>()))
        .collect();
    match titles.len() - some.len() {
        0 if some.is_empty() => "none".to_owned(),
        0 => some.join(", "),
        more => format!("{} and {more} more", some.join(", ")),
    }
}

/// A row as an object. Cells that are numbers, `true` or `false` are that; empty ones are nothing.
fn cells(titles: &[String], row: Vec<String>) -> Result<Map<String, Value>> {
    if titles.len() != row.len() {
        bail!(
            "{} cells, but {} columns have a title",
            row.len(),
            titles.len()
        );
    }
    let named = titles.iter().zip(row).filter(|(_, cell)| !cell.is_empty());
    let typed = |(title, cell): (&String, String)| {
        let is_text = ["path", "person"].contains(&title.as_str());
        let value = match serde_json::from_str::<Value>(&cell) {
            Ok(value @ (Value::Number(_) | Value::Bool(_))) if !is_text => value,
            _ => Value::String(cell),
        };
        (title.clone(), value)
    };
    Ok(named.map(typed).collect())
}

fn photo(folder: &Path, row: usize, mut about: Map<String, Value>) -> Result<Photo> {
    let Some(Value::String(file)) = about.remove("path") else {
        bail!("`path` is missing: where the photo is");
    };
    let person = match about.remove("person") {
        None | Some(Value::Null) => None,
        // A cell of blanks is as empty as one without.
        Some(Value::String(person)) if person.trim().is_empty() => None,
        Some(Value::String(person)) => Some(person),
        Some(other) => bail!("`person` is {other}, but must be a name"),
    };
    let id = match about.remove("id") {
        None | Some(Value::Null) => id_of(&file),
        Some(id) => PhotoId::try_from(id).map_err(anyhow::Error::msg)?,
    };
    Ok(Photo {
        path: folder.join(&file),
        person,
        id,
        about: match about.is_empty() {
            true => About::Nothing,
            false => About::Json(serde_json::to_string(&about)?.into()),
        },
        file,
        row: Some(row),
        bytes: 0,
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::*;

    fn list(name: &str, text: &str) -> Result<Vec<Photo>> {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("a")).unwrap();
        for file in ["a/1.jpg", "a/2.jpg"] {
            fs::write(folder.path().join(file), "x").unwrap();
        }
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        let found = photos(&path)?;
        let photos = found.map(|found| match found? {
            Found::Photo(photo) => Ok(photo),
            Found::Skipped(file) => bail!("{}: {}", file.file, file.reason),
        });
        photos.collect()
    }

    #[test]
    fn a_table_and_lines_of_objects_say_the_same() {
        let table =
            "path,person,id,year,active,note\na/1.jpg,Ada,7,1843,true,\na/2.jpg,,,,,\"x, y\"\n";
        // With a mark of the encoding, as some editors write.
        let lines = "\u{feff}{\"path\": \"a/1.jpg\", \"person\": \"Ada\", \"id\": 7, \"year\": 1843, \
                     \"active\": true}\n\n{\"path\": \"a/2.jpg\", \"note\": \"x, y\"}\n";
        let (table, lines) = (
            list("l.csv", table).unwrap(),
            list("l.jsonl", lines).unwrap(),
        );
        for photos in [&table, &lines] {
            assert_eq!(photos[0].id, PhotoId::Number(7));
            assert_eq!(photos[0].person.as_deref(), Some("Ada"));
            let payload = photos[0].about.payload(&photos[0].file);
            let expected = json!({"year": 1843, "active": true, "file": "a/1.jpg"});
            assert_eq!(Value::Object(payload), expected);
            assert_eq!(
                (photos[1].id, photos[1].person.as_ref()),
                (id_of("a/2.jpg"), None)
            );
            assert_eq!(photos[1].about.payload("f")["note"], "x, y");
        }
    }

    #[test]
    fn a_name_of_blanks_is_nobodys() {
        let table = "path,person\na/1.jpg,  \na/2.jpg,Ada\n";
        let lines = "{\"path\": \"a/1.jpg\", \"person\": \"\"}\n{\"path\": \"a/2.jpg\", \"person\": \"Ada\"}\n";
        for (name, text) in [("l.csv", table), ("l.jsonl", lines)] {
            let people = list(name, text).unwrap().into_iter().map(|it| it.person);
            assert_eq!(people.collect::<Vec<_>>(), [None, Some("Ada".to_owned())]);
        }
    }

    #[test]
    fn a_mistake_names_its_row() {
        let mistakes = [
            ("l.csv", "path,id\na/1.jpg,x\n", "row 2"),
            ("l.csv", "\npath,id\n\na/1.jpg,1\n\na/1.jpg,x\n", "row 6"),
            ("l.csv", "path\na/1.jpg,more\n", "2 cells"),
            ("l.csv", "file,x\na/1.jpg,\n", "no column is called `path`"),
            ("l.csv", "file,x\n", "here `file`, `x`"),
            ("l.csv", "", "no column is called `path`"),
            (
                "l.csv",
                "path,a,b,a\n1,2,3,4\n",
                "row 1: more than one column is called `a`",
            ),
            (
                "l.jsonl",
                "{\"path\": \"a/1.jpg\", \"id\": -1}\n",
                "-1 is no id",
            ),
            ("l.jsonl", "{\"path\": \"a/1.jpg\"}\n[]\n", "line 2"),
            (
                "l.jsonl",
                "{\"path\": \"a/1.jpg\", \"person\": 3}\n",
                "`person`",
            ),
        ];
        for (name, text, words) in mistakes {
            let error = format!("{:#}", list(name, text).err().unwrap());
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
