//! Faces grouped into people by a job, over HTTP with the stand-in for the models.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{Server, photo};
use serde_json::{Value, json};

const START: &str = "/admin/collections/stars/cluster";

/// Two groups that are far apart: one of which two are Ada's, one of nobody's; and one alone.
fn fill(server: &Server) {
    server.with_faces("stars");
    let people = [
        (4, Some("Ada")),
        (5, Some("Ada")),
        (6, None),
        (16, None),
        (17, None),
        (28, None),
    ];
    for (columns, person) in people {
        let image = BASE64_STANDARD.encode(photo(columns));
        let face = json!({"image": image, "id": columns, "person": person});
        server.post("/collections/stars/faces", &face).ok();
    }
}

/// The cosine of the stand-in's vectors below which none of these is in one group with another.
fn between(server: &Server) -> f64 {
    let found = server.form(
        "/collections/stars/faces/search",
        &[("image", &photo(5)), ("limit", b"4")],
    );
    let found = found.ok();
    let hits = found["faces"][0]["hits"].as_array().unwrap();
    let score = |at: usize| hits[at]["score"].as_f64().unwrap();
    assert_eq!(hits[3]["id"], 16);
    f64::midpoint(score(2), score(3))
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

fn person(server: &Server, id: u64) -> Value {
    server.get(&format!("/collections/stars/faces/{id}")).ok()["person"].take()
}

#[test]
fn groups_are_proposed_and_names_written_only_when_asked() {
    let server = Server::start();
    fill(&server);
    let body = json!({"threshold": between(&server)});
    let started = server.post(START, &body).ok();
    assert_eq!(started["kind"], "cluster");
    let job = ended(&server, &started["id"]);
    assert_eq!(job["status"], "completed", "{job}");
    let result = &job["result"];
    assert_eq!(
        (&result["faces"], &result["groups"]),
        (&json!(6), &json!(2))
    );
    assert_eq!(
        (&result["alone"], &result["written"]),
        (&json!(1), &json!(0))
    );
    let largest = &result["largest"][0];
    assert_eq!(largest["person"], "Ada");
    assert_eq!(largest["examples"], json!([4, 5, 6]));
    assert_eq!(largest["unlabelled"], 1);
    assert_eq!(result["largest"][1]["person"], Value::Null);
    assert_eq!(result["agreement"]["purity"], 1.0);
    assert_eq!(result["agreement"]["pair_f1"], 1.0);
    assert_eq!(person(&server, 6), Value::Null);

    let body = json!({"threshold": between(&server), "write": true});
    let started = server.post(START, &body).ok();
    let job = ended(&server, &started["id"]);
    assert_eq!(job["result"]["written"], 3, "{job}");
    assert_eq!(person(&server, 6), "Ada");
    assert_eq!(person(&server, 16), "unnamed-16");
    assert_eq!(person(&server, 17), "unnamed-16");
    assert_eq!(person(&server, 28), Value::Null);
    let jobs = server.get("/admin/jobs").ok();
    assert_eq!(jobs["jobs"].as_array().unwrap().len(), 2);
    // One that has ended is left as it is.
    let first = &jobs["jobs"][0]["id"];
    let first = server.delete(&format!("/admin/jobs/{first}")).ok();
    assert_eq!(first["status"], "completed");
}

#[test]
fn a_clustering_that_cannot_be_is_refused_by_what_is_wrong() {
    let server = Server::start();
    fill(&server);
    let refused = |body: Value, status| server.post(START, &body).refused(status);
    assert!(refused(json!({"using": "x"}), 400).contains("`x`"));
    assert!(refused(json!({"neighbours": 0}), 400).contains("1 to 100"));
    assert!(refused(json!({"names": 1}), 400).contains("`names`"));
    server.with_vectors("plain", 2, "Euclid");
    let plain = "/admin/collections/plain/cluster";
    let metric = server.post(plain, &json!({"threshold": 0.5})).refused(409);
    assert!(metric.contains("distance"), "{metric}");
    server.with_vectors("cosines", 2, "Cosine");
    let unknown = server.post("/admin/collections/cosines/cluster", &json!({}));
    assert!(unknown.refused(400).contains("`threshold`"));
    let nobody = server.post("/admin/collections/no/cluster", &json!({}));
    nobody.refused(404);
    server.get("/admin/jobs/7").refused(404);
    assert!(
        server
            .get("/admin/jobs/x")
            .refused(400)
            .contains("whole number")
    );
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
}
