//! The training itself: batches of people, examples mined in each, a step down, and after every epoch a
//! look at people who are not learned from. The weights that did best with those are kept.

use std::path::Path;

use candle_core::{Tensor, Var};
use sha2::{Digest, Sha256};

use crate::chance::Chance;
use crate::checkpoint::{self, Head};
use crate::error::Error;
use crate::loss::Margins;
use crate::mining::{distances, mine};
use crate::model::{Model, Shape, layers, numbers};
use crate::optimiser::Adam;
use crate::parallel::on_all_cores;
use crate::samples::Samples;
use crate::separation::separation;
use crate::settings::Settings;
use crate::variation::Variation;

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
    /// What it is, as a checksum of all of the above.
    identity: String,
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
                "of those who are watched nobody has two photos, or there is one person only: it takes \
                 photos of more people"
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
            identity: identity(&shape, &settings, [samples, watched])?,
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
        if head.training != self.identity {
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
            training: self.identity.clone(),
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

    /// The epoch that did best so far (0: the start), and what [`separation`] says of it.
    pub fn best_so_far(&self) -> (usize, f64) {
        (self.best_epoch, self.best_score)
    }

    /// One more epoch.
    ///
    /// # Errors
    /// It goes astray, or the computation fails.
    pub fn epoch(&mut self) -> Result<Epoch, Error> {
        self.epoch_told(&mut |_| {})
    }

    /// The same, where the batches that are done are told after each.
    ///
    /// # Errors
    /// It goes astray, or the computation fails.
    pub fn epoch_told(&mut self, told: &mut dyn FnMut(usize)) -> Result<Epoch, Error> {
        let (mut loss, mut violated) = (0.0, 0.0);
        for batch in 1..=self.settings.batches {
            let terms = self.batch()?;
            loss += terms.0;
            violated += terms.1;
            told(batch);
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
            best: self.best_so_far(),
            is_last: self.done().1,
        })
    }

    /// The network as it did best.
    pub fn best(&self) -> Model {
        Model::new(self.shape.clone(), self.best.clone())
    }

    /// The network as it was before it learned anything.
    pub fn start(&self) -> Model {
        Model::new(self.shape.clone(), self.start.clone())
    }

    /// Loss and part of violations of one batch, before its step.
    fn batch(&mut self) -> Result<(f64, f64), Error> {
        let places = self.draw();
        let people: Vec<u32> = places.iter().map(|at| self.samples.people()[*at]).collect();
        let pieces = self.pieces(&places)?;
        let vectors = Var::from_tensor(&self.vectors(&pieces)?)?;
        let apart = distances(&vectors)?;
        let examples = mine(self.settings.mining, &apart, &people, &mut self.chance);
        let margins = Margins::of(&apart, &people);
        let terms = self.settings.loss.of(&vectors, &examples, margins)?;
        let loss = f64::from(terms.loss.to_scalar::<f32>()?);
        if !loss.is_finite() {
            return Err(Error::Astray(format!(
                "the loss is {loss} in epoch {}",
                self.epoch + 1
            )));
        }
        if let Some(slopes) = terms.loss.backward()?.get(&vectors) {
            let gradients = self.gradients(&pieces, &slopes.detach())?;
            self.adam.step(&self.vars, &self.start, &gradients)?;
        }
        Ok((loss, terms.violated))
    }

    /// The samples at some places, in pieces that go through the network one by one.
    fn pieces(&mut self, places: &[usize]) -> Result<Vec<Tensor>, Error> {
        let pieces = places.chunks(self.shape.at_once());
        match (&self.shape, self.settings.varied) {
            (Shape::Network(network), true) => pieces
                .map(|piece| {
                    let shown = piece
                        .iter()
                        .map(|at| (*at, Variation::draw(network.side, &mut self.chance)));
                    self.samples.varied(&shown.collect::<Vec<_>>())
                })
                .collect(),
            _ => pieces.map(|piece| self.samples.tensor(piece)).collect(),
        }
    }

    /// The vectors of all pieces, which nothing is learned by.
    fn vectors(&self, pieces: &[Tensor]) -> Result<Tensor, Error> {
        let layers: Vec<Tensor> = self.vars.iter().map(|var| var.detach()).collect();
        let made = on_all_cores(pieces.len(), |piece| {
            self.shape.forward(&layers, &pieces[piece])
        })?;
        Ok(Tensor::cat(&made, 0)?)
    }

    /// Of each layer: how the loss moves with it, where it moves with the vectors as `slopes` say. The chain
    /// rule, piece by piece, so that what a piece becomes within the network is kept for that piece alone.
    fn gradients(&self, pieces: &[Tensor], slopes: &Tensor) -> Result<Vec<Option<Tensor>>, Error> {
        let layers: Vec<Tensor> = self
            .vars
            .iter()
            .map(|var| var.as_tensor().clone())
            .collect();
        let parts = on_all_cores(pieces.len(), |piece| {
            let batch = &pieces[piece];
            let own = slopes.narrow(0, piece * self.shape.at_once(), batch.dim(0)?)?;
            let pulled = (self.shape.forward(&layers, batch)? * own)?.sum_all()?;
            let gradients = pulled.backward()?;
            let of = |var: &Var| gradients.get(var).map(Tensor::detach);
            Ok(self.vars.iter().map(of).collect::<Vec<_>>())
        })?;
        let mut sums = vec![None; self.vars.len()];
        for (sum, gradient) in parts.into_iter().flat_map(|part| (0..).zip(part)) {
            let sum: &mut Option<Tensor> = &mut sums[sum];
            *sum = match (sum.take(), gradient) {
                (Some(sum), Some(gradient)) => Some((sum + gradient)?),
                (sum, gradient) => sum.or(gradient),
            };
        }
        Ok(sums)
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
}

/// What a training is, as a checksum.
fn identity(shape: &Shape, settings: &Settings, samples: [&Samples; 2]) -> Result<String, Error> {
    let told = serde_json::to_vec(&(shape, settings));
    let mut hash = Sha256::new();
    hash.update(told.map_err(|error| Error::Refused(error.to_string()))?);
    for samples in samples {
        let people = samples.people().iter();
        hash.update(people.flat_map(|it| it.to_le_bytes()).collect::<Vec<_>>());
        for row in samples.rows() {
            hash.update(
                row.iter()
                    .flat_map(|it| it.to_le_bytes())
                    .collect::<Vec<_>>(),
            );
        }
    }
    Ok(checkpoint::hex(&hash.finalize()))
}

/// The weights as they are now, which later steps do not change.
fn copies(vars: &[Var]) -> Result<Vec<Tensor>, Error> {
    Ok(vars
        .iter()
        .map(|var| var.as_tensor().detach().copy())
        .collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkShape;

    #[test]
    fn gradients_of_pieces_add_up_to_those_of_the_whole_batch() {
        let mut chance = Chance::new(12);
        let mut samples = |first: u32| {
            let values = (0..20 * 3 * 256).map(|_| crate::head::narrow(chance.normal()));
            let people = (0..20).map(|at| first + at / 4).collect();
            Samples::new(&[3, 16, 16], values.collect(), people).unwrap()
        };
        let data = (samples(0), samples(10));
        let shape = Shape::Network(NetworkShape::mobile_face_net(16, 8).narrower(8));
        let mut training = Training::begin(shape, Settings::default(), (&data.0, &data.1)).unwrap();
        let pieces = training.pieces(&(0..20).collect::<Vec<_>>()).unwrap();
        assert_eq!(pieces.len(), 3);
        let whole = [Tensor::cat(&pieces, 0).unwrap()];
        let vectors = training.vectors(&pieces).unwrap();
        let slopes = vectors.affine(2.0, -0.1).unwrap();
        let parts = training.gradients(&pieces, &slopes).unwrap();
        let at_once = training.gradients(&whole, &slopes).unwrap();
        for (layer, (a, b)) in parts.iter().zip(&at_once).enumerate() {
            let flat = |it: &Option<Tensor>| -> Vec<f32> {
                it.as_ref()
                    .unwrap()
                    .flatten_all()
                    .unwrap()
                    .to_vec1()
                    .unwrap()
            };
            let (a, b) = (flat(a), flat(b));
            let most = b.iter().fold(0.0, |most: f32, x| most.max(x.abs()));
            let apart = a
                .iter()
                .zip(&b)
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(
                apart <= 1e-3 * most + 1e-6,
                "layer {layer}: {apart} of {most}"
            );
        }
    }
}
