//! `doppel train network`: a convolutional network from pixels to vectors, and what it is worth for people
//! it was not learned from.

use std::time::Instant;

use anyhow::{Result, ensure};
use embedder::{Channels, Crop, Input, Layout, Manifest, Values, models};
use train::{Figure, Mining, Model, NetworkShape, Samples, Set, Settings, Shape, compare, limits};

use super::arguments::TrainNetworkArgs;
use super::crops;
use super::kept::{self, Place};
use super::people::Parts;
use super::run::{Learned, learn};
use super::table::{self, About};
use super::vectors::normalise;
use crate::exit::Exit;
use crate::models::chosen;
use crate::out;

/// What is told of a network; there is no original whose neighbours it could find.
const TOLD: [Figure; 3] = [
    Figure::RankOne,
    Figure::Verification,
    Figure::MatchedAtThousandth,
];

/// Learns one, puts it into the folder of models and measures it.
pub(crate) fn run(arguments: &TrainNetworkArgs) -> Result<Exit> {
    let with = &arguments.with;
    let (dir, base) = chosen(&with.models, with.model.as_deref())?;
    let name = &arguments.name;
    // Before photos are looked at: what no model may be, and what cannot be learned.
    kept::expect_free(&dir, name)?;
    let unlearned = manifest(&base, arguments, &[])?;
    let (shape, settings) = wanted(arguments)?;
    shape.check()?;
    settings.check()?;
    let place = Place::take(&dir, &unlearned)?;
    let faces = crops::of(arguments, &dir, &unlearned)?;
    let side = arguments.side;
    let parts = Parts::of(faces, &[3, side, side], &arguments.run)?;
    if parts.held_out.is_some() {
        parts.measured()?;
    }
    let started = Instant::now();
    let learned = learn(shape, settings, &parts, Some(&place.checkpoint()))?;
    let learned_s = started.elapsed().as_secs_f64();
    let seed = arguments.run.seed.to_string();
    let bytes = train::onnx(&learned.model, &[("seed", &seed)])?;
    let manifest = manifest(&base, arguments, &bytes)?;
    let kept = kept::keep(
        &place,
        (&manifest, &bytes),
        (&learned.model, &parts.watched),
        |crops| embedder::vectors_of(&dir, &manifest, crops),
    )?;
    let next = match models::locate(&dir, &manifest) {
        Ok(_) => {
            models::install(&dir, &manifest, &mut |_| {})?;
            format!("a server that is started from now on has the model {name}")
        }
        Err(why) => format!("`doppel models install {name}` gets what it needs: {why}"),
    };
    eprint!("{}\n{kept}{next}\n", learned.told);
    if parts.held_out.is_some() {
        out::print(&measured(arguments, &parts, &learned, learned_s)?)?;
    }
    Ok(Exit::Success)
}

fn wanted(arguments: &TrainNetworkArgs) -> Result<(Shape, Settings)> {
    let by = limits::NARROWER;
    ensure!(
        by.contains(&arguments.narrower),
        "--narrower must be {} to {}",
        by.start(),
        by.end()
    );
    let shape = NetworkShape::mobile_face_net(arguments.side, arguments.size);
    let settings = Settings {
        loss: arguments.loss.into(),
        // From random weights all strangers are near.
        mining: Mining::SemiHard,
        people: arguments.people,
        photos: arguments.photos_each,
        strangers: arguments.strangers,
        batches: arguments.batches,
        epochs: arguments.run.epochs,
        patience: arguments.run.patience,
        varied: !arguments.as_they_are,
        rate: arguments.rate,
        // From random weights there is nothing to be drawn back to.
        decay: 0.0,
        seed: arguments.run.seed,
    };
    Ok((Shape::Network(shape.narrower(arguments.narrower)), settings))
}

/// The detector and the crop of `base`, and a network of its own.
fn manifest(base: &Manifest, arguments: &TrainNetworkArgs, onnx: &[u8]) -> Result<Manifest> {
    let TrainNetworkArgs { name, side, .. } = arguments;
    let mut manifest = base.clone();
    manifest.name.clone_from(name);
    manifest.dim = arguments.size;
    manifest.calibration = None;
    manifest.head = None;
    manifest.beside.clear();
    manifest.licence = "of whoever trained it, and of the photos".to_owned();
    let input = &base.embedder.input;
    let embedder = &mut manifest.embedder;
    embedder.file = format!("{name}.onnx");
    embedder.sha256 = kept::sha256(onnx);
    embedder.source = None;
    embedder.translated = None;
    embedder.use_rounded = false;
    embedder.mirror = false;
    embedder.input = Input {
        side: u32::try_from(*side)?,
        crop: scaled(input.crop, (input.side, *side)),
        channels: Channels::Rgb,
        layout: Layout::ChannelsFirst,
        values: Values::Standardised,
    };
    kept::checked(&manifest)
}

/// A crop for an input of another side.
fn scaled(crop: Crop, (from, to): (u32, usize)) -> Crop {
    let number = |side: usize| f32::from(u16::try_from(side).unwrap_or(u16::MAX));
    let by = number(to) / number(from as usize);
    match crop {
        Crop::Box { margin } => Crop::Box { margin },
        Crop::Points(points) => Crop::Points(points.map(|point| point.map(|x| by * x))),
    }
}

/// Beside the pixels alone, the network before it learned anything, and chance.
fn measured(
    arguments: &TrainNetworkArgs,
    parts: &Parts,
    learned: &Learned,
    learned_s: f64,
) -> Result<String> {
    let held_out = parts.measured()?;
    let of_model = |name: &str, model: &Model| -> Result<Set> {
        Ok(Set {
            name: name.to_owned(),
            held_out: model.vectors(held_out)?,
            watched: model.vectors(&parts.watched)?,
        })
    };
    let sets = [
        Set {
            name: "the pixels alone".to_owned(),
            held_out: pixels(held_out),
            watched: pixels(&parts.watched),
        },
        of_model("the network untrained", &learned.start)?,
        of_model(&arguments.name, &learned.model)?,
    ];
    let draws = (arguments.figures.draws as usize, arguments.run.seed);
    let rows = compare(&sets, (held_out, &parts.watched), draws);
    let at_start = learned.is_start.then(|| arguments.name.clone());
    let about = About {
        draws: draws.0,
        learned_s,
        at_start: at_start.into_iter().collect(),
        ..About::of(parts, held_out)
    };
    let by_chance = train::rank_one_by_chance(held_out.people());
    match arguments.figures.json {
        true => {
            let mut all = table::json(&about, &rows, &TOLD);
            all["rank_one_by_chance"] = by_chance.into();
            Ok(serde_json::to_string_pretty(&all)? + "\n")
        }
        false => Ok(format!(
            "{}\nBy chance: rank-1 {by_chance:.4}, verification 0.5, TAR 0.001.\n",
            table::text(&about, &rows, &TOLD)?
        )),
    }
}

/// What a network is given, as vectors: their cosine is the correlation of two crops.
fn pixels(samples: &Samples) -> Vec<Vec<f32>> {
    let rows = samples.rows().map(|row| {
        let mut row = row.to_vec();
        normalise(&mut row);
        row
    });
    rows.collect()
}
