//! Photos in, faces with vectors out: decode, detect, crop, embed.
//!
//! [`OnnxEmbedder`] runs the models that [`models::install`] has obtained; [`FakeEmbedder`] is a
//! deterministic stand-in for tests. Nothing here knows of a database, and nothing is ever fetched
//! but by [`models::install`].

mod align;
mod calibration;
mod crop;
mod cropper;
mod decode;
mod detect;
mod detector;
mod embed;
mod error;
mod fake;
mod finder;
mod head;
mod heic;
mod icc;
mod joint;
mod jpeg;
mod kind;
pub mod limits;
mod manifest;
mod metadata;
pub mod models;
mod network;
mod onnx;
mod parts;
mod photo;
mod pixels;
#[cfg(feature = "tract")]
mod pure;
mod quality;
mod reduced;
mod runtime;
mod thumbnail;
mod turn;
mod types;
mod webp;

pub use calibration::{Calibration, Scale};
pub use cropper::{Cropper, numbers_of_crop};
pub use decode::memory_bytes;
pub use detect::overlap;
pub use error::Error;
pub use fake::FakeEmbedder;
pub use head::mapper;
pub use joint::Part;
pub use kind::{ImageKind, sniff};
pub use manifest::{
    Beside, Channels, Crop, Embedder, Head, Input, Layout, Manifest, Registry, Source, Values,
};
pub use metadata::without_metadata;
pub use network::vectors_of;
pub use onnx::OnnxEmbedder;
pub use quality::{Flaws, Quality};
pub use thumbnail::thumbnail;
pub use types::{
    Analysis, Base, Choice, Face, FaceEmbedder, Mapper, ModelInfo, Timings, Waiting, Want,
    outcomes_of,
};
