//! The backups that must lie in the data folder, and what each holds.

use std::collections::BTreeMap;

use super::model::Model;
use crate::chance::Chance;

/// The collection a backup is of, or none if it is of everything; and its name.
pub(super) type BackupId = (Option<String>, String);

/// Backups by their names.
#[derive(Clone, Default)]
pub(super) struct Shelf(BTreeMap<BackupId, Kept>);

#[derive(Clone)]
struct Kept {
    contents: Model,
    /// Acknowledged, and nobody has tried to remove it since.
    sure: bool,
}

impl Shelf {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// A backup that is surely there, with what it holds.
    pub(super) fn choose(&self, chance: &mut Chance) -> Option<(BackupId, Model)> {
        let sure: Vec<_> = self.0.iter().filter(|(_, kept)| kept.sure).collect();
        let (id, kept) = sure.get(chance.index(sure.len()))?;
        Some(((*id).clone(), kept.contents.clone()))
    }

    /// A backup was made of what is there now.
    pub(super) fn put(&mut self, of: Option<&str>, name: String, now: &Model) {
        let contents = match of {
            None => now.clone(),
            Some(of) => Model {
                cabinets: now
                    .cabinets
                    .get_key_value(of)
                    .map(|(name, cabinet)| (name.clone(), cabinet.clone()))
                    .into_iter()
                    .collect(),
                ..Model::default()
            },
        };
        let id = (of.map(str::to_owned), name);
        self.0.insert(
            id,
            Kept {
                contents,
                sure: true,
            },
        );
    }

    pub(super) fn remove(&mut self, id: &BackupId) {
        self.0.remove(id);
    }

    /// Those of a collection, and those of everything, may have gone.
    pub(super) fn doubt(&mut self, which: impl Fn(&BackupId) -> bool) {
        for (_, kept) in self.0.iter_mut().filter(|(id, _)| which(id)) {
            kept.sure = false;
        }
    }

    pub(super) fn forget(&mut self, which: impl Fn(&BackupId) -> bool) {
        self.0.retain(|id, _| !which(id));
    }

    /// What must be there and is not.
    pub(super) fn missing(&self, found: &[BackupId]) -> Option<&BackupId> {
        let mut sure = self.0.iter().filter(|(_, kept)| kept.sure);
        sure.find(|(id, _)| !found.contains(id)).map(|(id, _)| id)
    }

    /// What is there and nobody knows of.
    pub(super) fn unknown<'a>(&self, found: &'a [BackupId]) -> impl Iterator<Item = &'a BackupId> {
        found.iter().filter(|id| !self.0.contains_key(*id))
    }

    /// What came to be unasked is kept in mind.
    pub(super) fn learn(&mut self, unknown: Vec<BackupId>) {
        for id in unknown {
            let (contents, sure) = (Model::default(), false);
            self.0.insert(id, Kept { contents, sure });
        }
    }

    /// Whether a backup may hold the vector of this number.
    pub(super) fn may_hold(&self, n: u64) -> bool {
        self.0.values().any(|kept| {
            let mut all = kept.contents.vector_numbers().into_values();
            !kept.sure || all.any(|numbers| numbers.contains(&n))
        })
    }
}
