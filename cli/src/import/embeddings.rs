//! Vectors that somebody has made already, with their ids. A file is gone through twice: once to see that all
//! of it makes sense, before anything is sent, then row by row; what is there already is not sent again.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::people::People;
use super::points::{NewPoint, Row, Rows, Source};
use super::progress::Progress;
use super::report::Rows as Report;
use super::seen::Seen;
use super::sofar::SoFar;
use crate::client::{Before, Client, Error};
use crate::limits;

/// What is known of a file once all of it was seen.
#[derive(Debug, Default)]
struct Survey {
    /// How many numbers the vectors of each name have; the empty name is that of one without.
    sizes: BTreeMap<String, usize>,
    /// What has made the vectors, if that is said.
    model: Option<String>,
}

impl Survey {
    /// The only vector that points have, by its name, and its size.
    fn only(&self) -> Option<(&str, usize)> {
        let mut sizes = self.sizes.iter();
        let first = sizes.next().map(|(name, size)| (name.as_str(), *size));
        first.filter(|_| sizes.next().is_none())
    }
}

/// Sends a file's vectors, and tells a report what became of them, also where it fails.
pub(super) fn import(
    client: &Client,
    (source, model): (&Source, Option<&str>),
    dry_run: bool,
    (report, so_far): (&mut Report, &mut SoFar),
) -> Result<()> {
    let start = Instant::now();
    let outcome = match survey(source, model, report) {
        Ok(survey) if report.rows > 0 => {
            let told = (&mut *report, &mut *so_far);
            send(client, source, (&survey, dry_run), told)
        }
        surveyed => surveyed.map(drop).context("nothing was sent"),
    };
    if !dry_run {
        report.take_over(so_far.before().count());
    }
    report.seconds = start.elapsed().as_secs_f64();
    let outcome = outcome.map_err(|error| after(error, report.imported));
    report.complete = outcome.is_ok();
    report.error = outcome.as_ref().err().map(crate::told);
    outcome
}

/// Says of an import that has failed what it has done.
fn after(error: anyhow::Error, imported: usize) -> anyhow::Error {
    match imported {
        0 => error,
        count => error.context(format!(
            "stopped after {count} vectors went in; run the same command again to go on"
        )),
    }
}

/// The first go: refuses a file in which something is wrong.
fn survey(source: &Source, model: Option<&str>, report: &mut Report) -> Result<Survey> {
    let (rows, told) = source.rows()?;
    if let (Some(model), Some(told)) = (model, &told)
        && model != told
    {
        bail!(
            "{} says that `{told}` has made its vectors, --model that it was `{model}`",
            source.shown()
        );
    }
    let is_said = model.is_some();
    let mut survey = Survey {
        sizes: BTreeMap::new(),
        model: model.map(str::to_owned).or(told),
    };
    for row in rows {
        let row = row?;
        report.rows += 1;
        if report.rows == 1 && survey.model.is_none() {
            survey.model = row.point.model.clone();
        }
        let at = || format!("{}, row {}", source.shown(), row.number);
        is_of(&row.point, survey.model.as_deref(), is_said).with_context(at)?;
        has_size(&row.point.vector, &mut survey.sizes).with_context(at)?;
        if row.point.is_bare() {
            report.without_vector.add(row.number);
        }
    }
    Ok(survey)
}

/// Refuses a point that says to be of another model.
fn is_of(point: &NewPoint, of: Option<&str>, is_said: bool) -> Result<()> {
    let Some(own) = point.model.as_deref().filter(|own| Some(*own) != of) else {
        return Ok(());
    };
    match of {
        Some(of) if is_said => bail!("its vector is of `{own}`, and --model says `{of}`"),
        Some(of) => bail!("its vector is of `{own}`, those before it of `{of}`"),
        None => bail!("its vector is of `{own}`, those before it of none that is named"),
    }
}

/// Refuses a vector of which some number is none, or that has another size than those before it.
fn has_size(vector: &Value, sizes: &mut BTreeMap<String, usize>) -> Result<()> {
    let mut check = |name: &str, numbers: &[Value]| {
        if let Some(at) = numbers.iter().position(|it| !it.is_number()) {
            bail!("number {} of its vector is `{}`", at + 1, numbers[at]);
        }
        let size = numbers.len();
        match *sizes.entry(name.to_owned()).or_insert(size) {
            first if first == size => Ok(()),
            first => bail!("a vector of {size} numbers, those before it have {first}"),
        }
    };
    match vector {
        Value::Array(numbers) => check("", numbers),
        Value::Object(named) => {
            let named = named.iter();
            let mut named = named.filter_map(|(name, it)| Some((name, it.as_array()?)));
            named.try_for_each(|(name, numbers)| check(name, numbers))
        }
        _ => Ok(()),
    }
}

/// Refuses what a collection that is there would not take.
fn fits(client: &Client, collection: &str, survey: &Survey) -> Result<()> {
    let model = survey.model.as_deref();
    let Some(sizes) = client.sizes_of(collection, model)? else {
        return Ok(());
    };
    for (name, size) in &survey.sizes {
        if let Some(own) = sizes.get(name).filter(|own| *own != size) {
            bail!("its vectors have {size} numbers, those of `{collection}` have {own}");
        }
    }
    Ok(())
}

/// The second go.
fn send(
    client: &Client,
    source: &Source,
    (survey, dry_run): (&Survey, bool),
    (report, so_far): (&mut Report, &mut SoFar),
) -> Result<()> {
    let collection = report.collection.clone();
    let model = survey.model.as_deref();
    let is_new = match dry_run {
        true => fits(client, &collection, survey).map(|()| false)?,
        false => {
            let before = client.ensure_vectors(&collection, survey.only(), model)?;
            so_far.begin_in(before);
            before == Before::Nothing
        }
    };
    let (mut rows, _) = source.rows()?;
    let (mut seen, mut people) = (Seen::new(), People::of(client, &collection));
    let mut progress = Progress::new(report.rows, "vectors");
    let mut sent = || -> Result<()> {
        loop {
            let repeats = report.duplicates;
            let batch = batch(&mut rows, &mut seen, report)?;
            progress.known(report.duplicates - repeats);
            if batch.is_empty() {
                return Ok(());
            }
            let all: Vec<_> = batch.iter().map(|row| row.point.id).collect();
            let known = client.known_ids(&collection, &all)?;
            let points = batch.iter().map(|row| &row.point);
            let new: Vec<_> = points.filter(|it| !known.contains(&it.id)).collect();
            report.already_there += batch.len() - new.len();
            progress.known(batch.len() - new.len());
            if dry_run {
                continue;
            }
            let put = put(client, &collection, &new, &mut |put, there| {
                // Another import may have put some meanwhile.
                report.already_there += there;
                report.imported += put;
                so_far.add(std::iter::repeat_n(None, put));
                progress.done(put + there);
            });
            put.map_err(|error| told_with_row(error, &source.shown(), &batch))?;
            // Of those that were there too: an import before this one may have ended in between.
            for row in &batch {
                if let Some(about) = &row.about {
                    let id = serde_json::to_value(row.point.id)?;
                    let restored = people.restore((&id, !known.contains(&row.point.id)), about);
                    report.people = people.restored;
                    restored.with_context(|| format!("{}, row {}", source.shown(), row.number))?;
                }
            }
        }
    };
    let sent = sent();
    progress.finish();
    match sent {
        Err(error) if is_new && report.imported == 0 => Err(taken_back(client, &collection, error)),
        sent => sent,
    }
}

/// Drops the collection that was made for a file of which nothing came in; not where others have put points in.
fn taken_back(client: &Client, collection: &str, error: anyhow::Error) -> anyhow::Error {
    match client.drop_empty(collection) {
        Ok(_) | Err(Error::Refused { status: 409, .. }) => error,
        Err(_) => error.context(format!("`{collection}` was made for it and may be empty")),
    }
}

/// Puts points in; where they are too many for the server, or for its memory, in halves. Each time, `done` is told
/// how many went in and how many were there.
fn put(
    client: &Client,
    collection: &str,
    points: &[&NewPoint],
    done: &mut dyn FnMut(usize, usize),
) -> Result<(), Error> {
    if points.is_empty() {
        return Ok(());
    }
    match client.put_points(collection, points) {
        Err(error) if points.len() > 1 && error.is_of_size() => {
            let (first, second) = points.split_at(points.len() / 2);
            put(client, collection, first, done)?;
            put(client, collection, second, done)
        }
        outcome => outcome.map(|there| done(points.len() - there, there)),
    }
}

/// What the server has refused, with the row that it is about, or those that were sent together.
fn told_with_row(error: Error, source: &str, batch: &[Row]) -> anyhow::Error {
    let Error::Refused { message, .. } = &error else {
        return error.into();
    };
    let is_of = |row: &&Row| {
        let named = format!("point {}", row.point.id);
        let mut after = message.split(named.as_str()).skip(1);
        after.any(|rest| !rest.starts_with(|next: char| next.is_alphanumeric() || next == '-'))
    };
    let rows = match (batch.iter().find(is_of), batch.first(), batch.last()) {
        (Some(row), ..) => format!("{source}, row {}", row.number),
        (None, Some(first), Some(last)) => {
            format!("{source}, rows {} to {}", first.number, last.number)
        }
        _ => source.to_owned(),
    };
    anyhow::Error::from(error).context(rows)
}

/// The next rows, without those whose id a row before them has.
fn batch(rows: &mut Rows, seen: &mut Seen, report: &mut Report) -> Result<Vec<Row>> {
    let mut batch = Vec::new();
    while batch.len() < limits::BATCH_POINTS
        && let Some(row) = rows.next().transpose()?
    {
        match seen.is_new(&row.point.id) {
            true => batch.push(row),
            false => report.repeat(row.number),
        }
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::super::points::point_of;
    use super::*;

    #[test]
    fn what_the_server_refuses_is_told_with_its_row() {
        let row = |number: usize, id: &str| Row {
            number,
            point: point_of(&format!(r#"{{"id": {id}, "vector": [1]}}"#)),
            about: None,
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
    fn a_row_of_another_model_is_refused_and_one_that_says_nothing_is_not() {
        let of = |model: &str| point_of(&format!(r#"{{"id": 1, "vector": [1]{model}}}"#));
        let (none, a, b) = (of(""), of(r#", "model": "a""#), of(r#", "model": "b""#));
        assert!(is_of(&a, Some("a"), false).is_ok() && is_of(&none, Some("a"), true).is_ok());
        for (point, model, is_said, words) in [
            (&b, Some("a"), false, ["`b`", "before it of `a`"]),
            (&b, Some("a"), true, ["`b`", "--model says `a`"]),
            (&b, None, false, ["`b`", "none that is named"]),
        ] {
            let told = is_of(point, model, is_said).unwrap_err().to_string();
            assert!(words.iter().all(|it| told.contains(it)), "{told}");
        }
    }
}
