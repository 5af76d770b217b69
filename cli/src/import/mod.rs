//! `doppel import`: a folder of photos into a collection, over REST. What is already there is
//! asked for first and not sent again, so the same command goes on where an earlier one stopped.

mod batch;
mod progress;
mod report;
mod send;
mod walk;

use std::collections::HashSet;
use std::time::Instant;

use anyhow::{Context, Result};

use crate::arguments::ImportArgs;
use crate::client::{self, Client};
use crate::exit::Exit;
use crate::{limits, out};
use batch::{Outcome, Target};
use progress::Progress;
use report::Report;
use walk::{Listing, Photo};

/// Imports through a server that is running.
pub(crate) fn run(arguments: &ImportArgs, client: &Client) -> Result<Exit> {
    let folder = arguments.folder.display().to_string();
    let listing = walk::walk(&arguments.folder);
    let listing = listing.with_context(|| format!("cannot list {folder}"))?;
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

fn import(
    arguments: &ImportArgs,
    client: &Client,
    listing: Listing,
    report: &mut Report,
) -> Result<(), client::Error> {
    report.skipped_files = listing.skipped;
    let collection = &arguments.collection;
    if !arguments.dry_run {
        client.ensure_collection(collection)?;
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
        progress.photo(outcome != Outcome::Imported);
        match outcome {
            Outcome::Imported => report.imported += 1,
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
    if let Some(path) = &arguments.report {
        let json = report.json()?;
        std::fs::write(path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = if arguments.json {
        report.json()?
    } else {
        report.text()
    };
    out::print(&text).context("cannot write the report")
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
