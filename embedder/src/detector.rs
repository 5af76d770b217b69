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

/// Pixels of the smallest faces that are looked for where those of `wanted` pixels are: a fifth fewer, for of those
/// that are seen no larger than they must be some are missed; and none that are smaller than a model's `own`, which
/// say how much a photo may cost.
fn looked_for(own: u32, wanted: u32) -> u32 {
    own.max(wanted / 5 * 4)
}

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
        let (enlarge, smallest) = (self.enlarge, looked_for(self.smallest, want.smallest));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_less_than_is_asked_for_is_looked_for_and_never_less_than_by_default() {
        let due = [(0, 40), (40, 40), (50, 40), (60, 48), (125, 100)];
        for (wanted, smallest) in due {
            assert_eq!(looked_for(40, wanted), smallest);
        }
        assert_eq!(looked_for(16_384, 100), 16_384, "it is turned off");
        assert!(looked_for(40, u32::MAX) > crate::limits::MAX_SIDE);
    }
}
