//! How a network is learned: what is asked for, and what is refused.

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::limits;
use crate::loss::Loss;
use crate::mining::Mining;

/// How it is learned.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// What is made small.
    pub loss: Loss,
    /// Which strangers it is learned from.
    pub mining: Mining,
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
    /// Whether photos are mirrored and moved at random; vectors are shown as they are.
    pub varied: bool,
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
            mining: Mining::Hardest,
            people: 32,
            photos: 4,
            strangers: 32,
            batches: 40,
            epochs: 100,
            patience: 10,
            varied: true,
            rate: 3e-4,
            decay: 0.1,
            seed: 1,
        }
    }
}

impl Settings {
    /// Whether it can be learned so.
    ///
    /// # Errors
    /// It cannot; the text says what can.
    pub fn check(&self) -> Result<(), Error> {
        let counts = [
            ("people", self.people, limits::PEOPLE_IN_A_BATCH),
            (
                "photos of a person",
                self.photos,
                limits::PHOTOS_OF_A_PERSON,
            ),
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
