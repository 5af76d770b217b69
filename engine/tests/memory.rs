//! What a collection takes of memory. One test in this file: it is counted for the whole process.

mod common;

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use common::{open, point};
use engine::{Ack, CollectionSpec, Metric, Point};

/// Bytes of this process that are in RAM.
fn resident() -> u64 {
    let pages = fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = pages
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

#[test]
fn what_a_dropped_collection_took_of_memory_is_given_back() {
    const DIM: usize = 512;
    let dir = tempfile::tempdir().unwrap();
    let engine = open(dir.path());
    let vector = |n: u64| -> Vec<f32> {
        let number = |at: u64| (n * 131 + at).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
        let number = |at| f32::from(u16::try_from(number(at)).unwrap());
        (0..DIM as u64).map(number).collect()
    };
    let round = |name: &str| {
        engine
            .create_collection(name, CollectionSpec::new(DIM, Metric::Euclid))
            .unwrap();
        for from in (0..4_000).step_by(500) {
            let new = |id| Point {
                vectors: vector(id).into(),
                ..point(id, id)
            };
            let points = (from..from + 500).map(new).collect();
            engine.upsert(name, points, Ack::Applied).unwrap();
        }
        let full = resident();
        engine.drop_collection(name).unwrap();
        full
    };
    round("warm");
    let before = resident();
    let mut fullest = 0;
    for n in 0..4 {
        fullest = fullest.max(round(&format!("c{n}")));
    }
    // Who looks through all collections in the background may have the last one for a moment longer.
    let limit = before + (8 << 20);
    let ends = Instant::now() + Duration::from_secs(10);
    while resident() >= limit && Instant::now() < ends {
        thread::sleep(Duration::from_millis(10));
    }
    let after = resident();
    // A collection's vectors and codes come to 12 MB, those of all that were dropped to 48.
    assert!(
        fullest > before + (4 << 20),
        "{before} {fullest}: it measures nothing"
    );
    assert!(after < limit, "{before}, {after} after");
}
