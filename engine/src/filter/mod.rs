//! Filters: which points come into question, by what their payloads say.
//!
//! A filter is a tree of conditions, parsed and bounded at the door. What it means is written once,
//! in `matches`, over a decoded payload; payload indexes are a quicker way to the same answer and
//! never to another one.

mod date;
mod geo;
mod matches;
mod path;
mod shape;
mod words;

use std::collections::HashSet;

use storage::PointId;

pub use date::parse_date;
pub(crate) use geo::parallels;
pub use geo::{GeoBox, GeoPoint, GeoPolygon};
pub(crate) use matches::{Subject, is_empty};
pub use path::KeyPath;
pub(crate) use path::Step;
pub use words::{TextOptions, Tokenizer};

/// Which points come into question. An empty filter lets all of them through.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Filter {
    /// All of these hold.
    pub must: Vec<Condition>,
    /// At least one of these holds, if there are any.
    pub should: Vec<Condition>,
    /// None of these holds.
    pub must_not: Vec<Condition>,
    /// At least so many of these hold.
    pub min_should: Option<MinShould>,
}

/// Conditions of which some must hold.
#[derive(Debug, Clone, PartialEq)]
pub struct MinShould {
    /// The conditions.
    pub conditions: Vec<Condition>,
    /// How many at least.
    pub min_count: usize,
}

/// What a point may be asked for.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// Something about the values at a key.
    Key {
        /// Where they are.
        key: KeyPath,
        /// What is asked of them.
        test: Test,
    },
    /// Its id is one of these.
    HasId(HashSet<PointId>),
    /// It has the vector of this name; the empty name is that of the only vector.
    HasVector(String),
    /// One element of the list at a key satisfies a filter by itself.
    Nested {
        /// Where the list is.
        key: KeyPath,
        /// What the element must satisfy; keys start at it.
        filter: Filter,
    },
    /// A filter as a condition.
    Filter(Filter),
}

/// What is asked of the values at a key. Where there are several, because the value is a list or
/// the path goes through one, it is enough that one of them is as asked.
#[derive(Debug, Clone, PartialEq)]
pub enum Test {
    /// It is this.
    Value(Scalar),
    /// It is one of these.
    Any(Scalars),
    /// It is none of these, and not null.
    Except(Scalars),
    /// Its text has all of these words.
    Text(Words),
    /// Its text has one of these words.
    TextAny(Words),
    /// Its text has these words side by side and in this order.
    Phrase(Words),
    /// Its text starts so, letter by letter.
    Prefix(String),
    /// It is a number within bounds.
    Number(Bounds<f64>),
    /// It is a date within bounds, in microseconds since 1970.
    Date(Bounds<i64>),
    /// So many values are there: elements of a list, 1 for anything else, 0 for null or nothing.
    Count(Bounds<u64>),
    /// Nothing is there but nulls and empty lists.
    Empty,
    /// A null is there.
    Null,
    /// It is a place at most so many metres away from another.
    Radius {
        /// The place.
        center: GeoPoint,
        /// Metres.
        metres: f64,
    },
    /// It is a place within a box.
    Box(GeoBox),
    /// It is a place within a polygon.
    Polygon(GeoPolygon),
}

/// A text to be looked for by its words, and how it is cut into them. The text index of a key says
/// how; without one it is cut by [`TextOptions::default`].
#[derive(Debug, Clone, PartialEq)]
pub struct Words {
    /// The text as it was asked for.
    pub text: String,
    /// How it is cut.
    pub options: TextOptions,
}

impl From<String> for Words {
    fn from(text: String) -> Self {
        Self {
            text,
            options: TextOptions::default(),
        }
    }
}

/// A value that can be matched exactly.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scalar {
    /// A text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Yes or no.
    Bool(bool),
}

/// Values of one kind.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalars {
    /// Texts.
    Texts(HashSet<String>),
    /// Whole numbers.
    Integers(HashSet<i64>),
}

/// Bounds of a range; each may be absent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bounds<T> {
    /// Below this.
    pub lt: Option<T>,
    /// Above this.
    pub gt: Option<T>,
    /// This or above.
    pub gte: Option<T>,
    /// This or below.
    pub lte: Option<T>,
}

impl<T> Default for Bounds<T> {
    fn default() -> Self {
        Self {
            lt: None,
            gt: None,
            gte: None,
            lte: None,
        }
    }
}

impl<T: PartialOrd + Copy> Bounds<T> {
    /// Whether a value is within.
    pub fn hold(&self, value: T) -> bool {
        self.lt.is_none_or(|bound| value < bound)
            && self.gt.is_none_or(|bound| value > bound)
            && self.lte.is_none_or(|bound| value <= bound)
            && self.gte.is_none_or(|bound| value >= bound)
    }
}

impl Filter {
    /// Whether it lets everything through.
    pub fn is_empty(&self) -> bool {
        self.must.is_empty()
            && self.should.is_empty()
            && self.must_not.is_empty()
            && self.min_should.is_none()
    }

    /// One condition that must hold.
    pub fn must(condition: Condition) -> Self {
        Self {
            must: vec![condition],
            ..Self::default()
        }
    }

    /// Every condition, those of filters within it too.
    pub(crate) fn for_each_test(&mut self, change: &mut dyn FnMut(&KeyPath, &mut Test)) {
        let some = self.min_should.iter_mut();
        let all = self.must.iter_mut().chain(&mut self.should);
        let all = all.chain(&mut self.must_not);
        for condition in all.chain(some.flat_map(|some| &mut some.conditions)) {
            match condition {
                Condition::Key { key, test } => change(key, test),
                // Keys within start elsewhere; their indexes are those of the whole path.
                Condition::Nested { key, filter } => {
                    filter.for_each_test(&mut |inner, test| change(&key.nested(inner), test));
                }
                Condition::Filter(filter) => filter.for_each_test(change),
                Condition::HasId(_) | Condition::HasVector(_) => {}
            }
        }
    }
}
