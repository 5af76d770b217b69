//! Comparing approximate nearest-neighbour indexes: data, exact answers, ours and the peers behind
//! one interface, the measurement, and what is written about it.

pub mod catalogue;
pub mod churn;
pub mod clock;
pub mod curve;
pub mod dataset;
pub mod doppel;
pub mod formats;
pub mod generator;
pub mod peer;
pub mod plots;
mod random;
pub mod recall;
pub mod report;
pub mod svg;
pub mod sweep;
pub mod system;
pub mod table;
pub mod truth;
pub mod venv;
