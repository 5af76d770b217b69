//! Every invariant of the graph, looked at one by one.

use std::collections::BTreeMap;
use std::fmt;

use crate::index::{FREE, Index, NONE};

/// An invariant that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(String);

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The first slot that stands in a list a second time.
pub(crate) fn first_twice(list: &[u32]) -> Option<u32> {
    // Most slots are told to be new by a table of few bits.
    let mut seen = [0u64; 4];
    let mut all = list.iter().enumerate();
    let found = all.find(|(at, slot)| {
        let (word, bit) = ((**slot / 64 % 4) as usize, 1 << (**slot % 64));
        let maybe = seen[word] & bit != 0;
        seen[word] |= bit;
        maybe && list[..*at].contains(slot)
    });
    found.map(|(_, slot)| *slot)
}

impl Index {
    /// Checks links, levels, reverse links, anchors, codes, the free list, the entry, and that every
    /// live point can be reached on level 0 from where searches start.
    pub fn check(&self) -> Result<(), Vec<Violation>> {
        let mut found = self.structure();
        if found.is_empty() {
            found.extend(self.reverse_links());
            found.extend(self.codes());
            found.extend(self.reachability());
        }
        if found.is_empty() { Ok(()) } else { Err(found) }
    }

    fn live(&self) -> impl Iterator<Item = (u32, u8)> {
        (0u32..)
            .zip(self.levels.iter().copied())
            .filter(|(_, level)| *level != FREE)
    }

    /// What must hold before anything may be followed; also what a frozen index is checked for.
    pub(crate) fn structure(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        let mut say = |what: String| found.push(Violation(what));
        for (slot, level) in self.live() {
            for at in 0..=usize::from(level) {
                if let Some(what) = self.bad_list(slot, at) {
                    say(format!("slot {slot}, level {at}: {what}"));
                }
            }
            if let Some(what) = self.bad_anchor(slot) {
                say(format!("slot {slot}: {what}"));
            }
        }
        let highest = self.live().map(|(_, level)| level).max();
        let entry = self
            .levels
            .get(self.entry as usize)
            .copied()
            .filter(|level| *level != FREE);
        if entry != highest || (self.entry == NONE) != highest.is_none() {
            say(format!(
                "the entry {} is not of the highest level",
                self.entry
            ));
        }
        let free: std::collections::BTreeSet<u32> = self.free.iter().copied().collect();
        let dead = (0u32..)
            .zip(&self.levels)
            .filter(|(_, level)| **level == FREE)
            .map(|(slot, _)| slot);
        if free.len() != self.free.len() || !dead.eq(free.iter().copied()) {
            say("the free list is not the list of free slots".into());
        }
        let births: std::collections::BTreeSet<(u64, u32)> = self
            .live()
            .map(|(slot, _)| (self.births[slot as usize], slot))
            .collect();
        let distinct: std::collections::BTreeSet<u64> =
            births.iter().map(|(birth, _)| *birth).collect();
        if births != self.by_birth
            || distinct.len() != births.len()
            || self.next_birth > u64::MAX / 2
            || births
                .last()
                .is_some_and(|(birth, _)| *birth >= self.next_birth)
        {
            say("the order of births is wrong".into());
        }
        found
    }

    fn bad_list(&self, slot: u32, level: usize) -> Option<String> {
        let list = self.links.get(slot, level);
        if list.len() > self.params.cap(level) {
            return Some(format!(
                "{} links, at most {} may be",
                list.len(),
                self.params.cap(level)
            ));
        }
        for other in list {
            let reaches = self
                .levels
                .get(*other as usize)
                .is_some_and(|top| *top != FREE && usize::from(*top) >= level);
            if !reaches {
                return Some(format!("a link to {other}, which is not on this level"));
            }
            if *other == slot {
                return Some("a link to itself".into());
            }
        }
        let twice = first_twice(list);
        twice.map(|other| format!("a link to {other} that is there twice"))
    }

    fn bad_anchor(&self, slot: u32) -> Option<String> {
        let anchor = self.anchors[slot as usize];
        if anchor == NONE {
            let oldest = self.by_birth.first().map(|(_, oldest)| *oldest);
            return (oldest != Some(slot)).then(|| "no anchor, and it is not the oldest".into());
        }
        if self
            .levels
            .get(anchor as usize)
            .is_none_or(|level| *level == FREE)
        {
            return Some(format!("its anchor {anchor} is not live"));
        }
        if self.births[anchor as usize] >= self.births[slot as usize] {
            return Some(format!("its anchor {anchor} is younger"));
        }
        let linked =
            self.links.get(slot, 0).contains(&anchor) && self.links.get(anchor, 0).contains(&slot);
        (!linked).then(|| format!("it is not linked both ways with its anchor {anchor}"))
    }

    fn reverse_links(&self) -> Vec<Violation> {
        let mut expected: BTreeMap<(usize, u32), Vec<u32>> = BTreeMap::new();
        for (slot, top) in self.live() {
            for level in 0..=usize::from(top) {
                for other in self.links.get(slot, level) {
                    expected.entry((level, *other)).or_default().push(slot);
                }
            }
        }
        let mut wrong = Vec::new();
        for (slot, top) in self.live() {
            for level in 0..=usize::from(top) {
                let mut list = self.incoming().get(slot, level).to_vec();
                list.sort_unstable();
                if expected.remove(&(level, slot)).unwrap_or_default() != list {
                    let what = format!("slot {slot}, level {level}: its reverse links are wrong");
                    wrong.push(Violation(what));
                }
            }
        }
        wrong
    }

    fn codes(&self) -> Vec<Violation> {
        let wrong = self
            .live()
            .filter(|(slot, _)| !self.vectors.codes_match(*slot));
        wrong
            .map(|(slot, _)| {
                Violation(format!(
                    "slot {slot}: its codes are not those of its vector"
                ))
            })
            .collect()
    }

    fn reachability(&self) -> Option<Violation> {
        if self.entry == NONE {
            return None;
        }
        let mut seen = vec![false; self.slots()];
        let mut next = vec![self.entry];
        seen[self.entry as usize] = true;
        let mut count = 1;
        while let Some(slot) = next.pop() {
            for other in self.links.get(slot, 0) {
                if !std::mem::replace(&mut seen[*other as usize], true) {
                    next.push(*other);
                    count += 1;
                }
            }
        }
        (count != self.len())
            .then(|| Violation(format!("{count} of {} points can be reached", self.len())))
    }
}
