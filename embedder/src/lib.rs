//! Photos in, faces with vectors out: decode, detect, crop, embed.
//!
//! [`OnnxEmbedder`] runs the models that [`models::install`] has obtained; [`FakeEmbedder`] is a
//! deterministic stand-in for tests. Nothing here knows of a database, and nothing is ever fetched
//! but by [`models::install`].

mod crop;
mod decode;
mod detect;
mod embed;
mod error;
mod fake;
pub mod limits;
mod manifest;
pub mod models;
mod onnx;
mod thumbnail;
mod types;

pub use decode::{ImageKind, sniff};
pub use error::Error;
pub use fake::FakeEmbedder;
pub use manifest::Manifest;
pub use onnx::OnnxEmbedder;
pub use thumbnail::thumbnail;
pub use types::{Analysis, Calibration, Choice, Face, FaceEmbedder, ModelInfo, Timings, Want};
