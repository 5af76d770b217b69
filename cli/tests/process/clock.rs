//! A wall clock that somebody sets, forward and back, under a running server.

use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use super::Server;

const YEAR: i64 = 365 * 24 * 3_600;

/// What moves the wall clock of a process; nothing where there is no C compiler.
fn clock_shim(dir: &Path) -> Option<String> {
    let (source, shim) = (dir.join("clock.c"), dir.join("clock.so"));
    std::fs::write(&source, include_str!("clock.c")).unwrap();
    let mut compiler = Command::new("cc");
    compiler
        .args(["-shared", "-fPIC", "-o"])
        .args([&shim, &source]);
    let compiled = compiler.arg("-ldl").output().ok()?;
    assert!(compiled.status.success(), "{compiled:?}");
    Some(shim.to_str().unwrap().to_owned())
}

/// At once: a clock that is read while the file is empty would be right for a moment.
fn set(shift: &Path, seconds: i64) {
    let next = shift.with_extension("next");
    std::fs::write(&next, seconds.to_string()).unwrap();
    std::fs::rename(&next, shift).unwrap();
}

/// Whether nothing expires for now.
fn waits(server: &Server) -> bool {
    let metrics = server.send("GET", "/metrics", &Value::Null).1;
    metrics.contains("\ndoppel_retention_waiting 1\n")
}

fn count(server: &Server, name: &str) -> Value {
    let path = format!("/collections/{name}/points/count");
    let counted = server.send("POST", &path, &json!({})).1;
    serde_json::from_str::<Value>(&counted).unwrap()["result"]["count"].clone()
}

#[test]
fn a_clock_that_jumps_loses_nothing_and_answers_go_on() {
    let dir = tempfile::tempdir().unwrap();
    let Some(shim) = clock_shim(dir.path()) else {
        eprintln!("skipped: there is no C compiler (cc)");
        return;
    };
    let shift = dir.path().join("shift");
    let jump = |seconds| set(&shift, seconds);
    let settings = [
        ("LD_PRELOAD", shim.as_str()),
        ("CLOCK_SHIFT", shift.to_str().unwrap()),
        ("DOPPEL_CHECKPOINT__INTERVAL_S", "1"),
        ("DOPPEL_RETENTION__SWEEP_S", "1"),
        ("DOPPEL_LOG_OUTPUT__SLOW_MS", "60000"),
    ];
    jump(0);
    let mut server = Server::start(dir.path(), &settings);
    let collection = json!({"vectors": {"size": 2, "distance": "Dot"}, "ttl_s": 3600});
    for name in ["v", "w"] {
        let made = server.send("PUT", &format!("/collections/{name}"), &collection);
        assert_eq!(made.0, 200, "{}", made.1);
    }
    let stays = server.send("PATCH", "/collections/v", &json!({"ttl_s": 0}));
    assert_eq!(stays.0, 200, "{}", stays.1);
    // Back to before 1970 too, where no time can be told.
    let jumps = [0, 10 * YEAR, -YEAR, 30, -80 * YEAR, 1, 100 * YEAR, 0];
    for (at, seconds) in (1..).zip(jumps) {
        jump(seconds);
        for name in ["v", "w"] {
            let points = json!({"points": [{"id": at, "vector": [at, 1]}]});
            let path = format!("/collections/{name}/points?wait=true");
            let put = server.send("PUT", &path, &points);
            assert_eq!(put.0, 200, "after {seconds}: {}", put.1);
            let path = format!("/collections/{name}/points/query");
            let found = server.send("POST", &path, &json!({"query": [1, 0], "limit": 1}));
            let found: Value = serde_json::from_str(&found.1).unwrap();
            assert_eq!(
                found["result"]["points"][0]["id"], at,
                "after {seconds}: {found}"
            );
            assert!(found["time"].as_f64().unwrap() < 60.0, "{found}");
        }
        for path in ["/admin/checkpoint", "/collections/v/snapshots"] {
            let done = server.send("POST", path, &json!({}));
            assert_eq!(done.0, 200, "{path} after {seconds}: {}", done.1);
        }
        assert_eq!(server.send("GET", "/readyz", &Value::Null).0, 200);
        // A sweep has to see a jump: of a clock that goes and comes back between two of them nobody knows.
        let started = std::time::Instant::now();
        while at == 2 && !waits(&server) {
            assert!(started.elapsed().as_secs() < 60, "the jump was not noticed");
        }
    }
    let backups = server
        .send("GET", "/collections/v/snapshots", &Value::Null)
        .1;
    let backups: Value = serde_json::from_str(&backups).unwrap();
    assert_eq!(backups["result"].as_array().unwrap().len(), jumps.len());
    assert_eq!(count(&server, "v"), jumps.len());
    // A clock that jumps is not trusted: what would be over by it stays for now.
    assert_eq!(count(&server, "w"), jumps.len());
    let metrics = server.send("GET", "/metrics", &Value::Null).1;
    let negative = metrics
        .lines()
        .find(|line| line.contains("_sum") && line.contains(" -"));
    assert_eq!(negative, None);
    jump(5 * YEAR);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    server = Server::start(dir.path(), &settings);
    assert_eq!(count(&server, "v"), jumps.len());
    // Nor is it after a restart, however long the clock is wrong already.
    let started = std::time::Instant::now();
    while !waits(&server) {
        assert!(started.elapsed().as_secs() < 60, "the jump was forgotten");
    }
    assert_eq!(count(&server, "w"), jumps.len());
}

#[test]
fn a_jump_of_the_clock_outlives_a_kill_before_the_next_sweep() {
    let dir = tempfile::tempdir().unwrap();
    let Some(shim) = clock_shim(dir.path()) else {
        eprintln!("skipped: there is no C compiler (cc)");
        return;
    };
    let shift = dir.path().join("shift");
    let settings = |sweep_s| {
        [
            ("LD_PRELOAD", shim.as_str()),
            ("CLOCK_SHIFT", shift.to_str().unwrap()),
            ("DOPPEL_RETENTION__SWEEP_S", sweep_s),
        ]
    };
    set(&shift, 0);
    let mut server = Server::start(dir.path(), &settings("3600"));
    let collection = json!({"vectors": {"size": 2, "distance": "Dot"}, "ttl_s": 3600});
    let made = server.send("PUT", "/collections/w", &collection);
    assert_eq!(made.0, 200, "{}", made.1);
    let points = json!({"points": [{"id": 1, "vector": [1, 1]}]});
    let put = server.send("PUT", "/collections/w/points?wait=true", &points);
    assert_eq!(put.0, 200, "{}", put.1);
    let noted = dir.path().join("data/CLOCK");
    let started = std::time::Instant::now();
    while !noted.exists() {
        let passed = started.elapsed().as_secs();
        assert!(passed < 60, "the jump was not noted");
        // Again, for the first may come before anybody looks.
        set(&shift, 10 * YEAR * i64::try_from(1 + passed / 3).unwrap());
    }
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    server = Server::start(dir.path(), &settings("1"));
    let started = std::time::Instant::now();
    while !waits(&server) {
        assert!(started.elapsed().as_secs() < 60, "the jump was forgotten");
    }
    assert_eq!(count(&server, "w"), 1);
}
