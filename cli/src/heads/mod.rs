//! `doppel train head`: a network of one's own on the vectors of a face model, as a model like any
//! other; `doppel eval head`: what it is worth. The mathematics is `train`'s.

mod arguments;
mod learn;
mod source;
mod table;

use std::fs;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use embedder::{Head, Manifest, models};
use sha2::{Digest, Sha256};
use train::{Chance, Loss, Model, Samples, Set, compare, principal, random_projection};

use arguments::TrainHeadArgs;
pub(crate) use arguments::{EvalHeadArgs, HELP, TrainCommand};
use learn::{Learned, learn};
use source::{Labelled, Parts};

use crate::exit::Exit;
use crate::out;

/// How far the numbers of the file, as ONNX Runtime has them, may be from those that were learned.
const APART: f32 = 1e-4;
/// Vectors that are compared.
const COMPARED: usize = 64;

/// Runs one of the commands.
pub(crate) fn run(command: &TrainCommand) -> Result<Exit> {
    let TrainCommand::Head(arguments) = command;
    train_head(arguments)
}

fn train_head(arguments: &TrainHeadArgs) -> Result<Exit> {
    let labelled = Labelled::read(&arguments.source)?;
    let (dir, base, name) = (&labelled.models_dir, &labelled.base, &arguments.name);
    if models::list(dir)?.iter().any(|known| known.name == *name) {
        bail!("there is a model {name} already: choose another name, or remove its manifest first");
    }
    // Before anything is learned: a name or a size that no model may have.
    manifest(base, (name, arguments.learn.size), &[])?;
    fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    let parts = labelled.parts(arguments.learn.seed, arguments.learn.held_out)?;
    let checkpoint = dir.join(format!("{name}.training"));
    let Learned { model, told } = learn(
        &arguments.learn,
        arguments.loss.into(),
        &parts,
        Some(&checkpoint),
    )?;
    let seed = arguments.learn.seed.to_string();
    let base_sha256 = base.networks_sha256();
    let properties = [
        ("base", base.name.as_str()),
        ("base_sha256", &base_sha256),
        ("seed", &seed),
    ];
    let bytes = train::onnx(&model, &properties)?;
    let manifest = manifest(base, (name, arguments.learn.size), &bytes)?;
    let head = manifest.head.as_ref().context("it has a head")?;
    let path = dir.join(&head.file);
    train::write_whole(&path, &bytes)?;
    let checked = check(&labelled, &manifest, &model, &parts.watched)?;
    let kept = models::keep(dir, &manifest)?;
    fs::remove_file(&checkpoint).with_context(|| checkpoint.display().to_string())?;
    out::print(&format!(
        "{told}\n{checked}{}\n{}\na server that is started from now on has the model {name}\n",
        path.display(),
        kept.display()
    ))?;
    Ok(Exit::Success)
}

/// A head's manifest: all that is its base's, and itself.
fn manifest(base: &Manifest, (name, dim): (&str, usize), onnx: &[u8]) -> Result<Manifest> {
    let manifest = Manifest {
        name: name.to_owned(),
        dim,
        calibration: None,
        head: Some(Head {
            base: base.name.clone(),
            input: base.dim,
            file: format!("{name}.head.onnx"),
            sha256: Sha256::digest(onnx)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }),
        ..base.clone()
    };
    let checked = Manifest::parse(&serde_json::to_string(&manifest)?);
    checked.map_err(|reason| anyhow::anyhow!("{reason}"))
}

/// What ONNX Runtime makes of the file is what was learned.
fn check(
    labelled: &Labelled,
    manifest: &Manifest,
    model: &Model,
    samples: &Samples,
) -> Result<String> {
    let mapper = match embedder::mapper(&labelled.models_dir, manifest) {
        Ok(mapper) => mapper,
        Err(embedder::Error::NotInstalled(why)) => {
            return Ok(format!("the file could not be tried: {why}\n"));
        }
        Err(error) => return Err(error.into()),
    };
    let some: Vec<Vec<f32>> = samples.rows().take(COMPARED).map(<[f32]>::to_vec).collect();
    let (made, due) = (mapper.map(&some)?, model.vectors(samples)?);
    let numbers = made.iter().flatten().zip(due.iter().flatten());
    let apart = numbers.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    ensure!(
        apart <= APART,
        "ONNX Runtime's numbers are {apart} from those that were learned"
    );
    Ok(format!(
        "ONNX Runtime's numbers are within {apart:.0e} of those that were learned\n"
    ))
}

/// Learns a head by each loss, and measures them beside what needs no learning.
pub(crate) fn evaluate(arguments: &EvalHeadArgs) -> Result<Exit> {
    let labelled = Labelled::read(&arguments.source)?;
    let parts = labelled.parts(arguments.learn.seed, arguments.learn.held_out)?;
    let held_out = parts
        .held_out
        .as_ref()
        .context("nobody is held out: use --held-out")?;
    let several = held_out
        .by_person()
        .values()
        .filter(|photos| photos.len() > 1)
        .count();
    ensure!(
        several >= 2,
        "of those who are held out {several} have two photos: 2 are the least"
    );
    let started = Instant::now();
    let sets = sets(arguments, &labelled, &parts, held_out)?;
    let learned_s = started.elapsed().as_secs_f64();
    let draws = (arguments.draws as usize, arguments.learn.seed);
    let rows = compare(&sets, (held_out, &parts.watched), draws);
    let speeds = table::speeds(&sets);
    let about = table::About::new(&parts, held_out, learned_s);
    out::print(&match arguments.json {
        true => table::json(&about, &rows, &speeds)?,
        false => table::text(&about, &rows, &speeds)?,
    })?;
    Ok(Exit::Success)
}

/// The original first.
fn sets(
    arguments: &EvalHeadArgs,
    labelled: &Labelled,
    parts: &Parts,
    held_out: &Samples,
) -> Result<Vec<Set>> {
    let plain = |samples: &Samples| samples.rows().map(<[f32]>::to_vec).collect();
    let mut sets = vec![Set {
        name: labelled.base.name.clone(),
        held_out: plain(held_out),
        watched: plain(&parts.watched),
    }];
    let losses = [
        ("quadruplet", Loss::Quadruplet),
        ("triplet", Loss::Triplet),
        ("contrastive", Loss::Contrastive),
    ];
    for (name, loss) in losses {
        let Learned { model, told } = learn(&arguments.learn, loss, parts, None)?;
        eprintln!("{name}: {told}");
        sets.push(Set {
            name: format!("head, {name}"),
            held_out: model.vectors(held_out)?,
            watched: model.vectors(&parts.watched)?,
        });
    }
    let size = arguments.learn.size;
    let mut chance = Chance::new(arguments.learn.seed);
    let random = random_projection(labelled.base.dim, size, &mut chance);
    let directions = principal(&parts.learned, size)?;
    for (name, directions) in [
        ("principal directions", directions),
        ("random directions", random),
    ] {
        sets.push(Set {
            name: name.to_owned(),
            held_out: projected(held_out, &directions),
            watched: projected(&parts.watched, &directions),
        });
    }
    Ok(sets)
}

fn projected(samples: &Samples, directions: &[Vec<f32>]) -> Vec<Vec<f32>> {
    let along = |row: &[f32], direction: &[f32]| -> f32 {
        row.iter().zip(direction).map(|(a, b)| a * b).sum()
    };
    let rows = samples.rows().map(|row| {
        let mut made: Vec<f32> = directions.iter().map(|it| along(row, it)).collect();
        let length = made
            .iter()
            .map(|x| x * x)
            .sum::<f32>()
            .sqrt()
            .max(f32::MIN_POSITIVE);
        made.iter_mut().for_each(|x| *x /= length);
        made
    });
    rows.collect()
}
