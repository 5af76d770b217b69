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
use crate::joint::joined;
use crate::limits::MAX_FACES;
use crate::quality::Quality;
use crate::types::{
    Analysis, Base, Choice, Face, FaceEmbedder, Mapper, ModelInfo, Timings, Waiting, Want,
};

/// Below this mean brightness a photo has no face.
const DARK: f32 = 8.0;

/// Deterministic vectors out of pixels; photos that look alike get vectors that are near.
pub struct FakeEmbedder {
    model: ModelInfo,
    /// For each network that it stands for: shades of a face in a row and in a column, which are its
    /// vector, and its weight.
    networks: Vec<((u32, u32), f32)>,
}

impl FakeEmbedder {
    /// The stand-in.
    pub fn new() -> Self {
        Self::of("fake-128", (16, 8), '0')
    }

    /// The stand-in under another name.
    pub fn named(name: &str) -> Self {
        Self::of(name, (16, 8), '0')
    }

    /// Another, whose vectors are not comparable with those of the first.
    pub fn other() -> Self {
        Self::of("fake-72", (9, 8), '1')
    }

    /// A head on the first: it takes every second number of its vectors.
    pub fn head() -> Mapper {
        Self::head_of("fake-64", '2', every_second)
    }

    /// A head of the same name that was learned again.
    pub fn head_learned_anew() -> Mapper {
        Self::head_of("fake-64", '5', every_second)
    }

    /// The first head, which does something before it takes vectors.
    pub fn head_after(act: impl Fn() + Send + Sync + 'static) -> Mapper {
        let head = Self::head();
        Mapper::new(head.model().clone(), move |vectors| {
            act();
            head.map(vectors)
        })
    }

    /// Another head on the first: it takes every fourth.
    pub fn smaller_head() -> Mapper {
        Self::head_of("fake-32", '4', |it| every_second(&every_second(it)))
    }

    fn head_of(name: &str, digit: char, map: fn(&[f32]) -> Vec<f32>) -> Mapper {
        let base = Self::new().model;
        let model = ModelInfo {
            name: name.into(),
            dim: map(&vec![1.0; base.dim]).len(),
            sha256: digit.to_string().repeat(64),
            calibration: None,
            base: Some(Base {
                name: base.name,
                sha256: base.sha256,
            }),
        };
        Mapper::new(model, move |vectors| {
            Ok(vectors.iter().map(|it| map(it)).collect())
        })
    }

    /// The first and the other as one model.
    pub fn joint() -> Self {
        let weight = 0.5;
        let both = [Self::new(), Self::other()];
        Self {
            model: ModelInfo {
                name: "fake-200".into(),
                dim: both.iter().map(|it| it.model.dim).sum(),
                sha256: "3".repeat(64),
                calibration: None,
                base: None,
            },
            networks: both.map(|it| (it.networks[0].0, weight)).into(),
        }
    }

    fn of(name: &str, shades: (u32, u32), digit: char) -> Self {
        Self {
            model: ModelInfo {
                name: name.into(),
                dim: (shades.0 * shades.1) as usize,
                sha256: digit.to_string().repeat(64),
                calibration: None,
                base: None,
            },
            networks: vec![(shades, 1.0)],
        }
    }

    /// What a photo shows, with the vectors of all networks as one.
    fn seen(&self, image: &[u8], want: Want) -> Result<Analysis, Error> {
        let by_network = self.networks.iter();
        let by_network = by_network.map(|(shades, _)| seen(image, want, *shades));
        let by_network = by_network.collect::<Result<Vec<_>, _>>()?;
        let mut analysis = by_network[0].clone();
        for (at, face) in analysis.faces.iter_mut().enumerate() {
            let parts = by_network.iter().zip(&self.networks);
            let parts = parts.filter_map(|(it, (_, weight))| {
                let face = it.faces.get(at)?;
                Some((face.vector.as_slice(), *weight))
            });
            face.vector = joined(&parts.collect::<Vec<_>>());
        }
        Ok(analysis)
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
        let photos = photos.iter();
        photos
            .map(|(image, want)| self.seen(image, *want))
            .collect()
    }

    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, Error>),
    ) {
        for (at, (image, want)) in photos.iter().enumerate() {
            let outcome = match waiting(at) {
                Waiting::Over => Err(Error::NotAwaited),
                Waiting::WithOthers | Waiting::Alone => self.seen(image, *want),
            };
            tell(at, outcome);
        }
    }
}

fn every_second(vector: &[f32]) -> Vec<f32> {
    let mut half: Vec<f32> = vector.iter().copied().step_by(2).collect();
    normalise(&mut half);
    half
}

/// What a photo shows: a face for each square that it is wide.
fn seen(image: &[u8], want: Want, shades: (u32, u32)) -> Result<Analysis, Error> {
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
        faces.extend(face_in(&tile.to_image(), left, (want, shades))?);
    }
    let left_out = match want.faces {
        Choice::Largest => {
            faces.truncate(1);
            0
        }
        Choice::All => faces.split_off(faces.len().min(MAX_FACES)).len(),
    };
    timings.embed = started.elapsed() - timings.decode;
    Ok(Analysis {
        width,
        height,
        faces,
        left_out,
        timings,
    })
}

/// The face that a square is, if it is bright enough to be one.
fn face_in(
    square: &RgbImage,
    left: f32,
    (want, (across, down)): (Want, (u32, u32)),
) -> Result<Option<Face>, Error> {
    let small = resize(square, across, down, FilterType::Triangle);
    let mut vector: Vec<f32> = small
        .pixels()
        .map(|p| p.0.iter().map(|c| f32::from(*c)).sum::<f32>() / 3.0)
        .collect();
    let mean = vector.iter().sum::<f32>() / f32::from(u16::try_from(vector.len()).unwrap_or(1));
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
