//! Searches with a payload filter, by the share of the points that it lets through and by where
//! those lie: `cargo run --release -p benches --bin filters -- --vectors 100000 --dim 512`.
//!
//! Everything is done by the engine: filters are ranges of whole numbers over payload indexes. Each
//! query has a filter of its own, of one of these kinds:
//!
//! - `random`: independent of the vectors.
//! - `side`: the points are ordered along a random direction, and those about the query's place are
//!   let through, as one gender or one age would be. `far side`: those at the end that is farther
//!   from the query's place.
//! - `near`: those most like a photo of the query's own person, and so that person and all
//!   look-alikes. `far`: those least like it: every point that is like the query is kept back.
//!
//! Recall@10 is against exact searches with the same filter. `looked at` are the points that a query
//! was compared with; the ways are how many of the queries were answered by a scan of what the filter
//! lets through, by a walk of the graph, by a walk with a filter, and by a walk that was given up for a scan.

use std::io::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use benches::ann::generator::{Generated, Shape, generate};
use clap::Parser;
use engine::{
    Ack, Bounds, CollectionSpec, Condition, Effort, Engine, Filter, IndexKind, KeyPath, Metric,
    Options, Payload, Point, PointId, Query, Select, Test, Which,
};

#[derive(Parser)]
struct Arguments {
    /// Vectors that are searched.
    #[arg(long, default_value_t = 100_000)]
    vectors: usize,
    /// Numbers in a vector.
    #[arg(long, default_value_t = 512)]
    dim: usize,
    /// Queries of each kind and share, at most as many as there are places of orders.
    #[arg(long, default_value_t = 50)]
    queries: usize,
    /// Rounds over the queries; each query's time is the median of its rounds.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Thousandths of the points that filters let through.
    #[arg(
        long,
        value_delimiter = ',',
        default_value = "1,3,10,30,100,300,500,900,1000"
    )]
    shares: Vec<usize>,
    /// The `ef` of searches; the default when absent.
    #[arg(long)]
    ef: Option<usize>,
}

const NAME: &str = "faces";
const K: usize = 10;
const BATCH: usize = 1_000;
/// Places in an order: as many points share one.
const PARTS: usize = 1_000;
const KINDS: [Kind; 5] = [
    Kind::Random,
    Kind::Side,
    Kind::FarSide,
    Kind::Near,
    Kind::Far,
];

/// Where the points lie that a filter lets through.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Random,
    Side,
    FarSide,
    Near,
    Far,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let (n, dim) = (arguments.vectors, arguments.dim);
    let made = generate(Shape::Faces, n, dim, arguments.queries, 1)?;
    let orders = Orders::of(&made);
    let folder = tempfile::tempdir()?;
    let engine = Engine::open(Options::new(folder.path()))?;
    fill(&engine, &made, &orders)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{n} vectors of {dim}, {} queries", arguments.queries)?;
    writeln!(
        out,
        "| kind | share | recall@{K} | median us | p99 us | looked at | scan, walk, filtered, given up |"
    )?;
    writeln!(out, "| --- | --: | --: | --: | --: | --: | --- |")?;
    for kind in KINDS {
        for share in &arguments.shares {
            let filters = orders.filters(kind, (*share).min(PARTS))?;
            let row = measure(&engine, &arguments, &made, &filters)?;
            writeln!(out, "| {kind:?} | {:.1} % | {row} |", *share as f64 / 10.0)?;
        }
    }
    engine.shutdown()?;
    Ok(())
}

/// The points' places in orders of several kinds, in thousandths, each by point.
struct Orders {
    random: Vec<usize>,
    side: Vec<usize>,
    /// Where a query would be in that order.
    query_sides: Vec<usize>,
    /// By query: the points from the most to the least like it.
    near: Vec<Vec<usize>>,
}

impl Orders {
    fn of(made: &Generated) -> Self {
        let n = made.base.len();
        let scrambled = |at: usize| (at as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 16;
        let random = places(n, |at| scrambled(at) as f32);
        // A direction that people differ in: from one person to another.
        let (one, other) = (made.base.row(0), made.base.row(n / 2));
        let along = |row: &[f32]| dot(row, one) - dot(row, other);
        let sides: Vec<f32> = made.base.rows().map(along).collect();
        let below = |query: &[f32]| {
            let own = along(query);
            sides.iter().filter(|side| **side < own).count() * PARTS / n
        };
        let query_sides = made.queries.rows().map(below).collect();
        let side = places(n, |at| sides[at]);
        let near = made.queries.rows().map(|query| {
            let costs: Vec<f32> = made.base.rows().map(|row| -dot(row, query)).collect();
            places(n, |at| costs[at])
        });
        Self {
            random,
            side,
            query_sides,
            near: near.collect(),
        }
    }

    /// Whole numbers by which a filter can choose.
    fn payload(&self, at: usize) -> Payload {
        let mut payload = Payload::new();
        payload.insert("random".into(), self.random[at].into());
        payload.insert("side".into(), self.side[at].into());
        for (query, near) in self.near.iter().enumerate() {
            payload.insert(format!("near{query}"), near[at].into());
        }
        payload
    }

    fn keys(&self) -> Vec<String> {
        let near = (0..self.near.len()).map(|query| format!("near{query}"));
        let mut keys: Vec<String> = near.collect();
        keys.extend(["random".to_owned(), "side".to_owned()]);
        keys
    }

    /// One filter a query, that lets so many thousandths of the points through.
    fn filters(&self, kind: Kind, count: usize) -> Result<Vec<Filter>> {
        let n = PARTS;
        let one = |query: usize| {
            let (key, from) = match kind {
                Kind::Random => ("random".to_owned(), (query * 79) % (n - count + 1)),
                Kind::Side => {
                    let from = self.query_sides[query].saturating_sub(count / 2);
                    ("side".to_owned(), from.min(n - count))
                }
                Kind::FarSide if self.query_sides[query] > n / 2 => ("side".to_owned(), 0),
                Kind::FarSide => ("side".to_owned(), n - count),
                Kind::Near => (format!("near{query}"), 0),
                Kind::Far => (format!("near{query}"), n - count),
            };
            let bounds = Bounds {
                gte: Some(from as f64),
                lt: Some((from + count) as f64),
                ..Bounds::default()
            };
            let key = KeyPath::parse(&key).map_err(anyhow::Error::msg)?;
            let test = Test::Number(bounds);
            Ok(Filter::must(Condition::Key { key, test }))
        };
        (0..self.query_sides.len()).map(one).collect()
    }
}

/// Each one's place, in thousandths, when all stand in the order of their values.
fn places(n: usize, value: impl Fn(usize) -> f32) -> Vec<usize> {
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| value(*a).total_cmp(&value(*b)));
    let mut places = vec![0; n];
    for (place, at) in order.into_iter().enumerate() {
        places[at] = place * PARTS / n;
    }
    places
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn fill(engine: &Engine, made: &Generated, orders: &Orders) -> Result<()> {
    engine.create_collection(NAME, CollectionSpec::new(made.base.width(), Metric::Cosine))?;
    let points = made.base.rows().enumerate().map(|(at, row)| Point {
        id: PointId::Num(at as u64),
        vectors: row.to_vec().into(),
        payload: orders.payload(at),
        face: None,
    });
    let mut points = points.peekable();
    while points.peek().is_some() {
        let batch = points.by_ref().take(BATCH).collect();
        engine.upsert(NAME, batch, Ack::Applied)?;
    }
    for key in orders.keys() {
        let key = KeyPath::parse(&key).map_err(anyhow::Error::msg)?;
        engine.create_index(NAME, key, IndexKind::Integer, Ack::Applied)?;
    }
    Ok(())
}

/// A row of the table.
fn measure(
    engine: &Engine,
    arguments: &Arguments,
    made: &Generated,
    filters: &[Filter],
) -> Result<String> {
    let query = |at: usize, exact| Query {
        vector: made.queries.row(at).to_vec(),
        using: String::new(),
        limit: K,
        offset: 0,
        ef: arguments.ef,
        exact,
        score_threshold: None,
        filter: Some(filters[at].clone()),
        select: Select {
            payload: false,
            vectors: Which::None,
        },
    };
    let ids = |query: &Query| -> Result<Vec<PointId>> {
        let hits = engine.search(NAME, query)?;
        Ok(hits.into_iter().map(|hit| hit.point.id).collect())
    };
    let (mut found, mut wanted, mut times) = (0, 0, Vec::new());
    for at in 0..filters.len() {
        let truth = ids(&query(at, true))?;
        let answer = ids(&query(at, false))?;
        found += answer.iter().filter(|id| truth.contains(id)).count();
        wanted += truth.len();
    }
    let before = engine.effort(NAME, "")?;
    for at in 0..filters.len() {
        let query = query(at, false);
        let rounds = (0..arguments.rounds).map(|_| {
            let started = Instant::now();
            engine.search(NAME, &query)?;
            Ok(started.elapsed())
        });
        let mut rounds = rounds.collect::<Result<Vec<_>>>()?;
        rounds.sort_unstable();
        times.push(*rounds.get(rounds.len() / 2).context("no rounds")?);
    }
    times.sort_unstable();
    let at = |percent: usize| times[(times.len() * percent / 100).min(times.len() - 1)];
    let us = |time: Duration| time.as_secs_f64() * 1e6;
    let searches = filters.len() * arguments.rounds;
    Ok(format!(
        "{:.4} | {:.0} | {:.0} | {}",
        found as f64 / wanted.max(1) as f64,
        us(at(50)),
        us(at(99)),
        told(before, engine.effort(NAME, "")?, searches)
    ))
}

/// What was done between two counts, a search.
fn told(before: Effort, after: Effort, searches: usize) -> String {
    let looked_at = (after.looked_at - before.looked_at) / searches as u64;
    let ways = [
        after.scans - before.scans,
        after.walks - before.walks,
        after.filtered_walks - before.filtered_walks,
        after.given_up - before.given_up,
    ];
    let share = |count: u64| format!("{:.0} %", count as f64 * 100.0 / searches as f64);
    format!("{looked_at} | {}", ways.map(share).join(", "))
}
