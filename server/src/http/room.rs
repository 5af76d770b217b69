//! Memory for the bodies of requests: what is read, and what it becomes, is promised before it is
//! taken. Small bodies are not asked about; there are never more of them at work than the gates let in.

use std::cell::RefCell;
use std::fmt;
use std::future::Future;

use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::body::Format;
use crate::limits;
use crate::memory::{Memory, Promise};
use crate::refusal::Refusal;

tokio::task_local! {
    static ROOM: Room;
}

/// What the request at work has of memory for its body.
pub(crate) struct Room {
    memory: Memory,
    /// Whether it may leave more in memory than there was.
    adds: bool,
    held: RefCell<Option<Promise>>,
}

impl Room {
    /// Runs a request.
    pub(crate) async fn scope<F: Future>(memory: Memory, adds: bool, work: F) -> F::Output {
        let room = Self {
            memory,
            adds,
            held: RefCell::default(),
        };
        ROOM.scope(room, work).await
    }

    /// Gives back what was promised for the body: what has become of it lies in memory now, and whoever
    /// makes something else of it asks anew.
    pub(crate) fn release() {
        let _ = ROOM.try_with(|room| room.held.take());
    }

    /// Keeps it until it is released or the request is answered.
    pub(super) fn hold(promise: Option<Promise>) {
        let _ = ROOM.try_with(|room| room.held.replace(promise));
    }
}

/// A body while it is read.
#[derive(Default)]
pub(super) struct Reading {
    /// And whether the request may leave more in it.
    memory: Option<(Memory, bool)>,
    read: usize,
    promise: Option<Promise>,
}

impl Reading {
    /// Of the request at work.
    pub(super) fn new() -> Self {
        Self {
            memory: ROOM.try_with(|room| (room.memory.clone(), room.adds)).ok(),
            ..Self::default()
        }
    }

    /// So many bytes are to come. There is room for as much again as there is, so that whoever sends
    /// little holds little, whatever it says that it will send.
    pub(super) fn takes(&mut self, bytes: usize) -> Result<(), Refusal> {
        self.read += bytes;
        let promised = self.promise.as_ref().map_or(0, Promise::bytes);
        if self.read > limits::INLINE_PARSE_BYTES && self.read as u64 > promised {
            self.promise(self.read as u64 * 2)?;
        }
        Ok(())
    }

    /// What the bytes become is promised in the place of what reading them took.
    pub(super) fn becomes(&mut self, format: Format, bytes: &[u8]) -> Result<(), Refusal> {
        if bytes.len() > limits::INLINE_PARSE_BYTES {
            self.promise(Parts::of(format, bytes).memory_bytes(bytes.len()))?;
        }
        Ok(())
    }

    /// It has been read: what it has become lies in memory now. What is made of that takes no more than
    /// the other half.
    pub(super) fn hold(self) {
        if let Some(promise) = &self.promise {
            promise.keep(promise.bytes() / 2);
        }
        Room::hold(self.promise);
    }

    fn promise(&mut self, bytes: u64) -> Result<(), Refusal> {
        let Some((memory, adds)) = &self.memory else {
            return Ok(());
        };
        self.promise = None;
        self.promise = Some(memory.promise_body(bytes, *adds)?);
        Ok(())
    }
}

/// What a body has that takes memory.
#[derive(Debug, Default, PartialEq, Eq)]
struct Parts {
    objects: usize,
    lists: usize,
    /// Values after the first in an object or a list.
    others: usize,
}

/// The most that one of each takes while it is read and made into what the database knows; a server is
/// held to it in `cli/tests/process/memory.rs`: a point, or a map's first node; a list's first allocation; a
/// value in a list that is copied while it grows.
const OBJECT_BYTES: usize = 768;
const LIST_BYTES: usize = 192;
const OTHER_BYTES: usize = 64;
/// A text is copied once, and its list may grow.
const TEXT_TIMES: usize = 2;

impl Parts {
    fn of(format: Format, bytes: &[u8]) -> Self {
        match format {
            Format::Json => Self::of_json(bytes),
            Format::MessagePack => Self::of_message_pack(bytes),
        }
    }

    /// Nothing is checked: whatever is no JSON is refused when it is read.
    fn of_json(bytes: &[u8]) -> Self {
        let mut parts = Self::default();
        let mut bytes = bytes.iter();
        while let Some(byte) = bytes.next() {
            match byte {
                b'{' => parts.objects += 1,
                b'[' => parts.lists += 1,
                b',' => parts.others += 1,
                b'"' => {
                    while let Some(byte) = bytes.next() {
                        match byte {
                            b'\\' => drop(bytes.next()),
                            b'"' => break,
                            _ => {}
                        }
                    }
                }
                _ => {}
            }
        }
        parts
    }

    /// What stands before the first mistake.
    fn of_message_pack(mut bytes: &[u8]) -> Self {
        let mut parts = Self::default();
        let mut reader = rmp_serde::Deserializer::new(&mut bytes);
        reader.set_max_depth(limits::BODY_DEPTH);
        let _ = Count(&mut parts).deserialize(&mut reader);
        parts
    }

    fn memory_bytes(&self, text: usize) -> u64 {
        let bytes = [
            (self.objects, OBJECT_BYTES),
            (self.lists, LIST_BYTES),
            (self.others, OTHER_BYTES),
            (text, TEXT_TIMES),
        ];
        bytes
            .iter()
            .map(|(count, each)| (count * each) as u64)
            .sum()
    }
}

/// Goes through a value and keeps nothing of it.
struct Count<'a>(&'a mut Parts);

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

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        self.0.objects += 1;
        while let Some(IgnoredAny) = map.next_key()? {
            self.0.others += 1;
            map.next_value_seed(Count(self.0))?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        self.0.lists += 1;
        while list.next_element_seed(Count(self.0))?.is_some() {
            self.0.others += 1;
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

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn what_a_body_has_is_counted_alike_however_it_is_written_and_texts_are_none_of_it() {
        let body = json!({
            "points": [
                {"id": 1, "vector": [1.5, 2, -3], "payload": {"a": "{[,\\\"{,", "b": [[], null, true]}},
                {"id": "x", "vector": {"face": [0.25]}},
            ],
        });
        let json = Parts::of_json(body.to_string().as_bytes());
        let counted = |objects, lists| (objects, lists);
        assert_eq!(counted(json.objects, json.lists), (5, 5));
        assert_eq!(json.others, 1 + 2 + 2 + 1 + 2 + 1);
        let packed = rmp_serde::to_vec(&body).unwrap();
        let packed = Parts::of_message_pack(&packed);
        assert_eq!((packed.objects, packed.lists), (json.objects, json.lists));
        // The first of each is counted too.
        assert!(packed.others >= json.others && packed.others <= json.others + 10);
    }

    #[test]
    fn what_is_cut_off_is_counted_as_far_as_it_goes() {
        let body = Value::from(vec![json!({"a": "b"}); 100]);
        let (text, packed) = (body.to_string(), rmp_serde::to_vec(&body).unwrap());
        for part in [text.len() / 2, text.len() - 1] {
            assert!(Parts::of_json(&text.as_bytes()[..part]).objects >= 50);
        }
        let half = Parts::of_message_pack(&packed[..packed.len() / 2]);
        assert!((45..=55).contains(&half.objects), "{half:?}");
        assert_eq!(Parts::of_json(b"\"\\"), Parts::default());
    }

    #[test]
    fn whoever_sends_little_has_little_promised_and_a_body_that_would_become_too_much_is_refused() {
        let memory = Memory::new(0, &crate::metrics::Metrics::new());
        let mut reading = Reading {
            memory: Some((memory.clone(), true)),
            ..Reading::default()
        };
        reading.takes(limits::INLINE_PARSE_BYTES).unwrap();
        assert_eq!(memory.promised_bytes(), 0);
        reading.takes(1).unwrap();
        let first = memory.promised_bytes();
        assert_eq!(first, 2 * (limits::INLINE_PARSE_BYTES as u64 + 1));
        reading.takes(1_000).unwrap();
        assert_eq!(memory.promised_bytes(), first, "not for each piece anew");
        let objects = b"{".repeat(100_000);
        reading.becomes(Format::Json, &objects).unwrap();
        let becomes = (100_000 * (OBJECT_BYTES + TEXT_TIMES)) as u64;
        assert_eq!(memory.promised_bytes(), becomes);
        drop(reading);
        assert_eq!(memory.promised_bytes(), 0);
        let mut reading = Reading {
            memory: Some((Memory::new(1, &crate::metrics::Metrics::new()), true)),
            ..Reading::default()
        };
        let refused = reading.becomes(Format::Json, &objects).unwrap_err();
        assert_eq!(refused.status(), 507);
        assert!(
            refused.message().contains("smaller parts"),
            "{}",
            refused.message()
        );
    }
}
