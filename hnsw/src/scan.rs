//! Looking at every point that comes into question: exact, and quicker than a walk where they are
//! few. Int8 codes say within which bounds a cost lies for certain (Cauchy & Schwarz), so that only
//! few `f32` rows are read.

use std::collections::BinaryHeap;

use crate::beam::Candidate;
use crate::effort::{Counts, Way};
use crate::error::Error;
use crate::filter::SlotSet;
use crate::index::Index;
use crate::params::Slot;
use crate::search::Hit;
use crate::vectors::Query;

/// A scan that is done in parts, so that nobody has to wait for all of it where points are many.
#[derive(Default)]
pub struct Scan {
    best: BinaryHeap<Candidate>,
    /// The slots before this one have been looked at.
    next: u32,
}

impl Index {
    /// Goes on with the exact answer to a query and looks at so many slots more. Returns the hits once
    /// all have been looked at. What comes and goes between two parts is seen or is not.
    ///
    /// # Errors
    /// The vector cannot be asked for.
    pub fn scan_on(
        &self,
        scan: &mut Scan,
        (vector, k): (&[f32], usize),
        slots: u32,
    ) -> Result<Option<Vec<Hit>>, Error> {
        // Anew for each part: what its codes are measured from may have changed.
        let query = self.asked(vector)?;
        let end = u32::try_from(self.slots()).unwrap_or(u32::MAX);
        let part = scan.next..scan.next.saturating_add(slots).min(end);
        scan.next = part.end.max(scan.next);
        part.filter(|slot| self.is_shown(*slot))
            .for_each(|slot| self.offer(&query, slot, k, &mut scan.best));
        let done = scan.next >= end;
        Ok(done.then(|| self.hits(&std::mem::take(&mut scan.best).into_sorted_vec())))
    }

    /// The exact answers to several queries; each point's row is read once for all of them.
    pub(crate) fn scan(
        &self,
        vectors: &[&[f32]],
        k: usize,
        filter: Option<&SlotSet>,
        counts: &Counts,
    ) -> Result<Vec<Vec<Hit>>, Error> {
        let queries = vectors.iter().map(|vector| self.asked(vector));
        let queries = queries.collect::<Result<Vec<_>, _>>()?;
        let mut best: Vec<BinaryHeap<Candidate>> =
            queries.iter().map(|_| BinaryHeap::new()).collect();
        let each = filter.map_or(self.len(), SlotSet::len);
        queries.iter().for_each(|_| counts.add(Way::Scan, each));
        self.for_each_shown(filter, |slot| {
            for (query, best) in queries.iter().zip(&mut best) {
                self.offer(query, slot, k, best);
            }
        });
        let sorted = best
            .into_iter()
            .map(|best| self.hits(&best.into_sorted_vec()));
        Ok(sorted.collect())
    }

    /// Puts a point among the best, if it is one of them.
    fn offer(&self, query: &Query, slot: u32, k: usize, best: &mut BinaryHeap<Candidate>) {
        let full = best.len() >= k;
        let worst = best.peek().filter(|_| full).map(|worst| worst.cost);
        let Some(cost) = self.exact_below(query, slot, worst) else {
            return;
        };
        let candidate = Candidate { cost, slot };
        if !full {
            best.push(candidate);
        } else if let Some(mut worst) = best.peek_mut()
            && candidate < *worst
        {
            *worst = candidate;
        }
    }

    /// Every point whose cost is at most this one, nearest first.
    pub(crate) fn scan_within(
        &self,
        vector: &[f32],
        cost: f32,
        filter: Option<&SlotSet>,
    ) -> Result<Vec<Candidate>, Error> {
        let query = self.asked(vector)?;
        let mut found = Vec::new();
        self.for_each_shown(filter, |slot| {
            if let Some(exact) = self.exact_below(&query, slot, Some(cost)) {
                found.push(Candidate { cost: exact, slot });
            }
        });
        found.sort_unstable_by(Candidate::order);
        Ok(found)
    }

    fn asked(&self, vector: &[f32]) -> Result<Query, Error> {
        let mut query = Query::default();
        self.prepare_into(vector, &mut query.row)?;
        self.vectors.ask(&mut query);
        Ok(query)
    }

    /// The exact cost, unless it is certainly above `worst`.
    fn exact_below(&self, query: &Query, slot: u32, worst: Option<f32>) -> Option<f32> {
        if let Some(worst) = worst {
            let refined = self.vectors.refined(query, slot);
            if refined - self.vectors.refined_margin(query, slot) > worst {
                return None;
            }
        }
        let exact = self.vectors.exact(query, slot);
        worst.is_none_or(|worst| exact <= worst).then_some(exact)
    }

    fn for_each_shown(&self, filter: Option<&SlotSet>, mut look: impl FnMut(u32)) {
        let slots = 0..u32::try_from(self.slots()).unwrap_or(u32::MAX);
        match filter {
            None => slots.filter(|slot| self.is_shown(*slot)).for_each(look),
            Some(filter) => {
                let listed = filter.iter().map(|Slot(slot)| slot);
                listed
                    .take_while(|slot| slots.contains(slot))
                    .filter(|slot| self.is_shown(*slot))
                    .for_each(&mut look);
            }
        }
    }
}
