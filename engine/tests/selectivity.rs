//! Recall of searches with a payload filter, whatever share of the points it lets through and
//! wherever those lie: anywhere, about the query, or as far from it as there are any.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[allow(dead_code, reason = "the index's tests use all of it")]
#[path = "../../hnsw/tests/common/mod.rs"]
mod data;

use common::{open, query};
use data::{Random, faces};
use engine::{
    Ack, Bounds, CollectionSpec, Condition, Engine, Filter, IndexKind, KeyPath, Metric, Payload,
    Point, PointId, Query, Select, Test, Which,
};

const POINTS: usize = 20_000;
const DIM: usize = 64;
const QUERIES: usize = 4;
const K: usize = 10;
/// Places in an order; as many points share one.
const PARTS: usize = 1_000;
/// Thousandths of the points that a filter lets through.
const SHARES: [usize; 9] = [1, 3, 10, 30, 100, 300, 500, 900, 1_000];

/// An engine with the points, each with its place (in thousandths) in an order that has nothing to
/// do with vectors, and in the order of likeness to each query.
fn filled(dir: &std::path::Path, vectors: &[Vec<f32>], queries: &[Vec<f32>]) -> Engine {
    let engine = open(dir);
    let spec = CollectionSpec::new(DIM, Metric::Cosine);
    engine.create_collection("c", spec).unwrap();
    let near: Vec<Vec<usize>> = queries.iter().map(|query| places(vectors, query)).collect();
    let key = |text: &str| KeyPath::parse(text).unwrap();
    let points = (0..POINTS).map(|at| {
        let mut payload = Payload::new();
        payload.insert("any".into(), (at * 7_919 % PARTS).into());
        for (query, places) in near.iter().enumerate() {
            payload.insert(format!("near{query}"), places[at].into());
        }
        Point {
            id: PointId::Num(at as u64),
            vectors: vectors[at].clone().into(),
            payload,
            face: None,
        }
    });
    let mut points = points.peekable();
    while points.peek().is_some() {
        let batch = points.by_ref().take(5_000).collect();
        engine.upsert("c", batch, Ack::Durable).unwrap();
    }
    let nears = (0..queries.len()).map(|query| format!("near{query}"));
    for name in nears.chain(["any".to_owned()]) {
        let integer = IndexKind::Integer;
        engine
            .create_index("c", key(&name), integer, Ack::Applied)
            .unwrap();
    }
    engine
}

/// By vector: its place when all stand in the order of their likeness to a query.
fn places(vectors: &[Vec<f32>], query: &[f32]) -> Vec<usize> {
    let dot = |at: usize| -> f32 { vectors[at].iter().zip(query).map(|(x, y)| x * y).sum() };
    let dots: Vec<f32> = (0..vectors.len()).map(dot).collect();
    let mut order: Vec<usize> = (0..vectors.len()).collect();
    order.sort_by(|a, b| dots[*b].total_cmp(&dots[*a]));
    let mut places = vec![0; order.len()];
    for (place, at) in order.into_iter().enumerate() {
        places[at] = place * PARTS / POINTS;
    }
    places
}

fn between(key: &str, from: usize, to: usize) -> Filter {
    let bound = |at: usize| Some(f64::from(u32::try_from(at).unwrap()));
    let bounds = Bounds {
        gte: bound(from),
        lt: bound(to),
        ..Bounds::default()
    };
    Filter::must(Condition::Key {
        key: KeyPath::parse(key).unwrap(),
        test: Test::Number(bounds),
    })
}

fn ids(engine: &Engine, vector: &[f32], filter: &Filter, exact: bool) -> Vec<PointId> {
    let asked = Query {
        ef: Some(64),
        exact,
        filter: Some(filter.clone()),
        select: Select {
            payload: false,
            vectors: Which::None,
        },
        ..query(vector.to_vec(), K)
    };
    let hits = engine.search("c", &asked).unwrap();
    hits.into_iter().map(|hit| hit.point.id).collect()
}

#[test]
fn recall_holds_at_every_share_that_a_filter_lets_through_near_or_far() {
    let mut all = faces(&mut Random(7), POINTS + QUERIES, DIM);
    // One photo of people spread over all of them is asked for.
    let queries: Vec<Vec<f32>> = (0..QUERIES)
        .map(|at| all.remove(at * POINTS / QUERIES))
        .collect();
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), &all, &queries);
    let mut low = Vec::new();
    for kind in ["any", "near", "far"] {
        for share in SHARES {
            let (mut found, mut wanted) = (0, 0);
            let before = engine.effort("c", "").unwrap().looked_at;
            for (at, vector) in queries.iter().enumerate() {
                let filter = match kind {
                    "any" => between("any", 0, share),
                    "near" => between(&format!("near{at}"), 0, share),
                    _ => between(&format!("near{at}"), PARTS - share, PARTS),
                };
                let truth = ids(&engine, vector, &filter, true);
                let answer = ids(&engine, vector, &filter, false);
                assert_eq!(answer.len(), truth.len(), "{kind} {share}");
                found += answer.iter().filter(|id| truth.contains(id)).count();
                wanted += truth.len();
            }
            let looked_at = engine.effort("c", "").unwrap().looked_at - before;
            // Half of the searches were exact: scans of all that are let through.
            let walked = looked_at / QUERIES as u64 - (POINTS * share / PARTS) as u64;
            eprintln!("{kind} {share}/1000: {found} of {wanted}, looked at {walked}");
            if found * 100 < wanted * 95 {
                low.push(format!("{kind} {share}/1000: {found} of {wanted}"));
            }
        }
    }
    assert!(low.is_empty(), "{low:?}");
    let effort = engine.effort("c", "").unwrap();
    assert!(
        effort.filtered_walks > 0 && effort.given_up > 0,
        "every way was taken: {effort:?}"
    );
}
