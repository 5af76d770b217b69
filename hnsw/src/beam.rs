//! The candidates of a walk: one array sorted by cost instead of two heaps.

/// A slot and what it costs to take it; lower is nearer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Candidate {
    pub(crate) cost: f32,
    pub(crate) slot: u32,
}

impl Candidate {
    /// By cost, then by slot, so that every order is total and repeatable.
    pub(crate) fn order(&self, other: &Candidate) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }

    /// One number in the same order: the cost's bits, made to rise, then the slot. The lowest bit is
    /// left free.
    fn key(self) -> u64 {
        let bits = self.cost.to_bits();
        let rising = if bits & SIGN == 0 { bits | SIGN } else { !bits };
        u64::from(rising) << 32 | u64::from(self.slot) << 1
    }

    #[expect(
        clippy::cast_possible_truncation,
        reason = "the halves are taken apart"
    )]
    fn of_key(key: u64) -> Self {
        let rising = (key >> 32) as u32;
        let bits = if rising & SIGN == 0 {
            !rising
        } else {
            rising & !SIGN
        };
        Self {
            cost: f32::from_bits(bits),
            slot: key as u32 >> 1,
        }
    }
}

impl PartialEq for Candidate {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.order(other)
    }
}

const SIGN: u32 = 1 << 31;
/// The lowest bit of an item: whether it has been expanded.
const EXPANDED: u64 = 1;

/// Candidates that are sieved at once.
const SIEVED: usize = 64;

/// The best candidates seen.
#[derive(Default)]
pub(crate) struct Beam {
    /// Candidates that are kept.
    width: usize,
    /// How many of them, the nearest, are expanded.
    depth: usize,
    /// Keys, sorted, each with its mark.
    items: Vec<u64>,
    /// All items before this one are expanded.
    next: usize,
}

impl Beam {
    /// Empties it: of `width` candidates that will be kept, the `depth` nearest will be expanded.
    pub(crate) fn start(&mut self, width: usize, depth: usize) {
        self.width = width.max(1);
        self.depth = depth;
        self.items.clear();
        self.next = 0;
    }

    /// Whether a candidate would find a place.
    pub(crate) fn admits(&self, candidate: Candidate) -> bool {
        let full = self.items.len() == self.width;
        !full
            || self
                .items
                .last()
                .is_some_and(|worst| candidate.key() < *worst)
    }

    pub(crate) fn insert(&mut self, candidate: Candidate) {
        self.insert_key(candidate.key());
    }

    fn insert_key(&mut self, key: u64) {
        if self.items.len() == self.width {
            if self.items.last().is_some_and(|worst| key >= *worst) {
                return;
            }
            self.items.pop();
        }
        let at = self.items.partition_point(|item| *item < key);
        self.items.insert(at, key);
        self.next = self.next.min(at);
    }

    /// Takes in several. Most are too far, which ones is hard to foresee, and so they are sieved
    /// without a branch first.
    pub(crate) fn insert_all(&mut self, costs: &[f32], slots: &[u32]) {
        let worst = match self.items.last() {
            Some(worst) if self.items.len() == self.width => *worst,
            _ => u64::MAX,
        };
        for (costs, slots) in costs.chunks(SIEVED).zip(slots.chunks(SIEVED)) {
            let mut near = [0; SIEVED];
            let mut count = 0;
            for (&cost, &slot) in costs.iter().zip(slots) {
                let key = Candidate { cost, slot }.key();
                near[count] = key;
                count += usize::from(key < worst);
            }
            near[..count].iter().for_each(|key| self.insert_key(*key));
        }
    }

    /// The nearest candidate that has not been expanded; it counts as expanded from now on.
    pub(crate) fn pop(&mut self) -> Option<Candidate> {
        let items = self
            .items
            .get(self.next..self.depth.min(self.items.len()))?;
        let expanded = items.iter().take_while(|item| *item & EXPANDED != 0);
        self.next += expanded.count();
        let item = self
            .items
            .get_mut(self.next)
            .filter(|_| self.next < self.depth)?;
        *item |= EXPANDED;
        self.next += 1;
        Some(Candidate::of_key(*item))
    }

    /// The first few that `pop` would give if nothing came between.
    pub(crate) fn waiting(&self, count: usize) -> impl Iterator<Item = Candidate> + '_ {
        let items = self.items.get(self.next..self.depth.min(self.items.len()));
        let waiting = items.unwrap_or_default().iter();
        let waiting = waiting.filter(|item| *item & EXPANDED == 0);
        waiting.take(count).map(|item| Candidate::of_key(*item))
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    /// All candidates, the nearest first.
    pub(crate) fn sorted(&self) -> impl ExactSizeIterator<Item = Candidate> + '_ {
        self.items.iter().map(|item| Candidate::of_key(*item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_are_kept_and_given_out_nearest_first_once() {
        let mut beam = Beam::default();
        beam.start(4, 3);
        for (cost, slot) in [
            (0.5, 1),
            (-2.0, 2),
            (0.25, 3),
            (f32::MAX, 4),
            (-0.0, 5),
            (9.0, 7),
        ] {
            beam.insert(Candidate { cost, slot });
        }
        assert_eq!(beam.pop().map(|c| c.slot), Some(2));
        beam.insert(Candidate {
            cost: -3.0,
            slot: 6,
        });
        let rest: Vec<u32> = std::iter::from_fn(|| beam.pop().map(|c| c.slot)).collect();
        assert_eq!(rest, [6, 5]);
        let sorted: Vec<u32> = beam.sorted().map(|c| c.slot).collect();
        assert_eq!(sorted, [6, 2, 5, 3]);
    }
}
