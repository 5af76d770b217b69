//! A log that is purged or removed beside nodes that follow it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use serde_json::json;

use crate::common::{Server, fake, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::on;

/// A node that puts checkpoints into the store so often, or never.
fn start(
    nats: &Nats,
    every: &str,
    start: impl FnOnce(&[(&'static str, &str)]) -> Server,
) -> Server {
    on(nats, &[("nats.checkpoint_interval_s", every)], start)
}

fn node(nats: &Nats, every: &str) -> Server {
    start(nats, every, |settings| Server::start_with(settings, fake()))
}

fn put(node: &Server, id: u64) -> u16 {
    let points = json!({"points": [{"id": id, "vector": [id, 0]}]});
    node.put("/collections/c/points?wait=true", &points).status
}

fn count(node: &Server) -> u64 {
    let counted = node.post("/collections/c/points/count", &json!({})).ok();
    counted["count"].as_u64().unwrap()
}

fn is_told(node: &Server, is_purged: bool) -> bool {
    let line = format!("\ndoppel_log_purged {}\n", u8::from(is_purged));
    node.get("/metrics").text().contains(&line)
}

#[test]
fn nodes_say_that_their_log_was_purged_until_a_checkpoint_makes_up_for_it() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    // One that puts no checkpoints into the store.
    let first = node(&nats, "0");
    first.with_vectors("c", 2, "Euclid");
    for id in 0..5 {
        assert_eq!(put(&first, id), 200);
    }
    nats.publish("$JS.API.STREAM.PURGE.doppel", "{}");
    let ready = || first.get("/readyz").text();
    until(|| ready().contains("somebody has purged what comes before"));
    assert!(ready().starts_with("ready, but"), "{}", ready());
    assert!(is_told(&first, true));
    assert_eq!((put(&first, 5), count(&first)), (200, 6));
    // Nobody can begin, and is told for what it waits.
    let late = start(&nats, "0", |settings| Server::starting(settings, fake()));
    until(|| {
        let told = late.get("/readyz").refused(503);
        told.contains("what comes before was purged") && told.contains("tries again")
    });
    // Who had it goes on after a restart, and makes up for it if it may.
    let dir = first.stop();
    let first = start(&nats, "3600", |settings| {
        Server::start_in(dir, settings, fake())
    });
    assert_eq!((put(&first, 6), count(&first)), (200, 7));
    until(|| late.get("/readyz").status == 200);
    until(|| count(&late) == 7);
    until(|| first.get("/readyz").text() == "ready" && is_told(&first, false));
    assert_eq!(put(&late, 7), 200);
    until(|| count(&first) == 8);
}

#[test]
fn a_node_whose_stream_is_removed_stops_writing_before_anybody_writes() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let node = node(&nats, "3600");
    node.with_vectors("c", 2, "Euclid");
    assert_eq!(put(&node, 1), 200);
    nats.publish("$JS.API.STREAM.DELETE.doppel", "{}");
    until(|| node.get("/readyz").status == 503);
    let told = node.get("/readyz").refused(503);
    assert!(
        told.contains("is not there any more") && told.contains("When the log is damaged"),
        "{told}"
    );
    assert_eq!((put(&node, 2), count(&node)), (507, 1));
    let metrics = node.get("/metrics").text();
    assert!(metrics.contains("\ndoppel_log_broken 1\n"), "{metrics}");
}
