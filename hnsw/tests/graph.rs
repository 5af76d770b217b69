//! The index against brute force: answers, invariants, churn, freezing, hostile bytes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;

use common::{Random, faces, unit};
use hnsw::{Bits, Error, Index, Metric, Params, Quantization, SearchOptions, Slot, SlotSet};
use proptest::prelude::*;

/// What vectors can be walked on.
const KINDS: [Quantization; 5] = [
    Quantization::None,
    Quantization::Int8,
    Quantization::Packed(Bits::One),
    Quantization::Packed(Bits::Two),
    Quantization::Packed(Bits::Four),
];

fn build(params: Params, vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(params).unwrap();
    let mut random = Random(11);
    for vector in vectors {
        index.insert(random.next(), vector).unwrap();
    }
    index
}

fn slots(index: &Index, query: &[f32], k: usize, ef: usize, exact: bool) -> Vec<u32> {
    let options = SearchOptions {
        ef,
        exact,
        filter: None,
    };
    index
        .search(query, k, &options)
        .unwrap()
        .iter()
        .map(|hit| hit.slot.0)
        .collect()
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
fn recall(index: &Index, queries: &[Vec<f32>], k: usize, ef: usize) -> f32 {
    let mut found = 0;
    for query in queries {
        let truth = slots(index, query, k, ef, true);
        found += slots(index, query, k, ef, false)
            .iter()
            .filter(|slot| truth.contains(slot))
            .count();
    }
    found as f32 / (queries.len() * k) as f32
}

fn bytes(index: &Index) -> Vec<u8> {
    let mut out = Vec::new();
    index.freeze().write(&mut out).unwrap();
    out
}

fn read(bytes: &[u8]) -> Result<Index, Error> {
    Index::read(&mut &bytes[..], bytes.len() as u64, None)
}

/// The test doppel's ancestor had: independent directions have no structure a graph could use, so
/// the beam is wide; the answers must still come through the graph.
#[test]
fn ten_thousand_random_unit_vectors_are_answered_as_by_a_linear_scan() {
    let mut random = Random(300);
    let vectors: Vec<_> = (0..10_000).map(|_| unit(random.vector(300))).collect();
    for quantization in KINDS {
        let params = Params {
            m: 24,
            ef_construct: 200,
            quantization,
            ..Params::new(300, Metric::Cosine)
        };
        let index = build(params, &vectors);
        index.check().unwrap();
        for _ in 0..100 {
            let query = unit(random.vector(300));
            let walked = slots(&index, &query, 5, 5_000, false);
            assert_eq!(
                walked,
                slots(&index, &query, 5, 0, true),
                "{quantization:?}"
            );
        }
    }
}

#[test]
fn recall_on_face_like_vectors_stays_above_its_floor() {
    let mut random = Random(20);
    let all = faces(&mut random, 20_200, 128);
    // Queries are photos of people who are there.
    let (queries, vectors): (Vec<_>, Vec<_>) = all
        .into_iter()
        .enumerate()
        .partition(|(at, _)| at % 101 == 0);
    let strip =
        |numbered: Vec<(usize, Vec<f32>)>| numbered.into_iter().map(|(_, v)| v).collect::<Vec<_>>();
    let (queries, vectors) = (strip(queries), strip(vectors));
    for quantization in KINDS {
        let index = build(
            Params {
                quantization,
                ..Params::new(128, Metric::Cosine)
            },
            &vectors,
        );
        index.check().unwrap();
        let measured = recall(&index, &queries, 10, 100);
        assert!(
            measured >= 0.97,
            "{quantization:?}: recall@10 is {measured}"
        );
    }
}

#[test]
fn recall_holds_and_no_point_is_lost_when_half_is_replaced_again_and_again() {
    let mut random = Random(5);
    let vectors = faces(&mut random, 6_000, 64);
    let queries: Vec<_> = vectors.iter().step_by(60).cloned().collect();
    let mut index = build(Params::new(64, Metric::Cosine), &vectors);
    let fresh = recall(&index, &queries, 10, 64);
    let mut at: Vec<(Slot, usize)> = (0u32..).map(Slot).zip(0..vectors.len()).collect();
    for round in 0..3 {
        for entry in at.iter_mut().skip(round % 2).step_by(2) {
            index.remove(entry.0).unwrap();
        }
        index.check().unwrap();
        for entry in at.iter_mut().skip(round % 2).step_by(2) {
            entry.0 = index.insert(random.next(), &vectors[entry.1]).unwrap();
        }
        index.check().unwrap();
        let now = recall(&index, &queries, 10, 64);
        assert!(
            now >= fresh - 0.01,
            "round {round}: recall fell from {fresh} to {now}"
        );
    }
    assert_eq!(index.slots(), vectors.len());
}

#[test]
fn many_equal_vectors_all_stay_reachable() {
    let mut index = Index::new(Params {
        m: 4,
        ef_construct: 16,
        ..Params::new(8, Metric::Euclid)
    })
    .unwrap();
    let mut random = Random(1);
    for _ in 0..10_000 {
        index.insert(random.next(), &[1.0; 8]).unwrap();
    }
    index.check().unwrap();
    for slot in (0..10_000).step_by(3) {
        index.remove(Slot(slot)).unwrap();
    }
    index.check().unwrap();
    assert_eq!(slots(&index, &[1.0; 8], 10, 50, false).len(), 10);
}

#[test]
fn a_filter_that_lets_few_through_still_gets_all_there_are() {
    let mut random = Random(8);
    let vectors = faces(&mut random, 3_000, 32);
    let index = build(Params::new(32, Metric::Cosine), &vectors);
    let few: SlotSet = (7..3_000).step_by(500).map(Slot).collect();
    let options = SearchOptions {
        ef: 10,
        exact: false,
        filter: Some(&few),
    };
    let hits = index.search(&vectors[0], 10, &options).unwrap();
    let mut found: Vec<u32> = hits.iter().map(|hit| hit.slot.0).collect();
    found.sort_unstable();
    assert_eq!(found, [7, 507, 1_007, 1_507, 2_007, 2_507]);
}

#[test]
fn scores_are_the_exact_ones_of_each_metric() {
    let vectors = [vec![3.0, 4.0], vec![-1.0, 0.5]];
    let expect = |metric, query: &[f32], score: f32| {
        let index = build(Params::new(2, metric), &vectors);
        let hit = index.search(query, 1, &SearchOptions::default()).unwrap()[0];
        assert!(
            (hit.score - score).abs() < 1e-6,
            "{metric:?}: {}",
            hit.score
        );
    };
    expect(Metric::Cosine, &[6.0, 8.0], 1.0);
    expect(Metric::Dot, &[1.0, 1.0], 7.0);
    expect(Metric::Euclid, &[0.0, 0.0], 1.25f32.sqrt());
    expect(Metric::Manhattan, &[0.0, 0.0], 1.5);
}

#[test]
fn what_cannot_be_compared_is_refused() {
    let mut index = Index::new(Params::new(2, Metric::Cosine)).unwrap();
    assert!(matches!(
        index.insert(1, &[1.0]),
        Err(Error::Dimension {
            expected: 2,
            got: 1
        })
    ));
    assert!(matches!(
        index.insert(1, &[f32::NAN, 0.0]),
        Err(Error::NotFinite { position: 0, .. })
    ));
    assert!(matches!(
        index.insert(1, &[0.0, f32::INFINITY]),
        Err(Error::NotFinite { position: 1, .. })
    ));
    assert!(matches!(
        index.insert(1, &[0.0, 0.0]),
        Err(Error::NoDirection(_))
    ));
    assert!(matches!(index.remove(Slot(0)), Err(Error::NoSuchSlot(0))));
    assert!(
        index
            .search(&[1.0, 0.0], 5, &SearchOptions::default())
            .unwrap()
            .is_empty()
    );
    assert!(
        index
            .search(&[1.0, 0.0], 0, &SearchOptions::default())
            .is_err()
    );
    assert!(Index::new(Params::new(0, Metric::Dot)).is_err());
    assert!(
        Index::new(Params {
            m: 1,
            ..Params::new(2, Metric::Dot)
        })
        .is_err()
    );
    assert!(index.is_empty());
    let mut euclid = Index::new(Params::new(2, Metric::Euclid)).unwrap();
    let too_large = euclid.insert(1, &[0.0, 2e16]);
    assert!(matches!(
        too_large,
        Err(Error::TooLarge { position: 1, .. })
    ));
    index.insert(1, &[f32::MAX, f32::MAX]).unwrap();
    index.insert(1, &[f32::MIN_POSITIVE, 0.0]).unwrap();
    index.check().unwrap();
}

#[test]
fn a_damaged_frozen_index_is_refused_and_never_a_panic() {
    let mut random = Random(3);
    let vectors: Vec<_> = (0..60).map(|_| random.vector(5)).collect();
    let mut index = build(
        Params {
            m: 3,
            ..Params::new(5, Metric::Euclid)
        },
        &vectors,
    );
    index.remove(Slot(4)).unwrap();
    let good = bytes(&index);
    for len in 0..good.len() {
        assert!(read(&good[..len]).is_err(), "cut at {len}");
    }
    for at in 0..good.len() {
        for mask in [1, 0x80, 0xff] {
            let mut bad = good.clone();
            bad[at] ^= mask;
            if let Ok(index) = read(&bad) {
                // A flipped bit of a vector or an unused byte cannot be told without a checksum.
                let _ = index.search(&[0.0; 5], 10, &SearchOptions::default());
            }
        }
    }
}

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

fn insert_batch(index: &mut Index, random: &mut Random, batch: &[Vec<f32>]) -> Vec<Slot> {
    let points: Vec<(u64, &[f32])> = batch
        .iter()
        .map(|v| (random.next(), v.as_slice()))
        .collect();
    index.insert_batch(&points, 2).unwrap()
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
                    let slots = insert_batch(&mut index, &mut random, &batch);
                    insert_batch(&mut straight, &mut straight_random, &batch);
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
