//! A replay after a kill leads to the same graphs, however much there is of what inserts had worked out.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{copied, files};
use engine::{Ack, CollectionSpec, Copied, Engine, IndexChange, Metric, Options, Point, PointId};

fn vector(n: u64) -> Vec<f32> {
    let number = |at: u64| {
        let mixed = (n * 131 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f32::from(u16::try_from(mixed >> 48).unwrap()) / 65_536.0 - 0.5
    };
    (0..32).map(number).collect()
}

fn put_all(engine: &Engine) {
    for batch in 0..12u64 {
        let points = (batch * 25..(batch + 1) * 25).map(|id| Point {
            vectors: vector(id).into(),
            ..common::point(id, id)
        });
        engine.upsert("c", points.collect(), Ack::Applied).unwrap();
    }
}

/// The same is put in twice, and between it the index is built anew with other settings.
fn killed() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    let spec = CollectionSpec::new(32, Metric::Cosine);
    engine.create_collection("c", spec).unwrap();
    put_all(&engine);
    let all = (0..300).map(PointId::Num).collect();
    engine.delete("c", all, Ack::Applied).unwrap();
    let change = IndexChange {
        ef_construct: Some(8),
        ..IndexChange::default()
    };
    engine.begin_reindex("c", "", change).unwrap();
    let mut from = Some(Copied::default());
    while let Some(next) = from {
        from = engine.continue_reindex("c", "", next, 16).unwrap();
    }
    assert!(engine.finish_reindex("c", "").unwrap().is_some());
    put_all(&engine);
    copied(dir.path())
}

/// The snapshots after a replay, and how many batches were not worked out again.
fn replayed(killed: &Path, plans: &[u8]) -> (BTreeMap<PathBuf, Vec<u8>>, u64) {
    let dir = copied(killed);
    let file = files(&dir.path().join("plans")).into_keys().next().unwrap();
    fs::write(file, plans).unwrap();
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    engine.check("c").unwrap();
    engine.checkpoint().unwrap();
    let snapshots = dir.path().join("snapshots");
    let files = files(&snapshots).into_iter();
    let files = files.map(|(path, bytes)| (path.strip_prefix(&snapshots).unwrap().into(), bytes));
    (files.collect(), engine.status().recalled_batches)
}

#[test]
fn as_much_as_is_left_of_plans_is_taken_and_leads_to_the_same_graph() {
    let killed = killed();
    let plans = files(&killed.path().join("plans"));
    let [plans] = &plans.into_values().collect::<Vec<_>>()[..] else {
        panic!("one file of plans")
    };
    let (graph, recalled) = replayed(killed.path(), &[]);
    assert_eq!(recalled, 0);
    let mut before = 0;
    for part in 1..=8 {
        let (again, recalled) = replayed(killed.path(), &plans[..plans.len() * part / 8]);
        assert!(again == graph, "with {part} of 8 parts of the plans");
        assert!(recalled >= before, "{recalled}, {before} of less");
        before = recalled;
    }
    assert!(before > 20, "{before}");
}
