//! A photo as its faces are looked for in it. Of a huge JPEG only an eighth, a quarter or half of
//! the pixels on a side are made, which the format allows for a fraction of the work; the whole
//! photo is decoded where a face turns out to have too few pixels for that.

use image::RgbImage;

use crate::decode::{decode, decode_reduced};
use crate::detect::{Detection, INPUT_SIDE};
use crate::error::Error;

/// The longer side that a reduced photo has at least: twice what the detector looks at, so that
/// scaling it down once more loses nothing.
const LEAST_SIDE: u32 = 2 * INPUT_SIDE;

/// Upright pixels, and how they relate to those of the whole photo.
pub(crate) struct Photo {
    pub(crate) pixels: RgbImage,
    /// Width and height of the whole upright photo.
    pub(crate) size: (u32, u32),
}

impl Photo {
    /// Decodes as much as it takes to find faces.
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, Error> {
        match decode_reduced(bytes, LEAST_SIDE)? {
            Some(reduced) => Ok(reduced),
            None => Self::open_whole(bytes),
        }
    }

    /// Decodes all of it.
    pub(crate) fn open_whole(bytes: &[u8]) -> Result<Self, Error> {
        let pixels = decode(bytes)?;
        let size = pixels.dimensions();
        Ok(Self { pixels, size })
    }

    /// How many pixels of the whole photo are one of these, on a side.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sides of photos have few digits"
    )]
    pub(crate) fn reduction(&self) -> f32 {
        let (side, whole) = (
            self.pixels.width().max(self.pixels.height()),
            self.size.0.max(self.size.1),
        );
        (whole as f32 / side.max(1) as f32).max(1.0)
    }

    /// Whether pixels are missing that these faces have in the whole photo: one would have to be
    /// enlarged to be seen `pixels` wide.
    pub(crate) fn is_too_coarse(&self, faces: &[Detection], pixels: f32) -> bool {
        let coarse = |face: &Detection| {
            let [_, _, width, height] = face.bounding_box;
            width.max(height) < pixels
        };
        self.reduction() > 1.0 && faces.iter().any(coarse)
    }
}
