//! A stand-in for the models, for tests of what is around them: the whole photo is one face.

use std::time::Instant;

use image::imageops::{FilterType, resize};

use crate::crop::jpeg;
use crate::decode::decode;
use crate::detect::Detection;
use crate::embed::normalise;
use crate::error::Error;
use crate::quality::Quality;
use crate::types::{Analysis, Face, FaceEmbedder, ModelInfo, Timings, Want};

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

    fn analyze(&mut self, image: &[u8], want: Want) -> Result<Analysis, Error> {
        let started = Instant::now();
        let photo = decode(image)?;
        let (width, height) = photo.dimensions();
        let mut timings = Timings {
            decode: started.elapsed(),
            ..Timings::default()
        };
        let small = resize(&photo, 16, 8, FilterType::Triangle);
        let mut vector: Vec<f32> = small
            .pixels()
            .map(|p| p.0.iter().map(|c| f32::from(*c)).sum::<f32>() / 3.0)
            .collect();
        let mean = vector.iter().sum::<f32>() / 128.0;
        timings.embed = started.elapsed() - timings.decode;
        let mut faces = Vec::new();
        if mean >= DARK {
            vector.iter_mut().for_each(|x| *x -= mean / 2.0);
            normalise(&mut vector);
            let (w, h) = (
                f32::from(u16::try_from(width).unwrap_or(u16::MAX)),
                f32::from(u16::try_from(height).unwrap_or(u16::MAX)),
            );
            let at = |x: f32, y: f32| [w * x, h * y];
            let found = Detection {
                bounding_box: [0.0, 0.0, w, h],
                landmarks: [
                    at(0.3, 0.4),
                    at(0.7, 0.4),
                    at(0.5, 0.6),
                    at(0.35, 0.8),
                    at(0.65, 0.8),
                ],
                confidence: 0.99,
            };
            faces.push(Face {
                bounding_box: found.bounding_box,
                landmarks: found.landmarks,
                confidence: found.confidence,
                quality: Quality::of(&photo, &found)?,
                vector: if want.vectors { vector } else { Vec::new() },
                crop_jpeg: if want.crop {
                    jpeg(&resize(&photo, 64, 64, FilterType::Triangle))?
                } else {
                    Vec::new()
                },
            });
        }
        Ok(Analysis {
            width,
            height,
            faces,
            timings,
        })
    }
}
