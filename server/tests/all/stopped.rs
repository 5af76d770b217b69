//! A server whose writing a disk error has stopped, over HTTP.

use crate::common;

use common::{Server, fake};
use serde_json::json;

#[test]
fn after_a_disk_error_writes_are_refused_with_507_and_searches_go_on() {
    let server = Server::start_with(&[("log.segment_mib", "1")], fake());
    server.with_vectors("v", 2, "Dot");
    let put = || {
        let payload = json!({"text": "x".repeat(300 << 10)});
        let point = json!({"id": 1, "vector": [1, 2], "payload": payload});
        server.put(
            "/collections/v/points?wait=true",
            &json!({"points": [point]}),
        )
    };
    put().ok();
    let log = server.data_dir().join("log");
    let away = server.data_dir().join("log-away");
    std::fs::rename(&log, &away).unwrap();
    // The open segment takes some more; the next one cannot be made.
    let refused = (0..10).map(|_| put()).find(|answer| answer.status != 200);
    let message = refused.unwrap().refused(507);
    assert!(message.contains("until a restart"), "{message}");
    // Jobs that write are not begun to fail later.
    let message = put().refused(507);
    let jobs = [
        ("/admin/jobs", json!({"kind": "compact"})),
        ("/admin/collections/v/jobs", json!({"kind": "purge"})),
        ("/admin/collections/v/reindex", json!({})),
        ("/admin/collections/v/reembed", json!({"model": "fake-72"})),
        (
            "/admin/collections/v/cluster",
            json!({"threshold": 0.5, "write": true}),
        ),
    ];
    for (path, body) in jobs {
        assert_eq!(server.post(path, &body).refused(507), message, "{path}");
    }
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
    server
        .post("/admin/collections/v/jobs", &json!({"kind": "warm_up"}))
        .ok();
    let query = json!({"query": [1, 2]});
    let found = server.post("/collections/v/points/query", &query).ok();
    assert_eq!(found["points"][0]["id"], 1);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("doppel_read_only 1"), "{metrics}");
    let message = server.get("/readyz").refused(503);
    assert!(message.contains("Searches go on"), "{message}");
    assert_eq!(server.get("/livez").status, 200);
    std::fs::rename(&away, &log).unwrap();
    let told = server.stopped().unwrap_err().to_string();
    assert!(told.contains("next start replays records 1 to"), "{told}");
}
