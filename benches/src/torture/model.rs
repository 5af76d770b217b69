//! What must be there: collections as plain maps, and what the operations make of them. It knows
//! nothing of how the engine does it.

use std::collections::{BTreeMap, BTreeSet};

use engine::{ABOUT_PERSON, PERSON, Payload, PayloadChange};
use serde_json::Value;

use super::crowd::person_of;
use super::ops::{Chosen, Op};

/// The key that points are chosen by.
pub(super) const TAG: &str = "tag";
/// The key of an object within payloads.
pub(super) const DEEP: &str = "deep";
/// How many tags there are.
pub(super) const TAGS: u64 = 5;
/// The vector of a collection that has but one.
pub(super) const ONLY: &str = "";
/// Vectors that have names: the first is always there, the second comes and goes.
pub(super) const FRONT: &str = "front";
pub(super) const SIDE: &str = "side";

/// A point. Vectors and picture are known by the numbers that they follow from.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Held {
    pub(super) vectors: BTreeMap<String, u64>,
    pub(super) payload: Payload,
    pub(super) picture: Option<u64>,
}

/// A collection.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Cabinet {
    pub(super) vectors: BTreeSet<String>,
    pub(super) points: BTreeMap<u64, Held>,
    /// Whether [`TAG`] has an index.
    pub(super) indexed: bool,
    /// What is noted in the collection's metadata.
    pub(super) note: Option<u64>,
}

/// All there is.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Model {
    pub(super) cabinets: BTreeMap<String, Cabinet>,
    pub(super) aliases: BTreeMap<String, String>,
}

/// The payload that a point of this number is put with.
pub(super) fn payload_of(n: u64) -> Payload {
    let mut payload = Payload::new();
    payload.insert("n".into(), n.into());
    payload.insert(TAG.into(), (n % TAGS).into());
    if let Some(person) = person_of(n) {
        payload.insert(PERSON.into(), person.into());
    }
    payload
}

/// Whether a point of this number has a picture.
pub(super) fn has_picture(n: u64) -> bool {
    n.is_multiple_of(3)
}

/// Whether a point that is put with this number lacks its second vector.
pub(super) fn lacks_second(n: u64) -> bool {
    n.is_multiple_of(4)
}

impl Held {
    pub(super) fn new(n: u64, vectors: &BTreeSet<String>) -> Self {
        let has = |name: &&String| *name != SIDE || !lacks_second(n);
        Self {
            vectors: vectors
                .iter()
                .filter(has)
                .map(|name| (name.clone(), n))
                .collect(),
            payload: payload_of(n),
            picture: has_picture(n).then_some(n),
        }
    }

    pub(super) fn has_tag(&self, tag: u64) -> bool {
        self.payload.get(TAG).and_then(Value::as_u64) == Some(tag)
    }
}

impl Model {
    /// The collection that a name or an alias stands for.
    pub(super) fn find(&self, name: &str) -> Option<&Cabinet> {
        self.cabinets.get(self.own_name(name))
    }

    /// The name of the collection that a name or an alias stands for.
    pub(super) fn own_name<'a>(&'a self, name: &'a str) -> &'a str {
        self.aliases.get(name).map_or(name, String::as_str)
    }

    fn find_mut(&mut self, name: &str) -> Option<&mut Cabinet> {
        let name = self.own_name(name).to_owned();
        self.cabinets.get_mut(&name)
    }

    pub(super) fn after(&self, op: Option<&Op>) -> Model {
        let mut after = self.clone();
        if let Some(op) = op {
            after.apply(op);
        }
        after
    }

    /// What an operation makes of it.
    pub(super) fn apply(&mut self, op: &Op) {
        match op {
            Op::Create(name) => {
                let vectors = vectors_of(name);
                let vectors = vectors.iter().map(|name| (*name).to_owned()).collect();
                let new = Cabinet {
                    vectors,
                    ..Cabinet::default()
                };
                self.cabinets.entry((*name).to_owned()).or_insert(new);
            }
            Op::Drop(name) => {
                self.cabinets.remove(*name);
                self.aliases.retain(|_, target| target != name);
            }
            Op::Alias(alias, name) => {
                self.aliases.insert((*alias).into(), (*name).into());
            }
            Op::Unalias(alias) => drop(self.aliases.remove(*alias)),
            Op::RestoreOne(_, contents, name) => {
                if let Some(cabinet) = contents.cabinets.values().next() {
                    self.cabinets.insert((*name).to_owned(), cabinet.clone());
                }
            }
            Op::RestoreAll(_, contents) => {
                self.cabinets.extend(contents.cabinets.clone());
                self.aliases.extend(contents.aliases.clone());
            }
            Op::Backup(_)
            | Op::DropBackup(_)
            | Op::Purge(..)
            | Op::Compact
            | Op::Checkpoint
            | Op::Reopen => {}
            Op::Upsert(name, _)
            | Op::Delete(name, _)
            | Op::Change(name, ..)
            | Op::UpdateVectors(name, _)
            | Op::DeleteVectors(name, ..)
            | Op::Index(name, _)
            | Op::Note(name, _)
            | Op::SecondVector(name, _)
            | Op::People(name, _)
            | Op::Fill(name, _)
            | Op::Retire(name, _)
            | Op::Reindex(name, ..) => {
                if let Some(cabinet) = self.find_mut(name) {
                    cabinet.apply(op);
                }
            }
        }
    }

    /// The numbers of all vectors, by collection.
    pub(super) fn vector_numbers(&self) -> BTreeMap<String, BTreeSet<u64>> {
        let all = self.cabinets.iter();
        all.map(|(name, cabinet)| (name.clone(), cabinet.vector_numbers()))
            .collect()
    }
}

/// The vectors that a collection of this name begins with.
pub(super) fn vectors_of(name: &str) -> &'static [&'static str] {
    match name {
        "zebras" => &[FRONT, SIDE],
        _ => &[ONLY],
    }
}

impl Cabinet {
    fn vector_numbers(&self) -> BTreeSet<u64> {
        let points = self.points.values();
        points
            .flat_map(|point| point.vectors.values().copied())
            .collect()
    }

    /// The points that were chosen.
    pub(super) fn chosen(&self, chosen: &Chosen) -> Vec<u64> {
        match chosen {
            Chosen::Ids(ids) => ids.clone(),
            Chosen::Tagged(tag) => {
                let points = self.points.iter();
                let tagged = points.filter(|(_, point)| point.has_tag(*tag));
                tagged.map(|(id, _)| *id).collect()
            }
        }
    }

    fn lose_second(&mut self) {
        self.vectors.remove(SIDE);
        for point in self.points.values_mut() {
            point.vectors.remove(SIDE);
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Upsert(_, points) => {
                let known = self.abouts();
                for (id, n) in points {
                    let mut held = Held::new(*n, &self.vectors);
                    if let Some(about) = person_of(*n).and_then(|who| known.get(who)) {
                        held.payload.insert(ABOUT_PERSON.into(), about.clone());
                    }
                    self.points.insert(*id, held);
                }
            }
            Op::Delete(_, chosen) => {
                let ids = self.chosen(chosen);
                self.points.retain(|id, _| !ids.contains(id));
            }
            Op::Change(_, chosen, change) => {
                for id in self.chosen(chosen) {
                    if let Some(point) = self.points.get_mut(&id) {
                        change_payload(&mut point.payload, change);
                    }
                }
            }
            Op::UpdateVectors(_, changes) => {
                for (id, name, n) in changes {
                    if let Some(point) = self.points.get_mut(id) {
                        point.vectors.insert((*name).into(), *n);
                    }
                }
            }
            Op::DeleteVectors(_, chosen, name) => {
                for id in self.chosen(chosen) {
                    if let Some(point) = self.points.get_mut(&id) {
                        point.vectors.remove(*name);
                    }
                }
            }
            Op::Index(_, indexed) => self.indexed = *indexed,
            Op::Note(_, note) => self.note = *note,
            Op::SecondVector(_, true) => drop(self.vectors.insert(SIDE.into())),
            Op::SecondVector(_, false) => self.lose_second(),
            Op::People(_, social) => self.meet(social),
            Op::Fill(_, refills) => {
                for (id, n) in refills {
                    if let Some(point) = self.points.get_mut(id)
                        && point.picture.is_some()
                    {
                        point.vectors.entry(SIDE.into()).or_insert(*n);
                    }
                }
            }
            Op::Retire(_, accept) => {
                let lacks = |point: &Held| {
                    point.vectors.contains_key(SIDE) && !point.vectors.contains_key(FRONT)
                };
                if *accept || !self.points.values().any(lacks) {
                    self.lose_second();
                }
            }
            _ => {}
        }
    }
}

/// Keys are of the payload itself or of its object [`DEEP`]; no other change is made.
fn change_payload(payload: &mut Payload, change: &PayloadChange) {
    match change {
        PayloadChange::Set { payload: new, key } => match key {
            None => merge(payload, new),
            Some(_) => {
                let there = payload.entry(DEEP).or_insert(Value::Null);
                if !there.is_object() {
                    *there = Payload::new().into();
                }
                if let Some(deep) = there.as_object_mut() {
                    merge(deep, new);
                }
            }
        },
        PayloadChange::Overwrite { payload: new, key } => match key {
            None => *payload = new.clone(),
            Some(_) => drop(payload.insert(DEEP.into(), new.clone().into())),
        },
        PayloadChange::Delete(keys) => {
            for key in keys {
                match key.to_string().split_once('.') {
                    None => drop(payload.remove(&key.to_string())),
                    Some((first, second)) => {
                        let deep = payload.get_mut(first).and_then(Value::as_object_mut);
                        deep.map(|deep| deep.remove(second));
                    }
                }
            }
        }
        PayloadChange::Clear => payload.clear(),
    }
}

fn merge(into: &mut Payload, new: &Payload) {
    for (key, value) in new {
        into.insert(key.clone(), value.clone());
    }
    into.retain(|_, value| !value.is_null());
}
