//! The index itself: what it holds, and the small things everything else is made of.

use std::collections::BTreeSet;

use crate::error::Error;
use crate::frozen::Frozen;
use crate::links::Links;
use crate::params::{Metric, Params, Slot};
use crate::vectors::Vectors;
use crate::visited::VisitedPool;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// The level of a slot that holds no live point.
pub(crate) const FREE: u8 = u8::MAX;

/// An HNSW graph over vectors.
pub struct Index {
    pub(crate) params: Params,
    pub(crate) vectors: Vectors,
    pub(crate) links: Links,
    /// Who points at a slot on level 0, in no order.
    pub(crate) incoming: Vec<Vec<u32>>,
    /// By slot; `FREE` where there is no live point.
    pub(crate) levels: Vec<u8>,
    /// By slot; a later point has a higher number.
    pub(crate) births: Vec<u64>,
    /// By slot; the older point whose two-way link is never pruned (see `anchor`).
    pub(crate) anchors: Vec<u32>,
    /// The live points by birth.
    pub(crate) by_birth: BTreeSet<(u64, u32)>,
    /// Slots to be given again, the last one first.
    pub(crate) free: Vec<u32>,
    pub(crate) next_birth: u64,
    /// Where every search starts: a point of the highest level.
    pub(crate) entry: u32,
    pub(crate) visited: VisitedPool,
}

impl Index {
    /// An empty index.
    pub fn new(params: Params) -> Result<Self, Error> {
        params.check()?;
        Ok(Self {
            vectors: Vectors::new(&params),
            links: Links::new(params.cap(0)),
            incoming: Vec::new(),
            levels: Vec::new(),
            births: Vec::new(),
            anchors: Vec::new(),
            by_birth: BTreeSet::new(),
            free: Vec::new(),
            next_birth: 0,
            entry: NONE,
            visited: VisitedPool::default(),
            params,
        })
    }

    /// Its settings.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Live points.
    pub fn len(&self) -> usize {
        self.by_birth.len()
    }

    /// Whether it holds no point.
    pub fn is_empty(&self) -> bool {
        self.by_birth.is_empty()
    }

    /// One more than the highest slot that was ever given.
    pub fn slots(&self) -> usize {
        self.levels.len()
    }

    /// Whether a slot holds a point that searches can find.
    pub fn is_live(&self, slot: Slot) -> bool {
        self.levels
            .get(slot.at())
            .is_some_and(|level| *level != FREE)
    }

    /// A point's vector as stored: normalised under cosine.
    pub fn vector(&self, slot: Slot) -> Option<&[f32]> {
        self.is_live(slot).then(|| self.vectors.rows.row(slot.0))
    }

    /// Bytes held in RAM.
    pub fn memory_bytes(&self) -> usize {
        let incoming: usize = self
            .incoming
            .iter()
            .map(|list| list.capacity() * 4 + 24)
            .sum();
        self.vectors.bytes() + self.links.bytes() + incoming + self.levels.len() * (1 + 8 + 4 + 24)
    }

    /// A vector as it will be stored: checked, and normalised under cosine.
    pub fn prepare(&self, vector: &[f32]) -> Result<Vec<f32>, Error> {
        if vector.len() != self.params.dim {
            return Err(Error::Dimension {
                expected: self.params.dim,
                got: vector.len(),
            });
        }
        if let Some(position) = vector.iter().position(|x| !x.is_finite()) {
            return Err(Error::NotFinite {
                position,
                value: vector[position],
            });
        }
        if self.params.metric != Metric::Cosine {
            return Ok(vector.to_vec());
        }
        let squared: f64 = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
        let norm = squared.sqrt();
        if norm == 0.0 {
            return Err(Error::NoDirection(0.0));
        }
        Ok(vector.iter().map(|x| scaled(*x, norm)).collect())
    }

    /// The index as it is now, at the cost of a reference count a chunk; later writes copy the
    /// chunks they touch.
    pub fn freeze(&self) -> Frozen {
        Frozen {
            params: self.params,
            rows: self.vectors.rows.clone(),
            links: self.links.clone(),
            levels: self.levels.clone(),
            births: self.births.clone(),
            anchors: self.anchors.clone(),
            free: self.free.clone(),
            next_birth: self.next_birth,
            entry: self.entry,
        }
    }

    /// The highest level there is.
    pub(crate) fn top(&self) -> Option<usize> {
        (self.entry != NONE).then(|| usize::from(self.levels[self.entry as usize]))
    }

    /// Replaces a list and keeps the reverse links of level 0 in step.
    pub(crate) fn relink(&mut self, slot: u32, level: usize, links: &[u32]) {
        if level == 0 {
            let before = self.links.get(slot, 0).to_vec();
            for gone in before.iter().filter(|other| !links.contains(other)) {
                let list = &mut self.incoming[*gone as usize];
                if let Some(at) = list.iter().position(|from| *from == slot) {
                    list.swap_remove(at);
                }
            }
            for new in links.iter().filter(|other| !before.contains(other)) {
                self.incoming[*new as usize].push(slot);
            }
        }
        self.links.set(slot, level, links);
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "a quotient of at most 1 fits"
)]
fn scaled(x: f32, norm: f64) -> f32 {
    (f64::from(x) / norm) as f32
}
