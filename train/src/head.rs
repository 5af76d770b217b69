//! A head: from vectors of a frozen model to shorter ones that tell people apart. Linear, or with one
//! hidden layer beside the straight path; then scaled to length 1.
//!
//! It begins as the projection onto the principal directions of what it learns from, the hidden layer
//! adding nothing yet, so that learning starts from the best that can be had without names.

use candle_core::{Device, Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::error::Error;
use crate::limits::{HIDDEN_NUMBERS, VECTOR_NUMBERS};
use crate::pca::principal;
use crate::samples::Samples;

/// The sizes of a head.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeadShape {
    /// Numbers that it takes.
    pub input: usize,
    /// Numbers in its hidden layer; without it, it is linear.
    pub hidden: Option<usize>,
    /// Numbers that it makes.
    pub output: usize,
}

impl HeadShape {
    pub(crate) fn check(&self) -> Result<(), Error> {
        let Self {
            input,
            hidden,
            output,
        } = *self;
        if !VECTOR_NUMBERS.contains(&output) || output > input {
            return Err(Error::Refused(format!(
                "a head makes {} to {input} numbers (as many as it takes), not {output}",
                VECTOR_NUMBERS.start()
            )));
        }
        match hidden {
            Some(hidden) if !HIDDEN_NUMBERS.contains(&hidden) => Err(Error::Refused(format!(
                "a hidden layer has {} to {} numbers, not {hidden}",
                HIDDEN_NUMBERS.start(),
                HIDDEN_NUMBERS.end()
            ))),
            _ => Ok(()),
        }
    }

    /// Numbers of each layer: the straight path and its offset, then the hidden layer's.
    pub(crate) fn sides(&self) -> Vec<Vec<usize>> {
        let Self {
            input,
            hidden,
            output,
        } = *self;
        let mut sides = vec![vec![input, output], vec![output]];
        if let Some(hidden) = hidden {
            sides.extend([vec![input, hidden], vec![hidden], vec![hidden, output]]);
        }
        sides
    }

    pub(crate) fn begin(&self, samples: &Samples, chance: &mut Chance) -> Result<Vec<Var>, Error> {
        let directions = principal(samples, self.output)?;
        let mut layers = vec![transposed(&directions, self.input), vec![0.0; self.output]];
        if let Some(hidden) = self.hidden {
            let deviation = (2.0 / self.input as f64).sqrt();
            let drawn = (0..self.input * hidden).map(|_| narrow(deviation * chance.normal()));
            layers.extend([
                drawn.collect(),
                vec![0.0; hidden],
                vec![0.0; hidden * self.output],
            ]);
        }
        let sides = self.sides().into_iter();
        let vars = sides
            .zip(layers)
            .map(|(sides, layer)| Var::from_vec(layer, sides, &Device::Cpu));
        Ok(vars.collect::<Result<_, _>>()?)
    }

    /// Vectors of length 1 out of vectors, a row each.
    pub(crate) fn forward(&self, layers: &[Tensor], rows: &Tensor) -> Result<Tensor, Error> {
        let mut made = rows.matmul(&layers[0])?.broadcast_add(&layers[1])?;
        if self.hidden.is_some() {
            let hidden = rows.matmul(&layers[2])?.broadcast_add(&layers[3])?.relu()?;
            made = (made + hidden.matmul(&layers[4])?)?;
        }
        unit(&made)
    }
}

/// Rows scaled to length 1.
pub(crate) fn unit(rows: &Tensor) -> Result<Tensor, Error> {
    let length = (rows.sqr()?.sum_keepdim(1)? + 1e-12)?.sqrt()?;
    Ok(rows.broadcast_div(&length)?)
}

fn transposed(rows: &[Vec<f32>], columns: usize) -> Vec<f32> {
    (0..columns)
        .flat_map(|column| rows.iter().map(move |row| row[column]))
        .collect()
}

#[expect(clippy::cast_possible_truncation, reason = "weights are f32")]
pub(crate) fn narrow(x: f64) -> f32 {
    x as f32
}
