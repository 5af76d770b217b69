//! Writes about payloads, and writes about all points that a filter lets through.
//!
//! A filter never enters the log: which points it lets through is decided before, while no other
//! write of the collection can come between the decision and its record.

use storage::{Lsn, PointId, Record};

use crate::check::{few_ids, some_names};
use crate::collection::Collection;
use crate::decide::Basis;
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::filter::{Filter, KeyPath};
use crate::limits::{
    LITTLE_PAYLOAD_BYTES, MAX_CHANGED_BYTES, MAX_PAYLOAD_BYTES, MAX_PAYLOAD_INDEXES,
    MAX_POINTS_PER_FILTER,
};
use crate::payload::{IndexKind, PayloadChange, change_record, index_config};
use crate::point::{Ack, Chosen, Written};

impl Engine {
    /// Changes payloads. Points that are named must be there; what a filter lets through may be
    /// nothing. What is known of a person goes with the person.
    pub fn change_payload(
        &self,
        collection: &str,
        chosen: Chosen,
        change: &PayloadChange,
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        change.check()?;
        let record = |ids: Vec<PointId>, change: &PayloadChange| {
            Ok(Record::ChangePayload {
                collection: target.id,
                ids,
                change: change_record(change)?,
            })
        };
        let written = self.decided(|| {
            if let Chosen::Ids(ids) = &chosen {
                let together = self.beside(&target);
                let ids = self.known(&target, ids.clone())?;
                let basis = match change.names_people() {
                    true => together.basis,
                    false => Basis::NOTHING,
                };
                let change = &self.with_people(&target, &ids, change)?;
                let room = self.room(&target, &ids, change, LITTLE_PAYLOAD_BYTES)?;
                if room.is_none() {
                    return self
                        .write_unless_empty(basis, &ids, ack, || record(ids.clone(), change));
                }
            }
            let deciding = self.alone(&target);
            self.shared().wait_applied()?;
            let ids = match &chosen {
                Chosen::Ids(ids) => self.known(&target, ids.clone())?,
                Chosen::Filter(filter) => self.decide(&target, filter)?,
            };
            let change = &self.with_people(&target, &ids, change)?;
            self.check_size(&target, &ids, change)?;
            self.write_unless_empty(deciding.basis, &ids, ack, || record(ids.clone(), change))
        });
        written.map_err(|error| rename_missing(error, collection))
    }

    /// Removes all points that a filter lets through, and says how many those are.
    pub fn delete_where(
        &self,
        collection: &str,
        filter: &Filter,
        ack: Ack,
    ) -> Result<(Written, usize), Error> {
        let target = self.holder(collection)?;
        let written = self.decided(|| {
            let deciding = self.alone(&target);
            let ids = self.decide(&target, filter)?;
            self.delete_decided(&target, ids, (deciding.basis, ack))
        });
        written.map_err(|error| rename_missing(error, collection))
    }

    /// Removes points that were decided on, and says how many those are.
    pub(crate) fn delete_decided(
        &self,
        target: &Collection,
        ids: Vec<PointId>,
        (basis, ack): (Basis, Ack),
    ) -> Result<(Written, usize), Error> {
        let count = ids.len();
        let record = Record::Delete {
            collection: target.id,
            ids,
        };
        let written = match count {
            0 => self.nothing_written(),
            _ => self.write(basis, record, ack)?,
        };
        Ok((written, count))
    }

    /// Takes vectors away from all points that a filter lets through.
    pub fn delete_vectors_where(
        &self,
        collection: &str,
        filter: &Filter,
        names: &[String],
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        some_names(names)?;
        let written = self.decided(|| {
            let settings = target.settings();
            let vectors = names.iter().map(|name| Ok(settings.by_name(name)?.id));
            let vectors = vectors.collect::<Result<_, Error>>()?;
            let deciding = self.alone(&target);
            let ids = self.decide(&target, filter)?;
            self.write_unless_empty(deciding.basis, &ids, ack, || {
                Ok(Record::DeleteVectors {
                    collection: target.id,
                    ids: ids.clone(),
                    vectors,
                })
            })
        });
        written.map_err(|error| rename_missing(error, collection))
    }

    /// Gives a key of payloads an index; nothing happens if it has exactly this one.
    pub fn create_index(
        &self,
        collection: &str,
        key: KeyPath,
        kind: IndexKind,
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        self.decided(|| self.create_index_once(&target, (&key, kind), ack))
            .map_err(|error| rename_missing(error, collection))
    }

    fn create_index_once(
        &self,
        target: &Collection,
        (key, kind): (&KeyPath, IndexKind),
        ack: Ack,
    ) -> Result<Written, Error> {
        let deciding = self.on_names();
        let settings = target.settings();
        let known = settings.indexes.iter().find(|(known, _)| known == key);
        match known {
            Some((_, known)) if *known == kind => return Ok(self.nothing_written()),
            Some(_) => {}
            None if settings.indexes.len() >= MAX_PAYLOAD_INDEXES => {
                return Err(Error::TooLarge(format!(
                    "a collection has at most {MAX_PAYLOAD_INDEXES} payload indexes"
                )));
            }
            None => {}
        }
        let record = Record::PutIndex {
            collection: target.id,
            index: index_config(&(key.clone(), kind)),
        };
        self.write(deciding.basis, record, ack)
    }

    /// Takes the index of a key away; nothing happens if there is none.
    pub fn drop_index(&self, collection: &str, key: &KeyPath, ack: Ack) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        let written = self.decided(|| {
            let deciding = self.on_names();
            let settings = target.settings();
            if !settings.indexes.iter().any(|(known, _)| known == key) {
                return Ok(self.nothing_written());
            }
            let record = Record::DropIndex {
                collection: target.id,
                key: key.to_string(),
            };
            self.write(deciding.basis, record, ack)
        });
        written.map_err(|error| rename_missing(error, collection))
    }

    /// The points that a filter lets through, all that is durable now applied.
    pub(crate) fn decide(
        &self,
        target: &Collection,
        filter: &Filter,
    ) -> Result<Vec<PointId>, Error> {
        self.shared().wait_applied()?;
        let mut ids = self.let_through(target, &target.resolve(filter))?;
        if ids.len() > MAX_POINTS_PER_FILTER {
            return Err(Error::TooLarge(format!(
                "the filter lets {} points through, one request may be about \
                 {MAX_POINTS_PER_FILTER}: narrow it",
                ids.len()
            )));
        }
        ids.sort_unstable();
        Ok(ids)
    }

    /// The ids, each once, if all of them are there.
    fn known(&self, target: &Collection, mut ids: Vec<PointId>) -> Result<Vec<PointId>, Error> {
        few_ids(&ids)?;
        ids.sort_unstable();
        ids.dedup();
        let missing = || ids.iter().find(|id| !target.contains(id));
        if missing().is_some() {
            // It may be durable and not applied yet.
            self.shared().wait_applied()?;
        }
        match missing() {
            None => Ok(ids),
            Some(id) => Err(Error::NoPoint(*id)),
        }
    }

    /// Refuses what would make a payload too large.
    pub(crate) fn check_size(
        &self,
        target: &Collection,
        ids: &[PointId],
        change: &PayloadChange,
    ) -> Result<(), Error> {
        match self.room(target, ids, change, MAX_PAYLOAD_BYTES)? {
            None => Ok(()),
            Some((id, got)) => Err(Error::TooLarge(format!(
                "the payload of point {id} would have up to {got} bytes, the limit is \
                 {MAX_PAYLOAD_BYTES}"
            ))),
        }
    }

    /// The first of the points whose payload may come to more bytes than these, and to how many.
    /// What is durable and not applied yet may add to it.
    fn room(
        &self,
        target: &Collection,
        ids: &[PointId],
        change: &PayloadChange,
        limit: usize,
    ) -> Result<Option<(PointId, usize)>, Error> {
        let new = change.bytes()?;
        if new == 0 {
            return Ok(None);
        }
        let mut all = 0_usize;
        for id in ids {
            let before = self.shared().tables.payload(target.id, id)?;
            let got = change.bytes_after(new, before.as_deref())?;
            if got > limit {
                return Ok(Some((*id, got)));
            }
            all = all.saturating_add(got);
        }
        match all > MAX_CHANGED_BYTES {
            true => Err(Error::TooLarge(format!(
                "the changed payloads would have up to {all} bytes together, one request may \
                 change {MAX_CHANGED_BYTES}: take fewer points"
            ))),
            false => Ok(None),
        }
    }

    fn write_unless_empty(
        &self,
        basis: Basis,
        ids: &[PointId],
        ack: Ack,
        record: impl FnOnce() -> Result<Record, Error>,
    ) -> Result<Written, Error> {
        match ids.is_empty() {
            true => Ok(self.nothing_written()),
            false => self.write(basis, record()?, ack),
        }
    }

    /// The answer to a write that came to nothing: all before it is durable.
    pub(crate) fn nothing_written(&self) -> Written {
        Written {
            lsn: Lsn(self.status().durable_lsn.0),
        }
    }
}
