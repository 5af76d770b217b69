//! Points by key and keys by point: the two-way map that every payload index is.

use std::collections::BTreeMap;
use std::ops::Bound;

use roaring::{MultiOps, RoaringBitmap};

use super::key::Key;
use crate::numbers::PointNumber;

/// Which points have which keys.
#[derive(Default)]
pub(crate) struct Postings {
    points: BTreeMap<Key, Points>,
    /// By number, so that a point's old keys need not be searched for.
    keys: Vec<Keys>,
}

/// The points of one key; most keys of ids, dates and names have one.
enum Points {
    One(u32),
    Many(RoaringBitmap),
}

/// The keys of one point.
#[derive(Default, Clone)]
enum Keys {
    #[default]
    None,
    One(Key),
    Many(Box<[Key]>),
}

impl Keys {
    fn as_slice(&self) -> &[Key] {
        match self {
            Keys::None => &[],
            Keys::One(key) => std::slice::from_ref(key),
            Keys::Many(keys) => keys,
        }
    }
}

impl Postings {
    /// Has a point have these keys and no others.
    pub(crate) fn put(&mut self, number: PointNumber, keys: Vec<Key>) {
        if self.keys_of(number) == keys {
            return;
        }
        self.take(number);
        for key in &keys {
            match self.points.get_mut(key) {
                None => drop(self.points.insert(key.clone(), Points::One(number.0))),
                Some(points) => points.insert(number.0),
            }
        }
        if self.keys.len() <= number.at() {
            self.keys.resize(number.at() + 1, Keys::None);
        }
        self.keys[number.at()] = match <[Key; 1]>::try_from(keys) {
            Ok([key]) => Keys::One(key),
            Err(keys) if keys.is_empty() => Keys::None,
            Err(keys) => Keys::Many(keys.into()),
        };
    }

    /// Has a point have no keys.
    pub(crate) fn take(&mut self, number: PointNumber) {
        let Some(keys) = self.keys.get_mut(number.at()).map(std::mem::take) else {
            return;
        };
        for key in keys.as_slice() {
            if let Some(points) = self.points.get_mut(key)
                && points.remove(number.0)
            {
                self.points.remove(key);
            }
        }
    }

    pub(crate) fn keys_of(&self, number: PointNumber) -> &[Key] {
        self.keys.get(number.at()).map_or(&[], Keys::as_slice)
    }

    /// The points of one key.
    pub(crate) fn of(&self, key: &Key) -> RoaringBitmap {
        let mut found = Union::default();
        if let Some(points) = self.points.get(key) {
            found.add(points);
        }
        found.whole()
    }

    /// The points of the keys between two of them for which `wanted` holds.
    pub(crate) fn between(
        &self,
        range: (Bound<Key>, Bound<Key>),
        mut wanted: impl FnMut(&Key) -> bool,
    ) -> RoaringBitmap {
        let mut found = Union::default();
        for (key, points) in self.range(range) {
            if wanted(key) {
                found.add(points);
            }
        }
        found.whole()
    }

    /// Keys in order.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &Key> {
        self.points.keys()
    }

    /// Keys in order with their points, from the first or from the last.
    pub(crate) fn in_order(
        &self,
        range: (Bound<Key>, Bound<Key>),
    ) -> impl DoubleEndedIterator<Item = (&Key, RoaringBitmap)> {
        self.range(range).map(|(key, points)| {
            let mut found = Union::default();
            found.add(points);
            (key, found.whole())
        })
    }

    /// An empty range is one; the map would panic at one that is turned round.
    fn range(
        &self,
        range: (Bound<Key>, Bound<Key>),
    ) -> std::collections::btree_map::Range<'_, Key, Points> {
        let turned = match (&range.0, &range.1) {
            (Bound::Unbounded, _) | (_, Bound::Unbounded) => false,
            (Bound::Included(from), Bound::Included(to)) => from > to,
            (
                Bound::Included(from) | Bound::Excluded(from),
                Bound::Included(to) | Bound::Excluded(to),
            ) => from >= to,
        };
        if turned {
            let nothing = Key::Bool(false);
            return self
                .points
                .range((Bound::Included(nothing.clone()), Bound::Excluded(nothing)));
        }
        self.points.range(range)
    }

    /// How often each key occurs among some points.
    pub(crate) fn counts(&self, among: &RoaringBitmap) -> Vec<(Key, u64)> {
        let count = |points: &Points| match points {
            Points::One(number) => u64::from(among.contains(*number)),
            Points::Many(points) => points.intersection_len(among),
        };
        let counts = self
            .points
            .iter()
            .map(|(key, points)| (key.clone(), count(points)));
        counts.filter(|(_, count)| *count > 0).collect()
    }

    /// Bytes, about.
    pub(crate) fn memory_bytes(&self) -> usize {
        let many = self.points.iter().map(|(key, points)| {
            let text = match key {
                Key::Text(text) => text.len() + 16,
                _ => 0,
            };
            let bitmap = match points {
                Points::One(_) => 0,
                Points::Many(points) => points.serialized_size(),
            };
            text + bitmap + size_of::<(Key, Points)>()
        });
        many.sum::<usize>() + self.keys.capacity() * size_of::<Keys>()
    }
}

impl Points {
    fn insert(&mut self, number: u32) {
        match self {
            Points::One(other) => {
                *self = Points::Many([*other, number].into_iter().collect());
            }
            Points::Many(points) => drop(points.insert(number)),
        }
    }

    /// Takes a point out; `true` if none is left.
    fn remove(&mut self, number: u32) -> bool {
        match self {
            Points::One(one) => *one == number,
            Points::Many(points) => {
                points.remove(number);
                if let (1, Some(last)) = (points.len(), points.min()) {
                    *self = Points::One(last);
                }
                false
            }
        }
    }
}

/// Points put together at the end: the single ones sorted, the sets all at once, which one after
/// another would copy what has come together for each of them.
#[derive(Default)]
struct Union<'a> {
    single: Vec<u32>,
    many: Vec<&'a RoaringBitmap>,
}

impl<'a> Union<'a> {
    fn add(&mut self, points: &'a Points) {
        match points {
            Points::One(number) => self.single.push(*number),
            Points::Many(points) => self.many.push(points),
        }
    }

    fn whole(mut self) -> RoaringBitmap {
        self.single.sort_unstable();
        let mut all = self.many.union();
        all.extend(self.single);
        all
    }
}
