//! Writes about many points at once: by filter, several in one request, beside other writers.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::thread;

use common::Server;
use serde_json::{Value, json};

const POINTS: &str = "/collections/v/points";

/// Points 0 to 9 with two vectors each, the even ones of one kind, the odd ones of another.
fn server() -> Server {
    let server = Server::start();
    let vector = json!({"size": 2, "distance": "Dot"});
    let body = json!({"vectors": {"face": vector, "text": vector}});
    server.put("/collections/v", &body).ok();
    let points = (0..10).map(|id| {
        json!({
            "id": id, "vector": {"face": [id, 1], "text": [1, id]},
            "payload": {"kind": if id % 2 == 0 { "even" } else { "odd" }},
        })
    });
    let points: Vec<_> = points.collect();
    server.put(POINTS, &json!({ "points": points })).ok();
    server
}

fn of_kind(kind: &str) -> Value {
    json!({"must": {"key": "kind", "match": {"value": kind}}})
}

#[track_caller]
fn count(server: &Server, filter: Value) -> u64 {
    let body = json!({ "filter": filter });
    let told = server.post(&format!("{POINTS}/count"), &body).ok();
    told["count"].as_u64().unwrap()
}

#[test]
fn vectors_are_taken_away_by_a_filter_and_their_points_stay() {
    let server = server();
    let body = json!({"vector": ["text"], "filter": of_kind("odd")});
    let done = server.post(&format!("{POINTS}/vectors/delete"), &body);
    assert_eq!(done.ok()["status"], "completed");
    assert_eq!(count(&server, json!({})), 10);
    assert_eq!(count(&server, json!({"must": {"has_vector": "text"}})), 5);
    let ask = json!({"query": [1, 1], "using": "text", "limit": 10});
    let found = server.post(&format!("{POINTS}/query"), &ask).ok();
    let found = found["points"].as_array().unwrap();
    assert!(found.iter().all(|hit| hit["id"].as_u64().unwrap() % 2 == 0));
    assert_eq!(found.len(), 5);
    for wrong in [
        json!({"vector": ["text"]}),
        json!({"vector": ["text"], "points": [1], "filter": of_kind("odd")}),
    ] {
        let answer = server.post(&format!("{POINTS}/vectors/delete"), &wrong);
        let message = answer.refused(400);
        assert!(message.contains("`filter`"), "{message}");
    }
    let unknown = json!({"vector": ["colour"], "filter": of_kind("odd")});
    let answer = server.post(&format!("{POINTS}/vectors/delete"), &unknown);
    assert!(answer.refused(400).contains("colour"));
}

#[test]
fn a_batch_does_its_writes_in_their_order_and_names_the_one_that_is_wrong() {
    let server = server();
    let batch = |operations: Value| {
        let body = json!({ "operations": operations });
        server.post(&format!("{POINTS}/batch?wait=true"), &body)
    };
    let done = batch(json!([
        {"upsert": {"points": [{"id": 20, "vector": {"face": [1, 1]}, "payload": {"a": 1}}]}},
        {"set_payload": {"payload": {"b": 2}, "points": [20]}},
        {"delete_payload": {"keys": ["a"], "points": [20]}},
        {"update_vectors": {"points": [{"id": 20, "vector": {"text": [3, 3]}}]}},
        {"delete_vectors": {"points": [20], "vector": ["face"]}},
        {"overwrite_payload": {"payload": {"kind": "gone"}, "filter": of_kind("odd")}},
        {"clear_payload": {"points": [0]}},
        {"delete": {"filter": of_kind("gone")}},
    ]));
    let done = done.ok();
    let lsns = done.as_array().unwrap().iter();
    let lsns: Vec<_> = lsns
        .map(|it| it["operation_id"].as_u64().unwrap())
        .collect();
    assert_eq!(lsns.len(), 8);
    assert!(lsns.windows(2).all(|pair| pair[0] < pair[1]), "{lsns:?}");
    let point = server.get(&format!("{POINTS}/20")).ok();
    assert_eq!(point["payload"], json!({"b": 2}));
    assert_eq!(point["vector"], json!({"text": [3.0, 3.0]}));
    assert_eq!(count(&server, json!({})), 6);
    assert_eq!(
        server.get(&format!("{POINTS}/0")).ok()["payload"],
        json!({})
    );
    let message = batch(json!([
        {"delete": {"points": [2]}},
        {"upsert": {"points": [{"id": 21, "vector": {"face": [1]}}]}},
        {"delete": {"points": [4]}},
    ]))
    .refused(400);
    assert!(message.contains("operation 1"), "{message}");
    // Nor is the one before it done.
    for id in [2, 4] {
        server.get(&format!("{POINTS}/{id}")).ok();
    }
    let message = batch(json!([{"delete": {"points": [4]}}, {"paint": {}}])).refused(400);
    assert!(message.contains("paint"), "{message}");
    server.get(&format!("{POINTS}/4")).ok();
}

#[test]
fn changes_by_filter_beside_other_writers_lose_no_write() {
    let server = server();
    let index = json!({"field_name": "kind", "field_schema": "keyword"});
    server.put("/collections/v/index", &index).ok();
    let seen = json!({"payload": {"kind": "seen"}, "filter": of_kind("new")});
    thread::scope(|scope| {
        for writer in 0..2_u64 {
            let server = &server;
            scope.spawn(move || {
                for round in 0..20 {
                    let id = 100 + writer * 100 + round;
                    let point = json!({
                        "id": id, "vector": {"face": [id, 1]},
                        "payload": {"kind": "new", "mine": id},
                    });
                    server.put(POINTS, &json!({"points": [point]})).ok();
                }
            });
        }
        for _ in 0..20 {
            server.post(&format!("{POINTS}/payload"), &seen).ok();
        }
        let odd = json!({"filter": of_kind("odd")});
        server.post(&format!("{POINTS}/delete"), &odd).ok();
    });
    server.post(&format!("{POINTS}/payload"), &seen).ok();
    assert_eq!(count(&server, of_kind("new")), 0);
    assert_eq!(count(&server, of_kind("odd")), 0);
    assert_eq!(count(&server, of_kind("seen")), 40);
    for id in (100..120).chain(200..220) {
        let point = server.get(&format!("{POINTS}/{id}")).ok();
        assert_eq!(point["payload"], json!({"kind": "seen", "mine": id}));
        assert_eq!(point["vector"], json!({"face": [f64::from(id), 1.0]}));
    }
}
