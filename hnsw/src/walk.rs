//! Walking the graph: greedily down the upper levels, then with a beam over one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::beam::Candidate;
use crate::filter::SlotSet;
use crate::index::{FREE, Index};
use crate::limits::WALK_STEP;
use crate::params::Slot;
use crate::scratch::{Seen, Walk};
use crate::vectors::{Front, Query};

impl Index {
    /// Greedily down to `level`, and the nearest point found above it.
    pub(crate) fn descend(&self, query: &Query, level: usize, walk: &mut Walk) -> Candidate {
        let mut front = Front::new(self.params.m);
        walk.seen.start(self.slots());
        walk.seen.insert(self.entry);
        front.slots.push(self.entry);
        self.vectors.await_walk(&mut front);
        self.vectors.walk(query, &front, &mut walk.costs);
        let mut nearest = Candidate {
            cost: walk.costs[0],
            slot: self.entry,
        };
        for upper in (level + 1..=self.top().unwrap_or(0)).rev() {
            loop {
                front.clear();
                // What was seen before, here or on a higher level, was no nearer then.
                self.unseen(nearest.slot, upper, &mut walk.seen, &mut front);
                self.vectors.walk(query, &front, &mut walk.costs);
                let found = walk.costs.iter().zip(&front.slots);
                let found = found.map(|(&cost, &slot)| Candidate { cost, slot });
                match found
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

    /// The beam search of the paper (Algorithm 2) on one level. The beam keeps the
    /// `width` nearest that were found; the `ef` nearest of them have been expanded.
    ///
    /// Memory is what a walk waits for. So the next node is chosen and its neighbours' rows are
    /// asked for before those of the last one, which have had time to arrive, are looked at.
    pub(crate) fn walk_level(
        &self,
        query: &Query,
        starts: &[Candidate],
        level: usize,
        (width, ef): (usize, usize),
        walk: &mut Walk,
    ) {
        walk.seen.start(self.slots());
        walk.beam.start(width, ef);
        for start in starts {
            if walk.seen.insert(start.slot) {
                walk.beam.insert(*start);
            }
        }
        let mut front = Front::new(self.params.cap(level));
        let mut next = Front::new(self.params.cap(level));
        loop {
            let nearest = walk.beam.pop();
            if let Some(nearest) = nearest {
                self.unseen(nearest.slot, level, &mut walk.seen, &mut next);
            } else if front.slots.is_empty() {
                return;
            } else {
                // Likely the end; the nearest will be looked at more closely then.
                let nearest = walk.beam.sorted().take(AHEAD);
                nearest.for_each(|found| self.vectors.prefetch_refined(found.slot));
            }
            self.vectors.walk(query, &front, &mut walk.costs);
            walk.beam.insert_all(&walk.costs, &front.slots);
            if level == 0 {
                walk.beam
                    .waiting(2)
                    .for_each(|next| self.links.prefetch(next.slot));
            }
            front.clear();
            std::mem::swap(&mut front, &mut next);
        }
    }

    /// A walk over level 0 that keeps the `ef` nearest of those the filter lets through, and goes on
    /// through the others until none of them can lead to a nearer one. It goes by int8 codes: far
    /// from the query, where a filter may lead, costs lie too close for packed ones.
    ///
    /// Gives how many it has expanded that the filter keeps back, all nearer than what it found last.
    /// It gives up, with `None`, as soon as looking at all that the filter lets through is less
    /// than what lies ahead, by the share of those met so far that came through, or surer.
    pub(crate) fn walk_filtered(
        &self,
        query: &Query,
        start: Candidate,
        ef: usize,
        filter: &SlotSet,
        walk: &mut Walk,
    ) -> Option<usize> {
        let mut kept_back = 0;
        let mut met = Met::new(filter.len(), self.len(), WALK_STEP * ef);
        walk.seen.start(self.slots());
        walk.beam.start(ef, 0);
        walk.seen.insert(start.slot);
        let mut frontier = BinaryHeap::new();
        let mut found = self.refine(query, std::iter::once(start.slot));
        loop {
            met.all += found.len();
            for candidate in found {
                let passes = filter.contains(Slot(candidate.slot));
                met.passed += usize::from(passes);
                if walk.beam.admits(candidate) {
                    frontier.push(Reverse(candidate));
                    if passes {
                        walk.beam.insert(candidate);
                    }
                }
            }
            let Some(Reverse(nearest)) = frontier.pop() else {
                return Some(kept_back);
            };
            if !walk.beam.admits(nearest) {
                return Some(kept_back);
            }
            if met.scan_is_cheaper() {
                return None;
            }
            kept_back += usize::from(!filter.contains(Slot(nearest.slot)));
            let links = self.links.get(nearest.slot, 0).iter().copied();
            let unseen = links.filter(|other| walk.seen.insert(*other));
            found = self.refine(query, unseen);
        }
    }

    /// The neighbours that were not seen before; their rows are on their way.
    fn unseen<'a>(&'a self, slot: u32, level: usize, seen: &mut Seen, front: &mut Front<'a>) {
        seen.insert_all(self.links.row(slot, level), &mut front.slots);
        self.vectors.await_walk(front);
    }

    /// Costs by int8 codes, in the order of the slots.
    pub(crate) fn refine(&self, query: &Query, slots: impl Iterator<Item = u32>) -> Vec<Candidate> {
        let slots: Vec<u32> = slots.collect();
        let ahead = |at: usize| {
            if let Some(slot) = slots.get(at) {
                self.vectors.prefetch_refined(*slot);
            }
        };
        (0..AHEAD).for_each(ahead);
        let costs = slots.iter().enumerate().map(|(at, slot)| {
            ahead(at + AHEAD);
            Candidate {
                cost: self.vectors.refined(query, *slot),
                slot: *slot,
            }
        });
        costs.collect()
    }

    /// Whether a search may answer with a slot.
    pub(crate) fn is_shown(&self, slot: u32) -> bool {
        self.levels[slot as usize] != FREE && !self.hidden.contains(Slot(slot))
    }
}

/// What a walk with a filter has met so far.
struct Met {
    /// Points that the filter lets through, of all there are.
    allowed: usize,
    live: usize,
    /// Points that a walk looks at which meets no others.
    enough: usize,
    all: usize,
    passed: usize,
}

impl Met {
    fn new(allowed: usize, live: usize, enough: usize) -> Self {
        Self {
            allowed: allowed.min(live),
            live,
            enough,
            all: 0,
            passed: 0,
        }
    }

    /// A walk has to meet `enough` that come through. The first [`PRIOR`] points tell little about how
    /// many will: the share of the whole collection counts as if it had been met in as many. However
    /// the estimate turns out, a walk and a scan after it are no more than twice the scan.
    ///
    /// One that has met [`LED_AWAY`] times what it would under a filter that has nothing to do with
    /// the query looks for what lies behind all that the filter keeps back. Links lead to the near,
    /// seldom there: such a walk is long and yet misses much.
    fn scan_is_cheaper(&self) -> bool {
        if self.all < PRIOR {
            return false;
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let [allowed, live, enough, all, passed] =
            [self.allowed, self.live, self.enough, self.all, self.passed].map(|n| n as f64);
        let prior = PRIOR as f64;
        let share = (passed + prior * allowed / live) / (all + prior);
        let led_away = all > LED_AWAY * enough * live / allowed;
        led_away || all > allowed || enough / share > all + allowed
    }
}

/// How many times what is to be expected a walk with a filter may meet before it is given up.
const LED_AWAY: f64 = 4.0;
/// Points that a walk with a filter meets before it may be given up.
const PRIOR: usize = 256;
/// Rows that are on their way while one is looked at.
const AHEAD: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::params::{Metric, Params};
    use crate::scratch::Space;

    fn normal(seed: &mut u64) -> f32 {
        let mut unit = || {
            *seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (*seed >> 40) as f32 / 16_777_216.0
        };
        let sum: f32 = (0..12).map(|_| unit()).sum();
        sum - 6.0
    }

    #[test]
    fn a_walk_with_a_filter_is_given_up_when_a_scan_is_less_or_it_is_led_away() {
        let cheaper = |allowed: usize, (all, passed): (usize, usize)| {
            let mut met = Met::new(allowed, 100_000, 1_280);
            (met.all, met.passed) = (all, passed);
            met.scan_is_cheaper()
        };
        assert!(!cheaper(3_000, (100, 0)), "too few were met to tell");
        assert!(cheaper(3_000, (300, 9)), "43,000 lie ahead");
        assert!(
            !cheaper(3_000, (300, 290)),
            "those about the query come through"
        );
        assert!(
            !cheaper(90_000, (2_000, 1_700)),
            "little more than expected"
        );
        assert!(cheaper(90_000, (6_000, 4_000)), "1,422 were to be expected");
        assert!(
            !cheaper(30_000, (6_000, 2_000)),
            "4,267 were to be expected"
        );
    }

    /// The test doppel's ancestor had. Independent directions have no structure that a graph could
    /// use, so the beam is wide; a search would look at all points instead, which is why the walk is
    /// called here without it.
    #[test]
    fn ten_thousand_random_unit_vectors_are_answered_by_the_graph_as_by_a_linear_scan() {
        let mut seed = 300;
        let mut vector = || (0..300).map(|_| normal(&mut seed)).collect::<Vec<f32>>();
        let params = Params {
            m: 24,
            ..Params::new(300, Metric::Cosine)
        };
        let mut index = Index::new(params).unwrap();
        let vectors: Vec<Vec<f32>> = (0..10_000).map(|_| vector()).collect();
        let mut number = 0u64;
        let mut rest = vectors.as_slice();
        while !rest.is_empty() {
            let (batch, after) = rest.split_at((index.len() / 64).clamp(1, 64).min(rest.len()));
            let seeds = (number..).map(|n| n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let points: Vec<_> = seeds.zip(batch.iter().map(Vec::as_slice)).collect();
            index.insert_batch(&points, 2).unwrap();
            number += batch.len() as u64;
            rest = after;
        }
        for _ in 0..100 {
            let asked = vector();
            let truth = index.scan(&[&asked], 5, None, &index.counts).unwrap();
            let walked = index.spaces.with(|Space { query, walk }| {
                index.prepare_into(&asked, &mut query.row).unwrap();
                index.vectors.ask(query);
                index.walk_from_the_top(query, (5_000, 5), walk);
                index.hits(&index.best(query, walk, 5))
            });
            assert_eq!(walked, truth[0]);
        }
    }
}
