//! Fields of the dialect that doppel does not have. Clients send them as null, which says nothing;
//! anything else would be ignored, and a filter that is ignored shows faces that nobody asked for.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use crate::refusal::Refusal;

/// A field that may be absent or null.
pub(crate) type Absent = Option<Anything>;

/// Whatever a client has sent.
#[derive(Debug)]
pub(crate) struct Anything;

impl<'de> Deserialize<'de> for Anything {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

/// As the document tells it, only null may be sent.
impl JsonSchema for Anything {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Absent".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "null", "description": "Not supported: anything but null is refused."})
    }
}

/// Refuses the first field that says something.
pub(crate) fn refuse(fields: &[(&str, &Absent)]) -> Result<(), Refusal> {
    match fields.iter().find(|(_, field)| field.is_some()) {
        Some((name, _)) => Err(Refusal::wrong(format!("`{name}` is not supported yet"))),
        None => Ok(()),
    }
}
