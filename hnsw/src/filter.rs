//! A set of slots: which points a search may answer with.

use crate::params::Slot;

/// A bit for each slot.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SlotSet {
    words: Vec<u64>,
    len: usize,
}

impl SlotSet {
    /// The empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a slot; `false` if it was in already.
    pub fn insert(&mut self, slot: Slot) -> bool {
        let (at, bit) = place(slot);
        if self.words.len() <= at {
            self.words.resize(at + 1, 0);
        }
        let fresh = self.words[at] & bit == 0;
        self.words[at] |= bit;
        self.len += usize::from(fresh);
        fresh
    }

    /// Takes a slot out; `false` if it was not in.
    pub fn remove(&mut self, slot: Slot) -> bool {
        let (at, bit) = place(slot);
        let Some(word) = self.words.get_mut(at).filter(|word| **word & bit != 0) else {
            return false;
        };
        *word &= !bit;
        self.len -= 1;
        true
    }

    /// Whether a slot is in it.
    pub fn contains(&self, slot: Slot) -> bool {
        let (at, bit) = place(slot);
        self.words.get(at).is_some_and(|word| word & bit != 0)
    }

    /// How many slots are in it.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The slots, the lowest first.
    pub fn iter(&self) -> impl Iterator<Item = Slot> + '_ {
        (0u32..)
            .step_by(64)
            .zip(&self.words)
            .flat_map(|(first, word)| {
                let mut left = *word;
                std::iter::from_fn(move || {
                    let bit = (left != 0).then(|| left.trailing_zeros())?;
                    left &= left - 1;
                    Some(Slot(first + bit))
                })
            })
    }
}

impl FromIterator<Slot> for SlotSet {
    fn from_iter<I: IntoIterator<Item = Slot>>(slots: I) -> Self {
        let mut set = Self::new();
        for slot in slots {
            set.insert(slot);
        }
        set
    }
}

fn place(slot: Slot) -> (usize, u64) {
    (slot.at() / 64, 1 << (slot.0 % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_holds_what_was_put_in_and_not_taken_out() {
        let numbers = [0, 5, 63, 64, 1_000, 5];
        let mut set: SlotSet = numbers.into_iter().map(Slot).collect();
        assert_eq!(set.len(), 5);
        assert!(set.remove(Slot(63)) && !set.remove(Slot(63)) && !set.remove(Slot(9_999)));
        let left: Vec<u32> = set.iter().map(|slot| slot.0).collect();
        assert_eq!(left, [0, 5, 64, 1_000]);
        assert!(set.contains(Slot(1_000)) && !set.contains(Slot(1_001)));
    }
}
