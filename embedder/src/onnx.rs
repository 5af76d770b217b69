//! The pipeline on ONNX Runtime.

use std::path::Path;
use std::time::Instant;

use image::RgbImage;

use crate::align::aligned;
use crate::crop::{Square, cut, jpeg, png};
use crate::detect::{Detection, INPUT_SIDE};
use crate::detector::{Detector, Found};
use crate::error::Error;
use crate::joint::{Part, joined};
use crate::manifest::{Crop, Input, Manifest};
use crate::models::{Installed, NetworkFiles, locate};
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
    info: ModelInfo,
    detector: Detector,
    /// Most models have one.
    networks: Vec<Network>,
    head: Option<Mapper>,
}

/// A photo whose faces are found and cut out, but have no vectors yet.
struct Prepared {
    analysis: Analysis,
    /// For each network those of all faces, if vectors are wanted.
    crops: Vec<Vec<RgbImage>>,
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
            networks,
            head,
        } = locate(dir, &manifest).map_err(|error| Error::NotInstalled(error.to_string()))?;
        let environment = environment(&library)?;
        let exact = adds_bytes_exactly();
        let load = |(part, files): (Part<'_>, &NetworkFiles)| {
            let rounded = files.rounded.as_ref();
            let rounded = rounded.filter(|_| part.embedder.use_rounded && exact);
            let file = rounded.unwrap_or(&files.network);
            Network::load(environment, file, &part, threads)
        };
        let networks = manifest.parts().into_iter().zip(&networks).map(load);
        let mut this = Self {
            info: manifest.info(),
            detector: Detector::load(environment, &detector, &manifest.detector, threads)?,
            networks: networks.collect::<Result<_, _>>()?,
            head: head
                .map(|file| crate::head::load(environment, &file, &manifest))
                .transpose()?,
        };
        this.detector
            .detect(&RgbImage::new(INPUT_SIDE, INPUT_SIDE))?;
        Ok(this)
    }

    /// The faces of a photo as the (first) network sees them, as PNG files: what is measured when its
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
        let crops = self.prepare(image, want)?.crops.into_iter().next();
        crops.unwrap_or_default().iter().map(png).collect()
    }

    /// Pixels that the longer side of a face's box should have, so that none of what is wanted of it
    /// is enlarged.
    fn pixels_of(&self, want: Want) -> f32 {
        let pixels = |side: u32, margin: f32| f32::from(u16::try_from(side).unwrap_or(0)) / margin;
        let inputs = self.networks.iter().map(|network| &network.input);
        let vectors = inputs.map(|input| match input.crop {
            Crop::Box { margin } => pixels(input.side, margin),
            // A face about fills such an input.
            Crop::Points(_) => pixels(input.side, 1.0),
        });
        let crop = pixels(THUMBNAIL_SIDE, THUMBNAIL_MARGIN);
        let wanted = vectors.filter(|_| want.vectors);
        let wanted = wanted.chain(want.crop.then_some(crop));
        wanted.fold(f32::from(quality::SIDE), f32::max)
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
        let crops = self
            .networks
            .iter()
            .filter(|_| want.vectors)
            .map(|network| {
                let crops = found.iter();
                let crops = crops.map(|face| crop_of(upright, face, &network.input));
                crops.collect::<Result<Vec<_>, _>>()
            });
        let crops = crops.collect::<Result<Vec<_>, _>>()?;
        let mut faces = Vec::new();
        for face in found {
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

    /// The vectors of all faces, in their order.
    fn vectors(&mut self, prepared: &[Result<Prepared, Error>]) -> Result<Vec<Vec<f32>>, Error> {
        let mut by_network = Vec::new();
        for (at, network) in self.networks.iter_mut().enumerate() {
            let crops = prepared.iter().flatten();
            let crops = crops.filter_map(|photo| photo.crops.get(at)).flatten();
            let vectors = network.embed(&crops.cloned().collect::<Vec<_>>())?;
            by_network.push((vectors, network.weight));
        }
        let faces = by_network.first().map_or(0, |(vectors, _)| vectors.len());
        let of_face = |face: usize| {
            let parts = by_network.iter();
            let parts = parts.map(|(vectors, weight)| (vectors[face].as_slice(), *weight));
            joined(&parts.collect::<Vec<_>>())
        };
        let vectors: Vec<_> = (0..faces).map(of_face).collect();
        match &self.head {
            Some(head) => head.map(&vectors),
            None => Ok(vectors),
        }
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
        let vectors = self.vectors(&prepared);
        let taken = started.elapsed();
        let mut vectors = vectors.map(Vec::into_iter);
        let outcomes = prepared.into_iter().map(|prepared| {
            let Prepared {
                mut analysis,
                crops,
            } = prepared?;
            if crops.iter().all(Vec::is_empty) {
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
