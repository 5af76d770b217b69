//! The pipeline on ONNX Runtime.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock};
use std::time::Instant;

use image::RgbImage;
use image::imageops::flip_horizontal;
use ort::environment::Environment;
use ort::session::Session;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use crate::crop::{Square, cut, jpeg, letterbox};
use crate::decode::decode;
use crate::detect::{Detection, Grid, INPUT_SIDE, STRIDES, distinct, faces_of, input};
use crate::embed::{mean_direction, standardised};
use crate::error::Error;
use crate::limits::MAX_FACES;
use crate::manifest::Manifest;
use crate::models::{Installed, locate};
use crate::quality::Quality;
use crate::turn::Turn;
use crate::types::{Analysis, Choice, Face, FaceEmbedder, ModelInfo, Timings, Want};

/// The crop kept for people to look at: a little wider than what the model sees.
const THUMBNAIL_MARGIN: f32 = 1.6;
/// Its side in pixels.
const THUMBNAIL_SIDE: u32 = 200;

/// The installed models, ready to run on one thread.
pub struct OnnxEmbedder {
    manifest: Manifest,
    info: ModelInfo,
    detector: Session,
    embedder: Session,
}

/// The runtime is loaded once a process; a second library would not be.
fn environment(library: &Path) -> Result<&'static Environment, Error> {
    static LOADED: OnceLock<(PathBuf, Environment)> = OnceLock::new();
    static LOADING: Mutex<()> = Mutex::new(());
    let _loading = LOADING
        .lock()
        .map_err(|_| Error::Model("the runtime could not be loaded before".into()))?;
    if LOADED.get().is_none() {
        let builder = ort::init_from(library)
            .map_err(|error| Error::Model(format!("{}: {error}", library.display())))?;
        // Nobody else sets it while the lock is held.
        let _ = LOADED.set((library.to_owned(), builder.with_name("doppel").build()?));
    }
    LOADED
        .get()
        .map(|(_, environment)| environment)
        .ok_or_else(|| Error::Model("the runtime is not loaded".into()))
}

fn session(environment: &Environment, model: &Path, threads: usize) -> Result<Session, Error> {
    let fail =
        |error: &dyn std::fmt::Display| Error::Model(format!("{}: {error}", model.display()));
    let builder = Session::builder(environment)?;
    let builder = builder.with_intra_threads(threads).map_err(|e| fail(&e))?;
    let mut builder = builder
        .with_optimization_level(GraphOptimizationLevel::Level3)
        .map_err(|e| fail(&e))?;
    builder.commit_from_file(model).map_err(|e| fail(&e))
}

/// The photo as it was turned, if it was, and its faces.
type Found = (Option<(RgbImage, Turn)>, Vec<Detection>);

impl OnnxEmbedder {
    /// Loads the models of a folder and runs them once, so that the first photo is not slow.
    /// `threads` share the work on one photo.
    pub fn load(dir: &Path, threads: usize) -> Result<Self, Error> {
        Self::load_as(dir, threads, Manifest::builtin())
    }

    /// The same, run in another way than they usually are: so that ways can be compared.
    pub fn load_as(dir: &Path, threads: usize, manifest: Manifest) -> Result<Self, Error> {
        let Installed {
            library,
            detector,
            embedder,
            ..
        } = locate(dir).map_err(|error| Error::NotInstalled(error.to_string()))?;
        let environment = environment(&library)?;
        let mut this = Self {
            info: manifest.info(),
            detector: session(environment, &detector, threads)?,
            embedder: session(environment, &embedder, threads)?,
            manifest,
        };
        this.detect(&RgbImage::new(INPUT_SIDE, INPUT_SIDE))?;
        let side = this.manifest.embedder.input_side;
        this.embed(RgbImage::new(side, side))?;
        Ok(this)
    }

    fn detect(&mut self, photo: &RgbImage) -> Result<Vec<Detection>, Error> {
        let (canvas, scale) = letterbox(photo, INPUT_SIDE, self.manifest.detector.enlarge)?;
        let pixels = input(&canvas);
        let side = INPUT_SIDE as usize;
        let tensor = TensorRef::from_array_view(([1, 3, side, side], pixels.as_slice()))?;
        let outputs = self.detector.run(ort::inputs!["input" => tensor])?;
        let mut found = Vec::new();
        for stride in STRIDES {
            let output = |name: &str| -> Result<&[f32], Error> {
                let name = format!("{name}_{stride}");
                let value = outputs
                    .get(&name)
                    .ok_or_else(|| Error::Model(format!("the detector has no output `{name}`")))?;
                Ok(value.try_extract_tensor::<f32>()?.1)
            };
            let grid = Grid {
                stride,
                cls: output("cls")?,
                obj: output("obj")?,
                bbox: output("bbox")?,
                kps: output("kps")?,
            };
            found.extend(faces_of(&grid, self.manifest.detector.threshold));
        }
        let mut faces: Vec<Detection> = distinct(found)
            .into_iter()
            .map(|face| face.unscaled(scale))
            .collect();
        let size = photo.dimensions();
        faces.sort_by(|a, b| b.prominence(size).total_cmp(&a.prominence(size)));
        faces.truncate(MAX_FACES);
        Ok(faces)
    }

    /// The faces of a photo; where there are none, those of the photo turned the way in which the
    /// surest is found, and that photo.
    fn find(&mut self, photo: &RgbImage) -> Result<Found, Error> {
        let found = self.detect(photo)?;
        if !found.is_empty() {
            return Ok((None, found));
        }
        let surest = |faces: &[Detection]| faces.iter().map(|it| it.confidence).fold(0.0, f32::max);
        let mut best: Found = (None, found);
        for turn in Turn::ALL {
            let turned = turn.of(photo);
            let found = self.detect(&turned)?;
            if surest(&found) > surest(&best.1) {
                best = (Some((turned, turn)), found);
            }
        }
        Ok(best)
    }

    fn embed(&mut self, face: RgbImage) -> Result<Vec<f32>, Error> {
        let (side, dim) = (
            self.manifest.embedder.input_side as usize,
            self.manifest.dim,
        );
        let mut pixels = standardised(&face);
        if self.manifest.embedder.mirror {
            pixels.extend(standardised(&flip_horizontal(&face)));
        }
        let count = pixels.len() / (side * side * 3);
        let tensor = TensorRef::from_array_view(([count, side, side, 3], pixels.as_slice()))?;
        let outputs = self.embedder.run(ort::inputs![tensor])?;
        let numbers = outputs[0].try_extract_tensor::<f32>()?.1;
        if numbers.len() != count * dim || numbers.iter().any(|x| !x.is_finite()) {
            return Err(Error::Model(format!(
                "the embedder answered {} numbers, {} finite ones are due",
                numbers.len(),
                count * dim
            )));
        }
        Ok(mean_direction(numbers, dim))
    }

    fn face(&mut self, photo: &RgbImage, found: &Detection, want: Want) -> Result<Face, Error> {
        let (side, margin) = (
            self.manifest.embedder.input_side,
            self.manifest.embedder.margin,
        );
        let mut face = Face {
            bounding_box: found.bounding_box,
            landmarks: found.landmarks,
            confidence: found.confidence,
            quality: Quality::of(photo, found)?,
            vector: Vec::new(),
            crop_jpeg: Vec::new(),
        };
        if want.vectors {
            let square = Square::around(found.bounding_box, margin);
            face.vector = self.embed(cut(photo, square, side)?)?;
        }
        if want.crop {
            let square = Square::around(found.bounding_box, THUMBNAIL_MARGIN);
            face.crop_jpeg = jpeg(&cut(photo, square, THUMBNAIL_SIDE)?)?;
        }
        Ok(face)
    }
}

impl Face {
    /// Says that it is elsewhere.
    fn put(&mut self, place: &Detection) {
        self.bounding_box = place.bounding_box;
        self.landmarks = place.landmarks;
    }
}

impl FaceEmbedder for OnnxEmbedder {
    fn model(&self) -> &ModelInfo {
        &self.info
    }

    fn analyze(&mut self, image: &[u8], want: Want) -> Result<Analysis, Error> {
        let started = Instant::now();
        let photo = decode(image)?;
        let decoded = Instant::now();
        let (turned, mut found) = self.find(&photo)?;
        if want.faces == Choice::Largest {
            found.truncate(1);
        }
        let detected = Instant::now();
        let (upright, turn) = match &turned {
            Some((upright, turn)) => (upright, Some(*turn)),
            None => (&photo, None),
        };
        let faces = found
            .iter()
            .map(|face| {
                let mut told = self.face(upright, face, want)?;
                if let Some(turn) = turn {
                    told.put(&turn.undone(face, photo.dimensions()));
                }
                Ok(told)
            })
            .collect::<Result<_, Error>>()?;
        let timings = Timings {
            decode: decoded - started,
            detect: detected - decoded,
            embed: detected.elapsed(),
        };
        Ok(Analysis {
            width: photo.width(),
            height: photo.height(),
            faces,
            timings,
        })
    }
}
