//! Which slots a walk has seen: a generation number a slot, so that clearing costs nothing.

use std::sync::Mutex;

/// A set of slots.
#[derive(Default)]
pub(crate) struct Visited {
    generation: u32,
    marks: Vec<u32>,
}

impl Visited {
    fn start(&mut self, slots: usize) {
        self.marks.resize(slots.max(self.marks.len()), 0);
        self.generation = self.generation.wrapping_add(1);
        if self.generation == 0 {
            self.marks.fill(0);
            self.generation = 1;
        }
    }

    /// Adds a slot; `false` if it was in already.
    pub(crate) fn insert(&mut self, slot: u32) -> bool {
        match self.marks.get_mut(slot as usize) {
            Some(mark) if *mark != self.generation => {
                *mark = self.generation;
                true
            }
            _ => false,
        }
    }
}

/// Sets waiting to be used again; searches on several threads each take one.
#[derive(Default)]
pub(crate) struct VisitedPool {
    free: Mutex<Vec<Visited>>,
}

impl VisitedPool {
    pub(crate) fn with<T>(&self, slots: usize, use_it: impl FnOnce(&mut Visited) -> T) -> T {
        let take = self.free.lock().ok().and_then(|mut free| free.pop());
        let mut visited = take.unwrap_or_default();
        visited.start(slots);
        let result = use_it(&mut visited);
        if let Ok(mut free) = self.free.lock() {
            free.push(visited);
        }
        result
    }
}
