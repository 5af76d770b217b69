//! What a filter means: whether a point, with its payload decoded, is let through.

use serde_json::{Map, Number, Value};
use storage::PointId;

use super::{Condition, Filter, GeoPoint, KeyPath, Scalar, Scalars, Test, parse_date};

/// A point that is asked about.
pub(crate) struct Subject<'a> {
    pub(crate) id: PointId,
    pub(crate) payload: &'a Map<String, Value>,
    pub(crate) has_vector: &'a dyn Fn(&str) -> bool,
}

impl Filter {
    /// Whether the point is let through.
    pub(crate) fn lets_through(&self, point: &Subject<'_>) -> bool {
        let holds = |condition: &Condition| condition.holds(point);
        self.must.iter().all(holds)
            && !self.must_not.iter().any(holds)
            && (self.should.is_empty() || self.should.iter().any(holds))
            && self.min_should.as_ref().is_none_or(|some| {
                let held = some.conditions.iter().filter(|condition| holds(condition));
                held.take(some.min_count).count() == some.min_count
            })
    }
}

impl Condition {
    fn holds(&self, point: &Subject<'_>) -> bool {
        match self {
            Condition::Key { key, test } => test.holds_at(key, point.payload),
            Condition::HasId(ids) => ids.contains(&point.id),
            Condition::HasVector(name) => (point.has_vector)(name),
            Condition::Filter(filter) => filter.lets_through(point),
            Condition::Nested { key, filter } => {
                let elements = key.each().values(point.payload).into_iter();
                let mut elements = elements.filter_map(Value::as_object);
                elements.any(|payload| filter.lets_through(&Subject { payload, ..*point }))
            }
        }
    }
}

impl Test {
    fn holds_at(&self, key: &KeyPath, payload: &Map<String, Value>) -> bool {
        let values = key.values(payload);
        match self {
            Test::Empty => values.iter().all(|value| is_empty(value)),
            Test::Null => values.iter().any(|value| value.is_null()),
            Test::Count(bounds) if values.is_empty() => bounds.hold(0),
            Test::Count(bounds) => values.iter().any(|value| bounds.hold(count(value))),
            _ => values.iter().any(|value| match value {
                Value::Array(list) => list.iter().any(|value| self.holds(value)),
                value => self.holds(value),
            }),
        }
    }

    fn holds(&self, value: &Value) -> bool {
        match value {
            Value::Null => false,
            Value::Bool(value) => self.holds_bool(*value),
            Value::Number(number) => self.holds_number(number),
            Value::String(text) => self.holds_text(text),
            Value::Array(_) => matches!(self, Test::Except(_)),
            Value::Object(_) => match self {
                Test::Except(_) => true,
                _ => GeoPoint::of(value).is_some_and(|place| self.holds_place(place)),
            },
        }
    }

    /// Whether a yes or no is as asked.
    pub(crate) fn holds_bool(&self, value: bool) -> bool {
        match self {
            Test::Value(Scalar::Bool(asked)) => value == *asked,
            Test::Except(_) => true,
            _ => false,
        }
    }

    fn holds_number(&self, number: &Number) -> bool {
        match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => self.holds_integer(integer),
            (None, Some(float)) => self.holds_float(float),
            (None, None) => matches!(self, Test::Except(_)),
        }
    }

    /// Whether a whole number is as asked.
    #[expect(
        clippy::cast_precision_loss,
        reason = "ranges are of f64, as in the dialect"
    )]
    pub(crate) fn holds_integer(&self, value: i64) -> bool {
        match self {
            Test::Value(Scalar::Integer(asked)) => value == *asked,
            Test::Any(Scalars::Integers(asked)) => asked.contains(&value),
            Test::Except(Scalars::Integers(asked)) => !asked.contains(&value),
            _ => self.holds_float(value as f64),
        }
    }

    /// Whether a number that is not whole, or too large to be one, is as asked.
    pub(crate) fn holds_float(&self, value: f64) -> bool {
        match self {
            Test::Number(bounds) => bounds.hold(value),
            Test::Except(_) => true,
            _ => false,
        }
    }

    /// Whether a text is as asked.
    pub(crate) fn holds_text(&self, text: &str) -> bool {
        match self {
            Test::Value(Scalar::Text(asked)) => text == asked,
            Test::Any(Scalars::Texts(asked)) => asked.contains(text),
            Test::Except(Scalars::Texts(asked)) => !asked.contains(text),
            Test::Except(Scalars::Integers(_)) => true,
            Test::Text(words) => words.all_in(text),
            Test::TextAny(words) => words.any_in(text),
            Test::Phrase(words) => words.in_order_in(text),
            Test::Prefix(start) => text.starts_with(start),
            Test::Date(bounds) => parse_date(text).is_some_and(|date| bounds.hold(date)),
            _ => false,
        }
    }

    /// Whether a place is as asked.
    pub(crate) fn holds_place(&self, place: GeoPoint) -> bool {
        match self {
            Test::Radius { center, metres } => place.metres_to(*center) <= *metres,
            Test::Box(area) => area.contains(place),
            Test::Polygon(area) => area.contains(place),
            _ => false,
        }
    }
}

/// Whether a value counts as nothing.
pub(crate) fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(list) => list.is_empty(),
        _ => false,
    }
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Null => 0,
        Value::Array(list) => list.len() as u64,
        _ => 1,
    }
}
