//! The network that turns crops of faces into vectors, many at once.

use std::path::Path;

use image::RgbImage;
use image::imageops::flip_horizontal;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use crate::embed::{mean_direction, numbers};
use crate::error::Error;
use crate::joint::Part;
use crate::limits::FACES_AT_ONCE;
use crate::manifest::{Input, Layout};
use crate::runtime::session;

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
        environment: &Environment,
        model: &Path,
        part: &Part<'_>,
        threads: usize,
    ) -> Result<Self, Error> {
        let mut this = Self {
            session: session(environment, model, threads)?,
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

    fn embed_some(&mut self, crops: &[RgbImage]) -> Result<Vec<Vec<f32>>, Error> {
        let mut pixels = Vec::new();
        for crop in crops {
            pixels.extend(numbers(crop, &self.input));
            if self.mirror {
                pixels.extend(numbers(&flip_horizontal(crop), &self.input));
            }
        }
        let side = self.input.side as usize;
        let count = pixels.len() / (side * side * 3);
        let shape = match self.input.layout {
            Layout::ChannelsLast => [count, side, side, 3],
            Layout::ChannelsFirst => [count, 3, side, side],
        };
        let tensor = TensorRef::from_array_view((shape, pixels.as_slice()))?;
        let outputs = self.session.run(ort::inputs![tensor])?;
        let numbers = outputs[0].try_extract_tensor::<f32>()?.1;
        if numbers.len() != count * self.dim || numbers.iter().any(|x| !x.is_finite()) {
            return Err(Error::Model(format!(
                "the embedder answered {} numbers, {} finite ones are due",
                numbers.len(),
                count * self.dim
            )));
        }
        let of_a_face = self.dim * count / crops.len().max(1);
        let faces = numbers.chunks_exact(of_a_face);
        Ok(faces.map(|face| mean_direction(face, self.dim)).collect())
    }
}
