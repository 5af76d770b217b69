//! Removing: the point's links go, its neighbours mend the hole among themselves, and its slot and
//! its vector are wiped.

use crate::beam::Candidate;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::params::Slot;
use crate::select::Chosen;

impl Index {
    /// Removes a point; its slot may be given again.
    pub fn remove(&mut self, slot: Slot) -> Result<(), Error> {
        if !self.is_live(slot) {
            return Err(Error::NoSuchSlot(slot.0));
        }
        let slot = slot.0;
        // First, because it alone can fail.
        self.wipe(slot)?;
        let level = usize::from(self.levels[slot as usize]);
        let outgoing = self.links.get(slot, 0).to_vec();
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
        self.unlink_all(slot, 0, &outgoing);
        for at in 1..=level {
            let outgoing = self.links.get(slot, at).to_vec();
            self.relink(slot, at, &[]);
            self.unlink_all(slot, at, &outgoing);
        }
        self.levels[slot as usize] = FREE;
        self.links.reset(slot, 0);
        self.incoming.clear(slot);
        self.hidden.remove(Slot(slot));
        self.free.push(slot);
        if self.entry == slot {
            self.entry = self.highest();
        }
        let near = |orphan: &u32| {
            let mut near: Vec<u32> = self.incoming.get(*orphan, 0).to_vec();
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
        let mut chosen = Chosen::with(&self.vectors, list);
        // One is offered after the other until one has been taken.
        let _ = new.iter().any(|candidate| chosen.offer(candidate));
        let list = chosen.into_slots();
        self.relink(from, level, &list);
    }

    /// Does so for whoever points at the removed.
    fn unlink_all(&mut self, gone: u32, level: usize, candidates: &[u32]) {
        let mut incoming = self.incoming.get(gone, level).to_vec();
        incoming.sort_unstable();
        for from in incoming {
            self.unlink(from, gone, level, candidates);
        }
    }

    /// Leaves nothing of the vector behind.
    fn wipe(&mut self, slot: u32) -> Result<(), Error> {
        let nothing = vec![0.0; self.params.dim];
        let codes = self.vectors.encode(&nothing);
        let wiped = self.vectors.set(slot, &nothing, codes.as_ref());
        wiped.map_err(Error::Scratch)
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
