//! Range search, batch search, and `k` from 1 to the greatest there is.

use hnsw::{Error, Index, Metric, Quantization, Slot, SlotSet};

use crate::common::{
    KINDS, METRICS, Random, apart, assert_best, build, common, faces, numbers, options, ranked,
    ratio, rough, slots, with_kind, worse,
};

/// What `f32` may say beside the true score.
const NEAR: f64 = 1e-4;

/// A score between those of this rank and the next, and the share of the points within it that a
/// search finds. Hits must have true scores and none may be beyond it.
fn found_within(
    index: &Index,
    query: &[f32],
    ranked: &[(u32, f64)],
    rank: usize,
    exact: bool,
) -> f32 {
    let metric = index.params().metric;
    let of = format!("{metric:?} {:?} {rank}", index.params().quantization);
    let away = worse(metric, 1.0, 0.0) * 0.5;
    let threshold = match (rank.checked_sub(1).map(|at| ranked[at].1), ranked.get(rank)) {
        (None, _) => ranked[0].1 - away,
        (Some(last), None) => last + away,
        (Some(last), Some((_, next))) => (last + next) / 2.0,
    };
    #[expect(clippy::cast_possible_truncation, reason = "a score is an f32")]
    let threshold = threshold as f32;
    let within = |limit| {
        let hits = index.search_within(query, threshold, limit, &options(0, exact, None));
        hits.unwrap()
    };
    let hits = within(usize::MAX);
    let beyond = |hit: f32| worse(metric, f64::from(hit), f64::from(threshold));
    assert!(hits.iter().all(|hit| beyond(hit.score) <= 0.0), "{of}");
    for limit in [1, 7, 64, 65, 700] {
        let limited = within(limit);
        assert!(limited.len() <= limit, "{of} limit {limit}");
        if exact {
            assert_eq!(limited, hits[..limit.min(hits.len())], "{of} limit {limit}");
        }
    }
    let truth: Vec<u32> = ranked[..rank].iter().map(|(slot, _)| *slot).collect();
    let found = common(&numbers(&hits), &truth);
    // The threshold may lie nearer to a score than an `f32` can tell.
    let near = |(_, score): &&(u32, f64)| (score - f64::from(threshold)).abs() <= NEAR;
    let unsure = ranked.iter().filter(near).count();
    assert!(hits.len() <= rank + unsure, "{of}: too many");
    if exact {
        assert!(found + unsure >= rank, "{of}: {found}");
    }
    ratio((found + unsure).min(rank) + 1, rank + 1)
}

/// The least share over queries and thresholds.
fn least_found(metric: Metric, quantization: Quantization, exact: bool) -> f32 {
    let all = faces(&mut Random(90), 1_515, 48);
    let (queries, vectors) = apart(all, 303);
    let params = if exact {
        rough(48, metric, quantization)
    } else {
        with_kind(48, metric, quantization)
    };
    let index = build(params, &vectors);
    let mut least = f32::INFINITY;
    for query in &queries {
        let ranked = ranked(metric, &vectors, query);
        for rank in [0, 1, 3, 20, 64, 100, 600, vectors.len() - 1, vectors.len()] {
            least = least.min(found_within(&index, query, &ranked, rank, exact));
        }
    }
    eprintln!("{metric:?} {quantization:?} exact {exact}: {least}");
    least
}

#[test]
fn an_exact_search_within_a_score_finds_all_points_under_every_metric() {
    for metric in METRICS {
        for quantization in KINDS {
            assert_eq!(least_found(metric, quantization, true), 1.0);
        }
    }
}

#[test]
fn a_walk_finds_nearly_all_points_within_a_score() {
    for metric in METRICS {
        for quantization in [Quantization::None, Quantization::fitting(48)] {
            let least = least_found(metric, quantization, false);
            assert!(least >= 0.9, "{metric:?} {quantization:?}: {least}");
        }
    }
}

#[test]
fn a_walk_by_packed_codes_finds_nearly_all_points_within_a_score() {
    for quantization in &KINDS[2..] {
        let least = least_found(Metric::Cosine, *quantization, false);
        assert!(least >= 0.9, "{quantization:?}: {least}");
    }
}

fn spread() -> Vec<Vec<f32>> {
    let mut random = Random(92);
    (0..11_000).map(|_| random.vector(3)).collect()
}

const QUERY: [f32; 3] = [0.3, -0.2, 0.9];

#[test]
fn more_points_within_a_score_than_one_search_may_ask_for_are_all_found() {
    for metric in METRICS {
        let index = build(rough(3, metric, Quantization::Int8), &spread());
        let everything = match metric {
            Metric::Cosine | Metric::Dot => -1e30,
            Metric::Euclid | Metric::Manhattan => 1e30,
        };
        for (limit, count) in [(usize::MAX, 11_000), (10_500, 10_500), (10_000, 10_000)] {
            let found = index.search_within(&QUERY, everything, limit, &options(0, false, None));
            assert_eq!(found.unwrap().len(), count, "{metric:?}");
        }
    }
}

/// Searches with each of these ranks' very score; says how many miss the point that has it.
fn missed(metric: Metric, ranks: impl Iterator<Item = usize>) -> usize {
    let spread = spread();
    let index = build(rough(3, metric, Quantization::Int8), &spread);
    let ranked = ranked(metric, &spread, &QUERY);
    let missed = ranks.filter(|rank| {
        let slot = Slot(ranked[*rank].0);
        let alone: SlotSet = [slot].into_iter().collect();
        let hit = index
            .search(&QUERY, 1, &options(0, true, Some(&alone)))
            .unwrap()[0];
        let found = index.search_within(&QUERY, hit.score, usize::MAX, &options(0, true, None));
        !found.unwrap().iter().any(|found| found.slot == slot)
    });
    missed.count()
}

#[test]
fn a_threshold_that_is_a_points_own_score_includes_the_point() {
    for metric in METRICS {
        assert_eq!(
            missed(metric, [0, 10, 63, 64, 500, 9_000].into_iter()),
            0,
            "{metric:?}"
        );
    }
    assert_eq!(missed(Metric::Dot, 10_500..10_520), 0);
}

#[test]
fn a_distance_that_is_a_points_own_includes_the_point_among_very_many() {
    assert_eq!(missed(Metric::Euclid, 10_500..10_540), 0);
}

#[test]
fn no_distance_is_negative_and_no_score_is_nan() {
    let vectors = faces(&mut Random(93), 100, 8);
    for metric in [Metric::Euclid, Metric::Manhattan] {
        let index = build(with_kind(8, metric, Quantization::Int8), &vectors);
        for score in [-1e-6, -0.5, -1.0, -1e30] {
            let hits = index.search_within(&vectors[0], score, 10, &options(0, false, None));
            assert!(hits.unwrap().is_empty(), "{metric:?} {score}");
        }
        let own = index.search_within(&vectors[0], 0.0, 10, &options(0, false, None));
        assert_eq!(numbers(&own.unwrap()), [0], "{metric:?}");
        for score in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
            let refused = index.search_within(&vectors[0], score, 10, &options(0, false, None));
            assert!(matches!(refused, Err(Error::Score(_))));
        }
        let none = index.search_within(&vectors[0], 1.0, 0, &options(0, false, None));
        assert!(matches!(none, Err(Error::Setting { .. })));
    }
}

#[test]
fn several_queries_at_once_are_answered_as_one_by_one() {
    let all = faces(&mut Random(94), 2_020, 70);
    let (queries, vectors) = apart(all, 101);
    let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
    let few: SlotSet = (0..2_000).step_by(9).map(Slot).collect();
    let most: SlotSet = (0..2_000).filter(|slot| slot % 9 != 0).map(Slot).collect();
    for metric in METRICS {
        for quantization in KINDS {
            let index = build(rough(70, metric, quantization), &vectors);
            for (k, ef, exact, filter) in [
                (10, 0, false, None),
                (3, 20, false, None),
                (10, 0, true, None),
                (500, 0, false, None),
                (10, 0, false, Some(&few)),
                (10, 12, false, Some(&most)),
            ] {
                let options = options(ef, exact, filter);
                let together = index.search_batch(&queries, k, &options).unwrap();
                let single = queries.iter().map(|query| index.search(query, k, &options));
                let single: Vec<_> = single.map(Result::unwrap).collect();
                assert_eq!(together, single, "{metric:?} {quantization:?} k {k}");
            }
        }
    }
    let index = build(rough(70, Metric::Cosine, Quantization::Int8), &vectors);
    assert!(
        index
            .search_batch(&[], 10, &options(0, false, None))
            .unwrap()
            .is_empty()
    );
    let wrong = index.search_batch(&[queries[0], &[1.0]], 10, &options(0, false, None));
    assert!(matches!(wrong, Err(Error::Dimension { .. })));
}

#[test]
fn as_many_hits_come_back_as_were_asked_for_up_to_ten_thousand() {
    let mut random = Random(95);
    let vectors: Vec<Vec<f32>> = (0..12_000).map(|_| random.vector(4)).collect();
    let index = build(with_kind(4, Metric::Euclid, Quantization::Int8), &vectors);
    let query = [0.1, 0.2, -0.3, 0.4];
    let ranked = ranked(Metric::Euclid, &vectors, &query);
    // Up to k = 599 at these many points it is a walk.
    for k in [1, 2, 10, 100, 300, 500, 599, 2_000, 9_999, 10_000] {
        let hits = index.search(&query, k, &options(0, false, None)).unwrap();
        assert_eq!(hits.len(), k);
        let truth: Vec<u32> = ranked[..k].iter().map(|(slot, _)| *slot).collect();
        let recall = ratio(common(&numbers(&hits), &truth), k);
        assert!(recall >= 0.98, "k {k}: {recall}");
        assert!(hits.windows(2).all(|two| two[0].score <= two[1].score));
    }
    let too_many = index.search(&query, 10_001, &options(0, false, None));
    assert!(matches!(too_many, Err(Error::Setting { max: 10_000, .. })));
}

/// What a user who gives a low `ef` and a high `k` is promised: "fewer only if fewer there are".
#[test]
fn an_ef_far_below_k_still_brings_k_hits() {
    let vectors = faces(&mut Random(96), 4_000, 64);
    for quantization in KINDS {
        let index = build(rough(64, Metric::Cosine, quantization), &vectors);
        for query in vectors.iter().step_by(200) {
            let hits = slots(&index, query, 150, 4, false);
            assert_eq!(hits.len(), 150, "{quantization:?}");
        }
    }
}

#[test]
fn more_hits_than_there_are_points_are_all_points() {
    let vectors = faces(&mut Random(97), 300, 20);
    for metric in METRICS {
        for quantization in KINDS {
            let index = build(rough(20, metric, quantization), &vectors);
            let hits = index
                .search(&vectors[5], 10_000, &options(5, false, None))
                .unwrap();
            assert_eq!(hits.len(), 300);
            let ranked = ranked(metric, &vectors, &vectors[5]);
            assert_best(metric, &hits, &ranked, NEAR, "all");
        }
    }
}
