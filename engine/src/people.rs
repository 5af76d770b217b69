//! People: the names that the payload key `person` gives to faces, told in their order, and given
//! anew. A person is there as long as a point has the name.
//!
//! The index of the key says who there is, so it must be there and of kind keyword; collections made
//! for a model have it from the start. Renaming is one record: the faces of a person never have two
//! names, whatever happens meanwhile.

use std::ops::Bound::{Included, Unbounded};

use serde_json::Value;
use storage::PointId;

use crate::about::{ABOUT_PERSON, About};
use crate::collection::{Collection, State};
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::filter::{Condition, Filter, KeyPath, Scalar, Test};
use crate::limits::{MAX_PAGE, PERSON_SAMPLE};
use crate::numbers::PointNumber;
use crate::payload::{FieldIndex, IndexKind, Key};
use crate::point::{Ack, PERSON, Written};
use crate::read::at_most;

/// Somebody whose faces a collection has.
#[derive(Debug, Clone, PartialEq)]
pub struct Person {
    /// The name.
    pub name: String,
    /// Points that have it.
    pub points: usize,
    /// The face that was chosen for them, else the largest and surest among the first few; `None`
    /// where none of those is a face with a crop.
    pub best: Option<PointId>,
    /// What is known of them beside the name, if anything was said.
    pub about: Option<About>,
}

/// What becomes of a name that somebody else has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// It is refused.
    Refuse,
    /// Both become one person.
    Merge,
}

/// What becomes of points of several people where one of these is taken out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OfSeveral {
    /// Where there are such points, nothing is taken out.
    #[default]
    Refuse,
    /// They stay, under all their names.
    Keep,
    /// They go too.
    Delete,
}

/// People in the order of their names, and the name that the next page starts with.
pub type People = (Vec<Person>, Option<String>);

impl Engine {
    /// People in the order of their names (by code point), from a name on; those whose name has a
    /// text in it, whatever the case and with `_` as a space, if one is given.
    pub fn people(
        &self,
        collection: &str,
        search: Option<&str>,
        from: Option<&str>,
        limit: usize,
    ) -> Result<People, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        let (found, next) = collection.people(search, from, limit)?;
        let found = found.into_iter().map(|(name, points, sample)| {
            let about = self.about(&collection, &name)?;
            let chosen = about.as_ref().and_then(|about| about.best);
            let chosen = chosen.filter(|id| collection.is_face_of(id, &name));
            let best = match chosen {
                Some(chosen) => Some(chosen),
                None => self.best_face(&collection, &sample)?,
            };
            Ok(Person {
                name,
                points,
                best,
                about,
            })
        });
        Ok((found.collect::<Result<_, Error>>()?, next))
    }

    /// The person of a name; `None` if nobody has it.
    pub fn person(&self, collection: &str, name: &str) -> Result<Option<Person>, Error> {
        let (people, _) = self.people(collection, None, Some(name), 1)?;
        Ok(people.into_iter().find(|person| person.name == name))
    }

    /// The names of all people, in their order.
    pub fn person_names(&self, collection: &str) -> Result<Vec<String>, Error> {
        self.holder(collection)?.names(|_| true, usize::MAX)
    }

    /// The name that somebody has, as they have it: this one, else one that differs by case alone.
    pub fn person_called(&self, collection: &str, name: &str) -> Result<Option<String>, Error> {
        let collection = self.holder(collection)?;
        if collection.is_somebody(name)? {
            return Ok(Some(name.to_owned()));
        }
        let lower = name.to_lowercase();
        let found = collection.names(|other| other.to_lowercase() == lower, 1)?;
        Ok(found.into_iter().next())
    }

    fn best_face(
        &self,
        collection: &Collection,
        sample: &[PointId],
    ) -> Result<Option<PointId>, Error> {
        let mut best: Option<(f32, PointId)> = None;
        for id in sample {
            let face = self.shared().tables.face(collection.id, id)?;
            let Some(face) = face.filter(|face| face.crop.is_some()) else {
                continue;
            };
            let [_, _, width, height] = face.bounding_box;
            let worth = width * height * face.confidence;
            if best.is_none_or(|(known, _)| worth > known) {
                best = Some((worth, *id));
            }
        }
        Ok(best.map(|(_, id)| id))
    }

    /// Gives all faces of a person another name, and says how many those are. Points whose `person`
    /// is a list stay as they are. Of two who become one, what is known of the one whose name stays
    /// holds, with the attributes that only the other has; `fresh` becomes their id if these are the
    /// first thing that is said of them.
    ///
    /// # Errors
    /// Nobody has the old name; somebody has the new one and they are not to be merged.
    pub fn rename_person(
        &self,
        collection: &str,
        (from, to): (&str, &str),
        taken: Taken,
        fresh: &str,
        ack: Ack,
    ) -> Result<(Written, usize), Error> {
        let target = self.holder(collection)?;
        let renamed = self.decided(|| self.rename_once(&target, (from, to), taken, (fresh, ack)));
        renamed.map_err(|error| rename_missing(error, collection))
    }

    fn rename_once(
        &self,
        target: &Collection,
        (from, to): (&str, &str),
        taken: Taken,
        (fresh, ack): (&str, Ack),
    ) -> Result<(Written, usize), Error> {
        let deciding = self.alone(target);
        let mut ids = self.theirs(target, from)?;
        let others = self.decide(target, &named(to))?;
        if taken == Taken::Refuse && !others.is_empty() {
            let to = short(to);
            return Err(Error::Conflict(format!(
                "there is a person `{to}` already: say that both are to be merged"
            )));
        }
        let mut payload = crate::point::Payload::new();
        payload.insert(PERSON.to_owned(), to.into());
        let count = ids.len();
        if !others.is_empty() {
            let (own, other) = (self.about(target, to)?, self.about(target, from)?);
            let both = About::of_both(own.clone(), other.as_ref(), fresh);
            if both != own {
                ids.extend(self.theirs_alone(target, to)?);
                ids.sort_unstable();
            }
            if own.is_some() || other.is_some() {
                let told = both.map(|about| about.told());
                payload.insert(ABOUT_PERSON.to_owned(), told.unwrap_or_default());
            }
        }
        let written = self.set_on(deciding.basis, target, (ids, payload), ack)?;
        Ok((written, count))
    }
}

impl Engine {
    /// Takes out all points of a person, and says how many those are; 0 where nobody has the name.
    ///
    /// # Errors
    /// Some are of others too, and it is not said what becomes of those.
    pub fn delete_person(
        &self,
        collection: &str,
        name: &str,
        of_several: OfSeveral,
        ack: Ack,
    ) -> Result<(Written, usize), Error> {
        let target = self.holder(collection)?;
        let deleted = self.decided(|| {
            let deciding = self.alone(&target);
            let all = self.decide(&target, &named(name))?;
            let ids = match of_several {
                OfSeveral::Delete => all,
                OfSeveral::Refuse | OfSeveral::Keep => {
                    let points = all.len();
                    let alone = self.of_one(&target, name, all)?;
                    let several = points - alone.len();
                    if several > 0 && of_several == OfSeveral::Refuse {
                        return Err(Error::Conflict(format!(
                            "{several} of the {points} points of `{}` are of others too: say with `of_several` \
                             whether those are to `keep` or to `delete`",
                            short(name)
                        )));
                    }
                    alone
                }
            };
            self.delete_decided(&target, ids, (deciding.basis, ack))
        });
        deleted.map_err(|error| rename_missing(error, collection))
    }

    /// The points that a person has to themselves, one at least.
    pub(crate) fn theirs(&self, target: &Collection, name: &str) -> Result<Vec<PointId>, Error> {
        let alone = self.theirs_alone(target, name)?;
        if !alone.is_empty() {
            return Ok(alone);
        }
        match self.decide(target, &named(name))?.as_slice() {
            [] => Err(Error::NoPerson(short(name))),
            [first, ..] => Err(Error::Conflict(format!(
                "all points of `{}` are of others too, as point {first} is: a name, and what is known of somebody, \
                 is changed on points that are theirs alone; give such points one name first, by setting their \
                 `{PERSON}`",
                short(name)
            ))),
        }
    }

    /// The points of which a person is the only one, in the order of their ids; to be called while
    /// no other write of the collection can come in between.
    pub(crate) fn theirs_alone(
        &self,
        target: &Collection,
        name: &str,
    ) -> Result<Vec<PointId>, Error> {
        let all = self.decide(target, &named(name))?;
        self.of_one(target, name, all)
    }

    /// Of the points of a person those that are of nobody else.
    fn of_one(
        &self,
        target: &Collection,
        name: &str,
        all: Vec<PointId>,
    ) -> Result<Vec<PointId>, Error> {
        let mut alone = Vec::new();
        for id in all {
            let payload = self.shared().tables.payload(target.id, &id)?;
            let payload = payload.map(|bytes| crate::convert::payload(&bytes));
            let payload = payload.transpose()?.unwrap_or_default();
            if is_of_one(&payload, name) {
                alone.push(id);
            }
        }
        Ok(alone)
    }
}

/// Whether a point is of one person, whom it may name in a list; a null in it is nobody.
pub(crate) fn is_of_one(payload: &crate::point::Payload, name: &str) -> bool {
    match payload.get(PERSON) {
        Some(Value::Array(names)) => {
            let mut names = names.iter().filter(|it| !it.is_null()).peekable();
            names.peek().is_some() && names.all(|it| it == name)
        }
        person => person.and_then(Value::as_str) == Some(name),
    }
}

/// The points of a person.
pub(crate) fn named(person: &str) -> Filter {
    Filter::must(Condition::Key {
        key: KeyPath::of(PERSON),
        test: Test::Value(Scalar::Text(person.to_owned())),
    })
}

/// A name as it is told.
fn short(name: &str) -> String {
    name.chars().take(80).collect()
}

/// A name as a search takes it: neither case nor `_` in place of a space matters.
fn as_read(name: &str) -> String {
    name.to_lowercase().replace('_', " ")
}

/// The index that says who there is.
fn by_name(state: &State) -> Result<&FieldIndex, Error> {
    let field = state.payload.field(&KeyPath::of(PERSON));
    let field = field.filter(|field| field.kind == IndexKind::Keyword);
    field.ok_or_else(|| {
        Error::BadRequest(format!(
            "people are told by the index of `{PERSON}`, which must be of kind keyword: there is \
             none; create it first"
        ))
    })
}

/// A name, how many points have it, and the first few of them.
type Found = (String, usize, Vec<PointId>);

impl Collection {
    /// Names in their order that are wanted, so many at most.
    fn names(&self, wanted: impl Fn(&str) -> bool, limit: usize) -> Result<Vec<String>, Error> {
        let state = self.state.read();
        let all = by_name(&state)?.postings.keys();
        let names = all.filter_map(|key| match key {
            Key::Text(name) if wanted(name) => Some(name.to_string()),
            _ => None,
        });
        Ok(names.take(limit).collect())
    }

    fn is_somebody(&self, name: &str) -> Result<bool, Error> {
        let state = self.state.read();
        let points = by_name(&state)?.postings.of(&Key::Text(name.into()));
        Ok(!points.is_empty())
    }

    /// Whether a point is a face, and a person's: it may have become somebody else's.
    fn is_face_of(&self, id: &PointId, name: &str) -> bool {
        let state = self.state.read();
        let (Some(number), Ok(field)) = (state.numbers.number(id), by_name(&state)) else {
            return false;
        };
        let theirs = field.postings.of(&Key::Text(name.into()));
        state.faced.contains(number.0) && theirs.contains(number.0)
    }

    fn people(
        &self,
        search: Option<&str>,
        from: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Found>, Option<String>), Error> {
        let search = search.map(as_read);
        let state = self.state.read();
        let field = by_name(&state)?;
        let from = from.map_or(Unbounded, |name| Included(Key::Text(name.into())));
        let mut people = Vec::new();
        for (key, points) in field.postings.in_order((from, Unbounded)) {
            let Key::Text(name) = key else { continue };
            let wanted = search.as_ref();
            if !wanted.is_none_or(|text| as_read(name).contains(text)) {
                continue;
            }
            if people.len() == limit {
                return Ok((people, Some(name.to_string())));
            }
            let faces = &points & &state.faced;
            let sample = faces.iter().take(PERSON_SAMPLE).map(PointNumber);
            let sample = sample.filter_map(|number| state.numbers.id(number));
            let count = usize::try_from(points.len()).unwrap_or(usize::MAX);
            people.push((name.to_string(), count, sample.collect()));
        }
        Ok((people, None))
    }
}
