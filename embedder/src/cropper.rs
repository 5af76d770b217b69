//! From a photo to its faces as a network sees them: found, and cut out.

use std::path::Path;
use std::time::Instant;

use image::RgbImage;

use crate::align::aligned;
use crate::crop::{Square, cut, jpeg, resized};
use crate::decode::decode;
use crate::detect::{Detection, INPUT_SIDE};
use crate::detector::Detector;
use crate::embed::numbers;
use crate::error::Error;
use crate::finder::{Found, Patience};
use crate::manifest::{Crop, Input, Manifest};
use crate::models::locate_detector;
use crate::quality::{self, Quality};
use crate::runtime::Runtime;
use crate::types::{Analysis, Choice, Face, Timings, Want};

/// The crop kept for people to look at: a little wider than what the model sees.
const THUMBNAIL_MARGIN: f32 = 1.6;
/// Its side in pixels.
const THUMBNAIL_SIDE: u32 = 200;

/// A detector, and how what it finds is cut out.
pub struct Cropper {
    detector: Detector,
    /// For each network what it sees.
    inputs: Vec<Input>,
}

/// A photo whose faces are found and cut out, but have no vectors yet.
pub(crate) struct Prepared {
    pub(crate) analysis: Analysis,
    /// For each network those of all faces, if vectors are wanted.
    pub(crate) crops: Vec<Vec<RgbImage>>,
}

impl Cropper {
    /// Of a manifest whose detector is installed; its network need not be there, or not be learned yet.
    ///
    /// # Errors
    /// The detector is not installed, or cannot be run.
    pub fn load(dir: &Path, manifest: &Manifest) -> Result<Self, Error> {
        let (library, detector) = locate_detector(dir, manifest)
            .map_err(|error| Error::NotInstalled(error.to_string()))?;
        Self::of(Runtime::of(library.as_deref())?, &detector, manifest, 1)
    }

    pub(crate) fn of(
        runtime: Runtime,
        detector: &Path,
        manifest: &Manifest,
        threads: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            detector: Detector::load(runtime, detector, &manifest.detector, threads)?,
            inputs: manifest
                .parts()
                .into_iter()
                .map(|part| part.embedder.input.clone())
                .collect(),
        })
    }

    /// Runs once, so that the first photo is not slow.
    pub(crate) fn warm_up(&mut self) -> Result<(), Error> {
        let empty = RgbImage::new(INPUT_SIDE, INPUT_SIDE);
        self.detector.look(&empty).map(drop)
    }

    /// The numbers that the (first) network is given of the most prominent face of a photo, if there is one.
    ///
    /// # Errors
    /// The photo cannot be read, or the detector fails.
    pub fn numbers(&mut self, image: &[u8]) -> Result<Option<Vec<f32>>, Error> {
        let want = Want {
            faces: Choice::Largest,
            vectors: true,
            crop: false,
            smallest: 0,
        };
        let crops = self.prepare(image, want, Patience::ENDLESS)?.crops;
        let crops = crops.iter().zip(&self.inputs).next();
        Ok(crops.and_then(|(crops, input)| Some(numbers(crops.first()?, input))))
    }

    /// Pixels that the longer side of a face's box should have, so that none of what is wanted of it
    /// is enlarged.
    fn pixels_of(&self, want: Want) -> f32 {
        let pixels = |side: u32, margin: f32| f32::from(u16::try_from(side).unwrap_or(0)) / margin;
        let vectors = self.inputs.iter().map(|input| match input.crop {
            Crop::Box { margin } => pixels(input.side, margin),
            // A face about fills such an input.
            Crop::Points(_) => pixels(input.side, 1.0),
        });
        let crop = pixels(THUMBNAIL_SIDE, THUMBNAIL_MARGIN);
        let wanted = vectors.filter(|_| want.vectors);
        let wanted = wanted.chain(want.crop.then_some(crop));
        wanted.fold(f32::from(quality::SIDE), f32::max)
    }

    /// Finds the faces of a photo and cuts them out as each network sees them, as long as anybody waits for it.
    pub(crate) fn prepare(
        &mut self,
        image: &[u8],
        want: Want,
        patience: Patience<'_>,
    ) -> Result<Prepared, Error> {
        let started = Instant::now();
        let mut found = self.detector.find(image, want, patience)?;
        if want.faces == Choice::Largest {
            found.faces.truncate(1);
        }
        let (all, decoding) = (started.elapsed(), found.decoding);
        if (found.photo).is_too_coarse(&found.faces, self.pixels_of(want)) {
            patience.check()?;
            found.finer(image, u32::MAX)?;
        }
        let mut prepared = self.cut_out(&found, want)?;
        prepared.analysis.timings = Timings {
            decode: found.decoding,
            detect: all.saturating_sub(decoding),
            embed: (started.elapsed() - all).saturating_sub(found.decoding - decoding),
        };
        Ok(prepared)
    }

    /// The faces as they are told of, and their crops.
    fn cut_out(&self, found: &Found, want: Want) -> Result<Prepared, Error> {
        let pixels = &found.photo.pixels;
        let inputs = self.inputs.iter().filter(|_| want.vectors);
        let crops = inputs.map(|input| {
            let crops = found.faces.iter();
            let crops = crops.map(|face| crop_of(pixels, face, input));
            crops.collect::<Result<Vec<_>, _>>()
        });
        let crops = crops.collect::<Result<Vec<_>, _>>()?;
        let mut faces = Vec::new();
        for face in &found.faces {
            let crop_jpeg = match want.crop {
                true => {
                    let square = Square::around(face.bounding_box, THUMBNAIL_MARGIN);
                    jpeg(&cut(pixels, square, THUMBNAIL_SIDE)?)?
                }
                false => Vec::new(),
            };
            let place = found.photo.place_of(face);
            faces.push(Face {
                bounding_box: place.bounding_box,
                landmarks: place.landmarks,
                confidence: face.confidence,
                quality: Quality::of(pixels, face)?.lying(&place.landmarks),
                vector: Vec::new(),
                crop_jpeg,
            });
        }
        let (width, height) = found.photo.size;
        Ok(Prepared {
            analysis: Analysis {
                width,
                height,
                faces,
                left_out: found.left_out,
                timings: Timings::default(),
            },
            crops,
        })
    }
}

/// A face as a network sees it.
fn crop_of(photo: &RgbImage, face: &Detection, input: &Input) -> Result<RgbImage, Error> {
    let margin = match &input.crop {
        Crop::Box { margin } => *margin,
        Crop::Points(places) => {
            match aligned(photo, &face.landmarks, places, input.side)? {
                Some(crop) => return Ok(crop),
                // Landmarks in one place do not say how the face lies: it is taken as it is.
                None => 1.0,
            }
        }
    };
    cut(photo, Square::around(face.bounding_box, margin), input.side)
}

/// The numbers that a network is given of a picture that is a face cut out already, all of it.
///
/// # Errors
/// The picture cannot be read.
pub fn numbers_of_crop(image: &[u8], input: &Input) -> Result<Vec<f32>, Error> {
    let crop = resized(&decode(image)?, input.side, input.side)?;
    Ok(numbers(&crop, input))
}
