//! The network that finds faces.

use std::path::Path;

use image::RgbImage;

use crate::detect::{Detection, Grid, INPUT_SIDE, Input, STRIDES, distinct, faces_of};
use crate::error::Error;
use crate::finder::{Finder, Found, Patience};
use crate::manifest;
use crate::runtime::{Runtime, Session};
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
        runtime: Runtime,
        model: &Path,
        manifest: &manifest::Detector,
        threads: usize,
    ) -> Result<Self, Error> {
        Ok(Self {
            session: Session::load(runtime, model, threads)?,
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
        let side = INPUT_SIDE as usize;
        let outputs = self.session.run(&[1, 3, side, side], &input.planes)?;
        let mut found = Vec::new();
        for stride in STRIDES {
            let output = |name: &str| -> Result<&[f32], Error> {
                let name = format!("{name}_{stride}");
                let lacks = || Error::Model(format!("the detector has no output `{name}`"));
                outputs.named(&name)?.ok_or_else(lacks)
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
