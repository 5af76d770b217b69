//! One vector of a collection's points: an index, and which point each of its slots belongs to.
//!
//! A point keeps its number while its vector is replaced, a slot does not: the new vector is
//! brought in beside the old one. So the two are mapped to each other, one word a point each way.

use hnsw::{Index, Slot, SlotSet};

use crate::numbers::PointNumber;

/// No slot, no number.
pub(crate) const NOBODY: u32 = u32::MAX;

/// An index over one vector of the points that have it.
pub(crate) struct Space {
    pub(crate) index: Index,
    /// By number.
    slots: Vec<u32>,
    /// By slot; `NOBODY` for a free slot and for one whose point has been replaced just now.
    numbers: Vec<u32>,
}

impl Space {
    pub(crate) fn new(index: Index) -> Self {
        Self {
            index,
            slots: Vec::new(),
            numbers: Vec::new(),
        }
    }

    /// A space as a snapshot has it: the number of each slot's point. Fails where the live slots
    /// are not exactly those that belong to one point each.
    pub(crate) fn with_numbers(
        index: Index,
        numbers: &[u32],
        is_point: impl Fn(PointNumber) -> bool,
    ) -> Result<Self, String> {
        let mut space = Self::new(index);
        if numbers.len() > space.index.slots() {
            return Err("there are more slots than the index has".into());
        }
        for slot in (0u32..).take(space.index.slots()).map(Slot) {
            let number = numbers.get(slot.0 as usize).copied().unwrap_or(NOBODY);
            if (number != NOBODY) != space.index.is_live(slot) {
                return Err("the points are not those of the live slots".into());
            }
            if number == NOBODY {
                continue;
            }
            let number = PointNumber(number);
            if !is_point(number) || space.put(number, slot).is_some() {
                let (number, slot) = (number.0, slot.0);
                return Err(format!(
                    "slot {slot} cannot belong to point number {number}"
                ));
            }
        }
        Ok(space)
    }

    /// Where a point's vector is.
    pub(crate) fn slot(&self, number: PointNumber) -> Option<Slot> {
        let slot = self.slots.get(number.at()).copied();
        slot.filter(|slot| *slot != NOBODY).map(Slot)
    }

    /// Whose vector is in a slot.
    pub(crate) fn number(&self, slot: Slot) -> Option<PointNumber> {
        let number = self.numbers.get(slot.0 as usize).copied();
        number.filter(|number| *number != NOBODY).map(PointNumber)
    }

    /// The slots of these points, as far as they have this vector.
    pub(crate) fn slots_of(&self, numbers: impl IntoIterator<Item = PointNumber>) -> SlotSet {
        let slots = numbers.into_iter().filter_map(|number| self.slot(number));
        slots.collect()
    }

    /// The numbers by slot, as a snapshot has them.
    pub(crate) fn by_slot(&self) -> &[u32] {
        &self.numbers
    }

    /// Has a slot belong to a point; returns the one that did before.
    pub(crate) fn put(&mut self, number: PointNumber, slot: Slot) -> Option<Slot> {
        let before = self.take(number);
        *entry(&mut self.slots, number.at()) = slot.0;
        *entry(&mut self.numbers, slot.0 as usize) = number.0;
        before
    }

    /// Has no slot belong to a point any more; returns the one that did.
    pub(crate) fn take(&mut self, number: PointNumber) -> Option<Slot> {
        let slot = self.slot(number)?;
        self.slots[number.at()] = NOBODY;
        self.numbers[slot.0 as usize] = NOBODY;
        Some(slot)
    }

    /// Every invariant of the graph, and of the map beside it.
    pub(crate) fn check(&self, is_point: impl Fn(PointNumber) -> bool) -> Result<(), String> {
        self.index
            .check()
            .map_err(|violations| format!("{violations:?}"))?;
        let mut count = 0;
        for number in (0u32..).take(self.slots.len()).map(PointNumber) {
            let Some(slot) = self.slot(number) else {
                continue;
            };
            count += 1;
            if self.number(slot) != Some(number) || !self.index.is_live(slot) {
                return Err(format!("number {} and slot {} disagree", number.0, slot.0));
            }
            if !is_point(number) {
                return Err(format!("number {} has a vector but is no point", number.0));
            }
        }
        if count != self.index.len() {
            let live = self.index.len();
            return Err(format!("{live} vectors in the graph, {count} in the map"));
        }
        Ok(())
    }
}

/// A place in a list that grows as needed.
fn entry(list: &mut Vec<u32>, at: usize) -> &mut u32 {
    if list.len() <= at {
        list.resize(at + 1, NOBODY);
    }
    &mut list[at]
}

#[cfg(test)]
mod tests {
    use hnsw::{Metric, Params};

    use super::*;

    fn index_of(count: u16) -> Index {
        let mut index = Index::new(Params::new(1, Metric::Euclid)).unwrap();
        for n in 0..count {
            index.insert(u64::from(n), &[f32::from(n)]).unwrap();
        }
        index
    }

    #[test]
    fn a_snapshots_map_must_be_one_to_one_with_the_live_slots() {
        let made =
            |numbers: &[u32]| Space::with_numbers(index_of(3), numbers, |number| number.0 < 8);
        let good = made(&[7, 0, 2]).unwrap();
        good.check(|number| [7, 0, 2].contains(&number.0)).unwrap();
        assert_eq!(good.slot(PointNumber(7)), Some(Slot(0)));
        assert!(good.check(|number| number.0 != 7).is_err());
        let bad: [&[u32]; 5] = [
            &[1, 1, 2],
            &[1, 2],
            &[1, NOBODY, 2],
            &[0, 1, 2, 3],
            &[0, 1, 8],
        ];
        for numbers in bad {
            assert!(made(numbers).is_err(), "{numbers:?}");
        }
    }

    #[test]
    fn a_point_has_one_slot_and_a_slot_one_point() {
        let mut space = Space::new(index_of(2));
        assert_eq!(space.put(PointNumber(5), Slot(0)), None);
        assert_eq!(space.put(PointNumber(5), Slot(1)), Some(Slot(0)));
        assert_eq!(
            (space.number(Slot(0)), space.number(Slot(1))),
            (None, Some(PointNumber(5)))
        );
        assert_eq!(space.take(PointNumber(5)), Some(Slot(1)));
        assert_eq!(space.take(PointNumber(5)), None);
    }
}
