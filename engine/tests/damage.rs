//! Whatever happened to the files that follow the log, the answers are those of the log; and what
//! cannot be read is never taken for nothing.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{ALL, contents, copied, expect_filled, filled, open, point};
use engine::{Ack, Chosen, CollectionSpec, Engine, Filter, Metric, Options, PayloadChange};
use serde_json::json;
use storage::{CollectionId, Expectation, Lsn, PointId, TableChange, Tables};

/// The one segment that has records; the checkpoint at the end has begun another.
fn only_segment(dir: &Path) -> PathBuf {
    let files = fs::read_dir(dir).unwrap();
    let files = files.map(|entry| entry.unwrap().path());
    let files: Vec<_> = files
        .filter(|path| path.extension().is_some_and(|it| it == "log"))
        .filter(|path| fs::metadata(path).unwrap().len() > 64)
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
fn tables_that_open_and_break_when_a_record_reads_them_are_rebuilt_and_do_not_stop_the_start() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 3_000);
    engine.checkpoint().unwrap();
    drop(engine);
    // sled that finds its files in order reads a page when it is asked for it.
    let engine = open(dir.path());
    // What a change makes of a payload is worked out from the row.
    let change = PayloadChange::Set {
        payload: json!({"more": true}).as_object().unwrap().clone(),
        key: None,
    };
    let all = Chosen::Filter(Filter::default());
    engine
        .change_payload("c", all, &change, Ack::Applied)
        .unwrap();
    let due = contents(&engine, "c");
    let left = copied(dir.path());
    drop(engine);
    let db = fs::read(left.path().join("tables/db")).unwrap();
    let text = b"person";
    let places = (0..db.len()).filter(|at| db[*at..].starts_with(text));
    let places: Vec<usize> = places.step_by(500).collect();
    assert!(places.len() > 2, "{places:?}");
    let mut rebuilt = 0;
    for at in places {
        let harmed = copied(left.path());
        flip_in(&harmed.path().join("tables/db"), at);
        let engine = open(harmed.path());
        rebuilt += usize::from(engine.status().tables_rebuilt.is_some());
        assert_eq!(contents(&engine, "c"), due, "byte {at}");
        let first = engine.get("c", &[due.keys().next().copied().unwrap()], ALL);
        let payload = first.unwrap()[0].payload.clone().unwrap();
        assert_eq!(payload["more"], true, "byte {at}");
    }
    assert!(rebuilt > 0, "no table was broken");
}

/// What a kill leaves behind: sled has written some rows of a record and not others.
#[test]
fn rows_that_a_crash_left_older_than_their_neighbours_are_set_right_by_the_replay() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 30);
    engine.checkpoint().unwrap();
    let checkpoint = engine.status().applied_lsn;
    let put = (20..40).map(|id| point(id, id + 100)).collect();
    engine.upsert("c", put, Ack::Applied).unwrap();
    let gone = (0..10).map(PointId::Num).collect();
    engine.delete("c", gone, Ack::Applied).unwrap();
    let expected = contents(&engine, "c");
    let crashed = copied(dir.path());
    drop(engine);

    let (_, store) = storage::read_format(crashed.path()).unwrap().unwrap();
    let expectation = Expectation {
        store,
        at_least: checkpoint,
        at_most: Lsn(u64::MAX),
    };
    let tables = Tables::open(&crashed.path().join("tables"), &expectation).unwrap();
    let collection = CollectionId(1);
    let old = storage::encode_payload(&common::payload(21)).unwrap();
    let put = |id| TableChange::PutPoint {
        collection,
        id: PointId::Num(id),
        lsn: checkpoint,
        payload: &old,
        face: None,
    };
    let delete = |id| TableChange::DeletePoint {
        collection,
        id: PointId::Num(id),
    };
    let changes = [put(3), put(21), delete(8), delete(35)];
    tables.tables.apply(checkpoint, &changes).unwrap();
    tables.tables.flush_and_sync().unwrap();
    drop(tables);

    let engine = open(crashed.path());
    assert_eq!(contents(&engine, "c"), expected);
    assert_eq!(engine.status().tables_rebuilt, None);
    engine.check("c").unwrap();
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
    refused(|dir| fs::remove_file(dir.join("FORMAT")).unwrap());
    refused(|dir| {
        let file = only_segment(&dir.join("log"));
        let mut bytes = fs::read(&file).unwrap();
        bytes[80] ^= 1;
        fs::write(&file, bytes).unwrap();
    });
}

fn flip_in(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir.join("snapshots")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

/// Two collections of 30 points, `c` unchanged over the last checkpoints; the log no longer reaches
/// back to the beginning.
fn two_collections(dir: &Path) -> Options {
    let options = Options {
        segment_bytes: 500,
        ..Options::new(dir)
    };
    drop(filled(dir, 30));
    let engine = Engine::open(options.clone()).unwrap();
    engine
        .create_collection("other", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
    for id in 0..30 {
        let points = vec![point(id, id)];
        engine.upsert("other", points, Ack::Applied).unwrap();
        if id % 5 == 0 {
            engine.checkpoint().unwrap();
        }
    }
    drop(engine);
    options
}

/// Flips a bit in both snapshots of `c`.
fn flip_both(dir: &Path) {
    let snapshots = snapshots(dir);
    let of_c = snapshots.iter().filter(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name.starts_with("0000000001-")
    });
    let of_c: Vec<_> = of_c.collect();
    assert_eq!(of_c.len(), 2, "{snapshots:?}");
    of_c.iter().for_each(|path| flip_in(path, 200));
}

fn numbered(count: u64) -> std::collections::BTreeMap<engine::PointId, u64> {
    (0..count)
        .map(|id| (engine::PointId::Num(id), id))
        .collect()
}

#[test]
fn a_collection_whose_snapshots_are_damaged_does_not_take_the_others_down() {
    let dir = tempfile::tempdir().unwrap();
    let options = two_collections(dir.path());
    flip_both(dir.path());
    for _ in 0..2 {
        let engine = Engine::open(options.clone()).unwrap();
        let [(name, reason)] = &engine.quarantined()[..] else {
            panic!("{:?}", engine.quarantined());
        };
        let reason = reason.to_string();
        assert_eq!(name, "c");
        assert!(
            reason.contains(".snap") && reason.contains("backup"),
            "{reason}"
        );
        let refused = engine.count("c").unwrap_err().to_string();
        assert_eq!(refused, reason);
        let refused = engine.upsert("c", vec![point(1, 2)], Ack::Applied);
        assert!(matches!(refused, Err(engine::Error::Quarantined { .. })));
        let again = engine.create_collection("c", CollectionSpec::new(4, Metric::Euclid));
        assert!(matches!(again, Err(engine::Error::Exists(_))));
        assert_eq!(contents(&engine, "other"), numbered(30));
        let points = vec![point(29, 29)];
        engine.upsert("other", points, Ack::Applied).unwrap();
        assert!(
            engine.checkpoint().is_err(),
            "it would leave records behind"
        );
    }
    let engine = Engine::open(options).unwrap();
    assert!(engine.drop_collection("c").unwrap());
    assert!(engine.quarantined().is_empty());
    engine.checkpoint().unwrap();
    engine
        .create_collection("c", CollectionSpec::new(4, Metric::Euclid))
        .unwrap();
}

#[test]
fn one_damaged_file_of_a_collection_that_no_longer_changes_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = two_collections(dir.path());
    for _ in 0..2 {
        for snapshot in snapshots(dir.path()) {
            if snapshot.exists() {
                flip_in(&snapshot, 200);
            }
            let engine = Engine::open(options.clone()).unwrap();
            assert!(engine.quarantined().is_empty());
            for name in ["c", "other"] {
                assert_eq!(contents(&engine, name), numbered(30));
                engine.check(name).unwrap();
            }
        }
    }
}

#[test]
fn a_snapshot_that_could_not_be_read_once_is_served_whole_when_it_can_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let options = two_collections(dir.path());
    for lose_tables in [false, true] {
        flip_both(dir.path());
        if lose_tables {
            fs::remove_dir_all(dir.path().join("tables")).unwrap();
        }
        let engine = Engine::open(options.clone()).unwrap();
        assert_eq!(engine.quarantined().len(), 1);
        let points = vec![point(29, 29)];
        engine.upsert("other", points, Ack::Applied).unwrap();
        drop(engine);
        flip_both(dir.path());
        let engine = Engine::open(options.clone()).unwrap();
        for name in ["c", "other"] {
            assert_eq!(contents(&engine, name), numbered(30));
            engine.check(name).unwrap();
        }
    }
}

#[test]
fn a_log_that_reaches_back_to_the_beginning_does_without_a_checkpoint() {
    for harm in [
        |dir: &Path| fs::remove_dir_all(dir.join("snapshots")).unwrap(),
        |dir: &Path| flip_in(&snapshots(dir)[0], 200),
        |dir: &Path| flip_in(&dir.join("manifest-00000000000000000001"), 40),
    ] {
        let dir = tempfile::tempdir().unwrap();
        drop(filled(dir.path(), 20));
        harm(dir.path());
        drop(expect_filled(dir.path(), 20));
        let engine = expect_filled(dir.path(), 20);
        assert_eq!(engine.status().replayed_records, 0, "nothing was mended");
    }
}
