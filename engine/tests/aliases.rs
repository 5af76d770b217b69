//! Other names for collections: wherever a name is taken, after restarts, and while everybody
//! looks.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use common::{ALL, open, point, query, vector};
use engine::{Ack, AliasChange, CollectionSpec, Engine, Error, Metric, PointId};

fn create(alias: &str, collection: &str) -> AliasChange {
    let (alias, collection) = (alias.to_owned(), collection.to_owned());
    AliasChange::Create { alias, collection }
}

fn delete(alias: &str) -> AliasChange {
    let alias = alias.to_owned();
    AliasChange::Delete { alias }
}

fn rename(from: &str, to: &str) -> AliasChange {
    let (from, to) = (from.to_owned(), to.to_owned());
    AliasChange::Rename { from, to }
}

/// Two collections, each with one point whose id says which it is.
fn two(engine: &Engine) {
    for (name, id) in [("one", 1), ("two", 2)] {
        engine
            .create_collection(name, CollectionSpec::new(4, Metric::Euclid))
            .unwrap();
        engine
            .upsert(name, vec![point(id, 5)], Ack::Applied)
            .unwrap();
    }
}

fn aliases(engine: &Engine) -> Vec<(String, String)> {
    engine.aliases()
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let pairs = pairs.iter();
    pairs
        .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()))
        .collect()
}

#[test]
fn an_alias_is_as_good_as_the_name_and_survives_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    two(&engine);
    engine
        .change_aliases(&[create("prod", "one"), create("test", "two")])
        .unwrap();
    engine
        .upsert("prod", vec![point(7, 7)], Ack::Applied)
        .unwrap();
    engine
        .delete("prod", vec![PointId::Num(1)], Ack::Applied)
        .unwrap();
    let one = PointId::Num(7);
    let hits = engine.search("prod", &query(vector(7), 1)).unwrap();
    assert_eq!((hits[0].point.id, engine.count("one").unwrap()), (one, 1));
    assert_eq!(engine.get("one", &[one], ALL).unwrap().len(), 1);
    assert_eq!(engine.describe("prod").unwrap().name, "one");
    engine.checkpoint().unwrap();
    engine
        .change_aliases(&[rename("test", "stage"), create("more", "prod")])
        .unwrap();
    let expected = pairs(&[("more", "one"), ("prod", "one"), ("stage", "two")]);
    assert_eq!(aliases(&engine), expected);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(aliases(&engine), expected);
    assert!(engine.drop_collection("one").unwrap());
    assert_eq!(aliases(&engine), pairs(&[("stage", "two")]));
    drop(engine);
    assert_eq!(aliases(&open(dir.path())), pairs(&[("stage", "two")]));
}

#[test]
fn a_list_of_changes_is_done_whole_or_not_at_all() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    two(&engine);
    engine
        .change_aliases(&[create("prod", "one"), create("old", "two")])
        .unwrap();
    let before = aliases(&engine);
    let refused = |last: AliasChange| {
        let changes = [delete("prod"), create("new", "two"), last];
        let error = engine.change_aliases(&changes).unwrap_err();
        assert_eq!(aliases(&engine), before);
        error
    };
    assert!(matches!(
        refused(create("x", "nowhere")),
        Error::NoCollection(_)
    ));
    assert!(matches!(refused(create("two", "one")), Error::Conflict(_)));
    assert!(matches!(refused(rename("old", "one")), Error::Conflict(_)));
    assert!(matches!(refused(rename("old", "new")), Error::Conflict(_)));
    assert!(matches!(refused(rename("nobody", "x")), Error::NoAlias(_)));
    assert!(matches!(
        refused(create("../x", "one")),
        Error::BadName { .. }
    ));
    assert!(
        engine.drop_collection("prod").is_err(),
        "an alias was dropped as a collection"
    );
    let taken = engine.create_collection("prod", CollectionSpec::new(4, Metric::Dot));
    assert!(matches!(taken, Err(Error::Conflict(_))));
    engine
        .change_aliases(&[delete("prod"), rename("old", "prod"), delete("nobody")])
        .unwrap();
    assert_eq!(aliases(&engine), pairs(&[("prod", "two")]));
}

#[test]
fn whoever_searches_while_an_alias_is_switched_finds_one_collection_or_the_other() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path());
    let engine = &opened;
    two(engine);
    engine.change_aliases(&[create("prod", "one")]).unwrap();
    let switching = &AtomicBool::new(true);
    thread::scope(|scope| {
        let searchers = [0, 1].map(|_| {
            scope.spawn(move || {
                let mut seen = [false; 2];
                while switching.load(Ordering::Relaxed) {
                    let hits = engine.search("prod", &query(vector(5), 10)).unwrap();
                    assert_eq!(hits.len(), 1);
                    seen[usize::from(hits[0].point.id == PointId::Num(2))] = true;
                }
                seen
            })
        });
        for _ in 0..50 {
            engine
                .change_aliases(&[delete("prod"), create("prod", "two")])
                .unwrap();
            engine
                .change_aliases(&[delete("prod"), create("prod", "one")])
                .unwrap();
        }
        switching.store(false, Ordering::Relaxed);
        for searcher in searchers {
            assert!(searcher.join().unwrap().contains(&true));
        }
    });
}
