//! What is told of seeds that cannot be had, or be read.

use std::sync::Arc;

use engine::{Ack, Engine, Options};

use super::{Cluster, Kept, keep, seeded, spec};
use crate::common::point;

#[test]
fn a_seed_that_is_damaged_is_named_by_its_place_and_one_that_is_away_speaks_of_no_write() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let (_a, one) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    let lsn = keep(&store, &one);
    cluster.0.lock().trim_below(lsn.next());
    let middle = store.lock()[0].1.len() / 2;
    store.lock()[0].1[middle] ^= 1;
    store.lock()[0].0.shown = "s3://faces/checkpoint-1".to_owned();
    let fresh = tempfile::tempdir().unwrap();
    let told = |options: Options| Engine::open(options).err().unwrap().to_string();
    let damaged = told(seeded(&cluster, &fresh, &store));
    let place = "the checkpoint s3://faces/checkpoint-1";
    assert!(damaged.contains(place), "{damaged}");
    let away = told(Options {
        seed: Some(Arc::new(|_, _, _| {
            let why = "none of the servers answers";
            Err(storage::Error::Unreachable(why.to_owned()))
        })),
        ..seeded(&cluster, &fresh, &store)
    });
    assert!(away.contains("none of the servers"), "{away}");
    assert!(!away.contains("may come to be"), "{away}");
}
