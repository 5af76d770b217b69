//! Where faces are looked for, how often and in which order, with drawn faces and a look that finds those.

mod lying;
mod patience;
mod told;

use std::io::Cursor;

use image::{ImageFormat, Rgb};

use super::*;

const WIDE: (u32, u32) = (1_700, 1_000);
/// Of a photo of that size at half its size.
const PARTS: u32 = 2;

/// Draws a face: a square that is red where its top is.
fn draw(photo: &mut RgbImage, (x, y, side): (u32, u32, u32), way: Option<Turn>) {
    let mut face = RgbImage::from_pixel(side, side, Rgb([0, 0, 250]));
    for (_, row, pixel) in face.enumerate_pixels_mut() {
        if row < side / 3 {
            *pixel = Rgb([250, 0, 0]);
        }
    }
    let face = way.map_or(face.clone(), |turn| turn.of(&face));
    image::imageops::replace(photo, &face, x.into(), y.into());
}

/// Finds what [`draw`] has drawn, if it is large enough, and is sure of what is red above.
fn look(picture: &RgbImage) -> Vec<Detection> {
    let (width, height) = picture.dimensions();
    let mut rest = picture.clone();
    let lit = |picture: &RgbImage, x: u32, y: u32| {
        let [r, _, b] = picture.get_pixel(x, y).0;
        u16::from(r) + u16::from(b) > 120
    };
    let mut found = Vec::new();
    for (x, y) in (0..height).flat_map(|y| (0..width).map(move |x| (x, y))) {
        if !lit(&rest, x, y) {
            continue;
        }
        let (mut waiting, mut all, mut red) = (vec![(x, y)], Vec::new(), Vec::new());
        while let Some((x, y)) = waiting.pop() {
            if x >= width || y >= height || !lit(&rest, x, y) {
                continue;
            }
            let [r, _, b] = rest.get_pixel(x, y).0;
            rest.put_pixel(x, y, Rgb([0; 3]));
            all.push((x, y));
            red.extend((r > b).then_some(y));
            let (before, above) = (x.wrapping_sub(1), y.wrapping_sub(1));
            waiting.extend([(x + 1, y), (before, y), (x, y + 1), (x, above)]);
        }
        let ends = |of: fn(&(u32, u32)) -> u32| {
            let least = all.iter().map(of).min().unwrap_or(0);
            (least, all.iter().map(of).max().unwrap_or(0) + 1)
        };
        let ((left, right), (top, bottom)) = (ends(|it| it.0), ends(|it| it.1));
        if (right - left).max(bottom - top) < SEEN {
            continue;
        }
        let above = red
            .iter()
            .filter(|y| **y * 5 < top * 3 + bottom * 2)
            .count();
        let [x, y, w, h] = [left, top, right - left, bottom - top].map(float);
        found.push(Detection {
            bounding_box: [x, y, w, h],
            landmarks: [[x + w / 2.0, y + h / 2.0]; 5],
            confidence: if above * 10 > red.len() * 9 {
                0.95
            } else {
                0.7
            },
        });
    }
    found
}

struct Seen {
    /// In pixels of the whole photo.
    boxes: Vec<[f32; 4]>,
    looks: u32,
    reduction: f32,
}

/// The same of what is surely upright alone: of what lies it sees nothing.
fn look_upright(picture: &RgbImage) -> Vec<Detection> {
    let found = look(picture).into_iter();
    found.filter(|face| face.confidence >= UPRIGHT).collect()
}

fn seen(photo: &RgbImage, faces: Choice, smallest: u32, format: ImageFormat) -> Seen {
    seen_by(look, photo, (faces, smallest), format)
}

fn seen_by(
    look: fn(&RgbImage) -> Vec<Detection>,
    photo: &RgbImage,
    (faces, smallest): (Choice, u32),
    format: ImageFormat,
) -> Seen {
    let mut bytes = Vec::new();
    photo
        .write_to(&mut Cursor::new(&mut bytes), format)
        .unwrap();
    let mut looks = 0;
    let mut finder = Finder {
        look: &mut |picture: &RgbImage| {
            looks += 1;
            Ok(look(picture))
        },
        enlarge: 1.0,
        smallest,
        patience: Patience::ENDLESS,
    };
    let found = finder.find(&bytes, want(faces)).unwrap();
    let boxes = found.faces.iter();
    let boxes = boxes.map(|face| found.photo.place_of(face).bounding_box);
    Seen {
        boxes: boxes.collect(),
        looks,
        reduction: found.photo.reduction(),
    }
}

fn want(faces: Choice) -> Want {
    Want {
        faces,
        vectors: true,
        crop: false,
        smallest: 0,
    }
}

/// Whether a box is that of what was drawn, but for a few pixels.
fn is_of(found: [f32; 4], (x, y, side): (u32, u32, u32)) -> bool {
    let due = [x, y, side, side].map(float);
    found.iter().zip(due).all(|(a, b)| (a - b).abs() < 9.0)
}

fn encoded(photo: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = Cursor::new(&mut bytes);
    photo.write_to(&mut file, ImageFormat::Bmp).unwrap();
    bytes
}

#[test]
fn all_faces_of_a_large_photo_are_found_once_also_the_small_ones_and_those_between_two_parts() {
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    let faces = [
        (600, 250, 400),
        (20, 900, 44),
        // Over the ends of parts.
        (1_250, 100, 90),
        (390, 600, 60),
        (1_656, 956, 44),
    ];
    faces.iter().for_each(|face| draw(&mut photo, *face, None));
    let all = seen(&photo, Choice::All, 40, ImageFormat::Bmp);
    assert_eq!(all.boxes.len(), faces.len(), "{:?}", all.boxes);
    assert!(is_of(all.boxes[0], faces[0]), "{:?}", all.boxes);
    for face in faces {
        let found = all.boxes.iter().filter(|it| is_of(**it, face));
        assert_eq!(found.count(), 1, "{face:?} in {:?}", all.boxes);
    }
    assert_eq!(all.looks, 1 + PARTS);
}

#[test]
fn a_large_and_sure_face_is_found_with_one_look_where_no_more_is_asked() {
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    draw(&mut photo, (600, 250, 400), None);
    draw(&mut photo, (100, 100, 44), None);
    let one = seen(&photo, Choice::Largest, 40, ImageFormat::Bmp);
    assert_eq!((one.boxes.len(), one.looks), (1, 1));
    // A small one too, if it is sure, and however near the middle a smaller one is.
    let mut far = RgbImage::new(WIDE.0, WIDE.1);
    draw(&mut far, (20, 100, 80), None);
    draw(&mut far, (830, 480, 44), None);
    let one = seen(&far, Choice::Largest, 40, ImageFormat::Bmp);
    assert!(is_of(one.boxes[0], (20, 100, 80)), "{:?}", one.boxes);
    assert_eq!((one.boxes.len(), one.looks), (1, 1));
    let mut portrait = RgbImage::new(WIDE.0, WIDE.1);
    draw(&mut portrait, (600, 250, 500), None);
    draw(&mut portrait, (100, 100, 44), None);
    let all = seen(&portrait, Choice::All, 40, ImageFormat::Bmp);
    assert_eq!((all.boxes.len(), all.looks), (1, 1));
    let large = seen(&photo, Choice::All, 200, ImageFormat::Bmp);
    assert_eq!((large.boxes.len(), large.looks), (1, 1));
    let mut small = RgbImage::new(1_280, 900);
    draw(&mut small, (300, 300, 300), None);
    let all = seen(&small, Choice::All, 40, ImageFormat::Bmp);
    assert_eq!((all.boxes.len(), all.looks), (1, 1));
}

#[test]
fn a_jpeg_is_decoded_as_far_as_small_faces_need_it() {
    let mut photo = RgbImage::new(5_200, 700);
    let (large, small) = ((2_000, 50, 500), (4_600, 300, 48));
    draw(&mut photo, large, None);
    draw(&mut photo, small, None);
    let one = seen(&photo, Choice::Largest, 40, ImageFormat::Jpeg);
    assert!(is_of(one.boxes[0], large), "{:?}", one.boxes);
    assert_eq!(one.reduction, 4.0);
    let all = seen(&photo, Choice::All, 40, ImageFormat::Jpeg);
    assert_eq!(all.reduction, 2.0);
    for face in [large, small] {
        assert!(all.boxes.iter().any(|it| is_of(*it, face)), "{face:?}");
    }
    let mut photo = RgbImage::new(5_200, 700);
    draw(&mut photo, small, None);
    let found = seen(&photo, Choice::Largest, 40, ImageFormat::Jpeg);
    assert!(is_of(found.boxes[0], small), "{:?}", found.boxes);
    assert_eq!(found.reduction, 2.0);
}
