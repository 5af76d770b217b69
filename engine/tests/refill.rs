//! A vector that takes the place of another: no point gets one that was made of another face, and
//! none loses the old one unseen, after a restart neither.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use engine::{
    Ack, CollectionInfo, CollectionSpec, EmbedderRef, Engine, Error, Face, Lacking, Metric,
    NewFace, Options, Point, PointId, Refill, Remade, Retired, Select, VectorSpec, Vectors, Which,
};

fn face(left: u16) -> Face {
    Face {
        bounding_box: [f32::from(left), 0.0, 10.0, 10.0],
        landmarks: [[1.0, 2.0]; 5],
        confidence: 0.9,
    }
}

fn point(id: u64, left: u16, vectors: &[(&str, Vec<f32>)]) -> Point {
    let vectors = vectors.iter().cloned();
    Point {
        id: PointId::Num(id),
        vectors: vectors.map(|(name, it)| (name.to_owned(), it)).collect(),
        payload: serde_json::Map::new(),
        face: Some(NewFace {
            face: face(left),
            crop_jpeg: None,
            photo: None,
        }),
    }
}

/// Of the point as it is now.
fn refill(engine: &Engine, id: u64, left: u16) -> Refill {
    let id = PointId::Num(id);
    Refill {
        id,
        face: face(left),
        put: engine.put_by("f", &id).unwrap().unwrap_or_default(),
        vector: vec![0.0, 0.0, 1.0],
    }
}

fn vectors(engine: &Engine, id: u64) -> Vectors {
    let select = Select {
        payload: false,
        vectors: Which::All,
    };
    let mut points = engine.get("f", &[PointId::Num(id)], select).unwrap();
    points.remove(0).vectors.unwrap()
}

/// As the collection is now.
fn now(engine: &Engine) -> CollectionInfo {
    engine.describe("f").unwrap()
}

fn names(engine: &Engine, id: u64) -> Vec<String> {
    let vectors = vectors(engine, id);
    vectors.iter().map(|(name, _)| name.to_owned()).collect()
}

#[test]
fn a_vector_is_filled_only_where_it_is_missing_and_the_face_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Engine::open(Options::new(folder.path())).unwrap();
    let engine = open();
    let old = CollectionSpec::new(2, Metric::Cosine);
    engine.create_collection("f", old).unwrap();
    let new = VectorSpec::new(3, Metric::Cosine);
    engine.add_vector("f", "new", new).unwrap();
    let made = vec![1.0, 0.0, 0.0];
    let points = vec![
        point(1, 1, &[("", vec![1.0, 0.0])]),
        point(2, 2, &[("", vec![1.0, 0.0])]),
        point(3, 3, &[("", vec![1.0, 0.0]), ("new", made.clone())]),
    ];
    engine.upsert("f", points, Ack::Applied).unwrap();
    // The second has another face by now, the third its own vector, the fourth is not there, and the
    // fifth has the same face, of another photo.
    engine
        .upsert(
            "f",
            vec![point(5, 5, &[("", vec![1.0, 0.0])])],
            Ack::Applied,
        )
        .unwrap();
    let stale = refill(&engine, 5, 5);
    engine
        .upsert(
            "f",
            vec![point(5, 5, &[("", vec![0.0, 1.0])])],
            Ack::Applied,
        )
        .unwrap();
    let refills = vec![
        stale,
        refill(&engine, 1, 1),
        refill(&engine, 2, 9),
        refill(&engine, 3, 3),
        refill(&engine, 4, 4),
    ];
    assert_eq!(engine.count_lacking(&now(&engine), ("", "new")).unwrap(), 3);
    let filled = engine.fill_vector(&now(&engine), "new", refills, Ack::Applied);
    assert_eq!(filled.unwrap(), 1);
    assert_eq!(names(&engine, 1), ["", "new"]);
    assert_eq!(names(&engine, 2), [""]);
    assert_eq!(names(&engine, 5), [""]);
    let gone = engine.delete("f", vec![PointId::Num(5)], Ack::Applied);
    gone.unwrap();
    assert_eq!(vectors(&engine, 3).get("new").unwrap(), made);
    let unknown = engine.fill_vector(
        &now(&engine),
        "other",
        vec![refill(&engine, 1, 1)],
        Ack::Applied,
    );
    assert!(matches!(unknown, Err(Error::NoVector { .. })));
    let wrong = Refill {
        vector: vec![1.0],
        ..refill(&engine, 2, 2)
    };
    let wrong = engine.fill_vector(&now(&engine), "new", vec![wrong], Ack::Applied);
    assert!(matches!(wrong, Err(Error::BadVector { .. })));

    let kept = engine.retire_vector(&now(&engine), ("", "new"), Lacking::Keep);
    let lacking = |is_gone: bool| Retired {
        lacking: 1,
        is_gone,
    };
    assert_eq!(kept.unwrap(), lacking(false));
    assert_eq!(names(&engine, 1), ["", "new"]);
    drop(engine);
    let engine = open();
    // Others are not meant.
    for (of, is_gone) in [(1, false), (2, true)] {
        let these = [PointId::Num(of)].into_iter().collect();
        let gone = engine.retire_vector(&now(&engine), ("", "new"), Lacking::AcceptOf(&these));
        assert_eq!(gone.unwrap(), lacking(is_gone));
    }
    assert_eq!(names(&engine, 1), ["new"]);
    assert_eq!(names(&engine, 2), [""; 0]);
    let late = engine.upsert(
        "f",
        vec![point(5, 5, &[("", vec![1.0, 0.0])])],
        Ack::Applied,
    );
    assert!(matches!(late, Err(Error::NoVector { .. })), "{late:?}");
    engine.check("f").unwrap();
}

#[test]
fn a_vector_made_of_another_is_put_only_where_that_one_is_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    engine
        .create_collection("f", CollectionSpec::new(2, Metric::Cosine))
        .unwrap();
    engine
        .add_vector("f", "new", VectorSpec::new(3, Metric::Cosine))
        .unwrap();
    let old = |id: u64, x: f32| point(id, 0, &[("", vec![x, 1.0])]);
    engine
        .upsert("f", vec![old(1, 0.0), old(2, 0.0)], Ack::Applied)
        .unwrap();
    let of = vec![0.0, 1.0];
    let remade = |id: u64| Remade {
        id: PointId::Num(id),
        of: of.clone(),
        vector: vec![0.0, 0.0, 1.0],
    };
    // The second has another old vector by now, the third is not there.
    engine.upsert("f", vec![old(2, 1.0)], Ack::Applied).unwrap();
    let all = vec![remade(1), remade(2), remade(3)];
    let put = engine.fill_from_vector(&now(&engine), ("", "new"), all.clone(), Ack::Applied);
    assert_eq!(put.unwrap(), 1);
    assert_eq!(names(&engine, 1).len(), 2);
    assert_eq!(names(&engine, 2), [""]);
    let again = engine.fill_from_vector(&now(&engine), ("", "new"), all, Ack::Applied);
    assert_eq!(again.unwrap(), 0);
    let of = vectors(&engine, 2).get("").unwrap().to_vec();
    let wrong = Remade {
        of,
        vector: vec![1.0],
        ..remade(2)
    };
    let refused = engine.fill_from_vector(&now(&engine), ("", "new"), vec![wrong], Ack::Applied);
    assert!(matches!(refused, Err(Error::BadVector { .. })));
    engine.check("f").unwrap();
}

/// A client that puts another old vector after the new one was made of the former: the new one is missed
/// again, also where the log is read anew, and in an index that is being built.
#[test]
fn a_vector_goes_when_the_one_it_was_made_of_changes_and_is_missed_again() {
    let folder = tempfile::tempdir().unwrap();
    let open = || Engine::open(Options::new(folder.path())).unwrap();
    let mut engine = open();
    engine
        .create_collection("f", CollectionSpec::new(2, Metric::Cosine))
        .unwrap();
    let points = (1..=3).map(|id| point(id, 0, &[("", vec![0.0, 1.0])]));
    engine.upsert("f", points.collect(), Ack::Applied).unwrap();
    let spec = VectorSpec::new(3, Metric::Cosine);
    engine
        .add_vector_made_of("f", ("", "new"), spec.clone())
        .unwrap();
    let remade = |id: u64, of: Vec<f32>| Remade {
        id: PointId::Num(id),
        of,
        vector: vec![0.0, 0.0, 1.0],
    };
    let all = (1..=3).map(|id| remade(id, vec![0.0, 1.0])).collect();
    let put = engine.fill_from_vector(&now(&engine), ("", "new"), all, Ack::Applied);
    assert_eq!(put.unwrap(), 3);
    engine
        .begin_reindex("f", "new", Default::default())
        .unwrap();
    let copied = engine.continue_reindex("f", "new", Default::default(), 9);
    assert_eq!(copied.unwrap(), None);
    let both: Vectors = [("", vec![1.0, 0.0]), ("new", vec![1.0, 0.0, 0.0])]
        .map(|(name, vector)| (name.to_owned(), vector))
        .into_iter()
        .collect();
    let changed = vec![
        (PointId::Num(1), vec![1.0, 0.0].into()),
        (PointId::Num(2), both),
    ];
    engine.update_vectors("f", changed, Ack::Applied).unwrap();
    for checkpoint in [false, true, false] {
        assert_eq!(names(&engine, 1), [""]);
        assert_eq!(vectors(&engine, 2).get("new").unwrap(), [1.0, 0.0, 0.0]);
        assert_eq!(names(&engine, 3), ["", "new"]);
        assert_eq!(engine.count_lacking(&now(&engine), ("", "new")).unwrap(), 1);
        let kept = engine.retire_vector(&now(&engine), ("", "new"), Lacking::Keep);
        assert!(!kept.unwrap().is_gone);
        engine.check("f").unwrap();
        if checkpoint {
            engine.checkpoint().unwrap();
        }
        drop(engine);
        engine = open();
    }
    assert!(engine.finish_reindex("f", "new").unwrap().is_some());
    // What was made of the former is not put any more, what is made of the present one is.
    let stale = vec![remade(1, vec![0.0, 1.0])];
    let put = |remade| engine.fill_from_vector(&now(&engine), ("", "new"), remade, Ack::Applied);
    assert_eq!(put(stale).unwrap(), 0);
    assert_eq!(put(vec![remade(1, vec![1.0, 0.0])]).unwrap(), 1);
    let gone = engine
        .retire_vector(&now(&engine), ("", "new"), Lacking::Keep)
        .unwrap();
    assert!(gone.is_gone && gone.lacking == 0);
    // It is made of nothing any more: one of the old name is another vector.
    engine.add_vector("f", "old", spec).unwrap();
    let other = [("old".to_owned(), vec![1.0, 0.0, 0.0])]
        .into_iter()
        .collect();
    let other = vec![(PointId::Num(3), other)];
    engine.update_vectors("f", other, Ack::Applied).unwrap();
    assert_eq!(names(&engine, 3), ["new", "old"]);
    engine.check("f").unwrap();
}

/// A name may be given again while somebody works by it: to a vector of another model, or in another collection.
#[test]
fn what_has_come_to_the_name_of_a_vector_or_collection_is_neither_filled_nor_taken_away() {
    let folder = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(folder.path())).unwrap();
    let spec = VectorSpec::new(3, Metric::Cosine);
    let make = || {
        let old = CollectionSpec::new(2, Metric::Cosine);
        engine.create_collection("f", old).unwrap();
        engine.add_vector("f", "new", spec.clone()).unwrap();
        let one = point(1, 1, &[("", vec![0.0, 1.0])]);
        engine.upsert("f", vec![one], Ack::Applied).unwrap();
    };
    make();
    let meant = now(&engine);
    let refused = || {
        let fill = vec![refill(&engine, 1, 1)];
        let remade = Remade {
            id: PointId::Num(1),
            of: vec![0.0, 1.0],
            vector: vec![0.0, 0.0, 1.0],
        };
        let names = ("", "new");
        [
            engine
                .fill_vector(&meant, "new", fill, Ack::Applied)
                .map(drop),
            (engine.fill_from_vector(&meant, names, vec![remade], Ack::Applied)).map(drop),
            engine
                .retire_vector(&meant, names, Lacking::Accept)
                .map(drop),
            engine
                .retire_vector(&meant, ("new", ""), Lacking::Accept)
                .map(drop),
            engine.count_lacking(&meant, names).map(drop),
        ]
    };
    let (mut of_a_model, of_another_size) = (spec.clone(), VectorSpec::new(4, Metric::Cosine));
    of_a_model.embedder = Some(EmbedderRef {
        name: "other".to_owned(),
        sha256: "0".repeat(64),
    });
    for other in [of_a_model, of_another_size] {
        engine.remove_vector("f", "new").unwrap();
        engine.add_vector("f", "new", other).unwrap();
        for refused in refused() {
            let told = refused.unwrap_err();
            assert!(matches!(told, Error::Conflict(_)), "{told:?}");
        }
        assert_eq!(names(&engine, 1), [""]);
        assert_eq!(now(&engine).spec.vectors.len(), 2);
    }
    // One whose index is built otherwise is the same.
    engine.remove_vector("f", "new").unwrap();
    let built_otherwise = VectorSpec {
        m: 8,
        ..spec.clone()
    };
    engine.add_vector("f", "new", built_otherwise).unwrap();
    let filled = engine.fill_vector(&meant, "new", vec![refill(&engine, 1, 1)], Ack::Applied);
    assert_eq!(filled.unwrap(), 1);
    // Another collection.
    engine.drop_collection("f").unwrap();
    make();
    let told = [
        engine.add_vector(&meant, "more", spec.clone()),
        engine.add_vector_made_of(&meant, ("", "more"), spec.clone()),
        engine.update_collection(&meant, Default::default()),
    ];
    for refused in refused().into_iter().chain(told.map(|it| it.map(drop))) {
        let told = refused.unwrap_err();
        assert!(matches!(told, Error::NoCollection(_)), "{told:?}");
    }
    assert_eq!(now(&engine).spec.vectors.len(), 2);
    assert_eq!(names(&engine, 1), [""]);
    engine.check("f").unwrap();
}
