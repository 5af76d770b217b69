//! YuNet (Wu, Peng, Yu 2023): its input, and faces out of its output.
//!
//! The network answers for every cell of three grids (strides 8, 16, 32): how likely a face is
//! (`cls`, `obj`), where its box is relative to the cell (`bbox`: centre, logarithm of the size) and
//! where five landmarks are (`kps`).

use image::RgbImage;

/// Sides of the square that the network sees, the photo at its top left and black beside it. A small
/// photo would take a fraction of the time on a smaller one, but its boxes come out a little
/// otherwise, and verification with them (0.9950 for 0.9967 on lfw-dev).
pub(crate) const INPUT_SIDE: u32 = 640;
/// Cells per grid are the input's side over these.
pub(crate) const STRIDES: [u16; 3] = [8, 16, 32];
/// Two boxes that overlap by more than this are one face.
pub(crate) const SAME_FACE_OVERLAP: f32 = 0.3;

/// A face found, in pixels of the network's input.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Detection {
    pub(crate) bounding_box: [f32; 4],
    pub(crate) landmarks: [[f32; 2]; 5],
    pub(crate) confidence: f32,
}

/// The network's four outputs for one stride.
pub(crate) struct Grid<'a> {
    pub(crate) stride: u16,
    /// Cells in a row.
    pub(crate) columns: u32,
    pub(crate) cls: &'a [f32],
    pub(crate) obj: &'a [f32],
    pub(crate) bbox: &'a [f32],
    pub(crate) kps: &'a [f32],
}

/// A picture as the network takes it.
pub(crate) struct Input {
    /// Blue, green and red planes, 0 to 255; what is beside the picture is black.
    pub(crate) planes: Vec<f32>,
}

impl Input {
    pub(crate) fn of(picture: &RgbImage) -> Self {
        let row = INPUT_SIDE as usize;
        let area = row * row;
        let mut planes = vec![0.0; area * 3];
        let (blue, others) = planes.split_at_mut(area);
        let (green, red) = others.split_at_mut(area);
        let rows = (blue.chunks_exact_mut(row))
            .zip(green.chunks_exact_mut(row))
            .zip(red.chunks_exact_mut(row));
        let pixels = picture.as_raw().chunks_exact(picture.width() as usize * 3);
        for (pixels, ((blue, green), red)) in pixels.zip(rows) {
            let shades = blue.iter_mut().zip(green).zip(red);
            for ([r, g, b], ((blue, green), red)) in pixels.as_chunks::<3>().0.iter().zip(shades) {
                (*blue, *green, *red) = (f32::from(*b), f32::from(*g), f32::from(*r));
            }
        }
        Self { planes }
    }
}

/// The faces of one grid with at least this confidence.
pub(crate) fn faces_of(grid: &Grid<'_>, threshold: f32) -> Vec<Detection> {
    let columns = grid.columns.max(1);
    let stride = f32::from(grid.stride);
    let boxes = grid.bbox.as_chunks::<4>().0.iter();
    let points = grid.kps.as_chunks::<10>().0.iter();
    let scores = grid.cls.iter().zip(grid.obj);
    let cells = scores.zip(boxes.zip(points)).zip(0u32..);
    let found = cells.filter_map(|(((cls, obj), (bbox, kps)), cell)| {
        let confidence = (cls.clamp(0.0, 1.0) * obj.clamp(0.0, 1.0)).sqrt();
        if confidence < threshold {
            return None;
        }
        let coordinate = |n: u32| f32::from(u16::try_from(n).unwrap_or(0));
        let (column, row) = (coordinate(cell % columns), coordinate(cell / columns));
        let (width, height) = (bbox[2].exp() * stride, bbox[3].exp() * stride);
        let (x, y) = (
            (column + bbox[0]) * stride - width / 2.0,
            (row + bbox[1]) * stride - height / 2.0,
        );
        let point = |n: usize| {
            [
                (kps[2 * n] + column) * stride,
                (kps[2 * n + 1] + row) * stride,
            ]
        };
        Some(Detection {
            bounding_box: [x, y, width, height],
            landmarks: [point(0), point(1), point(2), point(3), point(4)],
            confidence,
        })
    });
    found.collect()
}

/// Non-maximum suppression: of boxes that overlap only the likeliest stays.
pub(crate) fn distinct(mut found: Vec<Detection>) -> Vec<Detection> {
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let mut kept: Vec<Detection> = Vec::new();
    for face in found {
        if kept
            .iter()
            .all(|other| overlap(other.bounding_box, face.bounding_box) <= SAME_FACE_OVERLAP)
        {
            kept.push(face);
        }
    }
    kept
}

/// How much two boxes (`x, y, width, height`) have in common: 0 to 1, intersection over union.
pub fn overlap(a: [f32; 4], b: [f32; 4]) -> f32 {
    let shared = intersection(a, b);
    shared / (a[2] * a[3] + b[2] * b[3] - shared).max(f32::MIN_POSITIVE)
}

/// Which part of the second of two boxes lies in the first: 0 to 1.
pub(crate) fn shared_part(a: [f32; 4], b: [f32; 4]) -> f32 {
    intersection(a, b) / (b[2] * b[3]).max(f32::MIN_POSITIVE)
}

fn intersection(a: [f32; 4], b: [f32; 4]) -> f32 {
    let shared =
        |at: usize| ((a[at] + a[at + 2]).min(b[at] + b[at + 2]) - a[at].max(b[at])).max(0.0);
    shared(0) * shared(1)
}

impl Detection {
    /// The longer side of its box.
    pub(crate) fn longer(&self) -> f32 {
        let [_, _, width, height] = self.bounding_box;
        width.max(height)
    }

    /// The shorter side of its box.
    pub(crate) fn shorter(&self) -> f32 {
        let [_, _, width, height] = self.bounding_box;
        width.min(height)
    }

    /// The same so much further to the right and down.
    pub(crate) fn moved(mut self, right: f32, down: f32) -> Self {
        self.bounding_box[0] += right;
        self.bounding_box[1] += down;
        for [x, y] in &mut self.landmarks {
            *x += right;
            *y += down;
        }
        self
    }

    /// In pixels of a picture that is `scale` times the size.
    pub(crate) fn scaled(mut self, scale: f32) -> Self {
        self.bounding_box.iter_mut().for_each(|x| *x *= scale);
        self.landmarks
            .iter_mut()
            .flatten()
            .for_each(|x| *x *= scale);
        self
    }

    /// How much this is the face that a photo of this size was taken for: its area, less twice the
    /// square of its distance from the middle (the rule by which FaceNet's training photos were
    /// aligned, github.com/davidsandberg/facenet). A bystander at the edge who is a little larger
    /// comes after the person in the middle.
    pub(crate) fn prominence(&self, (width, height): (u32, u32)) -> f32 {
        let [x, y, w, h] = self.bounding_box;
        #[expect(
            clippy::cast_precision_loss,
            reason = "sides of photos have few digits"
        )]
        let (right, down) = (x + (w - width as f32) / 2.0, y + (h - height as f32) / 2.0);
        w * h - 2.0 * (right * right + down * down)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beside_the_picture_the_input_is_black() {
        let picture = RgbImage::from_fn(33, 2, |x, y| {
            let [x, y] = [x, y].map(|n| u8::try_from(n).unwrap());
            image::Rgb([x, 100 + y, 200])
        });
        let input = Input::of(&picture);
        let side = INPUT_SIDE as usize;
        assert_eq!(input.planes.len(), 3 * side * side);
        let shade = |plane: usize, x, y| input.planes[(plane * side + y) * side + x];
        assert_eq!(
            [0, 1, 2].map(|plane| shade(plane, 32, 1)),
            [200.0, 101.0, 32.0]
        );
        assert_eq!([0, 1, 2].map(|plane| shade(plane, 33, 1)), [0.0; 3]);
        assert_eq!([0, 1, 2].map(|plane| shade(plane, 0, 2)), [0.0; 3]);
        assert_eq!([0, 1, 2].map(|plane| shade(plane, 639, 639)), [0.0; 3]);
    }

    fn face(x: f32, y: f32, side: f32, confidence: f32) -> Detection {
        Detection {
            bounding_box: [x, y, side, side],
            landmarks: [[x, y]; 5],
            confidence,
        }
    }

    #[test]
    fn a_large_face_comes_first_unless_a_smaller_one_is_much_nearer_the_middle() {
        let size = (250, 250);
        let middle = face(85.0, 85.0, 80.0, 0.9).prominence(size);
        let edge = face(0.0, 80.0, 90.0, 0.9).prominence(size);
        let large = face(20.0, 40.0, 160.0, 0.9).prominence(size);
        assert!(large > middle && middle > edge);
    }

    #[test]
    fn of_overlapping_boxes_the_likeliest_stays() {
        let kept = distinct(vec![
            face(0.0, 0.0, 10.0, 0.7),
            face(1.0, 1.0, 10.0, 0.9),
            face(30.0, 0.0, 10.0, 0.8),
        ]);
        assert_eq!(
            kept,
            [face(1.0, 1.0, 10.0, 0.9), face(30.0, 0.0, 10.0, 0.8)]
        );
    }

    #[test]
    fn a_cell_becomes_a_box_around_its_place_in_the_photo() {
        let cells = 400;
        let (mut cls, mut obj) = (vec![0.0; cells], vec![0.0; cells]);
        let (mut bbox, mut kps) = (vec![0.0; cells * 4], vec![0.0; cells * 10]);
        let cell = 3 * 20 + 5;
        (cls[cell], obj[cell]) = (0.81, 1.0);
        bbox[cell * 4..][..4].copy_from_slice(&[0.5, 0.25, 2f32.ln(), 0.0]);
        kps[cell * 10..][..2].copy_from_slice(&[1.0, -1.0]);
        let grid = Grid {
            stride: 32,
            columns: 20,
            cls: &cls,
            obj: &obj,
            bbox: &bbox,
            kps: &kps,
        };
        let found = faces_of(&grid, 0.5);
        assert_eq!(found.len(), 1);
        assert!((found[0].confidence - 0.9).abs() < 1e-6);
        assert_eq!(
            found[0].bounding_box,
            [5.5 * 32.0 - 32.0, 3.25 * 32.0 - 16.0, 64.0, 32.0]
        );
        assert_eq!(found[0].landmarks[0], [6.0 * 32.0, 2.0 * 32.0]);
        let twice = found[0].scaled(2.0).bounding_box;
        assert_eq!(twice, [288.0, 176.0, 128.0, 64.0]);
    }
}
