//! Faces that are to go: by their ids, by whose they are, or by a filter.

use engine::{Ack, Chosen, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::chosen;
use super::filter::WireFilter;
use super::id::Id;
use super::params::Ordering;
use super::point::Updated;
use super::{list, schema};
use crate::refusal::Refusal;

/// What becomes of faces that are of others too: where there are such, nothing is taken out (`refuse`,
/// if it is not said); they stay under all their names (`keep`); they go too (`delete`).
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
enum OfSeveral {
    Refuse,
    Keep,
    Delete,
}

impl From<OfSeveral> for engine::OfSeveral {
    fn from(of_several: OfSeveral) -> Self {
        match of_several {
            OfSeveral::Refuse => Self::Refuse,
            OfSeveral::Keep => Self::Keep,
            OfSeveral::Delete => Self::Delete,
        }
    }
}

fn told(of_several: Option<OfSeveral>) -> engine::OfSeveral {
    of_several.map(Into::into).unwrap_or_default()
}

/// Faces that are to go.
#[derive(Debug)]
pub(crate) enum Gone {
    Chosen(Chosen),
    Person(String, engine::OfSeveral),
}

/// Parameters of `DELETE /collections/{c}/faces`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonParams {
    person: String,
    of_several: Option<OfSeveral>,
    wait: Option<bool>,
    #[serde(rename = "ordering")]
    #[schemars(transform = schema::no_effect)]
    _ordering: Option<Ordering>,
    #[serde(rename = "timeout")]
    #[schemars(transform = schema::no_effect)]
    _timeout: Option<u64>,
}

impl PersonParams {
    pub(crate) fn ack(&self) -> Ack {
        match self.wait {
            Some(false) => Ack::Durable,
            _ => Ack::Applied,
        }
    }

    pub(crate) fn gone(self) -> Gone {
        Gone::Person(self.person, told(self.of_several))
    }
}

/// The body of `POST /collections/{c}/faces/delete`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "person", "filter"]))]
pub(crate) struct DeleteFaces {
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    person: Option<String>,
    filter: Option<WireFilter>,
    /// Of a `person`.
    of_several: Option<OfSeveral>,
}

impl TryFrom<DeleteFaces> for Gone {
    type Error = Refusal;

    fn try_from(body: DeleteFaces) -> Result<Self, Refusal> {
        if body.of_several.is_some() && body.person.is_none() {
            return Err(Refusal::wrong("`of_several` goes with `person`"));
        }
        match (body.points, body.person, body.filter) {
            (None, Some(person), None) => Ok(Gone::Person(person, told(body.of_several))),
            (None, None, Some(filter)) if filter.0.is_empty() => Err(Refusal::wrong(
                "an empty `filter` would take out every face: delete the collection instead",
            )),
            (points, None, filter) => chosen(points, filter).map(Gone::Chosen),
            _ => Err(Refusal::wrong(
                "give one of `points`, `person` and `filter`",
            )),
        }
    }
}

/// The answer: as to any write, and how many there were if ids did not say.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Deleted {
    #[serde(flatten)]
    updated: Updated,
    #[serde(skip_serializing_if = "Option::is_none")]
    deleted: Option<usize>,
}

impl Deleted {
    pub(crate) fn new(written: Written, ack: Ack, deleted: Option<usize>) -> Self {
        Self {
            updated: Updated::new(written, ack),
            deleted,
        }
    }
}
