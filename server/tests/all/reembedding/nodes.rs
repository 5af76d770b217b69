//! Moves where several nodes share a log: one of them is at a move, and the others know.

use std::time::Duration;

use serde_json::json;

use super::{REEMBED, Server, ended, fill, one_that_waits, two_fakes, until, vectors};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::on;

#[test]
fn a_move_that_another_node_is_at_is_neither_begun_nor_given_up_before_that_has_ended() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (waits, seen, go) = one_that_waits();
    let one = on(&nats, &[], |settings| Server::start_with(settings, waits));
    let other = on(&nats, &[], |settings| {
        Server::start_with(settings, two_fakes())
    });
    // Dropped before them, so that they end also where this fails.
    let go = go;
    fill(&one);
    let body = json!({"model": "fake-72"});
    let job = one.post(REEMBED, &body).ok()["id"].clone();
    let begins = seen.recv_timeout(Duration::from_secs(60));
    begins.expect("the move begins");
    let is_noted = || {
        let told = other.get("/collections/f");
        told.status == 200 && told.ok()["config"]["metadata"]["reembedding"].is_object()
    };
    until(is_noted);
    until(|| {
        let told = other.post(REEMBED, &body).refused(409);
        assert!(told.contains("another node"), "{told}");
        told.contains(&format!("job {job}"))
    });
    let told = other.delete(REEMBED).refused(409);
    assert!(told.contains(&format!("job {job}")), "{told}");
    one.delete(&format!("/admin/jobs/{job}")).ok();
    drop(go);
    assert_eq!(ended(&one, &job)["status"], "cancelled");
    until(|| other.delete(REEMBED).status == 200);
    assert!(!is_noted());
    assert_eq!(vectors(&other, 4), [""]);
}
