//! What was found by an engine on a simulated disk, each under the name of what a user would have
//! seen. The search for more is `benches`' torture.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::{contents, point};
use engine::{
    Ack, CollectionSpec, Engine, Face, FaceImage, Metric, NewFace, Options, Point, PointId,
};
use storage::{Disk, SimDisk};

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
        drop(engine);
        disk.refuse_writes(None);
        let engine = open(&disk, beside.path()).unwrap();
        expect_all(&engine);
        engine
            .upsert("c", vec![with_crop(9)], Ack::Applied)
            .unwrap();
        assert_eq!(contents(&engine, "c").len(), 4);
    }
}
