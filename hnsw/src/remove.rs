//! Removing: the point's links go, its neighbours mend the hole among themselves, and its slot and
//! its vector are wiped.

use crate::beam::Candidate;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::params::Slot;
use crate::select::is_diverse;

impl Index {
    /// Removes a point; its slot may be given again.
    pub fn remove(&mut self, slot: Slot) -> Result<(), Error> {
        if !self.is_live(slot) {
            return Err(Error::NoSuchSlot(slot.0));
        }
        let slot = slot.0;
        let level = usize::from(self.levels[slot as usize]);
        let outgoing = self.links.get(slot, 0).to_vec();
        let mut incoming = self.incoming[slot as usize].clone();
        incoming.sort_unstable();
        let orphans: Vec<u32> = outgoing
            .iter()
            .copied()
            .filter(|other| self.anchors[*other as usize] == slot)
            .collect();
        self.by_birth.remove(&(self.births[slot as usize], slot));
        self.relink(slot, 0, &[]);
        self.anchors[slot as usize] = NONE;
        for orphan in &orphans {
            self.anchors[*orphan as usize] = NONE;
        }
        for from in &incoming {
            self.unlink(*from, slot, 0, &outgoing);
        }
        if level > 0 {
            self.remove_above(slot, level);
        }
        self.levels[slot as usize] = FREE;
        self.links.reset(slot, 0);
        self.vectors.set(slot, &vec![0.0; self.params.dim]);
        self.free.push(slot);
        if self.entry == slot {
            self.entry = self.highest();
        }
        let near = |orphan: &u32| {
            let mut near: Vec<u32> = self.incoming[*orphan as usize].clone();
            near.sort_unstable();
            near.extend_from_slice(self.links.get(*orphan, 0));
            near.extend_from_slice(&outgoing);
            near.retain(|other| other != orphan);
            (*orphan, near)
        };
        let orphans = orphans.iter().map(near).collect();
        self.anchor_all(orphans);
        Ok(())
    }

    /// Drops the link to a removed point and fills the hole with the nearest of that point's
    /// neighbours that goes another way than the links there are.
    fn unlink(&mut self, from: u32, gone: u32, level: usize, candidates: &[u32]) {
        let mut list = self.links.get(from, level).to_vec();
        list.retain(|other| *other != gone);
        let new = candidates
            .iter()
            .filter(|other| **other != from && !list.contains(other));
        let mut new: Vec<Candidate> = new
            .map(|slot| Candidate {
                cost: self.vectors.between(from, *slot),
                slot: *slot,
            })
            .collect();
        new.sort_unstable_by(Candidate::order);
        if let Some(best) = new
            .iter()
            .find(|candidate| is_diverse(&self.vectors, candidate, &list))
        {
            list.push(best.slot);
        }
        self.relink(from, level, &list);
    }

    /// Upper levels are few: whoever points at the removed is found by looking at all.
    fn remove_above(&mut self, slot: u32, level: usize) {
        for at in 1..=level {
            let outgoing = self.links.get(slot, at).to_vec();
            let uppers: Vec<u32> = self
                .links
                .uppers()
                .filter(|(_, top)| *top >= at)
                .map(|(other, _)| other)
                .collect();
            for other in uppers {
                if other != slot && self.links.get(other, at).contains(&slot) {
                    self.unlink(other, slot, at, &outgoing);
                }
            }
        }
    }

    /// A live point of the highest level, the lowest slot among them.
    fn highest(&self) -> u32 {
        let live = (0u32..)
            .zip(&self.levels)
            .filter(|(_, level)| **level != FREE);
        live.max_by_key(|(slot, level)| (**level, std::cmp::Reverse(*slot)))
            .map_or(NONE, |(slot, _)| slot)
    }
}
