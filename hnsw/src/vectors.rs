//! The vectors and their codes, row by row.
//!
//! `f32` rows lie in shared chunks: a frozen copy holds the chunks, and a later write copies only
//! the chunk it touches. Codes follow from the vectors and are never frozen.

use std::sync::Arc;

use crate::aligned::Aligned;
use crate::distance::{kernels, prefetch};
use crate::params::{Metric, Params};

/// Bytes of rows in one chunk, about.
const CHUNK_BYTES: usize = 2 << 20;

/// All rows of an index.
pub(crate) struct Vectors {
    pub(crate) rows: Rows,
    metric: Metric,
    codes: Option<Codes>,
}

/// `f32` rows, padded with zeros to whole cache lines.
#[derive(Clone)]
pub(crate) struct Rows {
    dim: usize,
    stride: usize,
    per_chunk: usize,
    chunks: Vec<Arc<Aligned<f32>>>,
}

/// int8 rows: `x` is about `scale * code`.
struct Codes {
    stride: usize,
    per_chunk: usize,
    chunks: Vec<Aligned<i8>>,
    scales: Vec<Scale>,
}

#[derive(Clone, Copy, Default)]
struct Scale {
    scale: f32,
    /// Squared length of the decoded vector.
    norm: f32,
}

/// A query in every form a walk compares.
pub(crate) struct Query {
    row: Vec<f32>,
    code: Vec<i8>,
    scale: Scale,
}

impl Rows {
    pub(crate) fn new(dim: usize) -> Self {
        let stride = dim.next_multiple_of(16);
        let per_chunk = (CHUNK_BYTES / (stride * 4)).clamp(1, 1_024);
        Self {
            dim,
            stride,
            per_chunk,
            chunks: Vec::new(),
        }
    }

    /// A row with its padding; slots come from the index and are in range.
    pub(crate) fn padded(&self, slot: u32) -> &[f32] {
        let at = slot as usize;
        let start = at % self.per_chunk * self.stride;
        &self.chunks[at / self.per_chunk].as_slice()[start..start + self.stride]
    }

    /// A row without its padding.
    pub(crate) fn row(&self, slot: u32) -> &[f32] {
        &self.padded(slot)[..self.dim]
    }

    fn set(&mut self, slot: u32, vector: &[f32]) {
        let at = slot as usize;
        while self.chunks.len() <= at / self.per_chunk {
            self.chunks
                .push(Arc::new(Aligned::zeroed(self.per_chunk * self.stride)));
        }
        let start = at % self.per_chunk * self.stride;
        let chunk = Arc::make_mut(&mut self.chunks[at / self.per_chunk]).as_mut_slice();
        chunk[start..start + self.dim].copy_from_slice(vector);
    }
}

impl Codes {
    fn new(dim: usize) -> Self {
        let stride = dim.next_multiple_of(64);
        let per_chunk = (CHUNK_BYTES / stride).clamp(1, 4_096);
        Self {
            stride,
            per_chunk,
            chunks: Vec::new(),
            scales: Vec::new(),
        }
    }

    fn row(&self, slot: u32) -> &[i8] {
        let at = slot as usize;
        let start = at % self.per_chunk * self.stride;
        &self.chunks[at / self.per_chunk].as_slice()[start..start + self.stride]
    }

    fn set(&mut self, slot: u32, vector: &[f32]) {
        let at = slot as usize;
        while self.chunks.len() <= at / self.per_chunk {
            self.chunks
                .push(Aligned::zeroed(self.per_chunk * self.stride));
        }
        if self.scales.len() <= at {
            self.scales.resize(at + 1, Scale::default());
        }
        let start = at % self.per_chunk * self.stride;
        let row = &mut self.chunks[at / self.per_chunk].as_mut_slice()[start..start + self.stride];
        self.scales[at] = encode(vector, row);
    }
}

/// Codes of a vector; the padding of `code` stays zero.
fn encode(vector: &[f32], code: &mut [i8]) -> Scale {
    let largest = vector.iter().fold(0f32, |largest, x| largest.max(x.abs()));
    if largest == 0.0 {
        code.fill(0);
        return Scale::default();
    }
    let scale = largest / 127.0;
    for (code, x) in code.iter_mut().zip(vector) {
        *code = nearest(x / scale);
    }
    let squared: i64 = code.iter().map(|c| i64::from(*c) * i64::from(*c)).sum();
    Scale {
        scale,
        norm: scale * scale * squared as f32,
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "rounded and clamped to the codes' range"
)]
fn nearest(x: f32) -> i8 {
    x.round().clamp(-127.0, 127.0) as i8
}

impl Vectors {
    pub(crate) fn new(params: &Params) -> Self {
        Self::with_rows(params, Rows::new(params.dim))
    }

    fn with_rows(params: &Params, rows: Rows) -> Self {
        Self {
            rows,
            metric: params.metric,
            codes: params.has_codes().then(|| Codes::new(params.dim)),
        }
    }

    pub(crate) fn set(&mut self, slot: u32, vector: &[f32]) {
        self.rows.set(slot, vector);
        if let Some(codes) = &mut self.codes {
            codes.set(slot, vector);
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        let rows = self.rows.chunks.len() * self.rows.per_chunk * self.rows.stride * 4;
        let codes = self.codes.as_ref();
        rows + codes.map_or(0, |c| {
            c.chunks.len() * c.per_chunk * c.stride + c.scales.len() * 8
        })
    }

    pub(crate) fn query(&self, vector: &[f32]) -> Query {
        let mut row = vector.to_vec();
        row.resize(self.rows.stride, 0.0);
        let mut code = vec![0; self.codes.as_ref().map_or(0, |codes| codes.stride)];
        let scale = if self.codes.is_some() {
            encode(vector, &mut code)
        } else {
            Scale::default()
        };
        Query { row, code, scale }
    }

    /// Exact cost; lower is nearer.
    pub(crate) fn exact(&self, query: &Query, slot: u32) -> f32 {
        self.cost_rows(&query.row, self.rows.padded(slot))
    }

    fn cost_rows(&self, a: &[f32], b: &[f32]) -> f32 {
        let kernels = kernels();
        match self.metric {
            Metric::Cosine | Metric::Dot => -(kernels.dot)(a, b),
            Metric::Euclid => (kernels.squared)(a, b),
            Metric::Manhattan => (kernels.manhattan)(a, b),
        }
    }

    /// The cost a walk goes by: of the codes, if there are any.
    pub(crate) fn walk(&self, query: &Query, slot: u32) -> f32 {
        match &self.codes {
            Some(codes) => self.cost_codes(
                (&query.code, query.scale),
                (codes.row(slot), codes.scales[slot as usize]),
            ),
            None => self.exact(query, slot),
        }
    }

    /// The cost between two rows that a graph is built by.
    pub(crate) fn between(&self, a: u32, b: u32) -> f32 {
        match &self.codes {
            Some(codes) => self.cost_codes(
                (codes.row(a), codes.scales[a as usize]),
                (codes.row(b), codes.scales[b as usize]),
            ),
            None => self.cost_rows(self.rows.padded(a), self.rows.padded(b)),
        }
    }

    #[expect(
        clippy::cast_precision_loss,
        reason = "a sum of products of codes has few digits"
    )]
    fn cost_codes(&self, (a, a_scale): (&[i8], Scale), (b, b_scale): (&[i8], Scale)) -> f32 {
        let dot = (kernels().dot_codes)(a, b) as f32 * (a_scale.scale * b_scale.scale);
        match self.metric {
            Metric::Cosine | Metric::Dot => -dot,
            Metric::Euclid | Metric::Manhattan => a_scale.norm + b_scale.norm - 2.0 * dot,
        }
    }

    /// The row of a slot as a query, as if it had been asked for.
    pub(crate) fn query_of(&self, slot: u32) -> Query {
        self.query(self.rows.row(slot))
    }

    /// Brings near what [`Vectors::walk`] will read.
    pub(crate) fn prefetch(&self, slot: u32) {
        match &self.codes {
            Some(codes) => prefetch(codes.row(slot)),
            None => prefetch(self.rows.padded(slot)),
        }
    }

    /// Whether the codes are those of the row.
    pub(crate) fn codes_match(&self, slot: u32) -> bool {
        let Some(codes) = &self.codes else {
            return true;
        };
        let mut code = vec![0; codes.stride];
        let scale = encode(self.rows.row(slot), &mut code);
        code == codes.row(slot)
            && scale.scale.to_bits() == codes.scales[slot as usize].scale.to_bits()
    }

    /// A score as users know it, from an exact cost.
    pub(crate) fn score(&self, cost: f32) -> f32 {
        match self.metric {
            Metric::Cosine | Metric::Dot => -cost,
            Metric::Euclid => cost.max(0.0).sqrt(),
            Metric::Manhattan => cost,
        }
    }
}
