//! JSON values of a body that are kept or judged as they came. Nothing of them is lost in silence: a
//! key that stands twice is refused, of which `serde_json` would keep the last, and so is a number
//! that is not finite, which MessagePack can write and of which it would make null. In a filter
//! either would be a condition that is passed over.

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads any value; use as `#[serde(deserialize_with = "exact::value")]`.
pub(crate) fn value<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
    Exact::deserialize(deserializer).map(|it| it.0)
}

/// Reads an object.
pub(crate) fn map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Map<String, Value>, D::Error> {
    Object::deserialize(deserializer).map(|it| it.0)
}

/// The same for an object that may be absent.
pub(crate) fn optional_map<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Map<String, Value>>, D::Error> {
    let map: Option<Object> = Option::deserialize(deserializer)?;
    Ok(map.map(|it| it.0))
}

/// A JSON object, read exactly.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Entries)
    }
}

struct Exact(Value);

impl<'de> Deserialize<'de> for Exact {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Any)
    }
}

struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Object;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Object, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            if map.contains_key(&key) {
                return Err(A::Error::custom(format!("`{key}` is there twice")));
            }
            let value: Exact = entries.next_value()?;
            map.insert(key, value.0);
        }
        Ok(Object(map))
    }
}

struct Any;

impl<'de> Visitor<'de> for Any {
    type Value = Exact;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Exact, E> {
        Ok(Exact(value.into()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Exact, E> {
        Ok(Exact(value.into()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Exact, E> {
        Ok(Exact(value.into()))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Exact, E> {
        let number = Number::from_f64(value);
        let number = number.ok_or_else(|| E::custom(format!("{value} is not a finite number")))?;
        Ok(Exact(Value::Number(number)))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Exact, E> {
        Ok(Exact(value.into()))
    }

    fn visit_string<E: Error>(self, value: String) -> Result<Exact, E> {
        Ok(Exact(value.into()))
    }

    fn visit_unit<E: Error>(self) -> Result<Exact, E> {
        Ok(Exact(Value::Null))
    }

    fn visit_none<E: Error>(self) -> Result<Exact, E> {
        self.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Exact, D::Error> {
        Exact::deserialize(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Exact, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element::<Exact>()? {
            list.push(item.0);
        }
        Ok(Exact(Value::Array(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, entries: A) -> Result<Exact, A::Error> {
        Entries.visit_map(entries).map(|map| Exact(map.0.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_read_as_serde_json_reads_it_unless_something_would_be_lost() {
        let text =
            r#"{"a": [1, -2, 2.5, 18446744073709551615, 1e300, true, null, "x", {"b": {}}]}"#;
        let exact: Exact = serde_json::from_str(text).unwrap();
        assert_eq!(exact.0, serde_json::from_str::<Value>(text).unwrap());
        let packed = rmp_serde::to_vec(&exact.0).unwrap();
        assert_eq!(rmp_serde::from_slice::<Exact>(&packed).unwrap().0, exact.0);
        for text in [r#"{"a": 1, "a": 2}"#, r#"[{"b": {"a": 1, "a": 1}}]"#] {
            let error = serde_json::from_str::<Exact>(text).err().unwrap();
            assert!(error.to_string().contains("`a` is there twice"), "{error}");
        }
        for number in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            let packed = rmp_serde::to_vec(&[number]).unwrap();
            let error = rmp_serde::from_slice::<Exact>(&packed).err().unwrap();
            assert!(error.to_string().contains("finite"), "{error}");
        }
    }
}
