//! What a walk needs while it runs, kept for the next walk: the query, which slots have been seen,
//! and the beam.

#[cfg(not(doppel_sanitized))]
use std::sync::PoisonError;
#[cfg(not(feature = "shuttle"))]
use std::sync::{Mutex, MutexGuard};

#[cfg(feature = "shuttle")]
use shuttle::sync::{Mutex, MutexGuard};

use crate::beam::Beam;
use crate::vectors::Query;

/// Used by one search or plan at a time.
#[derive(Default)]
pub(crate) struct Space {
    pub(crate) query: Query,
    pub(crate) walk: Walk,
}

/// The part that changes while a query stands.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) seen: Seen,
    pub(crate) beam: Beam,
    /// Of a node's neighbours.
    pub(crate) costs: Vec<f32>,
}

/// A set of slots: a bit each, so that all of it stays in the nearest caches.
#[derive(Default)]
pub(crate) struct Seen {
    words: Vec<u64>,
    touched: Vec<u32>,
    /// Slots that were added before it was last emptied.
    earlier: usize,
}

impl Seen {
    /// Empties the set and makes room for so many slots.
    pub(crate) fn start(&mut self, slots: usize) {
        self.earlier += self.touched.len();
        for slot in self.touched.drain(..) {
            self.words[slot as usize / 64] = 0;
        }
        if self.words.len() < slots.div_ceil(64) {
            self.words.resize(slots.div_ceil(64), 0);
        }
    }

    /// Adds slots up to the first that is none, and appends to `fresh` those that were not in.
    /// Whether one was in is as good as random, so nothing branches on it.
    pub(crate) fn insert_all(&mut self, slots: &[u32], fresh: &mut Vec<u32>) {
        let before = fresh.len();
        let mut end = before;
        fresh.resize(before + slots.len(), 0);
        for slot in slots {
            let Some(word) = self.words.get_mut(*slot as usize / 64) else {
                break;
            };
            let bit = 1 << (slot % 64);
            fresh[end] = *slot;
            end += usize::from(*word & bit == 0);
            *word |= bit;
        }
        fresh.truncate(end);
        self.touched.extend_from_slice(&fresh[before..]);
    }

    /// How many slots were ever added: what this grows by is what was looked at meanwhile.
    pub(crate) fn added(&self) -> usize {
        self.earlier + self.touched.len()
    }

    /// Adds a slot; `false` if it was in already.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        let Some(word) = self.words.get_mut(slot as usize / 64) else {
            return false;
        };
        let bit = 1 << (slot % 64);
        if *word & bit != 0 {
            return false;
        }
        *word |= bit;
        self.touched.push(slot);
        true
    }
}

/// Spaces waiting to be used again; threads each take one.
#[derive(Default)]
pub(crate) struct Spaces {
    free: Mutex<Vec<Space>>,
}

impl Spaces {
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut Space) -> T) -> T {
        let taken = self.lock().pop();
        let mut space = taken.unwrap_or_default();
        let result = work(&mut space);
        self.lock().push(space);
        result
    }

    #[cfg(not(doppel_sanitized))]
    fn lock(&self) -> MutexGuard<'_, Vec<Space>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The standard library's waiting for a lock is not seen by ThreadSanitizer, which would take
    /// what follows for a race: so nobody waits there under it.
    #[cfg(doppel_sanitized)]
    fn lock(&self) -> MutexGuard<'_, Vec<Space>> {
        use std::sync::TryLockError::{Poisoned, WouldBlock};
        loop {
            match self.free.try_lock() {
                Ok(held) => return held,
                Err(Poisoned(held)) => return held.into_inner(),
                Err(WouldBlock) => std::thread::yield_now(),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_empty_again_when_it_is_started_again() {
        let mut seen = Seen::default();
        for slots in [100, 1_000, 50] {
            seen.start(slots);
            assert!(seen.insert(7) && seen.insert(49) && !seen.insert(7));
            assert!(!seen.insert(4_000_000), "there is no such slot");
        }
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod interleavings {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_space_belongs_to_one_walk_at_a_time_and_is_used_again() {
        let life = || {
            let spaces = Arc::new(Spaces::default());
            let walk = |slot: u32, spaces: Arc<Spaces>| {
                move || {
                    spaces.with(|space| {
                        space.walk.seen.start(64);
                        let before = space.walk.seen.added();
                        assert!(space.walk.seen.insert(slot));
                        shuttle::thread::yield_now();
                        let added = space.walk.seen.added() - before;
                        assert_eq!(added, 1, "somebody else's walk");
                    });
                }
            };
            let threads = [1, 2, 3].map(|n| shuttle::thread::spawn(walk(n, Arc::clone(&spaces))));
            assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
            assert!((1..=3).contains(&spaces.lock().len()));
        };
        shuttle::check_random(life, 1_000);
    }
}
