//! People as they travel.

use engine::{Ack, Payload, PersonChange, Taken, Written};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize};

use super::id::Id;
use super::point::Updated;
use crate::limits;
use crate::refusal::Refusal;

/// Parameters of a list of people.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeopleParams {
    /// 10 by default.
    limit: Option<usize>,
    /// The name that the page starts with: `next_page_offset` of the page before.
    pub(crate) offset: Option<String>,
    /// Only people whose name has this in it, whatever the case; `_` is taken for a space.
    pub(crate) search: Option<String>,
    /// Only the person with this id.
    pub(crate) id: Option<String>,
}

impl PeopleParams {
    pub(crate) fn limit(&self) -> Result<usize, Refusal> {
        let (limit, most) = (self.limit.unwrap_or(limits::DEFAULT_LIMIT), limits::PAGE);
        match (1..=most).contains(&limit) {
            true => Ok(limit),
            false => Err(Refusal::wrong(format!("`limit` must be 1 to {most}"))),
        }
    }
}

/// Somebody whose faces the collection has.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PersonOut {
    name: String,
    /// Faces, and other points, that have the name.
    faces: usize,
    /// The face that was chosen for them, else the largest and surest of the first few.
    best: Option<Id>,
    /// Where its crop is.
    image: Option<String>,
    /// The same through all renamings; absent of people of whom nothing was ever said.
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<String>,
    /// Whether they are left out of searches for look-alikes.
    ignored: bool,
    attributes: Payload,
}

impl PersonOut {
    pub(crate) fn new(collection: &str, person: engine::Person) -> Self {
        let best = person.best.map(Id);
        let (id, ignored, attributes) = match person.about {
            Some(about) => (Some(about.id), about.ignored, about.attributes),
            None => (None, false, Payload::new()),
        };
        Self {
            name: person.name,
            faces: person.points,
            image: best.map(|id| super::face::image_path(collection, id)),
            best,
            id,
            ignored,
            attributes,
        }
    }
}

/// A page of people, in the order of their names.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PeopleOut {
    pub(crate) people: Vec<PersonOut>,
    /// The `offset` of the next page; null at the end.
    pub(crate) next_page_offset: Option<String>,
}

/// The body of `PATCH /collections/{c}/people`. What is not said stays as it was.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePerson {
    /// The name that the person has.
    pub(crate) name: String,
    /// Whether they are left out of searches for look-alikes.
    ignored: Option<bool>,
    /// The face that is shown for them; null takes the choice back.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<Id>")]
    best: Option<Option<Id>>,
    /// Merged key by key; a null takes its key away.
    attributes: Option<Payload>,
    /// A UUID, as the person had it in another collection; of somebody of whom nothing was said yet.
    #[schemars(extend("format" = "uuid"))]
    id: Option<String>,
}

/// A null is something said; only a field that is absent is not.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<Id>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl TryFrom<ChangePerson> for PersonChange {
    type Error = Refusal;

    fn try_from(body: ChangePerson) -> Result<Self, Refusal> {
        let id = body.id.as_deref().map(uuid::Uuid::try_parse);
        let id = id.transpose();
        let id = id.map_err(|error| Refusal::wrong(format!("`id` must be a UUID: {error}")))?;
        Ok(Self {
            id: id.map(|id| id.to_string()),
            ignored: body.ignored,
            best: body.best.map(|best| best.map(|id| id.0)),
            attributes: body.attributes,
        })
    }
}

/// The body of `POST /collections/{c}/people/rename`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameBody {
    from: String,
    to: String,
    /// Whether both become one person where somebody has the new name; refused by default.
    merge: Option<bool>,
}

/// Who is to be renamed.
#[derive(Debug)]
pub(crate) struct Rename {
    pub(crate) from: String,
    pub(crate) to: String,
    pub(crate) taken: Taken,
}

impl TryFrom<RenameBody> for Rename {
    type Error = Refusal;

    fn try_from(body: RenameBody) -> Result<Self, Refusal> {
        let most = limits::PERSON_CHARS;
        if body.to.is_empty() || body.to.chars().count() > most {
            return Err(Refusal::wrong(format!(
                "`to` must have 1 to {most} characters"
            )));
        }
        if body.to.trim().is_empty() || body.to.chars().any(char::is_control) {
            return Err(Refusal::wrong(
                "`to` must be more than blanks, and without control characters",
            ));
        }
        if body.from == body.to {
            return Err(Refusal::wrong("`from` and `to` are the same name"));
        }
        Ok(Self {
            from: body.from,
            to: body.to,
            taken: match body.merge {
                Some(true) => Taken::Merge,
                _ => Taken::Refuse,
            },
        })
    }
}

/// The answer: as to any write, and how many faces were renamed.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Renamed {
    #[serde(flatten)]
    updated: Updated,
    changed: usize,
}

impl Renamed {
    pub(crate) fn new(written: Written, ack: Ack, changed: usize) -> Self {
        Self {
            updated: Updated::new(written, ack),
            changed,
        }
    }
}
