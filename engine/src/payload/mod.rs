//! Payloads beyond being kept: how they change, and the indexes that answer filters.
//!
//! Indexes live in memory as bitmaps over point numbers, beside the graphs and under the same
//! lock. Only the applier changes them, with the records; at a start they are built from the
//! payloads as they are after the replay. A filter on a key without an index is answered all the
//! same, from the payloads.

#[cfg(test)]
mod agree;
mod change;
mod disk;
mod field;
mod find;
mod key;
mod part;
mod postings;

use std::collections::BTreeMap;

use roaring::RoaringBitmap;

pub use change::PayloadChange;
pub(crate) use disk::{change_of, change_record, index_config, index_of, path};
pub(crate) use field::{FieldIndex, Found};
pub(crate) use find::Points;
pub use key::IndexKind;
pub(crate) use key::{Entry, Float, Key};
pub use part::{only, without};

use crate::filter::{Filter, KeyPath, Test};
use crate::numbers::PointNumber;
use crate::point::Payload;

/// A payload index as a collection's description tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct IndexInfo {
    /// The key.
    pub key: KeyPath,
    /// What it is of.
    pub kind: IndexKind,
    /// Points that have a value of that kind there.
    pub points: usize,
}

/// The payload indexes of a collection.
#[derive(Default)]
pub(crate) struct PayloadIndexes {
    fields: BTreeMap<KeyPath, FieldIndex>,
    /// All points.
    live: RoaringBitmap,
}

/// What the indexes keep of one payload, each index its part.
pub(crate) type Entries = Vec<Entry>;

impl PayloadIndexes {
    /// Indexes of these keys, empty.
    pub(crate) fn new(keys: Vec<(KeyPath, IndexKind)>) -> Self {
        let fields = keys.into_iter();
        Self {
            fields: fields
                .map(|(key, kind)| (key.clone(), FieldIndex::new(key, kind)))
                .collect(),
            live: RoaringBitmap::new(),
        }
    }

    /// What the indexes will keep of a payload.
    pub(crate) fn entries(&self, payload: &Payload) -> Entries {
        self.fields
            .values()
            .map(|field| field.entry(payload))
            .collect()
    }

    /// A point is there, with this payload.
    pub(crate) fn put(&mut self, number: PointNumber, entries: Entries) {
        self.live.insert(number.0);
        for (field, entry) in self.fields.values_mut().zip(entries) {
            field.put(number, entry);
        }
    }

    /// A point is not there any more.
    pub(crate) fn forget(&mut self, number: PointNumber) {
        self.live.remove(number.0);
        self.fields
            .values_mut()
            .for_each(|field| field.take(number));
    }

    /// All points.
    pub(crate) fn live(&self) -> &RoaringBitmap {
        &self.live
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    pub(crate) fn add(&mut self, field: FieldIndex) {
        self.fields.insert(field.path.clone(), field);
    }

    pub(crate) fn remove(&mut self, key: &KeyPath) {
        self.fields.remove(key);
    }

    pub(crate) fn field(&self, key: &KeyPath) -> Option<&FieldIndex> {
        self.fields.get(key)
    }

    /// The keys that have an index, and of what it is.
    pub(crate) fn keys(&self) -> Vec<(KeyPath, IndexKind)> {
        let fields = self.fields.iter();
        fields
            .map(|(key, field)| (key.clone(), field.kind))
            .collect()
    }

    pub(crate) fn infos(&self) -> Vec<IndexInfo> {
        let fields = self.fields.iter();
        let info = |(key, field): (&KeyPath, &FieldIndex)| IndexInfo {
            key: key.clone(),
            kind: field.kind,
            points: field.len(),
        };
        fields.map(info).collect()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.fields.values().map(FieldIndex::memory_bytes).sum()
    }

    /// The filter as it is meant here: the text index of a key says how its texts are cut.
    pub(crate) fn resolve(&self, filter: &Filter) -> Filter {
        let mut filter = filter.clone();
        filter.for_each_test(&mut |key, test| {
            if let Test::Text(words) | Test::TextAny(words) | Test::Phrase(words) = test
                && let Some(IndexKind::Text(options)) = self.fields.get(key).map(|field| field.kind)
            {
                words.options = options;
            }
        });
        filter
    }

    /// Whether the indexes hold of a point what its payload says.
    pub(crate) fn check(&self, number: PointNumber, payload: &Payload) -> Result<(), String> {
        for (key, field) in &self.fields {
            if field.entry_of(number) != field.entry(payload) {
                return Err(format!(
                    "the index of `{key}` and the payload of point number {} disagree",
                    number.0
                ));
            }
        }
        Ok(())
    }
}
