//! Indexes built anew while their points are written to.

mod common;

use std::collections::BTreeMap;

use common::named::{Model, expect, made, num, open_after_crash, vectors};
use common::payload;
use engine::{Ack, Copied, IndexChange, Point};

#[test]
fn what_is_written_while_an_index_is_rebuilt_is_in_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let engine = made(dir.path());
    let both = |n| BTreeMap::from([("face", n), ("text", n)]);
    let mut model: Model = (0..40).map(|id| (num(id), (7, both(7)))).collect();
    let points = |of: &Model| {
        let points = of.iter().map(|(id, (n, of))| Point {
            id: *id,
            vectors: vectors(of),
            payload: payload(u64::from(*n)),
            face: None,
        });
        points.collect::<Vec<_>>()
    };
    engine.upsert("c", points(&model), Ack::Applied).unwrap();
    let change = IndexChange {
        m: Some(7),
        ..IndexChange::default()
    };
    engine.begin_reindex("c", "face", change).unwrap();
    let mut copied = Some(Copied::default());
    while let Some(from) = copied {
        copied = engine.continue_reindex("c", "face", from, 16).unwrap();
    }
    let new = Model::from([
        (num(100), (8, both(8))),
        (num(1), (9, both(9))),
        (num(3), (10, BTreeMap::from([("text", 10)]))),
    ]);
    engine.upsert("c", points(&new), Ack::Applied).unwrap();
    model.extend(new);
    let moved = vec![(num(5), vectors(&BTreeMap::from([("face", 11)])))];
    engine.update_vectors("c", moved, Ack::Applied).unwrap();
    model.get_mut(&num(5)).unwrap().1.insert("face", 11);
    let names = ["face".to_owned()];
    engine
        .delete_vectors("c", vec![num(7)], &names, Ack::Applied)
        .unwrap();
    model.get_mut(&num(7)).unwrap().1.remove("face");
    engine.delete("c", vec![num(9)], Ack::Applied).unwrap();
    model.remove(&num(9));
    expect(&engine, &model, false);
    assert!(engine.finish_reindex("c", "face").unwrap().is_some());
    for engine in [engine, open_after_crash(dir.path())] {
        expect(&engine, &model, false);
        assert_eq!(engine.describe("c").unwrap().spec.vectors["face"].m, 7);
        engine.check("c").unwrap();
        drop(engine);
    }
}
