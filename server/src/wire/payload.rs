//! Changes of payloads as they travel.

use engine::{Chosen, KeyPath, PERSON, Payload, PayloadChange};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::choose::{ChosenBody, chosen};
use super::filter::WireFilter;
use super::id::Id;
use super::photo;
use super::unsupported::{self, Absent};
use super::{exact, list, reserved, schema};
use crate::refusal::Refusal;

/// The body of `POST` (set) and `PUT` (overwrite) `/collections/{c}/points/payload`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "filter"]))]
pub(crate) struct SetPayload {
    #[serde(deserialize_with = "exact::map")]
    payload: Payload,
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
    key: Option<String>,
    shard_key: Absent,
}

/// The body of `POST /collections/{c}/points/payload/delete`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(transform = schema::one_of(&["points", "filter"]))]
pub(crate) struct DeletePayload {
    #[schemars(length(min = 1))]
    keys: Vec<String>,
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
    shard_key: Absent,
}

/// The body of `PATCH /collections/{c}/faces/{id}`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PatchFace {
    /// Whose face it is; null makes it nobody's.
    #[serde(default, deserialize_with = "said")]
    #[schemars(with = "Option<String>")]
    person: Option<Option<String>>,
    /// Keys to set; a null takes its key away, other keys stay.
    #[serde(default, deserialize_with = "exact::optional_map")]
    payload: Option<Payload>,
}

/// A null is something said; only a field that is absent is not.
fn said<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<String>>, D::Error> {
    Deserialize::deserialize(deserializer).map(Some)
}

impl TryFrom<PatchFace> for PayloadChange {
    type Error = Refusal;

    fn try_from(body: PatchFace) -> Result<Self, Refusal> {
        body.payload.as_ref().map_or(Ok(()), reserved::payload)?;
        let payload = match (body.person, body.payload) {
            (None, None) => {
                return Err(Refusal::wrong("give `person`, `payload` or both"));
            }
            (Some(Some(person)), payload) => photo::payload(payload, Some(person))?,
            (Some(None), payload) => {
                let mut payload = payload.unwrap_or_default();
                if payload
                    .insert(PERSON.to_owned(), Value::Null)
                    .is_some_and(|it| !it.is_null())
                {
                    return Err(photo::two_people());
                }
                payload
            }
            (None, Some(payload)) => payload,
        };
        Ok(Self::Set { payload, key: None })
    }
}

/// Points and what becomes of their payloads.
pub(crate) type Change = (Chosen, PayloadChange);

impl SetPayload {
    /// Other keys stay.
    pub(crate) fn set(self) -> Result<Change, Refusal> {
        let (chosen, payload, key) = self.parts()?;
        Ok((chosen, PayloadChange::Set { payload, key }))
    }

    /// Other keys go.
    pub(crate) fn overwrite(self) -> Result<Change, Refusal> {
        let (chosen, payload, key) = self.parts()?;
        Ok((chosen, PayloadChange::Overwrite { payload, key }))
    }

    fn parts(self) -> Result<(Chosen, Payload, Option<KeyPath>), Refusal> {
        unsupported::refuse(&[("shard_key", &self.shard_key)])?;
        let key = self.key.as_deref().map(path).transpose()?;
        match &key {
            Some(key) => reserved::path(key)?,
            None => reserved::payload(&self.payload)?,
        }
        Ok((chosen(self.points, self.filter)?, self.payload, key))
    }
}

impl DeletePayload {
    pub(crate) fn delete(self) -> Result<Change, Refusal> {
        unsupported::refuse(&[("shard_key", &self.shard_key)])?;
        if self.keys.is_empty() {
            return Err(Refusal::wrong(
                "`keys` is empty: name what is to be deleted",
            ));
        }
        let keys = self.keys.iter().map(|key| path(key));
        let keys = keys.collect::<Result<Vec<_>, _>>()?;
        keys.iter().try_for_each(reserved::path)?;
        let chosen = chosen(self.points, self.filter)?;
        Ok((chosen, PayloadChange::Delete(keys)))
    }
}

/// Every key goes.
pub(crate) fn clear(body: ChosenBody) -> Result<Change, Refusal> {
    Ok((body.try_into()?, PayloadChange::Clear))
}

fn path(key: &str) -> Result<KeyPath, Refusal> {
    KeyPath::parse(key).map_err(Refusal::wrong)
}
