//! Backups and erasure as jobs, over HTTP.

use crate::common;

use common::Server;
use serde_json::{Value, json};

fn filled() -> Server {
    let server = Server::start();
    for name in ["v", "w"] {
        server.with_vectors(name, 2, "Dot");
        let points = json!({"points": [{"id": 1, "vector": [1, 2]}, {"id": 2, "vector": [2, 1]}]});
        server
            .put(&format!("/collections/{name}/points"), &points)
            .ok();
    }
    server
}

fn ended(server: &Server, started: &Value) -> Value {
    loop {
        let job = server.get(&format!("/admin/jobs/{}", started["id"])).ok();
        if job["status"] != "running" {
            return job;
        }
        std::thread::yield_now();
    }
}

#[test]
fn a_backup_made_by_a_job_is_on_its_shelf_and_can_be_restored() {
    let server = filled();
    let alias = json!({"create_alias": {"alias_name": "a", "collection_name": "v"}});
    let aliases = json!({"actions": [alias]});
    server.post("/collections/aliases", &aliases).ok();
    let begun = server.post("/admin/collections/a/jobs", &json!({"kind": "backup"}));
    let job = ended(&server, &begun.ok());
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!(
        (&job["kind"], &job["collection"]),
        (&json!("backup"), &json!("v"))
    );
    assert_eq!((&job["done"], &job["of"]), (&json!(4), &json!(4)));
    let shelf = server.get("/collections/v/snapshots").ok();
    assert_eq!(shelf, json!([job["result"].clone()]));
    let location = json!({"location": job["result"]["name"]});
    let ids = json!({"points": [1]});
    server.post("/collections/v/points/delete", &ids).ok();
    server
        .put("/collections/v/snapshots/recover", &location)
        .ok();
    assert_eq!(server.get("/collections/v").ok()["points_count"], 2);

    let all = ended(
        &server,
        &server.post("/admin/jobs", &json!({"kind": "backup"})).ok(),
    );
    assert_eq!(
        (&all["status"], &all["collection"]),
        (&json!("completed"), &Value::Null)
    );
    assert_eq!(
        server.get("/snapshots").ok(),
        json!([all["result"].clone()])
    );
}

#[test]
fn a_purge_as_a_job_tells_its_steps_and_ends_with_the_report() {
    let server = filled();
    server
        .post("/admin/collections/v/jobs", &json!({"kind": "backup"}))
        .ok();
    let ids = json!({"points": [1]});
    server.post("/collections/v/points/delete", &ids).ok();
    let body = json!({"kind": "purge", "backups": "delete"});
    let job = ended(
        &server,
        &server.post("/admin/collections/v/jobs", &body).ok(),
    );
    assert_eq!(job["status"], "completed", "{job}");
    assert_eq!((&job["done"], &job["of"]), (&json!(5), &json!(5)));
    assert_eq!(job["result"]["collection"], "v");
    assert_eq!(job["result"]["backups_not_included"], json!([]));
    assert!(
        !job["result"]["files_written"]
            .as_array()
            .unwrap()
            .is_empty()
    );
}

#[test]
fn upkeep_is_begun_as_jobs_and_tells_what_came_of_it() {
    let server = filled();
    let result = |path: &str, body: &Value| {
        let job = ended(&server, &server.post(path, body).ok());
        assert_eq!(job["status"], "completed", "{job}");
        assert_eq!(job["done"], job["of"], "{job}");
        job["result"].clone()
    };
    let warm = result("/admin/collections/v/jobs", &json!({"kind": "warm_up"}));
    assert_eq!(warm, json!({"points": 2, "vectors": 2}));
    server.post("/admin/checkpoint", &json!({})).ok();
    server.post("/collections/v/snapshots", &json!({})).ok();
    let compacted = result("/admin/jobs", &json!({"kind": "compact"}));
    let log = &compacted["log_bytes"];
    assert!(
        log["after"].as_u64() <= log["before"].as_u64(),
        "{compacted}"
    );
    let verify = json!({"kind": "verify"});
    let whole =
        json!({"snapshots": 4, "backups": 1, "damaged": [], "mended": true, "complete": true});
    assert_eq!(result("/admin/jobs", &verify), whole);
    let snapshots = server.data_dir().join("snapshots");
    let file = std::fs::read_dir(snapshots)
        .into_iter()
        .flatten()
        .flatten()
        .next();
    let file = file.map(|entry| entry.path()).unwrap_or_default();
    let mut bytes = std::fs::read(&file).unwrap_or_default();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    assert!(std::fs::write(&file, bytes).is_ok());
    let found = result("/admin/jobs", &verify);
    let name = file.file_name().unwrap_or_default().to_string_lossy();
    let damaged = found["damaged"].as_array().map(Vec::as_slice);
    assert!(
        matches!(damaged, Some([Value::String(what)]) if what.contains(&*name)),
        "{found}"
    );
    assert_eq!(found["mended"], true, "{found}");
    assert_eq!(result("/admin/jobs", &verify), whole);
}

#[test]
fn a_job_that_cannot_be_begun_is_refused_by_what_is_wrong() {
    let server = filled();
    let wrong = [
        (json!({}), "kind"),
        (json!({"kind": "dance"}), "dance"),
        (json!({"kind": "backup", "backups": "keep"}), "backups"),
        (json!({"kind": "purge", "backups": "burn"}), "burn"),
        (json!({"kind": "purge", "colour": 1}), "colour"),
        (json!({"kind": "compact"}), "compact"),
        (json!({"kind": "warm_up", "to": 30}), "to"),
    ];
    for (body, word) in wrong {
        let message = server.post("/admin/collections/v/jobs", &body).refused(400);
        assert!(message.contains(word), "{body}: {message}");
    }
    let backup = json!({"kind": "backup"});
    server
        .post("/admin/collections/none/jobs", &backup)
        .refused(404);
    server
        .post("/admin/jobs", &json!({"kind": "purge"}))
        .refused(400);
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
}
