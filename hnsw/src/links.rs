//! Who is linked to whom.
//!
//! Level 0 holds a row of fixed length for every slot, in shared chunks like the vectors. Upper
//! levels are few and held apart. Reverse links of level 0 are kept so that a removal knows who
//! points at the removed; they follow from the links and are never frozen.

use std::sync::Arc;

/// Rows of level 0 in one chunk.
const ROWS: usize = 1_024;

/// The links that are frozen.
#[derive(Clone)]
pub(crate) struct Links {
    stride: usize,
    /// A row is a count and then that many slots.
    ground: Vec<Arc<Vec<u32>>>,
    /// By slot; the lists of levels 1, 2, ... of a point that reaches them.
    upper: Vec<Option<Arc<Vec<Vec<u32>>>>>,
}

impl Links {
    pub(crate) fn new(cap: usize) -> Self {
        Self {
            stride: cap + 1,
            ground: Vec::new(),
            upper: Vec::new(),
        }
    }

    /// Makes room for a slot and gives it empty lists up to `level`.
    pub(crate) fn reset(&mut self, slot: u32, level: u8) {
        let at = slot as usize;
        while self.ground.len() <= at / ROWS {
            self.ground.push(Arc::new(vec![0; ROWS * self.stride]));
        }
        if self.upper.len() <= at {
            self.upper.resize(at + 1, None);
        }
        self.upper[at] = (level > 0).then(|| Arc::new(vec![Vec::new(); usize::from(level)]));
        self.set(slot, 0, &[]);
    }

    pub(crate) fn get(&self, slot: u32, level: usize) -> &[u32] {
        let at = slot as usize;
        if level > 0 {
            let lists = self.upper[at].as_deref();
            return lists
                .and_then(|lists| lists.get(level - 1))
                .map_or(&[], Vec::as_slice);
        }
        let start = at % ROWS * self.stride;
        let row = &self.ground[at / ROWS][start..start + self.stride];
        &row[1..=row[0] as usize]
    }

    pub(crate) fn set(&mut self, slot: u32, level: usize, links: &[u32]) {
        let at = slot as usize;
        if level > 0 {
            if let Some(list) = self.upper[at]
                .as_mut()
                .and_then(|lists| Arc::make_mut(lists).get_mut(level - 1))
            {
                list.clear();
                list.extend_from_slice(links);
            }
            return;
        }
        let start = at % ROWS * self.stride;
        let row = &mut Arc::make_mut(&mut self.ground[at / ROWS])[start..start + self.stride];
        row[0] = u32::try_from(links.len()).expect("a list is no longer than its cap");
        row[1..=links.len()].copy_from_slice(links);
    }

    /// The slots that reach a level above the ground.
    pub(crate) fn uppers(&self) -> impl Iterator<Item = (u32, usize)> {
        let levels = self.upper.iter().zip(0u32..);
        levels.filter_map(|(lists, slot)| Some((slot, lists.as_ref()?.len())))
    }

    pub(crate) fn bytes(&self) -> usize {
        let upper: usize = self
            .upper
            .iter()
            .flatten()
            .map(|lists| lists.iter().map(|l| l.capacity() * 4 + 24).sum::<usize>())
            .sum();
        self.ground.len() * ROWS * self.stride * 4 + self.upper.len() * 8 + upper
    }
}
