//! Removing: the point's links go, its neighbours mend the hole among themselves, and its slot and
//! its vector are wiped. As for an insert, what has to be computed is planned while searches go on,
//! and copied in in short steps.

use crate::beam::Candidate;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::params::Slot;
use crate::select::Chosen;

/// A point on its way out.
pub struct Removal {
    slot: u32,
    mended: Vec<Mended>,
    /// Steps that have been taken.
    done: usize,
}

/// A list without the link to the removed point.
struct Mended {
    level: usize,
    of: u32,
    list: Vec<u32>,
}

impl Index {
    /// Removes a point; its slot may be given again.
    pub fn remove(&mut self, slot: Slot) -> Result<(), Error> {
        let mut removal = self.plan_removal(slot)?;
        while !self.carry_out(&mut removal, usize::MAX)? {}
        Ok(())
    }

    /// Works out the lists of all that point at a point.
    pub fn plan_removal(&self, slot: Slot) -> Result<Removal, Error> {
        if !self.is_live(slot) {
            return Err(Error::NoSuchSlot(slot.0));
        }
        let mut mended = Vec::new();
        for level in 0..=usize::from(self.levels[slot.at()]) {
            let candidates = self.links.get(slot.0, level);
            // In any order, each list is mended by itself; the last is the first to be forgotten.
            let incoming = self.incoming().get(slot.0, level).iter().rev();
            mended.extend(incoming.map(|&of| Mended {
                level,
                of,
                list: self.mended(of, slot.0, level, candidates),
            }));
        }
        Ok(Removal {
            slot: slot.0,
            mended,
            done: 0,
        })
    }

    /// Takes so many steps of a removal; `true` when all is done. Between two calls the graph may be
    /// searched, but not changed otherwise; a point that shall not be found meanwhile must be hidden
    /// before.
    pub fn carry_out(&mut self, removal: &mut Removal, steps: usize) -> Result<bool, Error> {
        if removal.done == 0 {
            // First, because it alone can fail.
            self.vectors.own(removal.slot).map_err(Error::Scratch)?;
        }
        let all = removal.mended.len();
        let until = removal.done.saturating_add(steps).min(all);
        for Mended { level, of, list } in &removal.mended[removal.done..until] {
            self.relink(*of, *level, list);
        }
        removal.done = until;
        if until == all {
            self.take_out(removal.slot)?;
        }
        Ok(until == all)
    }

    /// Takes out a point that nobody points at any more.
    fn take_out(&mut self, slot: u32) -> Result<(), Error> {
        self.wipe(slot)?;
        let outgoing = self.links.get(slot, 0).to_vec();
        let orphans = outgoing.iter().copied();
        let orphans: Vec<u32> = orphans
            .filter(|other| self.anchors[*other as usize] == slot)
            .collect();
        self.by_birth.remove(&(self.births[slot as usize], slot));
        for at in 0..=usize::from(self.levels[slot as usize]) {
            self.relink(slot, at, &[]);
        }
        self.anchors[slot as usize] = NONE;
        for orphan in &orphans {
            self.anchors[*orphan as usize] = NONE;
        }
        self.levels[slot as usize] = FREE;
        self.links.reset(slot, 0);
        self.incoming_mut().clear(slot);
        self.hidden.remove(Slot(slot));
        self.free.push(slot);
        if self.entry == slot {
            self.entry = self.highest();
        }
        let near = |orphan: &u32| {
            let mut near: Vec<u32> = self.incoming().get(*orphan, 0).to_vec();
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

    /// A list without the link to a removed point, and in its place one to the nearest of that
    /// point's neighbours that goes another way than the links there are.
    fn mended(&self, of: u32, gone: u32, level: usize, candidates: &[u32]) -> Vec<u32> {
        let mut list = self.links.get(of, level).to_vec();
        list.retain(|other| *other != gone);
        let new = candidates
            .iter()
            .filter(|other| **other != of && !list.contains(other));
        let mut new: Vec<Candidate> = new
            .map(|slot| Candidate {
                cost: self.vectors.between(of, *slot),
                slot: *slot,
            })
            .collect();
        new.sort_unstable_by(Candidate::order);
        let mut chosen = Chosen::with(&self.vectors, list);
        // One is offered after the other until one has been taken.
        let _ = new.iter().any(|candidate| chosen.offer(candidate));
        chosen.into_slots()
    }

    /// Leaves nothing of the vector behind.
    fn wipe(&mut self, slot: u32) -> Result<(), Error> {
        let nothing = vec![0.0; self.params.dim];
        let codes = self.vectors.encode(&nothing);
        let wiped = self.vectors.set(slot, &nothing, codes.as_ref());
        self.goes_on(u64::from(slot));
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
