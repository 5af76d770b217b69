//! The index from outside, against brute force. Each file is one promise; all data come from seeds
//! that stand in the tests.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod answers;
mod apart;
mod churn;
mod common;
#[path = "../common/mod.rs"]
mod data;
mod determinism;
mod edges;
mod equals;
mod filters;
mod freezing;
mod hidden;
mod magnitudes;
mod model;
mod ranges;
mod recall;
mod refusals;
mod remembered;
mod usual;
