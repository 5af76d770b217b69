//! What is known of the people of points that come in, as an export tells it: `about_person` in the
//! payload of each of their points. It is the server's own key, so it is taken out of the payload and
//! said of the person once the first of their points is there; their other points are given it then.
//! Of somebody of whom the collection knows something already it stays as it is.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use anyhow::{Result, bail};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::client::{Client, Error};
use crate::limits;

pub(super) const PERSON: &str = "person";
const ABOUT_PERSON: &str = "about_person";

/// What a point says of its person.
#[derive(Debug, PartialEq)]
pub(super) struct About {
    name: String,
    id: String,
    ignored: bool,
    /// The face that was chosen for them.
    best: Value,
    attributes: Value,
}

impl About {
    /// Takes it out of a payload; what is there under the key and of another make stays, for the server
    /// to say what is wrong. Nobody is known by a point that is nobody's.
    ///
    /// # Errors
    /// The person's id is none.
    pub(super) fn taken_from(payload: &mut Map<String, Value>) -> Result<Option<Self>> {
        let id = payload.get(ABOUT_PERSON).and_then(|it| it["id"].as_str());
        let Some(id) = id.map(str::to_owned) else {
            return Ok(None);
        };
        let about = payload.remove(ABOUT_PERSON).unwrap_or_default();
        let Some(name) = payload.get(PERSON).and_then(Value::as_str) else {
            return Ok(None);
        };
        if Uuid::try_parse(&id).is_err() {
            bail!("`{ABOUT_PERSON}.id` is `{id}`, but must be a UUID");
        }
        Ok(Some(Self {
            name: name.to_owned(),
            id,
            ignored: about["ignored"] == true,
            best: about["best"].clone(),
            attributes: match &about["attributes"] {
                attributes @ Value::Object(_) => attributes.clone(),
                _ => json!({}),
            },
        }))
    }
}

/// What is known of somebody in the collection.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// What this import has said.
    Now,
    /// The same person was there.
    Before,
    /// Somebody else has the name there.
    OfAnother,
}

/// The people of one import.
pub(super) struct People<'a> {
    client: &'a Client,
    collection: &'a str,
    /// By a hash of the name.
    known: HashMap<u64, Told>,
    /// Of how many something was said.
    pub(super) restored: usize,
}

impl<'a> People<'a> {
    pub(super) fn of(client: &'a Client, collection: &'a str) -> Self {
        Self {
            client,
            collection,
            known: HashMap::new(),
            restored: 0,
        }
    }

    /// Says of the person of a point, which is there now, what the point says of them.
    pub(super) fn restore(
        &mut self,
        (point, is_new): (&Value, bool),
        about: &About,
    ) -> Result<(), Error> {
        let mut hasher = DefaultHasher::new();
        about.name.hash(&mut hasher);
        let who = hasher.finish();
        let told = match self.known.get(&who) {
            Some(told) => *told,
            None => self.tell(about)?,
        };
        if self.known.len() < limits::PEOPLE_COUNTED {
            self.known.insert(who, told);
        }
        if about.best != *point {
            return Ok(());
        }
        let is_to_be_chosen = match told {
            Told::Now => true,
            // An import that was broken off has said all but this.
            Told::Before => is_new || self.client.chosen_by(self.collection, point)?.is_null(),
            Told::OfAnother => false,
        };
        if is_to_be_chosen {
            let best = json!({"name": about.name, "best": about.best});
            match self.client.change_person(self.collection, &best) {
                // It came in as a vector, as most do: without its photo there is nothing to be shown.
                Err(Error::Refused { status: 409, .. }) => {}
                chosen => drop(pass_over(chosen, &[400, 404])?),
            }
        }
        Ok(())
    }

    /// Says what a point says of somebody, unless something is known of them.
    fn tell(&mut self, about: &About) -> Result<Told, Error> {
        let known = self.client.id_of_person(self.collection, &about.name);
        match pass_over(known, &[501])? {
            Some(Some(id)) if id == about.id => return Ok(Told::Before),
            Some(None) => {}
            _ => return Ok(Told::OfAnother),
        }
        let told = json!({
            "name": about.name, "id": about.id, "ignored": about.ignored,
            "attributes": about.attributes,
        });
        let told = self.client.change_person(self.collection, &told);
        if pass_over(told, &[404, 409, 501])?.is_none() {
            return Ok(Told::OfAnother);
        }
        self.restored += 1;
        Ok(Told::Now)
    }
}

/// Nothing, where a server refuses with one of these: the person has another name there by now, somebody
/// else has the id, the face is not theirs any more, or (501) the collection keeps no people. What the
/// collection has stays, and the rows that follow come in.
fn pass_over<T>(outcome: Result<T, Error>, refusals: &[u16]) -> Result<Option<T>, Error> {
    match outcome {
        Err(Error::Refused { status, message }) if refusals.contains(&status) => {
            tracing::warn!(message, "what is known of a person is not taken over");
            Ok(None)
        }
        outcome => outcome.map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";

    fn taken(payload: Value) -> (Option<About>, Value) {
        let mut payload = payload.as_object().unwrap().clone();
        let about = About::taken_from(&mut payload).unwrap();
        (about, Value::Object(payload))
    }

    #[test]
    fn what_is_known_of_a_person_is_taken_out_and_what_is_of_another_make_stays() {
        let told = json!({"id": ID, "ignored": true, "best": 3, "attributes": {"born": 1815}});
        let (about, left) = taken(json!({"person": "Ada", "about_person": told, "a": 1}));
        let about = about.unwrap();
        assert_eq!(left, json!({"person": "Ada", "a": 1}));
        assert_eq!((about.name.as_str(), about.id.as_str()), ("Ada", ID));
        assert_eq!((about.ignored, about.best), (true, json!(3)));
        assert_eq!(about.attributes, json!({"born": 1815}));
        for id in [ID, "x"] {
            let (nobodys, left) = taken(json!({"about_person": {"id": id}}));
            assert_eq!((nobodys, left), (None, json!({})));
        }
        for other in [json!({"person": "Ada"}), json!({"about_person": "a text"})] {
            assert_eq!(taken(other.clone()), (None, other));
        }
    }

    #[test]
    fn an_id_of_a_person_that_is_none_is_told() {
        let mut payload = json!({"person": "Ada", "about_person": {"id": "x"}});
        let payload = payload.as_object_mut().unwrap();
        let told = About::taken_from(payload).unwrap_err().to_string();
        assert_eq!(told, "`about_person.id` is `x`, but must be a UUID");
    }
}
