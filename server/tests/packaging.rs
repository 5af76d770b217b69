//! What is shipped beside the program agrees with it.

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use common::Server;
use serde_json::json;

/// Names of ours and of the process in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let words = text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_');
    let ours = words.filter(|word| word.starts_with("doppel_") || word.starts_with("process_"));
    ours.collect()
}

#[test]
fn dashboard_and_alerts_speak_of_metrics_that_there_are() {
    let server = Server::start();
    server.with_vectors("c", 2, "Dot");
    let point = json!({"points": [{"id": 1, "vector": [1, 2]}]});
    server.put("/collections/c/points?wait=true", &point).ok();
    let query = json!({"query": [1, 2], "limit": 1});
    server.post("/collections/c/points/query", &query).ok();
    // Told once there is something to tell; the first search is asked again at once.
    let metrics = loop {
        let metrics = server.get("/metrics").text();
        if metrics.contains("doppel_search_recall_ratio{") {
            break metrics;
        }
        std::thread::yield_now();
    };
    let there = names(&metrics);
    let packaging = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging");
    for file in ["grafana/doppel.json", "prometheus/alerts.yml"] {
        let text = fs::read_to_string(packaging.join(file)).unwrap();
        let spoken = names(&text);
        assert!(spoken.len() > 10, "{file}: {spoken:?}");
        // A file's name, not a metric's.
        let unknown: Vec<_> = spoken
            .difference(&there)
            .filter(|it| **it != "doppel_key")
            .collect();
        assert!(unknown.is_empty(), "{file} speaks of {unknown:?}");
    }
}
