//! Recall, memory and invariants after much of an index has been deleted and inserted again.

use hnsw::{Index, Metric, Params, Quantization, Slot};

use crate::common::{
    KINDS, Random, apart, build, bytes, clusters, common, faces, insert, recall, rough, shuffle,
    slots, with_kind,
};

/// Points and the slots they have, if they are in.
struct Churned {
    index: Index,
    random: Random,
    slots: Vec<Option<Slot>>,
}

impl Churned {
    fn new(index: Index, vectors: &[Vec<f32>]) -> Self {
        let slots = (0u32..).map(|slot| Some(Slot(slot)));
        Self {
            index,
            random: Random(140),
            slots: slots.take(vectors.len()).collect(),
        }
    }

    fn remove(&mut self, points: &[usize]) {
        for point in points {
            let slot = self.slots[*point].take().expect("it is in");
            self.index.remove(slot).unwrap();
        }
    }

    fn insert(&mut self, points: &[usize], vectors: &[Vec<f32>]) {
        for points in points.chunks(32) {
            let batch: Vec<_> = points.iter().map(|point| vectors[*point].clone()).collect();
            let slots = insert(&mut self.index, &mut self.random, &batch, 1);
            for (point, slot) in points.iter().zip(slots) {
                self.slots[*point] = Some(slot);
            }
        }
    }
}

/// So low that even the half that is left is walked over and not scanned.
const EF: usize = 20;

/// Ten rounds in which half of the groups of points go and come again.
fn ten_rounds(
    quantization: Quantization,
    (queries, vectors): (&[Vec<f32>], &[Vec<f32>]),
    group: usize,
) {
    let params = Params {
        ef_construct: 80,
        ..with_kind(vectors[0].len(), Metric::Cosine, quantization)
    };
    let fresh = build(params, vectors);
    let fresh_recall = recall(&fresh, queries, 10, EF);
    let mut churned = Churned::new(build(params, vectors), vectors);
    let mut groups: Vec<usize> = (0..vectors.len() / group).collect();
    let mut random = Random(141);
    for round in 0..10 {
        shuffle(&mut random, &mut groups);
        let half = groups[..groups.len() / 2].iter();
        let mut points: Vec<usize> = half.flat_map(|g| g * group..(g + 1) * group).collect();
        shuffle(&mut random, &mut points);
        churned.remove(&points);
        if round % 3 == 0 {
            churned.index.check().unwrap();
        }
        if round == 9 {
            let left = vectors.iter().zip(&churned.slots);
            let left = left.filter_map(|(v, slot)| slot.map(|_| v.clone()));
            let left = build(params, &left.collect::<Vec<_>>());
            let (now, best) = (
                recall(&churned.index, queries, 10, EF),
                recall(&left, queries, 10, EF),
            );
            eprintln!("{quantization:?} group {group}: half deleted {now}, fresh {best}");
            assert!(now >= best - 0.01, "{quantization:?}: {now} against {best}");
        }
        churned.insert(&points, vectors);
    }
    let index = churned.index;
    index.check().unwrap();
    assert_eq!(index.len(), vectors.len());
    assert_eq!(index.slots(), vectors.len(), "free slots are used again");
    let now = recall(&index, queries, 10, EF);
    #[expect(clippy::cast_precision_loss, reason = "a few megabytes")]
    let grown = index.memory_bytes() as f64 / fresh.memory_bytes() as f64;
    let (frozen, frozen_fresh) = (bytes(&index).len(), bytes(&fresh).len());
    eprintln!(
        "{quantization:?} group {group}: recall {now}, fresh {fresh_recall}, memory x {grown:.3}, \
         links {frozen} against {frozen_fresh} bytes"
    );
    assert!(
        now >= fresh_recall - 0.005,
        "{quantization:?} group {group}: {now} against {fresh_recall}"
    );
    assert!((0.9..=1.1).contains(&grown), "memory x {grown}");
}

#[test]
fn ten_rounds_of_replacing_a_random_half_cost_no_recall_and_no_memory() {
    let all = faces(&mut Random(142), 1_001, 96);
    let (queries, vectors) = apart(all, 11);
    for quantization in [KINDS[3], KINDS[4]] {
        ten_rounds(quantization, (&queries, &vectors[..900]), 1);
    }
}

#[test]
fn ten_rounds_of_replacing_half_of_the_clusters_cost_no_recall_and_no_memory() {
    let all = clusters(&mut Random(143), 18, 55, 96);
    let (queries, vectors) = apart(all, 11);
    for quantization in [KINDS[1], KINDS[4]] {
        ten_rounds(quantization, (&queries, &vectors), 50);
    }
}

/// Deleting all but a handful, again and again, leaves a graph of just these.
#[test]
fn an_index_that_is_nearly_emptied_and_filled_again_is_as_good_as_new() {
    let all = faces(&mut Random(144), 800, 64);
    let (queries, vectors) = apart(all, 16);
    let params = with_kind(64, Metric::Euclid, Quantization::Int8);
    let fresh = recall(&build(params, &vectors), &queries, 10, 20);
    let mut churned = Churned::new(build(params, &vectors), &vectors);
    let (mut random, mut points) = (Random(145), (0..vectors.len()).collect::<Vec<_>>());
    for left in [3, 1, 0] {
        shuffle(&mut random, &mut points);
        let points = &points[left..];
        churned.remove(points);
        churned.index.check().unwrap();
        assert_eq!(churned.index.len(), left);
        churned.insert(points, &vectors);
        churned.index.check().unwrap();
        let now = recall(&churned.index, &queries, 10, 20);
        eprintln!("down to {left}: {now}, fresh {fresh}");
        assert!(now >= fresh - 0.01, "down to {left}: {now} against {fresh}");
    }
}

#[test]
fn a_removal_step_by_step_is_not_seen_by_searches_and_ends_as_one_at_once() {
    let vectors = faces(&mut Random(77), 1_500, 48);
    let mut stepwise = build(rough(48, Metric::Cosine, Quantization::Int8), &vectors);
    let mut at_once = build(rough(48, Metric::Cosine, Quantization::Int8), &vectors);
    for slot in (0..1_500).step_by(5).map(Slot) {
        let query = stepwise.vector(slot).unwrap().to_vec();
        stepwise.hide(slot);
        let truth = slots(&stepwise, &query, 10, 0, true);
        let mut removal = stepwise.plan_removal(slot).unwrap();
        loop {
            let found = slots(&stepwise, &query, 10, 100, false);
            assert!(
                !found.contains(&slot.0) && common(&found, &truth) >= 9,
                "{slot:?}"
            );
            if stepwise.carry_out(&mut removal, 3).unwrap() {
                break;
            }
        }
        at_once.remove(slot).unwrap();
    }
    stepwise.check().unwrap();
    assert_eq!(bytes(&stepwise), bytes(&at_once));
}
