//! Searching: a walk by cheap estimates, then better costs for those that may be among the best,
//! then exact ones for those that still may. Where few points come into question they are all
//! looked at instead (see `scan`).

use std::collections::BinaryHeap;

use crate::beam::Candidate;
use crate::effort::{Counts, Way};
use crate::error::Error;
use crate::filter::SlotSet;
use crate::index::{Index, NONE};
use crate::limits::{MAX_EF, MAX_K, MAX_SPARE, MIN_EF, MIN_WIDTH, WALK_STEP};
use crate::params::{Metric, Slot};
use crate::scratch::{Space, Walk};
use crate::vectors::Query;

/// A point found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hit {
    /// Its slot.
    pub slot: Slot,
    /// Similarity (cosine, dot: higher is better) or distance (Euclid, Manhattan), exact.
    pub score: f32,
}

/// How to search.
#[derive(Debug, Clone, Copy, Default)]
pub struct SearchOptions<'a> {
    /// The paper's ef: the nearest so many candidates are expanded before a walk ends. Codes may
    /// misorder what is found, so more are kept and looked at closely: at least `k` and some. 0
    /// stands for what the index has settled on ([`Index::settle_on`]), raised to `k`.
    pub ef: usize,
    /// Compare with every point instead of walking.
    pub exact: bool,
    /// Only these points are found.
    pub filter: Option<&'a SlotSet>,
}

impl Index {
    /// How far a search for `k` points walks; `None` where it looks at all of them (or all that the
    /// filter lets through) from the start.
    pub fn ef_for(&self, options: &SearchOptions<'_>, k: usize) -> Option<usize> {
        let ef = match options.ef {
            0 => self.usual_ef().max(k),
            ef => ef.max(MIN_EF),
        };
        let walks = !options.exact && !self.scan_is_cheaper(ef.max(k), options.filter);
        walks.then_some(ef)
    }

    /// The `k` best points, best first, equal ones by slot. Fewer only if fewer there are.
    pub fn search(
        &self,
        query: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<Hit>, Error> {
        let mut answers = self.search_batch(&[query], k, options)?;
        Ok(answers.pop().unwrap_or_default())
    }

    /// [`Index::search`] for several queries. Where points are all looked at, each is read once.
    pub fn search_batch(
        &self,
        queries: &[&[f32]],
        k: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        self.search_counted(queries, k, options, &self.counts)
    }

    /// [`Index::search`] that does not count among the efforts: something is to be found out.
    pub fn trial(
        &self,
        query: &[f32],
        k: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<Hit>, Error> {
        let mut answers = self.search_counted(&[query], k, options, &Counts::default())?;
        Ok(answers.pop().unwrap_or_default())
    }

    fn search_counted(
        &self,
        queries: &[&[f32]],
        k: usize,
        options: &SearchOptions<'_>,
        counts: &Counts,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        within("k", k, 1, MAX_K)?;
        within("ef", options.ef, 0, MAX_EF)?;
        let Some(ef) = self.ef_for(options, k) else {
            return self.scan(queries, k, options.filter, counts);
        };
        let answer = |vector: &&[f32]| match options.filter {
            None => self.walked(vector, (ef, k), counts),
            Some(filter) => self.walked_with(vector, (ef, k), filter, counts),
        };
        queries.iter().map(answer).collect()
    }

    fn walked(
        &self,
        vector: &[f32],
        (ef, k): (usize, usize),
        counts: &Counts,
    ) -> Result<Vec<Hit>, Error> {
        self.spaces.with(|Space { query, walk }| {
            self.prepare_into(vector, &mut query.row)?;
            self.vectors.ask(query);
            let before = walk.seen.added();
            self.walk_from_the_top(query, (ef, k), walk);
            if walk.beam.len() < k.min(self.len()) {
                // So few expanded nodes lead to fewer points than were asked for.
                self.walk_from_the_top(query, (ef.max(k), k), walk);
            }
            counts.add(Way::Walk, walk.seen.added() - before);
            Ok(self.hits(&self.best(query, walk, k)))
        })
    }

    /// A walk with a filter, or a scan of what the filter lets through where that turns out to be
    /// less work.
    fn walked_with(
        &self,
        vector: &[f32],
        (ef, k): (usize, usize),
        filter: &SlotSet,
        counts: &Counts,
    ) -> Result<Vec<Hit>, Error> {
        let walked: Result<_, Error> = self.spaces.with(|Space { query, walk }| {
            self.prepare_into(vector, &mut query.row)?;
            self.vectors.ask(query);
            let before = walk.seen.added();
            let start = self.descend(query, 0, walk);
            let width = self.width(ef, k);
            let mut walked = self.walk_filtered(query, start, width, filter, walk);
            if walked.is_some_and(|kept_back| led_away(kept_back, width, filter.len(), self.len()))
            {
                walked = self.walk_filtered(query, start, width * AGAIN, filter, walk);
            }
            let done = walked.is_some();
            let way = if done { Way::Filtered } else { Way::GivenUp };
            counts.add(way, walk.seen.added() - before);
            Ok(done.then(|| self.hits(&self.best(query, walk, k))))
        });
        match walked? {
            Some(hits) => Ok(hits),
            None => {
                let mut scanned = self.scan(&[vector], k, Some(filter), counts)?;
                Ok(scanned.pop().unwrap_or_default())
            }
        }
    }

    /// All points with this score or a better one, best first; at most `limit`, the best.
    pub fn search_within(
        &self,
        query: &[f32],
        score: f32,
        limit: usize,
        options: &SearchOptions<'_>,
    ) -> Result<Vec<Hit>, Error> {
        within("limit", limit, 1, usize::MAX)?;
        if !score.is_finite() {
            return Err(Error::Score(score));
        }
        // Scores are compared as they are told; a cost is only a first, wider sieve.
        let worst = self.vectors.cost(score);
        let worst = worst + worst.abs() * SIEVE;
        let good = |hit: &Hit| match self.params.metric {
            Metric::Cosine | Metric::Dot => hit.score >= score,
            Metric::Euclid | Metric::Manhattan => hit.score <= score,
        };
        let ef = match options.ef {
            0 => self.usual_ef(),
            ef => ef,
        };
        let mut k = FIRST_RANGE.min(limit);
        loop {
            let options = SearchOptions {
                ef: ef.max(2 * k).min(MAX_EF),
                ..*options
            };
            let mut hits = self.search(query, k.min(MAX_K), &options)?;
            let complete =
                hits.len() < k || k == limit || hits.last().is_some_and(|hit| !good(hit));
            hits.retain(good);
            if complete && k <= MAX_K {
                return Ok(hits);
            }
            if k >= MAX_K {
                let found = self.scan_within(query, worst, options.filter)?;
                let mut hits = self.hits(&found);
                hits.retain(good);
                hits.truncate(limit);
                return Ok(hits);
            }
            k = (k * 4).min(limit).min(MAX_K);
        }
    }

    /// A walk that a filter keeps nothing from looks at some points for each node it expands, a scan
    /// once at each that comes into question. What a filter keeps from a walk shows on the way (see
    /// [`Index::walk_filtered`]).
    fn scan_is_cheaper(&self, ef: usize, filter: Option<&SlotSet>) -> bool {
        let allowed = filter.map_or(self.len(), SlotSet::len).min(self.len());
        self.entry == NONE || allowed.div_ceil(WALK_STEP) <= ef
    }

    /// Estimates may misorder what is near the k-th, so more than k are kept.
    fn width(&self, ef: usize, k: usize) -> usize {
        ef.max(k + k.min(MAX_SPARE)).max(MIN_WIDTH) + self.hidden.len()
    }

    pub(crate) fn hits(&self, candidates: &[Candidate]) -> Vec<Hit> {
        let hit = |found: &Candidate| Hit {
            slot: Slot(found.slot),
            score: self.vectors.score(found.cost),
        };
        candidates.iter().map(hit).collect()
    }

    pub(crate) fn walk_from_the_top(
        &self,
        query: &Query,
        (ef, k): (usize, usize),
        walk: &mut Walk,
    ) {
        let start = self.descend(query, 0, walk);
        self.walk_level(query, &[start], 0, (self.width(ef, k), ef), walk);
    }

    /// The `k` best of what a walk found, with their exact costs.
    pub(crate) fn best(&self, query: &Query, walk: &Walk, k: usize) -> Vec<Candidate> {
        let mut found: Vec<Candidate> = walk.beam.sorted().collect();
        if !self.hidden.is_empty() {
            found.retain(|found| !self.hidden.contains(Slot(found.slot)));
        }
        let mut exact = match self.params.bits() {
            Some(_) => self.exact_of(query, self.refined_of(query, &found, k), k),
            None => self.exact_of(query, found, k),
        };
        exact.sort_unstable_by(Candidate::order);
        exact.truncate(k);
        exact
    }

    /// Better costs for those whose estimate, with what it may be wrong by, is among the `k` best.
    fn refined_of(&self, query: &Query, found: &[Candidate], k: usize) -> Vec<Candidate> {
        let mut refined = Vec::with_capacity(found.len());
        let mut best = KBest::new(k);
        let ahead = |at: usize| {
            if let Some(ahead) = found.get(at) {
                self.vectors.prefetch_refined(ahead.slot);
            }
        };
        (0..AHEAD).for_each(ahead);
        for (at, estimate) in found.iter().enumerate() {
            let margin = self.vectors.walk_margin(query, estimate.slot);
            if best
                .worst()
                .is_some_and(|worst| estimate.cost - margin > worst)
            {
                continue;
            }
            ahead(at + AHEAD);
            if at < k {
                // Likely to be asked for next.
                self.vectors.prefetch_exact(estimate.slot);
            }
            let cost = self.vectors.refined(query, estimate.slot);
            best.offer(cost);
            refined.push(Candidate {
                cost,
                slot: estimate.slot,
            });
        }
        refined
    }

    /// Exact costs for those whose cost, with what it may be wrong by, is among the `k` best.
    fn exact_of(&self, query: &Query, mut found: Vec<Candidate>, k: usize) -> Vec<Candidate> {
        found.sort_unstable_by(Candidate::order);
        let spread = |found: &Candidate| self.vectors.refined_spread(query, found.slot);
        if let Some(last) = found.get(k - 1) {
            let worst = last.cost + spread(last);
            found.retain(|found| found.cost - spread(found) <= worst);
        }
        found
            .iter()
            .for_each(|found| self.vectors.prefetch_exact(found.slot));
        for candidate in &mut found {
            candidate.cost = self.vectors.exact(query, candidate.slot);
        }
        found
    }
}

/// Rows that are on their way while one is looked at.
const AHEAD: usize = 8;
/// How much wider than its score a search within a score looks.
const SIEVE: f32 = 1e-6;
/// Hits that a search within a score asks for first.
const FIRST_RANGE: usize = 64;

/// Whether a walk has met more that the filter keeps back than it kept, and far more than a filter
/// keeps back that has nothing to do with the query: what is near is just what is not wanted. What comes
/// behind lies further apart, where links lead less surely, and takes a wider beam.
fn led_away(kept_back: usize, width: usize, allowed: usize, live: usize) -> bool {
    let due = width * live.saturating_sub(allowed) / allowed.max(1);
    kept_back > width.max(3 * due)
}

/// How much wider the beam of a walk is that was led away.
const AGAIN: usize = 4;

pub(crate) fn within(name: &'static str, got: usize, min: usize, max: usize) -> Result<(), Error> {
    if (min..=max).contains(&got) {
        return Ok(());
    }
    Err(Error::Setting {
        name,
        min,
        max,
        got,
    })
}

/// The `k` lowest costs so far.
struct KBest {
    k: usize,
    costs: BinaryHeap<Cost>,
}

impl KBest {
    fn new(k: usize) -> Self {
        Self {
            k,
            costs: BinaryHeap::with_capacity(k + 1),
        }
    }

    fn offer(&mut self, cost: f32) {
        if self.costs.len() < self.k {
            self.costs.push(Cost(cost));
        } else if let Some(mut worst) = self.costs.peek_mut().filter(|worst| cost < worst.0) {
            *worst = Cost(cost);
        }
    }

    /// The `k`-th, once there are as many.
    fn worst(&self) -> Option<f32> {
        let full = self.costs.len() == self.k;
        self.costs.peek().filter(|_| full).map(|worst| worst.0)
    }
}

#[derive(PartialEq)]
struct Cost(f32);

impl Eq for Cost {}

impl PartialOrd for Cost {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Cost {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}
