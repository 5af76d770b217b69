//! Whatever happened to the files that follow the log, the answers are those of the log; and what
//! cannot be read is never taken for nothing.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{expect_filled, filled, open, point};
use engine::{Ack, CollectionSpec, Engine, Metric, Options};

fn only_file(dir: &Path) -> PathBuf {
    let files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
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
