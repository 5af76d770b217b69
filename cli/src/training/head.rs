//! `doppel train head`: a network on the vectors of a face model.

use anyhow::Result;
use embedder::{Head, Manifest};
use train::{HeadShape, Loss, Settings, Shape};

use super::arguments::{HeadArgs, TrainHeadArgs};
use super::kept::{self, Place};
use super::people::Parts;
use super::run::{Learned, learn};
use super::vectors::Source;
use crate::exit::Exit;
use crate::out;

/// Learns one and puts it into the folder of models.
pub(crate) fn run(arguments: &TrainHeadArgs) -> Result<Exit> {
    let source = Source::open(&arguments.source)?;
    let (dir, base) = (&source.models_dir, &source.base);
    let name = &arguments.name;
    // Before anything is read: what cannot be learned, or no model may be called.
    kept::expect_free(dir, name)?;
    let (shape, settings) = wanted(&arguments.learn, base.dim, arguments.loss.into());
    shape.check()?;
    settings.check()?;
    let unlearned = manifest(base, (name, arguments.learn.size), &[])?;
    let place = Place::take(dir, &unlearned)?;
    let parts = Parts::of(source.read()?, &[base.dim], &arguments.learn.run)?;
    let checkpoint = place.checkpoint();
    let Learned { model, told, .. } = learn(shape, settings, &parts, Some(&checkpoint))?;
    let seed = arguments.learn.run.seed.to_string();
    let base_sha256 = base.networks_sha256();
    let properties = [
        ("base", base.name.as_str()),
        ("base_sha256", &base_sha256),
        ("seed", &seed),
    ];
    let bytes = train::onnx(&model, &properties)?;
    let manifest = manifest(base, (name, arguments.learn.size), &bytes)?;
    let kept = kept::keep(
        &place,
        (&manifest, &bytes),
        (&model, &parts.watched),
        |vectors| embedder::mapper(dir, &manifest)?.map(vectors),
    )?;
    out::print(&format!(
        "{told}\n{kept}a server that is started from now on has the model {name}\n"
    ))?;
    Ok(Exit::Success)
}

/// What is learned on vectors of so many numbers, and how.
pub(crate) fn wanted(arguments: &HeadArgs, input: usize, loss: Loss) -> (Shape, Settings) {
    let shape = Shape::Head(HeadShape {
        input,
        hidden: arguments.hidden,
        output: arguments.size,
    });
    let settings = Settings {
        loss,
        epochs: arguments.run.epochs,
        patience: arguments.run.patience,
        rate: arguments.rate,
        decay: arguments.decay,
        seed: arguments.run.seed,
        ..Settings::default()
    };
    (shape, settings)
}

/// A head's manifest: all that is its base's, and itself. It was made of what the base makes, so it is under
/// the same terms.
fn manifest(base: &Manifest, (name, dim): (&str, usize), onnx: &[u8]) -> Result<Manifest> {
    kept::checked(&Manifest {
        name: name.to_owned(),
        dim,
        calibration: None,
        licence: format!("as its base, {}: {}", base.name, base.licence),
        head: Some(Head {
            base: base.name.clone(),
            input: base.dim,
            file: format!("{name}.head.onnx"),
            sha256: kept::sha256(onnx),
        }),
        ..base.clone()
    })
}
