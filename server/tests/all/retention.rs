//! Points that expire, over HTTP.

use crate::common;

use common::{Server, fake, photo};
use serde_json::json;

#[test]
fn a_collection_with_a_time_to_live_loses_what_is_over_and_another_nothing() {
    let server = Server::start_with(&[("retention.sweep_s", "1")], fake());
    server.with_vectors("kept", 2, "Dot");
    let vectors = json!({"size": 2, "distance": "Dot"});
    let body = json!({"vectors": vectors, "ttl_s": 3_600, "metadata": {"owner": "Ada"}});
    server.put("/collections/short", &body).ok();
    let told = server.get("/collections/short").ok();
    assert_eq!(told["ttl_s"], 3_600);
    assert_eq!(told["config"]["metadata"], json!({"owner": "Ada"}));
    let points = json!({"points": [{"id": 1, "vector": [1, 2]}]});
    for name in ["kept", "short"] {
        let path = format!("/collections/{name}/points?wait=true");
        server.put(&path, &points).ok();
    }
    let point = server.get("/collections/short/points/1").ok();
    assert!(point["payload"]["inserted_at_s"].as_u64() > Some(1_700_000_000));
    // An hour is not over; a second soon is.
    server
        .json("PATCH", "/collections/short", &json!({"ttl_s": 1}))
        .ok();
    common::until(|| server.get("/collections/short").ok()["points_count"] == 0);
    assert_eq!(server.get("/collections/kept").ok()["points_count"], 1);
    let kept = server.get("/collections/kept/points/1").ok();
    assert_eq!(kept["payload"], json!({}));
    // It is counted a moment after they have gone.
    let metrics = || server.get("/metrics").text();
    common::until(|| metrics().contains("doppel_points_expired_total 1"));
    assert!(metrics().contains("doppel_retention_waiting 0"));
    server
        .json("PATCH", "/collections/short", &json!({"ttl_s": 0}))
        .ok();
    assert!(server.get("/collections/short").ok()["ttl_s"].is_null());
    let wrong = json!({"ttl_s": 4_000_000_000_u64});
    let refused = server
        .json("PATCH", "/collections/short", &wrong)
        .refused(400);
    assert!(refused.contains("`ttl_s`"), "{refused}");
}

#[test]
fn faces_of_photos_expire_too() {
    let server = Server::start_with(&[("retention.sweep_s", "1")], fake());
    let body = json!({"embedder": "fake-128", "ttl_s": 1});
    server.put("/collections/f", &body).ok();
    server
        .form(
            "/collections/f/faces",
            &[("image", &photo(4)), ("person", b"Ada")],
        )
        .ok();
    common::until(|| server.get("/collections/f").ok()["points_count"] == 0);
    let found = server.form("/collections/f/faces/search", &[("image", &photo(4))]);
    assert_eq!(found.ok()["faces"][0]["hits"], json!([]));
}
