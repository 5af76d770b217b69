//! Erasure: after a purge every file of the data folder is searched for what was deleted.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{contents, filled, open, point, vector};
use engine::{
    Ack, CollectionSpec, Engine, Error, Face, FaceImage, Metric, NewFace, OldBackups, Point,
    PointId,
};

fn with_crop(id: u64, n: u64, fill: u8) -> Point {
    let face = Face {
        bounding_box: [1.0; 4],
        landmarks: [[2.0; 2]; 5],
        confidence: 0.5,
    };
    let mut point = point(id, n);
    point.face = Some(NewFace {
        face,
        crop_jpeg: Some(vec![fill; 300]),
        photo: None,
    });
    let name = format!("secret-{id}-{n}");
    point.payload.insert("name".into(), name.into());
    point
}

fn put(engine: &Engine, collection: &str, points: Vec<Point>) {
    engine.upsert(collection, points, Ack::Applied).unwrap();
}

/// What must not be found any more, by what it is.
fn needles() -> BTreeMap<String, Vec<u8>> {
    let mut needles = BTreeMap::new();
    let bytes = |n| vector(n).iter().flat_map(|x| x.to_le_bytes()).collect();
    for (id, n, fill) in [(1, 501, 201), (2, 502, 202), (3, 503, 203), (4, 504, 204)] {
        needles.insert(format!("vector {n}"), bytes(n));
        needles.insert(
            format!("payload {n}"),
            format!("secret-{id}-{n}").into_bytes(),
        );
        needles.insert(format!("crop {fill}"), vec![fill; 300]);
    }
    needles
}

/// Where in a folder, and in files without a name that this process has open, each needle is.
fn found(dir: &Path) -> Vec<String> {
    let needles = needles();
    let mut found = Vec::new();
    let mut look = |name: String, bytes: &[u8]| {
        for (what, needle) in &needles {
            if bytes.windows(needle.len()).any(|run| run == needle) {
                found.push(format!("{what} in {name}"));
            }
        }
    };
    let mut folders = vec![dir.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => folders.push(path),
                false => look(path.display().to_string(), &fs::read(&path).unwrap()),
            }
        }
    }
    for entry in fs::read_dir("/proc/self/fd").into_iter().flatten() {
        let path = entry.unwrap().path();
        let named = fs::read_link(&path).unwrap_or_default();
        if named.starts_with(dir) && !named.exists() {
            look(named.display().to_string(), &fs::read(&path).unwrap());
        }
    }
    found
}

fn survivors(engine: &Engine) {
    let all = contents(engine, "c");
    assert_eq!(all.len(), 98);
    assert_eq!((all[&PointId::Num(3)], all[&PointId::Num(50)]), (603, 50));
    for (collection, id, crop) in [("c", 3, 103), ("c", 60, 160), ("d", 1, 101)] {
        let image = engine.face_image(collection, &PointId::Num(id), FaceImage::Crop);
        assert_eq!(image.unwrap(), Some(vec![crop; 300]), "{collection} {id}");
    }
    engine.check("c").unwrap();
    engine.check("d").unwrap();
}

/// A folder in which four points have been deleted, replaced or dropped, at different ages.
fn used(dir: &Path) -> Engine {
    let engine = filled(dir, 100);
    for name in ["d", "e"] {
        let spec = CollectionSpec::new(4, Metric::Euclid);
        engine.create_collection(name, spec).unwrap();
    }
    put(
        &engine,
        "c",
        vec![with_crop(1, 501, 201), with_crop(2, 502, 202)],
    );
    put(
        &engine,
        "c",
        vec![with_crop(3, 503, 203), with_crop(60, 60, 160)],
    );
    put(&engine, "e", vec![with_crop(4, 504, 204)]);
    put(&engine, "d", vec![with_crop(1, 1, 101)]);
    engine.checkpoint().unwrap();
    engine.create_backup(Some("c")).unwrap();
    engine
        .delete("c", vec![PointId::Num(1)], Ack::Applied)
        .unwrap();
    engine.checkpoint().unwrap();
    engine.drop_collection("e").unwrap();
    put(&engine, "c", vec![with_crop(3, 603, 103)]);
    engine
        .delete("c", vec![PointId::Num(2)], Ack::Applied)
        .unwrap();
    engine
}

#[test]
fn after_a_purge_what_was_deleted_is_in_no_file() {
    let dir = tempfile::tempdir().unwrap();
    let engine = used(dir.path());
    assert!(
        found(dir.path()).len() > 12,
        "the test looks in the wrong places"
    );
    let report = engine.purge("c", OldBackups::Keep).unwrap();
    let [kept] = report.backups_kept.as_slice() else {
        panic!("{report:?}")
    };
    let left = found(dir.path());
    assert!(
        !left.is_empty() && left.iter().all(|it| it.ends_with(kept.as_str())),
        "{left:#?}"
    );
    assert!(
        report.removed.iter().any(|file| file.starts_with("blobs/")),
        "{report:?}"
    );
    assert!(
        report.removed.iter().any(|file| file.starts_with("log/")),
        "{report:?}"
    );
    assert_eq!(engine.status().checkpoint_lsn, report.lsn);
    survivors(&engine);
    let report = engine.purge("c", OldBackups::Delete).unwrap();
    assert!(report.backups_kept.is_empty());
    assert_eq!(found(dir.path()), [] as [&str; 0]);
    survivors(&engine);
    put(&engine, "c", vec![point(50, 50)]);
    drop(engine);
    let engine = open(dir.path());
    assert_eq!(engine.status().tables_rebuilt, None);
    survivors(&engine);
    assert_eq!(found(dir.path()), [] as [&str; 0]);
}

#[test]
fn tables_that_are_lost_after_a_purge_are_rebuilt_with_their_pictures() {
    let dir = tempfile::tempdir().unwrap();
    let engine = used(dir.path());
    engine.purge("c", OldBackups::Delete).unwrap();
    drop(engine);
    fs::rename(dir.path().join("tables"), dir.path().join("tables.old")).unwrap();
    let engine = open(dir.path());
    assert!(engine.status().tables_rebuilt.is_some());
    assert!(!dir.path().join("tables.old").exists());
    survivors(&engine);
    assert_eq!(found(dir.path()), [] as [&str; 0]);
}

#[test]
fn tables_that_could_not_be_used_are_gone_after_a_purge_and_in_its_report() {
    let dir = tempfile::tempdir().unwrap();
    let engine = used(dir.path());
    let broken = dir.path().join("tables.broken");
    std::fs::create_dir(&broken).unwrap();
    std::fs::write(broken.join("db"), "names").unwrap();
    let report = engine.purge("c", OldBackups::Keep).unwrap();
    assert!(!broken.exists());
    let told = report.removed.iter().any(|file| file == "tables.broken/");
    assert!(told, "{report:?}");
}

#[test]
fn what_a_repair_took_out_of_the_log_is_gone_after_a_purge() {
    let dir = tempfile::tempdir().unwrap();
    drop(used(dir.path()));
    let name = "log/00000000000000000001.log.damaged";
    let all: Vec<u8> = needles().into_values().flatten().collect();
    fs::write(dir.path().join(name), all).unwrap();
    let engine = open(dir.path());
    let report = engine.purge("c", OldBackups::Delete).unwrap();
    assert!(report.removed.iter().any(|file| file == name), "{report:?}");
    assert_eq!(found(dir.path()), [] as [&str; 0]);
}

#[test]
fn writes_and_searches_go_on_beside_a_purge_and_none_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let engine = used(dir.path());
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..200 {
                put(&engine, "d", vec![with_crop(n + 10, n, 7)]);
            }
            done.store(true, Ordering::Relaxed);
        });
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                let id = PointId::Num(60);
                let crop = engine.face_image("c", &id, FaceImage::Crop).unwrap();
                assert_eq!(crop, Some(vec![160; 300]));
                let hits = engine.search("c", &common::query(vector(50), 3)).unwrap();
                assert_eq!(hits.len(), 3);
            }
        });
        for _ in 0..3 {
            engine.purge("c", OldBackups::Delete).unwrap();
        }
        reader.join().unwrap();
    });
    assert_eq!(engine.count("d").unwrap(), 201);
    survivors(&engine);
    engine.purge("c", OldBackups::Delete).unwrap();
    assert_eq!(found(dir.path()), [] as [&str; 0]);
}

#[test]
fn a_purge_that_is_cancelled_at_any_step_does_no_harm_and_can_be_asked_for_again() {
    for at in 0..5 {
        let dir = tempfile::tempdir().unwrap();
        let engine = used(dir.path());
        let mut told = Vec::new();
        let cancelled = engine.purge_watched("c", OldBackups::Delete, &mut |done, of| {
            told.push((done, of));
            done < at
        });
        assert!(matches!(cancelled, Err(Error::Cancelled)), "at {at}");
        assert_eq!(told, (0..=at).map(|done| (done, 5)).collect::<Vec<_>>());
        survivors(&engine);
        put(&engine, "c", vec![point(50, 50)]);
        let engine = if at % 2 == 0 {
            drop(engine);
            open(dir.path())
        } else {
            engine
        };
        survivors(&engine);
        engine.purge("c", OldBackups::Delete).unwrap();
        survivors(&engine);
        assert_eq!(found(dir.path()), [] as [&str; 0], "at {at}");
        // The first one moved pictures of `d`, of which snapshots say where they were.
        drop(engine);
        fs::remove_dir_all(dir.path().join("tables")).unwrap();
        survivors(&open(dir.path()));
    }
}
