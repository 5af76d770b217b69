//! What nodes begin with from others: only where they must, and with numbers that nobody has been given.

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
