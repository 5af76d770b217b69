//! A small convolutional network from pixels to vectors of length 1, after MobileFaceNet (Chen et al.
//! 2018, arXiv 1804.07573): inverted residual blocks of cheap, depthwise convolutions, and at the end one
//! weight for each place of each channel instead of a mean.
//!
//! Channels are scaled by each sample's own mean and deviation (group normalisation with one group, Wu
//! & He 2018, arXiv 1803.08494), not by the batch's: batches of a CPU are small, and a batch of mined
//! examples is not like the photos that come later.

use candle_core::{D, Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::error::Error;
use crate::head::{narrow, unit};
use crate::limits::{BLOCKS, CHANNELS, SIDES, VECTOR_NUMBERS};

/// Blocks of one width; the first halves the sides if `halves`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stage {
    /// Channels.
    pub width: usize,
    /// How many times as many channels there are within a block.
    pub wider: usize,
    /// How many blocks.
    pub blocks: usize,
    /// Whether the first block halves the sides.
    pub halves: bool,
}

/// The sizes of a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkShape {
    /// Pixels on a side; three colours.
    pub side: usize,
    /// Channels after the first convolution, which halves the sides.
    pub first: usize,
    /// What follows.
    pub stages: Vec<Stage>,
    /// Channels before the last layers.
    pub last: usize,
    /// Numbers in a vector.
    pub output: usize,
}

/// What is added to a variance, so that nothing is divided by zero.
pub(crate) const EPSILON: f32 = 1e-5;
/// The slope below zero at the start, as in He et al. 2015.
const SLOPE: f32 = 0.25;

/// The numbers from which a layer begins.
enum Start {
    Ones,
    Zeros,
    /// [`SLOPE`].
    Slopes,
    /// Normal numbers, the smaller the more of them one sum has (He et al. 2015).
    Drawn {
        summed: usize,
    },
}

impl NetworkShape {
    /// The sizes of the paper: about a million weights.
    pub fn mobile_face_net(side: usize, output: usize) -> Self {
        let stage = |width, wider, blocks, halves| Stage {
            width,
            wider,
            blocks,
            halves,
        };
        Self {
            side,
            first: 64,
            stages: vec![
                stage(64, 2, 5, true),
                stage(128, 4, 1, true),
                stage(128, 2, 6, false),
                stage(128, 4, 1, true),
                stage(128, 2, 2, false),
            ],
            last: 512,
            output,
        }
    }

    /// The same with all numbers of channels divided by `by`.
    #[must_use]
    pub fn narrower(mut self, by: usize) -> Self {
        let by = by.max(1);
        self.first /= by;
        self.last /= by;
        for stage in &mut self.stages {
            stage.width /= by;
        }
        self
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let refuse = |reason: String| Err(Error::Refused(reason));
        let halvings = 1 + self.stages.iter().filter(|stage| stage.halves).count();
        if !SIDES.contains(&self.side) || halvings > 16 || !self.side.is_multiple_of(1 << halvings)
        {
            return refuse(format!(
                "a side must be {} to {} and can be halved {halvings} times, {} cannot",
                SIDES.start(),
                SIDES.end(),
                self.side
            ));
        }
        let blocks: usize = self.stages.iter().map(|stage| stage.blocks).sum();
        let wide = self
            .stages
            .iter()
            .flat_map(|stage| [stage.width, stage.wider]);
        let mut wide = wide.chain([self.first, self.last]);
        if !BLOCKS.contains(&blocks) || !wide.all(|count| CHANNELS.contains(&count)) {
            return refuse(format!(
                "a network has {} to {} blocks and {} to {} channels",
                BLOCKS.start(),
                BLOCKS.end(),
                CHANNELS.start(),
                CHANNELS.end()
            ));
        }
        match VECTOR_NUMBERS.contains(&self.output) {
            true => Ok(()),
            false => refuse(format!(
                "a vector has 2 to 4,096 numbers, not {}",
                self.output
            )),
        }
    }

    /// Every block: channels in, channels within, channels out, whether it halves.
    pub(crate) fn blocks(&self) -> Vec<(usize, usize, usize, bool)> {
        let mut width = self.first;
        let mut blocks = Vec::new();
        for stage in &self.stages {
            for at in 0..stage.blocks {
                let halves = stage.halves && at == 0;
                blocks.push((width, width * stage.wider, stage.width, halves));
                width = stage.width;
            }
        }
        blocks
    }

    /// The sides of each layer, in the order in which they are used, and from which numbers it begins.
    fn layers(&self) -> Vec<(Start, Vec<usize>)> {
        let of_channels = |start, width| (start, vec![1, width, 1, 1]);
        let scaled = |width| {
            [
                of_channels(Start::Ones, width),
                of_channels(Start::Zeros, width),
            ]
        };
        let activated = |width| {
            let [gain, offset] = scaled(width);
            [gain, offset, of_channels(Start::Slopes, width)]
        };
        let mut layers = vec![(Start::Drawn { summed: 27 }, vec![self.first, 3, 3, 3])];
        layers.extend(activated(self.first));
        let mut width = self.first;
        for (input, within, output, _) in self.blocks() {
            layers.push((Start::Drawn { summed: input }, vec![within, input]));
            layers.extend(activated(within));
            layers.push((Start::Drawn { summed: 9 }, vec![1, within, 9]));
            layers.extend(activated(within));
            layers.push((Start::Drawn { summed: within }, vec![output, within]));
            // No activation at a block's end.
            layers.extend(scaled(output));
            width = output;
        }
        let side = self.last_side();
        layers.push((Start::Drawn { summed: width }, vec![self.last, width]));
        layers.extend(activated(self.last));
        let summed = side * side;
        layers.push((Start::Drawn { summed }, vec![1, self.last, side, side]));
        let summed = self.last;
        layers.push((Start::Drawn { summed }, vec![self.last, self.output]));
        layers
    }

    /// Numbers of each layer, in the order in which they are used.
    pub(crate) fn sides(&self) -> Vec<Vec<usize>> {
        self.layers().into_iter().map(|(_, sides)| sides).collect()
    }

    /// What is left of a side before the last layers.
    pub(crate) fn last_side(&self) -> usize {
        let halvings = self.stages.iter().filter(|stage| stage.halves).count();
        self.side >> (1 + halvings)
    }

    /// Weights from which learning starts.
    pub(crate) fn begin(&self, chance: &mut Chance) -> Result<Vec<Var>, Error> {
        let layers = self.layers().into_iter().map(|(start, sides)| {
            let count: usize = sides.iter().product();
            let values: Vec<f32> = match start {
                Start::Ones => vec![1.0; count],
                Start::Zeros => vec![0.0; count],
                Start::Slopes => vec![SLOPE; count],
                Start::Drawn { summed } => {
                    let deviation = (2.0 / summed as f64).sqrt();
                    let drawn = (0..count).map(|_| narrow(deviation * chance.normal()));
                    drawn.collect()
                }
            };
            Ok(Var::from_vec(values, sides, &Device::Cpu)?)
        });
        layers.collect()
    }

    /// Vectors of length 1 out of photos, three planes each.
    pub(crate) fn forward(&self, layers: &[Tensor], photos: &Tensor) -> Result<Tensor, Error> {
        let mut layers = layers.iter();
        let mut next = || {
            layers
                .next()
                .ok_or_else(|| Error::Refused("a layer is missing".into()))
        };
        let mut rows = photos.conv2d(next()?, 1, 2, 1, 1)?;
        rows = activated(&normalised(&rows, next()?, next()?)?, next()?)?;
        for (input, _, output, halves) in self.blocks() {
            let before = rows.clone();
            rows = mixed(&rows, next()?)?;
            rows = activated(&normalised(&rows, next()?, next()?)?, next()?)?;
            rows = each_channel(&rows, next()?, halves)?;
            rows = activated(&normalised(&rows, next()?, next()?)?, next()?)?;
            rows = mixed(&rows, next()?)?;
            rows = normalised(&rows, next()?, next()?)?;
            if input == output && !halves {
                rows = (rows + before)?;
            }
        }
        rows = mixed(&rows, next()?)?;
        rows = activated(&normalised(&rows, next()?, next()?)?, next()?)?;
        let rows = rows
            .broadcast_mul(next()?)?
            .sum(D::Minus1)?
            .sum(D::Minus1)?;
        unit(&rows.matmul(next()?)?)
    }
}

/// All channels of each place mixed.
fn mixed(rows: &Tensor, weights: &Tensor) -> Result<Tensor, Error> {
    let (count, channels, height, width) = rows.dims4()?;
    let output = weights.dim(0)?;
    let flat = rows.reshape((count, channels, height * width))?;
    let made = weights.unsqueeze(0)?.broadcast_matmul(&flat)?;
    Ok(made.reshape((count, output, height, width))?)
}

/// Each channel's 3 x 3 neighbours added up, of every place or of every second one: as nine shifted
/// copies, which is far quicker here than a convolution for each channel.
fn each_channel(rows: &Tensor, weights: &Tensor, halves: bool) -> Result<Tensor, Error> {
    let (count, channels, height, width) = rows.dims4()?;
    let padded = rows.pad_with_zeros(2, 1, 1)?.pad_with_zeros(3, 1, 1)?;
    let split = match halves {
        true => padded.reshape((count, channels, height / 2 + 1, 2, (width / 2 + 1) * 2))?,
        false => padded.clone(),
    };
    let mut sum: Option<Tensor> = None;
    for down in 0..3 {
        // Copies in one piece are multiplied far quicker than what is seen through a window.
        let row = match halves {
            false => padded.narrow(2, down, height)?.contiguous()?,
            true => {
                let rows = split.narrow(3, down % 2, 1)?.squeeze(3)?;
                let rows = rows.narrow(2, down / 2, height / 2)?.contiguous()?;
                rows.reshape((count, channels, height / 2, width / 2 + 1, 2))?
            }
        };
        for across in 0..3 {
            let shifted = match halves {
                false => row.narrow(3, across, width)?,
                true => {
                    row.narrow(4, across % 2, 1)?
                        .squeeze(4)?
                        .narrow(3, across / 2, width / 2)?
                }
            };
            let weight = of_each(
                &weights.narrow(2, 3 * down + across, 1)?.unsqueeze(3)?,
                count,
            )?;
            let part = shifted.contiguous()?.broadcast_mul(&weight)?;
            sum = Some(match sum {
                Some(sum) => (sum + part)?,
                None => part,
            });
        }
    }
    sum.ok_or_else(|| Error::Refused("nine places are nine".into()))
}

/// Mean 0 and deviation 1 over a sample, then gain and offset of each channel: both as one product and one
/// sum.
fn normalised(rows: &Tensor, gain: &Tensor, offset: &Tensor) -> Result<Tensor, Error> {
    let (count, channels, ..) = rows.dims4()?;
    let flat = rows.reshape((count, ()))?;
    let mean = flat.mean_keepdim(1)?;
    let variance = (flat.sqr()?.mean_keepdim(1)? - mean.sqr()?)?;
    let deviation = (variance.relu()? + f64::from(EPSILON))?.sqrt()?;
    let gain = gain.reshape((1, channels))?.broadcast_div(&deviation)?;
    let offset = offset.reshape((1, channels))?;
    let offset = offset.broadcast_sub(&gain.broadcast_mul(&mean)?)?;
    let sides = (count, channels, 1, 1);
    let scaled = rows.broadcast_mul(&gain.reshape(sides)?)?;
    Ok(scaled.broadcast_add(&offset.reshape(sides)?)?)
}

/// As it is above zero, times a learned slope below (He et al. 2015): that slope times all, and what is left
/// of 1 times what is above.
fn activated(rows: &Tensor, slope: &Tensor) -> Result<Tensor, Error> {
    let slope = of_each(slope, rows.dim(0)?)?;
    let above = rows.relu()?.broadcast_mul(&(1.0 - &slope)?)?;
    Ok((above + rows.broadcast_mul(&slope)?)?)
}

/// Numbers of channels once for each sample: gradients are then added up sample by sample, of places that
/// lie one behind the other, which is far quicker than over samples and places at once.
fn of_each(channels: &Tensor, count: usize) -> Result<Tensor, Error> {
    let (_, width, ..) = channels.dims4()?;
    Ok(channels.expand((count, width, 1, 1))?.contiguous()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(sides: &[usize], chance: &mut Chance) -> Tensor {
        let count: usize = sides.iter().product();
        let values: Vec<f64> = (0..count).map(|_| chance.normal()).collect();
        Tensor::from_vec(values, sides, &Device::Cpu).unwrap()
    }

    /// candle's own convolution, a group for each channel, is the specification.
    #[test]
    fn nine_shifted_copies_are_a_convolution_of_each_channel() {
        let mut chance = Chance::new(4);
        let rows = filled(&[2, 3, 6, 8], &mut chance);
        let weights = filled(&[1, 3, 9], &mut chance);
        let kernel = weights.reshape((3, 1, 3, 3)).unwrap();
        for (stride, halves) in [(1, false), (2, true)] {
            let due = rows.conv2d(&kernel, 1, stride, 1, 3).unwrap();
            let made = each_channel(&rows, &weights, halves).unwrap();
            assert_eq!(made.dims(), due.dims());
            let apart = (made - due).unwrap().abs().unwrap().flatten_all().unwrap();
            let apart: Vec<f64> = apart.to_vec1().unwrap();
            assert!(
                apart.iter().all(|x| *x < 1e-12),
                "stride {stride}: {apart:?}"
            );
        }
    }

    #[test]
    fn gradients_of_every_layer_are_those_of_finite_differences() {
        let stage = |width, halves| Stage {
            width,
            wider: 2,
            blocks: 1,
            halves,
        };
        let shape = NetworkShape {
            side: 8,
            first: 3,
            stages: vec![stage(3, false), stage(4, true)],
            last: 5,
            output: 3,
        };
        let mut chance = Chance::new(9);
        let vars = shape.begin(&mut chance).unwrap();
        let vars: Vec<Var> = vars
            .iter()
            .map(|var| Var::from_tensor(&var.to_dtype(candle_core::DType::F64).unwrap()).unwrap())
            .collect();
        let photos = filled(&[3, 3, 8, 8], &mut chance);
        let weigh = filled(&[3, 3], &mut chance);
        let value = || {
            let layers: Vec<Tensor> = vars.iter().map(|var| var.as_tensor().clone()).collect();
            let made = shape.forward(&layers, &photos).unwrap();
            (made * &weigh).unwrap().sum_all().unwrap()
        };
        let gradients = value().backward().unwrap();
        let step = 1e-5;
        for (layer, var) in vars.iter().enumerate() {
            let gradient = gradients.get(var).unwrap().flatten_all().unwrap();
            let gradient: Vec<f64> = gradient.to_vec1().unwrap();
            let kept: Vec<f64> = var.flatten_all().unwrap().to_vec1().unwrap();
            // Some of each layer: all would take long.
            for at in (0..kept.len()).step_by(kept.len().div_ceil(4)) {
                let moved = |by: f64| {
                    let mut numbers = kept.clone();
                    numbers[at] += by;
                    var.set(&Tensor::from_vec(numbers, var.dims(), &Device::Cpu).unwrap())
                        .unwrap();
                    value().to_scalar::<f64>().unwrap()
                };
                let slope = (moved(step) - moved(-step)) / (2.0 * step);
                moved(0.0);
                assert!(
                    (slope - gradient[at]).abs() < 1e-5,
                    "layer {layer}, number {at}: {slope} against {}",
                    gradient[at]
                );
            }
        }
    }

    #[test]
    fn the_network_of_the_paper_has_about_a_million_weights() {
        let sides = NetworkShape::mobile_face_net(112, 128).sides().into_iter();
        let weights: usize = sides.map(|sides| sides.iter().product::<usize>()).sum();
        assert!((900_000..1_200_000).contains(&weights), "{weights}");
        assert!(NetworkShape::mobile_face_net(100, 128).check().is_err());
        let quarter = NetworkShape::mobile_face_net(64, 128).narrower(4);
        quarter.check().unwrap();
        assert_eq!(
            (quarter.first, quarter.last, quarter.last_side()),
            (16, 128, 4)
        );
    }
}
