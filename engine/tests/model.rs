//! The engine beside a map that does the same.

mod common;

use std::collections::BTreeMap;
use std::fs;

use common::{contents, filled, open, point, query, vector};
use engine::{Ack, PointId};
use proptest::prelude::*;

#[derive(Debug, Clone)]
enum Step {
    Upsert(Vec<(u64, u64)>),
    Delete(Vec<u64>),
    Checkpoint,
    Reopen,
    LoseTables,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let id = 0..40u64;
    let step = prop_oneof![
        8 => prop::collection::vec((id.clone(), 0..1_000u64), 1..20).prop_map(Step::Upsert),
        4 => prop::collection::vec(id, 1..6).prop_map(Step::Delete),
        1 => Just(Step::Checkpoint),
        1 => Just(Step::Reopen),
        1 => Just(Step::LoseTables),
    ];
    prop::collection::vec(step, 1..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_writes_and_restarts_holds_what_a_map_would(steps in steps()) {
        let dir = tempfile::tempdir().unwrap();
        let mut engine = filled(dir.path(), 1);
        let mut model = BTreeMap::from([(PointId::Num(0), 0)]);
        for step in steps {
            match step {
                Step::Upsert(points) => {
                    let new = points.iter().map(|(id, n)| point(*id, *n)).collect();
                    engine.upsert("c", new, Ack::Applied).unwrap();
                    model.extend(points.into_iter().map(|(id, n)| (PointId::Num(id), n)));
                }
                Step::Delete(ids) => {
                    let ids: Vec<_> = ids.into_iter().map(PointId::Num).collect();
                    engine.delete("c", ids.clone(), Ack::Applied).unwrap();
                    model.retain(|id, _| !ids.contains(id));
                }
                Step::Checkpoint => drop(engine.checkpoint().unwrap()),
                Step::Reopen => {
                    drop(engine);
                    engine = open(dir.path());
                }
                Step::LoseTables => {
                    drop(engine);
                    fs::remove_dir_all(dir.path().join("tables")).unwrap();
                    engine = open(dir.path());
                }
            }
            prop_assert_eq!(contents(&engine, "c"), model.clone());
            for (id, n) in model.iter().take(3) {
                let hits = engine.search("c", &query(vector(*n), 40)).unwrap();
                prop_assert!(hits.iter().any(|hit| hit.point.id == *id && hit.score == 0.0));
            }
        }
        engine.check("c").unwrap();
    }
}
