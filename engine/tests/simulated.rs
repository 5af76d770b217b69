//! What was found by an engine on a simulated disk, each under the name of what a user would have
//! seen. The search for more is `benches`' torture.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{contents, copied, point};
use engine::{
    Ack, CollectionSpec, Engine, Face, FaceImage, Metric, NewFace, Options, Point, PointId,
};
use storage::{Disk, Fault, SimDisk};

fn options(disk: &SimDisk, beside: &Path) -> Options {
    Options {
        disk: Arc::new(disk.clone()),
        beside: Some(beside.to_owned()),
        segment_bytes: 300,
        ..Options::new("/data")
    }
}

fn open(disk: &SimDisk, beside: &Path) -> Result<Engine, engine::Error> {
    Engine::open(options(disk, beside))
}

fn with_crop(id: u64) -> Point {
    let face = Face {
        bounding_box: [0.0; 4],
        landmarks: [[0.0; 2]; 5],
        confidence: 1.0,
    };
    Point {
        face: Some(NewFace {
            face,
            crop_jpeg: Some(vec![7; 900]),
            photo: None,
        }),
        ..point(id, id)
    }
}

/// The manifests there are, oldest first.
fn manifests(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new("/data")).unwrap().into_iter();
    let names = names.filter(|name| name.starts_with("manifest-"));
    names.map(|name| Path::new("/data").join(name)).collect()
}

/// Three checkpoints, a face before each; the log no longer reaches back to the beginning.
fn three_checkpoints(disk: &SimDisk, beside: &Path) {
    let engine = open(disk, beside).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    for id in 0..3 {
        engine
            .upsert("c", vec![with_crop(id)], Ack::Applied)
            .unwrap();
        engine.checkpoint().unwrap();
    }
}

fn expect_all(engine: &Engine) {
    assert!(
        engine.quarantined().is_empty(),
        "{:?}",
        engine.quarantined()
    );
    assert_eq!(contents(engine, "c").len(), 3);
    for id in 0..3 {
        let crop = engine.face_image("c", &PointId::Num(id), FaceImage::Crop);
        assert_eq!(crop.unwrap().unwrap(), [7; 900], "face {id}");
    }
    engine.check("c").unwrap();
}

#[test]
fn pictures_are_there_after_a_checkpoint_could_not_be_read_once_and_power_went() {
    for seed in 0..24 {
        let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
        three_checkpoints(&disk, beside.path());
        let newest = manifests(&disk).pop().unwrap();
        disk.flip(&newest, 40, 1);
        // It goes on from the one before, and writes the last picture once more.
        let engine = open(&disk, beside.path()).unwrap();
        expect_all(&engine);
        disk.power_off_at(disk.operations());
        drop(engine);
        let disk = disk.crash(seed);
        disk.flip(&newest, 40, 1);
        expect_all(&open(&disk, beside.path()).unwrap());
    }
}

#[test]
fn two_bad_readings_of_good_checkpoints_cost_nothing() {
    let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
    three_checkpoints(&disk, beside.path());
    let both = manifests(&disk);
    let [older, newest] = &both[..] else {
        panic!("{both:?}")
    };
    disk.flip(older, 40, 1);
    expect_all(&open(&disk, beside.path()).unwrap());
    disk.flip(older, 40, 1);
    disk.flip(newest, 40, 1);
    // Whatever it does without the newest one.
    drop(open(&disk, beside.path()));
    if manifests(&disk).contains(newest) {
        disk.flip(newest, 40, 1);
    }
    expect_all(&open(&disk, beside.path()).unwrap());
}

#[test]
fn a_checkpoint_that_has_rotted_behind_the_newest_is_replaced_before_anything_relies_on_it() {
    let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
    three_checkpoints(&disk, beside.path());
    let folder = Path::new("/data/snapshots");
    let before = disk.list(folder).unwrap();
    let [older, _] = &before[..] else {
        panic!("{before:?}")
    };
    disk.flip(&folder.join(older), 200, 1);
    let engine = open(&disk, beside.path()).unwrap();
    expect_all(&engine);
    // Nothing has changed: this is for want of a spare.
    engine.checkpoint().unwrap();
    let after = disk.list(folder).unwrap();
    assert!(after.len() == 2 && !after.contains(older), "{after:?}");
    drop(engine);
    // The new spare is one.
    disk.flip(manifests(&disk).last().unwrap(), 40, 1);
    expect_all(&open(&disk, beside.path()).unwrap());
}

#[test]
fn a_write_whose_sync_failed_is_there_whole_or_not_at_all_and_no_other_is_taken() {
    use storage::Fault;
    for evicted in [false, true] {
        let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
        three_checkpoints(&disk, beside.path());
        let engine = open(&disk, beside.path()).unwrap();
        // Whichever of the next steps is the sync.
        for step in 0..4 {
            let lost = Fault::LostSync { evicted };
            disk.fail_at(disk.operations() + step, lost);
        }
        let refused = engine.upsert("c", vec![with_crop(0), with_crop(9)], Ack::Applied);
        assert!(matches!(refused, Err(engine::Error::ReadOnly(_))));
        let again = engine.upsert("c", vec![with_crop(1)], Ack::Applied);
        assert!(matches!(again, Err(engine::Error::ReadOnly(_))));
        expect_all(&engine);
        drop(engine);
        for seed in 0..8 {
            let engine = open(&disk.crash(seed), beside.path()).unwrap();
            let found = contents(&engine, "c").len();
            assert!(found == 3 || found == 4, "{found}");
            engine.check("c").unwrap();
        }
    }
}

#[test]
fn on_a_full_or_read_only_disk_writes_are_refused_searches_go_on_and_a_restart_resumes() {
    use std::io::ErrorKind;
    for kind in [ErrorKind::StorageFull, ErrorKind::ReadOnlyFilesystem] {
        let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
        three_checkpoints(&disk, beside.path());
        let engine = open(&disk, beside.path()).unwrap();
        disk.refuse_writes(Some(kind));
        for _ in 0..2 {
            let refused = engine.upsert("c", vec![with_crop(9)], Ack::Applied);
            assert!(matches!(refused, Err(engine::Error::ReadOnly(_))));
        }
        let hits = engine.search("c", &common::query(common::vector(1), 1));
        assert_eq!(hits.unwrap()[0].point.id, PointId::Num(1));
        expect_all(&engine);
        // All that was acknowledged is in a checkpoint.
        engine.shutdown().unwrap();
        drop(engine);
        disk.refuse_writes(None);
        let engine = open(&disk, beside.path()).unwrap();
        expect_all(&engine);
        engine
            .upsert("c", vec![with_crop(9)], Ack::Applied)
            .unwrap();
        assert_eq!(contents(&engine, "c").len(), 4);
        // And now it is not.
        disk.refuse_writes(Some(kind));
        let refused = engine.upsert("c", vec![with_crop(8)], Ack::Applied);
        assert!(matches!(refused, Err(engine::Error::ReadOnly(_))));
        let told = engine.shutdown().unwrap_err().to_string();
        assert!(told.contains("the next start replays"), "{told}");
        drop(engine);
        disk.refuse_writes(None);
        let engine = open(&disk, beside.path()).unwrap();
        assert_eq!(contents(&engine, "c").len(), 4);
    }
}

#[test]
fn a_backup_that_was_refused_is_not_there_and_no_purge_leaves_it() {
    use std::io::ErrorKind;
    let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
    three_checkpoints(&disk, beside.path());
    let engine = open(&disk, beside.path()).unwrap();
    let make = || {
        let before = disk.operations();
        let made = engine.create_backup(None).unwrap();
        let steps = disk.operations() - before;
        assert!(engine.delete_backup(None, &made.name).unwrap());
        steps
    };
    // The first one makes the folders.
    make();
    let steps = make();
    let mut refused = 0;
    for step in 0..steps {
        for fault in [
            Fault::Error(ErrorKind::Other),
            Fault::LostSync { evicted: false },
        ] {
            disk.fail_at(disk.operations() + step, fault);
            match engine.create_backup(None) {
                // A sync may lose what nobody has written.
                Ok(made) => assert!(engine.delete_backup(None, &made.name).unwrap()),
                Err(_) => refused += 1,
            }
            let listed = engine.backups(None).unwrap();
            assert_eq!(listed, [], "{fault:?} at step {step}");
        }
    }
    assert!(refused > 8, "{refused} of {steps} steps");
    make();
}

#[test]
fn pictures_are_there_after_a_purge_that_could_not_sync_them_and_a_power_cut() {
    let mut refused = 0;
    // From the record to the first of its checkpoints.
    for at in 3..14 {
        let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
        let engine = open(&disk, beside.path()).unwrap();
        let spec = CollectionSpec::new(4, Metric::Euclid);
        engine.create_collection("c", spec).unwrap();
        let all = (0..3).map(with_crop).collect();
        engine.upsert("c", all, Ack::Applied).unwrap();
        let fault = Fault::Error(std::io::ErrorKind::Other);
        disk.fail_at(disk.operations() + at, fault);
        let purged = engine.purge("c", engine::OldBackups::Keep);
        // Refused, or good for what was acknowledged before.
        drop(engine.checkpoint());
        drop(engine);
        let disk = disk.crash(at);
        expect_all(&open(&disk, beside.path()).unwrap());
        refused += u32::from(purged.is_err());
    }
    assert!(refused > 4, "{refused}");
}

#[test]
fn a_log_that_has_stopped_under_a_purge_is_told_as_such() {
    let stopped = storage::Error::Latched("the disk is full".into());
    let told = engine::Error::from(stopped);
    assert!(matches!(told, engine::Error::ReadOnly(_)), "{told}");
    let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
    three_checkpoints(&disk, beside.path());
    let engine = open(&disk, beside.path()).unwrap();
    // The record is written first; what comes next is the new segment.
    let before = disk.operations();
    engine
        .upsert("c", vec![with_crop(9)], Ack::Applied)
        .unwrap();
    let of_a_record = disk.operations() - before;
    let full = Fault::Error(std::io::ErrorKind::Other);
    for step in of_a_record..of_a_record + 4 {
        disk.fail_at(disk.operations() + step, full);
    }
    let purged = engine.purge("c", engine::OldBackups::Keep);
    assert!(
        matches!(purged, Err(engine::Error::ReadOnly(_))),
        "{purged:?}"
    );
}

/// An engine with log segments as large as they usually are, and so many faces in one collection.
fn with_usual_segments(disk: &SimDisk, beside: &Path, faces: u64) -> Engine {
    let options = Options {
        segment_bytes: Options::new("/data").segment_bytes,
        ..options(disk, beside)
    };
    let engine = Engine::open(options).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    write(&engine, 0..faces).unwrap();
    engine
}

fn write(engine: &Engine, ids: std::ops::Range<u64>) -> Result<(), engine::Error> {
    ids.into_iter().try_for_each(|id| {
        engine
            .upsert("c", vec![with_crop(id)], Ack::Applied)
            .map(drop)
    })
}

#[test]
fn the_log_is_what_the_checkpoint_before_the_last_lacks_however_large_a_segment_may_be() {
    let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
    let engine = with_usual_segments(&disk, beside.path(), 3);
    let round = |engine: &Engine| {
        write(engine, 0..3).unwrap();
        engine.checkpoint().unwrap();
        let log = Path::new("/data/log");
        let names = disk.list(log).unwrap().into_iter();
        let names = names.filter(|name| name.ends_with(".log"));
        let len = |name: String| disk.open(&log.join(name)).unwrap().len().unwrap();
        let there: Vec<_> = names.map(len).collect();
        assert_eq!(there.iter().sum::<u64>(), engine.status().log_bytes);
        there
    };
    let whole = round(&engine)[0];
    let second = round(&engine);
    // One round of writes, which the older checkpoint lacks, and an empty file for what comes.
    assert!(
        second.len() == 2 && second[0] < whole && second[1] == 64,
        "{second:?}"
    );
    for _ in 0..8 {
        assert_eq!(round(&engine), second);
    }
    // Nothing was written, so nothing changes.
    engine.checkpoint().unwrap();
    assert_eq!(engine.status().log_bytes, second.iter().sum::<u64>());
    drop(engine);
    expect_all(&open(&disk, beside.path()).unwrap());
}

#[test]
fn power_may_go_at_any_step_of_a_checkpoint_that_releases_the_log() {
    let prepare = || {
        let (disk, beside) = (SimDisk::new(), tempfile::tempdir().unwrap());
        let engine = with_usual_segments(&disk, beside.path(), 1);
        for from in [1, 2] {
            engine.checkpoint().unwrap();
            write(&engine, from..from + 1).unwrap();
        }
        (disk, beside, engine)
    };
    let (disk, _beside, engine) = prepare();
    let before = disk.operations();
    let bytes = engine.status().log_bytes;
    engine.checkpoint().unwrap();
    let steps = disk.operations() - before;
    assert!(engine.status().log_bytes < bytes && steps > 20, "{steps}");
    for at in 0..=steps {
        for fault in [None, Some(Fault::Error(std::io::ErrorKind::Other))] {
            let (disk, beside, engine) = prepare();
            match fault {
                None => disk.power_off_at(disk.operations() + at),
                Some(fault) => disk.fail_at(disk.operations() + at, fault),
            }
            // It may have come that far.
            let _ = engine.checkpoint();
            if engine.status().read_only.is_none() {
                let _ = write(&engine, 0..1);
            }
            drop(engine);
            for seed in 0..3 {
                let (disk, beside) = (disk.crash(at * 3 + seed), copied(beside.path()));
                let engine = open(&disk, beside.path()).unwrap();
                expect_all(&engine);
                // It goes on in the log as it is, and lets go of it as before.
                write(&engine, 0..3).unwrap();
                engine.checkpoint().unwrap();
                drop(engine);
                expect_all(&open(&disk, beside.path()).unwrap());
            }
        }
    }
}
