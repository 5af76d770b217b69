//! Shards as soon as they are open, and when they take no writes: what is said is so, and nothing is waited for in vain.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::common::{Answer, Server, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::shards::{KEY, node, spread, with_settings};

const POINTS: &str = "/collections/c/points?wait=true";

fn points(count: u64) -> Value {
    let points = (0..count).map(|id| json!({"id": id, "vector": [id, 0, 0, 0, 0, 0, 0, 0]}));
    json!({"points": points.collect::<Vec<_>>()})
}

fn marked() -> Value {
    json!({"points": [0, 1, 2, 3, 4, 5, 6, 7], "payload": {"marked": true}})
}

fn in_shard(server: &Server, path: &str) -> Answer {
    let key = format!("Bearer {KEY}");
    server.send("GET", path, &[("authorization", &key)], &[])
}

fn create(server: &Server, name: &str) -> Answer {
    let body = json!({"vectors": {"size": 8, "distance": "Euclid"}, "shards": 3});
    server.put(&format!("/collections/{name}"), &body)
}

#[test]
fn what_a_node_is_ready_for_it_does_at_the_first_request() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let mut dir = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let server = with_settings(&nats, "all", KEY, |settings| {
            Server::start_in(dir, settings, crate::common::fake())
        });
        // A lease of the round before may say something else for a moment.
        until(|| server.get("/readyz").text() == "ready");
        if round == 0 {
            create(&server, "c").ok();
        }
        server.put(POINTS, &points(30)).ok();
        let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 30});
        let hits = server.post("/collections/c/points/search", &search).ok();
        assert_eq!(hits.as_array().unwrap().len(), 30);
        dir = server.stop();
    }
}

#[test]
fn the_first_request_after_all_nodes_are_ready_finds_them_all() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 30});
    for round in 0..4 {
        let (first, other) = (node(&nats, "0", KEY), node(&nats, "1,2", KEY));
        for node in [&first, &other] {
            // Not what it sees of others: that a load balancer does not read.
            until(|| node.get("/readyz").status == 200);
        }
        match round {
            0 => drop(create(&first, "c").ok()),
            1 => drop(first.put(POINTS, &points(30)).ok()),
            2 => drop(first.post("/collections/c/points/search", &search).ok()),
            _ => drop(
                first
                    .put("/collections/c/points/payload?wait=true", &marked())
                    .ok(),
            ),
        }
    }
}

#[test]
fn a_collection_whose_shard_takes_no_writes_is_refused_at_once_with_the_cause() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, other) = (node(&nats, "0,1", KEY), node(&nats, "2", KEY));
    spread(&first, "c", "Euclid");
    nats.publish("doppel-shard-1.log", "no message of doppel's");
    until(|| in_shard(&first, "/shards/1/readyz").status == 503);
    for server in [&first, &other] {
        // The other is told of it with the next lease.
        until(|| server.get("/readyz").text().contains("takes no writes"));
        let started = Instant::now();
        let told = create(server, "d").refused(503);
        assert!(started.elapsed() < Duration::from_secs(5), "{started:?}");
        assert!(
            told.contains("nothing was made")
                && told.contains("shard 1")
                && told.contains("is damaged"),
            "{told}"
        );
        server.get("/collections/d").refused(404);
    }
    // What is not written is told as that.
    let told = other.put(POINTS, &points(30)).refused(507);
    assert!(
        told.contains("shard 1 not done") && !told.contains("may be done"),
        "{told}"
    );
    // What it has is served.
    let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 30});
    other.post("/collections/c/points/search", &search).ok();
}

#[test]
fn the_parts_of_a_collection_that_is_dropped_at_once_after_the_first_start_are_gone() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    for _ in 0..5 {
        let server = node(&nats, "all", KEY);
        until(|| create(&server, "c").status == 200);
        assert_eq!(server.delete("/collections/c").ok(), true);
        for shard in 0..3 {
            let told = in_shard(&server, &format!("/shards/{shard}/collections")).ok();
            assert_eq!(told["collections"], json!([]), "shard {shard}");
        }
    }
}

#[test]
fn a_collection_whose_parts_are_not_made_yet_is_not_told_to_be_missing() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, other) = (node(&nats, "0,1", KEY), node(&nats, "2", KEY));
    spread(&first, "ready", "Euclid");
    for round in 0..8 {
        let name = format!("c{round}");
        let path = format!("/collections/{name}/points/count");
        std::thread::scope(|scope| {
            let made = scope.spawn(|| create(&first, &name).status);
            while !made.is_finished() {
                let exists = other.get(&format!("/collections/{name}/exists")).ok();
                let told = other.post(&path, &json!({}));
                let is_known = exists["exists"] == true;
                assert!(!is_known || told.status != 404, "{}", told.text());
            }
            assert_eq!(made.join().unwrap(), 200);
        });
    }
}
