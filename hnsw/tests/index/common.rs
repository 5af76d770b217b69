//! What the tests share: more data from seeds, and the linear scan that answers are held against.

use std::cmp::Ordering;

use hnsw::{Bits, Error, Hit, Index, Metric, Params, Quantization, SearchOptions, Slot, SlotSet};

pub(crate) use crate::data::{Random, faces, unit};

/// What vectors can be walked on.
pub(crate) const KINDS: [Quantization; 5] = [
    Quantization::None,
    Quantization::Int8,
    Quantization::Packed(Bits::One),
    Quantization::Packed(Bits::Two),
    Quantization::Packed(Bits::Four),
];

pub(crate) const METRICS: [Metric; 4] = [
    Metric::Cosine,
    Metric::Dot,
    Metric::Euclid,
    Metric::Manhattan,
];

/// Points that are inserted together.
const BATCH: usize = 32;

/// Unit vectors in so many narrow clusters of equal size, one cluster after the other.
pub(crate) fn clusters(
    random: &mut Random,
    count: usize,
    each: usize,
    dim: usize,
) -> Vec<Vec<f32>> {
    let mut all = Vec::with_capacity(count * each);
    for _ in 0..count {
        let middle = unit(random.vector(dim));
        for _ in 0..each {
            let noise = unit(random.vector(dim));
            let point = middle.iter().zip(noise).map(|(x, e)| x + 0.5 * e).collect();
            all.push(unit(point));
        }
    }
    all
}

/// A random order (Fisher & Yates).
pub(crate) fn shuffle<T>(random: &mut Random, items: &mut [T]) {
    for at in (1..items.len()).rev() {
        items.swap(at, random.below(at + 1));
    }
}

/// Every `step`-th vector taken out: queries of the same kind that are not in the index.
pub(crate) fn apart(all: Vec<Vec<f32>>, step: usize) -> (Vec<Vec<f32>>, Vec<Vec<f32>>) {
    let numbered = all.into_iter().enumerate();
    let (queries, rest): (Vec<_>, Vec<_>) = numbered.partition(|(at, _)| at % step == 0);
    let strip = |numbered: Vec<(usize, Vec<f32>)>| numbered.into_iter().map(|(_, v)| v).collect();
    (strip(queries), strip(rest))
}

pub(crate) fn with_kind(dim: usize, metric: Metric, quantization: Quantization) -> Params {
    Params {
        quantization,
        ..Params::new(dim, metric)
    }
}

/// The same for tests that ask nothing of the graph's quality: it is built with little effort.
pub(crate) fn rough(dim: usize, metric: Metric, quantization: Quantization) -> Params {
    Params {
        m: 8,
        ef_construct: 20,
        ..with_kind(dim, metric, quantization)
    }
}

pub(crate) fn build(params: Params, vectors: &[Vec<f32>]) -> Index {
    let mut index = Index::new(params).unwrap();
    let mut random = Random(11);
    for vectors in vectors.chunks(BATCH) {
        insert(&mut index, &mut random, vectors, 1);
    }
    index
}

/// One batch.
pub(crate) fn insert(
    index: &mut Index,
    random: &mut Random,
    vectors: &[Vec<f32>],
    threads: usize,
) -> Vec<Slot> {
    let points: Vec<(u64, &[f32])> = vectors
        .iter()
        .map(|v| (random.next(), v.as_slice()))
        .collect();
    index.insert_batch(&points, threads).unwrap()
}

pub(crate) fn options(ef: usize, exact: bool, filter: Option<&SlotSet>) -> SearchOptions<'_> {
    SearchOptions { ef, exact, filter }
}

pub(crate) fn numbers(hits: &[Hit]) -> Vec<u32> {
    hits.iter().map(|hit| hit.slot.0).collect()
}

/// The slots of an answer.
pub(crate) fn slots(index: &Index, query: &[f32], k: usize, ef: usize, exact: bool) -> Vec<u32> {
    numbers(&index.search(query, k, &options(ef, exact, None)).unwrap())
}

/// True answers by the index's own linear scan, which `answers` holds against [`ranked`].
pub(crate) fn truths(index: &Index, queries: &[Vec<f32>], k: usize) -> Vec<Vec<u32>> {
    let queries: Vec<&[f32]> = queries.iter().map(Vec::as_slice).collect();
    let answers = index.search_batch(&queries, k, &options(0, true, None));
    answers.unwrap().iter().map(|hits| numbers(hits)).collect()
}

pub(crate) fn common(a: &[u32], b: &[u32]) -> usize {
    a.iter().filter(|slot| b.contains(slot)).count()
}

#[expect(clippy::cast_precision_loss, reason = "small counts")]
pub(crate) fn ratio(part: usize, all: usize) -> f32 {
    part as f32 / all as f32
}

pub(crate) fn recall(index: &Index, queries: &[Vec<f32>], k: usize, ef: usize) -> f32 {
    let truth = truths(index, queries, k);
    let found = queries.iter().zip(&truth);
    let found = found.map(|(query, truth)| common(&slots(index, query, k, ef, false), truth));
    ratio(found.sum(), truth.iter().map(Vec::len).sum())
}

/// The score of two vectors in `f64`.
pub(crate) fn score(metric: Metric, a: &[f32], b: &[f32]) -> f64 {
    let pairs = || a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
    let dot = || pairs().map(|(x, y)| x * y).sum::<f64>();
    match metric {
        Metric::Dot => dot(),
        Metric::Cosine => {
            let length = |v: &[f32]| v.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt();
            dot() / (length(a) * length(b))
        }
        Metric::Euclid => pairs().map(|(x, y)| (x - y).powi(2)).sum::<f64>().sqrt(),
        Metric::Manhattan => pairs().map(|(x, y)| (x - y).abs()).sum(),
    }
}

/// How much worse the score `a` is than `b`.
pub(crate) fn worse(metric: Metric, a: f64, b: f64) -> f64 {
    match metric {
        Metric::Cosine | Metric::Dot => b - a,
        Metric::Euclid | Metric::Manhattan => a - b,
    }
}

/// All vectors with their scores, best first.
pub(crate) fn ranked(metric: Metric, vectors: &[Vec<f32>], query: &[f32]) -> Vec<(u32, f64)> {
    let scores = vectors.iter().map(|vector| score(metric, query, vector));
    let mut ranked: Vec<(u32, f64)> = (0u32..).zip(scores).collect();
    ranked.sort_by(|(_, a), (_, b)| {
        let worse = worse(metric, *a, *b);
        worse.partial_cmp(&0.0).unwrap_or(Ordering::Equal)
    });
    ranked
}

/// Asserts that hits are the first of the ranking, as far as `f32` can tell, and have its scores.
pub(crate) fn assert_best(
    metric: Metric,
    hits: &[Hit],
    ranked: &[(u32, f64)],
    near: f64,
    of: &str,
) {
    assert!(hits.len() <= ranked.len(), "{of}: more hits than points");
    for (at, (hit, (_, best))) in hits.iter().zip(ranked).enumerate() {
        let true_score = ranked.iter().find(|(slot, _)| *slot == hit.slot.0);
        let true_score = true_score.expect("a hit is one of the points").1;
        let said = f64::from(hit.score);
        assert!(
            (said - true_score).abs() <= near,
            "{of}: hit {at} has {true_score}, not {said}"
        );
        assert!(
            worse(metric, true_score, *best) <= near,
            "{of}: hit {at} has {true_score}, the true one {best}"
        );
    }
}

pub(crate) fn bytes(index: &Index) -> Vec<u8> {
    let mut out = Vec::new();
    index.freeze().write(&mut out).unwrap();
    out
}

pub(crate) fn read(bytes: &[u8]) -> Result<Index, Error> {
    Index::read(&mut &bytes[..], bytes.len() as u64, None)
}

/// FNV-1a.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, byte| {
        (sum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
