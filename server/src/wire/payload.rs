//! Changes of payloads as they travel.

use engine::{Chosen, KeyPath, Payload, PayloadChange};
use serde::Deserialize;

use super::choose::{ChosenBody, chosen};
use super::filter::WireFilter;
use super::id::Id;
use super::list;
use super::unsupported::{self, Absent};
use crate::refusal::Refusal;

/// The body of `POST` (set) and `PUT` (overwrite) `/collections/{c}/points/payload`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetPayload {
    payload: Payload,
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
    key: Option<String>,
    shard_key: Absent,
}

/// The body of `POST /collections/{c}/points/payload/delete`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeletePayload {
    keys: Vec<String>,
    #[serde(default, deserialize_with = "list::optional")]
    points: Option<Vec<Id>>,
    filter: Option<WireFilter>,
    shard_key: Absent,
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
        let keys = keys.collect::<Result<_, _>>()?;
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
