//! Bytes of a whole, small data folder are flipped, and its files cut, one by one: it is recovered
//! exactly, or a start is refused with the file and the byte, or the collection is kept from being
//! served. Nothing panics, nothing is answered otherwise, nothing is taken for empty.
//!
//! Each trial runs on a draft, so that the folder need not be copied for it. Some bytes of each file
//! are tried here; `cargo test -p engine --test flips -- --ignored` tries all.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{contents, copied, filled, point};
use engine::{Ack, Engine, Options, PointId};
use storage::Draft;

const POINTS: u64 = 12;

/// Two checkpoints with the log since the first, as a killed process leaves them.
fn left_behind() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 4);
    for from in [4, 8] {
        engine.checkpoint().unwrap();
        let more = (from..from + 4).map(|id| point(id, id)).collect();
        engine.upsert("c", more, Ack::Applied).unwrap();
    }
    std::mem::forget(engine);
    copied(dir.path())
}

fn files(dir: &Path, ending: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap();
    let all = all.map(|entry| entry.unwrap().path());
    let mut all: Vec<_> = all
        .filter(|path| path.is_file() && path.to_str().unwrap().contains(ending))
        .collect();
    all.sort();
    all
}

#[derive(Debug, Clone, Copy)]
enum Harm {
    Flip,
    Cut,
}

/// Opens a draft of `dir` with one file harmed.
fn opened(dir: &Path, path: &Path, at: u64, harm: Harm) -> (Draft, Result<Engine, engine::Error>) {
    let draft = Draft::of(dir).unwrap();
    let disk = draft.disk();
    let file = disk.open(path).unwrap();
    match harm {
        Harm::Flip => {
            let mut byte = [0];
            file.read_at(&mut byte, at).unwrap();
            let bit = 1 << (at % 8);
            file.write_at(&[byte[0] ^ bit], at).unwrap();
        }
        Harm::Cut => file.set_len(at).unwrap(),
    }
    let engine = Engine::open(Options {
        disk,
        beside: Some(draft.beside().to_owned()),
        ..Options::new(dir)
    });
    (draft, engine)
}

fn try_bytes(every: usize) {
    let dir = left_behind();
    let mut tried = 0;
    let mut refused = 0;
    let all = [
        files(&dir.path().join("log"), ".log"),
        files(&dir.path().join("snapshots"), ".snap"),
        files(dir.path(), "manifest-"),
    ];
    for path in all.concat() {
        for at in (0..fs::metadata(&path).unwrap().len()).step_by(every) {
            for harm in [Harm::Flip, Harm::Cut] {
                tried += 1;
                let place = format!("{}, byte {at}, {harm:?}", path.display());
                refused += u64::from(is_refused(dir.path(), &path, at, harm, &place));
            }
        }
    }
    eprintln!("{tried} trials, {refused} starts refused");
    assert!(tried > 100 && refused > 10, "{tried} {refused}");
}

fn is_refused(dir: &Path, path: &Path, at: u64, harm: Harm, place: &str) -> bool {
    let (_draft, engine) = opened(dir, path, at, harm);
    match engine {
        Ok(engine) => {
            let whole = (0..POINTS).map(|id| (PointId::Num(id), id)).collect();
            assert_eq!(contents(&engine, "c"), whole, "{place}");
            engine.check("c").unwrap();
            false
        }
        Err(error) => {
            let told = error.to_string();
            let name = path.file_name().unwrap().to_str().unwrap();
            assert!(
                told.contains(name) && told.contains("at byte"),
                "{place}: {told}"
            );
            true
        }
    }
}

#[test]
fn a_harmed_file_is_recovered_from_exactly_or_named_with_the_byte() {
    try_bytes(43);
}

/// sled's file is as long as its segments, mostly zeros: only bytes that hold something are tried.
fn try_tables(every: usize) {
    let dir = left_behind();
    let bytes = fs::read(dir.path().join("tables/db")).unwrap();
    let used = (0..bytes.len()).filter(|at| bytes[*at] != 0);
    let (mut tried, mut rebuilt) = (0, 0);
    for at in used.step_by(every) {
        for harm in [Harm::Flip, Harm::Cut] {
            let draft = Draft::of(dir.path()).unwrap();
            let mut harmed = bytes.clone();
            match harm {
                Harm::Flip => harmed[at] ^= 1 << (at % 8),
                Harm::Cut => harmed.truncate(at),
            }
            fs::write(draft.beside().join("tables/db"), harmed).unwrap();
            let engine = Engine::open(Options {
                disk: draft.disk(),
                beside: Some(draft.beside().to_owned()),
                ..Options::new(dir.path())
            });
            let engine = engine.unwrap();
            let whole = (0..POINTS).map(|id| (PointId::Num(id), id)).collect();
            assert_eq!(
                contents(&engine, "c"),
                whole,
                "tables/db, byte {at}, {harm:?}"
            );
            tried += 1;
            rebuilt += u64::from(engine.status().tables_rebuilt.is_some());
        }
    }
    eprintln!("{tried} trials, tables rebuilt in {rebuilt}");
    assert!(tried > 20 && rebuilt > 5, "{tried} {rebuilt}");
}

#[test]
fn harmed_tables_are_rebuilt_and_the_answers_are_those_of_the_log() {
    try_tables(31);
}

#[test]
#[ignore = "minutes long: every byte"]
fn tables_with_any_byte_harmed_are_rebuilt_and_the_answers_are_those_of_the_log() {
    try_tables(1);
}

#[test]
#[ignore = "minutes long: every byte"]
fn every_harmed_byte_is_recovered_from_exactly_or_named_with_its_place() {
    try_bytes(1);
}
