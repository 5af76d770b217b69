//! Many threads at one engine, checkpoints in the background, and a disk that fails under it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
mod shared_log;

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use common::{contents, open, payload, point, query, vector};
use engine::{Ack, CollectionSpec, Engine, Error, Event, Metric, Options, Point, PointId};
use storage::Lsn;

const DIM: usize = 16;

/// Vectors of which no two are the same.
fn spread(n: u64) -> Vec<f32> {
    let bit = |at: usize| f32::from(u8::from(n >> at & 1 == 1));
    (0..DIM).map(|at| bit(at) * 10.0).collect()
}

fn spread_point(n: u64) -> Point {
    Point {
        id: PointId::Num(n),
        vectors: spread(n).into(),
        payload: payload(n),
        face: None,
    }
}

/// By the exact scan: this is about what can be seen, not about recall. The graph is asked too.
fn is_found(engine: &Engine, n: u64) -> bool {
    let mut nearest = query(spread(n), 1);
    assert_eq!(engine.search("c", &nearest).unwrap().len(), 1);
    nearest.exact = true;
    let hits = engine.search("c", &nearest).unwrap();
    hits.first()
        .is_some_and(|hit| hit.point.id == PointId::Num(n) && hit.score == 0.0)
}

#[test]
fn what_is_acknowledged_is_found_at_once_while_others_write_delete_and_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        checkpoint_log_bytes: 64 << 10,
        segment_bytes: 64 << 10,
        ..Options::new(dir.path())
    };
    let opened = Engine::open(options.clone()).unwrap();
    let engine = &opened;
    let spec = CollectionSpec::new(DIM, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    let put = &|from: u64, to: u64| {
        let points = (from..to).map(spread_point).collect();
        engine.upsert("c", points, Ack::Applied).unwrap();
    };
    put(0, 200);
    let writing = AtomicBool::new(true);
    thread::scope(|scope| {
        let writers = [1_000u64, 3_000].map(|first| {
            scope.spawn(move || {
                for from in (first..first + 1_500).step_by(50) {
                    put(from, from + 50);
                    assert!(is_found(engine, from + 49), "point {}", from + 49);
                    let gone = PointId::Num(from);
                    engine.delete("c", vec![gone], Ack::Applied).unwrap();
                    assert!(!is_found(engine, from), "deleted point {from}");
                }
            })
        });
        scope.spawn(|| {
            while writing.load(Ordering::Relaxed) {
                engine.checkpoint().unwrap();
            }
        });
        let searcher = scope.spawn(|| {
            let mut searches = 0;
            while writing.load(Ordering::Relaxed) {
                assert!(is_found(engine, searches % 200), "{}", searches % 200);
                searches += 1;
            }
        });
        let wrote = writers.map(thread::ScopedJoinHandle::join);
        writing.store(false, Ordering::Relaxed);
        searcher.join().unwrap();
        wrote.into_iter().for_each(Result::unwrap);
    });
    engine.check("c").unwrap();
    assert_eq!(engine.count("c").unwrap(), 200 + 2 * (1_500 - 30));
    drop(opened);
    let engine = Engine::open(options).unwrap();
    engine.check("c").unwrap();
    assert_eq!(engine.count("c").unwrap(), 200 + 2 * (1_500 - 30));
}

/// Opens an engine whose checkpoints are told, and puts some points.
fn first_checkpoint(change: impl FnOnce(&mut Options)) -> Lsn {
    let dir = tempfile::tempdir().unwrap();
    let (told, checkpoints) = channel();
    let mut options = Options::new(dir.path());
    options.observer = Some(Arc::new(move |event| {
        if let Event::Checkpoint { lsn, .. } = event {
            // The last one, at the end, comes when nobody listens any more.
            let _ = told.send(lsn);
        }
    }));
    change(&mut options);
    let engine = Engine::open(options).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    let points = (0..100).map(|n| point(n, n)).collect();
    engine.upsert("c", points, Ack::Applied).unwrap();
    checkpoints.recv_timeout(Duration::from_secs(60)).unwrap()
}

#[test]
fn a_checkpoint_is_taken_in_the_background_when_the_log_has_grown() {
    let lsn = first_checkpoint(|options| options.checkpoint_log_bytes = 1_000);
    assert!(lsn > Lsn(0));
}

#[test]
fn a_small_folder_gets_one_long_before_its_log_has_grown_by_what_was_said() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        checkpoint_log_bytes: 1 << 40,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    let created = engine.status().checkpoint_lsn;
    let long = "x".repeat(100_000);
    let put = |n: u64| {
        let payload = serde_json::json!({ "long": long });
        let mut point = point(n, n);
        point.payload = payload.as_object().unwrap().clone();
        point
    };
    for n in 0..40 {
        let points = (10 * n..10 * n + 10).map(put).collect();
        engine.upsert("c", points, Ack::Applied).unwrap();
    }
    let began = std::time::Instant::now();
    while engine.status().checkpoint_lsn == created {
        assert!(began.elapsed() < Duration::from_secs(60), "no checkpoint");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn a_checkpoint_is_taken_in_the_background_when_time_has_passed() {
    let lsn = first_checkpoint(|options| options.checkpoint_interval = Duration::from_millis(1));
    assert!(lsn > Lsn(0));
}

#[test]
fn a_disk_error_stops_writing_but_not_reading_and_a_restart_mends_it() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("log");
    let away = dir.path().join("log-away");
    let options = Options {
        segment_bytes: 4 << 10,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    fs::rename(&log, &away).unwrap();
    let put = |n: u64| engine.upsert("c", vec![point(n, n)], Ack::Applied);
    // The open segment takes some more; the next one cannot be made.
    let acknowledged = (0..10_000).take_while(|n| put(*n).is_ok()).count() as u64;
    assert!(acknowledged > 0 && acknowledged < 10_000);
    assert!(engine.status().read_only.is_some());
    assert!(matches!(put(20_000), Err(Error::ReadOnly(_))));
    let gone = engine.delete("c", vec![PointId::Num(0)], Ack::Applied);
    assert!(matches!(gone, Err(Error::ReadOnly(_))));
    let hits = engine.search("c", &query(vector(0), 1)).unwrap();
    assert_eq!(hits[0].point.id, PointId::Num(0));
    drop(engine);
    fs::rename(&away, &log).unwrap();
    let engine = open(dir.path());
    let held = contents(&engine, "c");
    // The write that failed may be there; none that was acknowledged may be missing.
    assert!((0..acknowledged).all(|n| held.get(&PointId::Num(n)) == Some(&n)));
    assert!(held.len() as u64 <= acknowledged + 1);
    engine.upsert("c", vec![point(5, 6)], Ack::Applied).unwrap();
    engine.check("c").unwrap();
}
