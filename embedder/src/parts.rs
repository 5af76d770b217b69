//! The parts of a photo that a closer look goes through, so that faces are found which are too small where
//! the whole photo fits into what the detector sees, and how what is found in them becomes one list.
//!
//! Parts overlap by more than the largest face that they are for, so that each face lies whole in one of
//! them; what an edge between two parts may have cut is left to the part, or the look at the whole photo,
//! that has all of it.

use image::RgbImage;

use crate::crop::piece;
use crate::detect::{Detection, INPUT_SIDE, SAME_FACE_OVERLAP, overlap, shared_part};
use crate::error::Error;
use crate::limits::MAX_FACES_OF_PARTS;
use crate::pixels::{float, floor};

/// Pixels of a face's longer side, in what the detector sees, from which on it is found.
pub(crate) const SEEN: u32 = 20;
/// Pixels by which two parts overlap at least.
const OVERLAP: u32 = 128;
/// The part of its side by which a face stays away from an edge that could have cut it. So faces of
/// OVERLAP / (1 + 2 * BESIDE) pixels or less lie whole in some part.
const BESIDE: f32 = 0.1;
/// How many times its size on the level before a face has on the next, which is for faces too large for the
/// parts of that: those that lie whole in a part are more than that many times as large as those that are seen.
const LEVEL: f32 = 4.0;
/// The closest level is worth its time as soon as it shows faces larger than the look at the whole photo, further
/// ones where they do so by a quarter.
const CLOSER: f32 = 1.02;
const WORTHWHILE: f32 = 1.25;
/// Pixels of a face's longer side in the look at the whole photo from which on a closer look tells no more of it.
pub(crate) const LARGE: f32 = 32.0;
/// How much of something found in a part lies within a surer face if it is a piece of that: an eye or a mouth, seen close.
const MOST: f32 = 0.8;

/// A part of a photo, as large as the detector sees or smaller, at a scale.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Part {
    across: Span,
    down: Span,
    /// Its pixels a pixel of the photo, on a side.
    scale: f32,
}

/// Where a part lies in one direction, in pixels at its scale.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    start: u32,
    length: u32,
    /// All of the photo.
    of: u32,
}

/// The parts of a photo of this size at `finest`, and at coarser scales for faces too large for those, as far as
/// they show more than a look at `whole`, the scale at which the photo was looked at; both are pixels a pixel of
/// the photo. Coarser where there would be more than `most`.
pub(crate) fn parts(size: (u32, u32), (mut finest, whole): (f32, f32), most: usize) -> Vec<Part> {
    if !is_closer(finest, whole) {
        return Vec::new();
    }
    loop {
        let levels = std::iter::successors(Some(finest), |scale| {
            Some(scale / LEVEL).filter(|scale| *scale > whole * WORTHWHILE)
        });
        let parts: Vec<_> = levels.flat_map(|scale| level(size, scale)).collect();
        if parts.len() <= most {
            return parts;
        }
        finest *= 0.95;
    }
}

/// Whether a look at this scale shows more than one at that at which the whole photo was seen.
pub(crate) fn is_closer(scale: f32, whole: f32) -> bool {
    scale > whole * CLOSER
}

fn level((width, height): (u32, u32), scale: f32) -> Vec<Part> {
    let (across, down) = (spans(scaled(width, scale)), spans(scaled(height, scale)));
    let rows = down.iter();
    let parts = rows.flat_map(|down| {
        across.iter().map(|across| Part {
            across: *across,
            down: *down,
            scale,
        })
    });
    parts.collect()
}

fn scaled(side: u32, scale: f32) -> u32 {
    floor(float(side) * scale)
}

/// As few as cover a side, evenly apart.
fn spans(of: u32) -> Vec<Span> {
    let length = of.min(INPUT_SIDE);
    let room = of - length;
    let steps = room.div_ceil(INPUT_SIDE - OVERLAP);
    let starts = (0..=steps).map(|step| match steps {
        0 => 0,
        _ => step * room / steps,
    });
    let spans = starts.filter(|_| of > 0);
    spans.map(|start| Span { start, length, of }).collect()
}

impl Part {
    /// The part around something found in a photo of this size, with nothing that cuts it.
    pub(crate) fn around(face: &Detection, (width, height): (u32, u32), scale: f32) -> Self {
        let [x, y, w, h] = face.bounding_box;
        let span = |middle: f32, side: u32| {
            let of = scaled(side, scale);
            let length = of.min(INPUT_SIDE);
            let start = floor(middle * scale).saturating_sub(length / 2);
            Span {
                start: start.min(of - length),
                length,
                of,
            }
        };
        Self {
            across: span(x + w / 2.0, width),
            down: span(y + h / 2.0, height),
            scale,
        }
    }

    /// What the detector is to see of it.
    pub(crate) fn picture(&self, photo: &RgbImage) -> Result<RgbImage, Error> {
        let inverse = 1.0 / f64::from(self.scale);
        let place = [
            self.across.start,
            self.down.start,
            self.across.length,
            self.down.length,
        ];
        let place = place.map(|n| f64::from(n) * inverse);
        // Of a line of pixels nothing is left where it is scaled down.
        let size = (self.across.length.max(1), self.down.length.max(1));
        piece(photo, place.map(|it| it.max(0.0)), size)
    }

    /// Of what is found in it that which is whole, in pixels of the photo.
    pub(crate) fn whole(&self, found: Vec<Detection>) -> impl Iterator<Item = Detection> {
        let part = *self;
        let whole = found.into_iter().filter(move |face| !part.cuts(face));
        whole.map(move |face| {
            let moved = face.moved(float(part.across.start), float(part.down.start));
            moved.scaled(1.0 / part.scale)
        })
    }

    /// Whether something found lies at an edge, or over it, behind which the photo goes on.
    fn cuts(&self, face: &Detection) -> bool {
        let [x, y, width, height] = face.bounding_box;
        let beside = width.max(height) * BESIDE;
        let cut = |span: &Span, from: f32, side: f32| {
            let (starts, ends) = (span.start > 0, span.start + span.length < span.of);
            (starts && from < beside) || (ends && from + side > float(span.length) - beside)
        };
        cut(&self.across, x, width) || cut(&self.down, y, height)
    }
}

/// Each face once, of those of the whole photo, seen at a scale, and those of its parts, all in its pixels. A face
/// is told as it was seen best: a large one in the whole photo, a small one in a part, and one that is in
/// several as the surest of them. What a part shows within a face that is surer is a piece of that.
pub(crate) fn merged(
    whole: Vec<Detection>,
    scale: f32,
    in_parts: Vec<Detection>,
) -> Vec<Detection> {
    let whole = whole.into_iter();
    let (large, small): (Vec<_>, Vec<_>) = whole.partition(|face| face.longer() * scale >= LARGE);
    let mut kept: Vec<Detection> = Vec::new();
    let is_again = |kept: &Detection, face: &Detection| {
        overlap(kept.bounding_box, face.bounding_box) > SAME_FACE_OVERLAP
    };
    let is_piece = |kept: &Detection, face: &Detection| {
        kept.confidence >= face.confidence
            && shared_part(kept.bounding_box, face.bounding_box) > MOST
    };
    for (mut some, are_seen_close) in [(large, false), (in_parts, true), (small, false)] {
        some.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
        some.truncate(MAX_FACES_OF_PARTS);
        for face in some {
            let is_known = |other: &Detection| {
                is_again(other, &face) || (are_seen_close && is_piece(other, &face))
            };
            if !kept.iter().any(is_known) {
                kept.push(face);
            }
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;
    use crate::limits::{MAX_PARTS, MAX_PIXELS, MAX_SIDE, MAX_TURNED_PARTS};

    fn face(x: f32, y: f32, side: f32, confidence: f32) -> Detection {
        Detection {
            bounding_box: [x, y, side, side],
            landmarks: [[x, y]; 5],
            confidence,
        }
    }

    /// The scale at which a photo is seen whole.
    fn whole((width, height): (u32, u32)) -> f32 {
        float(INPUT_SIDE) / float(width.max(height))
    }

    /// A face as it is in a part, if the part has any of it.
    fn within(part: &Part, face: &Detection) -> Option<Detection> {
        let seen = face.scaled(part.scale);
        let seen = seen.moved(-float(part.across.start), -float(part.down.start));
        let [x, y, w, h] = seen.bounding_box;
        let (right, down) = (float(part.across.length), float(part.down.length));
        let (left, top) = (x.max(0.0), y.max(0.0));
        let (right, down) = ((x + w).min(right), (y + h).min(down));
        (left < right && top < down).then_some(Detection {
            bounding_box: [left, top, right - left, down - top],
            ..seen
        })
    }

    #[test]
    fn every_face_from_40_pixels_on_is_seen_large_enough_and_whole_in_any_photo_somewhere() {
        for size in [
            (4_000, 3_000),
            (3_000, 4_000),
            (5_472, 3_648),
            (9_248, 6_936),
            (16_384, 4_096),
            (1_700, 20),
            (8_191, 8_191),
        ] {
            let parts = parts(size, (0.5, whole(size)), MAX_PARTS);
            assert!(!parts.is_empty() && parts.len() <= MAX_PARTS, "{size:?}");
            let (mut side, mut seed) = (40.0, 7_u32);
            while side * whole(size) < float(SEEN) {
                for _ in 0..300 {
                    let mut place = |of: u32| {
                        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                        float(seed >> 8) / float(1 << 24) * (float(of) - side).max(0.0)
                    };
                    let face = face(place(size.0), place(size.1), side, 0.9);
                    let sees = |part: &Part| {
                        let seen = within(part, &face);
                        seen.is_some_and(|seen| {
                            seen.longer() >= float(SEEN) - 0.01 && !part.cuts(&seen)
                        })
                    };
                    let [x, y, ..] = face.bounding_box;
                    assert!(parts.iter().any(sees), "{size:?}: {side} at {x}, {y}");
                }
                side *= 1.3;
            }
        }
    }

    #[test]
    fn no_photo_that_is_read_has_more_parts_than_may_be_and_about_half_its_size_is_always_seen() {
        let sides = (6..=14).flat_map(|bits| [1_u32 << bits, (1 << bits) - 1, 3 << (bits - 2)]);
        let sides: Vec<_> = sides.filter(|side| *side <= MAX_SIDE).collect();
        for width in &sides {
            for height in &sides {
                if u64::from(*width) * u64::from(*height) > MAX_PIXELS {
                    continue;
                }
                let size = (*width, *height);
                for finest in [0.5, 1.0] {
                    let parts = parts(size, (finest, whole(size)), MAX_PARTS);
                    assert!(parts.len() <= MAX_PARTS, "{size:?} has {}", parts.len());
                    let fewer = super::parts(size, (finest, whole(size)), MAX_TURNED_PARTS);
                    assert!(
                        fewer.len() <= MAX_TURNED_PARTS,
                        "{size:?} has {}",
                        fewer.len()
                    );
                    assert_eq!(fewer.is_empty(), parts.is_empty(), "{size:?}");
                    let closest = parts.iter().map(|it| it.scale).fold(0.0, f32::max);
                    let due = is_closer(finest, whole(size)) && width.min(height) > &1;
                    assert!(closest > 0.47 || !due, "{size:?}: {closest}");
                }
            }
        }
        assert!(parts((1_280, 960), (0.5, 0.5), MAX_PARTS).is_empty());
        assert_eq!(parts((4_000, 3_000), (0.5, 0.16), MAX_PARTS).len(), 12);
        // What is asked of fewer parts is asked of all of a photo of 24 megapixels.
        let large = parts((6_000, 4_000), (0.5, 0.1), MAX_PARTS);
        assert!(large.len() <= MAX_TURNED_PARTS, "{}", large.len());
    }

    #[test]
    fn of_more_faces_than_can_be_compared_the_surest_are_kept() {
        let faces = (0..20_000_u32).map(|n| {
            let (x, y) = (float(n % 200) * 10.0, float(n / 200) * 10.0);
            face(x, y, 9.0, 0.6 + float(n) / 100_000.0)
        });
        let kept = merged(Vec::new(), 1.0, faces.collect());
        assert_eq!(kept.len(), MAX_FACES_OF_PARTS);
        assert!(
            kept.iter().all(|it| it.confidence >= 0.759),
            "{:?}",
            kept.last()
        );
    }

    #[test]
    fn a_part_shows_what_is_there_at_its_scale() {
        let mut photo = RgbImage::new(3_000, 2_000);
        for y in 1_400..1_420 {
            for x in 2_200..2_220 {
                photo.put_pixel(x, y, Rgb([250; 3]));
            }
        }
        let mut seen = 0;
        for part in parts((3_000, 2_000), (0.5, whole((3_000, 2_000))), MAX_PARTS) {
            let picture = part.picture(&photo).unwrap();
            assert!(picture.width() <= INPUT_SIDE && picture.height() <= INPUT_SIDE);
            let lit = picture.enumerate_pixels().filter(|(.., p)| p[0] > 125);
            let lit: Vec<_> = lit.map(|(x, y, _)| (x, y)).collect();
            let Some((x, y)) = lit.first() else { continue };
            seen += 1;
            let found = face(float(*x), float(*y), 10.0, 0.9);
            let told: Vec<_> = part.whole(vec![found]).collect();
            for face in told {
                let [x, y, w, h] = face.bounding_box;
                let near = (x - 2_200.0).abs() < 2.0 && (y - 1_400.0).abs() < 2.0;
                assert!(near && w == 20.0 && h == 20.0, "{:?}", face.bounding_box);
                assert_eq!(face.landmarks[0], [x, y]);
            }
        }
        assert!(seen > 0);
    }

    #[test]
    fn what_an_edge_between_parts_has_cut_is_left_out_and_what_the_photo_ends_at_is_not() {
        let parts = parts((4_000, 3_000), (0.5, 0.16), MAX_PARTS);
        let (first, second) = (&parts[0], &parts[1]);
        let at_left = face(0.0, 100.0, 50.0, 0.9);
        assert_eq!(first.whole(vec![at_left]).count(), 1);
        assert_eq!(second.whole(vec![at_left]).count(), 0);
        let at_right = face(588.0, 100.0, 50.0, 0.9);
        assert_eq!(first.whole(vec![at_right]).count(), 0);
        let below = face(100.0, 600.0, 50.0, 0.9);
        assert_eq!(first.whole(vec![below]).count(), 0);
        let inside = face(500.0, 500.0, 100.0, 0.9);
        assert_eq!(first.whole(vec![inside]).count(), 1);
    }

    #[test]
    fn a_face_is_told_once_as_it_was_seen_best() {
        let large = face(1_000.0, 1_000.0, 900.0, 0.92);
        let small = face(3_000.0, 500.0, 120.0, 0.95);
        // The large one again from a coarser part, its eye, the small one from two parts, and one more.
        let again = face(1_030.0, 980.0, 880.0, 0.99);
        let eye = face(1_200.0, 1_200.0, 150.0, 0.8);
        let closer = face(3_006.0, 494.0, 112.0, 0.9);
        let less = face(3_010.0, 490.0, 110.0, 0.7);
        let new = face(100.0, 100.0, 48.0, 0.7);
        let all = merged(
            vec![small, large],
            0.16,
            vec![again, eye, less, closer, new],
        );
        assert_eq!(all, [large, closer, new]);
        // What is within something that is less sure stays.
        let unsure = face(1_000.0, 1_000.0, 900.0, 0.61);
        assert_eq!(merged(vec![unsure], 0.16, vec![eye]), [unsure, eye]);
        // A child's face before its mother's chin is none.
        let child = face(1_350.0, 1_600.0, 350.0, 0.8);
        assert_eq!(merged(vec![large, child], 0.16, vec![]), [large, child]);
        let beside = face(900.0, 1_500.0, 150.0, 0.8);
        assert_eq!(merged(vec![large], 0.16, vec![beside]), [large, beside]);
        // What the parts have not seen again stays as it was.
        assert_eq!(merged(vec![small], 0.16, vec![new]), [new, small]);
    }

    #[test]
    fn the_part_around_a_face_has_all_of_it_also_at_the_edge() {
        let size = (4_000, 3_000);
        for (x, y) in [
            (0.0, 0.0),
            (3_950.0, 2_950.0),
            (2_000.0, 10.0),
            (-5.0, 1_500.0),
        ] {
            let face = face(x, y, 50.0, 0.8);
            let part = Part::around(&face, size, 0.5);
            let seen = within(&part, &face).unwrap();
            assert!(!part.cuts(&seen), "{x}, {y}: {part:?}");
            assert_eq!((part.across.length, part.down.length), (640, 640));
            for Span { start, length, of } in [part.across, part.down] {
                assert!(start + length <= of, "{x}, {y}: {part:?}");
            }
        }
    }
}
