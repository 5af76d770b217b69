//! A network that was learned, put into the folder of models: its file, tried in ONNX Runtime, then its
//! manifest.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail, ensure};
use embedder::{Manifest, models};
use sha2::{Digest, Sha256};
use train::{Model, Samples};

/// How far the numbers of the file, as ONNX Runtime has them, may be from those that were learned.
const APART: f32 = 1e-4;
/// Samples that are compared.
const COMPARED: usize = 64;

/// Where a training of this name stands, in a folder of models; the name is free and the folder there.
pub(crate) fn begin(dir: &Path, name: &str) -> Result<PathBuf> {
    if models::list(dir)?.iter().any(|known| known.name == *name) {
        bail!("there is a model {name} already: choose another name, or remove its manifest first");
    }
    fs::create_dir_all(dir)
        .with_context(|| format!("{} is no folder, and none can be made", dir.display()))?;
    Ok(dir.join(format!("{name}.training")))
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A manifest that makes sense.
pub(crate) fn checked(manifest: &Manifest) -> Result<Manifest> {
    let checked = Manifest::parse(&serde_json::to_string(manifest)?);
    checked.map_err(|reason| anyhow!("{reason}"))
}

/// Writes the file, has it answer for some of the samples by `run`, and keeps the manifest; says what came
/// of it in some lines.
pub(crate) fn keep(
    (dir, file, bytes): (&Path, &str, &[u8]),
    (manifest, checkpoint): (&Manifest, &Path),
    (model, samples): (&Model, &Samples),
    run: impl FnOnce(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, embedder::Error>,
) -> Result<String> {
    let path = dir.join(file);
    train::write_whole(&path, bytes)?;
    let tried = compared(model, samples, run)?;
    let kept = models::keep(dir, manifest)?;
    fs::remove_file(checkpoint).with_context(|| checkpoint.display().to_string())?;
    Ok(format!("{tried}\n{}\n{}\n", path.display(), kept.display()))
}

/// What ONNX Runtime makes of the file is what was learned.
fn compared(
    model: &Model,
    samples: &Samples,
    run: impl FnOnce(&[Vec<f32>]) -> Result<Vec<Vec<f32>>, embedder::Error>,
) -> Result<String> {
    let some: Vec<Vec<f32>> = samples.rows().take(COMPARED).map(<[f32]>::to_vec).collect();
    let made = match run(&some) {
        Err(embedder::Error::NotInstalled(why)) => {
            return Ok(format!("the file could not be tried: {why}"));
        }
        made => made?,
    };
    let due = model.vectors(samples)?;
    let numbers = made.iter().flatten().zip(due.iter().flatten());
    let apart = numbers.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    ensure!(
        apart <= APART,
        "ONNX Runtime's numbers are {apart} from those that were learned"
    );
    Ok(format!(
        "ONNX Runtime's numbers are within {apart:.0e} of those that were learned"
    ))
}
