//! Who is linked to whom.
//!
//! Level 0 holds a row of fixed length for every slot, whole cache lines, in shared chunks like the
//! vectors. Upper levels are few and held apart. Beside the links of every level stand the reverse
//! ones, so that a removal knows who points at the removed; they follow from the links and are
//! never frozen.

use crate::distance::prefetch;
use crate::index::NONE;
use crate::memory::{IN_RAM, Rows};

/// The links that are frozen.
#[derive(Clone)]
pub(crate) struct Links {
    /// By slot; a row is slots and then `NONE`s.
    ground: Rows<u32>,
    /// Rows of the upper levels; those of one point stand together, the lowest level first.
    upper: Rows<u32>,
    /// By slot; where a point's rows of upper levels are.
    towers: Vec<Tower>,
    /// Rows of `upper` that were ever given.
    upper_len: u32,
    /// By height: places of towers that are no more.
    vacant: Vec<Vec<u32>>,
}

/// A point's part of the upper levels.
#[derive(Clone, Copy, Default)]
struct Tower {
    start: u32,
    height: u8,
}

/// Numbers in a cache line.
const LINE: usize = 16;
impl Links {
    /// Lists of at most `caps.0` links on level 0 and `caps.1` above.
    pub(crate) fn new(caps: (usize, usize)) -> Self {
        Self {
            ground: Rows::new(caps.0.next_multiple_of(LINE), None),
            upper: Rows::new(caps.1.next_multiple_of(LINE), None),
            towers: Vec::new(),
            upper_len: 0,
            vacant: Vec::new(),
        }
    }

    /// Makes room for a slot and gives it empty lists up to `level`.
    pub(crate) fn reset(&mut self, slot: u32, level: u8) {
        let at = slot as usize;
        self.ground.reserve(slot).expect(IN_RAM);
        if self.towers.len() <= at {
            self.towers.resize(at + 1, Tower::default());
        }
        let Tower { start, height } = self.towers[at];
        if height > 0 {
            self.vacant_of(height).push(start);
        }
        self.towers[at] = self.new_tower(level);
        for at in 0..=usize::from(level) {
            self.set(slot, at, &[]);
        }
    }

    fn new_tower(&mut self, height: u8) -> Tower {
        if height == 0 {
            return Tower::default();
        }
        let start = self.vacant_of(height).pop().unwrap_or_else(|| {
            let start = self.upper_len;
            self.upper_len += u32::from(height);
            self.upper.reserve(self.upper_len - 1).expect(IN_RAM);
            start
        });
        Tower { start, height }
    }

    fn vacant_of(&mut self, height: u8) -> &mut Vec<u32> {
        let height = usize::from(height);
        if self.vacant.len() <= height {
            self.vacant.resize(height + 1, Vec::new());
        }
        &mut self.vacant[height]
    }

    pub(crate) fn get(&self, slot: u32, level: usize) -> &[u32] {
        let row = self.row(slot, level);
        let len = row.iter().position(|other| *other == NONE);
        &row[..len.unwrap_or(row.len())]
    }

    /// The links and then `NONE`s.
    #[inline]
    pub(crate) fn row(&self, slot: u32, level: usize) -> &[u32] {
        let Some(above) = level.checked_sub(1) else {
            return self.ground.row(slot);
        };
        let row = self.towers[slot as usize].row(above);
        row.map_or(&[], |row| self.upper.row(row))
    }

    pub(crate) fn set(&mut self, slot: u32, level: usize, links: &[u32]) {
        let row = match level.checked_sub(1) {
            None => self.ground.row_mut(slot),
            Some(above) => {
                let tower = self.towers[slot as usize];
                let Some(row) = tower.row(above) else {
                    return;
                };
                self.upper.row_mut(row)
            }
        };
        let row = row.expect(IN_RAM);
        row[..links.len()].copy_from_slice(links);
        row[links.len()..].fill(NONE);
    }

    /// Brings near what [`Links::get`] will read on level 0.
    pub(crate) fn prefetch(&self, slot: u32) {
        prefetch(self.ground.row(slot));
    }

    pub(crate) fn bytes(&self) -> usize {
        let towers = self.towers.capacity() * size_of::<Tower>();
        let vacant: usize = self.vacant.iter().map(|places| places.capacity() * 4).sum();
        self.ground.resident_bytes() + self.upper.resident_bytes() + towers + vacant
    }
}

impl Tower {
    fn row(self, above: usize) -> Option<u32> {
        let above = u8::try_from(above)
            .ok()
            .filter(|above| *above < self.height)?;
        Some(self.start + u32::from(above))
    }
}

/// Who points at a slot, in no order.
#[derive(Default)]
pub(crate) struct Incoming {
    ground: Vec<Vec<u32>>,
    /// Of levels 1, 2, ...; empty for a point that does not reach them.
    upper: Vec<Vec<Vec<u32>>>,
}

impl Incoming {
    /// Empty lists for so many slots, with room for what will come: by level and slot.
    pub(crate) fn with_room(slots: usize, counts: &[Vec<u32>]) -> Self {
        let mut this = Self::default();
        this.resize(slots);
        for (level, counts) in counts.iter().enumerate() {
            for (slot, count) in (0u32..).zip(counts).filter(|(_, count)| **count > 0) {
                this.list(slot, level).reserve_exact(*count as usize);
            }
        }
        this
    }

    /// Room for so many slots.
    pub(crate) fn resize(&mut self, slots: usize) {
        self.ground.resize(slots, Vec::new());
        self.upper.resize(slots, Vec::new());
    }

    pub(crate) fn get(&self, slot: u32, level: usize) -> &[u32] {
        match level.checked_sub(1) {
            None => &self.ground[slot as usize],
            Some(at) => self.upper[slot as usize].get(at).map_or(&[], Vec::as_slice),
        }
    }

    pub(crate) fn add(&mut self, from: u32, to: u32, level: usize) {
        self.list(to, level).push(from);
    }

    pub(crate) fn remove(&mut self, from: u32, to: u32, level: usize) {
        let list = self.list(to, level);
        // From the end: a removal takes the last first, however many there are.
        if let Some(at) = list.iter().rposition(|other| *other == from) {
            list.swap_remove(at);
        }
    }

    /// Forgets the lists of a slot that holds no point any more.
    pub(crate) fn clear(&mut self, slot: u32) {
        self.ground[slot as usize] = Vec::new();
        self.upper[slot as usize] = Vec::new();
    }

    fn list(&mut self, to: u32, level: usize) -> &mut Vec<u32> {
        let Some(at) = level.checked_sub(1) else {
            return &mut self.ground[to as usize];
        };
        let lists = &mut self.upper[to as usize];
        if lists.len() <= at {
            lists.resize(at + 1, Vec::new());
        }
        &mut lists[at]
    }

    pub(crate) fn bytes(&self) -> usize {
        let lists = |lists: &[Vec<u32>]| lists.iter().map(|l| l.capacity() * 4 + 24).sum::<usize>();
        let upper: usize = self.upper.iter().map(|upper| lists(upper) + 24).sum();
        lists(&self.ground) + upper
    }
}
