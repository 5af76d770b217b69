//! How good a picture of a face is: how large, how sharp, how frontal. Rough figures from the box,
//! the five landmarks and the pixels; nothing here is learned.

use image::RgbImage;

use crate::crop::{Square, cut};
use crate::detect::Detection;
use crate::error::Error;

/// The side at which sharpness is measured, so that it means the same for every photo.
pub(crate) const SIDE: u8 = 96;
/// Pixels of a box's shorter side from which on more do not help.
const LARGE: f32 = 60.0;
/// The sharpness from which on more does not help.
const SHARP: f32 = 120.0;
/// Confidences between these count from 0 to 1.
const UNSURE_TO_SURE: (f32, f32) = (0.5, 0.9);
/// Where the nose is between the height of the eyes and that of the mouth, in a face that looks
/// straight ahead.
const NOSE: f32 = 0.55;

/// How good a picture of a face is.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Quality {
    /// 0 to 1, the least of what size, sharpness, confidence and pose come to.
    pub score: f32,
    /// Variance of the Laplacian of the face's grey values, scaled to 96 pixels a side.
    pub sharpness: f32,
    /// Degrees by which the head is turned to its left (positive) or right.
    pub yaw: f32,
    /// Degrees by which it looks up (positive) or down.
    pub pitch: f32,
    /// Degrees by which it is tilted clockwise in the photo.
    pub roll: f32,
    /// What is wrong with it.
    pub flaws: Flaws,
}

/// What makes a picture of a face a poor one: whatever comes to less than half.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flaws {
    /// Few pixels.
    pub small: bool,
    /// Out of focus, moved, or enlarged.
    pub blurred: bool,
    /// It may be no face.
    pub unsure: bool,
    /// Seen from the side, from above or below.
    pub turned: bool,
}

impl Quality {
    /// Of a face in its photo.
    pub(crate) fn of(photo: &RgbImage, face: &Detection) -> Result<Self, Error> {
        let pixels = cut(photo, Square::around(face.bounding_box, 1.0), SIDE.into())?;
        Ok(Self::from(face, variance_of_laplacian(&pixels)))
    }

    /// The same face where its landmarks are these, in the photo before it was turned.
    pub(crate) fn lying(self, landmarks: &[[f32; 2]; 5]) -> Self {
        let (.., roll) = pose(landmarks);
        Self { roll, ..self }
    }

    fn from(face: &Detection, sharpness: f32) -> Self {
        let [_, _, width, height] = face.bounding_box;
        let (yaw, pitch, roll) = pose(&face.landmarks);
        let (unsure, sure) = UNSURE_TO_SURE;
        let share = |x: f32| x.clamp(0.0, 1.0);
        let parts = [
            share(width.min(height) / LARGE),
            share(sharpness / SHARP),
            share((face.confidence - unsure) / (sure - unsure)),
            share(yaw.to_radians().cos() * pitch.to_radians().cos()),
        ];
        let [small, blurred, unsure, turned] = parts.map(|part| part < 0.5);
        Self {
            score: parts.into_iter().fold(1.0, f32::min),
            sharpness,
            yaw,
            pitch,
            roll,
            flaws: Flaws {
                small,
                blurred,
                unsure,
                turned,
            },
        }
    }
}

/// Yaw, pitch and roll in degrees, from how far the nose is from the middle of eyes and mouth. The
/// eyes of a head seen from the front are about twice as far apart as the nose stands out.
fn pose(landmarks: &[[f32; 2]; 5]) -> (f32, f32, f32) {
    let [right_eye, left_eye, nose, right_mouth, left_mouth] = *landmarks;
    let middle = |a: [f32; 2], b: [f32; 2]| [(a[0] + b[0]) / 2.0, (a[1] + b[1]) / 2.0];
    let from = |a: [f32; 2], b: [f32; 2]| [b[0] - a[0], b[1] - a[1]];
    let dot = |a: [f32; 2], b: [f32; 2]| a[0] * b[0] + a[1] * b[1];
    let (eyes, mouth) = (middle(right_eye, left_eye), middle(right_mouth, left_mouth));
    let across = from(right_eye, left_eye);
    let down = from(eyes, mouth);
    let roll = across[1].atan2(across[0]).to_degrees();
    let height = dot(down, down).sqrt().max(f32::MIN_POSITIVE);
    let along = dot(from(eyes, nose), down) / (height * height);
    // Beside the line from the eyes to the mouth, where it crosses the nose.
    let foot = [eyes[0] + down[0] * along, eyes[1] + down[1] * along];
    let beside = dot(from(foot, nose), [down[1], -down[0]]) / height;
    let angle = |sine: f32| sine.clamp(-1.0, 1.0).asin().to_degrees();
    (
        angle(beside / (height * 0.55)),
        angle((NOSE - along) / 0.55),
        roll,
    )
}

/// Of the grey values (ITU-R BT.601).
fn variance_of_laplacian(pixels: &RgbImage) -> f32 {
    let grey = |x: u32, y: u32| {
        let [r, g, b] = pixels.get_pixel(x, y).0.map(f32::from);
        0.299 * r + 0.587 * g + 0.114 * b
    };
    let (mut sum, mut squares, mut count) = (0.0_f32, 0.0_f32, 0.0_f32);
    for y in 1..pixels.height().saturating_sub(1) {
        for x in 1..pixels.width().saturating_sub(1) {
            let around = grey(x - 1, y) + grey(x + 1, y) + grey(x, y - 1) + grey(x, y + 1);
            let laplacian = around - 4.0 * grey(x, y);
            sum += laplacian;
            squares += laplacian * laplacian;
            count += 1.0;
        }
    }
    let mean = sum / count.max(1.0);
    squares / count.max(1.0) - mean * mean
}

#[cfg(test)]
mod tests {
    use image::Rgb;
    use image::imageops::blur;

    use super::*;

    const FRONTAL: [[f32; 2]; 5] = [
        [30.0, 40.0],
        [70.0, 40.0],
        [50.0, 62.0],
        [35.0, 80.0],
        [65.0, 80.0],
    ];

    fn face(landmarks: [[f32; 2]; 5], side: f32, confidence: f32) -> Detection {
        Detection {
            bounding_box: [0.0, 0.0, side, side],
            landmarks,
            confidence,
        }
    }

    #[test]
    fn a_frontal_sharp_large_sure_face_is_as_good_as_can_be() {
        let best = Quality::from(&face(FRONTAL, 100.0, 0.95), 500.0);
        assert!(best.score > 0.99, "{best:?}");
        assert_eq!(best.flaws, Flaws::default());
        assert!(best.yaw.abs() < 1.0 && best.pitch.abs() < 1.0 && best.roll.abs() < 1.0);
    }

    #[test]
    fn the_worst_part_decides_and_is_named() {
        let of = |landmarks, side, confidence, sharpness| {
            Quality::from(&face(landmarks, side, confidence), sharpness)
        };
        let mut profile = FRONTAL;
        profile[2][0] = 72.0;
        assert!(of(FRONTAL, 20.0, 0.95, 500.0).flaws.small);
        assert!(of(FRONTAL, 100.0, 0.95, 10.0).flaws.blurred);
        assert!(of(FRONTAL, 100.0, 0.6, 500.0).flaws.unsure);
        let turned = of(profile, 100.0, 0.95, 500.0);
        assert!(turned.flaws.turned && turned.score < 0.5, "{turned:?}");
        assert!(turned.yaw > 60.0);
    }

    #[test]
    fn a_tilted_face_is_no_worse_and_its_roll_is_told() {
        let quarter = FRONTAL.map(|[x, y]| [100.0 - y, x]);
        let tilted = Quality::from(&face(quarter, 100.0, 0.95), 500.0);
        assert!(
            (tilted.roll - 90.0).abs() < 0.1 && tilted.score > 0.99,
            "{tilted:?}"
        );
    }

    #[test]
    fn the_roll_of_a_face_in_a_turned_photo_is_that_of_the_photo_as_it_came() {
        let upright = Quality::from(&face(FRONTAL, 100.0, 0.95), 500.0);
        let lies = upright.lying(&FRONTAL.map(|[x, y]| [100.0 - y, x]));
        assert!((lies.roll - 90.0).abs() < 0.1, "{lies:?}");
        let roll = upright.roll;
        assert_eq!(Quality { roll, ..lies }, upright);
    }

    #[test]
    fn a_blurred_picture_is_less_sharp() {
        let checks = RgbImage::from_fn(200, 200, |x, y| {
            Rgb([if (x / 8 + y / 8) % 2 == 0 { 220 } else { 30 }; 3])
        });
        let found = face(FRONTAL, 200.0, 0.9);
        let sharp = Quality::of(&checks, &found).unwrap().sharpness;
        let soft = Quality::of(&blur(&checks, 4.0), &found).unwrap().sharpness;
        assert!(sharp > 20.0 * soft, "{sharp} {soft}");
        let flat = RgbImage::new(50, 50);
        assert_eq!(Quality::of(&flat, &found).unwrap().sharpness, 0.0);
    }
}
