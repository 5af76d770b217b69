//! The same log gives the same state, to the byte, on any number of threads. One test in this file:
//! how many there are holds for the whole process.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use common::{copied, files};
use engine::{
    Ack, CollectionSpec, Engine, IndexKind, KeyPath, Metric, Options, Point, PointId, Quantization,
    VectorSpec,
};

const DIM: usize = 48;

/// Numbers that look like chance.
fn vector(n: u64) -> Vec<f32> {
    let number = |at: u64| {
        let mixed = (n * 131 + at + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        f32::from(u16::try_from(mixed >> 48).unwrap()) / 65_536.0 - 0.5
    };
    (0..DIM as u64).map(number).collect()
}

fn point(id: u64, n: u64) -> Point {
    Point {
        vectors: vector(n).into(),
        ..common::point(id, n)
    }
}

/// A folder whose log reaches back to the beginning, as a process that was killed leaves it.
fn log_alone() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    for (name, quantization) in [
        ("packed", Quantization::Bits4),
        ("int8", Quantization::Int8),
    ] {
        let spec = VectorSpec {
            quantization,
            ..VectorSpec::new(DIM, Metric::Cosine)
        };
        engine
            .create_collection(name, CollectionSpec::from(spec))
            .unwrap();
        let key = KeyPath::of("person");
        engine
            .create_index(name, key, IndexKind::Keyword, Ack::Applied)
            .unwrap();
        for batch in 0..4 {
            let points = (batch * 300..(batch + 1) * 300).map(|id| point(id, id));
            engine.upsert(name, points.collect(), Ack::Applied).unwrap();
        }
        let gone = (0..1_200).step_by(7).map(PointId::Num).collect();
        engine.delete(name, gone, Ack::Applied).unwrap();
        let again = (0..600).step_by(5).map(|id| point(id, id + 5_000));
        engine.upsert(name, again.collect(), Ack::Applied).unwrap();
    }
    let killed = copied(dir.path());
    drop(engine);
    fs::remove_dir_all(killed.path().join("tables")).unwrap();
    killed
}

/// Snapshots and checksums after a replay, by what inserts had worked out or by working it out again.
fn replayed(log: &Path, recall: bool) -> (BTreeMap<PathBuf, Vec<u8>>, Vec<engine::Checksum>) {
    let dir = copied(log);
    if !recall {
        fs::remove_dir_all(dir.path().join("plans")).unwrap();
    }
    let engine = Engine::open(Options::new(dir.path())).unwrap();
    assert!(engine.status().replayed_records > 10);
    assert_eq!(engine.status().recalled_batches > 50, recall);
    engine.checkpoint().unwrap();
    let checksums = ["packed", "int8"].map(|name| engine.checksum(name).unwrap());
    let snapshots = dir.path().join("snapshots");
    let files = files(&snapshots).into_iter();
    let files = files.map(|(path, bytes)| (path.strip_prefix(&snapshots).unwrap().into(), bytes));
    (files.collect(), checksums.to_vec())
}

#[test]
fn the_same_log_gives_byte_identical_snapshots_on_1_2_and_8_threads() {
    let log = log_alone();
    hnsw::set_threads(1);
    let (snapshots, checksums) = replayed(log.path(), false);
    assert_eq!(snapshots.len(), 2);
    for (threads, recall) in [(2, false), (8, false), (1, true), (2, true)] {
        hnsw::set_threads(threads);
        let (others, sums) = replayed(log.path(), recall);
        assert_eq!(sums, checksums, "on {threads} threads, recalled: {recall}");
        assert_eq!(
            others.keys().collect::<Vec<_>>(),
            snapshots.keys().collect::<Vec<_>>()
        );
        for (path, bytes) in &snapshots {
            assert!(
                others[path] == *bytes,
                "{} on {threads}, {recall}",
                path.display()
            );
        }
    }
}
