//! What a search goes by: a vector, or a point that has one. Read by hand and not as an untagged
//! choice, which would copy every number twice and forget where in the body a mistake is.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::id::Id;

/// A vector, or the id of a point that has one.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    Vector(Vec<f32>),
    Point(Id),
}

/// One of those, or what `T` reads out of an object.
#[derive(Debug)]
pub(crate) enum InputOr<T> {
    Input(Input),
    Other(T),
}

/// A type whose objects may stand where an [`Input`] may.
pub(crate) trait Other: Sized {
    /// What is expected, for messages.
    const EXPECTED: &'static str;
}

/// Nothing but an input.
#[derive(Debug, serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

impl Other for Nothing {
    const EXPECTED: &'static str = "a list of numbers or the id of a point";
}

impl<'de> Deserialize<'de> for Input {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match InputOr::<Nothing>::deserialize(deserializer)? {
            InputOr::Input(input) => Ok(input),
            InputOr::Other(Nothing {}) => Err(D::Error::custom(format!(
                "invalid type: map, expected {}",
                Nothing::EXPECTED
            ))),
        }
    }
}

impl<'de, T: Other + Deserialize<'de>> Deserialize<'de> for InputOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(InputVisitor(std::marker::PhantomData))
    }
}

struct InputVisitor<T>(std::marker::PhantomData<T>);

impl<'de, T: Other + Deserialize<'de>> Visitor<'de> for InputVisitor<T> {
    type Value = InputOr<T>;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(T::EXPECTED)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Self::Value, A::Error> {
        let mut vector = Vec::with_capacity(numbers.size_hint().unwrap_or(0).min(1 << 16));
        while let Some(number) = numbers.next_element()? {
            vector.push(number);
        }
        Ok(InputOr::Input(Input::Vector(vector)))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        let id = Id(engine::PointId::Num(number));
        Ok(InputOr::Input(Input::Point(id)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Self::Value, E> {
        let id = serde::de::value::StrDeserializer::new(text);
        Ok(InputOr::Input(Input::Point(Id::deserialize(id)?)))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(InputOr::Other)
    }
}

impl JsonSchema for Input {
    fn schema_name() -> Cow<'static, str> {
        "VectorOrId".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (vector, id) = (
            generator.subschema_for::<Vec<f32>>(),
            generator.subschema_for::<Id>(),
        );
        json_schema!({"anyOf": [vector, id]})
    }
}

impl<T: JsonSchema> JsonSchema for InputOr<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("VectorOrIdOr{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (input, other) = (
            generator.subschema_for::<Input>(),
            generator.subschema_for::<T>(),
        );
        json_schema!({"anyOf": [input, other]})
    }
}
