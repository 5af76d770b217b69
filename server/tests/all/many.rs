//! Many collections: hundreds here, thousands by
//! `DOPPEL_TEST_COLLECTIONS=3000 cargo test --release -p server --test all -- --nocapture many::`, which
//! prints what each step took.

use crate::common;

use std::collections::BTreeSet;
use std::time::Instant;

use common::Server;
use serde_json::json;

fn name(at: usize) -> String {
    format!("c{at}")
}

fn put(server: &Server, at: usize) {
    let point = json!({"points": [{"id": 1, "vector": [at, 1]}]});
    let path = format!("/collections/{}/points?wait=true", name(at));
    server.put(&path, &point).ok();
}

fn snapshots(server: &Server) -> BTreeSet<String> {
    let files = std::fs::read_dir(server.data_dir().join("snapshots"));
    let files = files.map(|files| files.flatten().map(|file| file.file_name()));
    files
        .into_iter()
        .flatten()
        .map(|name| name.to_string_lossy().into_owned())
        .collect()
}

/// What this process, and the server in it, has of memory that is no file's and of open files.
fn process() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let memory = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
    let files = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    format!(
        "{} of memory, {files} open files",
        memory.unwrap_or("?").trim()
    )
}

#[test]
fn each_of_many_collections_is_served_and_a_checkpoint_writes_only_what_has_changed() {
    let many = std::env::var("DOPPEL_TEST_COLLECTIONS");
    let many = many.ok().and_then(|text| text.parse().ok()).unwrap_or(150);
    let mut server = Server::start();
    let mut begun = Instant::now();
    let mut told = |what: &str| {
        eprintln!(
            "{many} collections: {what} took {:.1?}; {}",
            begun.elapsed(),
            process()
        );
        begun = Instant::now();
    };
    for at in 0..many {
        server.with_vectors(&name(at), 2, "Dot");
        put(&server, at);
    }
    told("making them, with a point each,");
    let checkpoint = || server.post("/admin/checkpoint", &json!({})).ok();
    checkpoint();
    told("a first checkpoint");
    // The two that are kept share no file, so that one damaged file costs nothing.
    put(&server, 0);
    checkpoint();
    told("a second one");
    let before = snapshots(&server);
    put(&server, 1);
    checkpoint();
    told("a third one");
    let after = snapshots(&server);
    let new: Vec<_> = after.difference(&before).collect();
    // That of the point, and of the one that had changed between the first two.
    assert!(new.len() <= 2, "{new:?}");
    server.restart();
    told("a restart");
    let listed = server.get("/collections").ok();
    let listed = listed["collections"].as_array().map(Vec::len);
    assert_eq!(listed, Some(many));
    for at in 0..many {
        let path = format!("/collections/{}/points/query", name(at));
        let query = json!({"query": [1, 0], "limit": 1, "with_vector": true});
        let found = server.post(&path, &query).ok();
        assert_eq!(found["points"][0]["vector"][0], at as f64, "{found}");
    }
    told("a search in each");
}
