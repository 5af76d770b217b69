//! What must be there: collections of points as plain maps, and the operations on them.

use std::collections::BTreeMap;

use super::chance::Chance;

/// Names that the operations use.
const NAMES: [&str; 3] = ["faces", "cats", "zebras"];
const IDS: u64 = 48;

/// A point is known by one number, from which its vector, payload and picture follow.
pub(super) type Points = BTreeMap<u64, u64>;

/// Collections by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Model(pub(super) BTreeMap<String, Points>);

/// Something to do.
#[derive(Debug, Clone)]
pub(super) enum Op {
    Create(&'static str),
    Drop(&'static str),
    Upsert(&'static str, Vec<(u64, u64)>),
    Delete(&'static str, Vec<u64>),
    Checkpoint,
    Reopen,
}

impl Model {
    /// What an operation makes of it.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(name) => {
                self.0.entry((*name).to_owned()).or_default();
            }
            Op::Drop(name) => {
                self.0.remove(*name);
            }
            Op::Upsert(name, points) => {
                if let Some(there) = self.0.get_mut(*name) {
                    there.extend(points.iter().copied());
                }
            }
            Op::Delete(name, ids) => {
                if let Some(there) = self.0.get_mut(*name) {
                    there.retain(|id, _| !ids.contains(id));
                }
            }
            Op::Checkpoint | Op::Reopen => {}
        }
    }

    pub(super) fn after(&self, op: Option<&Op>) -> Model {
        let mut after = self.clone();
        if let Some(op) = op {
            after.apply(op);
        }
        after
    }

    /// Something that can be done with it.
    pub(super) fn choose(&self, chance: &mut Chance) -> Op {
        let name = NAMES[chance.index(NAMES.len())];
        if !self.0.contains_key(name) {
            return Op::Create(name);
        }
        match chance.below(40) {
            0 => Op::Drop(name),
            1..=4 => Op::Checkpoint,
            5 => Op::Reopen,
            6..=13 => {
                let ids = (0..=chance.below(5)).map(|_| chance.below(IDS));
                Op::Delete(name, ids.collect())
            }
            _ => {
                let point = |_| (chance.below(IDS), chance.below(1 << 20));
                let mut points: Vec<_> = (0..8).map(point).collect();
                points.truncate(1 + chance.index(8));
                Op::Upsert(name, points)
            }
        }
    }
}
