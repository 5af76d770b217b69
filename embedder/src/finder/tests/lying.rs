//! Photos that lie on their side or head, and what is too unsure to say so.

use super::*;

#[test]
fn a_small_face_is_found_where_there_is_no_large_one_upright_or_lying() {
    let (middle, last) = ((840, 480, 48), (1_600, 480, 48));
    for (way, face, looks) in [
        (None, middle, 4 + PARTS),
        // Seen as it lies, tried around, not in all parts before its own, and then all over again.
        (Some(Turn::Half), middle, 4 + PARTS + 3 + 1 + PARTS),
        (Some(Turn::Half), last, 4 + PARTS + 3 + 1 + PARTS),
        (Some(Turn::Quarter), middle, 4 + PARTS + 2 + 1 + PARTS),
        (Some(Turn::ThreeQuarters), middle, 4 + PARTS + 1 + 1 + PARTS),
    ] {
        let mut photo = RgbImage::new(WIDE.0, WIDE.1);
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
