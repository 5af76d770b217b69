//! A folder of every released format can still be opened, and holds what was put into it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::{Path, PathBuf};

use engine::{
    Ack, CollectionSpec, Engine, Face, FaceImage, Metric, NewFace, Options, Payload, Point,
    PointId, Quantization, Query, Select, VectorSpec, Which,
};
use migrations::{Prepared, prepare};

/// The format that this program writes.
const FORMAT: u32 = 1;

const ALL: Select = Select {
    payload: true,
    vectors: Which::All,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations/fixtures")
}

fn fixture(version: u32) -> PathBuf {
    fixtures().join(format!("v{version}"))
}

fn point(id: PointId, vector: [f32; 3], name: &str) -> Point {
    let mut payload = Payload::new();
    payload.insert("name".into(), name.into());
    Point {
        id,
        vectors: vector.to_vec().into(),
        payload,
        face: None,
    }
}

/// What every fixture holds: some of it in a checkpoint, some only in the log, one point deleted
/// and one replaced.
fn fill(engine: &Engine) {
    engine
        .create_collection("euclid", CollectionSpec::new(3, Metric::Euclid))
        .unwrap();
    let points = (0..20u16).map(|n| {
        let x = f32::from(n);
        point(PointId::Num(n.into()), [x, -x, 0.5], "before")
    });
    let points = points.collect();
    engine.upsert("euclid", points, Ack::Applied).unwrap();
    engine
        .delete("euclid", vec![PointId::Num(3)], Ack::Applied)
        .unwrap();
    engine.checkpoint().unwrap();
    let replaced = point(PointId::Num(7), [100.0, 0.0, 0.0], "after");
    engine
        .upsert("euclid", vec![replaced], Ack::Applied)
        .unwrap();
    engine
        .create_collection("cosine", CollectionSpec::new(3, Metric::Cosine))
        .unwrap();
    let mut face = point(PointId::Uuid(0xfeed), [0.0, 3.0, 4.0], "Ada");
    face.face = Some(NewFace {
        face: Face {
            bounding_box: [1.0, 2.0, 3.0, 4.0],
            landmarks: [[5.0, 6.0]; 5],
            confidence: 0.75,
        },
        crop_jpeg: Some(b"a crop".to_vec()),
        photo: Some(b"a photo".to_vec()),
    });
    engine.upsert("cosine", vec![face], Ack::Applied).unwrap();
}

fn nearest() -> Query {
    Query {
        vector: vec![99.0, 0.0, 0.0],
        using: String::new(),
        limit: 1,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: None,
        filter: None,
        select: ALL,
    }
}

fn expect_filled(engine: &Engine) {
    for name in ["euclid", "cosine"] {
        engine.check(name).unwrap();
    }
    assert_eq!(engine.count("euclid").unwrap(), 19);
    let hits = engine.search("euclid", &nearest()).unwrap();
    assert_eq!(hits[0].point.id, PointId::Num(7));
    assert_eq!(hits[0].point.payload.as_ref().unwrap()["name"], "after");
    assert!(
        engine
            .get("euclid", &[PointId::Num(3)], ALL)
            .unwrap()
            .is_empty()
    );
    let ada = PointId::Uuid(0xfeed);
    let stored = &engine.get("cosine", &[ada], ALL).unwrap()[0];
    let vector = stored.vectors.as_ref().unwrap().get("");
    assert_eq!(vector, Some([0.0, 0.6, 0.8].as_slice()));
    assert_eq!(stored.face.as_ref().unwrap().face.confidence, 0.75);
    let image = |kind| engine.face_image("cosine", &ada, kind).unwrap();
    assert_eq!(
        image(FaceImage::Crop).as_deref(),
        Some(b"a crop".as_slice())
    );
    assert_eq!(
        image(FaceImage::Photo).as_deref(),
        Some(b"a photo".as_slice())
    );
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

#[test]
fn a_folder_of_version_1_is_opened_with_all_that_is_in_it() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixture(1), dir.path());
    assert_eq!(prepare(dir.path()).unwrap(), Prepared::Current);
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    let status = engine.status();
    assert_eq!(status.tables_rebuilt, None);
    assert!(status.replayed_records > 0, "the log is read too");
    expect_filled(&engine);
}

/// The same format as it was before points had vectors by name: one vector a collection, ids slot by
/// slot, vectors in the tables too. Beside the contents of every fixture there is a collection
/// whose index has packed codes.
#[test]
fn a_folder_from_before_vectors_had_names_is_opened_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    copy(&fixtures().join("v1-packed"), dir.path());
    assert_eq!(prepare(dir.path()).unwrap(), Prepared::Current);
    for _ in 0..2 {
        let engine = Engine::open(Options::new(dir.path())).unwrap();
        assert_eq!(engine.status().tables_rebuilt, None);
        expect_filled(&engine);
        engine.check("packed").unwrap();
        let spec = &engine.describe("packed").unwrap().spec.vectors[""];
        assert_eq!((spec.quantization, spec.m), (Quantization::Bits2, 8));
        let mut vector = vec![0.0; 70];
        vector[4] = 1.0;
        let query = Query {
            vector,
            limit: 1,
            ..nearest()
        };
        let hits = engine.search("packed", &query).unwrap();
        assert_eq!((hits[0].point.id, hits[0].score), (PointId::Num(4), 2.0));
        // What is written now is read again with the rest, from the new forms of everything.
        let name = "later";
        let later = VectorSpec::new(2, Metric::Dot);
        engine.add_vector("packed", name, later).unwrap();
        let vectors = [(name.to_owned(), vec![1.0, 2.0])].into_iter().collect();
        engine
            .update_vectors("packed", vec![(PointId::Num(4), vectors)], Ack::Applied)
            .unwrap();
        let stored = &engine.get("packed", &[PointId::Num(4)], ALL).unwrap()[0];
        assert_eq!(stored.vectors.as_ref().unwrap().len(), 2);
    }
}

/// Run once a released format, by hand: `cargo test -p server --test formats -- --ignored`. A fixture is never
/// made anew, because then it would show nothing.
#[test]
#[ignore = "makes the fixture of the format that this program writes"]
fn make_the_fixture() {
    let target = fixture(FORMAT);
    assert!(!target.exists(), "{} is there", target.display());
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    fill(&engine);
    expect_filled(&engine);
    // As after a crash, so that the log has to be read.
    copy(dir.path(), &target);
}
