//! A photo as its faces are looked for in it. Of a huge JPEG only an eighth, a quarter or half of
//! the pixels on a side are made, which the format allows for a fraction of the work; more of them are
//! decoded where faces turn out to be too small for that.

use image::RgbImage;

use crate::decode::{decode, decode_reduced};
use crate::detect::{Detection, INPUT_SIDE};
use crate::error::Error;
use crate::turn::Turn;

/// The longer side that a reduced photo has at least: twice what the detector looks at, so that
/// scaling it down once more loses nothing.
const LEAST_SIDE: u32 = 2 * INPUT_SIDE;

/// Pixels, upright after EXIF or turned once more, and how they relate to those of the whole photo.
pub(crate) struct Photo {
    pub(crate) pixels: RgbImage,
    /// Width and height of the whole photo, upright after EXIF.
    pub(crate) size: (u32, u32),
    /// How it was turned after that.
    turn: Option<Turn>,
}

impl Photo {
    /// Some of the pixels of a photo of this size.
    pub(crate) fn of(pixels: RgbImage, size: (u32, u32)) -> Self {
        Self {
            pixels,
            size,
            turn: None,
        }
    }

    /// Decodes as much as it takes to find faces.
    pub(crate) fn open(bytes: &[u8]) -> Result<Self, Error> {
        Self::with(bytes, LEAST_SIDE)
    }

    /// Decodes so much that its longer side has so many pixels, or all there is.
    fn with(bytes: &[u8], least_side: u32) -> Result<Self, Error> {
        match decode_reduced(bytes, least_side)? {
            Some(reduced) => Ok(reduced),
            None => {
                let pixels = decode(bytes)?;
                let size = pixels.dimensions();
                Ok(Self::of(pixels, size))
            }
        }
    }

    /// Turns it, once.
    pub(crate) fn turn(&mut self, turn: Turn) {
        self.pixels = turn.of(&self.pixels);
        self.turn = Some(turn);
    }

    /// As it was before it was turned.
    pub(crate) fn turn_back(&mut self) {
        if let Some(turn) = self.turn.take() {
            self.pixels = turn.back().of(&self.pixels);
        }
    }

    /// Decodes it again where it has fewer pixels than that on its longer side and there are more; tells how many
    /// times as many there are now, on a side.
    pub(crate) fn refine(&mut self, bytes: &[u8], least_side: u32) -> Result<f32, Error> {
        let before = self.reduction();
        if before <= 1.0 || self.pixels.width().max(self.pixels.height()) >= least_side {
            return Ok(1.0);
        }
        let turn = self.turn;
        // The old pixels make room for the new.
        self.pixels = RgbImage::default();
        *self = Self::with(bytes, least_side.max(LEAST_SIDE))?;
        if let Some(turn) = turn {
            self.turn(turn);
        }
        Ok(before / self.reduction())
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
        self.reduction() > 1.0 && faces.iter().any(|face| face.longer() < pixels)
    }

    /// Something found in its pixels, in those of the whole photo, upright after EXIF.
    pub(crate) fn place_of(&self, found: &Detection) -> Detection {
        let (width, height) = self.pixels.dimensions();
        let place = match self.turn {
            None => *found,
            Some(turn @ Turn::Half) => turn.undone(found, (width, height)),
            Some(turn) => turn.undone(found, (height, width)),
        };
        place.scaled(self.reduction())
    }
}
