//! Codes of all vectors: of each, less the centre and turned, an int8 row, by which the graph is
//! built and the best of a walk are ordered, and maybe a packed row, by which walks go.
//!
//! Both follow from the vectors and are compared in whole numbers, so that every machine builds the
//! same graph. They are frozen only so that they need not be computed again.

use std::io::{self, Write};

use bytemuck::{Pod, Zeroable, cast_slice, cast_slice_mut};

use crate::apart::{Copied, Kept, Lent};
use crate::distance::{in_runs, kernels, prefetch};
use crate::error::Error;
use crate::memory::Rows;
use crate::packed::{Layout, terms};
use crate::params::{Metric, Params};
use crate::rotate::{Rotation, padded};
use crate::vectors::Front;

pub(crate) struct Codes {
    metric: Metric,
    rotation: Rotation,
    /// What is subtracted from every vector first.
    centre: Vec<f32>,
    centre_squared: f32,
    int8: Rows<i8>,
    packed: Option<(Layout, Rows<u8>)>,
    facts: Vec<Facts>,
    /// Of a packed estimate, for vectors of length 1.
    error: f32,
}

/// Codes as they were when they were frozen.
pub(crate) struct FrozenCodes {
    int8: Rows<i8>,
    packed: Option<Rows<u8>>,
    facts: Vec<Facts>,
}

/// What goes with an int8 row.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Pod, Zeroable)]
struct Facts {
    /// The vector's own part of a cost.
    base: f32,
    /// A number is about `scale` times its code.
    scale: f32,
    /// Length of what the codes leave out.
    residue: f32,
    /// Length of the vector less the centre.
    length: f32,
}

/// A vector's codes, ready to be copied in.
#[derive(PartialEq)]
pub(crate) struct Encoded {
    int8: Vec<i8>,
    packed: Vec<u8>,
    facts: Facts,
}

/// A query's codes.
#[derive(Default)]
pub(crate) struct Coded {
    turned: Vec<f32>,
    /// All numbers.
    codes: Vec<i8>,
    /// Those that packed rows have a code for, and zeros.
    held: Vec<i8>,
    held_sum: i32,
    facts: Facts,
}

/// Rows that are compared at once.
const TOGETHER: usize = 64;

impl Codes {
    pub(crate) fn new(params: &Params) -> Self {
        let padded = padded(params.dim);
        let layout = params.bits().map(|bits| Layout::new(bits, padded));
        Self {
            metric: params.metric,
            rotation: Rotation::new(params.dim),
            centre: vec![0.0; params.dim],
            centre_squared: 0.0,
            int8: Rows::new(padded, None),
            packed: layout.map(|layout| (layout, Rows::new(layout.row_bytes(), None))),
            facts: Vec::new(),
            error: layout.map_or(0.0, |layout| layout.error(padded)),
        }
    }

    pub(crate) fn centre(&self) -> &[f32] {
        &self.centre
    }

    /// Measures from another centre from now on; every code must be set again.
    pub(crate) fn set_centre(&mut self, centre: &[f32]) {
        self.centre_squared = steady_dot(centre, centre);
        centre.clone_into(&mut self.centre);
    }

    /// Computes a prepared vector's codes.
    pub(crate) fn encode(&self, vector: &[f32]) -> Encoded {
        let mut turned = Vec::new();
        self.rotation.turn(vector, &self.centre, &mut turned);
        let mut int8 = vec![0; turned.len()];
        let facts = self.quantize(vector, &turned, &mut int8);
        let mut packed = Vec::new();
        if let Some((layout, _)) = &self.packed {
            packed = vec![0; layout.row_bytes()];
            layout.pack(
                &turned,
                facts.length,
                facts.base + self.shift(),
                &mut packed,
            );
        }
        Encoded {
            int8,
            packed,
            facts,
        }
    }

    /// Stores the codes of a slot. Only rows that are lent can fail, when they are copied.
    pub(crate) fn set(&mut self, slot: u32, encoded: &Encoded) -> io::Result<()> {
        let at = slot as usize;
        self.int8.reserve(slot)?;
        self.int8.row_mut(slot)?.copy_from_slice(&encoded.int8);
        if let Some((_, rows)) = &mut self.packed {
            rows.reserve(slot)?;
            rows.row_mut(slot)?.copy_from_slice(&encoded.packed);
        }
        if self.facts.len() <= at {
            self.facts.resize(at + 1, Facts::default());
        }
        self.facts[at] = encoded.facts;
        Ok(())
    }

    pub(crate) fn freeze(&self) -> FrozenCodes {
        FrozenCodes {
            int8: self.int8.clone(),
            packed: self.packed.as_ref().map(|(_, rows)| rows.clone()),
            facts: self.facts.clone(),
        }
    }

    /// Takes the codes of so many slots from where [`FrozenCodes::write`] wrote them; whether they can be.
    pub(crate) fn take(&mut self, slots: usize, from: &mut Kept<'_>) -> Result<bool, Error> {
        from.fill(&mut self.int8, slots, &|_| Ok(()))?;
        if let Some((_, rows)) = &mut self.packed {
            from.fill(rows, slots, &|_| Ok(()))?;
        }
        self.facts = vec![Facts::default(); slots];
        from.copy(cast_slice_mut(&mut self.facts))?;
        Ok(cast_slice(&self.facts).iter().all(|x: &f32| x.is_finite()))
    }

    /// Makes the rows of a slot this index's own.
    pub(crate) fn own_row(&mut self, slot: u32) -> io::Result<()> {
        self.int8.row_mut(slot)?;
        let packed = self.packed.as_mut();
        packed.map_or(Ok(()), |(_, rows)| rows.row_mut(slot).map(|_| ()))
    }

    /// Some rows that are used where they were read from.
    pub(crate) fn lent(&self) -> Option<Lent> {
        let packed = || self.packed.as_ref()?.1.first_kept();
        let int8 = self.int8.first_kept().map(Lent::Int8);
        int8.or_else(|| packed().map(Lent::Packed))
    }

    /// Uses copies from now on.
    pub(crate) fn own(&mut self, copied: Copied) {
        match (copied, &mut self.packed) {
            (Copied::Int8(copy), _) => self.int8.exchange(copy),
            (Copied::Packed(copy), Some((_, rows))) => rows.exchange(copy),
            _ => {}
        }
    }

    /// Bytes that [`FrozenCodes::write`] writes for a slot.
    pub(crate) fn slot_bytes(&self) -> usize {
        let packed = self.packed.as_ref();
        let packed = packed.map_or(0, |(layout, _)| layout.row_bytes());
        self.int8.stride() + packed + size_of::<Facts>()
    }

    /// Whether the codes of a slot are those of this vector.
    pub(crate) fn match_vector(&self, slot: u32, vector: &[f32]) -> bool {
        let packed = self.packed.as_ref();
        let there = Encoded {
            int8: self.int8.row(slot).to_vec(),
            packed: packed.map_or(Vec::new(), |(_, rows)| rows.row(slot).to_vec()),
            facts: self.facts[slot as usize],
        };
        there == self.encode(vector)
    }

    /// Computes a prepared query's codes.
    pub(crate) fn code(&self, vector: &[f32], coded: &mut Coded) {
        self.rotation.turn(vector, &self.centre, &mut coded.turned);
        coded.codes.resize(coded.turned.len(), 0);
        coded.facts = self.quantize(vector, &coded.turned, &mut coded.codes);
        self.hold(coded);
    }

    /// The codes of a slot as a query's.
    pub(crate) fn code_of(&self, slot: u32, coded: &mut Coded) {
        coded.codes.clear();
        coded.codes.extend_from_slice(self.int8.row(slot));
        coded.facts = self.facts[slot as usize];
        self.hold(coded);
    }

    fn hold(&self, coded: &mut Coded) {
        let Some((layout, _)) = &self.packed else {
            return;
        };
        coded.held.clear();
        coded.held.extend_from_slice(&coded.codes);
        coded.held.resize(layout.query_len(), 0);
        layout.clear_unheld(&mut coded.held);
        coded.held_sum = coded.held.iter().map(|code| i32::from(*code)).sum();
    }

    fn quantize(&self, vector: &[f32], turned: &[f32], codes: &mut [i8]) -> Facts {
        let scale = (kernels().quantize)(turned, codes);
        let length = steady_dot(turned, turned).sqrt();
        Facts {
            base: match self.metric {
                Metric::Euclid => length * length,
                _ => self.centre_squared / 2.0 - steady_dot(&self.centre, vector),
            },
            scale,
            residue: residue(turned, codes, scale),
            length,
        }
    }

    /// What is added to a base in a packed row and taken from the query's: rows keep few digits, and
    /// this leaves what tells points apart.
    fn shift(&self) -> f32 {
        match self.metric {
            Metric::Euclid => 0.0,
            _ => self.centre_squared / 2.0,
        }
    }

    /// How much of a cost one unit of the turned vectors' inner product takes away.
    fn weight(&self) -> f32 {
        if self.metric == Metric::Euclid {
            2.0
        } else {
            1.0
        }
    }

    /// Asks for the rows that a walk compares, and notes packed ones.
    pub(crate) fn await_walk<'a>(&'a self, front: &mut Front<'a>) {
        match &self.packed {
            Some((_, packed)) => front.rows.extend(front.slots.iter().map(|slot| {
                let row = packed.row(*slot);
                prefetch(row);
                row
            })),
            None => front
                .slots
                .iter()
                .for_each(|slot| prefetch(self.int8.row(*slot))),
        }
    }

    /// The costs a walk goes by.
    pub(crate) fn walk(&self, query: &Coded, front: &Front<'_>, costs: &mut Vec<f32>) {
        let Some((layout, _)) = &self.packed else {
            costs.extend(front.slots.iter().map(|slot| self.refined(query, *slot)));
            return;
        };
        let scale = self.weight() * query.facts.scale;
        let base = query.facts.base - self.shift();
        let top = i32::from(layout.bits.mask()) * query.held_sum;
        for rows in front.rows.chunks(TOGETHER) {
            let mut dots = [0; TOGETHER];
            (kernels().packed)(layout.bits, &query.held, rows, &mut dots);
            costs.extend(rows.iter().zip(&dots).map(|(row, dot)| {
                let terms = terms(row);
                // Levels are `2 c - L`.
                let dot = product(2 * dot - top);
                base + terms.base - scale * terms.factor * dot
            }));
        }
    }

    /// By how much an estimate of a walk may be wrong, about always.
    pub(crate) fn walk_margin(&self, query: &Coded, slot: u32) -> f32 {
        if self.packed.is_none() {
            return self.refined_spread(query, slot);
        }
        let facts = self.facts[slot as usize];
        let lengths = self.weight() * query.facts.length * facts.length;
        let rounded = (lengths + (facts.base + self.shift()).abs()) * TERM_ROUNDING;
        SURE * self.error * lengths + rounded
    }

    /// The cost by int8 codes.
    pub(crate) fn refined(&self, query: &Coded, slot: u32) -> f32 {
        let facts = self.facts[slot as usize];
        self.cost((&query.codes, query.facts), (self.int8.row(slot), facts))
    }

    /// The cost by int8 codes between two points.
    pub(crate) fn between(&self, a: u32, b: u32) -> f32 {
        let side = |slot: u32| (self.int8.row(slot), self.facts[slot as usize]);
        self.cost(side(a), side(b))
    }

    #[inline]
    fn cost(&self, (a, a_facts): (&[i8], Facts), (b, b_facts): (&[i8], Facts)) -> f32 {
        let dot = product((kernels().dot_codes)(a, b)) * (a_facts.scale * b_facts.scale);
        a_facts.base + b_facts.base - self.weight() * dot
    }

    /// By how much [`Codes::refined`] is wrong at most (Cauchy & Schwarz).
    pub(crate) fn refined_margin(&self, query: &Coded, slot: u32) -> f32 {
        let (point, query) = (self.facts[slot as usize], query.facts);
        let lost = query.length * point.residue + query.residue * (point.length + point.residue);
        let bases = ROUNDING * (query.base.abs() + point.base.abs());
        self.weight() * (lost + ROUNDING * query.length * point.length) + bases
    }

    /// By how much [`Codes::refined`] may be wrong, about always: the errors of single numbers have
    /// no common direction.
    pub(crate) fn refined_spread(&self, query: &Coded, slot: u32) -> f32 {
        #[expect(clippy::cast_precision_loss, reason = "sizes are small integers")]
        let root = (query.codes.len() as f32).sqrt();
        self.refined_margin(query, slot) * (SURE / root).min(1.0)
    }

    pub(crate) fn prefetch_refined(&self, slot: u32) {
        prefetch(&self.facts[slot as usize..=slot as usize]);
        prefetch(self.int8.row(slot));
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        let packed = self.packed.as_ref();
        self.int8.resident_bytes()
            + packed.map_or(0, |(_, rows)| rows.resident_bytes())
            + self.facts.capacity() * size_of::<Facts>()
    }
}

impl FrozenCodes {
    pub(crate) fn write(&self, slots: usize, out: &mut dyn Write) -> io::Result<()> {
        for rows in self.int8.first(slots) {
            out.write_all(cast_slice(rows?))?;
        }
        for rows in self.packed.iter().flat_map(|rows| rows.first(slots)) {
            out.write_all(rows?)?;
        }
        out.write_all(cast_slice(&self.facts))
    }
}

/// Standard deviations that an estimate is trusted to stay within.
const SURE: f32 = 3.0;
/// Of the terms of a packed row, relative to their size.
const TERM_ROUNDING: f32 = 1.0 / 256.0;
/// Of a sum of products of `f32`s, relative to the vectors' lengths.
const ROUNDING: f32 = 1e-5;

fn residue(turned: &[f32], codes: &[i8], scale: f32) -> f32 {
    let ((turned, rest), (codes, codes_rest)) = (turned.as_chunks::<16>(), codes.as_chunks::<16>());
    let mut lanes = [0f32; 16];
    let all = turned.iter().zip(codes);
    for (numbers, codes) in all {
        for ((lane, x), code) in lanes.iter_mut().zip(numbers).zip(codes) {
            let lost = x - scale * f32::from(*code);
            *lane += lost * lost;
        }
    }
    let lost = rest
        .iter()
        .zip(codes_rest)
        .map(|(x, code)| x - scale * f32::from(*code));
    (lanes.iter().sum::<f32>() + lost.map(|x| x * x).sum::<f32>()).sqrt()
}

#[expect(
    clippy::cast_precision_loss,
    reason = "what the last bits of a large product say is below the codes' own error"
)]
#[inline]
fn product(dot: i32) -> f32 {
    dot as f32
}

/// An inner product that is summed in one order everywhere, whatever the CPU can do.
fn steady_dot(a: &[f32], b: &[f32]) -> f32 {
    in_runs(steady_run, a, b)
}

fn steady_run(a: &[f32], b: &[f32]) -> f32 {
    let ((a, a_rest), (b, b_rest)) = (a.as_chunks::<16>(), b.as_chunks::<16>());
    let mut lanes = [0f32; 16];
    for (a, b) in a.iter().zip(b) {
        for ((lane, x), y) in lanes.iter_mut().zip(a).zip(b) {
            *lane += x * y;
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    lanes.iter().sum::<f32>() + rest
}
