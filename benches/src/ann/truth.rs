//! The exact neighbours by comparing everything with everything.
//!
//! It shares no code with the index it judges. Candidates are found in `f32` and ordered in `f64`;
//! equal ones stand by number.

use std::collections::BinaryHeap;
use std::num::NonZero;
use std::thread;

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;

use super::table::Table;

/// How vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Metric {
    /// Cosine similarity; all vectors are scaled to length 1 before anybody sees them.
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance.
    Euclid,
}

impl Metric {
    /// As it is written on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cosine => "cosine",
            Self::Dot => "dot",
            Self::Euclid => "euclid",
        }
    }

    /// The lower, the nearer. Under cosine both vectors have length 1.
    pub(crate) fn cost(self, a: &[f32], b: &[f32]) -> f64 {
        let pairs = a.iter().zip(b).map(|(x, y)| (f64::from(*x), f64::from(*y)));
        match self {
            Self::Cosine | Self::Dot => -pairs.map(|(x, y)| x * y).sum::<f64>(),
            Self::Euclid => pairs.map(|(x, y)| (x - y) * (x - y)).sum(),
        }
    }

    fn quick_cost(self, a: &[f32], b: &[f32]) -> f32 {
        match self {
            Self::Cosine | Self::Dot => -lanes(a, b, |x, y| x * y),
            Self::Euclid => lanes(a, b, |x, y| (x - y) * (x - y)),
        }
    }
}

/// Vectors that stay in a core's cache while queries pass over them.
const BLOCK: usize = 128;
/// Queries that pass over a block together.
const GROUP: usize = 32;
/// Candidates by `f32` beyond the wanted depth.
const SPARE: usize = 16;

/// The `depth` nearest vectors of the base (or all, if fewer) for each query, nearest first; only
/// those that `live` lets through.
///
/// # Errors
/// No vector to find, or another width of the queries.
pub fn exact(
    base: &Table<f32>,
    queries: &Table<f32>,
    metric: Metric,
    depth: usize,
    live: impl Fn(usize) -> bool + Sync,
) -> Result<Table<u32>> {
    if base.width() != queries.width() {
        bail!(
            "vectors of {} numbers, queries of {}",
            base.width(),
            queries.width()
        );
    }
    let depth = depth.min((0..base.len()).filter(|row| live(*row)).count());
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let share = queries.len().div_ceil(threads).max(1);
    let starts = (0..queries.len()).step_by(share);
    let live = &live;
    let found = thread::scope(|scope| -> Result<Vec<u32>> {
        let work: Vec<_> = starts
            .map(|start| {
                let end = (start + share).min(queries.len());
                scope.spawn(move || {
                    let mut ids = Vec::with_capacity((end - start) * depth);
                    for at in (start..end).step_by(GROUP) {
                        let group = at..(at + GROUP).min(end);
                        nearest(base, queries, metric, depth, live, group, &mut ids);
                    }
                    ids
                })
            })
            .collect();
        let mut all = Vec::with_capacity(queries.len() * depth);
        for thread in work {
            all.extend(thread.join().map_err(|_| anyhow!("a thread panicked"))?);
        }
        Ok(all)
    })?;
    Table::new(depth, found)
}

fn nearest(
    base: &Table<f32>,
    queries: &Table<f32>,
    metric: Metric,
    depth: usize,
    live: &(impl Fn(usize) -> bool + Sync),
    group: std::ops::Range<usize>,
    out: &mut Vec<u32>,
) {
    let mut heaps: Vec<BinaryHeap<Candidate>> = group.clone().map(|_| BinaryHeap::new()).collect();
    for start in (0..base.len()).step_by(BLOCK) {
        let block = start..(start + BLOCK).min(base.len());
        for (heap, query) in heaps.iter_mut().zip(group.clone()) {
            let query = queries.row(query);
            for row in block.clone().filter(|row| live(*row)) {
                let candidate = Candidate(metric.quick_cost(query, base.row(row)), row);
                if heap.len() < depth + SPARE {
                    heap.push(candidate);
                } else if heap.peek().is_some_and(|worst| candidate < *worst) {
                    heap.pop();
                    heap.push(candidate);
                }
            }
        }
    }
    for (heap, query) in heaps.into_iter().zip(group) {
        let query = queries.row(query);
        let mut best: Vec<(f64, usize)> = heap
            .into_iter()
            .map(|Candidate(_, row)| (metric.cost(query, base.row(row)), row))
            .collect();
        best.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let ids = best.iter().take(depth);
        out.extend(ids.map(|(_, row)| u32::try_from(*row).unwrap_or(u32::MAX)));
    }
}

/// A vector of the base and how far it is; the farthest is the greatest.
struct Candidate(f32, usize);

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}
impl Eq for Candidate {}
impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0).then(self.1.cmp(&other.1))
    }
}

/// A sum in sixteen lanes, a shape that the compiler turns into vector instructions.
fn lanes(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0; 16];
    let (a_chunks, a_rest) = a.as_chunks::<16>();
    let (b_chunks, b_rest) = b.as_chunks::<16>();
    for (x, y) in a_chunks.iter().zip(b_chunks) {
        for lane in 0..16 {
            sums[lane] += term(x[lane], y[lane]);
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| term(*x, *y)).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::super::generator::{Shape, generate};
    use super::*;

    #[test]
    fn the_exact_neighbours_are_those_of_a_plain_sort() {
        let made = generate(Shape::Gaussian, 300, 19, 70, 5).unwrap();
        for metric in [Metric::Cosine, Metric::Dot, Metric::Euclid] {
            let live = |row: usize| !row.is_multiple_of(3);
            let truth = exact(&made.base, &made.queries, metric, 12, live).unwrap();
            assert_eq!((truth.len(), truth.width()), (70, 12));
            for (query, ids) in made.queries.rows().zip(truth.rows()) {
                let mut all: Vec<u32> = (0..300).filter(|row| live(*row as usize)).collect();
                all.sort_by(|a, b| {
                    let cost = |row: &u32| metric.cost(query, made.base.row(*row as usize));
                    cost(a).total_cmp(&cost(b))
                });
                assert_eq!(ids, &all[..12]);
            }
        }
    }

    #[test]
    fn equal_vectors_stand_by_number_and_a_small_base_gives_all_it_has() {
        let base = Table::new(2, vec![1.0; 8]).unwrap();
        let queries = Table::new(2, vec![0.5, 1.0]).unwrap();
        let truth = exact(&base, &queries, Metric::Euclid, 100, |_| true).unwrap();
        assert_eq!(truth.row(0), [0, 1, 2, 3]);
        let wide = Table::new(3, vec![1.0; 3]).unwrap();
        assert!(exact(&base, &wide, Metric::Euclid, 1, |_| true).is_err());
    }
}
