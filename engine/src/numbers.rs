//! Points by dense number: the two-way map between a collection's ids and small integers.
//!
//! A number is what sets of points are made of (bitmaps of payload values, filters), whatever
//! vectors a point has. A new point gets the lowest number that is free, so which one that is
//! follows from the numbers in use alone, and thereby from the log. A point keeps its number until
//! it is deleted; the number may then be given again.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};

use storage::PointId;

/// A point's dense number within its collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct PointNumber(pub(crate) u32);

impl PointNumber {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}

/// The points of a collection.
#[derive(Default)]
pub(crate) struct Numbers {
    by_id: HashMap<PointId, PointNumber>,
    /// By number; `None` for a free one.
    ids: Vec<Option<PointId>>,
    /// All free numbers below `ids.len()`.
    free: BinaryHeap<Reverse<u32>>,
}

impl Numbers {
    /// Points as a snapshot has them: by number, `None` for a free one.
    pub(crate) fn from_ids(ids: Vec<Option<PointId>>) -> Result<Self, String> {
        let mut numbers = Self {
            by_id: HashMap::with_capacity(ids.len()),
            ..Self::default()
        };
        for (number, id) in (0u32..).zip(&ids) {
            match id {
                None => numbers.free.push(Reverse(number)),
                Some(id) => {
                    if numbers.by_id.insert(*id, PointNumber(number)).is_some() {
                        return Err(format!("point {id} is there twice"));
                    }
                }
            }
        }
        numbers.ids = ids;
        Ok(numbers)
    }

    /// How many points there are.
    pub(crate) fn len(&self) -> usize {
        self.by_id.len()
    }

    pub(crate) fn number(&self, id: &PointId) -> Option<PointNumber> {
        self.by_id.get(id).copied()
    }

    pub(crate) fn id(&self, number: PointNumber) -> Option<PointId> {
        self.ids.get(number.at()).copied().flatten()
    }

    /// The number of a point, given to it now if it is new.
    pub(crate) fn give(&mut self, id: PointId) -> PointNumber {
        if let Some(number) = self.number(&id) {
            return number;
        }
        let number = match self.free.pop() {
            Some(Reverse(free)) => free,
            None => {
                self.ids.push(None);
                u32::try_from(self.ids.len() - 1)
                    .expect("a collection holds fewer points than there are slots")
            }
        };
        let number = PointNumber(number);
        self.ids[number.at()] = Some(id);
        self.by_id.insert(id, number);
        number
    }

    /// Forgets a point; its number is free from now on.
    pub(crate) fn forget(&mut self, id: &PointId) -> Option<PointNumber> {
        let number = self.by_id.remove(id)?;
        self.ids[number.at()] = None;
        self.free.push(Reverse(number.0));
        Some(number)
    }

    /// The ids, in no order.
    pub(crate) fn ids(&self) -> impl Iterator<Item = &PointId> {
        self.by_id.keys()
    }

    /// The ids by number, as a snapshot has them.
    pub(crate) fn by_number(&self) -> &[Option<PointId>] {
        &self.ids
    }

    /// Whether both ways and the free list agree.
    pub(crate) fn check(&self) -> Result<(), String> {
        for (id, number) in &self.by_id {
            if self.id(*number) != Some(*id) {
                return Err(format!("point {id} and number {} disagree", number.0));
            }
        }
        let mut free: Vec<u32> = self.free.iter().map(|free| free.0).collect();
        free.sort_unstable();
        let unused = (0u32..).zip(&self.ids).filter(|(_, id)| id.is_none());
        let given = self.ids.iter().flatten().count();
        if !unused.map(|(number, _)| number).eq(free) || given != self.by_id.len() {
            return Err("the free numbers are not those that no point has".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn num(n: u64) -> PointId {
        PointId::Num(n)
    }

    #[test]
    fn the_lowest_free_number_is_given_however_it_became_free() {
        let mut numbers = Numbers::default();
        let given: Vec<u32> = (10..15).map(|id| numbers.give(num(id)).0).collect();
        assert_eq!(given, [0, 1, 2, 3, 4]);
        assert_eq!(numbers.give(num(12)).0, 2, "a point keeps its number");
        for id in [13, 10, 14] {
            assert!(numbers.forget(&num(id)).is_some());
        }
        assert_eq!(numbers.forget(&num(13)), None);
        numbers.check().unwrap();
        let mut loaded = Numbers::from_ids(numbers.by_number().to_vec()).unwrap();
        for numbers in [&mut numbers, &mut loaded] {
            let given: Vec<u32> = (20..24).map(|id| numbers.give(num(id)).0).collect();
            assert_eq!(given, [0, 3, 4, 5]);
            assert_eq!(numbers.id(PointNumber(3)), Some(num(21)));
            assert_eq!((numbers.len(), numbers.number(&num(13))), (6, None));
            numbers.check().unwrap();
        }
    }

    #[test]
    fn a_point_that_is_there_twice_is_refused() {
        assert!(Numbers::from_ids(vec![Some(num(1)), None, Some(num(1))]).is_err());
    }
}
