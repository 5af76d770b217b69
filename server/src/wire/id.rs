//! Point ids as they travel: an unsigned integer, or a UUID as text.

use std::borrow::Cow;
use std::fmt;

use engine::PointId;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::refusal::Refusal;

/// A point's id in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Id(pub(crate) PointId);

impl Id {
    /// An id that nobody has used.
    pub(crate) fn random() -> Self {
        Self(PointId::Uuid(Uuid::new_v4().as_u128()))
    }

    /// An id in a path or a form field, where numbers are text too.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let number = text.bytes().all(|byte| byte.is_ascii_digit());
        let id = if number {
            text.parse().ok().map(PointId::Num)
        } else {
            uuid(text)
        };
        id.map(Self).ok_or_else(|| Refusal::wrong(refused(text)))
    }
}

fn uuid(text: &str) -> Option<PointId> {
    let id = Uuid::try_parse(text).ok()?;
    Some(PointId::Uuid(id.as_u128()))
}

fn refused(given: impl fmt::Display) -> String {
    let given: String = given.to_string().chars().take(80).collect();
    format!("`{given}` is not a point id, which is an unsigned integer or a UUID")
}

impl fmt::Display for Id {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(out)
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            PointId::Num(number) => serializer.serialize_u64(number),
            PointId::Uuid(_) => serializer.collect_str(&self.0),
        }
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(IdVisitor)
    }
}

impl JsonSchema for Id {
    fn schema_name() -> Cow<'static, str> {
        "PointId".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"anyOf": [
            {"type": "integer", "minimum": 0, "maximum": u64::MAX},
            {"type": "string", "format": "uuid"},
        ]})
    }
}

struct IdVisitor;

impl Visitor<'_> for IdVisitor {
    type Value = Id;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a point id: an unsigned integer or a UUID")
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Id, E> {
        Ok(Id(PointId::Num(number)))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Id, E> {
        Err(E::custom(refused(number)))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Id, E> {
        Err(E::custom(refused(number)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Id, E> {
        uuid(text).map(Id).ok_or_else(|| E::custom(refused(text)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b";

    #[test]
    fn numbers_and_uuids_travel_there_and_back() {
        for json in ["0", "18446744073709551615", &format!("\"{UUID}\"")] {
            let id: Id = serde_json::from_str(json).unwrap();
            assert_eq!(serde_json::to_string(&id).unwrap(), json);
        }
        let simple: Id = serde_json::from_str(&format!("\"{}\"", UUID.replace('-', ""))).unwrap();
        assert_eq!(simple.to_string(), UUID);
    }

    #[test]
    fn anything_else_is_refused_and_named() {
        for json in ["-1", "1.5", "\"abc\"", "\"7\"", "18446744073709551616"] {
            let error = serde_json::from_str::<Id>(json).unwrap_err().to_string();
            assert!(error.contains("is not a point id"), "{json}: {error}");
        }
        for json in ["null", "[]", "{}", "true"] {
            assert!(serde_json::from_str::<Id>(json).is_err(), "{json}");
        }
    }

    #[test]
    fn in_a_path_both_are_text() {
        assert_eq!(Id::parse("17").unwrap(), Id(PointId::Num(17)));
        assert_eq!(Id::parse(UUID).unwrap().to_string(), UUID);
        for text in [
            "",
            "-1",
            "1.0",
            "18446744073709551616",
            "..",
            "a b",
            "\u{661}",
        ] {
            assert!(Id::parse(text).is_err(), "{text:?}");
        }
    }
}
