//! How much of the truth a search finds when it is told nothing (`ef` = 0), on vectors like faces.

use hnsw::{Metric, Quantization};

use crate::common::{KINDS, Random, apart, build, common, faces, ratio, slots, truths, with_kind};

fn assert_floor(dim: usize, count: usize, floor: impl Fn(Quantization) -> f32) {
    let all = faces(&mut Random(150 + dim as u64), count + 1_000, dim);
    let (queries, vectors) = apart(all, (count + 1_000) / 1_000);
    let queries = &queries[..1_000];
    let mut truth = Vec::new();
    for quantization in KINDS {
        let index = build(with_kind(dim, Metric::Cosine, quantization), &vectors);
        if truth.is_empty() {
            index.check().unwrap();
            truth = truths(&index, queries, 10);
        }
        let found: Vec<usize> = queries
            .iter()
            .zip(&truth)
            .map(|(query, truth)| common(&slots(&index, query, 10, 0, false), truth))
            .collect();
        let recall = ratio(found.iter().sum(), 10_000);
        let worst = found.iter().min().copied().unwrap_or(0);
        eprintln!("{dim} {quantization:?}: recall@10 {recall}, the worst query found {worst}");
        assert!(worst > 0, "{dim} {quantization:?}: a query found none");
        assert!(
            recall >= floor(quantization),
            "{dim} {quantization:?}: {recall}"
        );
    }
}

#[test]
fn a_default_search_on_128_numbers_finds_nearly_all_and_never_nothing() {
    assert_floor(128, 1_800, |_| 0.97);
}

#[test]
fn a_default_search_on_512_numbers_finds_nearly_all_and_never_nothing() {
    assert_floor(512, 1_800, |_| 0.97);
}
