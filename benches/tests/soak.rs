//! A small part of the soak, on every change; `--bin soak` goes on for as long as one likes.
#![cfg(target_os = "linux")]

use std::time::Duration;

use benches::Process;
use benches::soak::{Flat, Size, Soak};

/// Rooms for what takes its place in the first seconds of any life.
const FLAT: Flat = Flat {
    memory: 1.5,
    handles: 8,
    disk: 1.6,
    recall: 0.03,
    p99: None,
};

#[test]
fn memory_handles_disk_and_recall_are_flat_under_a_mixed_load() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_torture"));
    command.arg("--serve").arg(dir.path());
    let mut server = Process::spawn(command).unwrap();
    server.wait_ready().unwrap();
    let size = Size {
        seed: 1,
        points: 2_000,
        dim: 32,
        queries: 50,
    };
    let mut soak = Soak::begin(&server, dir.path(), size).unwrap();
    let looks: Vec<_> = (0..4)
        .map(|_| soak.interval(Duration::from_secs(4)).unwrap())
        .collect();
    for look in &looks {
        eprintln!("{look}");
        assert!(look.operations > 100 && look.recall > 0.9, "{look}");
    }
    assert_eq!(FLAT.violations(&looks), Vec::<String>::new());
    server.stop().unwrap();
}
