//! Hidden points and points on their way in: no search answers with them, and they keep no search
//! from the others.

use hnsw::{Index, Metric, Slot, SlotSet};

use crate::common::{KINDS, Random, build, faces, insert, numbers, options, rough};

/// Every way to answer: walk, scan, both of them filtered, and range search.
fn every_answer(index: &Index, query: &[f32], k: usize) -> Vec<(&'static str, Vec<u32>)> {
    let most: SlotSet = (0..100_000)
        .filter(|slot| slot % 50 != 49)
        .map(Slot)
        .collect();
    let few: SlotSet = (0..100_000)
        .filter(|slot| slot % 3 == 0)
        .map(Slot)
        .collect();
    let mut answers = Vec::new();
    for (name, ef, exact, filter) in [
        ("walk", 0, false, None),
        ("narrow walk", 10, false, None),
        ("scan", 0, true, None),
        ("filtered walk", 10, false, Some(&most)),
        ("filtered scan", 0, false, Some(&few)),
        ("filtered exact scan", 0, true, Some(&most)),
    ] {
        let hits = index.search(query, k, &options(ef, exact, filter));
        answers.push((name, numbers(&hits.unwrap())));
    }
    for (name, limit) in [("range", k), ("endless range", usize::MAX)] {
        // Wide enough for the coarsest codes to find all, so that answers can be compared.
        let hits = index.search_within(query, -1.0, limit, &options(100, false, None));
        answers.push((name, numbers(&hits.unwrap())));
    }
    answers
}

fn nearest(index: &Index, query: &[f32], k: usize) -> Vec<u32> {
    numbers(&index.search(query, k, &options(0, true, None)).unwrap())
}

#[test]
fn hidden_points_are_never_answered_and_shown_ones_are_again() {
    let vectors = faces(&mut Random(180), 2_000, 40);
    let query = &vectors[77];
    for quantization in KINDS {
        let mut index = build(rough(40, Metric::Cosine, quantization), &vectors);
        let before = every_answer(&index, query, 10);
        let hidden: Vec<u32> = nearest(&index, query, 7);
        hidden.iter().for_each(|slot| index.hide(Slot(*slot)));
        for (way, found) in every_answer(&index, query, 10) {
            let none = found.iter().all(|slot| !hidden.contains(slot));
            assert!(none, "{quantization:?} {way}");
            assert!(found.len() >= 10, "{quantization:?} {way}: {}", found.len());
        }
        index.check().unwrap();
        hidden.iter().for_each(|slot| index.show(Slot(*slot)));
        assert_eq!(every_answer(&index, query, 10), before, "{quantization:?}");
    }
}

/// An update of a large batch hides as many old points until the new ones are in.
#[test]
fn many_hidden_points_about_a_query_leave_it_the_next_nearest() {
    let vectors = faces(&mut Random(181), 3_000, 40);
    let query = &vectors[1_000];
    for quantization in KINDS {
        let mut index = build(rough(40, Metric::Cosine, quantization), &vectors);
        let all = nearest(&index, query, 260);
        let (hidden, shown) = all.split_at(250);
        hidden.iter().for_each(|slot| index.hide(Slot(*slot)));
        assert_eq!(nearest(&index, query, 10), shown, "{quantization:?}: scan");
        for (way, found) in every_answer(&index, query, 10) {
            assert!(
                found.len() >= 10,
                "{quantization:?} {way}: {} hits",
                found.len()
            );
        }
    }
}

#[test]
fn points_on_their_way_in_are_not_found_until_they_are_shown() {
    let vectors = faces(&mut Random(182), 2_100, 40);
    for quantization in KINDS {
        let params = rough(40, Metric::Cosine, quantization);
        let mut index = build(params, &vectors[..2_000]);
        let query = &vectors[2_010];
        let before = every_answer(&index, query, 10);
        let exact = nearest(&index, query, 10);
        let prepared = vectors[2_000..].iter().map(|vector| index.encode(vector));
        let prepared: Vec<_> = prepared.map(Result::unwrap).collect();
        let seeds: Vec<u64> = (0..100).map(|at| Random(at).next()).collect();
        let mut batch = index.stage(&seeds, &prepared).unwrap();
        assert_eq!(
            every_answer(&index, query, 10),
            before,
            "{quantization:?} staged"
        );
        batch.set_plans(index.plan(&batch, 0..100));
        batch.set_thinned(index.thin(&batch, 0..batch.lists()));
        let mut done = false;
        while !done {
            done = index.commit(&mut batch, 25);
            for (way, found) in every_answer(&index, query, 10) {
                let old = found.iter().all(|slot| *slot < 2_000);
                assert!(old, "{quantization:?} {way}");
            }
            assert_eq!(nearest(&index, query, 10), exact, "{quantization:?}");
        }
        let slots = batch.slots().to_vec();
        slots.iter().for_each(|slot| index.show(*slot));
        index.check().unwrap();
        assert_eq!(nearest(&index, query, 1), [2_010], "{quantization:?}");
    }
}

#[test]
fn a_slot_that_was_hidden_when_its_point_was_removed_shows_the_next_point() {
    let vectors = faces(&mut Random(183), 1_500, 20);
    let mut index = build(rough(20, Metric::Euclid, KINDS[1]), &vectors);
    index.hide(Slot(8));
    index.hide(Slot(8));
    index.remove(Slot(8)).unwrap();
    let slots = insert(&mut index, &mut Random(184), &vectors[8..9], 1);
    assert_eq!(slots, [Slot(8)]);
    for exact in [false, true] {
        let hits = index
            .search(&vectors[8], 1, &options(0, exact, None))
            .unwrap();
        assert_eq!(numbers(&hits), [8]);
    }
    index.hide(Slot(1_500_000));
    index.show(Slot(1_500_000));
    index.check().unwrap();
}
