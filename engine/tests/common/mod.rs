//! Small collections to try the engine on.
#![allow(dead_code, reason = "no test file uses all of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

pub(crate) mod named;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use engine::{
    Ack, CollectionSpec, Engine, Metric, Options, Payload, Point, PointId, Query, Select, Which,
};
use serde_json::json;

pub(crate) const ALL: Select = Select {
    payload: true,
    vectors: Which::All,
};

pub(crate) fn open(dir: &Path) -> Engine {
    Engine::open(Options::new(dir)).unwrap()
}

pub(crate) fn payload(n: u64) -> Payload {
    json!({ "n": n, "person": format!("p{}", n % 3) })
        .as_object()
        .unwrap()
        .clone()
}

pub(crate) fn vector(n: u64) -> Vec<f32> {
    (0..4)
        .map(|at| f32::from(u16::try_from((n * 7_919 + at * 104_729) % 1_000).unwrap()))
        .collect()
}

pub(crate) fn point(id: u64, n: u64) -> Point {
    Point {
        id: PointId::Num(id),
        vectors: vector(n).into(),
        payload: payload(n),
        face: None,
    }
}

pub(crate) fn query(vector: Vec<f32>, limit: usize) -> Query {
    Query {
        vector,
        using: String::new(),
        limit,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: None,
        filter: None,
        select: ALL,
    }
}

/// Every point of a collection by id: its number, as its payload has it.
pub(crate) fn contents(engine: &Engine, collection: &str) -> BTreeMap<PointId, u64> {
    let mut all = BTreeMap::new();
    let mut from = None;
    loop {
        let page = engine.scroll(collection, from, 7, ALL).unwrap();
        for point in page.points {
            let n = point.payload.unwrap()["n"].as_u64().unwrap();
            let vectors = point.vectors.unwrap();
            assert_eq!(vectors, vector(n).into(), "point {}", point.id);
            all.insert(point.id, n);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return all,
        }
    }
}

pub(crate) fn filled(dir: &Path, count: u64) -> Engine {
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

pub(crate) fn expect_filled(dir: &Path, count: u64) -> Engine {
    let engine = open(dir);
    assert_eq!(
        contents(&engine, "c"),
        (0..count).map(|id| (PointId::Num(id), id)).collect()
    );
    engine.check("c").unwrap();
    engine
}

/// Every file of a folder and of those in it, with its bytes.
pub(crate) fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => all.extend(files(&path)),
            false => drop(all.insert(path.clone(), fs::read(path).unwrap())),
        }
    }
    all
}

/// A copy of a folder, which an engine that goes on in this process cannot change.
pub(crate) fn copied(from: &Path) -> tempfile::TempDir {
    let to = tempfile::tempdir().unwrap();
    for (path, bytes) in files(from) {
        let path = to.path().join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    to
}
