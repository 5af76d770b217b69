//! What nodes begin with from others: only where they must, with numbers that nobody has been given; and what is told
//! of what cannot be had, or be read.

use super::broken::killed;
use super::*;

#[test]
fn a_node_whose_checkpoint_the_log_goes_on_from_takes_nothing_from_the_store() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let dir = tempfile::tempdir().unwrap();
    let one = Engine::open(seeded(&cluster, &dir, &store)).unwrap();
    one.create_collection("c", spec()).unwrap();
    one.checkpoint().unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    keep(&store, &one);
    let left = killed(dir.path());
    let again = Engine::open(seeded(&cluster, &left, &store)).unwrap();
    let replayed = again.status().replayed_records;
    assert_eq!((replayed, contents(&again, "c").len()), (1, 1));
}

#[test]
fn the_number_of_a_collection_that_was_dropped_before_is_given_to_no_other_by_who_begins_late() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let (_a, one) = cluster.node();
    for name in ["c", "gone"] {
        one.create_collection(name, spec()).unwrap();
    }
    one.drop_collection("gone").unwrap();
    let lsn = keep(&store, &one);
    cluster.0.lock().trim_below(lsn.next());
    let fresh = tempfile::tempdir().unwrap();
    let late = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    late.create_collection("after", spec()).unwrap();
    settle(&one, &late);
    for node in [&one, &late] {
        // In the order of their names.
        assert_eq!(node.seed().unwrap().head.collections, [3, 1]);
    }
}

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
