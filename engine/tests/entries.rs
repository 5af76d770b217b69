//! Entries: collections whose points are in parts elsewhere. They take no points, whoever sends them and
//! whenever that began.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{ALL, open, point, query, vector};
use engine::{
    Ack, Chosen, CollectionChange, CollectionSpec, Engine, Error, Filter, IndexKind, KeyPath,
    Metric, Payload, PayloadChange, PointId, SHARDS, TTL_S, Vectors,
};

fn entry() -> CollectionSpec {
    let mut spec = CollectionSpec::new(4, Metric::Euclid);
    spec.metadata.insert(SHARDS.to_owned(), 3.into());
    spec.metadata.insert(TTL_S.to_owned(), 60.into());
    spec
}

/// What is asked of points, each by its name.
fn asked(engine: &Engine, of: &str) -> Vec<(&'static str, Result<(), Error>)> {
    let ids = || vec![PointId::Num(1)];
    let vectors = || Vectors::from_iter([(String::new(), vector(5))]);
    let change = PayloadChange::Set {
        payload: Payload::new(),
        key: None,
    };
    let all = Filter::default();
    let key = || KeyPath::parse("k").unwrap();
    let ack = Ack::Applied;
    vec![
        (
            "upsert",
            engine.upsert(of, vec![point(1, 5)], ack).map(drop),
        ),
        ("delete", engine.delete(of, ids(), ack).map(drop)),
        ("delete_where", engine.delete_where(of, &all, ack).map(drop)),
        (
            "update_vectors",
            engine
                .update_vectors(of, vec![(PointId::Num(1), vectors())], ack)
                .map(drop),
        ),
        (
            "delete_vectors",
            engine
                .delete_vectors(of, ids(), &[String::new()], ack)
                .map(drop),
        ),
        (
            "change_payload",
            engine
                .change_payload(of, Chosen::Ids(ids()), &change, ack)
                .map(drop),
        ),
        (
            "create_index",
            engine
                .create_index(of, key(), IndexKind::Keyword, ack)
                .map(drop),
        ),
        ("drop_index", engine.drop_index(of, &key(), ack).map(drop)),
        ("get", engine.get(of, &ids(), ALL).map(drop)),
        ("search", engine.search(of, &query(vector(5), 1)).map(drop)),
        ("count", engine.count(of).map(drop)),
    ]
}

#[test]
fn an_entry_takes_no_points_and_has_none_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    engine.create_collection("c", entry()).unwrap();
    let refuses = |engine: &Engine| {
        for (what, outcome) in asked(engine, "c") {
            let told = outcome.expect_err(what);
            assert!(matches!(told, Error::Conflict(_)), "{what}: {told}");
            assert!(told.to_string().contains("spread over shards"), "{told}");
        }
        assert_eq!(engine.describe("c").unwrap().points, 0);
        assert!(engine.retained().is_empty());
    };
    refuses(&engine);
    // It stays one.
    let change = CollectionChange {
        metadata: Some(Payload::from_iter([(SHARDS.to_owned(), ().into())])),
        ..CollectionChange::default()
    };
    let told = engine.update_collection("c", change).unwrap_err();
    assert!(matches!(told, Error::Conflict(_)), "{told}");
    engine.checkpoint().unwrap();
    drop(engine);
    let engine = open(dir.path());
    refuses(&engine);
    assert!(engine.drop_collection("c").unwrap());
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    engine.upsert("c", vec![point(1, 5)], Ack::Applied).unwrap();
}

#[test]
fn a_write_that_began_before_its_collection_was_made_sharded_is_not_taken() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            let (mut taken, mut refused) = (0_u64, 0_u64);
            while !ended.load(Ordering::Acquire) {
                match engine.upsert("c", vec![point(taken, 5)], Ack::Applied) {
                    Ok(_) => taken += 1,
                    Err(Error::Conflict(_)) => refused += 1,
                    Err(Error::NoCollection(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            (taken, refused)
        });
        for _ in 0..20 {
            engine
                .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
                .unwrap();
            while engine.count("c").unwrap() == 0 {
                thread::yield_now();
            }
            engine.drop_collection("c").unwrap();
            engine.create_collection("c", entry()).unwrap();
            assert_eq!(engine.describe("c").unwrap().points, 0);
            engine.drop_collection("c").unwrap();
        }
        ended.store(true, Ordering::Release);
        let (taken, refused) = writer.join().unwrap();
        assert!(taken >= 20, "{taken} taken, {refused} refused");
    });
}
