//! A log that is purged or removed beside nodes that follow it.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use jetstream::Checkpoints;
use serde_json::json;
use storage::Lsn;

use crate::common::{Server, fake, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::{on, reached};

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
    // With what ends before that nobody begins.
    let store = Checkpoints::open(&reached(&nats)).unwrap();
    let older = lsn(&first).parse::<u64>().unwrap() - (1 << 16);
    store
        .put(Lsn(older), "of before".into(), &b"nothing"[..])
        .unwrap();
    purge(&nats);
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

/// Where a node stands, as it tells its clients.
fn lsn(node: &Server) -> String {
    node.get("/collections/c").header("x-doppel-lsn").to_owned()
}

fn purge(nats: &Nats) {
    nats.publish("$JS.API.STREAM.PURGE.doppel", "{}");
}

#[test]
fn a_node_that_is_started_after_all_was_purged_writes_on_and_stops_nobody() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, second) = (node(&nats, "0"), node(&nats, "0"));
    first.with_vectors("c", 2, "Euclid");
    until(|| second.get("/collections/c").status == 200);
    assert_eq!((put(&first, 0), put(&second, 1)), (200, 200));
    until(|| count(&first) == 2);
    let dir = second.stop();
    let told = lsn(&first);
    purge(&nats);
    let second = start(&nats, "0", |settings| {
        Server::start_in(dir, settings, fake())
    });
    // One that runs may have put a mark behind what is gone by now.
    let message = |lsn: &str| lsn.parse::<u64>().unwrap() >> 16;
    let own = lsn(&second);
    assert!(
        own == told || message(&own) > message(&told),
        "{own}, {told}"
    );
    assert_eq!((put(&second, 2), put(&first, 3)), (200, 200));
    until(|| count(&first) == 4 && count(&second) == 4);
    until(|| lsn(&first) == lsn(&second));
    let sum = |node: &Server| node.get("/admin/collections/c/checksum").ok();
    let same = |name: &str| sum(&first)[name] == sum(&second)[name];
    assert!(same("content") && same("graph"));
}

#[test]
fn a_node_that_does_not_know_what_was_purged_waits_for_one_that_does_and_says_so() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, second) = (node(&nats, "0"), node(&nats, "0"));
    first.with_vectors("c", 2, "Euclid");
    assert_eq!(put(&first, 0), 200);
    until(|| second.get("/collections/c").status == 200 && count(&second) == 1);
    let (knows, forgot) = (first.stop(), second.stop());
    purge(&nats);
    // As a power cut may leave it, and a version that kept nothing else.
    let data = forgot.path().join("data");
    std::fs::remove_dir_all(data.join("copy")).unwrap();
    let follows = storage::read_whole(&data.join("FOLLOWS")).unwrap().unwrap();
    assert!(follows.len() > 24);
    storage::replace_whole(&data.join("FOLLOWS"), &follows[..24]).unwrap();
    let second = start(&nats, "0", |settings| {
        Server::start_in(forgot, settings, fake())
    });
    let told = second.get("/readyz").refused(503);
    assert!(
        told.contains("does not know its last message") && told.contains("Searches go on"),
        "{told}"
    );
    let refused = second.put(
        "/collections/c/points?wait=true",
        &json!({"points": [{"id": 1, "vector": [1, 0]}]}),
    );
    let told = refused.refused(503);
    assert!(told.contains("does not know its last message"), "{told}");
    assert!(
        second
            .get("/metrics")
            .text()
            .contains("\ndoppel_log_waits 1\n")
    );
    assert_eq!(count(&second), 1);
    let first = start(&nats, "0", |settings| {
        Server::start_in(knows, settings, fake())
    });
    until(|| second.get("/readyz").status == 200);
    assert_eq!((put(&second, 1), put(&first, 2)), (200, 200));
    until(|| count(&first) == 3 && count(&second) == 3);
    // Without its copy alone it knows what it had read at its last checkpoint.
    let (gone, knows) = (first.stop(), second.stop());
    purge(&nats);
    std::fs::remove_dir_all(knows.path().join("data/copy")).unwrap();
    let second = start(&nats, "0", |settings| {
        Server::start_in(knows, settings, fake())
    });
    assert_eq!(put(&second, 3), 200);
    let first = start(&nats, "0", |settings| {
        Server::start_in(gone, settings, fake())
    });
    assert_eq!(put(&first, 4), 200);
    until(|| count(&first) == 5 && count(&second) == 5);
}

#[test]
fn a_node_that_is_behind_what_was_purged_serves_what_it_has_when_nobody_puts_the_rest_there() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, second) = (node(&nats, "0"), node(&nats, "0"));
    first.with_vectors("c", 2, "Euclid");
    assert_eq!(put(&first, 0), 200);
    until(|| second.get("/collections/c").status == 200 && count(&second) == 1);
    let behind = second.stop();
    assert_eq!(put(&first, 1), 200);
    let has_all = first.stop();
    purge(&nats);
    let second = start(&nats, "0", |settings| {
        Server::starting_in(behind, settings, fake())
    });
    let told = |word: &str| {
        let answer = second.get("/readyz");
        answer.status == 503 && answer.refused(503).contains(word)
    };
    until(|| told("tries again") && told("what is between was purged"));
    until(|| told("writing has stopped") && told("what is between was purged"));
    assert_eq!((count(&second), put(&second, 2)), (1, 507));
    // Once one is there that has it, it goes on with a restart.
    let first = start(&nats, "3600", |settings| {
        Server::start_in(has_all, settings, fake())
    });
    until(|| first.get("/readyz").text() == "ready");
    let behind = second.stop();
    let second = start(&nats, "0", |settings| {
        Server::start_in(behind, settings, fake())
    });
    assert_eq!((put(&second, 2), put(&first, 3)), (200, 200));
    until(|| count(&first) == 4 && count(&second) == 4);
}

#[test]
fn a_node_that_begins_with_a_checkpoint_behind_which_all_was_purged_writes_on() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let first = node(&nats, "1");
    first.with_vectors("c", 2, "Euclid");
    assert_eq!(put(&first, 0), 200);
    let store = Checkpoints::open(&reached(&nats)).unwrap();
    let last = Lsn(lsn(&first).parse().unwrap());
    until(|| store.all().unwrap().iter().any(|it| it.lsn == last));
    // Nobody is left who has read it.
    drop(first);
    purge(&nats);
    let fresh = node(&nats, "0");
    assert_eq!((put(&fresh, 1), count(&fresh)), (200, 2));
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
