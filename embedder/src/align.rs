//! Faces turned, scaled and moved so that their landmarks come to lie where a model expects them:
//! the similarity that does so with the least sum of squared distances (Umeyama 1991,
//! doi:10.1109/34.88573, without reflection), and the photo resampled by it.

use image::{Rgb, RgbImage};

use crate::crop::{Square, cut};
use crate::error::Error;
use crate::pixels::{float, floor};

/// How many pixels of the photo become one of the input before the photo is scaled down first:
/// between four pixels alone, details of more than two would be passed over.
const COARSE: f32 = 2.0;

/// A turn with a scale, then a move: `x + iy` becomes `(a + ib)(x + iy) + (u + iv)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Similarity {
    a: f32,
    b: f32,
    u: f32,
    v: f32,
}

impl Similarity {
    /// The one that brings each of `from` nearest to its place in `to`; `None` where those of
    /// `from` all lie in one place, or are no numbers.
    pub(crate) fn between(from: &[[f32; 2]; 5], to: &[[f32; 2]; 5]) -> Option<Self> {
        let (from_mean, to_mean) = (mean(from), mean(to));
        let (mut a, mut b, mut spread) = (0.0, 0.0, 0.0);
        for (p, q) in from.iter().zip(to) {
            let (px, py) = (p[0] - from_mean[0], p[1] - from_mean[1]);
            let (qx, qy) = (q[0] - to_mean[0], q[1] - to_mean[1]);
            a += px * qx + py * qy;
            b += px * qy - py * qx;
            spread += px * px + py * py;
        }
        let (a, b) = (a / spread, b / spread);
        let whole = Self {
            a,
            b,
            u: to_mean[0] - a * from_mean[0] + b * from_mean[1],
            v: to_mean[1] - b * from_mean[0] - a * from_mean[1],
        };
        let scale = whole.scale();
        ((1e-4..1e4).contains(&scale) && whole.u.is_finite() && whole.v.is_finite())
            .then_some(whole)
    }

    /// How many times its size everything becomes.
    fn scale(&self) -> f32 {
        self.a.hypot(self.b)
    }

    /// Where a place comes from.
    fn undone(&self, [x, y]: [f32; 2]) -> [f32; 2] {
        let (x, y, square) = (x - self.u, y - self.v, self.a * self.a + self.b * self.b);
        [
            (self.a * x + self.b * y) / square,
            (self.a * y - self.b * x) / square,
        ]
    }
}

fn mean(points: &[[f32; 2]; 5]) -> [f32; 2] {
    [0, 1].map(|axis| points.iter().map(|point| point[axis]).sum::<f32>() / 5.0)
}

/// The face with its landmarks at `places`, as an image of `size` x `size` pixels; what lies
/// outside the photo is black. `None` where landmarks do not say how it lies.
pub(crate) fn aligned(
    photo: &RgbImage,
    landmarks: &[[f32; 2]; 5],
    places: &[[f32; 2]; 5],
    size: u32,
) -> Result<Option<RgbImage>, Error> {
    let Some(similarity) = Similarity::between(landmarks, places) else {
        return Ok(None);
    };
    let coarseness = 1.0 / similarity.scale();
    if coarseness < COARSE {
        return Ok(Some(resampled(photo, &similarity, size)));
    }
    let square = seen(&similarity, size);
    let pixels = floor(square.side / coarseness).clamp(1, 4 * size);
    let piece = cut(photo, square, pixels)?;
    let scale = float(pixels) / square.side;
    let moved = landmarks.map(|[x, y]| [(x - square.left) * scale, (y - square.top) * scale]);
    let similarity = Similarity::between(&moved, places);
    Ok(similarity.map(|similarity| resampled(&piece, &similarity, size)))
}

/// The square of the photo that holds all that comes into the input, a few pixels more on each side.
fn seen(similarity: &Similarity, size: u32) -> Square {
    let (middle, half) = (float(size) / 2.0, float(size) / 2.0 + 2.0);
    let [x, y] = similarity.undone([middle, middle]);
    let reach = half * (similarity.a.abs() + similarity.b.abs()) / similarity.scale().powi(2);
    let (left, top) = ((x - reach).floor(), (y - reach).floor());
    Square {
        left,
        top,
        side: (2.0 * reach).ceil() + 1.0,
    }
}

/// Each pixel from the four around the place it comes from (bilinear).
fn resampled(photo: &RgbImage, similarity: &Similarity, size: u32) -> RgbImage {
    RgbImage::from_fn(size, size, |x, y| {
        let [x, y] = similarity.undone([float(x), float(y)]);
        let (left, top) = (x.floor(), y.floor());
        let (right, down) = (x - left, y - top);
        let shade = |dx: f32, dy: f32| at(photo, left + dx, top + dy);
        let corners = [
            (shade(0.0, 0.0), (1.0 - right) * (1.0 - down)),
            (shade(1.0, 0.0), right * (1.0 - down)),
            (shade(0.0, 1.0), (1.0 - right) * down),
            (shade(1.0, 1.0), right * down),
        ];
        Rgb([0, 1, 2].map(|colour: usize| {
            let sum: f32 = corners
                .iter()
                .map(|(pixel, part)| f32::from(pixel[colour]) * part)
                .sum();
            byte(sum)
        }))
    })
}

/// A pixel of the photo, black outside.
fn at(photo: &RgbImage, x: f32, y: f32) -> [u8; 3] {
    let within = x >= 0.0 && y >= 0.0 && x < float(photo.width()) && y < float(photo.height());
    match within {
        true => photo.get_pixel(floor(x), floor(y)).0,
        false => [0; 3],
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a mean of bytes"
)]
fn byte(x: f32) -> u8 {
    x.round() as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACES: [[f32; 2]; 5] = [
        [20.0, 25.0],
        [44.0, 25.0],
        [32.0, 36.0],
        [23.0, 47.0],
        [41.0, 47.0],
    ];

    /// Turned by an angle around the origin, scaled, moved.
    fn moved(points: [[f32; 2]; 5], degrees: f32, scale: f32, by: [f32; 2]) -> [[f32; 2]; 5] {
        let (sin, cos) = degrees.to_radians().sin_cos();
        points.map(|[x, y]| {
            [
                scale * (cos * x - sin * y) + by[0],
                scale * (sin * x + cos * y) + by[1],
            ]
        })
    }

    #[test]
    fn a_face_that_was_turned_scaled_and_moved_comes_back() {
        for (degrees, scale, by) in [
            (0.0, 1.0, [0.0, 0.0]),
            (37.0, 2.5, [90.0, -7.0]),
            (-170.0, 0.3, [5.0, 400.0]),
        ] {
            let landmarks = moved(PLACES, degrees, scale, by);
            let similarity = Similarity::between(&landmarks, &PLACES).unwrap();
            assert!((similarity.scale() * scale - 1.0).abs() < 1e-4);
            for (place, landmark) in PLACES.iter().zip(landmarks) {
                let back = similarity.undone(*place);
                let far = (back[0] - landmark[0]).hypot(back[1] - landmark[1]);
                assert!(
                    far < 1e-3 * scale.max(1.0),
                    "{degrees}: {back:?} {landmark:?}"
                );
            }
        }
    }

    #[test]
    fn landmarks_that_do_not_fit_are_brought_as_near_as_may_be() {
        let mut landmarks = moved(PLACES, 20.0, 1.5, [10.0, 10.0]);
        landmarks[2][0] += 6.0;
        landmarks[4][1] -= 5.0;
        let best = Similarity::between(&landmarks, &PLACES).unwrap();
        let distance = |it: &Similarity| -> f32 {
            let parts = landmarks.iter().zip(&PLACES).map(|([x, y], [to_x, to_y])| {
                let (got_x, got_y) = (it.a * x - it.b * y + it.u, it.b * x + it.a * y + it.v);
                (got_x - to_x).powi(2) + (got_y - to_y).powi(2)
            });
            parts.sum()
        };
        let least = distance(&best);
        for change in [-0.01, 0.01] {
            for other in [
                Similarity {
                    a: best.a + change,
                    ..best
                },
                Similarity {
                    b: best.b + change,
                    ..best
                },
                Similarity {
                    u: best.u + 50.0 * change,
                    ..best
                },
                Similarity {
                    v: best.v + 50.0 * change,
                    ..best
                },
            ] {
                assert!(distance(&other) > least, "{other:?}");
            }
        }
    }

    #[test]
    fn landmarks_in_one_place_say_nothing() {
        assert_eq!(Similarity::between(&[[7.0, 7.0]; 5], &PLACES), None);
        assert_eq!(Similarity::between(&[[f32::NAN; 2]; 5], &PLACES), None);
        let photo = RgbImage::new(8, 8);
        assert!(
            aligned(&photo, &[[7.0, 7.0]; 5], &PLACES, 64)
                .unwrap()
                .is_none()
        );
    }

    /// A white spot around each landmark, as wide as the scale.
    fn spotted(landmarks: &[[f32; 2]; 5], side: u32, radius: f32) -> RgbImage {
        RgbImage::from_fn(side, side, |x, y| {
            let near = landmarks
                .iter()
                .any(|p| (p[0] - float(x)).hypot(p[1] - float(y)) <= radius);
            Rgb([if near { 255 } else { 0 }; 3])
        })
    }

    #[test]
    fn what_is_at_the_landmarks_comes_to_their_places_however_large_the_face_is() {
        for (degrees, scale) in [(0.0, 1.0), (30.0, 1.4), (-60.0, 3.0), (90.0, 9.0)] {
            let middle = 40.0 * scale + 20.0;
            let landmarks = moved(
                PLACES.map(|[x, y]| [x - 32.0, y - 36.0]),
                degrees,
                scale,
                [middle; 2],
            );
            let photo = spotted(&landmarks, floor(2.0 * middle), 2.0 * scale);
            let face = aligned(&photo, &landmarks, &PLACES, 64).unwrap().unwrap();
            for [x, y] in PLACES {
                let bright = face.get_pixel(floor(x), floor(y))[0];
                assert!(bright > 200, "{degrees} {scale}: {x} {y} {bright}");
            }
            let lit = face.pixels().filter(|pixel| pixel[0] > 127).count();
            assert!((40..110).contains(&lit), "{degrees} {scale}: {lit}");
        }
    }

    #[test]
    fn beside_the_photo_it_is_black() {
        let photo = RgbImage::from_pixel(30, 30, Rgb([200, 100, 50]));
        for scale in [0.5, 1.0, 6.0] {
            let landmarks = moved(PLACES, 0.0, scale, [-32.0 * scale, 0.0]);
            let face = aligned(&photo, &landmarks, &PLACES, 64).unwrap().unwrap();
            assert_eq!(face.get_pixel(5, 5).0, [0; 3], "{scale}");
            let lit = face.pixels().any(|pixel| pixel.0 == [200, 100, 50]);
            assert!(lit, "{scale}");
        }
    }
}
