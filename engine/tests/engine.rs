//! The engine as a caller sees it: what is acknowledged is there, also after a restart, whatever
//! happened to the files that follow the log.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::{
    Ack, CollectionSpec, Engine, Error, Face, FaceImage, Metric, NewFace, Options, Payload, Point,
    PointId, Query, Select,
};
use proptest::prelude::*;
use serde_json::json;

const ALL: Select = Select {
    payload: true,
    vector: true,
};

fn open(dir: &Path) -> Engine {
    Engine::open(Options::new(dir)).unwrap()
}

fn payload(n: u64) -> Payload {
    json!({ "n": n, "person": format!("p{}", n % 3) })
        .as_object()
        .unwrap()
        .clone()
}

fn vector(n: u64) -> Vec<f32> {
    (0..4)
        .map(|at| f32::from(u16::try_from((n * 7_919 + at * 104_729) % 1_000).unwrap()))
        .collect()
}

fn point(id: u64, n: u64) -> Point {
    Point {
        id: PointId::Num(id),
        vector: vector(n),
        payload: payload(n),
        face: None,
    }
}

fn query(vector: Vec<f32>, limit: usize) -> Query {
    Query {
        vector,
        limit,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: None,
        select: ALL,
    }
}

/// Every point of a collection by id: its number, as its payload has it.
fn contents(engine: &Engine, collection: &str) -> BTreeMap<PointId, u64> {
    let mut all = BTreeMap::new();
    let mut from = None;
    loop {
        let page = engine.scroll(collection, from, 7, ALL).unwrap();
        for point in page.points {
            let n = point.payload.unwrap()["n"].as_u64().unwrap();
            assert_eq!(point.vector.unwrap(), vector(n), "point {}", point.id);
            all.insert(point.id, n);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

fn filled(dir: &Path, count: u64) -> Engine {
    let engine = open(dir);
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    engine
        .upsert(
            "c",
            (0..count).map(|id| point(id, id)).collect(),
            Ack::Applied,
        )
        .unwrap();
    engine
}

fn expect_filled(dir: &Path, count: u64) -> Engine {
    let engine = open(dir);
    assert_eq!(
        contents(&engine, "c"),
        (0..count).map(|id| (PointId::Num(id), id)).collect()
    );
    engine.check("c").unwrap();
    engine
}

fn only_file(dir: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}

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
    bad.vector = vec![1.0; 5];
    let refused = engine
        .upsert("c", vec![point(8, 8), bad], Ack::Applied)
        .unwrap_err();
    assert!(
        refused.to_string().contains("point 9")
            && refused.to_string().contains("expected a vector of 4"),
        "{refused}"
    );
    let mut bad = point(9, 9);
    bad.vector[2] = f32::NAN;
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
            vector: vec![*x],
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

#[test]
fn checkpoints_release_the_log_and_the_index_is_loaded_not_replayed() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 4_096,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options.clone()).unwrap();
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    for round in 0..40 {
        engine
            .upsert(
                "c",
                (round * 10..round * 10 + 10)
                    .map(|id| point(id, id))
                    .collect(),
                Ack::Applied,
            )
            .unwrap();
        if round % 5 == 4 {
            engine.checkpoint().unwrap();
        }
    }
    let segments = fs::read_dir(dir.path().join("log")).unwrap().count();
    assert!(segments <= 4, "{segments} segments are left");
    drop(engine);
    let engine = expect_filled(dir.path(), 400);
    assert_eq!(engine.status().replayed_records, 0);
}

fn sabotage(name: &str, harm: impl Fn(&Path)) {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 30);
    engine.checkpoint().unwrap();
    engine
        .upsert(
            "c",
            (30..40).map(|id| point(id, id)).collect(),
            Ack::Applied,
        )
        .unwrap();
    drop(engine);
    harm(&dir.path().join("tables"));
    let engine = expect_filled(dir.path(), 40);
    assert!(
        engine.status().tables_rebuilt.is_some(),
        "{name}: nobody noticed"
    );
}

#[test]
fn tables_that_were_deleted_emptied_truncated_or_overwritten_are_rebuilt() {
    sabotage("deleted", |tables| fs::remove_dir_all(tables).unwrap());
    sabotage("emptied", |tables| {
        fs::remove_dir_all(tables).unwrap();
        fs::create_dir(tables).unwrap();
    });
    sabotage("truncated", |tables| {
        fs::File::options()
            .write(true)
            .open(tables.join("db"))
            .unwrap()
            .set_len(100)
            .unwrap()
    });
    sabotage("overwritten", |tables| {
        fs::write(tables.join("db"), vec![0xa5; 100_000]).unwrap()
    });
}

#[test]
fn tables_replaced_by_an_older_copy_are_rebuilt() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 10));
    let (tables, older) = (dir.path().join("tables"), dir.path().join("older"));
    fs::create_dir(&older).unwrap();
    for entry in fs::read_dir(&tables)
        .unwrap()
        .map(Result::unwrap)
        .filter(|entry| entry.path().is_file())
    {
        fs::copy(entry.path(), older.join(entry.file_name())).unwrap();
    }
    let engine = open(dir.path());
    engine
        .upsert(
            "c",
            (10..20).map(|id| point(id, id)).collect(),
            Ack::Applied,
        )
        .unwrap();
    drop(engine);
    fs::remove_dir_all(&tables).unwrap();
    fs::rename(&older, &tables).unwrap();
    assert!(
        expect_filled(dir.path(), 20)
            .status()
            .tables_rebuilt
            .is_some()
    );
}

#[test]
fn a_damaged_newest_snapshot_falls_back_to_the_checkpoint_before_it() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 10);
    engine.checkpoint().unwrap();
    engine
        .upsert(
            "c",
            (10..20).map(|id| point(id, id)).collect(),
            Ack::Applied,
        )
        .unwrap();
    drop(engine);
    let mut snapshots: Vec<_> = fs::read_dir(dir.path().join("snapshots"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    snapshots.sort();
    let newest = snapshots.pop().unwrap();
    let mut bytes = fs::read(&newest).unwrap();
    bytes[200] ^= 1;
    fs::write(&newest, bytes).unwrap();
    expect_filled(dir.path(), 20);
}

#[test]
fn data_that_cannot_be_read_is_never_opened_as_empty() {
    let refused = |harm: fn(&Path)| {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), 10));
        harm(dir.path());
        assert!(Engine::open(Options::new(dir.path())).is_err());
    };
    refused(|dir| fs::remove_dir_all(dir.join("log")).unwrap());
    refused(|dir| fs::remove_dir_all(dir.join("snapshots")).unwrap());
    refused(|dir| fs::remove_file(dir.join("FORMAT")).unwrap());
    refused(|dir| {
        let file = only_file(&dir.join("log"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[80] ^= 1;
        fs::write(&file, bytes).unwrap();
    });
}

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, u64)>),
    Delete(Vec<u64>),
    Checkpoint,
    Reopen,
    LoseTables,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..40u64;
    let step = prop_oneof![
        8 => prop::collection::vec((id.clone(), 0..1_000u64), 1..20).prop_map(Step::Upsert),
        4 => prop::collection::vec(id, 1..6).prop_map(Step::Delete),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseTables),
    ];
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_writes_and_restarts_holds_what_a_map_would(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = filled(dir.path(), 1);
        let mut model = BTreeMap::from([(PointId::Num(0), 0)]);
        for step in steps {
            match step {
                Step::Upsert(points) => {
                    let new = points.iter().map(|(id, n)| point(*id, *n)).collect();
                    engine.upsert("c", new, Ack::Applied).unwrap();
                    model.extend(points.into_iter().map(|(id, n)| (PointId::Num(id), n)));
                }
                Step::Delete(ids) => {
                    let ids: Vec<_> = ids.into_iter().map(PointId::Num).collect();
                    engine.delete("c", ids.clone(), Ack::Applied).unwrap();
                    model.retain(|id, _| !ids.contains(id));
                }
                Step::Checkpoint => drop(engine.checkpoint().unwrap()),
                Step::Reopen => {
                    drop(engine);
                    engine = open(dir.path());
                }
                Step::LoseTables => {
                    drop(engine);
                    fs::remove_dir_all(dir.path().join("tables")).unwrap();
                    engine = open(dir.path());
                }
            }
            prop_assert_eq!(contents(&engine, "c"), model.clone());
            for (id, n) in model.iter().take(3) {
                let hits = engine.search("c", &query(vector(*n), 40)).unwrap();
                prop_assert!(hits.iter().any(|hit| hit.point.id == *id && hit.score == 0.0));
            }
        }
        engine.check("c").unwrap();
    }
}
