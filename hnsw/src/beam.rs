//! The candidates of a walk: one array sorted by cost instead of two heaps.

/// A slot and what it costs to take it; lower is nearer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Candidate {
    pub(crate) cost: f32,
    pub(crate) slot: u32,
}

impl Candidate {
    /// By cost, then by slot, so that every order is total and repeatable.
    pub(crate) fn order(&self, other: &Candidate) -> std::cmp::Ordering {
        self.cost
            .total_cmp(&other.cost)
            .then(self.slot.cmp(&other.slot))
    }
}

/// The best candidates seen, at most `width` of them.
pub(crate) struct Beam {
    width: usize,
    items: Vec<(Candidate, bool)>,
    /// All items before this one are expanded.
    next: usize,
}

impl Beam {
    pub(crate) fn new(width: usize) -> Self {
        Self {
            width,
            items: Vec::with_capacity(width + 1),
            next: 0,
        }
    }

    /// Whether a candidate of this cost would find a place.
    pub(crate) fn admits(&self, candidate: &Candidate) -> bool {
        self.items.len() < self.width
            || self
                .items
                .last()
                .is_some_and(|(worst, _)| candidate.order(worst).is_lt())
    }

    pub(crate) fn insert(&mut self, candidate: Candidate) {
        if !self.admits(&candidate) {
            return;
        }
        let at = self
            .items
            .partition_point(|(item, _)| item.order(&candidate).is_lt());
        self.items.insert(at, (candidate, false));
        self.items.truncate(self.width);
        self.next = self.next.min(at);
    }

    /// The nearest candidate that has not been expanded; it counts as expanded from now on.
    pub(crate) fn pop(&mut self) -> Option<Candidate> {
        while let Some((candidate, expanded)) = self.items.get_mut(self.next) {
            self.next += 1;
            if !*expanded {
                *expanded = true;
                return Some(*candidate);
            }
        }
        None
    }

    /// All candidates, the nearest first.
    pub(crate) fn into_sorted(self) -> Vec<Candidate> {
        self.items
            .into_iter()
            .map(|(candidate, _)| candidate)
            .collect()
    }
}
