//! The training itself: batches of people, examples mined in each, a step down, and after every epoch a
//! look at people who are not learned from. The weights that did best with those are kept.

use std::path::Path;

use candle_core::{Tensor, Var};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;
use crate::checkpoint::{self, Head};
use crate::error::Error;
use crate::limits;
use crate::loss::{Loss, Margins};
use crate::mining::{distances, mine};
use crate::model::{Model, Shape, layers, numbers};
use crate::optimiser::Adam;
use crate::samples::Samples;
use crate::separation::separation;

/// How it is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is made small.
    pub loss: Loss,
    /// People in a batch who have several photos.
    pub people: usize,
    /// Photos of each of them at most.
    pub photos: usize,
    /// Others in a batch, with a photo each.
    pub strangers: usize,
    /// Batches in an epoch.
    pub batches: usize,
    /// Epochs at most.
    pub epochs: usize,
    /// Epochs without an improvement after which it ends.
    pub patience: usize,
    /// The length of a step.
    pub rate: f64,
    /// How strongly weights are drawn back to where they began.
    pub decay: f64,
    /// Of all chance.
    pub seed: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            loss: Loss::Quadruplet,
            people: 32,
            photos: 4,
            strangers: 32,
            batches: 40,
            epochs: 100,
            patience: 10,
            rate: 3e-4,
            decay: 0.1,
            seed: 1,
        }
    }
}

impl Settings {
    fn check(&self) -> Result<(), Error> {
        let counts = [
            ("people", self.people, limits::PEOPLE_IN_A_BATCH),
            ("photos", self.photos, limits::PHOTOS_OF_A_PERSON),
            ("strangers", self.strangers, limits::STRANGERS_IN_A_BATCH),
            ("batches", self.batches, limits::BATCHES),
            ("epochs", self.epochs, limits::EPOCHS),
            ("patience", self.patience, limits::EPOCHS),
        ];
        for (name, given, range) in counts {
            if !range.contains(&given) {
                let (least, most) = (range.start(), range.end());
                return Err(Error::Refused(format!(
                    "{name} must be {least} to {most}, not {given}"
                )));
            }
        }
        let fine = |x: f64, most: f64| x.is_finite() && (0.0..=most).contains(&x);
        if !fine(self.rate, 1.0) || self.rate == 0.0 {
            return Err(Error::Refused(
                "the rate must be above 0 and at most 1".into(),
            ));
        }
        match fine(self.decay, 1_000.0) {
            true => Ok(()),
            false => Err(Error::Refused("the decay must be 0 to 1,000".into())),
        }
    }
}

/// How it stands after an epoch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Epoch {
    /// From 1.
    pub number: usize,
    /// The mean loss of its batches.
    pub loss: f64,
    /// The mean part of examples that were not as they should be.
    pub violated: f64,
    /// What [`separation`] says of the people who are watched.
    pub score: f64,
    /// The best of all epochs, the start (0) too, and which it was.
    pub best: (usize, f64),
    /// Whether that was the last.
    pub is_last: bool,
}

/// A training under way.
pub struct Training<'a> {
    shape: Shape,
    settings: Settings,
    samples: &'a Samples,
    watched: &'a Samples,
    vars: Vec<Var>,
    start: Vec<Tensor>,
    adam: Adam,
    chance: Chance,
    epoch: usize,
    best_epoch: usize,
    best_score: f64,
    best: Vec<Tensor>,
    /// Places of those with several photos, and of those with one.
    several: Vec<Vec<usize>>,
    single: Vec<Vec<usize>>,
}

impl<'a> Training<'a> {
    /// Begins. `watched` has other people than `samples`.
    ///
    /// # Errors
    /// Settings or samples make no sense together, or the computation fails.
    pub fn begin(
        shape: Shape,
        settings: Settings,
        (samples, watched): (&'a Samples, &'a Samples),
    ) -> Result<Self, Error> {
        settings.check()?;
        for samples in [samples, watched] {
            if samples.shape() != shape.takes() {
                return Err(Error::Refused(format!(
                    "the network takes samples of {:?} numbers, not {:?}",
                    shape.takes(),
                    samples.shape()
                )));
            }
        }
        let by_person = samples.by_person();
        let watched_by = watched.by_person();
        if let Some(person) = by_person
            .keys()
            .find(|person| watched_by.contains_key(person))
        {
            return Err(Error::Refused(format!(
                "person {person} is learned from and watched"
            )));
        }
        if !watched_by.values().any(|photos| photos.len() > 1) || watched_by.len() < 2 {
            return Err(Error::Refused(
                "of those who are watched nobody has two photos, or there is one person only"
                    .into(),
            ));
        }
        let (several, single): (Vec<_>, Vec<_>) =
            by_person.into_values().partition(|photos| photos.len() > 1);
        if several.len() < 3 {
            return Err(Error::Refused(format!(
                "{} people have two photos or more to learn from; 3 are the least",
                several.len()
            )));
        }
        let mut chance = Chance::new(settings.seed);
        let vars = shape.begin(samples, &mut chance)?;
        let start: Vec<Tensor> = copies(&vars)?;
        let adam = Adam::new(&vars, (settings.rate, settings.decay))?;
        let mut training = Self {
            best: start.clone(),
            shape,
            settings,
            samples,
            watched,
            vars,
            start,
            adam,
            chance,
            epoch: 0,
            best_epoch: 0,
            best_score: 0.0,
            several,
            single,
        };
        training.best_score = training.score()?;
        Ok(training)
    }

    /// Goes on from a checkpoint, where there is one. Says whether there was.
    ///
    /// # Errors
    /// It is damaged, or of other settings or samples.
    pub fn resume(&mut self, path: &Path) -> Result<bool, Error> {
        let Some((head, lists)) = checkpoint::read(path)? else {
            return Ok(false);
        };
        if head.training != self.identity()? {
            return Err(Error::Checkpoint {
                path: path.to_owned(),
                reason: "it is of a training with other settings or other people; remove it to \
                         begin anew"
                    .into(),
            });
        }
        let [weights, first, second, best] = lists;
        for (var, layer) in self.vars.iter().zip(layers(&self.shape, &weights)?) {
            var.set(&layer)?;
        }
        self.adam.first = layers(&self.shape, &first)?;
        self.adam.second = layers(&self.shape, &second)?;
        self.adam.steps = head.steps;
        self.best = layers(&self.shape, &best)?;
        self.chance = Chance::new(head.chance);
        (self.epoch, self.best_epoch, self.best_score) =
            (head.epoch, head.best_epoch, head.best_score);
        Ok(true)
    }

    /// Keeps where it stands, in place of what the file held before.
    ///
    /// # Errors
    /// The disk refuses.
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        let weights = numbers(&copies(&self.vars)?)?;
        let head = Head {
            training: self.identity()?,
            chance: self.chance.state(),
            epoch: self.epoch,
            steps: self.adam.steps,
            best_epoch: self.best_epoch,
            best_score: self.best_score,
            numbers: weights.len(),
        };
        let moments = (numbers(&self.adam.first)?, numbers(&self.adam.second)?);
        let lists = [weights, moments.0, moments.1, numbers(&self.best)?];
        checkpoint::write(path, &head, &lists)
    }

    /// Epochs that are done, and whether there is nothing more to do.
    pub fn done(&self) -> (usize, bool) {
        let waited = self.epoch - self.best_epoch;
        let over = self.epoch >= self.settings.epochs || waited >= self.settings.patience;
        (self.epoch, over)
    }

    /// One more epoch.
    ///
    /// # Errors
    /// It goes astray, or the computation fails.
    pub fn epoch(&mut self) -> Result<Epoch, Error> {
        let (mut loss, mut violated) = (0.0, 0.0);
        for _ in 0..self.settings.batches {
            let terms = self.batch()?;
            loss += terms.0;
            violated += terms.1;
        }
        self.epoch += 1;
        let score = self.score()?;
        if score < self.best_score {
            (self.best_epoch, self.best_score) = (self.epoch, score);
            self.best = copies(&self.vars)?;
        }
        let batches = self.settings.batches as f64;
        Ok(Epoch {
            number: self.epoch,
            loss: loss / batches,
            violated: violated / batches,
            score,
            best: (self.best_epoch, self.best_score),
            is_last: self.done().1,
        })
    }

    /// The network as it did best.
    pub fn best(&self) -> Model {
        Model::new(self.shape.clone(), self.best.clone())
    }

    /// Loss and part of violations of one batch, before its step.
    fn batch(&mut self) -> Result<(f64, f64), Error> {
        let places = self.draw();
        let people: Vec<u32> = places.iter().map(|at| self.samples.people()[*at]).collect();
        let tensors: Vec<Tensor> = self
            .vars
            .iter()
            .map(|var| var.as_tensor().clone())
            .collect();
        let vectors = self
            .shape
            .forward(&tensors, &self.samples.tensor(&places)?)?;
        let apart = distances(&vectors)?;
        let examples = mine(&apart, &people, &mut self.chance);
        let margins = Margins::of(&apart, &people);
        let terms = self.settings.loss.of(&vectors, &examples, margins)?;
        let loss = f64::from(terms.loss.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(Error::Astray(format!(
                "the loss is {loss} in epoch {}",
                self.epoch + 1
            )));
        }
        let gradients = terms.loss.backward()?;
        self.adam.step(&self.vars, &self.start, &gradients)?;
        Ok((loss, terms.violated))
    }

    /// The places of a batch.
    fn draw(&mut self) -> Vec<usize> {
        let Settings {
            people,
            photos,
            strangers,
            ..
        } = self.settings;
        // From the same order each time, so that what is drawn follows from the state of chance alone.
        let mut several: Vec<usize> = (0..self.several.len()).collect();
        self.chance.draw(&mut several, people);
        let mut places = Vec::new();
        for person in several.into_iter().take(people) {
            let mut own = self.several[person].clone();
            self.chance.draw(&mut own, photos);
            places.extend(own.into_iter().take(photos));
        }
        let mut single: Vec<usize> = (0..self.single.len()).collect();
        self.chance.draw(&mut single, strangers);
        places.extend(
            single
                .into_iter()
                .take(strangers)
                .flat_map(|at| &self.single[at]),
        );
        places
    }

    fn score(&self) -> Result<f64, Error> {
        let model = Model::new(self.shape.clone(), copies(&self.vars)?);
        Ok(separation(
            &model.vectors(self.watched)?,
            self.watched.people(),
        ))
    }

    /// What this training is, as a checksum.
    fn identity(&self) -> Result<String, Error> {
        let told = serde_json::to_vec(&(&self.shape, &self.settings));
        let mut bytes = told.map_err(|error| Error::Refused(error.to_string()))?;
        for samples in [self.samples, self.watched] {
            bytes.extend(
                samples
                    .people()
                    .iter()
                    .flat_map(|person| person.to_le_bytes()),
            );
            bytes.extend(
                samples
                    .values()
                    .iter()
                    .flat_map(|number| number.to_le_bytes()),
            );
        }
        Ok(checkpoint::hex(&bytes))
    }
}

/// The weights as they are now, which later steps do not change.
fn copies(vars: &[Var]) -> Result<Vec<Tensor>, Error> {
    Ok(vars
        .iter()
        .map(|var| var.as_tensor().detach().copy())
        .collect::<Result<_, _>>()?)
}
