//! The engine as a caller sees it: what is acknowledged is there, also after a restart.

mod common;

use std::fs;

use common::{ALL, contents, filled, open, point, query, vector};
use engine::{
    Ack, CollectionSpec, Engine, Error, Face, FaceImage, Metric, NewFace, Options, Payload, Point,
    PointId, Query,
};

#[test]
fn what_was_written_is_found_and_is_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 50);
    let hits = engine.search("c", &query(vector(7), 1)).unwrap();
    assert_eq!((hits[0].point.id, hits[0].score), (PointId::Num(7), 0.0));
    engine
        .upsert("c", vec![point(3, 60)], Ack::Applied)
        .unwrap();
    engine
        .delete("c", vec![PointId::Num(4), PointId::Num(999)], Ack::Applied)
        .unwrap();
    assert_eq!(
        engine.search("c", &query(vector(60), 1)).unwrap()[0]
            .point
            .id,
        PointId::Num(3)
    );
    let before = contents(&engine, "c");
    assert_eq!((before.len(), engine.count("c").unwrap()), (49, 49));
    engine.shutdown().unwrap();
    assert!(matches!(
        engine.upsert("c", vec![point(1, 1)], Ack::Applied),
        Err(Error::Stopped)
    ));
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(contents(&engine, "c"), before);
    engine.check("c").unwrap();
    assert_eq!(
        engine.status().replayed_records,
        0,
        "a clean end leaves nothing to replay"
    );
}

#[test]
fn a_second_process_cannot_open_the_folder() {
    let dir = tempfile::tempdir().unwrap();
    let _engine = open(dir.path());
    let refused = Engine::open(Options::new(dir.path()))
        .err()
        .unwrap()
        .to_string();
    assert!(refused.contains("another process"), "{refused}");
}

#[test]
fn mistakes_are_refused_and_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 3);
    let mut bad = point(9, 9);
    bad.vectors = vec![1.0; 5].into();
    let refused = engine
        .upsert("c", vec![point(8, 8), bad], Ack::Applied)
        .unwrap_err();
    assert!(
        refused.to_string().contains("point 9")
            && refused.to_string().contains("expected a vector of 4"),
        "{refused}"
    );
    let mut bad = point(9, 9);
    bad.vectors = vec![1.0, 1.0, f32::NAN, 1.0].into();
    assert!(matches!(
        engine.upsert("c", vec![bad], Ack::Applied),
        Err(Error::BadVector { .. })
    ));
    assert!(matches!(
        engine.upsert("x", vec![point(1, 1)], Ack::Applied),
        Err(Error::NoCollection(_))
    ));
    assert!(matches!(
        engine.create_collection("../x", CollectionSpec::new(4, Metric::Dot)),
        Err(Error::BadName { .. })
    ));
    assert!(matches!(
        engine.create_collection("c", CollectionSpec::new(4, Metric::Dot)),
        Err(Error::Exists(_))
    ));
    assert!(matches!(
        engine.create_collection("d", CollectionSpec::new(0, Metric::Dot)),
        Err(Error::BadRequest(_))
    ));
    assert!(matches!(
        engine.search("c", &query(vec![0.0; 3], 1)),
        Err(Error::BadVector { .. })
    ));
    assert!(matches!(
        engine.search("c", &query(vector(1), 10_001)),
        Err(Error::TooLarge(_))
    ));
    assert_eq!(contents(&engine, "c").len(), 3);
}

#[test]
fn a_collection_that_is_dropped_only_if_it_is_empty_never_takes_a_point_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let made = || engine.create_collection("c", CollectionSpec::new(4, Metric::Euclid));
    assert!(!engine.drop_empty_collection("c").unwrap());
    let (mut kept, mut dropped) = (0, 0);
    for round in 0..40 {
        made().unwrap();
        let (put, went) = std::thread::scope(|scope| {
            let put = scope.spawn(|| engine.upsert("c", vec![point(1, round)], Ack::Applied));
            let went = scope.spawn(|| engine.drop_empty_collection("c"));
            (put.join().unwrap(), went.join().unwrap())
        });
        match (put, went) {
            (Ok(_), Err(Error::Conflict(why))) => {
                assert!(why.contains("has 1 points"), "{why}");
                assert_eq!(contents(&engine, "c").len(), 1);
                kept += 1;
                engine.drop_collection("c").unwrap();
            }
            (Err(Error::NoCollection(_)), Ok(true)) => dropped += 1,
            other => panic!("round {round}: {other:?}"),
        }
    }
    assert_eq!(kept + dropped, 40);
}

#[test]
fn a_dropped_collection_is_gone_and_its_name_can_be_given_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 20);
    assert!(engine.drop_collection("c").unwrap());
    assert!(!engine.drop_collection("c").unwrap());
    assert!(matches!(engine.count("c"), Err(Error::NoCollection(_))));
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    engine.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    drop(engine);
    assert_eq!(contents(&open(dir.path()), "c").len(), 1);
}

#[test]
fn of_several_points_with_one_id_the_last_stands() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 1);
    engine
        .upsert(
            "c",
            vec![point(5, 5), point(6, 6), point(5, 7)],
            Ack::Applied,
        )
        .unwrap();
    assert_eq!(contents(&engine, "c")[&PointId::Num(5)], 7);
}

#[test]
fn a_threshold_means_at_least_for_similarity_and_at_most_for_distance() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    for (name, metric, threshold) in [("dot", Metric::Dot, 2.0), ("euclid", Metric::Euclid, 1.0)] {
        engine
            .create_collection(name, CollectionSpec::new(1, metric))
            .unwrap();
        let points = [1.0, 2.0, 3.0].iter().zip(1u64..).map(|(x, id)| Point {
            id: PointId::Num(id),
            vectors: vec![*x].into(),
            payload: Payload::new(),
            face: None,
        });
        engine.upsert(name, points.collect(), Ack::Applied).unwrap();
        let hits = engine
            .search(
                name,
                &Query {
                    score_threshold: Some(threshold),
                    ..query(vec![1.0], 10)
                },
            )
            .unwrap();
        let ids: Vec<_> = hits.iter().map(|hit| hit.point.id).collect();
        let expected: &[u64] = if metric == Metric::Dot {
            &[3, 2]
        } else {
            &[1, 2]
        };
        assert_eq!(
            ids,
            expected
                .iter()
                .map(|id| PointId::Num(*id))
                .collect::<Vec<_>>(),
            "{name}"
        );
    }
}

#[test]
fn a_face_keeps_its_box_and_its_pictures_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 1);
    let face = Face {
        bounding_box: [1.0, 2.0, 3.0, 4.0],
        landmarks: [[5.0, 6.0]; 5],
        confidence: 0.9,
    };
    let new = NewFace {
        face: face.clone(),
        crop_jpeg: Some(vec![1, 2, 3]),
        photo: None,
    };
    engine
        .upsert(
            "c",
            vec![Point {
                face: Some(new),
                ..point(7, 7)
            }],
            Ack::Applied,
        )
        .unwrap();
    let id = PointId::Num(7);
    let expect = |engine: &Engine| {
        let stored = engine.get("c", &[id], ALL).unwrap()[0]
            .face
            .clone()
            .unwrap();
        assert_eq!(
            (stored.face, stored.has_crop, stored.has_photo),
            (face.clone(), true, false)
        );
        assert_eq!(
            engine.face_image("c", &id, FaceImage::Crop).unwrap(),
            Some(vec![1, 2, 3])
        );
        assert_eq!(engine.face_image("c", &id, FaceImage::Photo).unwrap(), None);
    };
    expect(&engine);
    drop(engine);
    fs::remove_dir_all(dir.path().join("tables")).unwrap();
    let engine = open(dir.path());
    expect(&engine);
    engine.upsert("c", vec![point(7, 7)], Ack::Applied).unwrap();
    assert!(
        engine.get("c", &[id], ALL).unwrap()[0].face.is_none(),
        "a replaced point loses its face"
    );
}
