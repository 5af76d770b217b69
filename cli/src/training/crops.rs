//! The faces of a folder of people, as the numbers that a network is given.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use embedder::{Cropper, Error, Manifest, numbers_of_crop};
use train::Samples;

use super::arguments::TrainNetworkArgs;
use super::people::Named;
use crate::eval::{embed, lfw};

/// What came of a photo.
enum Seen {
    Face(Vec<f32>),
    NoFace,
    /// It cannot be read.
    Bad(String),
}

/// The face of each photo as the network of a manifest is to see it: found and cut out, or all of the
/// picture where that is done already. Photos without a face and those that cannot be read are told and left
/// out.
pub(crate) fn of(
    arguments: &TrainNetworkArgs,
    models: &Path,
    manifest: &Manifest,
) -> Result<Named> {
    let photos = lfw::photos(&arguments.photos)?;
    let (input, threads) = (&manifest.embedder.input, arguments.with.threads.into());
    let side = arguments.side;
    Samples::fits(&[3, side, side], photos.len())?;
    let seen = match arguments.cut_out {
        false => embed::each(
            &photos,
            threads,
            || Ok(Cropper::load(models, manifest)?),
            |cropper, photo| seen(photo, |bytes| cropper.numbers(bytes)),
        ),
        true => embed::each(
            &photos,
            threads,
            || Ok(()),
            |(), photo| seen(photo, |bytes| numbers_of_crop(bytes, input).map(Some)),
        ),
    };
    let (mut named, mut faceless, mut bad) = (Named::new(), 0, 0);
    for (photo, seen) in photos.into_iter().zip(seen?) {
        match seen {
            Seen::Face(numbers) => named.push((photo.person, numbers)),
            Seen::NoFace => faceless += 1,
            Seen::Bad(why) => {
                bad += 1;
                eprintln!("{}: {why}", photo.path.display());
            }
        }
    }
    eprintln!(
        "{} faces; {faceless} photos without one, {bad} that cannot be read",
        named.len()
    );
    ensure!(!named.is_empty(), "there is no face to learn from");
    Ok(named)
}

fn seen(photo: &Path, look: impl FnOnce(&[u8]) -> Result<Option<Vec<f32>>, Error>) -> Result<Seen> {
    let bytes = std::fs::read(photo).with_context(|| photo.display().to_string())?;
    match look(&bytes) {
        Ok(Some(numbers)) => Ok(Seen::Face(numbers)),
        Ok(None) => Ok(Seen::NoFace),
        // Whatever is wrong with the models is wrong with them for every photo.
        Err(error @ (Error::Model(_) | Error::NotInstalled(_))) => Err(error.into()),
        Err(error) => Ok(Seen::Bad(error.to_string())),
    }
}
