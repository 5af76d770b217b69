//! A node that hears of what others have written only when its own write is overtaken: what it has decided by then is
//! decided again, and what comes at once is applied in order.

use super::*;

/// One whose log is `Late`.
fn late(cluster: &Cluster) -> (TempDir, Engine) {
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::clone(&cluster.0);
    let options = Options {
        shared_log: Some(Arc::new(move |_| {
            Ok(Box::new(Late(log.lock().another())) as Box<dyn Log>)
        })),
        compares: true,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options).unwrap();
    (dir, engine)
}

fn marked() -> engine::Payload {
    [("marked".to_owned(), true.into())].into_iter().collect()
}

#[test]
fn what_another_has_made_of_payloads_counts_for_who_hears_of_it_late() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (late(&cluster), cluster.node());
    one.create_collection("c", spec()).unwrap();
    let points = (0..3).map(|n| point(n, n)).collect();
    one.upsert("c", points, Ack::Applied).unwrap();
    settle(&other, &one);
    let (payload, all) = (marked(), Chosen::Filter(Filter::default()));
    let change = PayloadChange::Set { payload, key: None };
    other
        .change_payload("c", all, &change, Ack::Applied)
        .unwrap();
    let key = KeyPath::of("marked");
    let test = engine::Test::Empty;
    let unmarked = Filter {
        must: vec![engine::Condition::Key { key, test }],
        ..Filter::default()
    };
    let (_, gone) = one.delete_where("c", &unmarked, Ack::Applied).unwrap();
    assert_eq!((gone, contents(&one, "c").len()), (0, 3));
    expect_same(&[&one, &other]);
}

#[test]
fn what_is_kept_at_a_mark_has_nothing_of_what_came_with_it() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (late(&cluster), late(&cluster));
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(0, 0)], Ack::Applied).unwrap();
    let lsn = one.mark().unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    // All of it comes at once, when this is overtaken.
    other.create_collection("d", spec()).unwrap();
    let both = [&one, &other].map(|node| node.marked().unwrap().unwrap());
    assert_eq!((both[0].lsn, &both[0]), (lsn, &both[1]));
}
