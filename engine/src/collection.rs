//! One collection in memory: its points by number, and an index for each of their vectors.
//!
//! Only the applier changes a collection, record by record in the order of the log (see `grow` for
//! how points come in); readers share it under a lock that a writer holds only while it copies
//! rows. Everything done here is a pure function of the log, so that the same log gives the same
//! numbers and the same indexes, bit for bit.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use hnsw::{Frozen, Index, Scratch};
use roaring::RoaringBitmap;
use storage::{CollectionId, Lsn, NamedVectors, PointId, VectorId};

use crate::brief::BriefLock;
use crate::error::Error;
use crate::numbers::Numbers;
use crate::payload::{IndexInfo, PayloadIndexes};
use crate::point::Which;
use crate::settings::{Settings, Vector, named};
use crate::space::Space;
use crate::spec::SHARDS;
use crate::sync::{AtomicU64, RwLock};
use crate::tune::Tunings;
use crate::vectors::Vectors;

/// A named collection.
pub(crate) struct Collection {
    pub(crate) id: CollectionId,
    pub(crate) name: String,
    /// Whether it holds no points, because they are in parts elsewhere (`SHARDS`). It is so for good.
    pub(crate) is_entry: bool,
    pub(crate) state: BriefLock<State>,
    /// Held by writers, together, until their record is in the log; and alone by one who decides
    /// by a filter what to write, so that nothing changes between the decision and its record.
    pub(crate) deciding: RwLock<()>,
    /// The last record that changed it; a checkpoint keeps the old snapshot while this stands.
    changed: AtomicU64,
    pub(crate) tunings: Tunings,
}

/// What a collection holds. A point may have any of the vectors, or none.
pub(crate) struct State {
    pub(crate) settings: Arc<Settings>,
    pub(crate) numbers: Numbers,
    /// One for each vector of the settings.
    pub(crate) spaces: BTreeMap<VectorId, Space>,
    pub(crate) payload: PayloadIndexes,
    /// Points that have a face. Others are not looked for in the table of faces, where a search
    /// would wait for whoever writes to the tables.
    pub(crate) faced: RoaringBitmap,
}

/// A collection as it was at one LSN, cheap to take, to be written to a snapshot at leisure.
pub(crate) struct FrozenCollection {
    pub(crate) settings: Arc<Settings>,
    /// By number; `None` for a free one.
    pub(crate) ids: Vec<Option<PointId>>,
    pub(crate) spaces: Vec<FrozenSpace>,
    pub(crate) changed: Lsn,
}

/// One vector of a frozen collection.
pub(crate) struct FrozenSpace {
    pub(crate) id: VectorId,
    pub(crate) index: Frozen,
    /// The number of each slot's point.
    pub(crate) numbers: Vec<u32>,
}

impl Collection {
    pub(crate) fn new(
        id: CollectionId,
        name: String,
        settings: Settings,
        scratch: &Scratch,
    ) -> Result<Self, Error> {
        let vectors = settings.vectors.iter();
        let spaces = vectors.map(|vector| Ok((vector.id, empty_space(vector, scratch)?)));
        let state = State {
            numbers: Numbers::default(),
            spaces: spaces.collect::<Result<_, Error>>()?,
            payload: PayloadIndexes::new(settings.indexes.clone()),
            faced: RoaringBitmap::new(),
            settings: Arc::new(settings),
        };
        Ok(Self::with_state(id, name, state, Lsn(0)))
    }

    pub(crate) fn with_state(id: CollectionId, name: String, state: State, changed: Lsn) -> Self {
        Self {
            id,
            name,
            is_entry: state.settings.metadata.contains_key(SHARDS),
            state: BriefLock::new(state),
            deciding: RwLock::new(()),
            changed: AtomicU64::new(changed.0),
            tunings: Tunings::default(),
        }
    }

    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.state.read().settings)
    }

    pub(crate) fn len(&self) -> usize {
        self.state.read().numbers.len()
    }

    /// Vectors of all points.
    pub(crate) fn vectors_len(&self) -> usize {
        let state = self.state.read();
        let seen = state.settings.seen();
        let spaces = seen.filter_map(|vector| state.spaces.get(&vector.id));
        spaces.map(|space| space.index.len()).sum()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        let state = self.state.read();
        let spaces = state.spaces.values();
        let indexes: usize = spaces.map(|space| space.index.memory_bytes()).sum();
        indexes + state.payload.memory_bytes()
    }

    /// Places of its indexes that points have left.
    pub(crate) fn free_slots(&self) -> usize {
        let state = self.state.read();
        let spaces = state.spaces.values();
        spaces.map(|it| it.index.slots() - it.index.len()).sum()
    }

    /// The keys of payloads that have an index. The lock is given back here: whoever holds it
    /// must not ask for it again, because a writer may wait in between.
    pub(crate) fn indexes(&self) -> Vec<IndexInfo> {
        self.state.read().payload.infos()
    }

    pub(crate) fn contains(&self, id: &PointId) -> bool {
        self.state.read().numbers.number(id).is_some()
    }

    /// Whether a point has a face; `None` if there is no such point.
    pub(crate) fn has_face(&self, id: &PointId) -> Option<bool> {
        let state = self.state.read();
        let number = state.numbers.number(id)?;
        Some(state.faced.contains(number.0))
    }

    pub(crate) fn changed(&self) -> Lsn {
        Lsn(self.changed.load(Ordering::Acquire))
    }

    pub(crate) fn mark_changed(&self, lsn: Lsn) {
        self.changed.store(lsn.0, Ordering::Release);
    }

    /// Vectors as they will be kept: of the right size, finite, normalised under cosine.
    pub(crate) fn prepare(&self, vectors: &Vectors) -> Result<NamedVectors, Error> {
        let state = self.state.read();
        let mut prepared = NamedVectors::with_capacity(vectors.len());
        for (name, vector) in vectors.iter() {
            let id = state.settings.by_name(name)?.id;
            if prepared.iter().any(|(known, _)| *known == id) {
                let what = "it is there twice".into();
                return Err(named(name, Error::BadVector { what }));
            }
            let vector = state.space(id)?.index.prepare(vector);
            let vector = vector.map_err(|error| {
                let what = error.to_string();
                named(name, Error::BadVector { what })
            })?;
            prepared.push((id, vector));
        }
        Ok(prepared)
    }

    /// The stored vectors of a point, by name; `None` if there is no such point.
    pub(crate) fn vectors(&self, of: &PointId, which: &Which) -> Option<Vectors> {
        let state = self.state.read();
        let number = state.numbers.number(of)?;
        let seen = state.settings.seen();
        let wanted = seen.filter(|vector| which.includes(&vector.name));
        let stored = wanted.filter_map(|vector| {
            let space = state.spaces.get(&vector.id)?;
            let stored = space.index.vector(space.slot(number)?)?;
            Some((vector.name.clone(), stored.to_vec()))
        });
        Some(stored.collect())
    }

    /// Has the indexes derive what changes need and searches do not.
    pub(crate) fn expect_changes(&self) {
        let state = self.state.read();
        let spaces = state.spaces.values();
        spaces.for_each(|space| space.index.expect_changes());
    }

    /// Copies vectors that are used where they stand in snapshots, for as long as `go_on` says so; whether
    /// none is left. From then on a snapshot can go, or rot, and be written anew from memory.
    pub(crate) fn own_vectors(&self, go_on: &mut dyn FnMut() -> bool) -> Result<bool, Error> {
        let lent = || {
            let state = self.state.read();
            let mut spaces = state.spaces.iter();
            spaces.find_map(|(id, space)| Some((*id, space.index.lent()?)))
        };
        while lent().is_some() {
            if !go_on() {
                return Ok(false);
            }
            let Some((id, lent)) = lent() else { break };
            let copied = lent.copy().map_err(|error| self.uncopied(error))?;
            if let Some(space) = self.state.write().spaces.get_mut(&id) {
                space.index.own(copied);
            }
        }
        Ok(true)
    }

    /// Why vectors cannot be copied.
    fn uncopied(&self, error: hnsw::Error) -> Error {
        match error {
            hnsw::Error::Scratch(why) if why.kind() == ErrorKind::InvalidData => {
                Error::Corrupt(format!(
                    "collection `{}`: {why}: the disk has changed what is there. Until a restart no checkpoint can be \
                     taken; that goes by the checkpoint before, and nothing is lost",
                    self.name
                ))
            }
            error => error.into(),
        }
    }

    /// Every id, in no order.
    pub(crate) fn ids(&self) -> Vec<PointId> {
        self.state.read().numbers.ids().copied().collect()
    }

    /// The collection as it stands between two records; called by the applier alone.
    pub(crate) fn freeze(&self) -> FrozenCollection {
        let state = self.state.read();
        let frozen = |(id, space): (&VectorId, &Space)| FrozenSpace {
            id: *id,
            index: space.index.freeze(),
            numbers: space.by_slot().to_vec(),
        };
        FrozenCollection {
            settings: Arc::clone(&state.settings),
            ids: state.numbers.by_number().to_vec(),
            spaces: state.spaces.iter().map(frozen).collect(),
            changed: self.changed(),
        }
    }

    /// Takes over decided settings: indexes of vectors that are new are made, those of vectors that
    /// have gone are dropped with all that is in them.
    pub(crate) fn apply_settings(
        &self,
        lsn: Lsn,
        settings: Settings,
        scratch: &Scratch,
    ) -> Result<(), Error> {
        let known: Vec<VectorId> = self.state.read().spaces.keys().copied().collect();
        let mut new = BTreeMap::new();
        for vector in &settings.vectors {
            if !known.contains(&vector.id) {
                new.insert(vector.id, empty_space(vector, scratch)?);
            }
        }
        let stays = |id: &VectorId| settings.vectors.iter().any(|vector| vector.id == *id);
        let mut gone = Vec::new();
        {
            let mut state = self.state.write();
            for id in known.iter().filter(|id| !stays(id)) {
                gone.extend(state.spaces.remove(id));
            }
            state.spaces.append(&mut new);
            for vector in &settings.vectors {
                if let Some(space) = state.spaces.get_mut(&vector.id) {
                    space.index.set_ef_construct(vector.spec.ef_construct);
                }
            }
            state.settings = Arc::new(settings);
        }
        // What is dropped here may be large; searches do not wait for it.
        drop(gone);
        self.mark_changed(lsn);
        Ok(())
    }

    /// Has the index that was built to replace another do so. What does not fit is passed over:
    /// whoever decided it held the lock of names, and was answered by what had become of it.
    pub(crate) fn apply_swap(&self, lsn: Lsn, from: VectorId) {
        let mut settings = Settings::clone(&self.settings());
        let Some(of) = settings.swap(from) else {
            return;
        };
        let before = {
            let mut state = self.state.write();
            let new = state.spaces.remove(&from);
            state.settings = Arc::new(settings);
            new.and_then(|new| state.spaces.insert(of, new))
        };
        // What is dropped here may be large; searches do not wait for it.
        drop(before);
        self.tunings.forget(of);
        self.mark_changed(lsn);
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

fn empty_space(vector: &Vector, scratch: &Scratch) -> Result<Space, Error> {
    let spec = &vector.spec;
    let index = Index::with_scratch(spec.params(), spec.on_disk.then(|| scratch.clone()));
    let mut index = index.map_err(|error| Error::BadRequest(error.to_string()))?;
    // One that is built to take another's place gets its number too, but has a history of its own.
    index.begin_history(u64::from(vector.id.0));
    Ok(Space::new(index))
}

impl FrozenCollection {
    /// Leaves out what is being built to replace an index: it is nothing to keep or to compare. Says
    /// whether there was any.
    pub(crate) fn without_rebuilds(&mut self) -> bool {
        let seen: Vec<VectorId> = self.settings.seen().map(|vector| vector.id).collect();
        let any = seen.len() < self.settings.vectors.len();
        if any {
            let settings = Arc::make_mut(&mut self.settings);
            settings.vectors.retain(|vector| vector.rebuilds.is_none());
            self.spaces.retain(|space| seen.contains(&space.id));
        }
        any
    }
}

impl State {
    /// The index of one of the vectors.
    pub(crate) fn space(&self, of: VectorId) -> Result<&Space, Error> {
        self.spaces
            .get(&of)
            .ok_or_else(|| Error::BadRequest("this vector has just been removed".into()))
    }
}
