//! Searching: down the upper levels to a good start, then a beam over level 0 on codes, then the
//! exact scores of the best.

use std::collections::BinaryHeap;

use crate::beam::{Beam, Candidate};
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::limits::{MAX_K, MIN_EF, SCAN_LEN};
use crate::params::Slot;
use crate::vectors::Query;
use crate::visited::Visited;

/// A point found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its slot.
    pub slot: Slot,
    /// Similarity (cosine, dot: higher is better) or distance (Euclid, Manhattan), exact.
    pub score: f32,
}

/// How to search.
#[derive(Clone, Copy, Default)]
pub struct SearchOptions<'a> {
    /// Candidates kept while walking; raised to `k` and to a floor.
    pub ef: usize,
    /// Compare with every point instead of walking.
    pub exact: bool,
    /// Only points it lets through are found.
    pub filter: Option<&'a (dyn Fn(Slot) -> bool + Sync)>,
}

impl Index {
    /// The `k` best points, best first, equal ones by slot. Fewer only if fewer there are.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<Hit>, Error> {
        if k == 0 || k > MAX_K {
            return Err(Error::Setting {
                name: "k",
                min: 1,
                max: MAX_K,
                got: k,
            });
        }
        let query = self.vectors.query(&self.prepare(query)?);
        if self.entry == NONE {
            return Ok(Vec::new());
        }
        if options.exact || self.len() <= SCAN_LEN {
            return Ok(self.scan(&query, k, options));
        }
        let found = self.walk(&query, options.ef.max(k).max(MIN_EF), options);
        if options.filter.is_some() && found.len() < k {
            return Ok(self.scan(&query, k, options));
        }
        // Codes may misorder what is near the k-th, so more than k are rescored.
        let pool = (2 * k).max(k + 32).min(found.len());
        let mut exact: Vec<Candidate> = found[..pool]
            .iter()
            .map(|found| Candidate {
                cost: self.vectors.exact(&query, found.slot),
                slot: found.slot,
            })
            .collect();
        exact.sort_unstable_by(Candidate::order);
        exact.truncate(k);
        Ok(self.hits(&exact))
    }

    fn hits(&self, candidates: &[Candidate]) -> Vec<Hit> {
        let hit = |found: &Candidate| Hit {
            slot: Slot(found.slot),
            score: self.vectors.score(found.cost),
        };
        candidates.iter().map(hit).collect()
    }

    fn walk(&self, query: &Query, ef: usize, options: &SearchOptions<'_>) -> Vec<Candidate> {
        let start = self.descend(query, 0);
        match options.filter {
            None => self.walk_level(query, &[start], 0, ef),
            Some(filter) => {
                let all = self.walk_level(query, &[start], 0, ef);
                all.into_iter()
                    .filter(|found| filter(Slot(found.slot)))
                    .collect()
            }
        }
    }

    /// Compares every live point that the filter lets through.
    fn scan(&self, query: &Query, k: usize, options: &SearchOptions<'_>) -> Vec<Hit> {
        let mut best: BinaryHeap<Worst> = BinaryHeap::with_capacity(k + 1);
        for (slot, level) in (0u32..).zip(&self.levels) {
            if *level == FREE || options.filter.is_some_and(|filter| !filter(Slot(slot))) {
                continue;
            }
            let candidate = Worst(Candidate {
                cost: self.vectors.exact(query, slot),
                slot,
            });
            if best.len() < k {
                best.push(candidate);
            } else if best.peek().is_some_and(|worst| candidate < *worst) {
                best.pop();
                best.push(candidate);
            }
        }
        let sorted: Vec<Candidate> = best
            .into_sorted_vec()
            .into_iter()
            .map(|Worst(found)| found)
            .collect();
        self.hits(&sorted)
    }

    /// Greedily down to `level`, and the nearest point found above it.
    pub(crate) fn descend(&self, query: &Query, level: usize) -> Candidate {
        let mut nearest = Candidate {
            cost: self.vectors.walk(query, self.entry),
            slot: self.entry,
        };
        for upper in (level + 1..=self.top().unwrap_or(0)).rev() {
            loop {
                let candidates = self.links.get(nearest.slot, upper).iter();
                let costs = candidates.map(|slot| Candidate {
                    cost: self.vectors.walk(query, *slot),
                    slot: *slot,
                });
                match costs
                    .min_by(Candidate::order)
                    .filter(|best| best.order(&nearest).is_lt())
                {
                    Some(better) => nearest = better,
                    None => break,
                }
            }
        }
        nearest
    }

    /// The beam search of the paper (Algorithm 2) on one level, nearest first.
    pub(crate) fn walk_level(
        &self,
        query: &Query,
        starts: &[Candidate],
        level: usize,
        ef: usize,
    ) -> Vec<Candidate> {
        self.visited.with(self.slots(), |visited| {
            let mut beam = Beam::new(ef);
            for start in starts {
                if visited.insert(start.slot) {
                    beam.insert(*start);
                }
            }
            let mut fresh = Vec::with_capacity(self.params.cap(level));
            while let Some(nearest) = beam.pop() {
                self.unseen(nearest.slot, level, visited, &mut fresh);
                for slot in &fresh {
                    beam.insert(Candidate {
                        cost: self.vectors.walk(query, *slot),
                        slot: *slot,
                    });
                }
            }
            beam.into_sorted()
        })
    }

    /// The neighbours that were not seen before; their rows are on their way.
    fn unseen(&self, slot: u32, level: usize, visited: &mut Visited, fresh: &mut Vec<u32>) {
        fresh.clear();
        for other in self.links.get(slot, level) {
            if visited.insert(*other) {
                self.vectors.prefetch(*other);
                fresh.push(*other);
            }
        }
    }
}

/// Orders a heap so that the worst candidate is on top.
#[derive(PartialEq)]
struct Worst(Candidate);

impl Eq for Worst {}

impl PartialOrd for Worst {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worst {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.order(&other.0)
    }
}
