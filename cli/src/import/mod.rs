//! `doppel import`: a folder or a list of photos into a collection, over REST. What is already there is
//! asked for first and not sent again, so the same command goes on where an earlier one stopped. Memory
//! is the same for any number of photos: a source is gone through twice, once to know how much there is,
//! once to send it, and what is to be told of each file waits in a file, what of an import that is stopped in one of
//! the user's.

mod batch;
mod celeba;
mod embeddings;
mod fresh;
mod kinds;
mod lines;
mod manifest;
mod mistakes;
mod people;
mod photo;
mod points;
mod progress;
mod report;
mod seen;
mod send;
mod sofar;
mod source;
mod spool;
mod survey;
mod table;
mod walk;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::arguments::ImportArgs;
use crate::client::{self, Client};
use crate::exit::Exit;
use crate::out;
use batch::{Outcome, Target};
use fresh::{Fresh, Next};
pub(crate) use kinds::is_photo;
pub(crate) use photo::PhotoId;
use progress::Progress;
use report::{Report, Rows};
use send::Heard;
use sofar::SoFar;
use source::Source;

/// Imports through a server that is running.
pub(crate) fn run(arguments: &ImportArgs, client: &Client) -> Result<Exit> {
    let has_columns = (arguments.folder.extension()).is_some_and(|end| end == "parquet");
    ensure!(
        has_columns || arguments.without.is_empty(),
        "--without is for columns of .parquet files"
    );
    if arguments.folder.is_file() && points::are_in(&arguments.folder) {
        return vectors(arguments, client);
    }
    let mut report = Report {
        folder: arguments.folder.display().to_string(),
        collection: arguments.collection.clone(),
        dry_run: arguments.dry_run,
        ..Report::default()
    };
    if arguments.json || arguments.report.is_some() {
        report.keep_lines()?;
    }
    let mut so_far = so_far(arguments, client);
    let mut outcome = import(arguments, client, (&mut report, &mut so_far));
    if !arguments.dry_run {
        outcome = outcome.and(report.take_over(so_far.before()));
    }
    let outcome = outcome.map_err(|error| explained(error, report.imported));
    report.complete = outcome.is_ok();
    report.error = outcome.as_ref().err().map(crate::told);
    let published = publish(arguments, |out| report.write_json(out), || report.text());
    both(outcome, published)?;
    if !arguments.dry_run {
        so_far.complete();
    }
    Ok(match report.refused {
        0 => Exit::Success,
        _ => Exit::Partial,
    })
}

/// What this import has put in by parts of it that were stopped.
fn so_far(arguments: &ImportArgs, client: &Client) -> SoFar {
    let data = arguments.data_dir.as_deref();
    let server = match data {
        Some(data) => sofar::absolute(data.as_ref()),
        None => client.url().to_owned(),
    };
    SoFar::of(&server, &arguments.collection, &arguments.folder)
}

fn vectors(arguments: &ImportArgs, client: &Client) -> Result<Exit> {
    let (path, ids) = (&arguments.folder, arguments.ids.as_deref());
    let source = points::Source::new(path, ids, &arguments.without);
    let mut report = Rows {
        source: source.shown(),
        collection: arguments.collection.clone(),
        dry_run: arguments.dry_run,
        ..Rows::default()
    };
    let mut so_far = so_far(arguments, client);
    let of = (&source, arguments.model.as_deref());
    let told = (&mut report, &mut so_far);
    let outcome = embeddings::import(client, of, arguments.dry_run, told);
    let published = publish(arguments, |out| report.write_json(out), || report.text());
    both(outcome, published)?;
    if !arguments.dry_run {
        so_far.complete();
    }
    Ok(Exit::Success)
}

fn import(
    arguments: &ImportArgs,
    client: &Client,
    (report, so_far): (&mut Report, &mut SoFar),
) -> Result<()> {
    let source = Source::open(&arguments.folder, arguments.names.as_deref())?;
    survey::survey(&source, report)?;
    let collection = &arguments.collection;
    let fresh = Fresh::of(source.entries()?, client, collection);
    if arguments.dry_run {
        client.sizes_of(collection, arguments.model.as_deref())?;
        for next in fresh {
            match next? {
                Next::Batch(_) => {}
                Next::Known(photos) => report.already_there += photos,
                Next::Skipped(file) => report.skip_photo(&file)?,
                Next::Refused(photo) => report.refuse(&photo)?,
            }
        }
        return Ok(());
    }
    let before = client.ensure_collection(collection, arguments.model.as_deref())?;
    so_far.begin_in(before);
    let target = Target {
        client,
        collection,
        keep_crop: !arguments.no_crops,
        keep_photo: arguments.keep_photos,
    };
    let start = Instant::now();
    let mut progress = Progress::new(report.photos, "photos");
    let sent = send::all(&target, fresh, arguments.in_flight, |heard| {
        match heard {
            Heard::Known(photos) => {
                progress.known(photos);
                report.already_there += photos;
            }
            Heard::Skipped(file) => {
                progress.known(1);
                report.skip_photo(&file)?;
            }
            Heard::Photo(outcome) => {
                match outcome {
                    Outcome::Refused(_) => progress.refused(),
                    _ => progress.done(1),
                }
                match outcome {
                    Outcome::Imported => {
                        report.imported += 1;
                        so_far.add([None]);
                    }
                    Outcome::Known => report.already_there += 1,
                    Outcome::Twin(twin) => {
                        report.duplicate(&twin)?;
                        so_far.add([Some(&twin)]);
                    }
                    Outcome::Refused(refused) => report.refuse(&refused)?,
                }
            }
        }
        Ok(())
    });
    progress.finish();
    report.finish(start.elapsed().as_secs_f64());
    sent
}

/// Why an import has failed, or else why that could not be told; where both is so, both.
fn both(outcome: Result<()>, published: Result<()>) -> Result<()> {
    match (outcome, published) {
        (Err(error), Err(untold)) => Err(error.context(crate::told(&untold))),
        (outcome, published) => outcome.and(published),
    }
}

/// Tells what has become of an import, in a file and on standard output.
fn publish(
    arguments: &ImportArgs,
    json: impl Fn(&mut dyn Write) -> std::io::Result<()>,
    text: impl Fn() -> String,
) -> Result<()> {
    if let Some(path) = &arguments.report {
        let write = || {
            let mut file = BufWriter::new(File::create(path)?);
            json(&mut file)?;
            file.flush()
        };
        write().with_context(|| format!("cannot write {}", path.display()))?;
    }
    let told = match arguments.json {
        true => out::write(json),
        false => out::print(&text()),
    };
    told.context("cannot write the report")
}

fn explained(error: anyhow::Error, imported: usize) -> anyhow::Error {
    let passing = matches!(
        error.downcast_ref(),
        Some(client::Error::Lost { .. } | client::Error::Busy { .. })
    );
    if imported == 0 && !passing {
        return error;
    }
    error.context(format!(
        "stopped after {imported} photos; run the same command again to go on"
    ))
}
