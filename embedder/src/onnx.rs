//! The pipeline on ONNX Runtime.

use std::path::Path;
use std::time::Instant;

use image::RgbImage;

use crate::align::aligned;
use crate::crop::{Square, cut, jpeg, png};
use crate::detect::{Detection, INPUT_SIDE};
use crate::detector::{Detector, Found};
use crate::error::Error;
use crate::manifest::{Crop, Manifest};
use crate::models::{Installed, locate};
use crate::network::Network;
use crate::photo::Photo;
use crate::quality::{self, Quality};
use crate::runtime::{adds_bytes_exactly, environment};
use crate::types::{Analysis, Choice, Face, FaceEmbedder, Mapper, ModelInfo, Timings, Want};

/// The crop kept for people to look at: a little wider than what the model sees.
const THUMBNAIL_MARGIN: f32 = 1.6;
/// Its side in pixels.
const THUMBNAIL_SIDE: u32 = 200;

/// The installed models, ready to run.
pub struct OnnxEmbedder {
    manifest: Manifest,
    info: ModelInfo,
    detector: Detector,
    network: Network,
    head: Option<Mapper>,
}

/// A photo whose faces are found and cut out, but have no vectors yet.
struct Prepared {
    analysis: Analysis,
    /// Of each face, if vectors are wanted.
    crops: Vec<RgbImage>,
}

impl OnnxEmbedder {
    /// Loads the default models of a folder and runs them once, so that the first photo is not
    /// slow. `threads` share the work on one photo.
    ///
    /// # Errors
    /// They are not installed, or cannot be run.
    pub fn load(dir: &Path, threads: usize) -> Result<Self, Error> {
        Self::load_as(dir, threads, Manifest::builtin())
    }

    /// The same with the models that a manifest describes.
    ///
    /// # Errors
    /// They are not installed, or cannot be run.
    pub fn load_as(dir: &Path, threads: usize, manifest: Manifest) -> Result<Self, Error> {
        let Installed {
            library,
            detector,
            embedder,
            rounded,
            head,
        } = locate(dir, &manifest).map_err(|error| Error::NotInstalled(error.to_string()))?;
        let environment = environment(&library)?;
        let rounded = rounded.filter(|_| manifest.embedder.use_rounded && adds_bytes_exactly());
        let embedder = rounded.unwrap_or(embedder);
        let mut this = Self {
            info: manifest.info(),
            detector: Detector::load(environment, &detector, &manifest.detector, threads)?,
            network: Network::load(environment, &embedder, &manifest, threads)?,
            head: head
                .map(|file| crate::head::load(environment, &file, &manifest))
                .transpose()?,
            manifest,
        };
        this.detector
            .detect(&RgbImage::new(INPUT_SIDE, INPUT_SIDE))?;
        let side = this.manifest.embedder.input.side;
        this.network.embed(&[RgbImage::new(side, side)])?;
        Ok(this)
    }

    /// The faces of a photo as the model sees them, as PNG files: what is measured when a model's
    /// numbers are rounded.
    ///
    /// # Errors
    /// Those of [`FaceEmbedder::analyze`].
    pub fn crops(&mut self, image: &[u8], faces: Choice) -> Result<Vec<Vec<u8>>, Error> {
        let want = Want {
            faces,
            vectors: true,
            crop: false,
        };
        let crops = self.prepare(image, want)?.crops;
        crops.iter().map(png).collect()
    }

    /// Pixels that the longer side of a face's box should have, so that none of what is wanted of it
    /// is enlarged.
    fn pixels_of(&self, want: Want) -> f32 {
        let pixels = |side: u32, margin: f32| f32::from(u16::try_from(side).unwrap_or(0)) / margin;
        let input = &self.manifest.embedder.input;
        let vector = match input.crop {
            Crop::Box { margin } => pixels(input.side, margin),
            // A face about fills such an input.
            Crop::Points(_) => pixels(input.side, 1.0),
        };
        let crop = pixels(THUMBNAIL_SIDE, THUMBNAIL_MARGIN);
        let wanted = [(want.vectors, vector), (want.crop, crop)];
        let wanted = wanted.into_iter().filter(|(wanted, _)| *wanted);
        wanted
            .map(|(_, pixels)| pixels)
            .fold(f32::from(quality::SIDE), f32::max)
    }

    /// A face as the model sees it.
    fn crop_of(&self, photo: &RgbImage, face: &Detection) -> Result<RgbImage, Error> {
        let input = &self.manifest.embedder.input;
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

    fn prepare(&mut self, image: &[u8], want: Want) -> Result<Prepared, Error> {
        let started = Instant::now();
        let mut photo = Photo::open(image)?;
        let mut decoding = started.elapsed();
        let (mut turned, mut found) = self.detector.find(&photo.pixels)?;
        if want.faces == Choice::Largest {
            found.truncate(1);
        }
        let mut detecting = started.elapsed() - decoding;
        if photo.is_too_coarse(&found, self.pixels_of(want)) {
            let again = Instant::now();
            let reduction = photo.reduction();
            photo = Photo::open_whole(image)?;
            decoding += again.elapsed();
            let again = Instant::now();
            found = found.iter().map(|face| face.scaled(reduction)).collect();
            turned = turned.map(|(_, turn)| (turn.of(&photo.pixels), turn));
            detecting += again.elapsed();
        }
        let mut prepared = self.cut_out(&photo, &(turned, found), want)?;
        prepared.analysis.timings = Timings {
            decode: decoding,
            detect: detecting,
            embed: started.elapsed() - decoding - detecting,
        };
        Ok(prepared)
    }

    /// The faces as they are told of, and their crops.
    fn cut_out(
        &self,
        photo: &Photo,
        (turned, found): &Found,
        want: Want,
    ) -> Result<Prepared, Error> {
        let upright = turned
            .as_ref()
            .map_or(&photo.pixels, |(upright, _)| upright);
        let reduction = photo.reduction();
        let (mut faces, mut crops) = (Vec::new(), Vec::new());
        for face in found {
            if want.vectors {
                crops.push(self.crop_of(upright, face)?);
            }
            let crop_jpeg = match want.crop {
                true => {
                    let square = Square::around(face.bounding_box, THUMBNAIL_MARGIN);
                    jpeg(&cut(upright, square, THUMBNAIL_SIDE)?)?
                }
                false => Vec::new(),
            };
            let place = match turned {
                Some((_, turn)) => turn.undone(face, photo.pixels.dimensions()),
                None => *face,
            };
            let place = place.scaled(reduction);
            faces.push(Face {
                bounding_box: place.bounding_box,
                landmarks: place.landmarks,
                confidence: face.confidence,
                quality: Quality::of(upright, face)?,
                vector: Vec::new(),
                crop_jpeg,
            });
        }
        let (width, height) = photo.size;
        Ok(Prepared {
            analysis: Analysis {
                width,
                height,
                faces,
                timings: Timings::default(),
            },
            crops,
        })
    }
}

impl FaceEmbedder for OnnxEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn mapper(&self) -> Option<Mapper> {
        self.head.clone()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, Error>> {
        let prepared: Vec<_> = photos
            .iter()
            .map(|(image, want)| self.prepare(image, *want))
            .collect();
        let started = Instant::now();
        let crops = prepared.iter().flatten().flat_map(|photo| &photo.crops);
        let crops: Vec<_> = crops.cloned().collect();
        let vectors = self.network.embed(&crops);
        let vectors = match &self.head {
            Some(head) => vectors.and_then(|vectors| head.map(&vectors)),
            None => vectors,
        };
        let taken = started.elapsed();
        let mut vectors = vectors.map(Vec::into_iter);
        let outcomes = prepared.into_iter().map(|prepared| {
            let Prepared {
                mut analysis,
                crops,
            } = prepared?;
            if crops.is_empty() {
                return Ok(analysis);
            }
            let vectors = vectors
                .as_mut()
                .map_err(|error| Error::Model(error.to_string()))?;
            for (face, vector) in analysis.faces.iter_mut().zip(vectors) {
                face.vector = vector;
            }
            analysis.timings.embed += taken;
            Ok(analysis)
        });
        outcomes.collect()
    }
}
