//! Building an index anew beside the one that serves, with other settings or just afresh.
//!
//! All of it goes through the log. A record begins: from then on a second index is there that nobody
//! sees, and what is put into the first or taken out of it is so with the second too. Records copy
//! what the first had before, some points at a time. A last record has the second take the first
//! one's place. So a rebuild outlives a restart, waits as long as one likes between its steps, and
//! is the same wherever the log is followed; searches see the first index until they see the second.

use storage::{PointId, Record, VectorId};

use crate::collection::{Collection, State};
use crate::decide::Basis;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{MAX_COPIED, SCANNED};
use crate::numbers::PointNumber;
use crate::point::{Ack, Written};
use crate::settings::{Settings, Vector};
use crate::spec::{Quantization, VectorSpec};

/// Settings of the index that is to come; what is `None` is as in the one there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct IndexChange {
    /// As in [`VectorSpec::m`].
    pub m: Option<usize>,
    /// As in [`VectorSpec::ef_construct`].
    pub ef_construct: Option<usize>,
    /// As in [`VectorSpec::quantization`].
    pub quantization: Option<Quantization>,
    /// As in [`VectorSpec::on_disk`].
    pub on_disk: Option<bool>,
}

/// An index that is being built to replace another.
#[derive(Debug, Clone, PartialEq)]
pub struct Rebuild {
    /// The vector whose index it is.
    pub vector: String,
    /// The settings it will have.
    pub spec: VectorSpec,
    /// Points in it.
    pub done: usize,
    /// Points in the one that serves.
    pub points: usize,
    /// About how much memory it will still take, by what the one that serves takes.
    pub wanted_bytes: usize,
}

/// How far the copying has come: all points with lower numbers are in the new index.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Copied(u32);

impl Engine {
    /// Begins to build a vector's index anew. One that has been begun goes on with the settings it
    /// was begun with, if these are the same; otherwise this is a conflict.
    pub fn begin_reindex(
        &self,
        collection: &str,
        vector: &str,
        change: IndexChange,
    ) -> Result<Written, Error> {
        self.configure(collection, |settings| {
            let old = settings.by_name(vector)?.clone();
            let spec = changed(&old.spec, change);
            match settings.rebuild_of(old.id) {
                None => settings.begin_rebuild(&old, spec),
                Some(begun) if begun.spec == spec => Ok(()),
                Some(_) => Err(Error::Conflict(format!(
                    "an index {} of collection `{collection}` is being built with other settings: \
                     let it end, or cancel it",
                    described(vector)
                ))),
            }
        })
    }

    /// The indexes of a collection that are being built anew.
    pub fn reindexes(&self, collection: &str) -> Result<Vec<Rebuild>, Error> {
        let collection = self.collection(collection)?;
        let state = collection.state.read();
        let len = |of: VectorId| state.spaces.get(&of).map_or(0, |space| space.index.len());
        let bytes = |of: VectorId| state.index_bytes(of);
        let vectors = state.settings.vectors.iter();
        let rebuilds = vectors.filter_map(|vector| {
            Some(Rebuild {
                vector: vector.name.clone(),
                spec: vector.spec.clone(),
                done: len(vector.id),
                points: len(vector.rebuilds?),
                wanted_bytes: bytes(vector.rebuilds?).saturating_sub(bytes(vector.id)),
            })
        });
        Ok(rebuilds.collect())
    }

    /// Copies the next points, at most `count`, into the index that is being built; `None` when all
    /// have been looked at.
    pub fn continue_reindex(
        &self,
        collection: &str,
        vector: &str,
        from: Copied,
        count: usize,
    ) -> Result<Option<Copied>, Error> {
        let collection = self.collection(collection)?;
        // What has rotted in a snapshot meanwhile must not come into another index.
        collection.own_vectors(&mut || true)?;
        let rebuild = being_built(&collection.settings(), vector)?.id;
        let next = {
            let state = collection.state.read();
            state.next_missing(rebuild, from, count.clamp(1, MAX_COPIED))
        };
        if !next.ids.is_empty() {
            let record = Record::CopyVectors {
                collection: collection.id,
                into: rebuild,
                ids: next.ids,
            };
            self.write(Basis::NOTHING, record, Ack::Applied)?;
        }
        Ok(next.up_to)
    }

    /// Has the index that was built take the place of the one there is, once every point is in it;
    /// `None` while one is missing.
    pub fn finish_reindex(&self, collection: &str, vector: &str) -> Result<Option<Written>, Error> {
        self.decided(|| {
            let deciding = self.on_names();
            let collection = self.collection(collection)?;
            let rebuild = being_built(&collection.settings(), vector)?.id;
            if !collection.is_complete(rebuild) {
                return Ok(None);
            }
            let record = Record::SwapVector {
                collection: collection.id,
                from: rebuild,
            };
            self.write(deciding.basis, record, Ack::Applied).map(Some)
        })
    }

    /// Gives up the index that is being built; `false` if none is.
    pub fn cancel_reindex(&self, collection: &str, vector: &str) -> Result<bool, Error> {
        let mut was_there = false;
        self.configure(collection, |settings| {
            let of = settings.by_name(vector)?.id;
            was_there = settings.rebuild_of(of).is_some();
            settings.cancel_rebuild(of);
            Ok(())
        })?;
        Ok(was_there)
    }
}

fn changed(old: &VectorSpec, change: IndexChange) -> VectorSpec {
    VectorSpec {
        m: change.m.unwrap_or(old.m),
        ef_construct: change.ef_construct.unwrap_or(old.ef_construct),
        quantization: change.quantization.unwrap_or(old.quantization),
        on_disk: change.on_disk.unwrap_or(old.on_disk),
        ..old.clone()
    }
}

fn being_built<'a>(settings: &'a Settings, vector: &str) -> Result<&'a Vector, Error> {
    let of = settings.by_name(vector)?.id;
    settings.rebuild_of(of).ok_or_else(|| {
        Error::Conflict(format!(
            "no index {} is being built: it was cancelled, or has taken its place",
            described(vector)
        ))
    })
}

fn described(vector: &str) -> String {
    match vector {
        "" => "of the vector".to_owned(),
        name => format!("of vector `{name}`"),
    }
}

/// Points to be copied next.
struct Next {
    ids: Vec<PointId>,
    /// `None` when there are none beyond.
    up_to: Option<Copied>,
}

impl Collection {
    /// Whether every point of an index is in the one that is to replace it.
    fn is_complete(&self, rebuild: VectorId) -> bool {
        let mut from = Copied::default();
        loop {
            let next = self.state.read().next_missing(rebuild, from, 1);
            match next.up_to {
                _ if !next.ids.is_empty() => return false,
                Some(up_to) => from = up_to,
                None => return true,
            }
        }
    }
}

impl State {
    /// A point's vector in an index, if it is not yet in the one that is to replace that.
    pub(crate) fn missing(&self, rebuild: VectorId, number: PointNumber) -> Option<&[f32]> {
        let mut vectors = self.settings.vectors.iter();
        let of = vectors.find(|vector| vector.id == rebuild)?.rebuilds?;
        let (old, new) = (self.spaces.get(&of)?, self.spaces.get(&rebuild)?);
        let slot = old.slot(number)?;
        match new.slot(number) {
            None => old.index.vector(slot),
            Some(_) => None,
        }
    }

    /// The next points that an index lacks which is to replace another. Looks at so many points at
    /// most: whoever wants to change the collection waits meanwhile.
    fn next_missing(&self, rebuild: VectorId, from: Copied, count: usize) -> Next {
        let mut next = Next {
            ids: Vec::new(),
            up_to: None,
        };
        let numbers = (0u32..).zip(self.numbers.by_number()).skip(from.0 as usize);
        for (looked_at, (number, id)) in numbers.enumerate() {
            if next.ids.len() == count || looked_at == SCANNED {
                next.up_to = Some(Copied(number));
                break;
            }
            let Some(id) = id else { continue };
            if self.missing(rebuild, PointNumber(number)).is_some() {
                next.ids.push(*id);
            }
        }
        next
    }
}
