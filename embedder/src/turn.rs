//! Photos that lie on their side or head, and nothing in them says so: turned pixels, and what is
//! found in them told in pixels of the photo as it came.

use image::RgbImage;
use image::imageops::{rotate90, rotate180, rotate270};

use crate::detect::Detection;

/// A clockwise turn of a photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Turn {
    Quarter,
    Half,
    ThreeQuarters,
}

impl Turn {
    pub(crate) const ALL: [Self; 3] = [Self::Quarter, Self::ThreeQuarters, Self::Half];

    /// The turn that undoes it.
    pub(crate) fn back(self) -> Self {
        match self {
            Self::Quarter => Self::ThreeQuarters,
            Self::Half => Self::Half,
            Self::ThreeQuarters => Self::Quarter,
        }
    }

    pub(crate) fn of(self, photo: &RgbImage) -> RgbImage {
        match self {
            Self::Quarter => rotate90(photo),
            Self::Half => rotate180(photo),
            Self::ThreeQuarters => rotate270(photo),
        }
    }

    /// Something found in the turned photo, in pixels of the photo, which has this size.
    pub(crate) fn undone(self, found: &Detection, (width, height): (u32, u32)) -> Detection {
        #[expect(
            clippy::cast_precision_loss,
            reason = "sides of photos have few digits"
        )]
        let (width, height) = (width as f32, height as f32);
        let back = |[x, y]: [f32; 2]| match self {
            Self::Quarter => [y, height - x],
            Self::Half => [width - x, height - y],
            Self::ThreeQuarters => [width - y, x],
        };
        let [x, y, w, h] = found.bounding_box;
        let (a, b) = (back([x, y]), back([x + w, y + h]));
        Detection {
            bounding_box: [
                a[0].min(b[0]),
                a[1].min(b[1]),
                (a[0] - b[0]).abs(),
                (a[1] - b[1]).abs(),
            ],
            landmarks: found.landmarks.map(back),
            confidence: found.confidence,
        }
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn what_is_found_in_a_turned_photo_is_told_where_it_is_in_the_photo() {
        let mut photo = RgbImage::new(20, 10);
        photo.put_pixel(3, 2, Rgb([255; 3]));
        for turn in Turn::ALL {
            let turned = turn.of(&photo);
            assert_eq!(turn.back().of(&turned), photo, "{turn:?}");
            let (x, y, _) = turned.enumerate_pixels().find(|(.., p)| p[0] > 0).unwrap();
            let (x, y) = (
                f32::from(u16::try_from(x).unwrap()),
                f32::from(u16::try_from(y).unwrap()),
            );
            let found = Detection {
                bounding_box: [x, y, 1.0, 1.0],
                landmarks: [[x + 0.5, y + 0.5]; 5],
                confidence: 0.9,
            };
            let back = turn.undone(&found, photo.dimensions());
            assert_eq!(back.bounding_box, [3.0, 2.0, 1.0, 1.0], "{turn:?}");
            assert_eq!(back.landmarks[0], [3.5, 2.5], "{turn:?}");
        }
    }
}
