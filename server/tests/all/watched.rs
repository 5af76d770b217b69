//! The audit trail and the rates over HTTP.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::fs;
use std::path::Path;

use common::{Server, fake};
use serde_json::{Value, json};

const ROOT: (&str, &str) = ("api-key", "the-key-of-the-settings");

fn lines(dir: &Path) -> Vec<Value> {
    let text = fs::read_to_string(dir.join("audit.jsonl")).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn who_changed_what_and_when_is_told_and_nothing_of_what_they_sent() {
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("trail");
    let settings = [("api_key", ROOT.1), ("audit.dir", trail.to_str().unwrap())];
    let server = Server::start_with(&settings, fake());
    let send = |key: (&str, &str), method: &str, path: &str, body: Value| {
        let headers = [
            key,
            ("content-type", "application/json"),
            ("x-request-id", "me-1"),
        ];
        server.send(method, path, &headers, body.to_string().as_bytes())
    };
    let vectors = json!({"vectors": {"size": 2, "distance": "Dot"}});
    send(ROOT, "PUT", "/collections/c", vectors).ok();
    let body = json!({"name": "reader", "scopes": ["search"]});
    let made = send(ROOT, "POST", "/admin/keys", body).ok();
    let reader = ("api-key", made["secret"].as_str().unwrap());
    let point = json!({"points": [{"id": 7, "vector": [31.5, 2], "payload": {"person": "Ada"}}]});
    send(
        ROOT,
        "PUT",
        "/collections/c/points?wait=true",
        point.clone(),
    )
    .ok();
    let refused = send(reader, "PUT", "/collections/c/points", point.clone());
    assert_eq!(refused.status, 403);
    let wrong = ("api-key", "wrong-key");
    let refused = send(wrong, "PUT", "/collections/c/points", point);
    assert_eq!(refused.status, 401);
    let query = json!({"query": [1, 2], "limit": 1});
    send(reader, "POST", "/collections/c/points/query", query).ok();
    send(ROOT, "DELETE", "/collections/moon/vectors/face", json!({})).refused(404);

    let told = lines(&trail);
    let what: Vec<_> = told
        .iter()
        .map(|line| {
            let key = line["key"][1].as_str().unwrap_or("-");
            let (method, path) = (
                line["method"].as_str().unwrap(),
                line["path"].as_str().unwrap(),
            );
            format!("{key} {method} {path} {}", line["status"])
        })
        .collect();
    let root = told[0]["key"][1].as_str().unwrap();
    assert_eq!(
        what,
        [
            format!("{root} PUT /collections/c 200"),
            format!("{root} POST /admin/keys 200"),
            format!("{root} PUT /collections/c/points 200"),
            "reader PUT /collections/c/points 403".to_owned(),
            format!("{root} DELETE /collections/moon/vectors/face 404"),
        ]
    );
    for line in &told {
        assert_eq!(
            (&line["request"], &line["address"]),
            (&json!("me-1"), &json!("127.0.0.1"))
        );
        assert!(
            line["time_ms"].as_u64().unwrap() > 1_700_000_000_000,
            "{line}"
        );
    }
    assert!(told[2]["lsn"].as_u64() > told[0]["lsn"].as_u64());
    let text = fs::read_to_string(trail.join("audit.jsonl")).unwrap();
    assert!(
        !text.contains("Ada") && !text.contains("31.5") && !text.contains(reader.1),
        "{text}"
    );
}

#[test]
fn a_key_is_named_where_it_is_made_refused_and_revoked_and_pushes_no_lines_of_others_out() {
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("trail");
    let settings = [("api_key", ROOT.1), ("audit.dir", trail.to_str().unwrap())];
    let server = Server::start_with(&settings, fake());
    let send = |key: (&str, &str), method: &str, path: &str, body: Value| {
        let headers = [key, ("content-type", "application/json")];
        server.send(method, path, &headers, body.to_string().as_bytes())
    };
    let body = json!({"name": "reader", "scopes": ["read"]});
    let made = send(ROOT, "POST", "/admin/keys", body).ok();
    let reader = ("api-key", made["secret"].as_str().unwrap());
    let own = json!([made["key"]["id"], "reader"]);
    for _ in 0..40 {
        let refused = send(reader, "DELETE", "/collections/c", Value::Null);
        assert_eq!(refused.status, 403);
    }
    let body = json!({"name": "late", "scopes": ["write"], "expires_at": 1});
    let late = send(ROOT, "POST", "/admin/keys", body).ok();
    let late = ("api-key", late["secret"].as_str().unwrap());
    assert_eq!(
        send(late, "DELETE", "/collections/c", Value::Null).status,
        401
    );
    let revoke = format!("/admin/keys/{}", made["key"]["id"].as_str().unwrap());
    send(ROOT, "DELETE", &revoke, Value::Null).ok();

    let told = lines(&trail);
    assert_eq!(told[0]["made"], own);
    let refused: Vec<_> = told.iter().filter(|line| line["key"] == own).collect();
    assert_eq!(refused.len(), 10, "{told:?}");
    assert!(refused.iter().all(|line| line["status"] == 403));
    let late = told.iter().find(|line| line["key"][1] == "late").unwrap();
    assert_eq!(late["status"], 401);
    assert_eq!(told.last().unwrap()["revoked"], own);
    // Nobody else writes there meanwhile.
    let other = tempfile::tempdir().unwrap();
    let config = common::config(other.path(), &[("audit.dir", trail.to_str().unwrap())]);
    let failed = server::start(config).err().unwrap().to_string();
    assert!(
        failed.contains("another process writes its trail"),
        "{failed}"
    );
}

#[test]
fn a_folder_that_cannot_be_written_to_stops_the_start() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("file"), "").unwrap();
    let folder = dir.path().join("file/trail");
    let config = common::config(dir.path(), &[("audit.dir", folder.to_str().unwrap())]);
    let failed = server::start(config).err().unwrap().to_string();
    assert!(failed.contains("audit trail"), "{failed}");
}

#[test]
fn who_asks_too_often_is_told_to_come_back_and_probes_are_free() {
    let settings = [
        ("api_key", ROOT.1),
        ("server.requests_per_key_s", "3"),
        ("server.requests_per_address_s", "1000"),
    ];
    let server = Server::start_with(&settings, fake());
    let list = || server.send("GET", "/collections", &[ROOT], &[]);
    let refused = (0..100)
        .map(|_| list())
        .find(|answer| answer.status != 200)
        .unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert!(refused.refused(429).contains("requests_per_key_s"));
    // Another key has a rate of its own.
    let made = json!({"name": "other", "scopes": ["read"]}).to_string();
    let json = ("content-type", "application/json");
    let make = || server.send("POST", "/admin/keys", &[ROOT, json], made.as_bytes());
    let mut other = make();
    while other.status == 429 {
        other = make();
    }
    let other = other.ok()["secret"].as_str().unwrap().to_owned();
    while list().status != 429 {}
    let by_other = server.send("GET", "/collections", &[("api-key", &other)], &[]);
    assert_eq!(by_other.status, 200);
    for _ in 0..50 {
        server.get("/readyz").status.eq(&200).then_some(()).unwrap();
    }
    let server = Server::start_with(&[("server.requests_per_address_s", "2")], fake());
    let refused = (0..100)
        .map(|_| server.get("/collections"))
        .find(|answer| answer.status != 200)
        .unwrap();
    assert_eq!((refused.status, refused.header("retry-after")), (429, "1"));
    assert!(refused.refused(429).contains("requests_per_address_s"));
}
