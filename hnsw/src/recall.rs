//! What was worked out for a batch, as bytes: the neighbours of its points and the lists that they were
//! linked from. Whoever brings the same batch into the same graph again takes it from there, without a
//! search.
//!
//! Point by point, level by level from 0: a count (`u8`) and that many slots (`u32`, little-endian), and
//! at the end of each point its nearest likewise. Then list by list, in the order in which they are
//! thinned: a count and that many places (`u8`) among what was in the list and what was to be added, or
//! [`ALL`] for all of them. Lists that are too long for that, with M of some 100 and more, are not remembered.

use crate::check::first_twice;
use crate::index::{FREE, Index};
use crate::insert::{Batch, NEAR, Plan};

/// Instead of a count: the whole list as it was, and what was to be added.
const ALL: u8 = u8::MAX;

impl Index {
    /// What was worked out for a batch that is ready to be committed; nothing where a list is too long for it.
    pub fn remember(&self, batch: &Batch) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        for plan in &batch.plans {
            for slots in plan.neighbours.iter().chain([&plan.near]) {
                out.push(u8::try_from(slots.len()).ok()?);
                out.extend(slots.iter().flat_map(|slot| slot.to_le_bytes()));
            }
        }
        for (wanted, thinned) in batch.lists.iter().zip(&batch.thinned) {
            let whole = self.whole_list(batch, wanted);
            if *thinned == whole {
                out.push(ALL);
                continue;
            }
            out.push(u8::try_from(thinned.len()).ok()?);
            for slot in thinned {
                let place = whole.iter().position(|other| other == slot)?;
                out.push(u8::try_from(place).ok()?);
            }
        }
        Some(out)
    }

    /// Takes what was worked out for the same batch before; `false` where it cannot have been for this one,
    /// which is then to be worked out.
    pub fn recall(&self, batch: &mut Batch, bytes: &[u8]) -> bool {
        let mut input = Input(bytes);
        let recalled = self.recalled(batch, &mut input);
        if recalled.is_none() || !input.0.is_empty() {
            batch.forget();
            return false;
        }
        true
    }

    fn recalled(&self, batch: &mut Batch, input: &mut Input<'_>) -> Option<()> {
        let mut plans = Vec::with_capacity(batch.slots.len());
        for (own, level) in batch.slots.iter().zip(&batch.levels) {
            let mut neighbours = Vec::with_capacity(usize::from(*level) + 1);
            for at in 0..=usize::from(*level) {
                let slots = input.slots(self.params.cap(at))?;
                let is_there = |slot: &u32| *slot != own.0 && self.reaches(batch, *slot, at);
                if !slots.iter().all(is_there) || first_twice(&slots).is_some() {
                    return None;
                }
                neighbours.push(slots);
            }
            let near = input.slots(NEAR)?;
            if !near.iter().all(|slot| self.reaches(batch, *slot, 0)) {
                return None;
            }
            plans.push(Plan { neighbours, near });
        }
        batch.set_plans(plans);
        let mut thinned = Vec::with_capacity(batch.lists.len());
        for wanted in &batch.lists {
            let whole = self.whole_list(batch, wanted);
            let cap = self.params.cap(wanted.level);
            let list = match input.byte()? {
                ALL => whole.clone(),
                count => {
                    let places = input.take(usize::from(count))?;
                    let slot = |place: &u8| whole.get(usize::from(*place)).copied();
                    places.iter().map(slot).collect::<Option<Vec<_>>>()?
                }
            };
            let anchored = |slot: &&u32| wanted.level == 0 && self.is_anchored(wanted.of, **slot);
            let mut anchored = whole.iter().filter(anchored);
            if list.len() > cap
                || first_twice(&list).is_some()
                || anchored.any(|it| !list.contains(it))
            {
                return None;
            }
            thinned.push(list);
        }
        batch.set_thinned(thinned);
        Some(())
    }

    /// Whether a slot is a point of this level, or will be with the batch.
    fn reaches(&self, batch: &Batch, slot: u32, at: usize) -> bool {
        let there = self.levels.get(slot as usize).copied();
        let there = there.filter(|level| *level != FREE);
        let level = there.or_else(|| batch.level_of(slot));
        level.is_some_and(|level| usize::from(level) >= at)
    }
}

struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1).map(|bytes| bytes[0])
    }

    fn slots(&mut self, at_most: usize) -> Option<Vec<u32>> {
        let count = usize::from(self.byte()?);
        let (slots, _) = self.take(count * 4)?.as_chunks::<4>();
        let slots = slots.iter().map(|bytes| u32::from_le_bytes(*bytes));
        (count <= at_most).then(|| slots.collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Metric, Params, Prepared, Quantization};

    /// Points of two numbers, far from each other, in no order.
    fn vectors(count: u16) -> Vec<Vec<f32>> {
        let number = |of: u16| f32::from(of.wrapping_mul(40_503) >> 4);
        (1..=count)
            .map(|of| vec![number(of), number(of ^ 0x55)])
            .collect()
    }

    fn seeds(count: u64) -> impl Iterator<Item = u64> {
        (1..=count).map(|of| of.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// An index with few links a point, and a batch that is worked out and not committed.
    fn with_a_batch() -> (Index, Batch) {
        let params = Params {
            m: 2,
            ef_construct: 16,
            quantization: Quantization::None,
            ..Params::new(2, Metric::Euclid)
        };
        let mut index = Index::new(params).unwrap();
        let all = vectors(240);
        let (there, new) = all.split_at(200);
        for (seed, vector) in seeds(200).zip(there) {
            index.insert(seed, vector).unwrap();
        }
        let new: Vec<Prepared> = new.iter().map(|it| index.encode(it).unwrap()).collect();
        let seeds: Vec<u64> = seeds(40).collect();
        let mut batch = index.stage(&seeds, &new).unwrap();
        batch.set_plans(index.plan(&batch, 0..40));
        batch.set_thinned(index.thin(&batch, 0..batch.lists()));
        (index, batch)
    }

    /// A link that is thinned away is what thinning is for; one of an anchor keeps its point from getting lost.
    #[test]
    fn a_plan_without_an_anchors_link_is_refused_and_one_without_another_is_not() {
        let (mut index, mut batch) = with_a_batch();
        let whole = index.remember(&batch).unwrap();
        let worked_out = batch.thinned.clone();
        let (mut anchored, mut loose) = (0, 0);
        for (at, list) in worked_out.iter().enumerate() {
            let (of, level) = (batch.lists[at].of, batch.lists[at].level);
            for slot in list {
                let mut bent = worked_out.clone();
                bent[at].retain(|other| other != slot);
                batch.set_thinned(bent);
                let bytes = index.remember(&batch).unwrap();
                batch.forget();
                let is_anchored = level == 0 && index.is_anchored(of, *slot);
                assert_eq!(
                    index.recall(&mut batch, &bytes),
                    !is_anchored,
                    "{of} {slot}"
                );
                anchored += usize::from(is_anchored);
                loose += usize::from(!is_anchored);
                batch.forget();
                assert!(index.recall(&mut batch, &whole));
            }
        }
        assert!(anchored > 5 && loose > 5, "{anchored}, {loose}");
        while !index.commit(&mut batch, usize::MAX) {}
        assert_eq!(index.check(), Ok(()));
    }
}
