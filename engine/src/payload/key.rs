//! What an index sorts points by: a value of a payload, taken as the index's kind takes it.

use std::sync::Arc;

use serde_json::Value;

use crate::filter::{GeoPoint, KeyPath, Test, TextOptions, is_empty, parse_date};
use crate::point::Payload;

/// What an index is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexKind {
    /// Texts, as a whole.
    Keyword,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// Yes and no.
    Bool,
    /// RFC 3339 dates.
    Datetime,
    /// UUIDs in their usual writing (lower case, with hyphens).
    Uuid,
    /// The words of texts.
    Text(TextOptions),
    /// Places.
    Geo,
}

/// A value as it is sorted. Keys of one index are all of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    Text(Arc<str>),
    Integer(i64),
    Float(Float),
    Bool(bool),
    /// Microseconds since 1970.
    Date(i64),
    Uuid([u8; 16]),
    Place(Place),
}

/// A number that is one, in order.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Float(pub(crate) f64);

impl Eq for Float {}

impl PartialOrd for Float {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Float {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        // -0 and 0 are one number, in payloads as in ranges.
        (self.0 + 0.0).total_cmp(&(other.0 + 0.0))
    }
}

/// A place; the parallel first, so that those between two parallels lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) lat: Float,
    pub(crate) lon: Float,
}

/// What an index keeps of one payload.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Entry {
    /// The values of the index's kind, each once, in order.
    pub(crate) keys: Vec<Key>,
    /// Whether there are values of another kind too, other than null.
    pub(crate) others: bool,
    /// Whether there is anything but nulls and empty lists.
    pub(crate) present: bool,
    /// Whether there is a null.
    pub(crate) null: bool,
    /// Whether the keys are the words of several texts.
    pub(crate) several: bool,
}

impl Entry {
    pub(crate) fn of(payload: &Payload, path: &KeyPath, kind: IndexKind) -> Self {
        let mut entry = Self::default();
        for value in path.values(payload) {
            entry.present |= !is_empty(value);
            entry.null |= value.is_null();
            match value {
                Value::Array(list) => list.iter().for_each(|value| entry.take(value, kind)),
                value => entry.take(value, kind),
            }
        }
        entry.keys.sort_unstable();
        entry.keys.dedup();
        entry
    }

    fn take(&mut self, value: &Value, kind: IndexKind) {
        let key = match (kind, value) {
            (_, Value::Null) => return,
            (IndexKind::Text(options), Value::String(text)) => {
                self.several = !self.keys.is_empty();
                let words = options.words(text);
                self.keys.extend(words.map(|word| Key::Text(word.into())));
                return;
            }
            (IndexKind::Keyword, Value::String(text)) => Some(Key::Text(text.as_str().into())),
            (IndexKind::Integer, Value::Number(number)) => number.as_i64().map(Key::Integer),
            (IndexKind::Float, Value::Number(number)) => {
                number.as_f64().map(|number| Key::Float(Float(number)))
            }
            (IndexKind::Bool, Value::Bool(value)) => Some(Key::Bool(*value)),
            (IndexKind::Datetime, Value::String(text)) => parse_date(text).map(Key::Date),
            (IndexKind::Uuid, Value::String(text)) => uuid(text).map(Key::Uuid),
            (IndexKind::Geo, value) => GeoPoint::of(value).map(|place| Key::Place(place.into())),
            _ => None,
        };
        match key {
            Some(key) => self.keys.push(key),
            None => self.others = true,
        }
    }
}

/// A UUID in its usual writing: of other writings a text test would not say that they are equal.
pub(crate) fn uuid(text: &str) -> Option<[u8; 16]> {
    let uuid = uuid::Uuid::try_parse(text).ok()?;
    let mut usual = uuid::Uuid::encode_buffer();
    (*uuid.hyphenated().encode_lower(&mut usual) == *text).then(|| uuid.into_bytes())
}

impl From<GeoPoint> for Place {
    fn from(place: GeoPoint) -> Self {
        Self {
            lat: Float(place.lat),
            lon: Float(place.lon),
        }
    }
}

impl Key {
    /// Whether a value with this key is as asked; `None` where the key does not say.
    pub(crate) fn satisfies(&self, test: &Test, kind: IndexKind) -> Option<bool> {
        match (self, kind) {
            (Key::Text(text), IndexKind::Keyword) => Some(test.holds_text(text)),
            (Key::Integer(number), _) => Some(test.holds_integer(*number)),
            (Key::Float(number), _) => match test {
                Test::Number(bounds) => Some(bounds.hold(number.0)),
                // Whether it was written as a whole number has been forgotten.
                Test::Value(_) | Test::Any(_) | Test::Except(_) => None,
                _ => Some(false),
            },
            (Key::Bool(value), _) => Some(test.holds_bool(*value)),
            (Key::Date(date), _) => match test {
                Test::Date(bounds) => Some(bounds.hold(*date)),
                _ => None,
            },
            (Key::Uuid(uuid), _) => Some(test.holds_text(&uuid_text(*uuid))),
            (Key::Place(place), _) => match test {
                Test::Except(_) => Some(true),
                test => Some(test.holds_place(GeoPoint {
                    lon: place.lon.0,
                    lat: place.lat.0,
                })),
            },
            (Key::Text(_), _) => None,
        }
    }

    /// The value as it is told.
    pub(crate) fn value(&self) -> Value {
        match self {
            Key::Text(text) => Value::from(text.as_ref()),
            Key::Integer(number) | Key::Date(number) => Value::from(*number),
            Key::Float(number) => Value::from(number.0),
            Key::Bool(value) => Value::from(*value),
            Key::Uuid(uuid) => Value::from(uuid_text(*uuid)),
            Key::Place(place) => serde_json::json!({"lon": place.lon.0, "lat": place.lat.0}),
        }
    }
}

fn uuid_text(uuid: [u8; 16]) -> String {
    uuid::Uuid::from_bytes(uuid).to_string()
}
