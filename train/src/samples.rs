//! What is learned from: samples of one shape, each with the number of its person.

use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use crate::error::Error;
use crate::limits;
use crate::variation::Variation;

/// Samples of people.
#[derive(Debug, Clone, PartialEq)]
pub struct Samples {
    shape: Vec<usize>,
    values: Vec<f32>,
    people: Vec<u32>,
}

impl Samples {
    /// One after the other in `values`, each of the sides in `shape`; whose each is stands in `people`.
    ///
    /// # Errors
    /// There are none, too many, numbers that are not finite, or more or fewer numbers than that makes.
    pub fn new(shape: &[usize], values: Vec<f32>, people: Vec<u32>) -> Result<Self, Error> {
        let refuse = |reason: String| Err(Error::Refused(reason));
        let of_one: usize = shape.iter().product();
        Self::fits(shape, people.len())?;
        if values.len() != of_one * people.len() {
            return refuse(format!(
                "{} numbers are not {} samples of {of_one}",
                values.len(),
                people.len()
            ));
        }
        if let Some(at) = values.iter().position(|x| !x.is_finite()) {
            return refuse(format!(
                "sample {} (from 0) has a number that is not finite",
                at / of_one
            ));
        }
        Ok(Self {
            shape: shape.to_vec(),
            values,
            people,
        })
    }

    /// Whether so many samples of a shape can be learned from: before they are read.
    ///
    /// # Errors
    /// There are none, or too many.
    pub fn fits(shape: &[usize], count: usize) -> Result<(), Error> {
        let of_one: usize = shape.iter().product();
        let most = limits::SAMPLES.min(limits::NUMBERS / of_one.max(1));
        match of_one > 0 && (1..=most).contains(&count) {
            true => Ok(()),
            false => Err(Error::Refused(format!(
                "{count} samples of {of_one} numbers; 1 to {most} can be learned from"
            ))),
        }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// The sides of a sample.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Numbers in a sample.
    pub fn size(&self) -> usize {
        self.shape.iter().product()
    }

    /// Whose each sample is.
    pub fn people(&self) -> &[u32] {
        &self.people
    }

    /// The numbers of each sample.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.values.chunks_exact(self.size())
    }

    /// The places of each person's samples.
    pub fn by_person(&self) -> BTreeMap<u32, Vec<usize>> {
        let mut places: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (at, person) in self.people.iter().enumerate() {
            places.entry(*person).or_default().push(at);
        }
        places
    }

    /// Some of them, as a network takes them.
    pub(crate) fn tensor(&self, places: &[usize]) -> Result<Tensor, Error> {
        self.shown(
            places.len(),
            places.iter().flat_map(|at| self.row(*at)).copied(),
        )
    }

    /// The same of photos, each shown in a way of its own.
    pub(crate) fn varied(&self, shown: &[(usize, Variation)]) -> Result<Tensor, Error> {
        let numbers = shown.iter().flat_map(|(at, way)| way.of(self.row(*at)));
        self.shown(shown.len(), numbers)
    }

    fn shown(&self, count: usize, numbers: impl Iterator<Item = f32>) -> Result<Tensor, Error> {
        let shape = [&[count], self.shape.as_slice()].concat();
        Ok(Tensor::from_iter(numbers, &Device::Cpu)?.reshape(shape)?)
    }

    fn row(&self, at: usize) -> &[f32] {
        let size = self.size();
        &self.values[at * size..(at + 1) * size]
    }
}
