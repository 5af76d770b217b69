//! The vectors and what two of them cost.
//!
//! Costs order points: lower is nearer. Under cosine and dot the cost is the negative inner
//! product, under Euclid the squared distance. Beside the `f32` rows there may be codes, which give
//! costs sooner, within bounds that are known.

use std::io;
use std::ops::Range;

use crate::apart::{Copied, Lent};
use crate::codes::{Coded, Codes, Encoded, FrozenCodes};
use crate::distance::{in_runs, kernels, prefetch};
use crate::memory::{Rows, Scratch};
use crate::params::{Metric, Params, Quantization};
use crate::parts::{in_parts, threads};

/// How much farther from each other neighbours may seem when they are chosen.
const RELAXED: f32 = 1.1;

/// All rows of an index.
pub(crate) struct Vectors {
    /// Padded with zeros to whole cache lines.
    pub(crate) rows: Rows<f32>,
    dim: usize,
    metric: Metric,
    codes: Option<Codes>,
}

/// A query in every form that is compared.
#[derive(Default)]
pub(crate) struct Query {
    pub(crate) row: Vec<f32>,
    coded: Coded,
}

/// Slots that a walk looks at together.
pub(crate) struct Front<'a> {
    pub(crate) slots: Vec<u32>,
    /// Their packed rows, where there are any.
    pub(crate) rows: Vec<&'a [u8]>,
}

impl Front<'_> {
    /// With room for the neighbours of a node.
    pub(crate) fn new(neighbours: usize) -> Self {
        Self {
            slots: Vec::with_capacity(neighbours),
            rows: Vec::with_capacity(neighbours),
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.rows.clear();
    }
}

impl Vectors {
    pub(crate) fn new(params: &Params, scratch: Option<Scratch>) -> Self {
        let coded = params.quantization != Quantization::None && params.metric != Metric::Manhattan;
        Self {
            rows: Rows::new(params.dim.next_multiple_of(16), scratch),
            dim: params.dim,
            metric: params.metric,
            codes: coded.then(|| Codes::new(params)),
        }
    }

    /// A vector without its padding.
    pub(crate) fn row(&self, slot: u32) -> &[f32] {
        &self.rows.row(slot)[..self.dim]
    }

    /// Computes a prepared vector's codes, if there are any. Needs no lock against searches.
    pub(crate) fn encode(&self, vector: &[f32]) -> Option<Encoded> {
        self.codes.as_ref().map(|codes| codes.encode(vector))
    }

    /// Makes room for vectors up to a slot.
    pub(crate) fn reserve(&mut self, slot: u32) -> io::Result<()> {
        self.rows.reserve(slot)
    }

    /// Makes a row this index's own, so that it can be written without failing until the index is
    /// frozen again.
    pub(crate) fn own(&mut self, slot: u32) -> io::Result<()> {
        self.rows.row_mut(slot)?;
        self.codes
            .as_mut()
            .map_or(Ok(()), |codes| codes.own_row(slot))
    }

    /// Stores a prepared vector and its codes.
    pub(crate) fn set(
        &mut self,
        slot: u32,
        vector: &[f32],
        encoded: Option<&Encoded>,
    ) -> io::Result<()> {
        self.rows.reserve(slot)?;
        self.rows.row_mut(slot)?[..self.dim].copy_from_slice(vector);
        self.set_codes(slot, encoded)
    }

    /// Stores the codes of a vector that is there.
    pub(crate) fn set_codes(&mut self, slot: u32, encoded: Option<&Encoded>) -> io::Result<()> {
        match (&mut self.codes, encoded) {
            (Some(codes), Some(encoded)) => codes.set(slot, encoded),
            _ => Ok(()),
        }
    }

    /// Stores padded rows, a chunk of them, behind those that are there.
    pub(crate) fn append(&mut self, rows: &[f32]) -> io::Result<()> {
        self.rows.append(rows)
    }

    /// Computes the codes of a stored vector anew.
    pub(crate) fn recode(&mut self, slot: u32) -> io::Result<()> {
        let encoded = self.encode(self.row(slot));
        self.set_codes(slot, encoded.as_ref())
    }

    /// The same for all of some slots, on all cores.
    pub(crate) fn recode_all(&mut self, slots: Range<u32>) -> io::Result<()> {
        let codes = in_parts(threads(), slots.len(), |part| {
            let some = slots.clone().skip(part.start).take(part.len());
            some.map(|slot| self.encode(self.row(slot))).collect()
        });
        let mut coded = slots.zip(&codes);
        coded.try_for_each(|(slot, codes)| self.set_codes(slot, codes.as_ref()))
    }

    pub(crate) fn freeze_codes(&self) -> Option<FrozenCodes> {
        self.codes.as_ref().map(Codes::freeze)
    }

    pub(crate) fn codes_mut(&mut self) -> Option<&mut Codes> {
        self.codes.as_mut()
    }

    /// Some rows that are used where they were read from.
    pub(crate) fn lent(&self) -> Option<Lent> {
        let codes = || self.codes.as_ref()?.lent();
        codes().or_else(|| self.rows.first_kept().map(Lent::Vectors))
    }

    /// Uses copies from now on.
    pub(crate) fn own_copied(&mut self, copied: Copied) {
        match (copied, &mut self.codes) {
            (Copied::Vectors(copy), _) => self.rows.exchange(copy),
            (copied, Some(codes)) => codes.own(copied),
            _ => {}
        }
    }

    pub(crate) fn resident_bytes(&self) -> usize {
        self.rows.resident_bytes() + self.codes.as_ref().map_or(0, Codes::resident_bytes)
    }

    /// What vectors are measured from, if codes are made of them.
    pub(crate) fn centre(&self) -> Option<&[f32]> {
        self.codes.as_ref().map(Codes::centre)
    }

    /// Measures from another centre from now on; every code must be set again.
    pub(crate) fn set_centre(&mut self, centre: &[f32]) {
        if let Some(codes) = &mut self.codes {
            codes.set_centre(centre);
        }
    }

    /// Makes a query of the prepared vector that is its row.
    pub(crate) fn ask(&self, query: &mut Query) {
        if let Some(codes) = &self.codes {
            codes.code(&query.row, &mut query.coded);
        }
        query.row.resize(self.dim.next_multiple_of(16), 0.0);
    }

    /// Makes the vector of a slot a query, as if it had been asked for.
    pub(crate) fn ask_for(&self, slot: u32, query: &mut Query) {
        query.row.clear();
        query.row.extend_from_slice(self.rows.row(slot));
        if let Some(codes) = &self.codes {
            codes.code_of(slot, &mut query.coded);
        }
    }

    /// The exact cost.
    pub(crate) fn exact(&self, query: &Query, slot: u32) -> f32 {
        self.cost_rows(&query.row, self.rows.row(slot))
    }

    fn cost_rows(&self, a: &[f32], b: &[f32]) -> f32 {
        let kernels = kernels();
        match self.metric {
            Metric::Cosine | Metric::Dot => -in_runs(kernels.dot, a, b),
            Metric::Euclid => in_runs(kernels.squared, a, b),
            Metric::Manhattan => in_runs(kernels.manhattan, a, b),
        }
    }

    /// Has the rows of a front's slots brought near.
    pub(crate) fn await_walk<'a>(&'a self, front: &mut Front<'a>) {
        match &self.codes {
            Some(codes) => codes.await_walk(front),
            None => front
                .slots
                .iter()
                .for_each(|slot| self.prefetch_exact(*slot)),
        }
    }

    /// The costs a walk goes by, of each slot in a front.
    pub(crate) fn walk<'a>(&'a self, query: &Query, front: &Front<'a>, costs: &mut Vec<f32>) {
        costs.clear();
        match &self.codes {
            Some(codes) => codes.walk(&query.coded, front, costs),
            None => costs.extend(front.slots.iter().map(|slot| self.exact(query, *slot))),
        }
    }

    /// The cost by int8 codes, where there are any; else the exact one.
    pub(crate) fn refined(&self, query: &Query, slot: u32) -> f32 {
        let codes = self.codes.as_ref();
        codes.map_or_else(
            || self.exact(query, slot),
            |codes| codes.refined(&query.coded, slot),
        )
    }

    /// By how much a cost of a walk may be wrong, about always.
    pub(crate) fn walk_margin(&self, query: &Query, slot: u32) -> f32 {
        let codes = self.codes.as_ref();
        codes.map_or(0.0, |codes| codes.walk_margin(&query.coded, slot))
    }

    /// By how much [`Vectors::refined`] is wrong at most.
    pub(crate) fn refined_margin(&self, query: &Query, slot: u32) -> f32 {
        let codes = self.codes.as_ref();
        codes.map_or(0.0, |codes| codes.refined_margin(&query.coded, slot))
    }

    /// By how much [`Vectors::refined`] may be wrong, about always.
    pub(crate) fn refined_spread(&self, query: &Query, slot: u32) -> f32 {
        let codes = self.codes.as_ref();
        codes.map_or(0.0, |codes| codes.refined_spread(&query.coded, slot))
    }

    /// The cost between two rows that a graph is built by.
    pub(crate) fn between(&self, a: u32, b: u32) -> f32 {
        match &self.codes {
            Some(codes) => codes.between(a, b),
            None => self.cost_rows(self.rows.row(a), self.rows.row(b)),
        }
    }

    /// A cost that stands for a distance [`RELAXED`] times as long. Inner products of vectors of any
    /// length are no distances and stay as they are.
    pub(crate) fn relaxed(&self, cost: f32) -> f32 {
        match self.metric {
            // Half of the squared distance of unit vectors is `1 + cost`.
            Metric::Cosine => (1.0 + cost) * RELAXED * RELAXED - 1.0,
            Metric::Dot => cost,
            Metric::Euclid => cost * RELAXED * RELAXED,
            Metric::Manhattan => cost * RELAXED,
        }
    }

    /// Brings near what [`Vectors::refined`] will read.
    pub(crate) fn prefetch_refined(&self, slot: u32) {
        match &self.codes {
            Some(codes) => codes.prefetch_refined(slot),
            None => self.prefetch_exact(slot),
        }
    }

    /// Brings near what [`Vectors::exact`] will read.
    pub(crate) fn prefetch_exact(&self, slot: u32) {
        prefetch(self.rows.row(slot));
    }

    /// Whether the codes are those of the row.
    pub(crate) fn codes_match(&self, slot: u32) -> bool {
        let codes = self.codes.as_ref();
        codes.is_none_or(|codes| codes.match_vector(slot, self.row(slot)))
    }

    /// A score as users know it, from an exact cost.
    pub(crate) fn score(&self, cost: f32) -> f32 {
        match self.metric {
            // Vectors of length 1 have a product a little above 1 with themselves.
            Metric::Cosine => (-cost).clamp(-1.0, 1.0),
            Metric::Dot => -cost,
            Metric::Euclid => cost.max(0.0).sqrt(),
            Metric::Manhattan => cost,
        }
    }

    /// The cost of a score; scores as good or better have this cost or a lower one.
    pub(crate) fn cost(&self, score: f32) -> f32 {
        match self.metric {
            Metric::Cosine | Metric::Dot => -score,
            Metric::Euclid if score < 0.0 => -1.0,
            Metric::Euclid => score * score,
            Metric::Manhattan => score,
        }
    }
}
