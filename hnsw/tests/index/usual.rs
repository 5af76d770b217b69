//! Searches that are given no `ef`: what was measured decides how far they walk.

use hnsw::{Metric, Quantization, SearchOptions};

use crate::common::{Random, apart, build, faces, insert, recall, slots, with_kind};

const DIM: usize = 128;

fn uniform(random: &mut Random, count: usize) -> Vec<Vec<f32>> {
    let vector = |_| (0..DIM).map(|_| random.unit()).collect();
    (0..count).map(vector).collect()
}

#[test]
fn where_a_graph_finds_no_structure_a_default_search_finds_nearly_all_once_it_has_settled() {
    let mut random = Random(9);
    let params = with_kind(DIM, Metric::Euclid, Quantization::fitting(DIM));
    let mut index = build(params, &uniform(&mut random, 6_000));
    let queries = uniform(&mut random, 100);
    assert!(!index.is_settled());
    let before = recall(&index, &queries, 10, 0);
    assert!(before < 0.9, "64 candidates are enough: {before}");
    let found = index.settle_now().unwrap();
    let after = recall(&index, &queries, 10, 0);
    assert!(index.is_settled() && after >= 0.985, "{found:?}: {after}");
    let told = recall(&index, &queries, 10, 64);
    assert!(
        (told - before).abs() < f32::EPSILON,
        "an `ef` that is given"
    );
    let (default, asked) = (
        SearchOptions::default(),
        SearchOptions {
            ef: 64,
            ..SearchOptions::default()
        },
    );
    let walked = (!found.exact).then_some(found.ef.max(64));
    assert_eq!(index.ef_for(&default, 10), walked);
    index.settle_on(None, index.len());
    assert_eq!(
        index.ef_for(&default, 10),
        None,
        "all are looked at, and no `ef` is told"
    );
    assert_eq!(index.ef_for(&asked, 10), Some(64));
    insert(&mut index, &mut random, &uniform(&mut Random(10), 6_001), 1);
    assert!(!index.is_settled(), "there are more than twice as many");
}

#[test]
fn where_the_default_is_enough_settling_changes_no_answer_and_few_points_need_none() {
    let all = faces(&mut Random(7), 3_100, DIM);
    let (queries, vectors) = apart(all, 31);
    let params = with_kind(DIM, Metric::Cosine, Quantization::fitting(DIM));
    assert!(build(params, &vectors[..1_280]).is_settled());
    let index = build(params, &vectors);
    let answers = || {
        queries
            .iter()
            .map(|query| slots(&index, query, 10, 0, false))
    };
    let before: Vec<_> = answers().collect();
    let found = index.settle_now().unwrap();
    assert!(!found.exact && found.ef <= 64, "{found:?}");
    assert_eq!(answers().collect::<Vec<_>>(), before);
}

#[test]
fn few_points_are_not_all_looked_at_where_the_default_finds_enough() {
    let all = faces(&mut Random(7), 1_500, 64);
    let params = with_kind(64, Metric::Cosine, Quantization::fitting(64));
    let found = build(params, &all).settle_now().unwrap();
    assert!(!found.exact && found.ef <= 64, "{found:?}");
}
