//! What operators have done while everything is served: a compaction, a look at all files, a warm-up.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{contents, copied, expect_filled, filled, open, point};
use engine::{Ack, CollectionSpec, Engine, Error, Metric, PointId};

fn snapshots(dir: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(dir.join("snapshots")).unwrap();
    let mut files: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(file: &Path, at: usize) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

/// With two collections and two checkpoints, none of which has changed since.
fn at_rest(dir: &Path) -> Engine {
    let engine = filled(dir, 40);
    let spec = CollectionSpec::new(4, Metric::Dot);
    engine.create_collection("d", spec).unwrap();
    engine.upsert("d", vec![point(1, 1)], Ack::Applied).unwrap();
    engine.checkpoint().unwrap();
    engine.checkpoint().unwrap();
    engine
}

#[test]
fn what_rots_in_a_checkpoint_is_found_and_written_anew_while_it_is_served() {
    let dir = tempfile::tempdir().unwrap();
    let engine = at_rest(dir.path());
    let mut far = (0, 0);
    let whole = engine.examine(&mut |done, of| {
        far = (done, of);
        true
    });
    let whole = whole.unwrap();
    assert_eq!(far, (4, 4));
    assert_eq!((whole.snapshots, whole.backups), (4, 0));
    assert!(whole.damaged.is_empty() && whole.mended, "{whole:?}");
    for round in 0..4 {
        // Each file in turn; what is written anew has other names.
        let files = snapshots(dir.path());
        let bad = &files[round];
        flip(bad, fs::read(bad).unwrap().len() * (round + 1) / 6);
        let found = engine.examine(&mut |_, _| true).unwrap();
        let [what] = found.damaged.as_slice() else {
            panic!("{found:?}")
        };
        let name = bad.file_name().unwrap().to_string_lossy();
        assert!(what.contains(&*name) && found.mended, "{found:?}");
        let again = engine.examine(&mut |_, _| true).unwrap();
        assert!(again.damaged.is_empty(), "{again:?}");
        assert_eq!(snapshots(dir.path()).len(), 4);
        // Each of the two checkpoints is enough: whichever is lost.
        for lost in snapshots(dir.path()) {
            let copy = copied(dir.path());
            fs::remove_file(
                copy.path()
                    .join("snapshots")
                    .join(lost.file_name().unwrap()),
            )
            .unwrap();
            assert_eq!(contents(&open(copy.path()), "c").len(), 40);
        }
    }
    drop(engine);
    expect_filled(dir.path(), 40);
}

#[test]
fn a_manifest_that_rots_or_goes_is_told_and_both_checkpoints_are_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let engine = at_rest(dir.path());
    let manifests = || {
        let names = fs::read_dir(dir.path()).unwrap();
        let names = names.map(|entry| entry.unwrap().path());
        let is_one = |path: &PathBuf| path.to_str().unwrap().contains("manifest-");
        let mut all: Vec<_> = names.filter(is_one).collect();
        all.sort();
        all
    };
    for at in [0, 1] {
        for gone in [false, true] {
            let harmed = manifests()[at].clone();
            match gone {
                false => flip(&harmed, 40),
                true => fs::remove_file(&harmed).unwrap(),
            }
            let found = engine.examine(&mut |_, _| true).unwrap();
            let told = found.damaged.join("; ");
            assert!(told.contains("checkpoint at LSN"), "{told}");
            let name = harmed.file_name().unwrap().to_str().unwrap();
            assert!(gone || told.contains(name), "{told}");
            assert!(found.mended && manifests().len() == 2 && !manifests().contains(&harmed));
            let again = engine.examine(&mut |_, _| true).unwrap();
            assert_eq!(again.damaged, [""; 0]);
        }
    }
    drop(engine);
    expect_filled(dir.path(), 40);
}

#[test]
fn an_examination_ends_when_it_is_told_to_and_tells_what_it_had_found() {
    let dir = tempfile::tempdir().unwrap();
    let engine = at_rest(dir.path());
    let bad = engine.create_backup(Some("c")).unwrap().name;
    engine.create_backup(None).unwrap();
    flip(&dir.path().join("backups/collections/c").join(&bad), 200);
    let mut asked = 0;
    let all = engine
        .examine(&mut |_, _| {
            asked += 1;
            true
        })
        .unwrap();
    assert!(all.complete && !all.mended, "{all:?}");
    assert_eq!((all.snapshots, all.backups), (4, 2));
    let mut told = Vec::new();
    for last in 0..asked {
        let mut left = last;
        let part = engine.examine(&mut |_, _| {
            left -= 1;
            left >= 0
        });
        let part = part.unwrap();
        assert!(!part.complete, "{last}: {part:?}");
        assert!(left < 0, "{last}: it went on");
        told.push((part.snapshots, part.backups, part.damaged.len()));
    }
    assert!(told.is_sorted(), "{told:?}");
    assert_eq!(told[0], (0, 0, 0));
    // In the middle of the second backup what is wrong with the first is known.
    assert_eq!(told.last(), Some(&(4, 1, 1)));
}

#[test]
fn a_backup_that_rots_is_told_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let engine = at_rest(dir.path());
    let made = engine.create_backup(Some("c")).unwrap();
    let path = dir.path().join("backups/collections/c").join(&made.name);
    flip(&path, 200);
    let found = engine.examine(&mut |_, _| true).unwrap();
    assert_eq!((found.backups, found.mended), (1, false));
    assert!(
        found.damaged.iter().any(|what| what.contains(&made.name)),
        "{found:?}"
    );
    assert!(path.exists());
}

#[test]
fn a_compaction_loses_nothing_wherever_it_ends_and_releases_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let engine = at_rest(dir.path());
    for round in 0..50 {
        let points = (0..40).map(|id| point(id, id + round % 2)).collect();
        engine.upsert("c", points, Ack::Applied).unwrap();
    }
    engine
        .upsert("c", (0..40).map(|id| point(id, id)).collect(), Ack::Applied)
        .unwrap();
    let wanted = contents(&engine, "c");
    for last in 0..4 {
        let mut go_on = |done: u64, _: u64| done < last;
        let ended = engine.compact(&mut go_on);
        assert!(matches!(ended, Err(Error::Cancelled)), "{ended:?}");
        assert_eq!(contents(&engine, "c"), wanted);
        let copy = copied(dir.path());
        assert_eq!(contents(&expect_filled(copy.path(), 40), "c"), wanted);
    }
    let before = engine.status().log_bytes;
    let mut told = Vec::new();
    let done = engine.compact(&mut |done, of| {
        told.push((done, of));
        true
    });
    let done = done.unwrap();
    assert_eq!(told, [(0, 4), (1, 4), (2, 4), (3, 4), (4, 4)]);
    assert_eq!(done.log_bytes.0, before);
    assert!(
        done.log_bytes.1 <= before && done.log_bytes.1 < 4_096,
        "{done:?}"
    );
    assert_eq!(contents(&engine, "c"), wanted);
    // Again, with nothing changed in between: each checkpoint has files of its own.
    for _ in 0..3 {
        engine.compact(&mut |_, _| true).unwrap();
        assert!(engine.examine(&mut |_, _| true).unwrap().damaged.is_empty());
    }
    drop(engine);
    expect_filled(dir.path(), 40);
}

#[test]
fn a_warm_up_reads_every_point_and_ends_when_it_is_told_to() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 200);
    engine
        .delete("c", vec![PointId::Num(3)], Ack::Applied)
        .unwrap();
    let mut told = Vec::new();
    let warmed = engine.warm_up("c", &mut |done, of| {
        told.push((done, of));
        true
    });
    let warmed = warmed.unwrap();
    assert_eq!((warmed.points, warmed.vectors), (199, 199));
    assert_eq!(told.last(), Some(&(199, 199)));
    let ended = engine.warm_up("c", &mut |done, _| done < 64);
    assert!(matches!(ended, Err(Error::Cancelled)));
    assert!(matches!(
        engine.warm_up("none", &mut |_, _| true),
        Err(Error::NoCollection(_))
    ));
}
