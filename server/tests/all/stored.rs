//! The store of checkpoints of a shared log, where it is away, takes nothing, or is another on each node.

use std::fs;
use std::path::Path;

use crate::common::{Server, config, fake, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::on;
use crate::shards::{KEY, with_settings};

fn url(folder: &Path) -> String {
    format!("file://{}", folder.display())
}

fn node(nats: &Nats, folder: &Path) -> Server {
    let store = url(folder);
    let more = [
        ("nats.checkpoints", store.as_str()),
        ("nats.checkpoint_interval_s", "4"),
    ];
    on(nats, &more, |settings| Server::start_with(settings, fake()))
}

#[test]
fn a_store_of_checkpoints_that_is_away_or_takes_nothing_is_told_until_it_can_be_used_again() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let [store, away] = ["store", "away"].map(|name| folder.path().join(name));
    fs::create_dir(&store).unwrap();
    let node = node(&nats, &store);
    node.with_vectors("c", 2, "Euclid");
    let fails = |fails: u8| {
        let line = format!("\ndoppel_checkpoint_store_failing {fails}\n");
        node.get("/metrics").text().contains(&line)
    };
    let own = store.join("doppel");
    until(|| own.exists());
    assert!(fails(0));
    fs::rename(&store, &away).unwrap();
    until(|| fails(1));
    fs::rename(&away, &store).unwrap();
    until(|| fails(0));
    // It can be looked at, but nothing can be put there.
    fs::remove_dir_all(&own).unwrap();
    fs::write(&own, "in the way").unwrap();
    until(|| fails(1));
    fs::remove_file(&own).unwrap();
    until(|| fails(0) && own.is_dir());
}

#[test]
fn a_store_that_is_away_is_told_by_the_start_of_a_node_that_has_data() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let first = on(&nats, &[], |settings| Server::start_with(settings, fake()));
    first.with_vectors("c", 2, "Euclid");
    let dir = first.stop();
    // There, but nothing that could be listed: its folder is none.
    fs::write(folder.path().join("doppel"), "in the way").unwrap();
    let store = url(folder.path());
    let starts = |dir| {
        on(&nats, &[("nats.checkpoints", &store)], |settings| {
            Server::start_in(dir, settings, fake())
        })
    };
    let fails = |server: &Server| {
        until(|| {
            let text = server.get("/metrics").text();
            text.contains("\ndoppel_checkpoint_store_failing 1\n")
        });
    };
    let again = starts(dir);
    fails(&again);
    let dir = again.stop();
    // As where a file server is away.
    drop(folder);
    fails(&starts(dir));
}

#[test]
fn nodes_whose_checkpoints_lie_elsewhere_are_named() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let first = with_settings(&nats, "0", KEY, |settings| {
        Server::start_with(settings, fake())
    });
    let store = url(folder.path());
    let other = with_settings(&nats, "1,2", KEY, |settings| {
        let more = [settings, &[("nats.checkpoints", store.as_str())]].concat();
        Server::start_with(&more, fake())
    });
    for node in [&first, &other] {
        until(|| {
            let told = node.get("/readyz").text();
            told.contains("has another nats.checkpoints")
        });
    }
    until(|| {
        let text = first.get("/metrics").text();
        text.contains("\ndoppel_nodes_disagreeing 1\n")
    });
}

#[test]
fn credentials_that_are_not_there_are_told_as_such() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("missing.creds").display().to_string();
    let settings = config(
        dir.path(),
        &[
            ("nats.servers", "nats://127.0.0.1:1"),
            ("nats.credentials", &missing),
        ],
    );
    let told = server::start(settings).err().unwrap().to_string();
    assert!(
        told.contains("`nats.credentials`") && told.contains(&missing),
        "{told}"
    );
    assert!(!told.contains("TLS"), "{told}");
}
