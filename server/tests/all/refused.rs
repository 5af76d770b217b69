//! Servers of NATS that refuse: what they say is told at once, and what a node waits for from the first second on.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Server, fake, until};
use crate::replicas::nats::{ALWAYS, Nats, free_ports};
use crate::shards::{KEY, node, spread};

/// Less than servers are waited for.
const AT_ONCE: Duration = Duration::from_secs(6);

/// Points of some hundred kilobytes.
fn large(id: u64) -> Value {
    let points = (0..3).map(|n| {
        json!({"id": 3 * id + n, "vector": [id, n, 0, 0, 0, 0, 0, 0], "payload": {"text": "x".repeat(100_000)}})
    });
    json!({"points": points.collect::<Vec<_>>()})
}

/// What is said where there is no room any more.
fn filled(server: &Server, name: &str) -> Answer {
    let path = format!("/collections/{name}/points?wait=true");
    for id in 0..200 {
        let started = Instant::now();
        let answer = server.put(&path, &large(id));
        if answer.status != 200 {
            assert!(started.elapsed() < AT_ONCE, "{:?}", started.elapsed());
            return answer;
        }
    }
    panic!("there is always room");
}

#[test]
fn servers_without_room_are_told_at_once_with_what_to_do_and_searches_go_on() {
    let little = format!("{ALWAYS}, max_file_store: 8MB");
    let Some(nats) = Nats::start(1, &little) else {
        return;
    };
    let server = node(&nats, "all", KEY);
    spread(&server, "spread", "Euclid");
    server.with_vectors("whole", 8, "Euclid");
    let full = filled(&server, "whole");
    let status = full.body()["status"].clone();
    assert_eq!(
        (&status["short_of"], &status["unwritten"]),
        (&json!("disk"), &json!(true))
    );
    let told = full.refused(507);
    assert!(
        told.contains("the log takes nothing now")
            && told.contains("it was not written: raise the limits"),
        "{told}"
    );
    // Of shards it is told which are not done, and of none that it may be.
    let told = filled(&server, "spread").refused(507);
    assert!(
        told.contains("not done: the log takes nothing now") && !told.contains("may be done"),
        "{told}"
    );
    let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 3});
    server
        .post("/collections/whole/points/search", &search)
        .ok();
    until(|| server.get("/readyz").status == 200);
}

/// How long it takes until a node that cannot begin says why.
fn is_named(settings: &[(&'static str, &str)], words: &[&str]) {
    let server = Server::starting(settings, fake());
    let started = Instant::now();
    until(|| {
        let told = server.get("/readyz").refused(503);
        words.iter().all(|word| told.contains(word))
    });
    let took = started.elapsed();
    assert!(took < AT_ONCE, "it is said after {took:?}");
}

#[test]
fn what_a_start_waits_for_is_named_before_it_was_waited_for_long() {
    // Nobody is there, or somebody who says nothing.
    let nowhere = format!("127.0.0.1:{}", free_ports(1)[0]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap().to_string();
    for address in [&nowhere, &silent] {
        let (servers, monitors) = (format!("nats://{address}"), format!("http://{address}"));
        let settings = [
            ("nats.servers", servers.as_str()),
            ("nats.monitors", &monitors),
        ];
        is_named(&settings, &["tries again", &servers]);
    }
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    // Addresses where nobody tells how servers sync.
    let servers = nats.urls().join(",");
    for address in [&nowhere, &silent] {
        let monitors = format!("http://{address}");
        let settings = [
            ("nats.servers", servers.as_str()),
            ("nats.monitors", &monitors),
            ("nats.replicas", "1"),
        ];
        is_named(&settings, &["tries again", &monitors]);
    }
}
