//! `doppel search`: one photo, and for each face in it a table of look-alikes.

use std::fmt::Write;

use anyhow::{Context, Result, bail};

use crate::arguments::SearchArgs;
use crate::client::{self, Client, FaceHits};
use crate::exit::Exit;
use crate::out;

/// Asks a server and prints what it found.
pub(crate) fn run(arguments: &SearchArgs, client: &Client) -> Result<Exit> {
    let photo = std::fs::read(&arguments.photo);
    let photo = photo.with_context(|| format!("cannot read {}", arguments.photo.display()))?;
    let collection = match &arguments.collection {
        Some(name) => name.clone(),
        None => only_one(client.collections()?)?,
    };
    let answer = client.search(&collection, &photo, arguments.limit)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&answer)? + "\n"
    } else {
        described(&client::faces_of(&answer)?)
    };
    out::print(&text)?;
    Ok(Exit::Success)
}

fn only_one(mut collections: Vec<String>) -> Result<String> {
    match collections.len() {
        1 => Ok(collections.remove(0)),
        0 => bail!("the server has no collection yet; `doppel import` makes one"),
        _ => bail!(
            "which collection? --collection takes one of: {}",
            collections.join(", ")
        ),
    }
}

fn described(faces: &[FaceHits]) -> String {
    if faces.is_empty() {
        return "no face found\n".to_owned();
    }
    let mut text = String::new();
    for (index, face) in faces.iter().enumerate() {
        let separator = if index == 0 { "" } else { "\n" };
        text.push_str(separator);
        describe(index, face, &mut text).expect("writing to a string never fails");
    }
    text
}

fn describe(index: usize, face: &FaceHits, text: &mut String) -> std::fmt::Result {
    let [x, y, width, height] = face.bounding_box;
    let sure = face.confidence;
    writeln!(
        text,
        "Face {}: {width:.0} x {height:.0} pixels at {x:.0}, {y:.0}, confidence {sure:.2}",
        index + 1
    )?;
    if face.hits.is_empty() {
        return writeln!(text, "  nobody like that in the collection");
    }
    let header = ["#", "score", "person", "id", "file"].map(str::to_owned);
    let rows = face.hits.iter().enumerate().map(|(rank, hit)| {
        let file = hit
            .payload
            .as_ref()
            .and_then(|payload| payload.get("file")?.as_str());
        let id = hit
            .id
            .as_str()
            .map_or_else(|| hit.id.to_string(), str::to_owned);
        [
            (rank + 1).to_string(),
            format!("{:.3}", hit.score),
            printable(hit.person.as_deref().unwrap_or("-")),
            printable(&id),
            printable(file.unwrap_or("-")),
        ]
    });
    table(&[header].into_iter().chain(rows).collect::<Vec<_>>(), text)
}

/// Names come from whoever filled the database: what would steer a terminal is left out.
fn printable(name: &str) -> String {
    name.chars().filter(|c| !c.is_control()).collect()
}

/// Columns as wide as their widest cell, the first to the right.
fn table(rows: &[[String; 5]], text: &mut String) -> std::fmt::Result {
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0)
    };
    let widths: [usize; 5] = std::array::from_fn(width);
    for [rank, score, person, id, file] in rows {
        let line = format!(
            "  {rank:>0$}  {score:<1$}  {person:<2$}  {id:<3$}  {file}",
            widths[0], widths[1], widths[2], widths[3]
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_face_has_its_table() {
        let answer = json!({"faces": [
            {"box": [10.2, 20.0, 100.4, 120.6], "landmarks": [], "confidence": 0.987, "hits": [
                {"id": 7, "score": 0.91234, "person": "Ada Lovelace",
                 "payload": {"file": "Ada/1.jpg"}, "image": null},
                {"id": "u-u", "score": 0.5, "person": null, "payload": {}, "image": null},
            ]},
            {"box": [1, 2, 3, 4], "landmarks": [], "confidence": 1.0, "hits": []},
        ]});
        let expected = "\
Face 1: 100 x 121 pixels at 10, 20, confidence 0.99
  #  score  person        id   file
  1  0.912  Ada Lovelace  7    Ada/1.jpg
  2  0.500  -             u-u  -

Face 2: 3 x 4 pixels at 1, 2, confidence 1.00
  nobody like that in the collection
";
        assert_eq!(described(&client::faces_of(&answer).unwrap()), expected);
    }

    #[test]
    fn a_name_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a[2Jbc");
    }

    #[test]
    fn the_only_collection_need_not_be_named() {
        assert_eq!(only_one(vec!["stars".to_owned()]).unwrap(), "stars");
        assert!(only_one(Vec::new()).is_err());
        let both = only_one(vec!["a".to_owned(), "b".to_owned()]);
        assert!(both.unwrap_err().to_string().ends_with("a, b"));
    }
}
