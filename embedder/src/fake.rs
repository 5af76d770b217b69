//! A stand-in for the models, for tests of what is around them: a photo is one face, one that is
//! wider than high a row of square ones.

use std::time::Instant;

use image::RgbImage;
use image::imageops::{FilterType, crop_imm, resize};

use crate::crop::jpeg;
use crate::decode::decode;
use crate::detect::Detection;
use crate::embed::normalise;
use crate::error::Error;
use crate::quality::Quality;
use crate::types::{Analysis, Choice, Face, FaceEmbedder, ModelInfo, Timings, Want};

/// Below this mean brightness a photo has no face.
const DARK: f32 = 8.0;

/// Deterministic vectors out of pixels; photos that look alike get vectors that are near.
pub struct FakeEmbedder {
    model: ModelInfo,
}

impl FakeEmbedder {
    /// The stand-in.
    pub fn new() -> Self {
        Self {
            model: ModelInfo {
                name: "fake-128".into(),
                dim: 128,
                sha256: "0".repeat(64),
                calibration: None,
            },
        }
    }
}

impl Default for FakeEmbedder {
    fn default() -> Self {
        Self::new()
    }
}

impl FaceEmbedder for FakeEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, Error>> {
        let outcomes = photos.iter().map(|(image, want)| seen(image, *want));
        outcomes.collect()
    }
}

/// What a photo shows: a face for each square that it is wide.
fn seen(image: &[u8], want: Want) -> Result<Analysis, Error> {
    let started = Instant::now();
    let photo = decode(image)?;
    let (width, height) = photo.dimensions();
    let mut timings = Timings {
        decode: started.elapsed(),
        ..Timings::default()
    };
    let mut faces = Vec::new();
    let across = (width / height).max(1);
    for at in 0..across {
        let tile = crop_imm(&photo, at * (width / across), 0, width / across, height);
        let left = f32::from(u16::try_from(at * (width / across)).unwrap_or(u16::MAX));
        faces.extend(face_in(&tile.to_image(), left, want)?);
    }
    if matches!(want.faces, Choice::Largest) {
        faces.truncate(1);
    }
    timings.embed = started.elapsed() - timings.decode;
    Ok(Analysis {
        width,
        height,
        faces,
        timings,
    })
}

/// The face that a square is, if it is bright enough to be one.
fn face_in(square: &RgbImage, left: f32, want: Want) -> Result<Option<Face>, Error> {
    let small = resize(square, 16, 8, FilterType::Triangle);
    let mut vector: Vec<f32> = small
        .pixels()
        .map(|p| p.0.iter().map(|c| f32::from(*c)).sum::<f32>() / 3.0)
        .collect();
    let mean = vector.iter().sum::<f32>() / 128.0;
    if mean < DARK {
        return Ok(None);
    }
    vector.iter_mut().for_each(|x| *x -= mean / 2.0);
    normalise(&mut vector);
    let side = |pixels: u32| f32::from(u16::try_from(pixels).unwrap_or(u16::MAX));
    let (w, h) = (side(square.width()), side(square.height()));
    let found = |left: f32| Detection {
        bounding_box: [left, 0.0, w, h],
        landmarks: [(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.8), (0.65, 0.8)]
            .map(|(x, y)| [left + w * x, h * y]),
        confidence: 0.99,
    };
    let quality = Quality::of(square, &found(0.0))?;
    let found = found(left);
    Ok(Some(Face {
        bounding_box: found.bounding_box,
        landmarks: found.landmarks,
        confidence: found.confidence,
        quality,
        vector: if want.vectors { vector } else { Vec::new() },
        crop_jpeg: if want.crop {
            jpeg(&resize(square, 64, 64, FilterType::Triangle))?
        } else {
            Vec::new()
        },
    }))
}
