//! `doppel eval`: how well and how fast the face models do on a data set, and what their cosines
//! mean there. Needs no server: the photos go through the models alone.

mod arguments;
pub(crate) mod embed;
mod figures;
mod fit;
pub(crate) mod lfw;
mod plot;
mod report;
mod spread;
mod weights;

use std::fmt::Write;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use embedder::{Calibration, Crop, Manifest, models};

use crate::exit::Exit;
use crate::models::chosen;
use crate::out;
use crate::training;
use arguments::EvalLfwArgs;
pub(crate) use arguments::{CALIBRATE_HELP, CalibrateArgs, EvalCommand};
use figures::Verification;
use lfw::Lfw;
use report::Report;
use spread::Spread;

/// Runs one of the commands.
pub(crate) fn run(command: &EvalCommand) -> Result<Exit> {
    match command {
        EvalCommand::Lfw(arguments) => lfw(arguments),
        EvalCommand::Head(arguments) => training::evaluate(arguments),
    }
}

fn lfw(arguments: &EvalLfwArgs) -> Result<Exit> {
    let lfw = Lfw::open(&arguments.folder, arguments.limit)?;
    let (models, manifest) = chosen(&arguments.models, arguments.model.as_deref())?;
    let manifest = changed(manifest, arguments)?;
    let threads = arguments.threads.into();
    if arguments.weights {
        weights::check(&manifest)?;
    }
    let embedded = embed::all(&lfw.photos, &models, &manifest, threads)?;
    if let Some(folder) = &arguments.crops {
        embed::write_crops(&lfw, &models, &manifest, folder)?;
    }
    let vectors: Vec<_> = embedded
        .iter()
        .map(|photo| photo.vector.as_deref())
        .collect();
    let cosines = lfw.cosines(&vectors);
    let verification = Verification::of(&lfw.pairs, &cosines);
    let spread = Spread::of(&lfw, &vectors, threads)?;
    let calibration = match arguments.calibrate {
        true => Some(fit::calibration(&lfw.pairs, &cosines, &spread)?),
        false => None,
    };
    let weights = match arguments.weights {
        true => Some(weights::text(&lfw, &manifest, &vectors, threads)?),
        false => None,
    };
    let report = Report::new(
        &lfw,
        &manifest,
        &embedded,
        verification,
        spread,
        calibration,
    );
    if let Some(path) = &arguments.plot {
        write(path, &plot::svg(&report))?;
    }
    out::print(&match arguments.json {
        true => report.json()?,
        false => report.text(),
    })?;
    if let Some(weights) = weights {
        out::print(&weights)?;
    }
    Ok(Exit::Success)
}

/// Measures what a model's cosines mean, and keeps it in the model's manifest in the folder.
pub(crate) fn calibrate(arguments: &CalibrateArgs) -> Result<Exit> {
    let lfw = Lfw::open(&arguments.folder, None)?;
    let (dir, mut manifest) = chosen(&arguments.models, arguments.model.as_deref())?;
    let threads = arguments.threads.into();
    let embedded = embed::all(&lfw.photos, &dir, &manifest, threads)?;
    let vectors: Vec<_> = embedded.iter().map(|it| it.vector.as_deref()).collect();
    let spread = Spread::of(&lfw, &vectors, threads)?;
    let fitted = fit::calibration(&lfw.pairs, &lfw.cosines(&vectors), &spread)?;
    let json = serde_json::to_string_pretty(&fitted)?;
    let calibration: Calibration = serde_json::from_str(&json)?;
    let at_threshold = calibration.false_match_rate(calibration.threshold);
    manifest.calibration = Some(calibration);
    let mut text = format!("\"calibration\": {json}\n");
    writeln!(
        text,
        "{:.2} % of different people's pairs reach the threshold",
        100.0 * at_threshold
    )?;
    if let Some(left_out) = lfw.missing.told() {
        writeln!(text, "left out {left_out}")?;
    }
    if !arguments.dry_run {
        let path = models::keep(&dir, &manifest)?;
        writeln!(text, "kept in {}", path.display())?;
    }
    out::print(&text)?;
    Ok(Exit::Success)
}

/// A model, with what is to be tried.
fn changed(mut manifest: Manifest, arguments: &EvalLfwArgs) -> Result<Manifest> {
    if let Some(margin) = arguments.margin {
        ensure!((0.5..=3.0).contains(&margin), "--margin must be 0.5 to 3");
        ensure!(
            matches!(manifest.embedder.input.crop, Crop::Box { .. }),
            "--margin is for models that see the face's box, {} is given five landmarks",
            manifest.name
        );
        manifest.embedder.input.crop = Crop::Box { margin };
    }
    if let Some(enlarge) = arguments.enlarge {
        ensure!((1.0..=8.0).contains(&enlarge), "--enlarge must be 1 to 8");
        manifest.detector.enlarge = enlarge;
    }
    for network in manifest.embedders_mut() {
        network.mirror = arguments.mirror.unwrap_or(network.mirror);
        network.use_rounded = arguments.rounded.unwrap_or(network.use_rounded);
    }
    Ok(manifest)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
