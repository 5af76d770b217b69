//! Nodes that share a log compare what they hold, and tell when it differs.

#[path = "../../../jetstream/tests/common/mod.rs"]
pub(crate) mod nats;

use std::time::Duration;

use jetstream::{Access, Checkpoints, Settings, Sums};
use nats::{ALWAYS, Nats};
use serde_json::json;
use storage::Lsn;

use crate::common::{Server, fake, until};

/// Starts a node whose log is on these servers, which keep each record once, with more settings.
pub(crate) fn on(
    nats: &Nats,
    more: &[(&'static str, &str)],
    start: impl FnOnce(&[(&'static str, &str)]) -> Server,
) -> Server {
    let (urls, monitors) = (nats.urls().join(","), nats.monitors().join(","));
    let own = [
        ("nats.servers", urls.as_str()),
        ("nats.monitors", monitors.as_str()),
        ("nats.replicas", "1"),
    ];
    start(&[&own, more].concat())
}

/// What else reaches the log of such a node.
pub(crate) fn reached(nats: &Nats) -> Settings {
    Settings {
        servers: nats.urls(),
        stream: "doppel".into(),
        replicas: 1,
        monitors: nats.monitors(),
        lazy_sync: false,
        checkpoints: None,
        access: Access::default(),
    }
}

#[test]
fn a_node_tells_when_another_holds_something_else() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let often = [
        ("nats.compare_interval_s", "1"),
        ("nats.checkpoint_interval_s", "1"),
    ];
    let server = on(&nats, &often, |settings| {
        Server::start_with(settings, fake())
    });
    server.with_vectors("c", 2, "Euclid");
    let points = json!({"points": [{"id": 1, "vector": [1.0, 0.0]}]});
    server.put("/collections/c/points?wait=true", &points).ok();
    let metric = |name: &str| {
        let text = server.get("/metrics").text();
        let line = text
            .lines()
            .find(|line| line.starts_with(&format!("{name} ")));
        line.unwrap()
            .rsplit(' ')
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    let sums = Sums::open(&reached(&nats)).unwrap();
    // The mark is the last record there is.
    let last = || {
        let answer = server.get("/collections/c");
        Lsn(answer.header("x-doppel-lsn").parse().unwrap())
    };
    let say = |bend: &dyn Fn(String) -> String| {
        let lsn = last();
        let said = sums.said(lsn).unwrap().into_iter();
        for (_, text) in said.filter(|(node, _)| node != "other") {
            sums.say(lsn, "other", &bend(text)).unwrap();
        }
    };
    until(|| {
        say(&|text| text);
        metric("doppel_replicas_compared_lsn") > 0.0
    });
    assert!(metric("doppel_replicas_differ") == 0.0);
    let store = Checkpoints::open(&reached(&nats)).unwrap();
    until(|| !store.all().unwrap().is_empty());
    let bent = |text: String| text.replace("\"c\":[\"", "\"c\":[\"0");
    until(|| {
        say(&bent);
        metric("doppel_replicas_differ") == 1.0
    });
    // It puts nothing there any more for others to begin with, but for what it had begun to.
    let put = || {
        server.put("/collections/c/points?wait=true", &points).ok();
        say(&bent);
        std::thread::sleep(Duration::from_millis(50));
    };
    (0..20).for_each(|_| put());
    let before = last();
    (0..60).for_each(|_| put());
    assert!(metric("doppel_replicas_differ") == 1.0);
    let newest = store.all().unwrap().into_iter().map(|it| it.lsn).max();
    assert!(newest < Some(before), "{newest:?}, {before}");
}
