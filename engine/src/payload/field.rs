//! The index of one key: which points have which values there.
//!
//! It answers a test with the points that may satisfy it, and says whether those are exactly the
//! ones that do. Whatever it cannot know (values of another kind than its own, the order of words)
//! it lets through and says so.

use std::ops::Bound::{Excluded, Included, Unbounded};

use roaring::RoaringBitmap;

use super::key::{Entry, Float, IndexKind, Key, Place, uuid};
use super::postings::Postings;
use crate::filter::{Bounds, KeyPath, Scalar, Scalars, Test, Words, parallels};
use crate::numbers::PointNumber;
use crate::point::Payload;

/// The index of one key.
pub(crate) struct FieldIndex {
    pub(crate) path: KeyPath,
    pub(crate) kind: IndexKind,
    pub(crate) postings: Postings,
    /// Points that have a key.
    keyed: RoaringBitmap,
    /// Points that have values of another kind.
    others: RoaringBitmap,
    /// Points that have anything but nulls and empty lists.
    present: RoaringBitmap,
    /// Points that have a null.
    nulls: RoaringBitmap,
    /// Points whose words are those of several texts.
    several: RoaringBitmap,
}

/// Points that a condition lets through.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Found {
    pub(crate) points: RoaringBitmap,
    /// Whether it is all of them that it lets through; otherwise some of them may not be.
    pub(crate) exact: bool,
}

type Range = (std::ops::Bound<Key>, std::ops::Bound<Key>);

/// Where the keys are that a test may hold for.
enum Look {
    These(Vec<Key>),
    Within(Range),
}

impl FieldIndex {
    pub(crate) fn new(path: KeyPath, kind: IndexKind) -> Self {
        Self {
            path,
            kind,
            postings: Postings::default(),
            keyed: RoaringBitmap::new(),
            others: RoaringBitmap::new(),
            present: RoaringBitmap::new(),
            nulls: RoaringBitmap::new(),
            several: RoaringBitmap::new(),
        }
    }

    pub(crate) fn entry(&self, payload: &Payload) -> Entry {
        Entry::of(payload, &self.path, self.kind)
    }

    pub(crate) fn put(&mut self, number: PointNumber, entry: Entry) {
        for (flags, is) in [
            (&mut self.keyed, !entry.keys.is_empty()),
            (&mut self.others, entry.others),
            (&mut self.present, entry.present),
            (&mut self.nulls, entry.null),
            (&mut self.several, entry.several),
        ] {
            match is {
                true => flags.insert(number.0),
                false => flags.remove(number.0),
            };
        }
        self.postings.put(number, entry.keys);
    }

    pub(crate) fn take(&mut self, number: PointNumber) {
        self.put(number, Entry::default());
    }

    /// What the index holds of a point.
    pub(crate) fn entry_of(&self, number: PointNumber) -> Entry {
        Entry {
            keys: self.postings.keys_of(number).to_vec(),
            others: self.others.contains(number.0),
            present: self.present.contains(number.0),
            null: self.nulls.contains(number.0),
            several: self.several.contains(number.0),
        }
    }

    /// Points that have a value of the index's kind.
    pub(crate) fn len(&self) -> usize {
        usize::try_from(self.keyed.len()).unwrap_or(usize::MAX)
    }

    /// The points among all that may satisfy a test.
    pub(crate) fn find(&self, test: &Test, all: &RoaringBitmap) -> Found {
        match test {
            Test::Empty => exactly(all - &self.present),
            Test::Null => exactly(self.nulls.clone()),
            Test::Count(_) => perhaps(all.clone()),
            Test::Except(listed) => self.find_except(test, listed),
            test if matches!(self.kind, IndexKind::Text(_)) => self.find_words(test),
            test => self.find_keys(test),
        }
    }

    fn find_keys(&self, test: &Test) -> Found {
        let mut exact = true;
        let mut wanted = |key: &Key| match key.satisfies(test, self.kind) {
            Some(is) => is,
            None => {
                exact = false;
                true
            }
        };
        let mut points = match self.place_of(test) {
            Look::Within(range) => self.postings.between(range, wanted),
            Look::These(keys) => {
                let mut points = RoaringBitmap::new();
                for key in keys.iter().filter(|key| wanted(key)) {
                    points |= self.postings.of(key);
                }
                points
            }
        };
        if !self.others.is_empty() && self.others_may(test) {
            points |= &self.others;
            exact = false;
        }
        Found { points, exact }
    }

    /// Which keys have to be looked at.
    fn place_of(&self, test: &Test) -> Look {
        let text = |text: &String| match self.kind {
            IndexKind::Uuid => uuid(text).map(Key::Uuid),
            _ => Some(Key::Text(text.as_str().into())),
        };
        let by_text = matches!(self.kind, IndexKind::Keyword | IndexKind::Uuid);
        match (test, self.kind) {
            (Test::Value(Scalar::Text(asked)), _) if by_text => {
                Look::These(text(asked).into_iter().collect())
            }
            (Test::Any(Scalars::Texts(asked)), _) if by_text => {
                Look::These(asked.iter().filter_map(text).collect())
            }
            (Test::Value(Scalar::Integer(asked)), IndexKind::Integer) => {
                Look::These(vec![Key::Integer(*asked)])
            }
            (Test::Any(Scalars::Integers(asked)), IndexKind::Integer) => {
                Look::These(asked.iter().copied().map(Key::Integer).collect())
            }
            (Test::Prefix(start), IndexKind::Keyword) => {
                let from = Included(Key::Text(start.as_str().into()));
                Look::Within((from, after_all_with(start)))
            }
            (Test::Number(bounds), IndexKind::Integer) => Look::Within(whole_within(bounds)),
            (Test::Number(bounds), IndexKind::Float) => {
                Look::Within(within(bounds, |number| Key::Float(Float(number))))
            }
            (Test::Date(bounds), IndexKind::Datetime) => Look::Within(within(bounds, Key::Date)),
            (test, IndexKind::Geo) => Look::Within(between_parallels(test)),
            _ => Look::Within((Unbounded, Unbounded)),
        }
    }

    /// Whether a test may hold for a value of another kind than the index's.
    fn others_may(&self, test: &Test) -> bool {
        let known = match (self.kind, test) {
            (IndexKind::Keyword | IndexKind::Text(_), test) => is_of_text(test),
            (
                IndexKind::Integer,
                Test::Value(Scalar::Integer(_)) | Test::Any(Scalars::Integers(_)),
            ) => true,
            (
                IndexKind::Float,
                Test::Number(_) | Test::Value(Scalar::Integer(_)) | Test::Any(Scalars::Integers(_)),
            ) => true,
            (IndexKind::Bool, Test::Value(Scalar::Bool(_))) => true,
            (IndexKind::Datetime, Test::Date(_)) => true,
            (IndexKind::Uuid, Test::Value(Scalar::Text(text))) => uuid(text).is_some(),
            (IndexKind::Uuid, Test::Any(Scalars::Texts(texts))) => {
                texts.iter().all(|text| uuid(text).is_some())
            }
            (IndexKind::Geo, test) => is_of_places(test),
            _ => false,
        };
        !known
    }

    fn find_except(&self, test: &Test, listed: &Scalars) -> Found {
        let (keys, others_are_known): (Vec<Key>, bool) = match (self.kind, listed) {
            (IndexKind::Keyword, Scalars::Texts(texts)) => {
                let keys = texts.iter().map(|text| Key::Text(text.as_str().into()));
                (keys.collect(), true)
            }
            (IndexKind::Integer, Scalars::Integers(numbers)) => {
                (numbers.iter().copied().map(Key::Integer).collect(), true)
            }
            (IndexKind::Keyword, Scalars::Integers(_))
            | (IndexKind::Integer, Scalars::Texts(_))
            | (IndexKind::Bool | IndexKind::Geo, _) => (Vec::new(), false),
            _ => return perhaps(self.present.clone()),
        };
        let mut points = self.keyed.clone();
        for key in &keys {
            for number in self.postings.of(key) {
                let keys = self.postings.keys_of(PointNumber(number));
                let mut rest = keys.iter().map(|key| key.satisfies(test, self.kind));
                if !rest.any(|is| is == Some(true)) {
                    points.remove(number);
                }
            }
        }
        points |= &self.others;
        Found {
            points,
            exact: others_are_known || self.others.is_empty(),
        }
    }

    fn find_words(&self, test: &Test) -> Found {
        match test {
            Test::Text(words) => self.find_all_words(words, true),
            Test::Phrase(words) => self.find_all_words(words, false),
            Test::TextAny(words) => {
                let mut points = RoaringBitmap::new();
                for word in words.options.asked(&words.text) {
                    points |= self.with_word(&word, words);
                }
                exactly(points)
            }
            Test::Value(Scalar::Text(text)) => {
                let whole = Words::from(text.clone());
                let mut found = perhaps(self.present.clone());
                if let IndexKind::Text(options) = self.kind {
                    for word in options.words(&whole.text) {
                        found.points &= self.postings.of(&Key::Text(word.into()));
                    }
                }
                found
            }
            test if is_of_text(test) => perhaps(self.present.clone()),
            _ => Found {
                points: self.others.clone(),
                exact: self.others.is_empty(),
            },
        }
    }

    fn find_all_words(&self, words: &Words, any_order: bool) -> Found {
        let asked = words.options.asked(&words.text);
        let sets = asked.iter().map(|word| self.with_word(word, words));
        let points = sets.reduce(|found, more| found & more).unwrap_or_default();
        // Words may be spread over several texts of a point, or stand in another order.
        let exact = asked.len() < 2 || any_order && points.is_disjoint(&self.several);
        Found { points, exact }
    }

    fn with_word(&self, word: &str, words: &Words) -> RoaringBitmap {
        let from = Included(Key::Text(word.into()));
        let to = after_all_with(word);
        self.postings.between((from, to), |key| match key {
            Key::Text(text) => words.options.is(text, word),
            _ => false,
        })
    }

    /// Bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let flags = [
            &self.keyed,
            &self.others,
            &self.present,
            &self.nulls,
            &self.several,
        ];
        let flags: usize = flags.iter().map(|flags| flags.serialized_size()).sum();
        flags + self.postings.memory_bytes()
    }
}

fn exactly(points: RoaringBitmap) -> Found {
    Found {
        points,
        exact: true,
    }
}

pub(super) fn perhaps(points: RoaringBitmap) -> Found {
    Found {
        points,
        exact: false,
    }
}

fn is_of_text(test: &Test) -> bool {
    matches!(
        test,
        Test::Value(Scalar::Text(_))
            | Test::Any(Scalars::Texts(_))
            | Test::Text(_)
            | Test::TextAny(_)
            | Test::Phrase(_)
            | Test::Prefix(_)
            | Test::Date(_)
    )
}

fn is_of_places(test: &Test) -> bool {
    matches!(test, Test::Radius { .. } | Test::Box(_) | Test::Polygon(_))
}

/// Below the first text that comes after all that start so.
fn after_all_with(start: &str) -> std::ops::Bound<Key> {
    let mut letters: Vec<char> = start.chars().collect();
    while let Some(last) = letters.pop() {
        if let Some(next) = (last..=char::MAX).nth(1) {
            letters.push(next);
            return Excluded(Key::Text(letters.into_iter().collect::<String>().into()));
        }
    }
    Unbounded
}

fn within<T: Copy>(bounds: &Bounds<T>, key: impl Fn(T) -> Key) -> Range {
    let from = match (bounds.gte, bounds.gt) {
        (Some(from), _) | (None, Some(from)) => Included(key(from)),
        (None, None) => Unbounded,
    };
    let to = match (bounds.lte, bounds.lt) {
        (Some(to), _) | (None, Some(to)) => Included(key(to)),
        (None, None) => Unbounded,
    };
    (from, to)
}

/// Wide enough: what is within is asked of each number again, the way payloads are asked.
#[expect(
    clippy::cast_possible_truncation,
    reason = "such a cast ends at the last number"
)]
fn whole_within(bounds: &Bounds<f64>) -> Range {
    let wide = Bounds {
        gte: bounds
            .gte
            .or(bounds.gt)
            .map(|from| (from * (1.0 - from.signum() * f64::EPSILON)).floor() as i64),
        lte: bounds
            .lte
            .or(bounds.lt)
            .map(|to| (to * (1.0 + to.signum() * f64::EPSILON)).ceil() as i64),
        ..Bounds::default()
    };
    within(&wide, Key::Integer)
}

fn between_parallels(test: &Test) -> Range {
    let (south, north) = match test {
        Test::Radius { center, metres } => parallels(*center, *metres),
        Test::Box(area) => (area.bottom_right.lat, area.top_left.lat),
        Test::Polygon(area) => {
            let lats = area.exterior.iter().map(|corner| corner.lat);
            lats.fold((90.0_f64, -90.0_f64), |(south, north), lat| {
                (south.min(lat), north.max(lat))
            })
        }
        _ => return (Unbounded, Unbounded),
    };
    let edge = |lat, lon| {
        Included(Key::Place(Place {
            lat: Float(lat),
            lon: Float(lon),
        }))
    };
    (edge(south, f64::NEG_INFINITY), edge(north, f64::INFINITY))
}
