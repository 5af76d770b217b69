//! A point's vectors as they travel: a list of numbers where they have no name, otherwise an object
//! of such lists. Sparse vectors, lists of lists and texts to be embedded are refused.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use engine::Vectors;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Error, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::list::{self, List};
use crate::refusal::Refusal;

/// Vectors that come in.
#[derive(Debug, Clone, Default)]
pub(crate) struct VectorsIn(pub(crate) Vectors);

/// A list, or an object of such lists by name.
fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    let (unnamed, named) = (
        generator.subschema_for::<T>(),
        generator.subschema_for::<BTreeMap<String, T>>(),
    );
    json_schema!({"anyOf": [unnamed, named]})
}

impl JsonSchema for VectorsIn {
    fn schema_name() -> Cow<'static, str> {
        "Vectors".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of::<Vec<f32>>(generator)
    }
}

impl JsonSchema for VectorsOut {
    fn schema_name() -> Cow<'static, str> {
        VectorsIn::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        VectorsIn::json_schema(generator)
    }
}

impl JsonSchema for Columns {
    fn schema_name() -> Cow<'static, str> {
        "VectorsOfBatch".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schema_of::<Vec<Vec<f32>>>(generator)
    }
}

impl JsonSchema for VectorToFind {
    fn schema_name() -> Cow<'static, str> {
        "VectorToFind".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (vector, named) = (
            generator.subschema_for::<Vec<f32>>(),
            generator.subschema_for::<Named>(),
        );
        json_schema!({"anyOf": [vector, named]})
    }
}

/// Vectors that go out.
#[derive(Debug)]
pub(crate) struct VectorsOut(pub(crate) Vectors);

/// One vector of a point.
struct Plain(Vec<f32>);

impl<'de> Deserialize<'de> for VectorsIn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = VectorsIn;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "`vector` as a list of numbers, or as an object of such lists by name",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, numbers: A) -> Result<VectorsIn, A::Error> {
                Ok(VectorsIn(all_numbers(numbers)?.into()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<VectorsIn, A::Error> {
                let mut vectors = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if vectors.contains_key(&name) {
                        return Err(A::Error::custom(format!("vector `{name}` is there twice")));
                    }
                    let vector = map.next_value::<Plain>();
                    let vector = vector
                        .map_err(|error| A::Error::custom(format!("vector `{name}`: {error}")))?;
                    vectors.insert(name, vector.0);
                }
                Ok(VectorsIn(vectors.into_iter().collect()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl<'de> Deserialize<'de> for Plain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Numbers;
        impl<'de> Visitor<'de> for Numbers {
            type Value = Plain;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a list of numbers (sparse vectors and texts are not supported)")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, numbers: A) -> Result<Plain, A::Error> {
                all_numbers(numbers).map(Plain)
            }
        }
        deserializer.deserialize_any(Numbers)
    }
}

fn all_numbers<'de, A: SeqAccess<'de>>(mut numbers: A) -> Result<Vec<f32>, A::Error> {
    let mut vector = Vec::new();
    while let Some(number) = numbers.next_element()? {
        vector.push(number);
    }
    Ok(vector)
}

/// What an older client looks for: a vector, or one that says its name.
#[derive(Debug)]
pub(crate) struct VectorToFind {
    pub(crate) name: String,
    pub(crate) vector: Vec<f32>,
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedVector")]
struct Named {
    name: String,
    #[schemars(with = "Vec<f32>")]
    vector: Plain,
}

impl<'de> Deserialize<'de> for VectorToFind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = VectorToFind;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "`vector` as a list of numbers, or with its `name` beside such a list",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, numbers: A) -> Result<VectorToFind, A::Error> {
                Ok(VectorToFind {
                    name: String::new(),
                    vector: all_numbers(numbers)?,
                })
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<VectorToFind, A::Error> {
                let named = Named::deserialize(MapAccessDeserializer::new(map))?;
                Ok(VectorToFind {
                    name: named.name,
                    vector: named.vector.0,
                })
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The vectors of a batch: one list where they have no name, otherwise one by name.
#[derive(Debug)]
pub(crate) struct Columns(Vec<(String, Vec<Vec<f32>>)>);

impl Columns {
    /// The vectors by point.
    pub(crate) fn rows(self, count: usize) -> Result<Vec<Vectors>, Refusal> {
        let mut rows: Vec<Vec<(String, Vec<f32>)>> = vec![Vec::new(); count];
        for (name, column) in self.0 {
            if column.len() != count {
                let named = match name.as_str() {
                    "" => String::new(),
                    name => format!(" `{name}`"),
                };
                return Err(Refusal::wrong(format!(
                    "`batch` has {count} ids, {} vectors{named}",
                    column.len(),
                )));
            }
            for (row, vector) in rows.iter_mut().zip(column) {
                row.push((name.clone(), vector));
            }
        }
        Ok(rows.into_iter().map(Vectors::from_iter).collect())
    }
}

impl<'de> Deserialize<'de> for Columns {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Columns;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str(
                    "`vectors` as a list of vectors, or as an object of such lists by name",
                )
            }

            fn visit_seq<A: SeqAccess<'de>>(self, vectors: A) -> Result<Columns, A::Error> {
                let column = list::numbered(SeqAccessDeserializer::new(vectors))?;
                Ok(Columns(vec![(String::new(), column)]))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Columns, A::Error> {
                let mut columns = BTreeMap::new();
                while let Some(name) = map.next_key::<String>()? {
                    if columns.contains_key(&name) {
                        return Err(A::Error::custom(format!("vector `{name}` is there twice")));
                    }
                    let List(column) = map.next_value()?;
                    columns.insert(name, column);
                }
                Ok(Columns(columns.into_iter().collect()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

impl Serialize for VectorsOut {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let (1, Some(unnamed)) = (self.0.len(), self.0.get("")) {
            return unnamed.serialize(serializer);
        }
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, vector) in self.0.iter() {
            map.serialize_entry(name, vector)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Result<Vectors, String> {
        let vectors = serde_json::from_str::<VectorsIn>(&json.to_string());
        vectors
            .map(|vectors| vectors.0)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn vectors_with_and_without_names_come_back_as_they_went() {
        for json in [
            json!([1.0, 2.5]),
            json!({"a": [1.0], "b": [2.0, 3.0]}),
            json!({}),
        ] {
            let out = VectorsOut(read(json.clone()).unwrap());
            assert_eq!(serde_json::to_value(&out).unwrap(), json);
        }
    }

    #[test]
    fn what_is_no_list_of_numbers_is_refused_with_its_name() {
        let sparse = json!({"text": {"indices": [1], "values": [0.5]}});
        let cases = [
            (sparse, "`text`"),
            (json!({"a": [1, "x"]}), "`a`"),
            (json!([[1.0], [2.0]]), "sequence"),
            (json!({"text": "a cat", "model": "bert"}), "not supported"),
            (json!("a cat"), "list of numbers"),
            (json!(null), "list of numbers"),
        ];
        for (json, word) in cases {
            let error = read(json.clone()).unwrap_err();
            assert!(error.contains(word), "{json}: {error}");
        }
    }
}
