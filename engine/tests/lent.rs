//! Vectors are used where a snapshot has them only for a while, and what has rotted there meanwhile goes
//! nowhere else. One test in this file: it looks at the maps of its process.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::{contents, expect_filled, filled, point};
use engine::{Ack, Engine, OldBackups, Options};

/// The files in `snapshots/` of a folder that this process maps, also such as have gone.
fn mapped(dir: &Path) -> Vec<String> {
    let snapshots = dir.join("snapshots");
    let snapshots = snapshots.to_str().unwrap();
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let lines = maps
        .lines()
        .filter_map(|line| line.find(snapshots).map(|at| &line[at..]));
    lines.map(str::to_owned).collect()
}

/// However few there are.
fn open(dir: &Path) -> Engine {
    let options = Options {
        lend_bytes: 1,
        ..Options::new(dir)
    };
    Engine::open(options).unwrap()
}

/// In the first section, which has the vectors.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[64 + 3] ^= 1;
    // In place, as a disk does it: whoever maps the file sees it.
    use std::os::unix::fs::FileExt;
    let file = fs::OpenOptions::new().write(true).open(path).unwrap();
    file.write_all_at(&bytes, 0).unwrap();
}

#[test]
fn a_snapshot_is_let_go_of_and_what_rots_in_it_before_is_not_taken_over() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 40);
    engine.checkpoint().unwrap();
    engine.upsert("c", vec![point(0, 0)], Ack::Applied).unwrap();
    engine.checkpoint().unwrap();
    drop(engine);

    // Few vectors are not worth a handle.
    let engine = common::open(dir.path());
    assert_eq!(mapped(dir.path()), [""; 0]);
    drop(engine);

    // It is not needed for long, though nothing is written.
    let engine = open(dir.path());
    assert!(!mapped(dir.path()).is_empty(), "used where they stand");
    let started = Instant::now();
    while !mapped(dir.path()).is_empty() {
        assert!(started.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(contents(&engine, "c").len(), 40);
    engine.check("c").unwrap();
    drop(engine);

    // Nor is it held on to once it shall be gone.
    let engine = open(dir.path());
    engine.purge("c", OldBackups::Keep).unwrap();
    assert_eq!(mapped(dir.path()), [""; 0]);
    assert!(engine.status().no_checkpoint.is_none());
    drop(engine);

    // What has rotted is not written into a new one under a good checksum, and stops nothing.
    let engine = open(dir.path());
    let newest = PathBuf::from(&mapped(dir.path())[0]);
    rot(&newest);
    let found = engine.examine(&mut |_, _| true).unwrap();
    assert!(!found.mended && found.damaged.len() == 1, "{found:?}");
    assert!(engine.purge("c", OldBackups::Keep).is_err());
    // Whoever looks is told, and what a restart would do.
    let status = engine.status();
    assert!(status.read_only.is_none());
    let told = status.no_checkpoint.unwrap().to_string();
    assert!(told.contains("`c`") && told.contains("restart"), "{told}");
    // A change that would copy it stops all writing, and is there after the next start.
    let met = engine.upsert("c", vec![point(40, 40)], Ack::Applied);
    assert!(matches!(met, Err(engine::Error::ReadOnly(_))), "{met:?}");
    assert!(newest.exists());
    drop(engine);
    // The checkpoint before it has all.
    expect_filled(dir.path(), 41);
}
