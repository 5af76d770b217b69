//! The vector half over HTTP: collections and points as clients of the dialect use them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use common::Server;
use serde_json::{Value, json};

const UUID: &str = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";

/// Four points around the circle, 30 degrees apart.
fn fill(server: &Server) {
    server.with_vectors("circle", 2, "Cosine");
    let points = json!({"points": [
        {"id": 1, "vector": [1.0, 0.0], "payload": {"name": "east", "deep": {"a": 1}}},
        {"id": 2, "vector": [0.866, 0.5], "payload": {"name": "up a bit"}},
        {"id": 3, "vector": [0.5, 0.866]},
        {"id": UUID, "vector": [0.0, 1.0], "payload": {"name": "north"}},
    ]});
    let written = server
        .put("/collections/circle/points?wait=true", &points)
        .ok();
    assert_eq!(written["status"], "completed");
    assert!(written["operation_id"].is_u64());
}

fn ids(points: &Value) -> Vec<Value> {
    let points = points.as_array().unwrap();
    points.iter().map(|point| point["id"].clone()).collect()
}

#[test]
fn a_collection_is_made_listed_described_and_dropped() {
    let server = Server::start();
    assert_eq!(server.get("/collections").ok()["collections"], json!([]));
    let exists = |name: &str| server.get(&format!("/collections/{name}/exists")).ok();
    assert_eq!(exists("circle")["exists"], false);
    fill(&server);
    assert_eq!(exists("circle")["exists"], true);
    assert_eq!(
        server.get("/collections").ok()["collections"][0]["name"],
        "circle"
    );
    let info = server.get("/collections/circle").ok();
    assert_eq!(info["status"], "green");
    assert_eq!(info["points_count"], 4);
    let vectors = &info["config"]["params"]["vectors"];
    let expected = json!({"size": 2, "distance": "Cosine", "on_disk": true});
    assert_eq!(*vectors, expected);
    let again = json!({"vectors": {"size": 2, "distance": "Dot"}});
    let message = server.put("/collections/circle", &again).refused(409);
    assert!(message.contains("circle"), "{message}");
    assert_eq!(server.delete("/collections/circle").ok(), true);
    assert_eq!(server.delete("/collections/circle").ok(), false);
    server.get("/collections/circle").refused(404);
}

#[test]
fn both_search_dialects_find_the_nearest_first() {
    let server = Server::start();
    fill(&server);
    let query = json!({"query": [0.9, 0.1], "limit": 2, "with_payload": true});
    let found = server.post("/collections/circle/points/query", &query).ok();
    assert_eq!(ids(&found["points"]), [json!(1), json!(2)]);
    assert_eq!(found["points"][0]["payload"]["name"], "east");
    assert_eq!(found["points"][0]["version"], 0);
    let score = found["points"][0]["score"].as_f64().unwrap();
    assert!((score - 0.993_88).abs() < 1e-4, "{score}");
    let search = json!({"vector": [0.9, 0.1], "limit": 2, "with_vector": true});
    let same = server
        .post("/collections/circle/points/search", &search)
        .ok();
    assert_eq!(ids(&same), [json!(1), json!(2)]);
    assert_eq!(same[0]["vector"], json!([1.0, 0.0]));
    assert_eq!(same[0]["payload"], Value::Null);
    assert_eq!(same[0]["score"], found["points"][0]["score"]);
}

#[test]
fn a_search_can_be_bounded_by_score_skip_and_be_exact() {
    let server = Server::start();
    fill(&server);
    let ask = |body: Value| {
        let found = server.post("/collections/circle/points/query", &body).ok();
        ids(&found["points"])
    };
    let near = json!({"query": [1.0, 0.0], "score_threshold": 0.8});
    assert_eq!(ask(near), [json!(1), json!(2)]);
    let skipped = json!({"query": [1.0, 0.0], "offset": 1, "limit": 2});
    assert_eq!(ask(skipped), [json!(2), json!(3)]);
    let exact = json!({"query": [1.0, 0.0], "limit": 1, "params": {"exact": true, "hnsw_ef": 8}});
    assert_eq!(ask(exact), [json!(1)]);
    let like_a_point = json!({"query": 1, "limit": 2});
    assert_eq!(ask(like_a_point), [json!(2), json!(3)]);
    let like_a_later_one = json!({"query": {"nearest": UUID}, "limit": 1, "offset": 1});
    assert_eq!(ask(like_a_later_one), [json!(2)]);
    let none = json!({"query": 99});
    let message = server
        .post("/collections/circle/points/query", &none)
        .refused(404);
    assert!(message.contains("99"), "{message}");
}

#[test]
fn under_a_distance_the_threshold_is_the_most() {
    let server = Server::start();
    server.with_vectors("line", 1, "Euclid");
    let batch = json!({"batch": {"ids": [1, 2, 3], "vectors": [[1], [2], [5]]}});
    server.put("/collections/line/points", &batch).ok();
    let query = json!({"query": [0.0], "score_threshold": 2.5});
    let found = server.post("/collections/line/points/query", &query).ok();
    assert_eq!(ids(&found["points"]), [json!(1), json!(2)]);
    assert_eq!(found["points"][1]["score"], 2.0);
}

#[test]
fn points_are_retrieved_by_their_ids_with_what_is_asked_for() {
    let server = Server::start();
    fill(&server);
    let one = server.get("/collections/circle/points/1").ok();
    assert_eq!(one["vector"], json!([1.0, 0.0]));
    assert_eq!(one["payload"]["deep"]["a"], 1);
    let by_uuid = server
        .get(&format!("/collections/circle/points/{UUID}"))
        .ok();
    assert_eq!(by_uuid["payload"]["name"], "north");
    server.get("/collections/circle/points/77").refused(404);
    let some = json!({"ids": [UUID, 2, 77], "with_payload": ["name"]});
    let some = server.post("/collections/circle/points", &some).ok();
    assert_eq!(some.as_array().unwrap().len(), 2);
    let bare = json!({"ids": [1], "with_payload": {"exclude": ["deep"]}, "with_vector": true});
    let bare = server.post("/collections/circle/points", &bare).ok();
    assert_eq!(bare[0]["payload"], json!({"name": "east"}));
    assert_eq!(bare[0]["vector"], json!([1.0, 0.0]));
}

#[test]
fn a_scroll_sees_every_point_once_page_by_page() {
    let server = Server::start();
    fill(&server);
    let (mut seen, mut offset) = (Vec::new(), Value::Null);
    loop {
        let body = json!({"limit": 3, "offset": offset, "with_payload": false});
        let mut page = server.post("/collections/circle/points/scroll", &body).ok();
        seen.extend(ids(&page["points"]));
        offset = page["next_page_offset"].take();
        if offset.is_null() {
            break;
        }
    }
    assert_eq!(seen, [json!(1), json!(2), json!(3), json!(UUID)]);
}

#[test]
fn deleted_points_are_gone_and_the_count_says_so() {
    let server = Server::start();
    fill(&server);
    let count = || {
        server
            .post("/collections/circle/points/count", &json!({"exact": true}))
            .ok()
    };
    assert_eq!(count()["count"], 4);
    let gone = json!({"points": [1, UUID, 77]});
    server
        .post("/collections/circle/points/delete?wait=true", &gone)
        .ok();
    assert_eq!(count()["count"], 2);
    server.get("/collections/circle/points/1").refused(404);
    let found = server
        .post(
            "/collections/circle/points/query",
            &json!({"query": [1, 0]}),
        )
        .ok();
    assert_eq!(ids(&found["points"]), [json!(2), json!(3)]);
}

#[test]
fn a_point_that_is_put_again_is_replaced_whole() {
    let server = Server::start();
    fill(&server);
    let again = json!({"points": [{"id": 1, "vector": [-1.0, 0.0]}]});
    server.put("/collections/circle/points", &again).ok();
    let one = server.get("/collections/circle/points/1").ok();
    assert_eq!(one["vector"], json!([-1.0, 0.0]));
    assert_eq!(one["payload"], json!({}));
    let counted = server
        .post("/collections/circle/points/count", &json!({}))
        .ok();
    assert_eq!(counted["count"], 4);
}

#[test]
fn without_waiting_a_write_is_acknowledged_once_it_is_durable() {
    let mut server = Server::start();
    server.with_vectors("line", 1, "Dot");
    let points = json!({"points": [{"id": 1, "vector": [1]}]});
    let path = "/collections/line/points?wait=false&ordering=strong";
    assert_eq!(server.put(path, &points).ok()["status"], "acknowledged");
    server.restart();
    assert_eq!(server.get("/collections/line/points/1").ok()["id"], 1);
}

#[test]
fn a_restart_keeps_everything() {
    let mut server = Server::start();
    fill(&server);
    let info = server.get("/collections/circle").ok();
    server.restart();
    assert_eq!(
        server.get("/collections/circle").ok()["config"],
        info["config"]
    );
    let query = json!({"query": [0.9, 0.1], "limit": 1, "with_payload": true});
    let found = server.post("/collections/circle/points/query", &query).ok();
    assert_eq!(found["points"][0]["payload"]["name"], "east");
}

#[test]
fn a_number_of_a_payload_comes_back_to_its_last_digit() {
    let server = Server::start();
    server.with_vectors("line", 1, "Dot");
    let numbers = "[-1.1294382829274445,0.1,5e-324,1.7976931348623157e+308,9007199254740993]";
    let body = format!(r#"{{"points":[{{"id":1,"vector":[1],"payload":{{"n":{numbers}}}}}]}}"#);
    server.raw("PUT", "/collections/line/points", &body).ok();
    let told = server.get("/collections/line/points/1").text();
    assert!(told.contains(numbers), "{told}");
}

#[test]
fn points_that_are_there_stay_where_only_new_ones_are_to_come_in() {
    let server = Server::start();
    fill(&server);
    let point = |id: u32| json!({"id": id, "vector": [0.0, -1.0], "payload": {"name": "new"}});
    let only = json!({"points": [point(1), point(9)], "update_mode": "insert_only"});
    let put = |body: &Value| server.put("/collections/circle/points?wait=true", body);
    let told = put(&only).ok();
    assert_eq!(
        (&told["known"], &told["status"]),
        (&json!([1]), &json!("completed"))
    );
    assert_eq!(put(&only).ok()["known"], json!([1, 9]));
    let name = |id: u32| {
        let point = server.get(&format!("/collections/circle/points/{id}"));
        point.ok()["payload"]["name"].clone()
    };
    assert_eq!((name(1), name(9)), (json!("east"), json!("new")));
    let batch = json!({"operations": [{"upsert": only}]});
    let told = server.post("/collections/circle/points/batch", &batch).ok();
    assert_eq!(
        (&told[0]["known"], name(1)),
        (&json!([1, 9]), json!("east"))
    );
    let told = put(&json!({"points": [point(1)], "update_mode": "upsert"})).ok();
    assert_eq!((told.get("known"), name(1)), (None, json!("new")));
    let other = json!({"points": [point(1)], "update_mode": "update_only"});
    assert!(put(&other).refused(400).contains("insert_only"));
}

#[test]
fn of_several_writes_in_one_request_none_is_done_where_one_of_them_could_never_be() {
    let server = Server::start();
    fill(&server);
    let point = |id: u32, vector: Value| json!({"points": [{"id": id, "vector": vector}]});
    let batch = |operation: Value| {
        let first = json!({"upsert": point(20, json!([1, 0]))});
        let body = json!({"operations": [first, operation]});
        server.post("/collections/circle/points/batch?wait=true", &body)
    };
    let never = [
        json!({"upsert": point(21, json!([1, 0, 0]))}),
        json!({"upsert": {"points": []}}),
        json!({"update_vectors": point(20, json!([1]))}),
        json!({"delete_vectors": {"points": [20], "vector": ["none"]}}),
        json!({"delete_payload": {"points": [20], "keys": ["a[0]"]}}),
        json!({"clear_payload": {"points": vec![20; 100_001]}}),
        json!({"delete": {"points": vec![20; 100_001]}}),
    ];
    let is_there = || server.get("/collections/circle/points/20").status == 200;
    for operation in never {
        let answer = batch(operation.clone());
        let message = answer.body()["status"]["error"].to_string();
        assert!(matches!(answer.status, 400 | 413), "{operation}: {message}");
        assert!(message.contains("operation 1"), "{message}");
        assert!(message.contains("Nothing of the request"), "{message}");
        assert!(!is_there(), "{operation}");
    }
    // That depends on what is there, which those before may change.
    let unknown = json!({"set_payload": {"points": [999], "payload": {"a": 1}}});
    let message = batch(unknown).refused(404);
    assert!(
        message.contains("operation 1") && message.contains("999"),
        "{message}"
    );
    assert!(message.contains("Operation 0 is done"), "{message}");
    assert!(is_there());
}
