//! Points that go in only where there are none.

use super::*;

#[test]
fn of_all_who_put_a_point_where_there_is_none_one_does_on_whatever_node() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (cluster.node(), cluster.node());
    one.create_collection("c", spec()).unwrap();
    settle(&other, &one);
    for round in 0..30 {
        let ids = [3 * round, 3 * round + 1, 3 * round + 2];
        // Each writer's points can be told by their numbers.
        let put = |node: &Engine, writer: u64| {
            let points = ids.iter().map(|id| point(*id, 1_000 * writer + id));
            let put = node.insert("c", points.collect(), Ack::Applied);
            let (_, known) = put.unwrap();
            ids.map(|id| !known.contains(&PointId::Num(id)))
        };
        let told: Vec<_> = thread::scope(|scope| {
            let writers = [(&one, 1), (&other, 2), (&one, 3), (&other, 4)];
            let writers: Vec<_> = writers
                .into_iter()
                .map(|(node, writer)| scope.spawn(move || (writer, put(node, writer))))
                .collect();
            writers.into_iter().map(|it| it.join().unwrap()).collect()
        });
        settle(&one, &other);
        let there = contents(&one, "c");
        for (at, id) in ids.into_iter().enumerate() {
            let mut put = told.iter().filter(|(_, put)| put[at]);
            let (writer, _) = put.next().expect("somebody has put it");
            assert!(put.next().is_none(), "round {round}: {id} was put twice");
            let held = there[&PointId::Num(id)];
            assert_eq!(held, 1_000 * writer + id, "round {round}");
        }
    }
    expect_same(&[&one, &other]);
}
