//! How far a photo is looked at for those who wait for it, and for those who wait with it.

use std::cell::Cell;

use super::*;

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
