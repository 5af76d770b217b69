//! One collection in memory: its index and the two-way map between ids and slots.
//!
//! Only the applier changes a collection, record by record in the order of the log; readers share
//! it under a lock that a writer holds only while it copies rows. Everything done here is a pure
//! function of the log, so that the same log gives the same index, bit for bit.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use hnsw::{Batch, Frozen, Index, Prepared, Scratch, SearchOptions, Slot};
use parking_lot::RwLock;
use storage::{CollectionId, Lsn, PointId};

use crate::error::Error;
use crate::limits::{COMMIT_STEPS, INSERT_BATCH, INSERT_BATCH_FRACTION, PARALLEL_PLANS};
use crate::spec::CollectionSpec;

/// A named collection.
pub(crate) struct Collection {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    pub(crate) spec: CollectionSpec,
    state: RwLock<State>,
    /// The last record that changed it; a checkpoint keeps the old snapshot while this stands.
    changed: AtomicU64,
}

struct State {
    index: Index,
    slots: HashMap<PointId, Slot>,
    /// By slot; `None` for a free slot and for one whose point has been replaced just now.
    ids: Vec<Option<PointId>>,
}

/// A collection as it was at one LSN, cheap to take, to be written to a snapshot at leisure.
pub(crate) struct FrozenCollection {
    pub(crate) index: Frozen,
    pub(crate) ids: Vec<Option<PointId>>,
    pub(crate) changed: Lsn,
}

impl Collection {
    pub(crate) fn new(
        id: CollectionId,
        name: String,
        spec: CollectionSpec,
        scratch: &Scratch,
    ) -> Result<Self, Error> {
        let index = Index::with_scratch(spec.params(), spec.on_disk.then(|| scratch.clone()))
            .map_err(|e| Error::BadRequest(e.to_string()))?;
        Ok(Self::with_index(id, name, spec, index, Vec::new(), Lsn(0)))
    }

    pub(crate) fn with_index(
        id: CollectionId,
        name: String,
        spec: CollectionSpec,
        index: Index,
        ids: Vec<Option<PointId>>,
        changed: Lsn,
    ) -> Self {
        let slots = ids
            .iter()
            .zip(0u32..)
            .filter_map(|(id, slot)| Some(((*id)?, Slot(slot))))
            .collect();
        let state = RwLock::new(State { index, slots, ids });
        Self {
            id,
            name,
            spec,
            state,
            changed: AtomicU64::new(changed.0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().slots.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.state.read().index.memory_bytes()
    }

    pub(crate) fn contains(&self, id: &PointId) -> bool {
        self.state.read().slots.contains_key(id)
    }

    pub(crate) fn changed(&self) -> Lsn {
        Lsn(self.changed.load(Ordering::Acquire))
    }

    pub(crate) fn mark_changed(&self, lsn: Lsn) {
        self.changed.store(lsn.0, Ordering::Release);
    }

    /// A vector as it will be kept: of the right size, finite, normalised under cosine.
    pub(crate) fn prepare(&self, vector: &[f32]) -> Result<Vec<f32>, hnsw::Error> {
        self.state.read().index.prepare(vector)
    }

    /// The stored vectors of `ids`, in their order.
    pub(crate) fn vectors(&self, ids: &[PointId]) -> Vec<Option<Vec<f32>>> {
        let state = self.state.read();
        let vector = |id| {
            state
                .index
                .vector(*state.slots.get(id)?)
                .map(<[f32]>::to_vec)
        };
        ids.iter().map(vector).collect()
    }

    /// The `k` best points, best first.
    pub(crate) fn search(
        &self,
        query: &[f32],
        k: usize,
        ef: usize,
        exact: bool,
    ) -> Result<Vec<(PointId, f32)>, hnsw::Error> {
        let state = self.state.read();
        let options = SearchOptions {
            ef,
            exact,
            filter: None,
        };
        let hits = state.index.search(query, k, &options)?;
        let id = |slot: Slot| state.ids.get(slot.0 as usize).copied().flatten();
        Ok(hits
            .into_iter()
            .filter_map(|hit| Some((id(hit.slot)?, hit.score)))
            .collect())
    }

    /// Every id, in no order.
    pub(crate) fn ids(&self) -> Vec<PointId> {
        self.state.read().slots.keys().copied().collect()
    }

    /// Inserts or replaces points; each is searchable as soon as its batch is committed, and a
    /// replaced point is found in its old or its new place at every moment.
    pub(crate) fn apply_upsert(
        &self,
        lsn: Lsn,
        points: &[(PointId, Vec<f32>)],
    ) -> Result<(), hnsw::Error> {
        let mut rest = points;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(self.batch_len().min(rest.len()));
            self.apply_batch(batch)?;
            rest = after;
        }
        self.mark_changed(lsn);
        Ok(())
    }

    fn batch_len(&self) -> usize {
        (self.len() / INSERT_BATCH_FRACTION).clamp(1, INSERT_BATCH)
    }

    /// Searches are kept out while rows are copied, never while distances are computed.
    fn apply_batch(&self, points: &[(PointId, Vec<f32>)]) -> Result<(), hnsw::Error> {
        self.state.write().index.centre();
        let prepared = self.in_parts(points.len(), |index, part| {
            let vectors = points[part].iter();
            vectors.map(|(_, vector)| index.encode(vector)).collect()
        });
        let prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, _>>()?;
        let seeds: Vec<u64> = points.iter().map(|(id, _)| level_seed(id)).collect();
        let mut batch = self.state.write().index.stage(&seeds, &prepared)?;
        let plans = self.in_parts(points.len(), |index, part| index.plan(&batch, part));
        batch.set_plans(plans);
        let lists = self.in_parts(batch.lists(), |index, part| index.thin(&batch, part));
        batch.set_thinned(lists);
        while !self.state.write().index.commit(&mut batch, COMMIT_STEPS) {}
        for slot in self.name(points, &batch) {
            self.state.write().index.remove(slot)?;
        }
        Ok(())
    }

    /// Gives new points their ids in one step each, so that a search finds a replaced point in its
    /// old or its new place. Returns the old places.
    fn name(&self, points: &[(PointId, Vec<f32>)], batch: &Batch) -> Vec<Slot> {
        let mut replaced = Vec::new();
        for ((id, _), slot) in points.iter().zip(batch.slots()) {
            let mut state = self.state.write();
            state.index.show(*slot);
            if let Some(before) = state.name(*id, *slot) {
                state.index.hide(before);
                replaced.push(before);
            }
        }
        replaced
    }

    /// Has `0..count` worked on, on several threads when that pays. Each result is a pure function
    /// of the index, so threads change nothing but the time.
    fn in_parts<T: Send>(
        &self,
        count: usize,
        work: impl Fn(&Index, Range<usize>) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let threads = if count < PARALLEL_PLANS {
            1
        } else {
            hnsw::threads()
        };
        hnsw::in_parts(threads, count, |part| work(&self.state.read().index, part))
    }

    /// Removes points; ids that are not there are passed over.
    pub(crate) fn apply_delete(&self, lsn: Lsn, ids: &[PointId]) -> Result<(), hnsw::Error> {
        for id in ids {
            let mut state = self.state.write();
            if let Some(slot) = state.slots.remove(id) {
                state.unname(slot);
                state.index.remove(slot)?;
            }
        }
        self.mark_changed(lsn);
        Ok(())
    }

    /// The collection as it stands between two records; called by the applier alone.
    pub(crate) fn freeze(&self) -> FrozenCollection {
        let state = self.state.read();
        FrozenCollection {
            index: state.index.freeze(),
            ids: state.ids.clone(),
            changed: self.changed(),
        }
    }

    /// Every invariant of the graph, and of the map beside it.
    pub(crate) fn check(&self) -> Result<(), String> {
        let state = self.state.read();
        state
            .index
            .check()
            .map_err(|violations| format!("{violations:?}"))?;
        if state.index.len() != state.slots.len() {
            return Err(format!(
                "{} points in the graph, {} ids",
                state.index.len(),
                state.slots.len()
            ));
        }
        for (id, slot) in &state.slots {
            if state.ids.get(slot.0 as usize) != Some(&Some(*id)) || !state.index.is_live(*slot) {
                return Err(format!("point {id} and slot {} disagree", slot.0));
            }
        }
        Ok(())
    }
}

impl State {
    /// Gives a slot to an id; the slot the id had before, if any, loses its name.
    fn name(&mut self, id: PointId, slot: Slot) -> Option<Slot> {
        let at = slot.0 as usize;
        if self.ids.len() <= at {
            self.ids.resize(at + 1, None);
        }
        self.ids[at] = Some(id);
        let before = self.slots.insert(id, slot);
        if let Some(before) = before {
            self.unname(before);
        }
        before
    }

    fn unname(&mut self, slot: Slot) {
        if let Some(id) = self.ids.get_mut(slot.0 as usize) {
            *id = None;
        }
    }
}

/// The graph level of a point is drawn from its id, so that every replay draws the same.
fn level_seed(id: &PointId) -> u64 {
    id.key().chunks(8).fold(0, |hash, piece| {
        let word = piece
            .iter()
            .fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        mix(hash ^ word)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
