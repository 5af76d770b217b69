//! Indexes built anew while they serve, over HTTP.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::path::Path;

use common::Server;
use engine::{Engine, IndexChange, Options};
use serde_json::{Value, json};

const START: &str = "/admin/collections/stars/reindex";
const POINTS: u64 = 400;

fn vector(id: u64) -> Vec<f64> {
    let number = |at: u64| f64::from(u32::try_from(id * 31 + at * 17).unwrap()).sin();
    (0..8).map(number).collect()
}

fn fill(server: &Server) {
    server.with_vectors("stars", 8, "Cosine");
    let points = (0..POINTS).map(|id| json!({"id": id, "vector": vector(id)}));
    let body = json!({"points": points.collect::<Vec<_>>()});
    server
        .put("/collections/stars/points?wait=true", &body)
        .ok();
}

fn ended(server: &Server, id: &Value) -> Value {
    loop {
        let job = server.get(&format!("/admin/jobs/{id}")).ok();
        if job["status"] != "running" {
            return job;
        }
        std::thread::yield_now();
    }
}

fn links(server: &Server) -> Value {
    let told = server.get("/collections/stars").ok();
    told["config"]["hnsw_config"]["m"].clone()
}

fn nearest(server: &Server, id: u64) -> Value {
    let query = json!({"query": vector(id), "limit": 5, "params": {"exact": true}});
    server.post("/collections/stars/points/query", &query).ok()
}

#[test]
fn an_index_gets_other_settings_and_answers_the_same() {
    let server = Server::start();
    fill(&server);
    let before: Vec<Value> = (0..9).map(|id| nearest(&server, id)).collect();
    let wanted = json!({
        "hnsw_config": {"m": 9}, "quantization_config": {"scalar": {"type": "int8"}}, "on_disk": false,
    });
    let job = server.post(START, &wanted).ok();
    assert_eq!(
        (&job["kind"], &job["collection"]),
        (&json!("reindex"), &json!("stars"))
    );
    let job = ended(&server, &job["id"]);
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!((&job["done"], &job["of"]), (&json!(POINTS), &json!(POINTS)));
    assert_eq!(job["result"]["vectors"], json!([""]));
    assert_eq!(job["result"]["points"], json!(POINTS));
    let told = server.get("/collections/stars").ok();
    let config = &told["config"];
    assert_eq!(config["hnsw_config"]["m"], 9);
    assert_eq!(config["quantization_config"]["scalar"]["type"], "int8");
    assert_eq!(told["walked_on"], json!({"": "int8"}));
    assert_eq!(config["params"]["vectors"]["on_disk"], false);
    let after: Vec<Value> = (0..9).map(|id| nearest(&server, id)).collect();
    assert_eq!(before, after);
}

#[test]
fn what_cannot_be_built_is_refused_and_nothing_is_begun() {
    let server = Server::start();
    fill(&server);
    let cases = [
        (json!({"hnsw_config": {"m": 1}}), "m"),
        (json!({"hnsw_config": {"ef_construct": 0}}), "ef_construct"),
        (json!({"using": "face"}), "`face`"),
        (json!({"colour": "red"}), "`colour`"),
        (
            json!({"quantization_config": {"packed": {"bits": 3}}}),
            "1, 2 or 4",
        ),
    ];
    for (body, word) in cases {
        let refused = server.post(START, &body).refused(400);
        assert!(refused.contains(word), "{body}: {refused}");
    }
    server
        .post("/admin/collections/moon/reindex", &json!({}))
        .refused(404);
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
    assert_eq!(links(&server), 16);
}

/// Begins a rebuild as a server that is stopped in the middle leaves it: in the log, with some points copied.
fn begin(data: &Path) {
    let engine = Engine::open(Options::new(data)).unwrap();
    let change = IndexChange {
        m: Some(5),
        ..IndexChange::default()
    };
    engine.begin_reindex("stars", "", change).unwrap();
    let from = Default::default();
    engine.continue_reindex("stars", "", from, 7).unwrap();
    engine.shutdown().unwrap();
}

#[test]
fn what_was_begun_goes_on_after_a_restart() {
    let mut server = Server::start();
    fill(&server);
    server.restart_after(begin);
    let jobs = server.get("/admin/jobs").ok();
    assert_eq!(jobs["jobs"][0]["kind"], "reindex", "{jobs}");
    let job = ended(&server, &jobs["jobs"][0]["id"]);
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(links(&server), 5);
    server.restart();
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
    assert_eq!(links(&server), 5);
}

/// What a server that was killed in the middle leaves: the rebuild in the log, and the job among the notes.
#[test]
fn a_rebuild_goes_on_after_a_restart_as_the_job_that_it_was_and_others_are_told_as_failed() {
    let mut server = Server::start();
    fill(&server);
    server.restart_after(|data| {
        begin(data);
        let noted = json!({"newest": 7_001, "jobs": [
            {"id": 7_000, "kind": "reindex", "collection": "stars", "started_s": 86_400},
            {"id": 7_001, "kind": "backup", "collection": "", "started_s": 86_401},
        ]});
        storage::replace_whole(&data.join("JOBS"), noted.to_string().as_bytes()).unwrap();
    });
    let told = server.get("/admin/jobs/7001").ok();
    assert_eq!(told["status"], "failed", "{told}");
    assert!(
        told["error"].as_str().unwrap().contains("server stopped"),
        "{told}"
    );
    let job = ended(&server, &json!(7_000));
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(job["started"], "1970-01-02T00:00:00");
    assert_eq!(links(&server), 5);
    server.restart();
    server.get("/admin/jobs/7000").refused(404);
}
