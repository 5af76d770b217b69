//! A network that is learned: its shape and its weights.

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::error::Error;
use crate::head::HeadShape;
use crate::limits::{PHOTOS_AT_ONCE, VECTORS_AT_ONCE};
use crate::network::NetworkShape;
use crate::parallel::on_all_cores;
use crate::samples::Samples;

/// What kind of network, and its sizes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Shape {
    /// On vectors of another model.
    Head(HeadShape),
    /// From pixels.
    Network(NetworkShape),
}

/// A network.
#[derive(Debug, Clone)]
pub struct Model {
    shape: Shape,
    layers: Vec<Tensor>,
}

impl Shape {
    /// Numbers of each layer.
    pub(crate) fn sides(&self) -> Vec<Vec<usize>> {
        match self {
            Self::Head(head) => head.sides(),
            Self::Network(network) => network.sides(),
        }
    }

    /// The sides of what it takes.
    pub(crate) fn takes(&self) -> Vec<usize> {
        match self {
            Self::Head(head) => vec![head.input],
            Self::Network(network) => vec![3, network.side, network.side],
        }
    }

    /// How many samples go through it together. What a photo becomes within a network is large: of few at a
    /// time it stays in the processor's caches, and memory does not grow with the batch.
    pub(crate) fn at_once(&self) -> usize {
        match self {
            Self::Head(_) => VECTORS_AT_ONCE,
            Self::Network(_) => PHOTOS_AT_ONCE,
        }
    }

    /// Numbers in a vector that it makes.
    pub fn dim(&self) -> usize {
        match self {
            Self::Head(head) => head.output,
            Self::Network(network) => network.output,
        }
    }

    /// Whether there can be such a network.
    ///
    /// # Errors
    /// There cannot; the text says what can be.
    pub fn check(&self) -> Result<(), Error> {
        match self {
            Self::Head(head) => head.check(),
            Self::Network(network) => network.check(),
        }
    }

    /// Weights from which learning starts.
    pub(crate) fn begin(&self, samples: &Samples, chance: &mut Chance) -> Result<Vec<Var>, Error> {
        self.check()?;
        match self {
            Self::Head(head) => head.begin(samples, chance),
            Self::Network(network) => network.begin(chance),
        }
    }

    pub(crate) fn forward(&self, layers: &[Tensor], batch: &Tensor) -> Result<Tensor, Error> {
        match self {
            Self::Head(head) => head.forward(layers, batch),
            Self::Network(network) => network.forward(layers, batch),
        }
    }
}

impl Model {
    pub(crate) fn new(shape: Shape, layers: Vec<Tensor>) -> Self {
        Self { shape, layers }
    }

    /// Of weights that were kept, all layers one after the other.
    ///
    /// # Errors
    /// They are not as many as the shape has.
    pub fn of(shape: Shape, weights: &[f32]) -> Result<Self, Error> {
        let layers = layers(&shape, weights)?;
        Ok(Self { shape, layers })
    }

    /// Its shape.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// All weights, layer after layer.
    ///
    /// # Errors
    /// The computation fails.
    pub fn weights(&self) -> Result<Vec<f32>, Error> {
        numbers(&self.layers)
    }

    /// A vector of length 1 for each sample.
    ///
    /// # Errors
    /// The samples are of another shape, or the computation fails.
    pub fn vectors(&self, samples: &Samples) -> Result<Vec<Vec<f32>>, Error> {
        if samples.shape() != self.shape.takes() {
            return Err(Error::Refused(format!(
                "the network takes samples of {:?} numbers, not {:?}",
                self.shape.takes(),
                samples.shape()
            )));
        }
        let places: Vec<usize> = (0..samples.len()).collect();
        let pieces: Vec<&[usize]> = places.chunks(self.shape.at_once()).collect();
        let made = on_all_cores(pieces.len(), |piece| {
            let batch = samples.tensor(pieces[piece])?;
            let made = self.shape.forward(&self.layers, &batch)?;
            Ok(made.to_vec2::<f32>()?)
        })?;
        Ok(made.concat())
    }
}

/// Layers of this shape out of their numbers.
pub(crate) fn layers(shape: &Shape, numbers: &[f32]) -> Result<Vec<Tensor>, Error> {
    let sides = shape.sides();
    let due: usize = sides
        .iter()
        .map(|sides| sides.iter().product::<usize>())
        .sum();
    if due != numbers.len() {
        let got = numbers.len();
        return Err(Error::Refused(format!(
            "the network has {due} weights, not {got}"
        )));
    }
    let mut rest = numbers;
    let mut layers = Vec::new();
    for sides in sides {
        let (own, after) = rest.split_at(sides.iter().product());
        layers.push(Tensor::from_slice(own, sides, &Device::Cpu)?);
        rest = after;
    }
    Ok(layers)
}

pub(crate) fn numbers(layers: &[Tensor]) -> Result<Vec<f32>, Error> {
    let mut numbers = Vec::new();
    for layer in layers {
        numbers.extend(layer.flatten_all()?.to_vec1::<f32>()?);
    }
    Ok(numbers)
}
