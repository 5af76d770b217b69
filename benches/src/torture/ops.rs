//! Operations, chosen by chance among those that can be done with what is there.

use engine::{KeyPath, Payload, PayloadChange};

use super::crowd::{self, Social};
use super::model::{Cabinet, DEEP, FRONT, Model, ONLY, SIDE, TAG, TAGS};
use super::shelf::{BackupId, Shelf};
use crate::chance::Chance;

/// Names that the operations use.
pub(super) const NAMES: [&str; 3] = ["faces", "cats", "zebras"];
const ALIASES: [&str; 2] = ["who", "what"];
const IDS: u64 = 48;
/// Backups that lie on the shelf at most.
const BACKUPS: usize = 4;

/// Points that an operation is about.
#[derive(Debug, Clone)]
pub(super) enum Chosen {
    Ids(Vec<u64>),
    /// Those with this tag, by a filter.
    Tagged(u64),
}

/// Something to do. Names of collections may be aliases where they are owned texts.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(&'static str),
    Drop(&'static str),
    Upsert(String, Vec<(u64, u64)>),
    Delete(String, Chosen),
    Change(String, Chosen, PayloadChange),
    UpdateVectors(String, Vec<(u64, &'static str, u64)>),
    DeleteVectors(String, Chosen, &'static str),
    Index(String, bool),
    Note(String, Option<u64>),
    /// The second vector comes or goes.
    SecondVector(String, bool),
    People(String, Social),
    /// The second vector of faces that have none, as a move to another model fills it.
    Fill(String, Vec<(u64, u64)>),
    /// The second vector goes, as a move's old one does, if nobody would be without both or that is
    /// said to be fine.
    Retire(String, bool),
    /// A step of building a vector's index anew; refused where it is not its turn.
    Reindex(String, &'static str, Rebuilding),
    Alias(&'static str, &'static str),
    Unalias(&'static str),
    Backup(Option<&'static str>),
    DropBackup(BackupId),
    RestoreOne(BackupId, Box<Model>, &'static str),
    RestoreAll(BackupId, Box<Model>),
    /// And whether backups from before go too.
    Purge(&'static str, bool),
    Compact,
    Checkpoint,
    Reopen,
}

/// How an index is built anew. Nobody sees anything of it but at the end.
#[derive(Debug, Clone, Copy)]
pub(super) enum Rebuilding {
    /// With so many links.
    Begin(usize),
    /// Copies so many points.
    Copy(usize),
    Finish,
    Cancel,
}

impl Op {
    /// Whether it may fail and leave everything as it is without writing being stopped: it writes
    /// files that nothing depends on yet.
    pub(super) fn may_fail_alone(&self) -> bool {
        matches!(
            self,
            Op::Backup(_)
                | Op::DropBackup(_)
                | Op::RestoreOne(..)
                | Op::RestoreAll(..)
                | Op::Purge(..)
                | Op::Compact
        )
    }
}

impl Model {
    /// Something that can be done.
    pub(super) fn choose(&self, shelf: &Shelf, chance: &mut Chance) -> Op {
        let name = NAMES[chance.index(NAMES.len())];
        let Some(cabinet) = self.cabinets.get(name) else {
            return match shelf.choose(chance) {
                Some((id, contents)) if chance.once_in(3) => restore(id, contents, name),
                _ => Op::Create(name),
            };
        };
        match chance.below(100) {
            0..=1 => Op::Drop(name),
            2..=9 => Op::Checkpoint,
            10..=11 => Op::Reopen,
            12..=20 => self.choose_rare(shelf, name, cabinet, chance),
            21..=35 => Op::Delete(self.call(name, chance), choose_points(cabinet, chance)),
            36..=50 => {
                let chosen = choose_points(cabinet, chance);
                Op::Change(self.call(name, chance), chosen, choose_change(chance))
            }
            51..=58 => self.choose_vectors(name, cabinet, chance),
            59..=68 => match crowd::choose(cabinet, chance) {
                Some(social) => Op::People(self.call(name, chance), social),
                None => Op::Checkpoint,
            },
            _ => {
                let point = |_| (chance.below(IDS), chance.below(1 << 20));
                let mut points: Vec<_> = (0..8).map(point).collect();
                points.truncate(1 + chance.index(8));
                Op::Upsert(self.call(name, chance), points)
            }
        }
    }

    /// The collection's name, or one of its aliases.
    fn call(&self, name: &str, chance: &mut Chance) -> String {
        let mut aliases = self.aliases.iter();
        match aliases.find(|(_, target)| *target == name) {
            Some((alias, _)) if chance.once_in(2) => alias.clone(),
            _ => name.to_owned(),
        }
    }

    fn choose_rare(
        &self,
        shelf: &Shelf,
        name: &'static str,
        cabinet: &Cabinet,
        chance: &mut Chance,
    ) -> Op {
        let alias = ALIASES[chance.index(ALIASES.len())];
        match chance.below(10) {
            0 => Op::Alias(alias, name),
            1 => Op::Unalias(alias),
            2 => Op::Index(self.call(name, chance), !cabinet.indexed),
            3 => {
                let note = chance.once_in(2).then(|| chance.below(1_000));
                Op::Note(self.call(name, chance), note)
            }
            4 => Op::Purge(name, chance.once_in(2)),
            9 => Op::Compact,
            5..=6 if shelf.len() < BACKUPS => Op::Backup([None, Some(name)][chance.index(2)]),
            _ => match shelf.choose(chance) {
                None => Op::Backup(Some(name)),
                Some((id, _)) if chance.once_in(3) => Op::DropBackup(id),
                Some((id, contents)) => restore(id, contents, name),
            },
        }
    }

    fn choose_vectors(&self, name: &'static str, cabinet: &Cabinet, chance: &mut Chance) -> Op {
        // Whatever is restored under this name need not be what it began as.
        let named = cabinet.vectors.contains(FRONT);
        let has_second = cabinet.vectors.contains(SIDE);
        let vector = match (named, has_second && chance.once_in(2)) {
            (true, true) => SIDE,
            (true, false) => FRONT,
            (false, _) => ONLY,
        };
        let called = self.call(name, chance);
        match chance.below(12) {
            0 if named => Op::SecondVector(called, !has_second),
            6..=8 => Op::Reindex(called, vector, choose_rebuilding(chance)),
            9..=10 if has_second => {
                let n = |id| (id, chance.below(1 << 20));
                Op::Fill(called, cabinet.points.keys().copied().map(n).collect())
            }
            11 if has_second => Op::Retire(called, chance.once_in(2)),
            1..=2 => Op::DeleteVectors(called, choose_points(cabinet, chance), vector),
            _ => {
                let ids = some_of(cabinet, chance);
                let n = |id| (id, vector, chance.below(1 << 20));
                let changes: Vec<_> = ids.into_iter().map(n).collect();
                match changes.is_empty() {
                    true => Op::Checkpoint,
                    false => Op::UpdateVectors(called, changes),
                }
            }
        }
    }
}

fn choose_rebuilding(chance: &mut Chance) -> Rebuilding {
    match chance.below(8) {
        0..=1 => Rebuilding::Begin(4 + chance.index(8)),
        2..=4 => Rebuilding::Copy(1 + chance.index(64)),
        5..=6 => Rebuilding::Finish,
        _ => Rebuilding::Cancel,
    }
}

fn restore(id: BackupId, contents: Model, name: &'static str) -> Op {
    match id.0 {
        Some(_) => Op::RestoreOne(id, Box::new(contents), name),
        None => Op::RestoreAll(id, Box::new(contents)),
    }
}

/// Points that are there: changes of payloads refuse others.
fn some_of(cabinet: &Cabinet, chance: &mut Chance) -> Vec<u64> {
    let ids: Vec<u64> = cabinet.points.keys().copied().collect();
    if ids.is_empty() {
        return Vec::new();
    }
    let mut some: Vec<_> = (0..=chance.below(5))
        .map(|_| ids[chance.index(ids.len())])
        .collect();
    some.sort_unstable();
    some.dedup();
    some
}

fn choose_points(cabinet: &Cabinet, chance: &mut Chance) -> Chosen {
    match chance.once_in(4) {
        true => Chosen::Tagged(chance.below(TAGS)),
        false => Chosen::Ids(some_of(cabinet, chance)),
    }
}

fn choose_change(chance: &mut Chance) -> PayloadChange {
    let n = chance.below(1_000);
    let one = |key: &str, n: u64| Payload::from_iter([(key.to_owned(), n.into())]);
    let set = |payload, key| PayloadChange::Set { payload, key };
    let overwrite = |payload, key| PayloadChange::Overwrite { payload, key };
    let deep = Some(KeyPath::of(DEEP));
    match chance.below(8) {
        0 => set(one("a", n), None),
        1 => {
            let mut payload = one("b", n);
            payload.insert("a".into(), serde_json::Value::Null);
            set(payload, None)
        }
        2 => set(one("x", n), deep),
        3 => set(one(TAG, n % TAGS), None),
        4 => overwrite(one(TAG, n % TAGS), None),
        5 => overwrite(one("y", n), deep),
        6 => {
            let key = |text: &str| KeyPath::parse(text).unwrap_or_else(|_| KeyPath::of(text));
            PayloadChange::Delete(vec![key("a"), key(&format!("{DEEP}.x"))])
        }
        _ => PayloadChange::Clear,
    }
}
