//! What is known of a person beside the name: an id that outlives every renaming, whether they are to
//! be left out of suggestions, a face that somebody has chosen for them, and attributes.
//!
//! It stands in the payload of every face of theirs, as `about_person`, so it is in the log, in backups
//! and in exports as all payloads are, and needs no file of its own. One record changes it on all
//! faces at once; a point that comes in with the person's name, or is given it, is given this too
//! (`Engine::inherit`, `Engine::with_people`), and loses it with the name. Somebody of whom nothing was
//! ever said has none; points of several people have none either.

use serde_json::{Value, json};
use storage::{PointId, Record};

use crate::collection::Collection;
use crate::convert;
use crate::decide::Basis;
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::filter::{Condition, Filter, KeyPath, Scalar, Test};
use crate::payload::{IndexKind, PayloadChange, change_record};
use crate::people::{Person, is_of_one, named};
use crate::point::{Ack, PERSON, Payload, Point, Written};

/// The payload key.
pub const ABOUT_PERSON: &str = "about_person";

const ID: &str = "id";
const IGNORED: &str = "ignored";
const BEST: &str = "best";
const ATTRIBUTES: &str = "attributes";

/// What is known of a person beside the name.
#[derive(Debug, Clone, PartialEq)]
pub struct About {
    /// The same through all renamings.
    pub id: String,
    /// Whether they are left out of suggestions.
    pub ignored: bool,
    /// The face that was chosen for them.
    pub best: Option<PointId>,
    /// Whatever users want to be kept.
    pub attributes: Payload,
}

/// What is said of a person; what is `None` stays as it was.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PersonChange {
    /// The id that they are to have, as they had it elsewhere: of somebody of whom nothing was said yet.
    pub id: Option<String>,
    /// Whether they are left out of suggestions.
    pub ignored: Option<bool>,
    /// The face that is chosen for them; `Some(None)` takes the choice back.
    pub best: Option<Option<PointId>>,
    /// Merged key by key; a null takes its key away.
    pub attributes: Option<Payload>,
}

impl About {
    fn new(id: String) -> Self {
        Self {
            id,
            ignored: false,
            best: None,
            attributes: Payload::new(),
        }
    }

    /// As it stands in a payload; nothing if that is of another make.
    pub(crate) fn of(payload: &Payload) -> Option<Self> {
        let about = payload.get(ABOUT_PERSON)?;
        let attributes = about.get(ATTRIBUTES).and_then(Value::as_object);
        Some(Self {
            id: about.get(ID)?.as_str()?.to_owned(),
            ignored: about.get(IGNORED).and_then(Value::as_bool) == Some(true),
            best: about.get(BEST).and_then(id_of),
            attributes: attributes.cloned().unwrap_or_default(),
        })
    }

    /// As it stands in a payload.
    pub fn told(&self) -> Value {
        let best = self.best.map(|best| match best {
            PointId::Num(number) => Value::from(number),
            uuid => Value::from(uuid.to_string()),
        });
        json!({
            ID: self.id, IGNORED: self.ignored, BEST: best, ATTRIBUTES: self.attributes,
        })
    }

    /// What is known of two who become one: what is of the one whose name stays, and the attributes that
    /// only the other has. `fresh` is the id where these are all.
    pub(crate) fn of_both(own: Option<Self>, other: Option<&Self>, fresh: &str) -> Option<Self> {
        let others = other.map(|other| &other.attributes);
        let Some(others) = others.filter(|others| !others.is_empty()) else {
            return own;
        };
        let mut both = own.unwrap_or_else(|| Self::new(fresh.to_owned()));
        for (key, value) in others {
            both.attributes.entry(key).or_insert_with(|| value.clone());
        }
        Some(both)
    }

    /// But for the id, which stays.
    fn change(&mut self, change: PersonChange) {
        self.ignored = change.ignored.unwrap_or(self.ignored);
        self.best = change.best.unwrap_or(self.best);
        for (key, value) in change.attributes.unwrap_or_default() {
            match value {
                Value::Null => drop(self.attributes.remove(&key)),
                value => drop(self.attributes.insert(key, value)),
            }
        }
    }
}

fn id_of(value: &Value) -> Option<PointId> {
    match value {
        Value::Number(number) => number.as_u64().map(PointId::Num),
        Value::String(text) => {
            let digits = text.replace('-', "");
            let number = u128::from_str_radix(&digits, 16).ok();
            number.filter(|_| digits.len() == 32).map(PointId::Uuid)
        }
        _ => None,
    }
}

fn key(of: &str) -> KeyPath {
    KeyPath::parse(&format!("{ABOUT_PERSON}.{of}")).expect("a plain path is well formed")
}

impl Engine {
    /// Says something of a person, on all of their faces at once. `fresh` becomes their id if they
    /// have none yet.
    ///
    /// # Errors
    /// Nobody has the name; the chosen face is not theirs, or the point has none; they have another id, or somebody has theirs; it
    /// is too large.
    pub fn change_person(
        &self,
        collection: &str,
        name: &str,
        change: PersonChange,
        fresh: String,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        // By these it is found out who there is, who is ignored and who is known. The last says that all
        // are there, also after an end in between (`knows_people`).
        let indexes = [
            (KeyPath::of(PERSON), IndexKind::Keyword),
            (key(IGNORED), IndexKind::Bool),
            (key(ID), IndexKind::Keyword),
        ];
        for (key, kind) in indexes {
            if target.state.read().payload.field(&key).is_none() {
                self.create_index(collection, key, kind, Ack::Applied)?;
            }
        }
        let written = self.decided(|| self.change_person_once(&target, name, &change, &fresh));
        written.map_err(|error| rename_missing(error, collection))
    }

    fn change_person_once(
        &self,
        target: &Collection,
        name: &str,
        change: &PersonChange,
        fresh: &str,
    ) -> Result<Written, Error> {
        let deciding = self.alone(target);
        let ids = self.theirs(target, name)?;
        if let Some(Some(best)) = change.best
            && ids.binary_search(&best).is_err()
        {
            return Err(Error::BadRequest(format!(
                "face {best} cannot be the best of `{}`: it is not theirs",
                name.chars().take(80).collect::<String>()
            )));
        }
        if let Some(Some(best)) = change.best
            && target.has_face(&best) != Some(true)
        {
            return Err(Error::Conflict(format!(
                "point {best} cannot be the best face of `{}`: it came in without a photo, so it has no face",
                name.chars().take(80).collect::<String>()
            )));
        }
        let mut about = match (self.about(target, name)?, &change.id) {
            (Some(about), Some(id)) if about.id != *id => {
                return Err(Error::Conflict(format!(
                    "`{}` has the id {} already",
                    name.chars().take(80).collect::<String>(),
                    about.id
                )));
            }
            (Some(about), _) => about,
            (None, Some(id)) if self.first_of_id(target, id)?.is_some() => {
                return Err(Error::Conflict(format!(
                    "somebody else has the id {id} already"
                )));
            }
            (None, id) => About::new(id.as_deref().unwrap_or(fresh).to_owned()),
        };
        about.change(change.clone());
        let mut payload = Payload::new();
        payload.insert(ABOUT_PERSON.to_owned(), about.told());
        self.set_on(deciding.basis, target, (ids, payload), Ack::Applied)
    }

    /// A change of payloads with what follows from it for what is known of people, which goes with the
    /// person: who is given a name is given what is known of that person, who is given none has nothing.
    pub(crate) fn with_people(
        &self,
        target: &Collection,
        ids: &[PointId],
        change: &PayloadChange,
    ) -> Result<PayloadChange, Error> {
        let mut change = change.clone();
        if !change.names_people() {
            return Ok(change);
        }
        self.shared().wait_answered()?;
        match &mut change {
            PayloadChange::Set { payload, key: None } => {
                let about = self.about_of(target, payload)?;
                payload.insert(ABOUT_PERSON.to_owned(), about.unwrap_or_default());
            }
            PayloadChange::Overwrite { payload, key: None } => {
                if let Some(about) = self.about_of(target, payload)? {
                    payload.insert(ABOUT_PERSON.to_owned(), about);
                }
            }
            PayloadChange::Delete(keys) => keys.push(KeyPath::of(ABOUT_PERSON)),
            PayloadChange::Set { .. } | PayloadChange::Overwrite { .. } => {
                self.expect_unknown(target, ids)?;
            }
            PayloadChange::Clear => {}
        }
        Ok(change)
    }

    /// What is known of the person that a payload names, as it stands in one.
    fn about_of(&self, target: &Collection, payload: &Payload) -> Result<Option<Value>, Error> {
        let about = match payload.get(PERSON).and_then(Value::as_str) {
            Some(person) => self.about(target, person)?,
            None => None,
        };
        Ok(about.map(|about| about.told()))
    }

    /// Refuses points of people of whom something is known: a part of a name is none.
    fn expect_unknown(&self, target: &Collection, ids: &[PointId]) -> Result<(), Error> {
        for id in ids {
            let payload = self.shared().tables.payload(target.id, id)?;
            let payload = payload.map(|bytes| convert::payload(&bytes)).transpose()?;
            if payload.is_some_and(|payload| payload.contains_key(ABOUT_PERSON)) {
                return Err(Error::BadRequest(format!(
                    "point {id} is of a person of whom something is known, so its `{PERSON}` is a name: set \
                     `{PERSON}` itself, not a part of it"
                )));
            }
        }
        Ok(())
    }

    pub(crate) fn set_on(
        &self,
        basis: Basis,
        target: &Collection,
        (ids, payload): (Vec<PointId>, Payload),
        ack: Ack,
    ) -> Result<Written, Error> {
        let change = PayloadChange::Set { payload, key: None };
        self.check_size(target, &ids, &change)?;
        let record = Record::ChangePayload {
            collection: target.id,
            ids,
            change: change_record(&change)?,
        };
        self.write(basis, record, ack)
    }

    /// What is known of a person, from the first of their faces that says something.
    pub(crate) fn about(&self, target: &Collection, name: &str) -> Result<Option<About>, Error> {
        if !target.knows_people() {
            return Ok(None);
        }
        let mut theirs = named(name);
        theirs.must_not.push(Condition::Key {
            key: key(ID),
            test: Test::Empty,
        });
        let mut ids = self.let_through(target, &target.resolve(&theirs))?;
        ids.sort_unstable();
        for id in ids {
            let payload = self.shared().tables.payload(target.id, &id)?;
            let payload = payload.map(|bytes| convert::payload(&bytes)).transpose()?;
            let payload = payload.unwrap_or_default();
            if let (true, Some(about)) = (is_of_one(&payload, name), About::of(&payload)) {
                return Ok(Some(about));
            }
        }
        Ok(None)
    }

    /// Points that come in under a person's name are given what is known of them, by all that was
    /// acknowledged until now: a renaming that nobody waited for may not have been applied yet. What
    /// others still wait for is not waited for here, so that an import's requests share their syncs.
    pub(crate) fn inherit(&self, target: &Collection, points: &mut [Point]) -> Result<(), Error> {
        if !are_named(points) || !target.knows_people() {
            return Ok(());
        }
        self.shared().wait_answered()?;
        for point in points {
            if let Some(about) = self.about_of(target, &point.payload)? {
                point.payload.insert(ABOUT_PERSON.to_owned(), about);
            }
        }
        Ok(())
    }

    /// The person with an id; `None` if nobody has it.
    pub fn person_of_id(&self, collection: &str, id: &str) -> Result<Option<Person>, Error> {
        let target = self.holder(collection)?;
        if !target.knows_people() {
            return Ok(None);
        }
        let Some(first) = self.first_of_id(&target, id)? else {
            return Ok(None);
        };
        let payload = self.shared().tables.payload(target.id, &first)?;
        let payload = payload.map(|bytes| convert::payload(&bytes)).transpose()?;
        let payload = payload.unwrap_or_default();
        match payload.get(PERSON).and_then(Value::as_str) {
            Some(name) => self.person(collection, name),
            None => Ok(None),
        }
    }

    /// The first point of the person with an id.
    fn first_of_id(&self, target: &Collection, id: &str) -> Result<Option<PointId>, Error> {
        let filter = Filter::must(Condition::Key {
            key: key(ID),
            test: Test::Value(Scalar::Text(id.to_owned())),
        });
        let ids = self.let_through(target, &target.resolve(&filter))?;
        Ok(ids.into_iter().min())
    }

    /// The condition that holds of the faces of people who are ignored; `None` if nobody is.
    pub fn ignored(&self, collection: &str) -> Result<Option<Condition>, Error> {
        let target = self.holder(collection)?;
        if !target.knows_people() {
            return Ok(None);
        }
        let ignored = Condition::Key {
            key: key(IGNORED),
            test: Test::Value(Scalar::Bool(true)),
        };
        let filter = target.resolve(&Filter::must(ignored.clone()));
        let nobody = target.count_where(&filter) == Some(0);
        Ok((!nobody).then_some(ignored))
    }
}

/// Whether a point comes in under somebody's name.
pub(crate) fn are_named(points: &[Point]) -> bool {
    let mut points = points.iter();
    points.any(|point| point.payload.contains_key(PERSON))
}

impl Collection {
    /// Whether something was ever said of anybody: then there is an index of it.
    fn knows_people(&self) -> bool {
        self.state.read().payload.field(&key(ID)).is_some()
    }
}
