//! Ids that a source has named already: a row that names one again would be refused with all others of
//! its request, or take the place of the first one without a word.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::mem;

use crate::limits;

/// The last ids, by 64 bits of a hash: that two of a million share them happens once in forty million
/// imports. Their memory is the same from the first one on.
pub(super) struct Seen {
    now: HashSet<u64>,
    /// Those before: two that are not further apart than `IDS_HELD` are told in any case.
    before: HashSet<u64>,
}

impl Seen {
    pub(super) fn new() -> Self {
        Self {
            now: HashSet::with_capacity(limits::IDS_HELD),
            before: HashSet::new(),
        }
    }

    /// Whether nobody has had an id yet; from now on somebody has.
    pub(super) fn is_new(&mut self, id: &impl Hash) -> bool {
        let mut hasher = DefaultHasher::new();
        id.hash(&mut hasher);
        let id = hasher.finish();
        if self.before.contains(&id) || self.now.contains(&id) {
            return false;
        }
        if self.now.len() == limits::IDS_HELD {
            self.before = mem::replace(&mut self.now, HashSet::with_capacity(limits::IDS_HELD));
        }
        self.now.insert(id)
    }
}

#[cfg(test)]
mod tests {
    use super::super::photo::PhotoId;
    use super::*;

    #[test]
    fn an_id_is_new_once_and_only_what_is_far_away_is_forgotten() {
        let mut seen = Seen::new();
        let (first, number) = (PhotoId::Number(0), |n: usize| PhotoId::Number(n as u64));
        assert!(seen.is_new(&first) && !seen.is_new(&first));
        for n in 1..limits::IDS_HELD + 10 {
            assert!(seen.is_new(&number(n)), "{n}");
        }
        assert!(!seen.is_new(&first) && !seen.is_new(&number(limits::IDS_HELD + 9)));
        for n in limits::IDS_HELD + 10..2 * limits::IDS_HELD + 1 {
            seen.is_new(&number(n));
        }
        assert!(seen.is_new(&first));
        assert!(!seen.is_new(&number(limits::IDS_HELD)));
    }
}
