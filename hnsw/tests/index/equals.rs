//! Points that are equal: as many as there are, none is lost, and none costs more than others.

use hnsw::{Index, Metric, Params, Slot};

use crate::common::{KINDS, Random, build, insert, slots, with_kind};

#[test]
fn a_hundred_thousand_equal_vectors_are_all_kept_and_a_third_of_them_removed() {
    let params = Params {
        m: 8,
        ef_construct: 16,
        ..Params::new(3, Metric::Euclid)
    };
    let (mut index, mut random) = (Index::new(params).unwrap(), Random(1));
    let batch = vec![vec![0.5, -1.0, 2.0]; 50];
    for _ in 0..2_000 {
        insert(&mut index, &mut random, &batch, 1);
    }
    assert_eq!(index.len(), 100_000);
    index.check().unwrap();
    let full = slots(&index, &batch[0], 100, 0, false);
    assert_eq!(full.len(), 100);
    for slot in (0..100_000).step_by(3) {
        index.remove(Slot(slot)).unwrap();
    }
    index.check().unwrap();
    for k in [1, 10, 1_000, 10_000] {
        let found = slots(&index, &batch[0], k, 0, false);
        assert_eq!(found.len(), k);
        assert!(found.iter().all(|slot| slot % 3 != 0));
    }
}

/// A walk that comes upon many equal points may fill up with them: 41 to 65 were measured.
#[test]
fn equal_vectors_among_others_hide_few() {
    let mut random = Random(2);
    let others: Vec<Vec<f32>> = (0..1_500).map(|_| random.vector(24)).collect();
    for quantization in KINDS {
        let mut vectors = vec![others[0].clone(); 1_500];
        vectors.extend(others[1..].iter().cloned());
        let index = build(with_kind(24, Metric::Cosine, quantization), &vectors);
        index.check().unwrap();
        let equal = slots(&index, &others[0], 100, 0, false);
        assert!(equal.iter().all(|slot| *slot < 1_500), "{quantization:?}");
        let lost = (1_500u32..2_999).filter(|slot| {
            let own = &vectors[*slot as usize];
            slots(&index, own, 1, 0, false) != [*slot]
        });
        let lost = lost.count();
        eprintln!("{quantization:?}: {lost} of 1,499 are not found by their own vector");
        assert!(lost <= 90, "{quantization:?}: {lost}");
    }
}

#[test]
fn three_values_that_many_points_each_have_are_told_apart() {
    let values = [[0.0, 0.0], [1.0, 0.0], [0.0, 2.0]];
    for quantization in KINDS {
        let vectors: Vec<Vec<f32>> = (0..1_500).map(|at| values[at % 3].to_vec()).collect();
        let mut index = build(with_kind(2, Metric::Euclid, quantization), &vectors);
        index.check().unwrap();
        for (at, value) in (0u32..).zip(&values) {
            let found = slots(&index, value, 20, 0, false);
            let right = found.iter().all(|slot| slot % 3 == at);
            assert!(
                right && found.len() == 20,
                "{quantization:?} {value:?}: {found:?}"
            );
        }
        // All of one value go.
        for slot in (1..1_500).step_by(3) {
            index.remove(Slot(slot)).unwrap();
        }
        index.check().unwrap();
        let found = slots(&index, &values[1], 20, 0, false);
        assert!(found.iter().all(|slot| slot % 3 == 0), "{quantization:?}");
        assert_eq!(found.len(), 20, "{quantization:?}");
    }
}
