//! Anchors: why no live point can get lost.
//!
//! Every live point except the oldest has an *anchor*, an older live point that it is linked with
//! both ways on level 0, and no thinning of a list ever drops such a link. Following anchors leads
//! to ever older points and so to the oldest; the links lead back as well; so from any live point
//! every other can be reached on level 0, whatever was inserted, thinned or removed.
//!
//! A list can be full of anchored links. A point without an anchor then takes the place of a
//! younger one, which looks for another anchor in turn: the birth of the point that looks only
//! rises, so this ends. Some older point always has room for the looking point or holds a younger
//! one: `k` older points with lists of length `c >= 4` hold at least `k * (c - 1)` places beside
//! their own anchors, more than the `k - 1` older points that could fill them.

use crate::beam::Candidate;
use crate::index::{Index, NONE};

impl Index {
    /// Whether the link between two points is one of an anchor, either way.
    pub(crate) fn is_anchored(&self, a: u32, b: u32) -> bool {
        self.anchors[a as usize] == b || self.anchors[b as usize] == a
    }

    /// Anchors a point that has just been linked; all live points are older.
    pub(crate) fn anchor_new(&mut self, slot: u32, near: &[u32]) {
        self.anchors[slot as usize] = NONE;
        self.anchor(slot, near);
    }

    /// Gives every orphan an anchor, the oldest first.
    pub(crate) fn anchor_all(&mut self, mut orphans: Vec<(u32, Vec<u32>)>) {
        orphans.sort_by_key(|(slot, _)| self.births[*slot as usize]);
        for (slot, near) in orphans {
            self.anchor(slot, &near);
        }
    }

    /// Gives a point without an anchor one: of those it is linked with already, else of `near`,
    /// else of all older points; and whoever loses a place by it another.
    fn anchor(&mut self, slot: u32, near: &[u32]) {
        let mut orphan = Some((slot, near.to_vec()));
        while let Some((slot, near)) = orphan.take() {
            if self.oldest() == Some(slot) {
                return;
            }
            if self.anchor_to_neighbour(slot) {
                continue;
            }
            let room = self.first_with_room(slot, near.iter().copied());
            let room = room.or_else(|| self.first_with_room(slot, self.older_than(slot)));
            if let Some(other) = room {
                self.bind(slot, other);
                continue;
            }
            orphan = self.take_place(slot).map(|evicted| (evicted, Vec::new()));
        }
    }

    fn oldest(&self) -> Option<u32> {
        self.by_birth.first().map(|(_, slot)| *slot)
    }

    /// Older live points, the youngest of them first: they are the likeliest to have room.
    fn older_than(&self, slot: u32) -> impl Iterator<Item = u32> + '_ {
        let birth = self.births[slot as usize];
        let older = self.by_birth.range(..(birth, 0)).rev();
        older.map(|(_, slot)| *slot)
    }

    fn is_older(&self, a: u32, b: u32) -> bool {
        self.births[a as usize] < self.births[b as usize]
    }

    fn anchor_to_neighbour(&mut self, slot: u32) -> bool {
        let mut two_way = self.links.get(slot, 0).iter().copied();
        let found = two_way.find(|other| {
            self.is_older(*other, slot)
                && self.incoming().get(slot, 0).contains(other)
                && self.has_room(*other, slot)
        });
        if let Some(other) = found {
            self.anchors[slot as usize] = other;
        }
        found.is_some()
    }

    fn first_with_room(&self, slot: u32, mut others: impl Iterator<Item = u32>) -> Option<u32> {
        others.find(|other| {
            self.is_live(crate::Slot(*other))
                && self.is_older(*other, slot)
                && self.has_room(*other, slot)
                && self.has_room(slot, *other)
        })
    }

    /// Makes `other` the anchor of `slot`.
    fn bind(&mut self, slot: u32, other: u32) {
        self.force_link(other, slot);
        self.force_link(slot, other);
        self.anchors[slot as usize] = other;
    }

    /// Whether `from` can hold an anchored link to `to`. A point that still looks for its own anchor
    /// keeps a place for it.
    fn has_room(&self, from: u32, to: u32) -> bool {
        let held = self
            .links
            .get(from, 0)
            .iter()
            .filter(|other| **other != to && self.is_anchored(from, **other));
        let looks = self.anchors[from as usize] == NONE
            && self.oldest() != Some(from)
            && self.is_older(from, to);
        held.count() + 1 + usize::from(looks) <= self.params.cap(0)
    }

    /// Adds a link on level 0, in the place of the farthest that is not anchored if need be.
    fn force_link(&mut self, from: u32, to: u32) {
        let mut list = self.links.get(from, 0).to_vec();
        if list.contains(&to) {
            return;
        }
        if list.len() == self.params.cap(0) {
            let loose = list.iter().filter(|other| !self.is_anchored(from, **other));
            let costs = loose.map(|other| Candidate {
                cost: self.vectors.between(from, *other),
                slot: *other,
            });
            if let Some(farthest) = costs.max_by(Candidate::order) {
                list.retain(|other| *other != farthest.slot);
            }
        }
        list.push(to);
        self.relink(from, 0, &list);
    }

    /// Takes the place of a younger point at an older one; returns the point that lost it.
    fn take_place(&mut self, slot: u32) -> Option<u32> {
        let held = |other: u32| {
            let mut links = self.links.get(other, 0).iter().copied();
            let held = links
                .find(|held| self.anchors[*held as usize] == other && self.is_older(slot, *held));
            held.map(|held| (other, held))
        };
        let (other, evicted) = self.older_than(slot).find_map(held)?;
        self.anchors[evicted as usize] = NONE;
        self.bind(slot, other);
        Some(evicted)
    }
}
