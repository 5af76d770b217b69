//! The network that turns crops of faces into vectors, many at once.

use std::path::Path;

use image::RgbImage;
use image::imageops::flip_horizontal;

use crate::embed::{mean_direction, numbers};
use crate::error::Error;
use crate::joint::Part;
use crate::limits::FACES_AT_ONCE;
use crate::manifest::{Input, Layout, Manifest};
use crate::models::locate;
use crate::runtime::{Runtime, Session};

/// The vectors that an installed model's (first) network makes of what it is given of some faces
/// ([`crate::Cropper::numbers`]).
///
/// # Errors
/// The model is not installed, or cannot be run on this.
pub fn vectors_of(
    dir: &Path,
    manifest: &Manifest,
    faces: &[Vec<f32>],
) -> Result<Vec<Vec<f32>>, Error> {
    let installed =
        locate(dir, manifest).map_err(|error| Error::NotInstalled(error.to_string()))?;
    let runtime = Runtime::of(installed.library.as_deref())?;
    let mut networks = manifest.parts().into_iter().zip(&installed.networks);
    let (part, files) = networks.next().expect("every model has a network");
    Network::load(runtime, &files.network, &part, 1)?.embed_numbers(faces)
}

/// A network of a manifest, ready to run.
pub(crate) struct Network {
    session: Session,
    /// What it sees.
    pub(crate) input: Input,
    dim: usize,
    /// Its share of a cosine.
    pub(crate) weight: f32,
    mirror: bool,
}

impl Network {
    pub(crate) fn load(
        runtime: Runtime,
        model: &Path,
        part: &Part<'_>,
        threads: usize,
    ) -> Result<Self, Error> {
        let mut this = Self {
            session: Session::load(runtime, model, threads)?,
            input: part.embedder.input.clone(),
            dim: part.dim,
            weight: part.weight,
            mirror: part.embedder.mirror,
        };
        // So that the first photo is not slow, and a file of another size is told now.
        this.embed(&[RgbImage::new(this.input.side, this.input.side)])?;
        Ok(this)
    }

    /// A vector of length 1 for each crop, in their order.
    pub(crate) fn embed(&mut self, crops: &[RgbImage]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(crops.len());
        for some in crops.chunks(FACES_AT_ONCE) {
            vectors.extend(self.embed_some(some)?);
        }
        Ok(vectors)
    }

    /// The same of what the network is given of each, as [`crate::Cropper::numbers`] has it.
    fn embed_numbers(&mut self, faces: &[Vec<f32>]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(faces.len());
        for some in faces.chunks(FACES_AT_ONCE) {
            vectors.extend(self.run(&some.concat(), some.len())?);
        }
        Ok(vectors)
    }

    fn embed_some(&mut self, crops: &[RgbImage]) -> Result<Vec<Vec<f32>>, Error> {
        let mut pixels = Vec::new();
        for crop in crops {
            pixels.extend(numbers(crop, &self.input));
            if self.mirror {
                pixels.extend(numbers(&flip_horizontal(crop), &self.input));
            }
        }
        self.run(&pixels, crops.len())
    }

    /// Of what it is given of some faces, one after the other; as often as `faces`, or their mirror images
    /// between them.
    fn run(&mut self, pixels: &[f32], faces: usize) -> Result<Vec<Vec<f32>>, Error> {
        let side = self.input.side as usize;
        let count = pixels.len() / (side * side * 3);
        let shape = match self.input.layout {
            Layout::ChannelsLast => [count, side, side, 3],
            Layout::ChannelsFirst => [count, 3, side, side],
        };
        let outputs = self.session.run(&shape, pixels)?;
        let numbers = outputs.first()?;
        if numbers.len() != count * self.dim || numbers.iter().any(|x| !x.is_finite()) {
            return Err(Error::Model(format!(
                "the embedder answered {} numbers, {} finite ones are due",
                numbers.len(),
                count * self.dim
            )));
        }
        let of_a_face = self.dim * count / faces.max(1);
        let faces = numbers.chunks_exact(of_a_face);
        Ok(faces.map(|face| mean_direction(face, self.dim)).collect())
    }
}
