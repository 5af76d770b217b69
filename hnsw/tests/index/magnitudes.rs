//! Numbers that are very large, very small, nothing at all, or the same in every vector.

use hnsw::{Index, Metric, Quantization};

use crate::common::{
    KINDS, METRICS, Random, apart, assert_best, build, faces, options, ranked, recall, rough,
    with_kind,
};

fn scaled(vectors: &[Vec<f32>], mut by: impl FnMut() -> f32) -> Vec<Vec<f32>> {
    let scale = |vector: &Vec<f32>| {
        let by = by();
        vector.iter().map(|x| x * by).collect()
    };
    vectors.iter().map(scale).collect()
}

/// Exact answers to the precision of an `f32` of the largest score there is.
fn assert_exact(index: &Index, queries: &[Vec<f32>], vectors: &[Vec<f32>], of: &str) {
    let metric = index.params().metric;
    for query in queries {
        let ranked = ranked(metric, vectors, query);
        let largest = ranked.iter().fold(0f64, |a, (_, score)| a.max(score.abs()));
        let hits = index.search(query, 100, &options(0, true, None)).unwrap();
        assert_eq!(hits.len(), 100);
        assert_best(metric, &hits, &ranked, 2e-6 * largest, of);
    }
}

#[test]
fn very_large_and_very_small_numbers_are_compared_exactly() {
    let all = faces(&mut Random(130), 808, 32);
    let (queries, vectors) = apart(all, 101);
    for metric in METRICS {
        for quantization in KINDS {
            for (point, query) in [(1e15, 1e15), (1e-15, 1e-15), (1e-15, 1.0)] {
                let of = format!("{metric:?} {quantization:?} {point} {query}");
                let (points, asked) = (scaled(&vectors, || point), scaled(&queries, || query));
                let index = build(rough(32, metric, quantization), &points);
                assert_exact(&index, &asked, &points, &of);
                if point == query {
                    let recall = recall(&index, &asked, 10, 20);
                    eprintln!("{of}: {recall}");
                    assert!(recall >= 0.8, "{of}: {recall}");
                }
            }
        }
    }
}

/// Squares of such numbers are below what an `f32` can hold precisely.
#[test]
fn numbers_whose_squares_vanish_are_compared_exactly_where_their_products_do_not() {
    let all = faces(&mut Random(131), 606, 32);
    let (queries, vectors) = apart(all, 101);
    for metric in [Metric::Cosine, Metric::Dot, Metric::Manhattan] {
        for quantization in KINDS {
            for small in [1e-20, 1e-30] {
                let of = format!("{metric:?} {quantization:?} {small}");
                let points = scaled(&vectors, || small);
                let index = build(rough(32, metric, quantization), &points);
                index.check().unwrap();
                let asked = match metric {
                    Metric::Manhattan => scaled(&queries, || small),
                    _ => queries.clone(),
                };
                assert_exact(&index, &asked, &points, &of);
            }
        }
    }
}

#[test]
fn lengths_from_nothing_to_the_greatest_in_one_index_are_compared_exactly() {
    let all = faces(&mut Random(132), 1_515, 32);
    let (queries, vectors) = apart(all, 101);
    let lengths = [1e-20, 1e-5, 1.0, 1e5, 1e15, 0.0];
    let mut at = 0;
    let points = scaled(&vectors, || {
        at += 1;
        lengths[at % 6]
    });
    for metric in [Metric::Dot, Metric::Euclid, Metric::Manhattan] {
        for quantization in KINDS {
            let mut index = build(rough(32, metric, quantization), &points);
            index.check().unwrap();
            let of = format!("{metric:?} {quantization:?} mixed");
            assert_exact(&index, &queries, &points, &of);
            let nothing = index.search(&[0.0; 32], 10, &options(0, false, None));
            assert_eq!(nothing.unwrap().len(), 10, "{of}");
            for slot in (0..1_500).step_by(2) {
                index.remove(hnsw::Slot(slot)).unwrap();
            }
            index.check().unwrap();
        }
    }
}

#[test]
fn vectors_of_nothing_but_zeros_are_points_like_others() {
    for metric in [Metric::Dot, Metric::Euclid, Metric::Manhattan] {
        for quantization in KINDS {
            let vectors = vec![vec![0.0; 40]; 1_500];
            let mut index = build(rough(40, metric, quantization), &vectors);
            index.insert(5, &[1.0; 40]).unwrap();
            index.check().unwrap();
            let zeros = index
                .search(&[0.0; 40], 10, &options(0, false, None))
                .unwrap();
            assert_eq!(zeros.len(), 10);
            assert!(zeros.iter().all(|hit| hit.score == 0.0), "{metric:?}");
            let other = index
                .search(&[1.0; 40], 1, &options(0, false, None))
                .unwrap();
            assert_eq!(other[0].slot.0, 1_500, "{metric:?} {quantization:?}");
        }
    }
}

/// Links that were made before the middle is known stay as bad as the codes were.
#[test]
fn numbers_that_are_large_and_the_same_in_every_vector_do_no_harm() {
    constant_numbers(100.0);
}

#[test]
fn numbers_that_are_the_same_in_every_vector_do_no_harm() {
    constant_numbers(1.0);
}

fn constant_numbers(offset: f32) {
    let all = faces(&mut Random(133), 1_616, 64);
    let with_constants = all.iter().map(|vector| {
        let constants = std::iter::repeat_n(offset, 64);
        vector.iter().copied().chain(constants).collect()
    });
    let (queries, vectors) = apart(with_constants.collect(), 101);
    for quantization in KINDS {
        let index = build(with_kind(128, Metric::Euclid, quantization), &vectors);
        index.check().unwrap();
        let recall = recall(&index, &queries, 10, 0);
        eprintln!("{quantization:?} constants {offset}: {recall}");
        assert!(recall >= 0.95, "{quantization:?}: {recall}");
    }
}

#[test]
fn a_vector_that_was_normalised_comes_back_as_it_is_bit_for_bit() {
    let mut random = Random(133);
    for dim in [2, 3, 64, 128, 512, 1_000] {
        let index = Index::new(rough(dim, Metric::Cosine, Quantization::None)).unwrap();
        for _ in 0..200 {
            let once = index.prepare(&random.vector(dim)).unwrap();
            assert_eq!(index.prepare(&once).unwrap(), once);
            // One that is a little longer is not taken for such.
            let longer: Vec<f32> = once.iter().map(|x| x * 1.000_001).collect();
            assert_ne!(index.prepare(&longer).unwrap(), longer);
        }
    }
}
