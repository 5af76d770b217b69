//! `doppel import`: a folder or a list of photos into a collection, over REST. What is already there is
//! asked for first and not sent again, so the same command goes on where an earlier one stopped.

mod batch;
mod celeba;
mod embeddings;
mod manifest;
mod photo;
mod progress;
mod report;
mod send;
mod table;
mod walk;

use std::collections::HashSet;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::arguments::ImportArgs;
use crate::client::{self, Client};
use crate::exit::Exit;
use crate::{limits, out};
use batch::{Outcome, Target};
pub(crate) use photo::PhotoId;
use photo::{Listing, Photo};
use progress::Progress;
use report::Report;

/// Imports through a server that is running.
pub(crate) fn run(arguments: &ImportArgs, client: &Client) -> Result<Exit> {
    if arguments.folder.is_file() && embeddings::are_in(&arguments.folder)? {
        return vectors(arguments, client);
    }
    let folder = arguments.folder.display().to_string();
    let listing = list(&arguments.folder, arguments.names.as_deref())?;
    let mut report = Report {
        folder,
        collection: arguments.collection.clone(),
        dry_run: arguments.dry_run,
        photos: listing.photos.len(),
        people: people(&listing.photos),
        skipped: listing.skipped.len(),
        ..Report::default()
    };
    let outcome = import(arguments, client, listing, &mut report);
    report.complete = outcome.is_ok();
    publish(arguments, &report)?;
    outcome.map_err(|error| explained(error, report.imported))?;
    Ok(match report.refused {
        0 => Exit::Success,
        _ => Exit::Partial,
    })
}

fn vectors(arguments: &ImportArgs, client: &Client) -> Result<Exit> {
    let (source, ids) = (&arguments.folder, arguments.ids.as_deref());
    let collection = &arguments.collection;
    let target = (collection.as_str(), arguments.model.as_deref());
    let report = embeddings::import(client, target, source, ids, arguments.dry_run)?;
    write_report(arguments, &report.json()?, report.text())?;
    Ok(Exit::Success)
}

/// The photos of a folder, of CelebA or of a list.
fn list(source: &Path, names: Option<&Path>) -> Result<Listing> {
    let shown = || format!("cannot list {}", source.display());
    if source.is_dir() && celeba::is_here(source) {
        return celeba::list_photos(source, names);
    }
    if names.is_some() {
        bail!("--names is for CelebA, which {} is not", source.display());
    }
    if !source.is_file() {
        return walk::walk(source).with_context(shown);
    }
    match source.extension().and_then(|end| end.to_str()) {
        Some("csv" | "jsonl") => manifest::list_photos(source),
        _ => bail!(
            "{} is no folder, and no .csv, .jsonl, .npy, .fvecs or .parquet file",
            source.display()
        ),
    }
}

fn import(
    arguments: &ImportArgs,
    client: &Client,
    listing: Listing,
    report: &mut Report,
) -> Result<(), client::Error> {
    report.skipped_files = listing.skipped;
    let collection = &arguments.collection;
    if !arguments.dry_run {
        client.ensure_collection(collection, arguments.model.as_deref())?;
    }
    let photos = not_there_yet(client, collection, listing.photos)?;
    report.already_there = report.photos - photos.len();
    if arguments.dry_run {
        return Ok(());
    }
    let target = Target {
        client,
        collection,
        keep_crop: !arguments.no_crops,
        keep_photo: arguments.keep_photos,
    };
    let start = Instant::now();
    let mut progress = Progress::new(photos.len());
    let sent = send::all(&target, &photos, arguments.in_flight, |outcome| {
        progress.photo(matches!(outcome, Outcome::Refused(_)));
        match outcome {
            Outcome::Imported => report.imported += 1,
            Outcome::Twin(twin) => report.duplicate(twin),
            Outcome::Refused(refused) => report.refuse(refused),
        }
    });
    progress.finish();
    report.finish(start.elapsed().as_secs_f64());
    sent
}

fn not_there_yet(
    client: &Client,
    collection: &str,
    photos: Vec<Photo>,
) -> Result<Vec<Photo>, client::Error> {
    let mut known = HashSet::new();
    for chunk in photos.chunks(limits::KNOWN_IDS) {
        let ids: Vec<_> = chunk.iter().map(|photo| photo.id).collect();
        known.extend(client.known_ids(collection, &ids)?);
    }
    let new = photos
        .into_iter()
        .filter(|photo| !known.contains(&photo.id));
    Ok(new.collect())
}

fn people(photos: &[Photo]) -> usize {
    let people = photos.iter().filter_map(|photo| photo.person.as_deref());
    people.collect::<HashSet<_>>().len()
}

fn publish(arguments: &ImportArgs, report: &Report) -> Result<()> {
    write_report(arguments, &report.json()?, report.text())
}

fn write_report(arguments: &ImportArgs, json: &str, text: String) -> Result<()> {
    if let Some(path) = &arguments.report {
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let shown = if arguments.json { json } else { &text };
    out::print(shown).context("cannot write the report")
}

fn explained(error: client::Error, imported: usize) -> anyhow::Error {
    let passing = matches!(
        error,
        client::Error::Lost { .. } | client::Error::Busy { .. }
    );
    let stopped = anyhow::Error::new(error);
    if imported == 0 && !passing {
        return stopped;
    }
    stopped.context(format!(
        "stopped after {imported} photos; run the same command again to go on"
    ))
}
