//! The index itself: what it holds, and the small things everything else is made of.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use crate::distance::kernels;
use crate::effort::{Counts, Effort};
use crate::error::Error;
use crate::filter::SlotSet;
use crate::frozen::Frozen;
use crate::limits::{MAX_EF_CONSTRUCT, MAX_NUMBER};
use crate::links::{Incoming, Links};
use crate::memory::Scratch;
use crate::params::{Metric, Params, Slot};
use crate::scratch::Spaces;
use crate::usual::Usual;
use crate::vectors::Vectors;

/// No slot.
pub(crate) const NONE: u32 = u32::MAX;
/// How far the square of a length may be from 1 after rounding to 32 bits (half a unit in the last place, twice).
const ROUNDING: f64 = 2.5e-7;
/// The level of a slot that holds no live point.
pub(crate) const FREE: u8 = u8::MAX;

/// An HNSW graph over vectors.
pub struct Index {
    pub(crate) params: Params,
    pub(crate) vectors: Vectors,
    pub(crate) links: Links,
    /// Of an index that was read it is derived when it is needed first.
    pub(crate) incoming: OnceLock<Incoming>,
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
    /// A hash of who came and went, in order.
    pub(crate) history: u64,
    /// Where every search starts: a point of the highest level.
    pub(crate) entry: u32,
    /// How often codes were given a better centre.
    pub(crate) centred: u8,
    /// Live points that searches pass over; few.
    pub(crate) hidden: SlotSet,
    pub(crate) spaces: Spaces,
    pub(crate) counts: Counts,
    pub(crate) usual: Usual,
}

impl Index {
    /// An empty index, all of it in RAM.
    pub fn new(params: Params) -> Result<Self, Error> {
        Self::with_scratch(params, None)
    }

    /// An empty index; with a file its `f32` vectors, which a search reads only few of, lie there.
    pub fn with_scratch(params: Params, scratch: Option<Scratch>) -> Result<Self, Error> {
        params.check()?;
        Ok(Self {
            vectors: Vectors::new(&params, scratch),
            links: Links::new((params.cap(0), params.cap(1))),
            incoming: OnceLock::from(Incoming::default()),
            levels: Vec::new(),
            births: Vec::new(),
            anchors: Vec::new(),
            by_birth: BTreeSet::new(),
            free: Vec::new(),
            next_birth: 0,
            history: 0,
            entry: NONE,
            centred: 0,
            hidden: SlotSet::new(),
            spaces: Spaces::default(),
            counts: Counts::default(),
            usual: Usual::default(),
            params,
        })
    }

    /// Its settings.
    pub fn params(&self) -> &Params {
        &self.params
    }

    /// Has so many candidates considered at inserts from now on.
    pub fn set_ef_construct(&mut self, ef_construct: usize) {
        self.params.ef_construct = ef_construct.clamp(1, MAX_EF_CONSTRUCT);
    }

    /// Live points.
    pub fn len(&self) -> usize {
        self.by_birth.len()
    }

    /// What searches have cost since it was opened.
    pub fn effort(&self) -> Effort {
        self.counts.sum()
    }

    /// A number that follows from who came and went before, in order, and changes with each: what was
    /// worked out on this graph is known by it. One that was read whole begins anew.
    pub fn history(&self) -> u64 {
        self.history
    }

    /// Has the history of an empty index begin elsewhere than that of others, so that no two that take each
    /// other's place have one.
    pub fn begin_history(&mut self, at: u64) {
        self.goes_on(at);
    }

    /// Notes that somebody has come or gone.
    pub(crate) fn goes_on(&mut self, with: u64) {
        const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
        self.history = (self.history.rotate_left(29) ^ with ^ ODD).wrapping_mul(ODD);
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
        self.is_live(slot).then(|| self.vectors.row(slot.0))
    }

    /// Lets searches find a point that was inserted step by step.
    pub fn show(&mut self, slot: Slot) {
        self.hidden.remove(slot);
    }

    /// Passes over a point in searches from now on; it remains in the graph until it is removed.
    pub fn hide(&mut self, slot: Slot) {
        if self.is_live(slot) {
            self.hidden.insert(slot);
        }
    }

    /// Bytes held in RAM; vectors in a file are not among them.
    pub fn memory_bytes(&self) -> usize {
        // A level, a birth, an anchor, an entry of the order by birth.
        let slot = 1 + 8 + 4 + 24;
        self.vectors.resident_bytes()
            + self.links.bytes()
            + self.incoming.get().map_or(0, Incoming::bytes)
            + self.levels.capacity() * slot
    }

    /// A vector as it will be stored: checked, and normalised under cosine.
    pub fn prepare(&self, vector: &[f32]) -> Result<Vec<f32>, Error> {
        let mut prepared = Vec::new();
        self.prepare_into(vector, &mut prepared)?;
        Ok(prepared)
    }

    pub(crate) fn prepare_into(&self, vector: &[f32], out: &mut Vec<f32>) -> Result<(), Error> {
        if vector.len() != self.params.dim {
            return Err(Error::Dimension {
                expected: self.params.dim,
                got: vector.len(),
            });
        }
        let squares = (kernels().squares)(vector);
        let first = |wrong: fn(&f32) -> bool| vector.iter().position(wrong).unwrap_or(0);
        if !squares.is_finite() {
            let position = first(|x| !x.is_finite());
            let value = vector[position];
            return Err(Error::NotFinite { position, value });
        }
        out.clear();
        out.extend_from_slice(vector);
        if self.params.metric == Metric::Cosine {
            if squares == 0.0 {
                return Err(Error::NoDirection(0.0));
            }
            // What was normalised before stays as it is, bit for bit: rounding leaves its length this near to 1.
            if (squares - 1.0).abs() > ROUNDING {
                (kernels().scale)(out, squares.sqrt().recip());
            }
        } else if squares > f64::from(MAX_NUMBER) * f64::from(MAX_NUMBER)
            && vector.iter().any(|x| x.abs() > MAX_NUMBER)
        {
            let position = first(|x| x.abs() > MAX_NUMBER);
            let value = vector[position];
            return Err(Error::TooLarge { position, value });
        }
        Ok(())
    }

    /// The index as it is now, at the cost of a reference count a chunk; later writes copy the
    /// chunks they touch.
    pub fn freeze(&self) -> Frozen {
        Frozen {
            params: self.params,
            rows: self.vectors.rows.clone(),
            codes: self.vectors.freeze_codes(),
            centred: self.centred,
            centre: match self.vectors.centre() {
                Some(centre) => centre.to_vec(),
                None => vec![0.0; self.params.dim],
            },
            links: self.links.clone(),
            levels: self.levels.clone(),
            births: self.births.clone(),
            anchors: self.anchors.clone(),
            free: self.free.clone(),
            next_birth: self.next_birth,
            history: self.history,
            entry: self.entry,
        }
    }

    /// Derives what changes need and searches do not, if an index was read and has not been changed
    /// since. The first change would do it, alone; here searches go on meanwhile.
    pub fn expect_changes(&self) {
        self.incoming();
    }

    /// Who points at whom.
    pub(crate) fn incoming(&self) -> &Incoming {
        self.incoming.get_or_init(|| self.derived_incoming())
    }

    pub(crate) fn incoming_mut(&mut self) -> &mut Incoming {
        self.incoming();
        self.incoming.get_mut().expect("it has just been derived")
    }

    /// The highest level there is.
    pub(crate) fn top(&self) -> Option<usize> {
        (self.entry != NONE).then(|| usize::from(self.levels[self.entry as usize]))
    }

    /// Replaces a list and keeps the reverse links in step.
    pub(crate) fn relink(&mut self, slot: u32, level: usize, links: &[u32]) {
        let before = self.links.get(slot, level).to_vec();
        for gone in before.iter().filter(|other| !links.contains(other)) {
            self.incoming_mut().remove(slot, *gone, level);
        }
        for new in links.iter().filter(|other| !before.contains(other)) {
            self.incoming_mut().add(slot, *new, level);
        }
        self.links.set(slot, level, links);
    }
}
