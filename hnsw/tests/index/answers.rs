//! Answers are those of a linear scan, and scores are exact.

use hnsw::{Metric, Params, Quantization, Scan, SearchOptions};

use crate::common::{
    KINDS, METRICS, Random, apart, assert_best, build, faces, numbers, options, ranked, recall,
    rough, slots, unit,
};

/// The test doppel's ancestor had. Independent directions have no structure that a graph could use:
/// an `ef` at which answers are exact costs more than a scan, which the index knows. The second
/// half says what a walk makes of the same points.
#[test]
fn ten_thousand_random_unit_vectors_are_answered_as_by_a_linear_scan() {
    let mut random = Random(300);
    let vectors: Vec<_> = (0..10_000).map(|_| unit(random.vector(300))).collect();
    let queries: Vec<_> = (0..100).map(|_| unit(random.vector(300))).collect();
    let scanned = queries.iter().map(|query| {
        let dot = |v: &Vec<f32>| {
            v.iter()
                .zip(query)
                .map(|(x, y)| f64::from(x * y))
                .sum::<f64>()
        };
        let mut all: Vec<(u32, f64)> = (0u32..).zip(vectors.iter().map(dot)).collect();
        all.sort_unstable_by(|(_, a), (_, b)| b.total_cmp(a));
        all[..5].iter().map(|(slot, _)| *slot).collect::<Vec<_>>()
    });
    let scanned: Vec<Vec<u32>> = scanned.collect();
    for quantization in [Quantization::None, Quantization::fitting(300)] {
        let index = build(rough(300, Metric::Cosine, quantization), &vectors);
        for (query, scanned) in queries.iter().zip(&scanned) {
            let found = slots(&index, query, 5, 5_000, false);
            assert_eq!(&found, scanned, "{quantization:?}");
        }
        let walked = recall(&index, &queries, 5, 490);
        eprintln!("{quantization:?}: recall@5 of walks is {walked}");
        assert!(walked >= 0.6, "{quantization:?}: {walked}");
    }
}

#[test]
fn an_exact_search_is_brute_force_under_every_metric() {
    let all = faces(&mut Random(61), 1_515, 72);
    let (queries, mut vectors) = apart(all, 101);
    let mut random = Random(62);
    // Of many lengths, and all of them far from the origin.
    for vector in &mut vectors {
        let length = random.unit() * 3.0 + 0.1;
        vector.iter_mut().for_each(|x| *x = *x * length + 0.4);
    }
    for metric in METRICS {
        for quantization in KINDS {
            let index = build(rough(72, metric, quantization), &vectors);
            for query in &queries {
                let ranked = ranked(metric, &vectors, query);
                let hits = index.search(query, 400, &options(0, true, None)).unwrap();
                assert_eq!(hits.len(), 400);
                let of = format!("{metric:?} {quantization:?}");
                assert_best(metric, &hits, &ranked, 1e-4, &of);
            }
        }
    }
}

#[test]
fn a_scan_in_parts_finds_what_one_at_once_does() {
    let vectors = faces(&mut Random(65), 1_000, 72);
    let index = build(rough(72, Metric::Cosine, Quantization::Int8), &vectors);
    for (query, part) in vectors.iter().zip([1, 7, 333, 500, 1_000, 5_000]) {
        let mut scan = Scan::default();
        let mut parts = 1;
        let hits = loop {
            match index.scan_on(&mut scan, (query, 30), part).unwrap() {
                Some(hits) => break hits,
                None => parts += 1,
            }
        };
        assert_eq!(parts, 1_000_u32.div_ceil(part));
        let whole = index.search(query, 30, &options(0, true, None)).unwrap();
        assert_eq!(hits, whole, "in parts of {part}");
    }
}

#[test]
fn scores_of_a_walk_are_exact_and_sorted() {
    let vectors = faces(&mut Random(63), 1_500, 100);
    for metric in METRICS {
        for quantization in KINDS {
            let index = build(rough(100, metric, quantization), &vectors);
            for query in vectors.iter().step_by(100) {
                let walked = index.search(query, 10, &options(0, false, None)).unwrap();
                let scanned = index.search(query, 100, &options(0, true, None)).unwrap();
                for hit in &walked {
                    assert!(scanned.contains(hit), "{metric:?} {quantization:?}");
                }
                let order = numbers(&scanned);
                let at = |slot| order.iter().position(|other| *other == slot);
                let places: Vec<_> = walked.iter().map(|hit| at(hit.slot.0)).collect();
                assert!(places.is_sorted(), "{metric:?} {quantization:?}");
            }
        }
    }
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
