//! What was worked out for a batch is taken instead of working it out again, and gives the same graph;
//! what cannot have been for this batch is refused.

use hnsw::{Index, Prepared, Slot};

use crate::common::{KINDS, METRICS, Random, bytes, faces, rough};

/// Brings a batch in as an engine does, by what is remembered of it if that is given and taken. Returns
/// what is to be remembered, and whether anything was taken.
fn bring_in(
    index: &mut Index,
    seeds: &[u64],
    vectors: &[Vec<f32>],
    remembered: Option<&[u8]>,
) -> (Vec<u8>, bool) {
    index.centre().unwrap();
    let prepared: Vec<Prepared> = vectors.iter().map(|it| index.encode(it).unwrap()).collect();
    let mut batch = index.stage(seeds, &prepared).unwrap();
    let taken = remembered.is_some_and(|bytes| index.recall(&mut batch, bytes));
    if !taken {
        batch.set_plans(index.plan(&batch, 0..vectors.len()));
        batch.set_thinned(index.thin(&batch, 0..batch.lists()));
    }
    let remembered = index.remember(&batch).unwrap();
    assert!(index.commit(&mut batch, usize::MAX));
    batch.slots().iter().for_each(|slot| index.show(*slot));
    (remembered, taken)
}

struct Step {
    seeds: Vec<u64>,
    vectors: Vec<Vec<f32>>,
    remembered: Vec<u8>,
    removed: Slot,
}

/// Batches of several sizes, and a removal after each.
fn steps(index: &mut Index, vectors: &[Vec<f32>]) -> Vec<Step> {
    let mut random = Random(200);
    let (mut rest, mut steps) = (vectors, Vec::new());
    for size in [1, 2, 7, 40].into_iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (vectors, after) = rest.split_at(size.min(rest.len()));
        rest = after;
        let seeds: Vec<u64> = vectors.iter().map(|_| random.next()).collect();
        let (remembered, _) = bring_in(index, &seeds, vectors, None);
        let removed = loop {
            let slot = Slot(u32::try_from(random.below(index.slots())).unwrap());
            if index.is_live(slot) {
                break slot;
            }
        };
        index.remove(removed).unwrap();
        steps.push(Step {
            seeds,
            vectors: vectors.to_vec(),
            remembered,
            removed,
        });
    }
    steps
}

#[test]
fn what_was_worked_out_gives_the_same_graph_without_being_worked_out_again() {
    let vectors = faces(&mut Random(201), 1_100, 48);
    for metric in METRICS {
        for quantization in KINDS {
            let params = rough(48, metric, quantization);
            let mut index = Index::new(params).unwrap();
            let steps = steps(&mut index, &vectors);
            let mut again = Index::new(params).unwrap();
            for step in &steps {
                let (remembered, taken) = bring_in(
                    &mut again,
                    &step.seeds,
                    &step.vectors,
                    Some(&step.remembered),
                );
                assert!(taken && remembered == step.remembered);
                again.remove(step.removed).unwrap();
            }
            assert!(
                bytes(&again) == bytes(&index),
                "{metric:?} {quantization:?}"
            );
        }
    }
}

/// Two graphs with different pasts are told apart by their histories, also if they hold the same.
#[test]
fn every_step_leads_to_a_history_of_its_own() {
    let vectors = faces(&mut Random(204), 40, 16);
    let params = rough(16, METRICS[0], KINDS[0]);
    let mut index = Index::new(params).unwrap();
    let mut seen = vec![index.history()];
    let mut note = |index: &Index| {
        assert!(!seen.contains(&index.history()), "{}", seen.len());
        seen.push(index.history());
    };
    for round in 0..10 {
        for (seed, vector) in (0..).zip(&vectors) {
            let (_, taken) = bring_in(&mut index, &[seed], std::slice::from_ref(vector), None);
            assert!(!taken);
            note(&index);
        }
        for slot in (0..40).map(Slot).filter(|slot| slot.0 % 3 == round % 3) {
            if index.is_live(slot) {
                index.remove(slot).unwrap();
                note(&index);
            }
        }
    }
}

#[test]
fn what_cannot_have_been_worked_out_for_a_batch_is_refused_and_does_no_harm() {
    let vectors = faces(&mut Random(202), 500, 48);
    let params = rough(48, METRICS[0], KINDS[0]);
    let mut index = Index::new(params).unwrap();
    let steps = steps(&mut index, &vectors);
    let mut random = Random(203);
    let (mut refused, mut other) = (0, 0);
    for _ in 0..60 {
        let mut again = Index::new(params).unwrap();
        for step in &steps {
            let mut bent = step.remembered.clone();
            match random.below(4) {
                0 => bent.truncate(random.below(bent.len())),
                1 => bent.push(7),
                _ => {
                    let at = random.below(bent.len());
                    bent[at] ^= 1 << random.below(8);
                }
            }
            let (worked_out, taken) = bring_in(&mut again, &step.seeds, &step.vectors, Some(&bent));
            refused += usize::from(!taken);
            other += usize::from(taken && worked_out != step.remembered);
            // What is another graph's may be taken if it can be of this one too.
            assert_eq!(again.check(), Ok(()));
            if again.is_live(step.removed) {
                again.remove(step.removed).unwrap();
            }
        }
    }
    assert!(
        refused > steps.len(),
        "{refused} of {}, {other}",
        60 * steps.len()
    );
}
