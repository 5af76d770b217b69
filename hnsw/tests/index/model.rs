//! Any sequence of changes, against a map: nothing is lost, no invariant breaks, and an index that was
//! frozen and read on the way goes on to the same bytes.

use std::collections::BTreeMap;

use hnsw::{Index, Metric, Params, Slot};
use proptest::prelude::*;

use crate::common::{Random, bytes, insert, read};

#[derive(Debug, Clone)]
enum Step {
    Insert(Vec<f32>),
    Batch(Vec<Vec<f32>>),
    Remove(usize),
    Reopen,
}

fn vectors() -> impl Strategy<Value = Vec<f32>> {
    // Few distinct values make many ties and duplicates.
    prop::collection::vec(prop_oneof![Just(0.5f32), Just(1.0), -1.0f32..1.0], 3)
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => vectors().prop_map(Step::Insert),
        1 => prop::collection::vec(vectors(), 1..12).prop_map(Step::Batch),
        4 => any::<prop::sample::Index>().prop_map(|at| Step::Remove(at.index(1_000))),
        1 => Just(Step::Reopen),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_changes_keeps_every_invariant_and_every_point(steps in steps()) {
        let params = Params { m: 2, ef_construct: 8, ..Params::new(3, Metric::Euclid) };
        let (mut index, mut random) = (Index::new(params).unwrap(), Random(9));
        // The same steps without reopening must give the same bytes.
        let (mut straight, mut straight_random) = (Index::new(params).unwrap(), Random(9));
        let mut model: BTreeMap<u32, Vec<f32>> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Insert(vector) => {
                    let slot = index.insert(random.next(), &vector).unwrap();
                    straight.insert(straight_random.next(), &vector).unwrap();
                    model.insert(slot.0, vector);
                }
                Step::Batch(batch) => {
                    let slots = insert(&mut index, &mut random, &batch, 2);
                    insert(&mut straight, &mut straight_random, &batch, 2);
                    model.extend(slots.iter().map(|slot| slot.0).zip(batch));
                }
                Step::Remove(at) => {
                    let Some(slot) = model.keys().nth(at % model.len().max(1)).copied() else { continue };
                    model.remove(&slot);
                    index.remove(Slot(slot)).unwrap();
                    straight.remove(Slot(slot)).unwrap();
                }
                Step::Reopen => index = read(&bytes(&index)).unwrap(),
            }
            prop_assert_eq!(index.check(), Ok(()));
        }
        prop_assert_eq!(bytes(&index), bytes(&straight));
        prop_assert_eq!(index.len(), model.len());
        for (slot, vector) in &model {
            prop_assert_eq!(index.vector(Slot(*slot)), Some(vector.as_slice()));
        }
    }
}
