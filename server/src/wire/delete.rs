//! Faces that are to go: by their ids, by whose they are, or by a filter.

use engine::{Ack, Chosen, Condition, Filter, KeyPath, PERSON, Scalar, Test, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::choose::chosen;
use super::filter::WireFilter;
use super::id::Id;
use super::params::Ordering;
use super::point::Updated;
use super::{list, schema};
use crate::refusal::Refusal;

/// Parameters of `DELETE /collections/{c}/faces`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PersonParams {
    person: String,
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

    pub(crate) fn filter(self) -> Filter {
        of(self.person)
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
}

impl TryFrom<DeleteFaces> for Chosen {
    type Error = Refusal;

    fn try_from(body: DeleteFaces) -> Result<Self, Refusal> {
        match (body.points, body.person, body.filter) {
            (None, Some(person), None) => Ok(Chosen::Filter(of(person))),
            (None, None, Some(filter)) if filter.0.is_empty() => Err(Refusal::wrong(
                "an empty `filter` would take out every face: delete the collection instead",
            )),
            (points, None, filter) => chosen(points, filter),
            _ => Err(Refusal::wrong(
                "give one of `points`, `person` and `filter`",
            )),
        }
    }
}

/// The points that are of a person.
fn of(person: String) -> Filter {
    Filter::must(Condition::Key {
        key: KeyPath::of(PERSON),
        test: Test::Value(Scalar::Text(person)),
    })
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
