//! `doppel models`: what face models there are, whether they are installed and whole, getting
//! them, and how long they take. The work is `embedder`'s; here it is told.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use clap::{Args, Subcommand};
use config::{Config, Flag, Sources};
use embedder::{Choice, FaceEmbedder, Manifest, OnnxEmbedder, Want, models};

use crate::eval::{self, CALIBRATE_HELP, CalibrateArgs};
use crate::exit::Exit;
use crate::out;

#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Show the models and whether they are installed
    List(ModelsArgs),
    /// Obtain a model and ONNX Runtime from their packages
    Install(InstallArgs),
    /// Compare the installed files with their checksums
    Verify(ModelsArgs),
    /// Measure how long a model takes for photos, stage by stage, on one core, as a server runs it
    Bench(BenchArgs),
    /// Measure what a model's cosines mean on pairs of photos, and keep that in its manifest
    #[command(after_help = CALIBRATE_HELP)]
    Calibrate(CalibrateArgs),
}

#[derive(Debug, Args)]
pub(crate) struct ModelsArgs {
    /// Folder of the face models [env: DOPPEL_MODELS_DIR] [default: ./models]
    #[arg(long, value_name = "DIR")]
    pub(crate) models_dir: Option<String>,
    /// Configuration file [env: DOPPEL_CONFIG] [default: doppel.toml, if it is there]
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// Photos
    #[arg(value_name = "PHOTO", required = true)]
    pub(crate) photos: Vec<PathBuf>,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
    /// The model [default: that of the settings]
    #[arg(long, value_name = "NAME")]
    pub(crate) model: Option<String>,
    /// Times that each photo is looked at; the best counts
    #[arg(long, value_name = "N", default_value_t = 5,
        value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) rounds: u16,
}

#[derive(Debug, Args)]
pub(crate) struct InstallArgs {
    /// The model [default: that of the settings]
    #[arg(value_name = "MODEL")]
    pub(crate) model: Option<String>,
    #[command(flatten)]
    pub(crate) models: ModelsArgs,
}

impl ModelsArgs {
    /// The flags that were given, as settings.
    pub(crate) fn flags(&self) -> Vec<Flag> {
        let dir = self.models_dir.as_ref();
        let flag = dir.map(|dir| Flag::new("--models-dir", "models_dir", dir));
        flag.into_iter().collect()
    }
}

/// What a search for look-alikes of everybody in a photo takes.
const WANT: Want = Want {
    faces: Choice::All,
    vectors: true,
    crop: false,
    smallest: 0,
};

/// Runs one of the commands.
pub(crate) fn run(command: &ModelsCommand) -> Result<Exit> {
    match command {
        ModelsCommand::List(arguments) => list(&settings(arguments)?.models_dir),
        ModelsCommand::Install(arguments) => install(arguments),
        ModelsCommand::Verify(arguments) => verify(&settings(arguments)?.models_dir),
        ModelsCommand::Bench(arguments) => bench(arguments),
        ModelsCommand::Calibrate(arguments) => eval::calibrate(arguments),
    }
}

fn settings(arguments: &ModelsArgs) -> Result<Config> {
    let sources = Sources::of_process(arguments.config.clone(), arguments.flags());
    Ok(Config::load(&sources)?)
}

/// The folder of models.
pub(crate) fn folder(arguments: &ModelsArgs) -> Result<PathBuf> {
    Ok(settings(arguments)?.models_dir)
}

/// The folder of models, and the one of a name, or that of the settings.
pub(crate) fn chosen(arguments: &ModelsArgs, name: Option<&str>) -> Result<(PathBuf, Manifest)> {
    let settings = settings(arguments)?;
    let name = name.unwrap_or(&settings.models.default);
    let manifest = models::find(&settings.models_dir, name)?;
    Ok((settings.models_dir, manifest))
}

fn list(dir: &Path) -> Result<Exit> {
    let mut text = String::new();
    for manifest in models::list(dir)? {
        describe(&manifest, &mut text)?;
        let located =
            models::expect_head(dir, &manifest).and_then(|()| models::locate(dir, &manifest));
        match located {
            Ok(_) => {
                writeln!(text, "  installed in {}", dir.display())?;
                if let Err(stale) = models::expect_current(dir, &manifest) {
                    writeln!(text, "  {stale}")?;
                }
            }
            Err(error) if manifest.head.is_some() => writeln!(text, "  cannot be used: {error}")?,
            Err(error) => writeln!(text, "  not installed: {error}")?,
        }
    }
    out::print(&text)?;
    Ok(Exit::Success)
}

fn describe(manifest: &Manifest, text: &mut String) -> std::fmt::Result {
    let detector = &manifest.detector;
    writeln!(
        text,
        "{}  {} numbers a face, licence {}",
        manifest.name, manifest.dim, manifest.licence
    )?;
    let networks = manifest.parts().into_iter().map(|part| part.embedder);
    let networks = networks.map(|it| ("embedder", &it.file, &it.source));
    let files = std::iter::once(("detector", &detector.file, &detector.source)).chain(networks);
    for (what, file, source) in files {
        match source {
            Some(source) => writeln!(
                text,
                "  {what}  {file}  from {} {}",
                source.package, source.version
            )?,
            None => writeln!(text, "  {what}  {file}  put there by hand")?,
        }
    }
    if let Some(head) = &manifest.head {
        writeln!(
            text,
            "  head      {}  on the vectors of {}",
            head.file, head.base
        )?;
    }
    match &manifest.calibration {
        Some(it) => writeln!(
            text,
            "  calibrated on {} pairs: one person from cosine {:.3} on",
            it.pairs, it.threshold
        ),
        None => writeln!(text, "  not calibrated"),
    }
}

fn install(arguments: &InstallArgs) -> Result<Exit> {
    let (dir, manifest) = chosen(&arguments.models, arguments.model.as_deref())?;
    models::install(&dir, &manifest, &mut |step| eprintln!("{step}"))?;
    out::print(&format!("face models: {}\n", dir.display()))?;
    Ok(Exit::Success)
}

/// Every model that is installed, of which there must be one at least, what is missing of those that were; and
/// the files of heads, which nothing installs, also of those whose base another server has.
fn verify(dir: &Path) -> Result<Exit> {
    let manifests = models::list(dir)?;
    let is_there = |it: &Manifest| models::locate(dir, it).is_ok();
    let (mut whole, mut wrong) = (String::new(), Vec::new());
    let mut was_there = false;
    for manifest in &manifests {
        let name = &manifest.name;
        let lost = models::lost(dir, manifest);
        was_there |= is_there(manifest) || !lost.is_empty();
        wrong.extend(lost.iter().map(|it| format!("{name}: {it}")));
        if !lost.is_empty() {
            continue;
        }
        let verified = match (is_there(manifest), &manifest.head) {
            (true, _) => models::verify(dir, manifest)
                .and_then(|_| models::expect_current(dir, manifest))
                .map(|()| Some("every file")),
            (false, Some(_)) => {
                models::expect_head(dir, manifest).map(|()| Some("the head's file"))
            }
            (false, None) => Ok(None),
        };
        let dir = dir.display();
        match verified {
            Ok(None) => {}
            Ok(Some(what)) => writeln!(whole, "{dir}: {what} of {name} is as it should be")?,
            Err(error) => wrong.push(format!("{name}: {error}")),
        }
    }
    if let (Some(first), false) = (manifests.first(), was_there) {
        // This says what is missing.
        models::verify(dir, first)?;
    }
    out::print(&whole)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n"));
    Ok(Exit::Success)
}

fn bench(arguments: &BenchArgs) -> Result<Exit> {
    let (dir, mut manifest) = chosen(&arguments.models, arguments.model.as_deref())?;
    let settings = settings(&arguments.models)?.embedding;
    (manifest.embedders_mut()).for_each(|it| it.use_rounded = settings.rounded);
    manifest.detector.smallest = settings.smallest_face;
    let mut embedder = OnnxEmbedder::load_as(&dir, 1, manifest)?;
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
