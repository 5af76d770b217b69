//! How far in the log an answer has seen, and waiting for it; checksums at a place in the log.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::{Value, json};

use crate::common::{Answer, Server};

const POINTS: &str = "/collections/c/points?wait=true";

fn put(server: &Server, id: u64) -> Answer {
    let points = json!({"points": [{"id": id, "vector": [id, 0.0]}]});
    server.put(POINTS, &points)
}

fn lsn(answer: &Answer) -> u64 {
    answer.header("x-doppel-lsn").parse().unwrap()
}

fn search(server: &Server, lsn: &str) -> Answer {
    let body = json!({"vector": [0.0, 0.0], "limit": 3}).to_string();
    let headers = [("content-type", "application/json"), ("x-doppel-lsn", lsn)];
    let path = "/collections/c/points/search";
    server.send("POST", path, &headers, body.as_bytes())
}

#[test]
fn an_answer_says_what_it_has_seen_and_a_request_waits_for_it() {
    let server = Server::start();
    server.with_vectors("c", 2, "Euclid");
    let first = lsn(&put(&server, 1));
    let second = lsn(&put(&server, 2));
    assert!(second > first);
    let found = search(&server, &second.to_string());
    assert_eq!(lsn(&found), second);
    assert_eq!(found.ok().as_array().map(Vec::len), Some(2));
    // Where nobody else writes to the log, waiting is of no use.
    let told = search(&server, &(second + 1_000).to_string()).refused(400);
    assert!(told.contains(&format!("ends at LSN {second}")), "{told}");
    for wrong in ["x", "-1", "1.5", ""] {
        let told = search(&server, wrong).refused(400);
        assert!(told.contains("x-doppel-lsn"), "{told}");
    }
}

#[test]
fn checksums_are_of_a_place_in_the_log_or_refused() {
    let server = Server::start();
    server.with_vectors("c", 2, "Euclid");
    server.with_vectors("other", 2, "Euclid");
    let sums = |lsn: u64| server.get(&format!("/admin/collections/c/checksum?lsn={lsn}"));
    let first = lsn(&put(&server, 1));
    let at_first = sums(first).ok();
    let aside = json!({"points": [{"id": 1, "vector": [1.0, 0.0]}]});
    let aside = lsn(&server.put("/collections/other/points?wait=true", &aside));
    assert!(aside > first);
    let key = |sums: &Value, key: &str| sums[key].clone();
    for name in ["changed", "content", "graph"] {
        assert_eq!(key(&sums(aside).ok(), name), key(&at_first, name), "{name}");
    }
    let second = lsn(&put(&server, 2));
    assert_ne!(
        key(&sums(second).ok(), "content"),
        key(&at_first, "content")
    );
    assert!(sums(first).refused(409).contains("has changed it"));
    sums(second + 1_000).refused(400);
    for wrong in ["x", "-1", "1.5", ""] {
        let told = server.get(&format!("/admin/collections/c/checksum?lsn={wrong}"));
        let told = told.refused(400);
        assert!(told.contains("`lsn` must be a whole number"), "{told}");
    }
}
