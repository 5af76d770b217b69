//! A wanted recall instead of an `ef`.

mod common;

use common::{open, point};
use engine::{Ack, CollectionSpec, Error, Metric};

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
