//! Networks of our own, trained on photos of people whose names are known: heads that are put on
//! vectors of a frozen model, and a small convolutional network, both by quadruplets (Chen et al.
//! 2017, arXiv 1704.01719), triplets or pairs. docs/METRIC_LEARNING.md has the mathematics.
//!
//! Gradients are `candle`'s. All chance comes from one seed, so that a run can be had again, bit for
//! bit, on the same machine. Nothing here knows of servers or photos' formats.

mod chance;
mod checkpoint;
mod error;
mod file;
mod head;
pub mod limits;
mod loss;
mod measure;
mod mining;
mod model;
mod network;
mod onnx;
mod optimiser;
mod parallel;
mod pca;
mod people;
mod samples;
mod separation;
mod settings;
mod training;
mod variation;

pub use chance::Chance;
pub use error::Error;
pub use file::write_whole;
pub use head::HeadShape;
pub use loss::{Loss, Margins, Terms};
pub use measure::{
    FIGURES, Figure, Measured, Row, Set, compare, mean_over_people, nearest, nearest_among,
    rank_one_by_chance,
};
pub use mining::{Examples, Mining, distances, mine};
pub use model::{Model, Shape};
pub use network::{NetworkShape, Stage};
pub use onnx::onnx;
pub use pca::{principal, random_projection};
pub use people::{one_spelling, split};
pub use samples::Samples;
pub use separation::separation;
pub use settings::Settings;
pub use training::{Epoch, Training};
