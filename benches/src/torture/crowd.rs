//! People: what is said of somebody, renamings in which two become one, faces given to another; what
//! the model makes of them, what the engine does, and what must be told of everybody.

use std::collections::BTreeMap;

use engine::{
    ABOUT_PERSON, Ack, Chosen, Engine, PERSON, Payload, PayloadChange, PersonChange, PointId, Taken,
};
use serde_json::{Value, json};

use super::model::{Cabinet, Held};
use crate::chance::Chance;

/// Whoever there is has one of these names.
const PEOPLE: [&str; 3] = ["Ada", "Bob", "Cleo"];

/// Something done to people of a collection.
#[derive(Debug, Clone)]
pub(super) enum Social {
    /// Something is said of a person; their id, if they have none yet.
    Say(&'static str, PersonChange, String),
    /// The first becomes the second, or one with the second; their id, if they have none yet and come to need one.
    Rename(&'static str, &'static str, String),
    /// Says whose a point is.
    Assign(u64, Option<&'static str>),
}

/// The person of a point that is put with this number.
pub(super) fn person_of(n: u64) -> Option<&'static str> {
    // Tags follow from the rest of a division by 5.
    let at = usize::try_from(n / 5 % 4).ok()?;
    PEOPLE.get(at).copied()
}

fn is_of(point: &Held, who: &str) -> bool {
    point.payload.get(PERSON).and_then(Value::as_str) == Some(who)
}

/// Something that can be done.
pub(super) fn choose(cabinet: &Cabinet, chance: &mut Chance) -> Option<Social> {
    let ids: Vec<u64> = cabinet.points.keys().copied().collect();
    let some = *ids.get(chance.index(ids.len().max(1)))?;
    let other = PEOPLE[chance.index(PEOPLE.len())];
    if chance.once_in(4) {
        return Some(Social::Assign(some, (!chance.once_in(4)).then_some(other)));
    }
    let there = |who: &&&str| cabinet.points.values().any(|point| is_of(point, who));
    let there: Vec<_> = PEOPLE.iter().filter(there).copied().collect();
    let who = *there.get(chance.index(there.len().max(1)))?;
    let renames = chance.once_in(3) && other != who;
    let fresh = format!("id-{}", chance.below(1 << 40));
    if renames {
        return Some(Social::Rename(who, other, fresh));
    }
    Some(Social::Say(who, choose_change(cabinet, who, chance), fresh))
}

fn choose_change(cabinet: &Cabinet, who: &str, chance: &mut Chance) -> PersonChange {
    // A point without a face cannot be shown.
    let is_face = |id: &u64| (cabinet.points.get(id)).is_some_and(|point| point.picture.is_some());
    let theirs: Vec<u64> = cabinet.theirs(who).into_iter().filter(is_face).collect();
    let value = match chance.once_in(3) {
        true => Value::Null,
        false => chance.below(1_000).into(),
    };
    let key = ["born", "field"][chance.index(2)].to_owned();
    let best = match chance.once_in(3) {
        true => None,
        false => theirs.get(chance.index(theirs.len().max(1))).copied(),
    };
    PersonChange {
        id: None,
        ignored: chance.once_in(2).then(|| chance.once_in(2)),
        best: chance.once_in(2).then(|| best.map(PointId::Num)),
        attributes: chance
            .once_in(2)
            .then(|| Payload::from_iter([(key, value)])),
    }
}

/// Does it.
pub(super) fn perform(engine: &Engine, name: &str, social: &Social) -> Result<(), engine::Error> {
    match social {
        Social::Say(who, change, fresh) => engine
            .change_person(name, who, change.clone(), fresh.clone())
            .map(drop),
        Social::Rename(from, to, fresh) => engine
            .rename_person(name, (from, to), Taken::Merge, fresh, Ack::Applied)
            .map(drop),
        Social::Assign(id, person) => {
            let payload = Payload::from_iter([(PERSON.to_owned(), (*person).into())]);
            let change = PayloadChange::Set { payload, key: None };
            let chosen = Chosen::Ids(vec![PointId::Num(*id)]);
            engine
                .change_payload(name, chosen, &change, Ack::Applied)
                .map(drop)
        }
    }
}

impl Cabinet {
    fn theirs(&self, who: &str) -> Vec<u64> {
        let theirs = self.points.iter().filter(|(_, point)| is_of(point, who));
        theirs.map(|(id, _)| *id).collect()
    }

    /// What is known of somebody: the first of their points that says something does.
    pub(super) fn about(&self, who: &str) -> Option<Value> {
        let mut theirs = self.points.values().filter(|point| is_of(point, who));
        theirs.find_map(|point| point.payload.get(ABOUT_PERSON).cloned())
    }

    /// What is known of everybody.
    pub(super) fn abouts(&self) -> BTreeMap<&'static str, Value> {
        let known = PEOPLE
            .iter()
            .filter_map(|who| Some((*who, self.about(who)?)));
        known.collect()
    }

    fn set(&mut self, ids: &[u64], key: &str, value: Option<Value>) {
        for id in ids {
            let Some(point) = self.points.get_mut(id) else {
                continue;
            };
            match value.clone() {
                Some(value) => drop(point.payload.insert(key.into(), value)),
                None => drop(point.payload.remove(key)),
            }
        }
    }

    pub(super) fn meet(&mut self, social: &Social) {
        match social {
            Social::Say(who, change, fresh) => {
                let theirs = self.theirs(who);
                let about = self.about(who).unwrap_or_else(|| first_said(fresh));
                self.set(&theirs, ABOUT_PERSON, Some(said(about, change)));
            }
            Social::Rename(from, to, fresh) => {
                let (ids, others) = (self.theirs(from), self.theirs(to));
                if !others.is_empty() {
                    let about = of_both(self.about(to), self.about(from), fresh);
                    self.set(&[&ids[..], &others].concat(), ABOUT_PERSON, about);
                }
                self.set(&ids, PERSON, Some((*to).into()));
            }
            Social::Assign(id, person) => {
                let about = person.and_then(|who| self.about(who));
                self.set(&[*id], ABOUT_PERSON, about);
                self.set(&[*id], PERSON, person.map(Value::from));
            }
        }
    }
}

fn first_said(id: &str) -> Value {
    json!({"id": id, "ignored": false, "best": null, "attributes": {}})
}

/// What is known of two who become one: what is of the second, and the attributes that only the first has.
fn of_both(own: Option<Value>, other: Option<Value>, fresh: &str) -> Option<Value> {
    let others = other.map(|mut it| it["attributes"].take());
    let others = others.as_ref().and_then(Value::as_object);
    let mut both = own;
    for (key, value) in others.into_iter().flatten() {
        let attributes = &mut both.get_or_insert_with(|| first_said(fresh))["attributes"];
        if attributes[key].is_null() {
            attributes[key] = value.clone();
        }
    }
    both
}

fn said(mut about: Value, change: &PersonChange) -> Value {
    if let Some(ignored) = change.ignored {
        about["ignored"] = ignored.into();
    }
    if let Some(best) = change.best {
        about["best"] = match best {
            Some(PointId::Num(id)) => id.into(),
            _ => Value::Null,
        };
    }
    for (key, value) in change.attributes.iter().flatten() {
        let attributes = about["attributes"].as_object_mut();
        match (attributes, value.is_null()) {
            (Some(attributes), true) => drop(attributes.remove(key)),
            (Some(attributes), false) => drop(attributes.insert(key.clone(), value.clone())),
            (None, _) => {}
        }
    }
    about
}

/// Everybody is told with as many faces as they have, and with what is known of them.
pub(super) fn compare(engine: &Engine, name: &str, cabinet: &Cabinet) -> Result<(), String> {
    let wrong = |error: engine::Error| format!("people of `{name}`: {error}");
    let people = match engine.people(name, None, None, 100) {
        // Nothing was ever said of anybody, so that their names have no index.
        Err(engine::Error::BadRequest(_)) if cabinet.abouts().is_empty() => return Ok(()),
        people => people.map_err(wrong)?.0,
    };
    let told: Vec<_> = people
        .into_iter()
        .map(|it| (it.name, it.points, it.about.map(|about| about.told())))
        .collect();
    let due: Vec<_> = PEOPLE
        .iter()
        .map(|who| {
            (
                (*who).to_owned(),
                cabinet.theirs(who).len(),
                cabinet.about(who),
            )
        })
        .filter(|(_, points, _)| *points > 0)
        .collect();
    if told != due {
        return Err(format!("people of `{name}` are {told:?}, not {due:?}"));
    }
    let is_ignored = |point: &Held| {
        point.payload.get(ABOUT_PERSON).map(|it| &it["ignored"]) == Some(&true.into())
    };
    let ignored = cabinet.points.values().any(is_ignored);
    if engine.ignored(name).map_err(wrong)?.is_some() != ignored {
        return Err(format!(
            "`{name}` has people who are ignored: {ignored} is not told"
        ));
    }
    Ok(())
}
