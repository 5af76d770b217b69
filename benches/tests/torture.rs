//! A small part of the torture, on every change; `--bin torture` has no end to it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use benches::torture::{Hammer, Tally, Until, bad_inputs, damage_every_byte, lives, scripts};

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
    let tally = scripts(1, Until::Rounds(1), 12, 1, dir.path());
    expect_clean(&tally);
    assert!(tally.crashes > 60 && tally.simulated_kills > 60, "{tally}");
}

#[test]
fn lives_that_end_in_cuts_kills_and_faults_lose_nothing() {
    let dir = scratch();
    let tally = lives(1, Until::Rounds(12), 2, dir.path());
    expect_clean(&tally);
    assert!(tally.operations > 500, "{tally}");
}

#[test]
fn one_number_brings_a_life_about_again_step_by_step() {
    let dir = scratch();
    let run = |seed| {
        let tally = lives(seed, Until::Rounds(2), 1, dir.path());
        expect_clean(&tally);
        (tally.fingerprint, tally.disk_steps)
    };
    let first = run(7);
    assert_eq!(run(7), first);
    assert_ne!(run(8), first);
}

#[test]
fn damaged_files_are_recovered_exactly_or_refused_by_name() {
    let dir = scratch();
    let tally = damage_every_byte(1, 701, Until::Rounds(1_000), dir.path()).unwrap();
    expect_clean(&tally);
    assert!(tally.flips > 50, "{tally}");
}

#[test]
fn bent_inputs_are_refused_and_never_panic() {
    let dir = scratch();
    let tally = bad_inputs(1, Until::Rounds(60), dir.path()).unwrap();
    expect_clean(&tally);
    assert!(tally.bad_inputs > 100, "{tally}");
}

#[test]
fn a_server_whose_power_is_cut_has_all_it_acknowledged() {
    let dir = scratch();
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_torture"));
    let Some(mut hammer) = Hammer::with_power_cuts(1, dir.path(), binary).unwrap() else {
        eprintln!("skipped: there is no C compiler to make the shim with");
        return;
    };
    while hammer.tally.power_cuts < 8 {
        hammer.round().unwrap();
        expect_clean(&hammer.tally);
    }
    // The last cut is looked at too.
    hammer.round().unwrap();
    expect_clean(&hammer.tally);
    assert!(hammer.tally.answers > 100, "{}", hammer.tally);
}
