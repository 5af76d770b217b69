//! Which faces of many are told, in which order, and how many are not.

use std::cell::Cell;

use super::*;

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
