//! The network that finds faces.

use std::path::Path;

use image::RgbImage;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use crate::crop::fitted;
use crate::detect::{Detection, Grid, INPUT_SIDE, Input, STRIDES, distinct, faces_of};
use crate::error::Error;
use crate::limits::MAX_FACES;
use crate::manifest;
use crate::runtime::session;
use crate::turn::Turn;

/// The detector of a manifest, ready to run.
pub(crate) struct Detector {
    session: Session,
    threshold: f32,
    enlarge: f32,
}

/// Least confidence of a face that lies as it should: on its side or head one is found too, but less
/// surely (0.89 at most in 234 photos of lfw-dev that were turned, 0.90 in 99 of 100 upright ones), and
/// its vector is like nobody's.
const UPRIGHT: f32 = 0.9;

/// How the photo must be turned for its faces to be upright, if it must, and the faces in pixels of it as it is then.
pub(crate) type Found = (Option<Turn>, Vec<Detection>);

impl Detector {
    pub(crate) fn load(
        environment: &Environment,
        model: &Path,
        manifest: &manifest::Detector,
        threads: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            session: session(environment, model, threads)?,
            threshold: manifest.threshold,
            enlarge: manifest.enlarge,
        })
    }

    /// The faces of a picture that is no larger than the network sees, the most prominent first.
    pub(crate) fn look(&mut self, picture: &RgbImage) -> Result<Vec<Detection>, Error> {
        let input = Input::of(picture);
        let shape = [1, 3, i64::from(INPUT_SIDE), i64::from(INPUT_SIDE)];
        let tensor = TensorRef::from_array_view((shape, input.planes.as_slice()))?;
        let outputs = self.session.run(ort::inputs!["input" => tensor])?;
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
                columns: INPUT_SIDE / u32::from(stride),
                cls: output("cls")?,
                obj: output("obj")?,
                bbox: output("bbox")?,
                kps: output("kps")?,
            };
            found.extend(faces_of(&grid, self.threshold));
        }
        let mut faces = distinct(found);
        let size = picture.dimensions();
        faces.sort_by(|a, b| b.prominence(size).total_cmp(&a.prominence(size)));
        faces.truncate(MAX_FACES);
        Ok(faces)
    }

    /// The faces of a photo as it is or, where none of them is surely upright, turned the way in which
    /// the surest is found. Only what the network sees is turned for that, not the photo, which may be huge.
    pub(crate) fn find(&mut self, photo: &RgbImage) -> Result<Found, Error> {
        let surest = |faces: &[Detection]| faces.iter().map(|it| it.confidence).fold(0.0, f32::max);
        let (resized, scale) = fitted(photo, INPUT_SIDE, self.enlarge)?;
        let picture = resized.as_ref().unwrap_or(photo);
        let (mut best, mut faces) = (None, self.look(picture)?);
        for turn in Turn::ALL {
            if surest(&faces) >= UPRIGHT {
                break;
            }
            let found = self.look(&turn.of(picture))?;
            if surest(&found) > surest(&faces) {
                (best, faces) = (Some(turn), found);
            }
        }
        let faces = faces.into_iter().map(|face| face.scaled(1.0 / scale));
        Ok((best, faces.collect()))
    }
}
