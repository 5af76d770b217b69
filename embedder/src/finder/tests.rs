//! Where faces are looked for, how often and in which order, with drawn faces and a look that finds those.

use std::cell::Cell;
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
fn a_small_face_is_found_where_there_is_no_large_one_upright_or_lying() {
    for (way, looks) in [
        (None, 4 + PARTS),
        // Seen as it lies, tried around, and then all over again.
        (Some(Turn::Half), 4 + PARTS + 3 + 1 + PARTS),
        (Some(Turn::Quarter), 4 + PARTS + 2 + 1 + PARTS),
        (Some(Turn::ThreeQuarters), 4 + PARTS + 1 + 1 + PARTS),
    ] {
        let mut photo = RgbImage::new(WIDE.0, WIDE.1);
        let face = (840, 480, 48);
        draw(&mut photo, face, way);
        let found = seen(&photo, Choice::Largest, 40, ImageFormat::Bmp);
        assert_eq!(found.boxes.len(), 1, "{way:?}");
        assert!(is_of(found.boxes[0], face), "{way:?}: {:?}", found.boxes);
        assert_eq!(found.looks, looks, "{way:?}");
    }
    let none = seen(
        &RgbImage::new(WIDE.0, WIDE.1),
        Choice::All,
        40,
        ImageFormat::Bmp,
    );
    assert_eq!((none.boxes.len(), none.looks), (0, 4 + PARTS + 3 * PARTS));
}

#[test]
fn small_faces_of_a_photo_that_lies_are_found_where_as_they_lie_nothing_is_seen_of_them() {
    // In the first part or in the last one, whose right is the photo's.
    for (faces, parts) in [
        ([(300, 480, 48), (1_500, 100, 48)], 1),
        ([(1_400, 480, 48), (1_500, 100, 48)], PARTS),
    ] {
        for (way, ways) in [
            (Turn::ThreeQuarters, 1),
            (Turn::Quarter, 2),
            (Turn::Half, 3),
        ] {
            let mut photo = RgbImage::new(WIDE.0, WIDE.1);
            for face in faces {
                draw(&mut photo, face, Some(way));
            }
            let want = (Choice::Largest, 40);
            let found = seen_by(look_upright, &photo, want, ImageFormat::Bmp);
            assert_eq!(found.boxes.len(), 2, "{way:?}: {:?}", found.boxes);
            for face in faces {
                let is_there = found.boxes.iter().any(|it| is_of(*it, face));
                assert!(is_there, "{way:?}, {face:?}: {:?}", found.boxes);
            }
            let probed = 3 * (parts - 1) + ways;
            assert_eq!(found.looks, 4 + PARTS + probed + 1 + PARTS, "{way:?}");
        }
    }
}

#[test]
fn what_is_unsure_in_any_way_is_taken_as_it_is_surest() {
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    draw(&mut photo, (840, 480, 48), Some(Turn::Half));
    let dim = |picture: &RgbImage| {
        let found = look_upright(picture).into_iter();
        let found = found.map(|face| Detection {
            confidence: 0.8,
            ..face
        });
        found.collect()
    };
    let want = (Choice::All, 40);
    let found = seen_by(dim, &photo, want, ImageFormat::Bmp);
    assert!(is_of(found.boxes[0], (840, 480, 48)), "{:?}", found.boxes);
    assert_eq!(found.looks, 4 + PARTS + 3 * PARTS + 1 + PARTS);
}

#[test]
fn a_face_that_is_unsure_stays_as_it_is_if_what_another_way_shows_is_hardly_surer() {
    let (upright, lying) = ((300, 480, 44), (1_400, 480, 52));
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    draw(&mut photo, upright, None);
    draw(&mut photo, lying, Some(Turn::Half));
    let seen_so = |confidence: f32| {
        let bytes = encoded(&photo);
        let mut look = |picture: &RgbImage| {
            let found = look_upright(picture).into_iter().map(|face| Detection {
                confidence: if face.longer() > 24.0 {
                    confidence
                } else {
                    0.65
                },
                ..face
            });
            Ok(found.collect())
        };
        let mut finder = Finder {
            look: &mut look,
            enlarge: 1.0,
            smallest: 40,
            patience: Patience::ENDLESS,
        };
        let found = finder.find(&bytes, want(Choice::All)).unwrap();
        assert_eq!(found.faces.len(), 1);
        found.photo.place_of(&found.faces[0]).bounding_box
    };
    assert!(is_of(seen_so(0.8), upright));
    assert!(is_of(seen_so(0.88), lying));
    assert!(is_of(seen_so(0.92), lying));
}

#[test]
fn many_faces_that_are_unsure_are_not_given_up_for_a_surer_one_that_lies() {
    let upright = (0..12).map(|n| (60 + n % 4 * 180, 100 + n / 4 * 300, 44));
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    upright
        .clone()
        .for_each(|face| draw(&mut photo, face, None));
    for way in Turn::ALL {
        draw(&mut photo, (1_400, 480, 52), Some(way));
        let dim = |picture: &RgbImage| {
            let found = look_upright(picture).into_iter().map(|face| Detection {
                confidence: if face.longer() > 24.0 { 0.95 } else { 0.8 },
                ..face
            });
            found.collect()
        };
        let found = seen_by(dim, &photo, (Choice::All, 40), ImageFormat::Bmp);
        assert_eq!(found.boxes.len(), 12, "{way:?}: {:?}", found.boxes);
        for face in upright.clone() {
            let is_there = found.boxes.iter().any(|it| is_of(*it, face));
            assert!(is_there, "{way:?}: {face:?} in {:?}", found.boxes);
        }
    }
}

#[test]
fn faces_below_the_size_that_is_wanted_take_no_place_of_others() {
    let face = |side: f32| Detection {
        bounding_box: [0.0, 0.0, side, side],
        landmarks: [[0.0; 2]; 5],
        confidence: 0.9,
    };
    let mut found = Found {
        photo: Photo::of(RgbImage::new(100, 100), (200, 200)),
        faces: [vec![face(10.0); MAX_FACES], vec![face(15.0); 3]].concat(),
        left_out: 0,
        is_of_parts: true,
        decoding: Duration::ZERO,
    };
    let want = Want {
        smallest: 30,
        ..want(Choice::All)
    };
    found.limit(want);
    let wanted = found.faces.iter().filter(|it| it.longer() > 12.0);
    assert_eq!((wanted.count(), found.left_out), (3, 0));
    assert_eq!(found.faces.len(), MAX_FACES);
}

fn encoded(photo: &RgbImage) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut file = Cursor::new(&mut bytes);
    photo.write_to(&mut file, ImageFormat::Bmp).unwrap();
    bytes
}

#[test]
fn a_large_face_that_lies_has_its_photo_turned_before_the_parts_are_looked_at() {
    let mut photo = RgbImage::new(WIDE.0, WIDE.1);
    let faces = [(600, 250, 400), (100, 100, 48)];
    for face in faces {
        draw(&mut photo, face, Some(Turn::Quarter));
    }
    let all = seen(&photo, Choice::All, 40, ImageFormat::Bmp);
    assert!(is_of(all.boxes[0], faces[0]) && is_of(all.boxes[1], faces[1]));
    // As it lies, on one side, on the other.
    assert_eq!(all.looks, 3 + PARTS);
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

#[test]
fn of_many_faces_in_parts_those_of_the_size_of_the_largest_come_first_and_no_more_than_are_told() {
    let bytes = encoded(&RgbImage::new(WIDE.0, WIDE.1));
    let grid = |side: f32| {
        let boxes = (0..1_000_u32).map(move |n| Detection {
            bounding_box: [
                float(n % 40) * 15.0 + 9.0,
                float(n / 40) * 15.0 + 9.0,
                side,
                side,
            ],
            landmarks: [[0.0; 2]; 5],
            confidence: 0.8,
        });
        boxes.collect::<Vec<_>>()
    };
    let corner = Detection {
        bounding_box: [12.0, 300.0, 31.0, 31.0],
        landmarks: [[20.0, 310.0]; 5],
        confidence: 0.7,
    };
    // Of 24 pixels of the photo.
    for (faces, smallest, are_told) in [
        (Choice::All, 0, true),
        (Choice::All, 24, true),
        (Choice::All, 25, false),
        (Choice::Largest, 0, false),
    ] {
        let looks = Cell::new(0);
        let mut finder = Finder {
            look: &mut |_: &RgbImage| {
                looks.set(looks.get() + 1);
                Ok(if looks.get() > 4 {
                    grid(12.0)
                } else {
                    vec![corner]
                })
            },
            enlarge: 1.0,
            smallest: 40,
            patience: Patience::ENDLESS,
        };
        let want = Want {
            smallest,
            ..want(faces)
        };
        let found = finder.find(&bytes, want).unwrap();
        assert_eq!(found.faces.len(), MAX_FACES);
        // Of 31 pixels of 640, at the edge, before those of 24 of the photo's in its middle.
        assert!(found.faces[0].longer() > 80.0, "{:?}", found.faces[0]);
        // The 250 of a part are six rows of 40 and 10; the other part begins 14 columns later.
        let due = 6 * 54 + 20 + 1 - MAX_FACES;
        let left_out = if are_told { due } else { 0 };
        assert_eq!(found.left_out, left_out, "{faces:?} {smallest}");
    }
}

#[test]
fn parts_are_looked_at_only_as_long_as_somebody_waits() {
    let bytes = encoded(&RgbImage::new(WIDE.0, WIDE.1));
    // Before the closer look, before it is decoded again, and before each part.
    let (looks, waits) = (Cell::new(0), Cell::new(3));
    let mut finder = Finder {
        look: &mut |_: &RgbImage| {
            looks.set(looks.get() + 1);
            Ok(Vec::new())
        },
        enlarge: 1.0,
        smallest: 40,
        patience: Patience(&|| match waits.replace(waits.get() - 1) {
            1.. => Waiting::Alone,
            _ => Waiting::Over,
        }),
    };
    let outcome = finder.find(&bytes, want(Choice::All)).map(|it| it.faces);
    assert!(matches!(outcome, Err(Error::NotAwaited)), "{outcome:?}");
    assert_eq!(looks.get(), 4 + 1);
}

#[test]
fn a_photo_that_takes_a_closer_look_is_left_where_others_wait_with_it_and_no_other_is() {
    let (mut portrait, mut group) = (RgbImage::new(WIDE.0, WIDE.1), RgbImage::new(WIDE.0, WIDE.1));
    draw(&mut portrait, (600, 250, 500), None);
    draw(&mut group, (600, 250, 100), None);
    let small = RgbImage::new(1_280, 900);
    // The faces that are told, or nothing, and the looks. With `min_face_size` that none is enough is known before.
    for (photo, smallest, due, most) in [
        (&portrait, 0, Some(1), 1),
        (&group, 0, None, 1),
        (&small, 0, Some(0), 4),
        (&portrait, 50, None, 0),
        (&small, 50, Some(0), 4),
    ] {
        let bytes = encoded(photo);
        let looks = Cell::new(0);
        let mut finder = Finder {
            look: &mut |picture: &RgbImage| {
                looks.set(looks.get() + 1);
                Ok(look(picture))
            },
            enlarge: 1.0,
            smallest: 40,
            patience: Patience(&|| Waiting::WithOthers),
        };
        let want = Want {
            smallest,
            ..want(Choice::All)
        };
        match (finder.find(&bytes, want), due) {
            (Ok(found), Some(due)) => assert_eq!(found.faces.len(), due),
            (Err(Error::TakesLong), None) => {}
            (outcome, due) => panic!("{due:?}: {:?}", outcome.map(|it| it.faces)),
        }
        assert_eq!(looks.get(), most, "{due:?}");
    }
}
