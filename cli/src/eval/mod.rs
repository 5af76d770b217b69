//! `doppel eval`: how well and how fast the face models do on a data set, and what their cosines
//! mean there. Needs no server: the photos go through the models alone.

mod arguments;
mod embed;
mod figures;
mod fit;
mod lfw;
mod plot;
mod report;
mod spread;

use std::path::Path;

use anyhow::{Context, Result, ensure};
use config::{Config, Sources};
use embedder::Manifest;

use crate::exit::Exit;
use crate::out;
pub(crate) use arguments::EvalCommand;
use arguments::EvalLfwArgs;
use figures::Verification;
use lfw::Lfw;
use report::Report;
use spread::Spread;

/// Runs one of the commands.
pub(crate) fn run(command: &EvalCommand) -> Result<Exit> {
    let EvalCommand::Lfw(arguments) = command;
    let lfw = Lfw::open(&arguments.folder, arguments.limit)?;
    let flags = arguments.models.flags();
    let sources = Sources::of_process(arguments.models.config.clone(), flags);
    let models = Config::load(&sources)?.models_dir;
    let manifest = manifest(arguments)?;
    let embedded = embed::all(&lfw, &models, &manifest, arguments.threads.into())?;
    if let Some(folder) = &arguments.crops {
        embed::write_crops(&lfw, &models, &manifest, folder)?;
    }
    let vectors: Vec<_> = embedded
        .iter()
        .map(|photo| photo.vector.as_deref())
        .collect();
    let cosines = lfw.cosines(&vectors);
    let verification = Verification::of(&lfw.pairs, &cosines);
    let spread = Spread::of(&lfw, &vectors, arguments.threads.into())?;
    let calibration = match arguments.calibrate {
        true => Some(fit::calibration(&lfw.pairs, &cosines, &spread)?),
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
    Ok(Exit::Success)
}

/// The pipeline that comes with doppel, with what is to be tried.
fn manifest(arguments: &EvalLfwArgs) -> Result<Manifest> {
    let mut manifest = Manifest::builtin();
    if let Some(margin) = arguments.margin {
        ensure!((0.5..=3.0).contains(&margin), "--margin must be 0.5 to 3");
        manifest.embedder.margin = margin;
    }
    if let Some(enlarge) = arguments.enlarge {
        ensure!((1.0..=8.0).contains(&enlarge), "--enlarge must be 1 to 8");
        manifest.detector.enlarge = enlarge;
    }
    if let Some(mirror) = arguments.mirror {
        manifest.embedder.mirror = mirror;
    }
    if let Some(rounded) = arguments.rounded {
        manifest.embedder.use_rounded = rounded;
    }
    Ok(manifest)
}

fn write(path: &Path, text: &str) -> Result<()> {
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}
