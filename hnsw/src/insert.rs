//! Inserting a batch, in steps, so that searches are kept out only while rows are copied: *encode*
//! and *stage* bring the vectors in, *plan* searches neighbours for each new point on the graph as
//! it stood, *thin* works out the lists of all points that the new ones want to be linked from,
//! and *commit* copies the lists in.
//!
//! Encoding, planning and thinning only read, and each part is a pure function of the graph and of
//! the batch: they may be done on any number of threads and give the same graph, bit for bit.

use std::ops::Range;

use crate::beam::Candidate;
use crate::codes::Encoded;
use crate::error::Error;
use crate::index::{FREE, Index, NONE};
use crate::level::level;
use crate::limits::{CENTRE_LENS, MAX_SLOTS};
use crate::params::Slot;
use crate::parts::in_parts;
use crate::scratch::Space;
use crate::select::{Chosen, diverse};

/// A vector in the forms it is stored in.
pub struct Prepared {
    vector: Vec<f32>,
    codes: Option<Encoded>,
}

/// A batch on its way in.
pub struct Batch {
    pub(crate) slots: Vec<Slot>,
    pub(crate) levels: Vec<u8>,
    pub(crate) plans: Vec<Plan>,
    pub(crate) lists: Vec<Wanted>,
    pub(crate) thinned: Vec<Vec<u32>>,
    /// Steps of the commit that have been taken.
    done: usize,
}

/// Where one new point belongs.
pub struct Plan {
    /// Chosen neighbours by level.
    pub(crate) neighbours: Vec<Vec<u32>>,
    /// Candidates of level 0, nearest first.
    pub(crate) near: Vec<u32>,
}

/// A list that new points want to be in.
pub(crate) struct Wanted {
    pub(crate) level: usize,
    pub(crate) of: u32,
    by: Vec<u32>,
}

/// Candidates that are kept beside the chosen ones.
pub(crate) const NEAR: usize = 32;

impl Batch {
    /// The slots the points got, in the order they were given.
    pub fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// How many lists there are to be thinned; known once the plans are there.
    pub fn lists(&self) -> usize {
        self.lists.len()
    }

    /// Takes the plans of all points, in their order.
    pub fn set_plans(&mut self, plans: Vec<Plan>) {
        let mut wanted: Vec<(usize, u32, u32)> = Vec::new();
        for (slot, plan) in self.slots.iter().zip(&plans) {
            for (level, list) in plan.neighbours.iter().enumerate() {
                wanted.extend(list.iter().map(|of| (level, *of, slot.0)));
            }
        }
        // Stable: among those who want into one list the order of the batch remains.
        wanted.sort_by_key(|(level, of, _)| (*level, *of));
        for (level, of, by) in wanted {
            match self.lists.last_mut() {
                Some(last) if (last.level, last.of) == (level, of) => last.by.push(by),
                _ => self.lists.push(Wanted {
                    level,
                    of,
                    by: vec![by],
                }),
            }
        }
        self.plans = plans;
    }

    /// Takes the thinned lists, in their order.
    pub fn set_thinned(&mut self, thinned: Vec<Vec<u32>>) {
        self.thinned = thinned;
    }

    /// Has it be as it was when it was staged.
    pub(crate) fn forget(&mut self) {
        self.plans.clear();
        self.lists.clear();
        self.thinned.clear();
    }

    fn position(&self, slot: u32) -> Option<usize> {
        self.slots.iter().position(|other| other.0 == slot)
    }

    /// The level that one of its points will have.
    pub(crate) fn level_of(&self, slot: u32) -> Option<u8> {
        self.position(slot).map(|position| self.levels[position])
    }
}

impl Index {
    /// Inserts one point; `seed` is a well-mixed hash of its id.
    pub fn insert(&mut self, seed: u64, vector: &[f32]) -> Result<Slot, Error> {
        let slots = self.insert_batch(&[(seed, vector)], 1)?;
        slots.first().copied().ok_or(Error::Full)
    }

    /// Inserts points in one batch on so many threads. Seeds are well-mixed hashes of their ids.
    pub fn insert_batch(
        &mut self,
        points: &[(u64, &[f32])],
        threads: usize,
    ) -> Result<Vec<Slot>, Error> {
        // A refusal must not even leave a new centre behind.
        let mut refusable = Vec::new();
        points
            .iter()
            .try_for_each(|(_, vector)| self.prepare_into(vector, &mut refusable))?;
        self.centre()?;
        let prepared = in_parts(threads, points.len(), |part| {
            let vectors = points[part].iter();
            vectors.map(|(_, vector)| self.encode(vector)).collect()
        });
        let prepared = prepared.into_iter().collect::<Result<Vec<_>, _>>()?;
        let seeds: Vec<u64> = points.iter().map(|(seed, _)| *seed).collect();
        let mut batch = self.stage(&seeds, &prepared)?;
        let plans = in_parts(threads, points.len(), |part| self.plan(&batch, part));
        batch.set_plans(plans);
        let thinned = in_parts(threads, batch.lists(), |part| self.thin(&batch, part));
        batch.set_thinned(thinned);
        while !self.commit(&mut batch, usize::MAX) {}
        batch.slots.iter().for_each(|slot| self.show(*slot));
        Ok(batch.slots)
    }

    /// Has codes measured from the middle of the points: what all vectors have in common then costs
    /// no precision. Does so a few times while the index is young, and nothing at any other time.
    pub fn centre(&mut self) -> Result<(), Error> {
        let due = CENTRE_LENS.iter().take_while(|len| self.len() >= **len);
        let due = u8::try_from(due.count()).unwrap_or(u8::MAX);
        if due <= self.centred || self.vectors.centre().is_none() {
            return Ok(());
        }
        let mut sums = vec![0f64; self.params.dim];
        for (_, slot) in &self.by_birth {
            let row = self.vectors.row(*slot).iter();
            row.zip(&mut sums)
                .for_each(|(x, sum)| *sum += f64::from(*x));
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_precision_loss,
            reason = "a mean of numbers that fit"
        )]
        let centre: Vec<f32> = sums
            .iter()
            .map(|sum| (sum / self.len() as f64) as f32)
            .collect();
        self.vectors.set_centre(&centre);
        self.centred = due;
        let mut slots = (0u32..).take(self.slots());
        let recoded = slots.try_for_each(|slot| self.vectors.recode(slot));
        recoded.map_err(Error::Scratch)
    }

    /// Checks a vector and computes what is stored of it.
    pub fn encode(&self, vector: &[f32]) -> Result<Prepared, Error> {
        let vector = self.prepare(vector)?;
        let codes = self.vectors.encode(&vector);
        Ok(Prepared { vector, codes })
    }

    /// Gives slots to vectors and copies them in; no search can find them yet.
    pub fn stage(&mut self, seeds: &[u64], vectors: &[Prepared]) -> Result<Batch, Error> {
        let fresh = vectors.len().saturating_sub(self.free.len());
        if self.slots() + fresh > MAX_SLOTS {
            return Err(Error::Full);
        }
        if let Some(last) = (self.slots() + fresh).checked_sub(1) {
            let last = u32::try_from(last).map_err(|_| Error::Full)?;
            self.vectors.reserve(last).map_err(Error::Scratch)?;
        }
        let mut batch = Batch {
            slots: Vec::with_capacity(vectors.len()),
            levels: Vec::with_capacity(vectors.len()),
            plans: Vec::new(),
            lists: Vec::new(),
            thinned: Vec::new(),
            done: 0,
        };
        for (seed, prepared) in seeds.iter().zip(vectors) {
            let slot = self.take_slot();
            let set = self
                .vectors
                .set(slot, &prepared.vector, prepared.codes.as_ref());
            if let Err(error) = set {
                let given: Vec<u32> = batch.slots.iter().map(|slot| slot.0).collect();
                given.iter().for_each(|slot| self.show(Slot(*slot)));
                self.free.extend(given.into_iter().chain([slot]));
                return Err(Error::Scratch(error));
            }
            self.anchors[slot as usize] = NONE;
            self.births[slot as usize] = self.next_birth;
            self.next_birth += 1;
            self.goes_on(*seed);
            self.hidden.insert(Slot(slot));
            batch.slots.push(Slot(slot));
            batch.levels.push(level(*seed, self.params.m));
        }
        Ok(batch)
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
        let slots = self.levels.len();
        self.incoming_mut().resize(slots);
        self.links.reset(slot, 0);
        slot
    }

    /// Finds the neighbours of some of a batch's points.
    pub fn plan(&self, batch: &Batch, part: Range<usize>) -> Vec<Plan> {
        part.map(|position| self.plan_one(batch, position))
            .collect()
    }

    fn plan_one(&self, batch: &Batch, position: usize) -> Plan {
        self.spaces.with(|Space { query, walk }| {
            let (slot, level) = (batch.slots[position].0, batch.levels[position]);
            self.vectors.ask_for(slot, query);
            let mut plan = Plan {
                neighbours: vec![Vec::new(); usize::from(level) + 1],
                near: Vec::new(),
            };
            let mut starts = Vec::new();
            if self.entry != NONE {
                starts.push(self.descend(query, usize::from(level), walk));
            }
            for at in (0..=usize::from(level)).rev() {
                let mut candidates = Vec::new();
                if self.top().is_some_and(|top| at <= top) {
                    let width = (self.params.ef_construct, self.params.ef_construct);
                    self.walk_level(query, &starts, at, width, walk);
                    starts = walk.beam.sorted().collect();
                    candidates = self.refine(query, starts.iter().map(|start| start.slot));
                }
                let earlier = batch.slots[..position].iter().zip(&batch.levels);
                let peers = earlier.filter(|(_, level)| usize::from(**level) >= at);
                candidates.extend(self.refine(query, peers.map(|(peer, _)| peer.0)));
                candidates.sort_unstable_by(Candidate::order);
                plan.neighbours[at] = diverse(&self.vectors, &candidates, self.params.chosen(at));
                if at == 0 {
                    let near = candidates.iter().take(NEAR);
                    plan.near = near.map(|candidate| candidate.slot).collect();
                }
            }
            plan
        })
    }

    /// Works out some of the lists that a batch's points want to be in.
    pub fn thin(&self, batch: &Batch, part: Range<usize>) -> Vec<Vec<u32>> {
        let lists = batch.lists[part].iter();
        lists.map(|wanted| self.with_new(batch, wanted)).collect()
    }

    /// A list with the new links in it; if they are too many it is thinned by the heuristic, but
    /// keeps its anchors.
    fn with_new(&self, batch: &Batch, wanted: &Wanted) -> Vec<u32> {
        let list = self.whole_list(batch, wanted);
        let cap = self.params.cap(wanted.level);
        if list.len() <= cap {
            return list;
        }
        let (kept, rest): (Vec<u32>, Vec<u32>) = list
            .iter()
            .partition(|other| wanted.level == 0 && self.is_anchored(wanted.of, **other));
        let cost = |slot| Candidate {
            cost: self.vectors.between(wanted.of, slot),
            slot,
        };
        let mut candidates: Vec<Candidate> = rest.into_iter().map(cost).collect();
        candidates.sort_unstable_by(Candidate::order);
        let mut chosen = Chosen::with(&self.vectors, kept);
        for candidate in candidates {
            if chosen.len() >= cap {
                break;
            }
            chosen.offer(&candidate);
        }
        chosen.into_slots()
    }

    /// A list as it is, or is planned, and all that want to be in it.
    pub(crate) fn whole_list(&self, batch: &Batch, wanted: &Wanted) -> Vec<u32> {
        let planned = batch.position(wanted.of).and_then(|position| {
            let plan = batch.plans.get(position)?;
            plan.neighbours.get(wanted.level).map(Vec::as_slice)
        });
        let list = planned.unwrap_or_else(|| self.links.get(wanted.of, wanted.level));
        let mut list = list.to_vec();
        list.extend(wanted.by.iter().copied());
        list
    }

    /// Takes so many steps of copying a batch in; `true` when all is done. New points get their own
    /// links first, then others are linked with them, then they get their anchors. Between two
    /// calls the graph may be searched, but not changed otherwise. Searches find a point once it
    /// is shown ([`Index::show`]).
    pub fn commit(&mut self, batch: &mut Batch, steps: usize) -> bool {
        let points = batch.slots.len();
        let lists = batch.lists.len();
        let all = 2 * points + lists;
        let until = batch.done.saturating_add(steps).min(all);
        for step in batch.done..until {
            if step < points {
                self.place(batch, step);
            } else if let Some(wanted) = batch.lists.get(step - points) {
                let list = std::mem::take(&mut batch.thinned[step - points]);
                self.relink(wanted.of, wanted.level, &list);
            } else {
                self.settle(batch, step - points - lists);
            }
        }
        batch.done = until;
        until == all
    }

    fn place(&mut self, batch: &Batch, position: usize) {
        let (slot, level) = (batch.slots[position].0, batch.levels[position]);
        self.links.reset(slot, level);
        self.levels[slot as usize] = level;
        self.by_birth.insert((self.births[slot as usize], slot));
        for (at, list) in batch.plans[position].neighbours.iter().enumerate() {
            self.relink(slot, at, list);
        }
    }

    fn settle(&mut self, batch: &Batch, position: usize) {
        let (slot, level) = (batch.slots[position].0, batch.levels[position]);
        self.anchor_new(slot, &batch.plans[position].near);
        if self.top().is_none_or(|top| usize::from(level) > top) {
            self.entry = slot;
        }
    }
}
