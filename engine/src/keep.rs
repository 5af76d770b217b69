//! How records change payloads, and how payload indexes are kept in step with them.

use std::collections::HashMap;
use std::sync::Arc;

use storage::{CollectionId, Lsn, PointId, PointRecord, Record, Tables};

use crate::collection::Collection;
use crate::convert;
use crate::error::Error;
use crate::filter::KeyPath;
use crate::grow::PointVectors;
use crate::numbers::PointNumber;
use crate::payload::{Entry, FieldIndex, IndexKind, PayloadIndexes, change_of};
use crate::settings::Settings;

/// A point and the payload, MessagePack, that a record gives it.
pub(crate) type NewPayload = (PointId, Vec<u8>);

/// The payload of a point as it is before.
pub(crate) type PayloadOf<'a> =
    &'a dyn Fn(CollectionId, &PointId) -> Result<Option<Vec<u8>>, storage::Error>;

/// What the records that change payloads make of them, record by record. Later ones build on what
/// earlier ones of the same group have made.
pub(crate) fn new_payloads(
    payload: PayloadOf<'_>,
    records: &[(Lsn, Record)],
) -> Result<Vec<Vec<NewPayload>>, Error> {
    let changes = |(_, record): &(Lsn, Record)| matches!(record, Record::ChangePayload { .. });
    if !records.iter().any(changes) {
        return Ok(vec![Vec::new(); records.len()]);
    }
    // `None` for a point that is not there.
    let mut group: HashMap<(CollectionId, PointId), Option<Vec<u8>>> = HashMap::new();
    let mut all = Vec::with_capacity(records.len());
    for (_, record) in records {
        let mut new = Vec::new();
        match record {
            Record::Upsert { collection, points } => {
                let points = points.iter();
                group.extend(
                    points.map(|point| ((*collection, point.id), Some(point.payload.clone()))),
                );
            }
            Record::Delete { collection, ids } => {
                group.extend(ids.iter().map(|id| ((*collection, *id), None)));
            }
            Record::ChangePayload {
                collection,
                ids,
                change,
            } => {
                let change = change_of(change)?;
                for id in ids {
                    let before = match group.get(&(*collection, *id)) {
                        Some(before) => before.clone(),
                        None => payload(*collection, id)?,
                    };
                    let Some(before) = before else { continue };
                    let mut payload = convert::payload(&before)?;
                    change.apply(&mut payload);
                    let after = storage::encode_payload(&payload)?;
                    group.insert((*collection, *id), Some(after.clone()));
                    new.push((*id, after));
                }
            }
            _ => {}
        }
        all.push(new);
    }
    Ok(all)
}

impl Collection {
    /// The points of a record with what the payload indexes will keep of them.
    pub(crate) fn with_entries(
        &self,
        points: Vec<PointRecord>,
    ) -> Result<Vec<PointVectors>, Error> {
        let points = points.into_iter();
        let points = points.map(|point| {
            Ok(PointVectors {
                id: point.id,
                entries: Some(self.entries(&point.payload)?),
                faced: point.face.is_some(),
                vectors: point.vectors,
            })
        });
        points.collect()
    }

    fn entries(&self, payload: &[u8]) -> Result<Vec<Entry>, Error> {
        let state = self.state.read();
        match state.payload.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(state.payload.entries(&convert::payload(payload)?)),
        }
    }

    /// Points have new payloads; those that are not there are passed over.
    pub(crate) fn apply_payloads(&self, lsn: Lsn, payloads: &[NewPayload]) -> Result<(), Error> {
        for (id, payload) in payloads {
            let entries = self.entries(payload)?;
            let state = &mut *self.state.write();
            if let Some(number) = state.numbers.number(id) {
                state.payload.put(number, entries);
            }
        }
        self.mark_changed(lsn);
        Ok(())
    }

    /// Builds the index of a key; searches go on without it meanwhile.
    pub(crate) fn apply_put_index(
        &self,
        lsn: Lsn,
        (key, kind): (KeyPath, IndexKind),
        tables: &Tables,
    ) -> Result<(), Error> {
        let mut field = FieldIndex::new(key.clone(), kind);
        self.for_each_payload(tables, |number, payload| {
            // One that has none in the tables goes later in the same group.
            if let Some(payload) = payload {
                field.put(number, field.entry(&convert::payload(&payload)?));
            }
            Ok(())
        })?;
        let mut state = self.state.write();
        let mut settings = Settings::clone(&state.settings);
        settings.indexes.retain(|(known, _)| *known != key);
        settings.indexes.push((key, kind));
        state.settings = Arc::new(settings);
        state.payload.add(field);
        self.mark_changed(lsn);
        Ok(())
    }

    /// The index of a key goes.
    pub(crate) fn apply_drop_index(&self, lsn: Lsn, key: &KeyPath) {
        let mut state = self.state.write();
        let mut settings = Settings::clone(&state.settings);
        settings.indexes.retain(|(known, _)| known != key);
        state.settings = Arc::new(settings);
        state.payload.remove(key);
        self.mark_changed(lsn);
    }

    /// Builds anew what is kept of the tables: all payload indexes, and who has a face.
    pub(crate) fn build_payload_indexes(&self, tables: &Tables) -> Result<(), Error> {
        let keys = self.settings().indexes.clone();
        let mut indexes = PayloadIndexes::new(keys);
        let nothing_to_build = indexes.is_empty();
        self.for_each_number(|number, id| {
            let entries = match nothing_to_build {
                true => Vec::new(),
                false => {
                    let payload = tables.payload(self.id, &id)?;
                    let payload = payload.ok_or_else(|| {
                        Error::Corrupt(format!("the tables have no payload of point {id}"))
                    })?;
                    indexes.entries(&convert::payload(&payload)?)
                }
            };
            indexes.put(number, entries);
            Ok(())
        })?;
        let faced: Vec<PointId> = tables.faced_ids(self.id).collect::<Result<_, _>>()?;
        let mut state = self.state.write();
        let numbers = faced.iter().filter_map(|id| state.numbers.number(id));
        state.faced = numbers.map(|number| number.0).collect();
        state.payload = indexes;
        Ok(())
    }

    /// Whether the payload indexes hold what the payloads say.
    pub(crate) fn check_payload_indexes(&self, tables: &Tables) -> Result<(), Error> {
        let corrupt = |what: String| Error::Corrupt(format!("collection `{}`: {what}", self.name));
        {
            let state = self.state.read();
            let mut keys = state.settings.indexes.clone();
            keys.sort_by(|a, b| a.0.cmp(&b.0));
            let points = state.numbers.len() as u64;
            if keys != state.payload.keys() || state.payload.live().len() != points {
                return Err(corrupt(
                    "its payload indexes are not those it should have".into(),
                ));
            }
        }
        self.for_each_payload(tables, |number, payload| {
            let payload = payload
                .map(|payload| convert::payload(&payload))
                .transpose()?;
            let state = self.state.read();
            let checked = state.payload.check(number, &payload.unwrap_or_default());
            checked.map_err(corrupt)
        })
    }

    fn for_each_payload(
        &self,
        tables: &Tables,
        mut each: impl FnMut(PointNumber, Option<Vec<u8>>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        self.for_each_number(|number, id| each(number, tables.payload(self.id, &id)?))
    }

    fn for_each_number(
        &self,
        mut each: impl FnMut(PointNumber, PointId) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let ids = self.state.read().numbers.by_number().to_vec();
        for (number, id) in (0u32..).zip(ids) {
            if let Some(id) = id {
                each(PointNumber(number), id)?;
            }
        }
        Ok(())
    }
}
