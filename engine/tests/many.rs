//! Many small collections. One test in this file: files are counted for the whole process.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;

use common::{open, point};
use engine::{Ack, CollectionSpec, Engine, Metric, PointId};

const COLLECTIONS: u64 = 200;

fn name(n: u64) -> String {
    format!("collection-{n}")
}

/// Files that this process has open.
fn open_files() -> usize {
    fs::read_dir("/proc/self/fd").map_or(0, Iterator::count)
}

fn expect_all(engine: &Engine) {
    assert_eq!(
        engine.collections().len(),
        usize::try_from(COLLECTIONS).unwrap()
    );
    for n in 0..COLLECTIONS {
        let found = engine
            .get(&name(n), &[PointId::Num(n)], common::ALL)
            .unwrap();
        let [point] = found.as_slice() else {
            panic!("{}: {found:?}", name(n))
        };
        assert_eq!(point.payload, Some(common::payload(n)));
    }
}

#[test]
fn two_hundred_collections_need_no_files_of_their_own_and_are_all_there_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let before = open_files();
    for n in 0..COLLECTIONS {
        let spec = CollectionSpec::new(4, Metric::Euclid);
        engine.create_collection(&name(n), spec).unwrap();
        engine
            .upsert(&name(n), vec![point(n, n)], Ack::Applied)
            .unwrap();
    }
    expect_all(&engine);
    engine.checkpoint().unwrap();
    assert!(open_files() < before + 20, "{before}, now {}", open_files());
    drop(engine);
    let engine = open(dir.path());
    expect_all(&engine);
    assert!(open_files() < before + 20, "{before}, now {}", open_files());
}
