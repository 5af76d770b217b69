//! Inserting, in three steps, so that a lock against searches need only be held for the first and
//! the last, which are short: `stage` copies rows in, `plan_one` does the search for neighbours on
//! the frozen graph (on any number of threads), `commit_one` links one point and makes it visible.

use crate::beam::Candidate;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::level::level;
use crate::params::Slot;
use crate::select::diverse;

/// Points whose rows are in, but which no search can find yet.
pub struct Staged {
    slots: Vec<Slot>,
    levels: Vec<u8>,
}

impl Staged {
    /// The slots they got, in the order they were given.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }
}

/// Where one staged point belongs.
pub struct Planned {
    slot: u32,
    level: u8,
    /// Chosen neighbours by level.
    neighbours: Vec<Vec<u32>>,
    /// All candidates of level 0, nearest first.
    candidates: Vec<Candidate>,
}

impl Index {
    /// Inserts one point; `seed` is a well-mixed hash of its id.
    pub fn insert(&mut self, seed: u64, vector: &[f32]) -> Result<Slot, Error> {
        let vector = self.prepare(vector)?;
        let staged = self.stage(&[(seed, &vector)])?;
        let planned = self.plan_one(&staged, 0);
        self.commit_one(planned);
        Ok(staged.slots[0])
    }

    /// Gives slots to prepared vectors and copies them in.
    pub fn stage(&mut self, items: &[(u64, &[f32])]) -> Result<Staged, Error> {
        if let Some((_, bad)) = items
            .iter()
            .find(|(_, vector)| vector.len() != self.params.dim)
        {
            return Err(Error::Dimension {
                expected: self.params.dim,
                got: bad.len(),
            });
        }
        let fresh = items.len().saturating_sub(self.free.len());
        if self.slots() + fresh >= NONE as usize {
            return Err(Error::Full);
        }
        let mut staged = Staged {
            slots: Vec::new(),
            levels: Vec::new(),
        };
        for (seed, vector) in items {
            let slot = self.take_slot();
            self.vectors.set(slot, vector);
            self.births[slot as usize] = self.next_birth;
            self.next_birth += 1;
            staged.slots.push(Slot(slot));
            staged.levels.push(level(*seed, self.params.m));
        }
        Ok(staged)
    }

    fn take_slot(&mut self) -> u32 {
        if let Some(slot) = self.free.pop() {
            return slot;
        }
        let slot =
            u32::try_from(self.levels.len()).expect("`stage` has checked that a slot is left");
        self.levels.push(FREE);
        self.births.push(0);
        self.anchors.push(NONE);
        self.incoming.push(Vec::new());
        self.links.reset(slot, 0);
        slot
    }

    /// Finds the neighbours of the staged point at `position`. A pure function of the graph and of
    /// the points staged before it.
    pub fn plan_one(&self, staged: &Staged, position: usize) -> Planned {
        let (slot, level) = (staged.slots[position].0, staged.levels[position]);
        let query = self.vectors.query_of(slot);
        let mut planned = Planned {
            slot,
            level,
            neighbours: vec![Vec::new(); usize::from(level) + 1],
            candidates: Vec::new(),
        };
        let mut starts = Vec::new();
        if self.entry != NONE {
            starts.push(self.descend(&query, usize::from(level)));
        }
        for at in (0..=usize::from(level)).rev() {
            let mut candidates = Vec::new();
            if self.top().is_some_and(|top| at <= top) {
                candidates = self.walk_level(&query, &starts, at, self.params.ef_construct);
                starts.clone_from(&candidates);
            }
            let earlier = staged.slots[..position].iter().zip(&staged.levels);
            let peers = earlier.filter(|(_, level)| usize::from(**level) >= at);
            candidates.extend(peers.map(|(peer, _)| Candidate {
                cost: self.vectors.walk(&query, peer.0),
                slot: peer.0,
            }));
            candidates.sort_unstable_by(Candidate::order);
            planned.neighbours[at] = diverse(&self.vectors, &candidates, self.params.m);
            if at == 0 {
                planned.candidates = candidates;
            }
        }
        planned
    }

    /// Links a planned point and makes it visible. Points of a batch are committed in their order.
    pub fn commit_one(&mut self, planned: Planned) {
        let Planned {
            slot,
            level,
            neighbours,
            candidates,
        } = planned;
        self.links.reset(slot, level);
        self.levels[slot as usize] = level;
        self.by_birth.insert((self.births[slot as usize], slot));
        for (at, list) in neighbours.iter().enumerate() {
            self.relink(slot, at, list);
            for other in list {
                self.link_back(*other, slot, at);
            }
        }
        self.anchor_new(slot, &candidates);
        if self.top().is_none_or(|top| usize::from(level) > top) {
            self.entry = slot;
        }
    }

    /// Adds the link `from -> to`; a full list is thinned by the heuristic, but keeps its anchors.
    fn link_back(&mut self, from: u32, to: u32, level: usize) {
        let mut list = self.links.get(from, level).to_vec();
        list.push(to);
        let cap = self.params.cap(level);
        if list.len() > cap {
            list = self.thinned(from, &list, level, cap);
        }
        self.relink(from, level, &list);
    }

    fn thinned(&self, from: u32, list: &[u32], level: usize, cap: usize) -> Vec<u32> {
        let (mut kept, rest): (Vec<u32>, Vec<u32>) = list
            .iter()
            .partition(|other| level == 0 && self.is_anchored(from, **other));
        let mut candidates: Vec<Candidate> = rest
            .into_iter()
            .map(|slot| Candidate {
                cost: self.vectors.between(from, slot),
                slot,
            })
            .collect();
        candidates.sort_unstable_by(Candidate::order);
        for candidate in candidates {
            if kept.len() == cap {
                break;
            }
            if crate::select::is_diverse(&self.vectors, &candidate, &kept) {
                kept.push(candidate.slot);
            }
        }
        kept
    }
}
