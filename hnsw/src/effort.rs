//! What searches have cost so far: which way they took, and how many points they looked at.

use std::sync::atomic::{AtomicU64, Ordering};

/// Searches of an index since it was opened, by the way they took.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Effort {
    /// Looked at all points that came into question.
    pub scans: u64,
    /// Walked the graph.
    pub walks: u64,
    /// Walked the graph with a filter.
    pub filtered_walks: u64,
    /// Began to walk with a filter, gave up and looked at all that it lets through.
    pub given_up: u64,
    /// Points that they compared with a query, all together.
    pub looked_at: u64,
}

/// The way of one search.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    Scan,
    Walk,
    Filtered,
    GivenUp,
}

/// Counts beside searches; the counts of one moment may be of different searches.
#[derive(Default)]
pub(crate) struct Counts {
    ways: [AtomicU64; 4],
    looked_at: AtomicU64,
}

impl Counts {
    pub(crate) fn add(&self, way: Way, looked_at: usize) {
        self.ways[way as usize].fetch_add(1, Ordering::Relaxed);
        self.looked_at
            .fetch_add(looked_at as u64, Ordering::Relaxed);
    }

    pub(crate) fn sum(&self) -> Effort {
        let of = |way: Way| self.ways[way as usize].load(Ordering::Relaxed);
        Effort {
            scans: of(Way::Scan),
            walks: of(Way::Walk),
            filtered_walks: of(Way::Filtered),
            given_up: of(Way::GivenUp),
            looked_at: self.looked_at.load(Ordering::Relaxed),
        }
    }
}
