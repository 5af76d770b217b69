//! A small part of the torture, on every change; `--bin torture` has no end to it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use benches::Process;
use benches::torture::{
    Full, Hammer, Power, Tally, Until, bad_inputs, damage_every_byte, lives, scripts,
};
use serde_json::json;

/// Tables lie where a sync costs nothing, if there is such a place: they are no part of what is
/// simulated.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

const BINARY: &str = env!("CARGO_BIN_EXE_torture");

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
    let Some(mut hammer) = Hammer::with_power_cuts(1, dir.path(), BINARY.as_ref()).unwrap() else {
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

#[test]
fn an_operator_a_full_disk_and_power_cuts_together_lose_nothing_and_every_start_succeeds() {
    let dir = scratch();
    let Some(hammer) = Hammer::with_power_cuts(5, dir.path(), BINARY.as_ref()).unwrap() else {
        eprintln!("skipped: there is no C compiler to make the shim with");
        return;
    };
    let mut hammer = hammer.in_trouble();
    while hammer.tally.power_cuts < 12 || hammer.tally.faults < 2 {
        hammer.round().unwrap();
        expect_clean(&hammer.tally);
    }
    hammer.round().unwrap();
    expect_clean(&hammer.tally);
}

#[test]
fn on_a_full_disk_writes_answer_507_searches_go_on_and_a_start_with_room_has_everything() {
    let dir = scratch();
    let data = dir.path().join("data");
    let Some(power) = Power::over(&data, &dir.path().join("power")).unwrap() else {
        eprintln!("skipped: there is no C compiler to make the shim with");
        return;
    };
    let start = || {
        let mut command = std::process::Command::new(BINARY);
        command.arg("--serve").arg(dir.path());
        power.watch(&mut command);
        let mut server = Process::spawn(command).unwrap();
        server.wait_ready().unwrap();
        server
    };
    let point = |id: u64| json!({"id": id, "vector": [1, id], "payload": {"n": id}});
    let put = |server: &Process, id| {
        let body = json!({"points": [point(id)]});
        let put = server.call("PUT", "/collections/v/points?wait=true", Some(&body));
        put.unwrap()
    };
    let found = |server: &Process| {
        let body = json!({"query": [1, 1], "limit": 100, "with_payload": true});
        let hits = server.send("POST", "/collections/v/points/query", &body);
        let hits = hits.unwrap()["points"].as_array().unwrap().clone();
        hits.iter()
            .map(|hit| (hit["id"].as_u64(), hit["payload"]["n"].as_u64()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let mut server = start();
    let config = json!({"vectors": {"size": 2, "distance": "Dot"}});
    server.send("PUT", "/collections/v", &config).unwrap();
    let mut due = std::collections::BTreeSet::new();
    for (round, full) in [(0, Full::NoSpace), (1, Full::ReadOnly)] {
        for id in round * 10..round * 10 + 5 {
            assert_eq!(put(&server, id).0, 200);
            due.insert((Some(id), Some(id)));
        }
        power.fill(full).unwrap();
        for _ in 0..3 {
            let (status, text) = put(&server, 99);
            assert_eq!(status, 507, "{text}");
            assert!(text.contains("until a restart"), "{text}");
        }
        assert_eq!(found(&server), due);
        assert_eq!(server.call("GET", "/livez", None).unwrap().0, 200);
        power.empty().unwrap();
        assert_eq!(put(&server, 99).0, 507, "only a restart resumes");
        server.kill().unwrap();
        server = start();
        assert_eq!(found(&server), due);
    }
    assert_eq!(put(&server, 99).0, 200);
}

/// sled puts a page in order when it is next read: one of 17 rows is split. Tables that have failed
/// can do no such thing, so that a page which nobody read in time cannot be read any more.
#[test]
fn searches_bring_payloads_along_when_tables_that_met_the_full_disk_refuse_to_be_read() {
    let dir = scratch();
    let data = dir.path().join("data");
    let Some(power) = Power::over(&data, &dir.path().join("power")).unwrap() else {
        eprintln!("skipped: there is no C compiler to make the shim with");
        return;
    };
    // A checkpoint would read all pages.
    let mut command = std::process::Command::new(BINARY);
    command.args(["--checkpoint-every", "1000", "--serve"]);
    power.watch(command.arg(dir.path()));
    let mut server = Process::spawn(command).unwrap();
    server.wait_ready().unwrap();
    let config = json!({"vectors": {"size": 2, "distance": "Dot"}});
    server.send("PUT", "/collections/v", &config).unwrap();
    let put = |ids: &[u64], text: &str| {
        let points = ids
            .iter()
            .map(|id| json!({"id": id, "vector": [1, id], "payload": {"n": id, "text": text}}));
        let body = json!({"points": points.collect::<Vec<_>>()});
        let put = server.call("PUT", "/collections/v/points?wait=true", Some(&body));
        put.unwrap().0
    };
    // Here and there, so that pages are of every size from 9 to 17 rows.
    let scattered: Vec<u64> = (0..1_200).map(|n| n * 7_919 % 10_007).collect();
    for ids in scattered.chunks(60) {
        assert_eq!(put(ids, ""), 200);
    }
    power.fill(Full::Tables).unwrap();
    let text = "x".repeat(10_000);
    let mut beyond = 20_000..21_000;
    while put(&[beyond.next().unwrap()], &text) == 200 {}
    let body = json!({"limit": 10_000, "with_payload": true});
    let page = server.send("POST", "/collections/v/points/scroll", &body);
    let page = page.unwrap();
    let found = page["points"].as_array().unwrap();
    assert!(found.len() >= scattered.len());
    let ids: std::collections::BTreeSet<_> = found.iter().map(|it| it["id"].as_u64()).collect();
    assert!(scattered.iter().all(|id| ids.contains(&Some(*id))));
    assert!(found.iter().all(|it| it["id"] == it["payload"]["n"]));
    power.empty().unwrap();
}

#[test]
fn searches_bring_payloads_along_when_it_is_the_tables_that_met_the_full_disk() {
    let dir = scratch();
    let data = dir.path().join("data");
    let Some(power) = Power::over(&data, &dir.path().join("power")).unwrap() else {
        eprintln!("skipped: there is no C compiler to make the shim with");
        return;
    };
    let start = || {
        let mut command = std::process::Command::new(BINARY);
        command.arg("--serve").arg(dir.path());
        power.watch(&mut command);
        let mut server = Process::spawn(command).unwrap();
        server.wait_ready().unwrap();
        server
    };
    let text = "x".repeat(3_000);
    let put = |server: &Process, from: u64| {
        let points = (from..from + 20)
            .map(|id| json!({"id": id, "vector": [1, id], "payload": {"n": id, "text": text}}));
        let body = json!({"points": points.collect::<Vec<_>>()});
        let put = server.call("PUT", "/collections/v/points?wait=true", Some(&body));
        put.unwrap().0
    };
    let expect = |server: &Process, count: u64| {
        let body = json!({"query": [1, 1], "limit": 2_000, "with_payload": true});
        let found = server.send("POST", "/collections/v/points/query", &body);
        let page = json!({"limit": 2_000, "with_payload": true});
        let paged = server.send("POST", "/collections/v/points/scroll", &page);
        for points in [found.unwrap(), paged.unwrap()] {
            let points = points["points"].as_array().unwrap();
            assert_eq!(points.len() as u64, count);
            for point in points {
                assert_eq!(point["id"], point["payload"]["n"]);
            }
        }
    };
    let server = start();
    let config = json!({"vectors": {"size": 2, "distance": "Dot"}});
    server.send("PUT", "/collections/v", &config).unwrap();
    let mut count = 0;
    while count < 400 {
        assert_eq!(put(&server, count), 200);
        count += 20;
    }
    power.fill(Full::Tables).unwrap();
    // Each of these changes rows of before too, whose payloads change with it.
    let change = json!({"payload": {"more": true}, "filter": {}});
    while put(&server, count) == 200 {
        count += 20;
        assert!(count < 10_000, "the tables take everything");
        let changed = server.call("POST", "/collections/v/points/payload", Some(&change));
        assert!(matches!(changed.unwrap().0, 200 | 507));
    }
    expect(&server, count);
    assert_eq!(put(&server, count), 507, "only a restart resumes");
    power.empty().unwrap();
    server.kill().unwrap();
    let server = start();
    // What was refused last may have been durable already.
    let refused = json!({"ids": [count]});
    let there = server
        .send("POST", "/collections/v/points", &refused)
        .unwrap();
    if there.as_array().is_some_and(|there| !there.is_empty()) {
        count += 20;
    }
    expect(&server, count);
    assert_eq!(put(&server, count), 200);
}
