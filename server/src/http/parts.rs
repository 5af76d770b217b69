//! What a body has that takes memory once it is read, counted before it is: objects, lists, values, and
//! the numbers of vectors, which become four bytes each where any other value is kept as what it is.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::body::Format;
use crate::limits;

/// What a body has.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parts {
    objects: usize,
    lists: usize,
    /// Numbers of vectors, after the first.
    numbers: usize,
    /// Other values after the first in an object or a list.
    others: usize,
    /// Texts and keys, and their bytes.
    texts: usize,
    text: usize,
}

/// The most that one of each takes while it is read and made into what the database knows; a server is
/// held to it in `cli/tests/process/memory.rs`: a point, or a map's first node; a list's first allocation; a
/// number in a list that has doubled; a value in a list that is copied while it grows; what a short text takes
/// beside its bytes.
const OBJECT_BYTES: usize = 768;
const LIST_BYTES: usize = 192;
const NUMBER_BYTES: usize = 8;
const OTHER_BYTES: usize = 64;
const TEXT_BYTES: usize = 16;

/// What a JSON text takes at most when it is read as it is.
pub(crate) fn json_bytes(text: &[u8]) -> u64 {
    Parts::of(Format::Json, text, Place::Values).memory_bytes(text.len())
}

/// What the values at a place of a body become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Points or searches, where vectors have their names.
    Outside,
    /// What is searched for.
    Query,
    /// Lists of numbers.
    Vectors,
    /// Values that are kept as they are.
    Values,
}

impl Place {
    fn of_key(self, key: &[u8]) -> Self {
        match (self, key) {
            (Self::Vectors, _) | (Self::Outside, b"vector" | b"vectors") => Self::Vectors,
            (
                Self::Outside,
                b"points" | b"batch" | b"operations" | b"upsert" | b"update_vectors" | b"searches",
            ) => Self::Outside,
            (Self::Outside, b"query") | (Self::Query, b"nearest") => Self::Query,
            _ => Self::Values,
        }
    }

    fn is_of_numbers(self) -> bool {
        matches!(self, Self::Query | Self::Vectors)
    }
}

/// An object or a list that is open.
#[derive(Clone, Copy)]
struct Open {
    is_list: bool,
    place: Place,
}

impl Parts {
    /// `place`: what the body as a whole is.
    pub(super) fn of(format: Format, bytes: &[u8], place: Place) -> Self {
        match format {
            Format::Json => Self::of_json(bytes, place),
            Format::MessagePack => Self::of_message_pack(bytes, place),
        }
    }

    /// Nothing is checked: whatever is no JSON is refused when it is read.
    fn of_json(bytes: &[u8], place: Place) -> Self {
        let mut parts = Self::default();
        let mut open: Vec<Open> = Vec::new();
        // Deeper than anything is read.
        let mut beyond = 0_usize;
        let (mut last_text, mut next) = (&b""[..], place);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            let within = open.last().copied().filter(|_| beyond == 0);
            match byte {
                b'{' | b'[' => {
                    let is_list = *byte == b'[';
                    let place = match within {
                        Some(list) if list.is_list => list.place,
                        _ => next,
                    };
                    parts.lists += usize::from(is_list);
                    parts.objects += usize::from(!is_list);
                    match open.len() < limits::BODY_DEPTH {
                        true => open.push(Open { is_list, place }),
                        false => beyond += 1,
                    }
                }
                b'}' | b']' => match beyond {
                    0 => drop(open.pop()),
                    _ => beyond -= 1,
                },
                b':' => next = within.map_or(Place::Values, |it| it.place.of_key(last_text)),
                b',' => {
                    parts.follows(within.is_some_and(|it| it.is_list && it.place.is_of_numbers()))
                }
                b'"' => {
                    last_text = text(bytes.get(at + 1..).unwrap_or_default());
                    parts.has_text(last_text.len());
                    at += last_text.len() + 1;
                }
                _ => {}
            }
            at += 1;
        }
        parts
    }

    /// What stands before the first mistake.
    fn of_message_pack(mut bytes: &[u8], place: Place) -> Self {
        let mut parts = Self::default();
        let mut reader = rmp_serde::Deserializer::new(&mut bytes);
        reader.set_max_depth(limits::BODY_DEPTH);
        let count = Count {
            parts: &mut parts,
            place,
        };
        let _ = count.deserialize(&mut reader);
        parts
    }

    /// There is one more.
    fn follows(&mut self, is_number: bool) {
        match is_number {
            true => self.numbers += 1,
            false => self.others += 1,
        }
    }

    fn has_text(&mut self, bytes: usize) {
        self.texts += 1;
        self.text += bytes;
    }

    /// Of a body of so many bytes: they lie there while it is read, and texts of it twice.
    pub(super) fn memory_bytes(&self, body: usize) -> u64 {
        let bytes = [
            (self.objects, OBJECT_BYTES),
            (self.lists, LIST_BYTES),
            (self.numbers, NUMBER_BYTES),
            (self.others, OTHER_BYTES),
            (self.texts, TEXT_BYTES),
            (self.text, 1),
            (body, 1),
        ];
        bytes
            .iter()
            .map(|(count, each)| (count * each) as u64)
            .sum()
    }
}

/// As it stands, up to where it ends.
fn text(rest: &[u8]) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match byte {
            b'"' => return &rest[..at],
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    rest
}

/// Goes through a value and keeps nothing of it.
struct Count<'a> {
    parts: &'a mut Parts,
    place: Place,
}

impl Count<'_> {
    fn at(&mut self, place: Place) -> Count<'_> {
        Count {
            parts: self.parts,
            place,
        }
    }
}

impl<'de> DeserializeSeed<'de> for Count<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Count<'_> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("any value")
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        self.parts.objects += 1;
        while let Some((place, length)) = map.next_key_seed(Key(self.place))? {
            self.parts.has_text(length);
            self.parts.others += 1;
            map.next_value_seed(self.at(place))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut list: A) -> Result<(), A::Error> {
        self.parts.lists += 1;
        let place = self.place;
        while list.next_element_seed(self.at(place))?.is_some() {
            self.parts.follows(place.is_of_numbers());
        }
        Ok(())
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        self.deserialize(reader)
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.parts.has_text(text.len());
        Ok(())
    }

    fn visit_bytes<E>(self, bytes: &[u8]) -> Result<(), E> {
        self.parts.has_text(bytes.len());
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// A key: what its value becomes, and its length. One that is no text may stand for any.
struct Key(Place);

impl<'de> DeserializeSeed<'de> for Key {
    type Value = (Place, usize);

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        reader.deserialize_any(self)
    }
}

impl Visitor<'_> for Key {
    type Value = (Place, usize);

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
        Ok((self.0.of_key(key.as_bytes()), key.len()))
    }

    fn visit_bytes<E>(self, key: &[u8]) -> Result<Self::Value, E> {
        Ok((Place::Values, key.len()))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok((Place::Values, 0))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok((Place::Values, 0))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok((Place::Values, 0))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok((Place::Values, 0))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok((Place::Values, 0))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn of_json(bytes: &[u8]) -> Parts {
        Parts::of_json(bytes, Place::Outside)
    }

    fn of_message_pack(bytes: &[u8]) -> Parts {
        Parts::of_message_pack(bytes, Place::Outside)
    }

    #[test]
    fn what_a_body_has_is_counted_alike_however_it_is_written_and_texts_are_none_of_it() {
        let body = json!({
            "points": [
                {"id": 1, "vector": [1.5, 2, -3], "payload": {"a": "{[,\\\"{,", "b": [[], null, true]}},
                {"id": "x", "vector": {"face": [0.25]}},
            ],
        });
        let json = of_json(body.to_string().as_bytes());
        let counted = |objects, lists| (objects, lists);
        assert_eq!(counted(json.objects, json.lists), (5, 5));
        assert_eq!((json.numbers, json.others), (2, 1 + 2 + 1 + 2 + 1));
        let packed = rmp_serde::to_vec(&body).unwrap();
        let packed = of_message_pack(&packed);
        assert_eq!((packed.objects, packed.lists), (json.objects, json.lists));
        // The first of each is counted too.
        assert!(packed.others >= json.others && packed.others <= json.others + 10);
        assert_eq!(packed.numbers, json.numbers + 2);
        // As they stand: with the escapes.
        assert_eq!(json.text, packed.text + 2);
    }

    #[test]
    fn numbers_are_those_of_vectors_only_where_nothing_else_can_be() {
        let list = json!([1, 2, 3, 4, 5]);
        for (numbers, body) in [
            (4, json!({"query": list})),
            (4, json!({"query": {"nearest": list}})),
            (4, json!({"vector": list, "limit": 5})),
            (4, json!({"vector": {"name": "a", "vector": list}})),
            (5, json!({"searches": [{"query": list}, {"query": [1, 2]}]})),
            (9, json!({"batch": {"ids": list, "vectors": [list, list]}})),
            (
                8,
                json!({"points": [{"id": 1, "vector": {"a": list, "b": list}}]}),
            ),
            (
                4,
                json!({"operations": [{"upsert": {"points": [{"vector": list}]}}]}),
            ),
            (
                4,
                json!({"operations": [{"update_vectors": {"points": [{"vector": list}]}}]}),
            ),
            (0, json!({"points": list})),
            (
                0,
                json!({"points": [{"payload": {"vector": list, "points": [{"vector": list}]}}]}),
            ),
            (0, json!({"payload": {"vector": list}})),
            (
                0,
                json!({"operations": [{"set_payload": {"payload": {"vector": list}}}]}),
            ),
            (0, json!({"query": {"recommend": {"positive": list}}})),
            (0, json!({"query": {"recommend": {"positive": [list]}}})),
            (
                0,
                json!({"filter": {"must": [{"key": "a", "match": {"any": list}}]}}),
            ),
            (0, json!({"metadata": {"vectors": list}})),
            (0, json!([[list]])),
        ] {
            let text = body.to_string();
            let json = of_json(text.as_bytes());
            assert_eq!(json.numbers, numbers, "{text}");
            let all = Parts::of_json(text.as_bytes(), Place::Values);
            assert_eq!(
                (all.numbers, all.others),
                (0, json.others + numbers),
                "{text}"
            );
            let packed = of_message_pack(&rmp_serde::to_vec(&body).unwrap());
            let lists = packed.numbers - numbers;
            assert!(
                lists <= packed.lists && (numbers > 0 || lists == 0),
                "{text}"
            );
        }
        // A field by its place, which MessagePack may have, is anything.
        let by_place = rmp_serde::to_vec(&std::collections::BTreeMap::from([(0, [1, 2, 3])]));
        assert_eq!(of_message_pack(&by_place.unwrap()).numbers, 0);
    }

    #[test]
    fn what_is_nested_too_deep_is_counted_as_values() {
        let deep = format!("{}[1,2,3]{}", r#"{"vector":"#.repeat(200), "}".repeat(200));
        let counted = of_json(format!(r#"{{"vector":{deep},"vector":[1,2]}}"#).as_bytes());
        assert_eq!((counted.objects, counted.lists), (201, 2));
        assert_eq!((counted.numbers, counted.others), (1, 3));
    }

    #[test]
    fn what_is_cut_off_is_counted_as_far_as_it_goes() {
        let body = Value::from(vec![json!({"a": "b"}); 100]);
        let (text, packed) = (body.to_string(), rmp_serde::to_vec(&body).unwrap());
        for part in [text.len() / 2, text.len() - 1] {
            assert!(of_json(&text.as_bytes()[..part]).objects >= 50);
        }
        let half = of_message_pack(&packed[..packed.len() / 2]);
        assert!((45..=55).contains(&half.objects), "{half:?}");
        let torn = of_json(b"\"\\");
        assert_eq!((torn.texts, torn.text, torn.others), (1, 1, 0));
        assert_eq!(of_json(b"]}:,").others, 1);
    }

    #[test]
    fn a_vector_is_counted_as_its_numbers_and_what_is_kept_as_values() {
        let numbers = vec!["0.1234567"; 512].join(",");
        let bytes = |body: String| of_json(body.as_bytes()).memory_bytes(body.len());
        let vector = bytes(format!(r#"{{"vector":[{numbers}]}}"#));
        let values = bytes(format!(r#"{{"payload":[{numbers}]}}"#));
        assert!(vector < 512 * 24 && values > 512 * 64, "{vector} {values}");
    }
}
