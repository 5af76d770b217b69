//! One collection in memory: its points by number, and an index for each of their vectors.
//!
//! Only the applier changes a collection, record by record in the order of the log (see `grow` for
//! how points come in); readers share it under a lock that a writer holds only while it copies
//! rows. Everything done here is a pure function of the log, so that the same log gives the same
//! numbers and the same indexes, bit for bit.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};

use hnsw::{Frozen, Index, Scratch, SearchOptions};
use parking_lot::RwLock;
use storage::{CollectionId, Lsn, PointId, VectorId};

use crate::error::Error;
use crate::numbers::Numbers;
use crate::space::Space;
use crate::spec::CollectionSpec;

/// A named collection.
pub(crate) struct Collection {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    pub(crate) spec: CollectionSpec,
    pub(crate) state: RwLock<State>,
    /// The last record that changed it; a checkpoint keeps the old snapshot while this stands.
    changed: AtomicU64,
}

/// What a collection holds. A point may have any of the vectors, or none.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) numbers: Numbers,
    pub(crate) spaces: BTreeMap<VectorId, Space>,
}

/// A collection as it was at one LSN, cheap to take, to be written to a snapshot at leisure.
pub(crate) struct FrozenCollection {
    /// By number; `None` for a free one.
    pub(crate) ids: Vec<Option<PointId>>,
    pub(crate) spaces: Vec<FrozenSpace>,
    pub(crate) changed: Lsn,
}

/// One vector of a frozen collection.
pub(crate) struct FrozenSpace {
    pub(crate) index: Frozen,
    /// The number of each slot's point.
    pub(crate) numbers: Vec<u32>,
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
        let state = State {
            numbers: Numbers::default(),
            spaces: BTreeMap::from([(VectorId::UNNAMED, Space::new(index))]),
        };
        Ok(Self::with_state(id, name, spec, state, Lsn(0)))
    }

    pub(crate) fn with_state(
        id: CollectionId,
        name: String,
        spec: CollectionSpec,
        state: State,
        changed: Lsn,
    ) -> Self {
        Self {
            id,
            name,
            spec,
            state: RwLock::new(state),
            changed: AtomicU64::new(changed.0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().numbers.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let state = self.state.read();
        let spaces = state.spaces.values();
        spaces.map(|space| space.index.memory_bytes()).sum()
    }

    pub(crate) fn contains(&self, id: &PointId) -> bool {
        self.state.read().numbers.number(id).is_some()
    }

    pub(crate) fn changed(&self) -> Lsn {
        Lsn(self.changed.load(Ordering::Acquire))
    }

    pub(crate) fn mark_changed(&self, lsn: Lsn) {
        self.changed.store(lsn.0, Ordering::Release);
    }

    /// A vector as it will be kept: of the right size, finite, normalised under cosine.
    pub(crate) fn prepare(&self, of: VectorId, vector: &[f32]) -> Result<Vec<f32>, Error> {
        let state = self.state.read();
        let prepared = state.space(of)?.index.prepare(vector);
        prepared.map_err(|error| Error::BadVector {
            what: error.to_string(),
        })
    }

    /// The stored vectors of `ids`, in their order.
    pub(crate) fn vectors(&self, of: VectorId, ids: &[PointId]) -> Vec<Option<Vec<f32>>> {
        let state = self.state.read();
        let vector = |id| {
            let slot = state.spaces.get(&of)?.slot(state.numbers.number(id)?)?;
            let space = state.spaces.get(&of)?;
            space.index.vector(slot).map(<[f32]>::to_vec)
        };
        ids.iter().map(vector).collect()
    }

    /// The `k` best points by one of their vectors, best first.
    pub(crate) fn search(
        &self,
        by: VectorId,
        query: &[f32],
        k: usize,
        ef: usize,
        exact: bool,
    ) -> Result<Vec<(PointId, f32)>, Error> {
        let state = self.state.read();
        let space = state.space(by)?;
        let options = SearchOptions {
            ef,
            exact,
            filter: None,
        };
        let hits = space.index.search(query, k, &options);
        let hits = hits.map_err(|error| Error::BadVector {
            what: error.to_string(),
        })?;
        let id = |slot| state.numbers.id(space.number(slot)?);
        Ok(hits
            .into_iter()
            .filter_map(|hit| Some((id(hit.slot)?, hit.score)))
            .collect())
    }

    /// Every id, in no order.
    pub(crate) fn ids(&self) -> Vec<PointId> {
        self.state.read().numbers.ids().copied().collect()
    }

    /// The collection as it stands between two records; called by the applier alone.
    pub(crate) fn freeze(&self) -> FrozenCollection {
        let state = self.state.read();
        let frozen = |space: &Space| FrozenSpace {
            index: space.index.freeze(),
            numbers: space.by_slot().to_vec(),
        };
        FrozenCollection {
            ids: state.numbers.by_number().to_vec(),
            spaces: state.spaces.values().map(frozen).collect(),
            changed: self.changed(),
        }
    }

    /// Every invariant of the graphs, and of the maps beside them.
    pub(crate) fn check(&self) -> Result<(), String> {
        let state = self.state.read();
        state.numbers.check()?;
        state
            .spaces
            .values()
            .try_for_each(|space| space.check(|number| state.numbers.id(number).is_some()))
    }
}

impl State {
    /// The index of one of the vectors.
    pub(crate) fn space(&self, of: VectorId) -> Result<&Space, Error> {
        self.spaces
            .get(&of)
            .ok_or_else(|| Error::BadRequest("the collection has no such vector any more".into()))
    }
}
