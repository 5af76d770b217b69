//! A wanted recall instead of an `ef`.

mod common;

use std::time::{Duration, Instant};

use common::{open, point, query};
use engine::{Ack, CollectionSpec, Engine, Error, Metric, PointId};

/// How long a measurement beside everything else may take on a slow machine.
const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn more_recall_walks_farther_and_a_grown_collection_is_measured_again() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    let put = |from: u64, to: u64| {
        let points = (from..to).map(|id| point(id, id)).collect();
        engine.upsert("c", points, Ack::Applied).unwrap();
    };
    assert_eq!(engine.tune("c", "", 10, 0.9).unwrap().sample, 0);
    put(0, 40);
    assert_eq!(engine.tune("c", "", 10, 0.9).unwrap().sample, 40);
    put(40, 50);
    assert_eq!(
        engine.tune("c", "", 10, 0.9).unwrap().sample,
        40,
        "remembered"
    );
    put(50, 100);
    let low = engine.tune("c", "", 10, 0.9).unwrap();
    assert_eq!(low.sample, 100);
    let high = engine.tune("c", "", 10, 1.0).unwrap();
    assert!(low.ef <= high.ef && low.recall >= 0.9, "{low:?} {high:?}");
}

#[test]
fn a_recall_that_cannot_be_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    for (using, k, recall) in [
        ("", 10, 0.0),
        ("", 10, 1.1),
        ("", 0, 0.9),
        ("", 1_000_000, 0.9),
    ] {
        let refused = engine.tune("c", using, k, recall);
        assert!(matches!(refused, Err(Error::BadRequest(_))), "{k} {recall}");
    }
    assert!(matches!(
        engine.tune("c", "no", 10, 0.9),
        Err(Error::NoVector { .. })
    ));
    assert!(matches!(
        engine.tune("d", "", 10, 0.9),
        Err(Error::NoCollection(_))
    ));
}

#[test]
fn searches_that_name_nothing_come_to_find_nearly_all_where_a_graph_has_no_structure_to_follow() {
    const DIM: usize = 128;
    let mut seed = 5u64;
    let mut uniform = || -> Vec<f32> {
        let mut number = || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            f32::from(u16::try_from(seed >> 48).unwrap())
        };
        (0..DIM).map(|_| number()).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine
        .create_collection("c", CollectionSpec::new(DIM, Metric::Euclid))
        .unwrap();
    for first in (0..5_000).step_by(1_000) {
        let points = (first..first + 1_000).map(|id| engine::Point {
            vectors: uniform().into(),
            ..point(id, id)
        });
        engine.upsert("c", points.collect(), Ack::Applied).unwrap();
    }
    let queries: Vec<Vec<f32>> = (0..50).map(|_| uniform()).collect();
    let ids = |engine: &Engine, vector: &[f32], ef, exact| -> Vec<PointId> {
        let query = engine::Query {
            ef,
            exact,
            ..query(vector.to_vec(), 10)
        };
        let hits = engine.search("c", &query).unwrap();
        hits.iter().map(|hit| hit.point.id).collect()
    };
    let truth: Vec<_> = queries
        .iter()
        .map(|vector| ids(&engine, vector, None, true))
        .collect();
    let found = |ef| {
        let answers = queries.iter().zip(&truth).map(|(vector, truth)| {
            let answer = ids(&engine, vector, ef, false);
            answer.iter().filter(|id| truth.contains(id)).count()
        });
        answers.sum::<usize>()
    };
    let told = found(Some(64));
    assert!(told < 470, "64 candidates are enough: {told} of 500");
    // The tuner looks once a second.
    let started = Instant::now();
    while found(None) < 490 {
        assert!(started.elapsed() < PATIENCE, "it was never measured");
        std::thread::yield_now();
    }
    assert_eq!(found(Some(64)), told, "an `ef` that is given stands");
    let tuned = engine.tune("c", "", 10, 0.99).unwrap();
    assert!(tuned.points >= 4_000 && tuned.recall >= 0.99, "{tuned:?}");
}
