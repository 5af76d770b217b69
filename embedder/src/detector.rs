//! The network that finds faces.

use std::path::Path;

use image::RgbImage;
use ort::environment::Environment;
use ort::session::Session;
use ort::value::TensorRef;

use crate::detect::{Detection, Grid, INPUT_SIDE, Input, STRIDES, distinct, faces_of};
use crate::error::Error;
use crate::finder::{Finder, Found, Patience};
use crate::manifest;
use crate::runtime::session;
use crate::types::Want;

/// The detector of a manifest, ready to run.
pub(crate) struct Detector {
    session: Session,
    threshold: f32,
    enlarge: f32,
    smallest: u32,
}

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
            smallest: manifest.smallest,
        })
    }

    /// The faces of an image file, as far as it takes to find those that are wanted; nothing more is done once
    /// nobody waits for them.
    pub(crate) fn find(
        &mut self,
        image: &[u8],
        want: Want,
        patience: Patience<'_>,
    ) -> Result<Found, Error> {
        let (enlarge, smallest) = (self.enlarge, self.smallest.max(want.smallest));
        let mut finder = Finder {
            look: &mut |picture: &RgbImage| self.look(picture),
            enlarge,
            smallest,
            patience,
        };
        finder.find(image, want)
    }

    /// The faces of a picture that is no larger than the network sees, the likeliest first.
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
        Ok(distinct(found))
    }
}
