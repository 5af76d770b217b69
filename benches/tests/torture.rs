//! A small part of the torture, on every change; `--bin torture` has no end to it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use benches::torture::{Tally, bad_inputs, crash_at_every_step, damage_every_byte, lives};

/// Tables lie where a sync costs nothing, if there is such a place: they are no part of what is
/// simulated.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn expect_clean(tally: &Tally) {
    assert!(tally.is_clean(), "{tally}");
}

#[test]
fn power_or_the_process_may_go_at_every_step_of_an_engine() {
    let dir = scratch();
    let tally = crash_at_every_step(1, 24, 3, dir.path());
    expect_clean(&tally);
    assert!(tally.crashes > 20 && tally.simulated_kills > 20, "{tally}");
}

#[test]
fn lives_that_end_in_cuts_kills_and_faults_lose_nothing() {
    let dir = scratch();
    let until = Instant::now() + Duration::from_secs(10);
    let tally = lives(1, until, dir.path());
    expect_clean(&tally);
    assert!(tally.operations > 100, "{tally}");
}

#[test]
fn damaged_files_are_recovered_exactly_or_refused_by_name() {
    let dir = scratch();
    let until = Instant::now() + Duration::from_secs(15);
    let tally = damage_every_byte(1, 61, until, dir.path()).unwrap();
    expect_clean(&tally);
    assert!(tally.flips > 50, "{tally}");
}

#[test]
fn bent_inputs_are_refused_and_never_panic() {
    let dir = scratch();
    let until = Instant::now() + Duration::from_secs(3);
    let tally = bad_inputs(1, until, dir.path()).unwrap();
    expect_clean(&tally);
    assert!(tally.bad_inputs > 100, "{tally}");
}
