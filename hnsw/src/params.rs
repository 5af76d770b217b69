//! What an index is made of.

use crate::distance::Bits;
use crate::error::Error;
use crate::limits::{MAX_DIM, MAX_EF_CONSTRUCT, MAX_M};

/// How two vectors are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Cosine similarity; vectors are normalised when they come in.
    Cosine,
    /// Inner product.
    Dot,
    /// Euclidean distance.
    Euclid,
    /// Manhattan (L1) distance; always walked on `f32`.
    Manhattan,
}

/// What the graph is walked on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quantization {
    /// The vectors themselves.
    None,
    /// One byte a number with one scale a vector; the best are rescored exactly.
    Int8,
    /// So many bits a number, ordered by int8 and then rescored exactly.
    Packed(Bits),
}

impl Quantization {
    /// What suits vectors of this size: a walk's estimates are about equally sure for all, and a
    /// code takes one to four cache lines. The error of an estimate falls with the root of the size.
    pub fn fitting(dim: usize) -> Self {
        match dim {
            // Rows are whole cache lines, which the vector itself fits into.
            ..=16 => Self::None,
            17..=64 => Self::Int8,
            65..=383 => Self::Packed(Bits::Four),
            384..=1_535 => Self::Packed(Bits::Two),
            _ => Self::Packed(Bits::One),
        }
    }
}

/// An index's settings, fixed at its creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Params {
    /// Numbers in a vector.
    pub dim: usize,
    /// How vectors are compared.
    pub metric: Metric,
    /// The paper's M: links of a point on an upper level; twice as many on level 0.
    pub m: usize,
    /// The paper's efConstruction: candidates considered at an insert.
    pub ef_construct: usize,
    /// What the graph is walked on.
    pub quantization: Quantization,
}

impl Params {
    /// M = 16, efConstruction = 200, and the quantization that suits the size.
    pub fn new(dim: usize, metric: Metric) -> Self {
        Self {
            dim,
            metric,
            m: 16,
            ef_construct: 200,
            quantization: Quantization::fitting(dim),
        }
    }

    pub(crate) fn check(&self) -> Result<(), Error> {
        let within = |name, got, min, max| match got {
            got if got < min || got > max => Err(Error::Setting {
                name,
                min,
                max,
                got,
            }),
            _ => Ok(()),
        };
        within("the size of a vector", self.dim, 1, MAX_DIM)?;
        within("m", self.m, 2, MAX_M)?;
        within("ef_construct", self.ef_construct, 1, MAX_EF_CONSTRUCT)
    }

    /// Most links a point may have on a level.
    pub(crate) fn cap(&self, level: usize) -> usize {
        if level == 0 { self.m * 2 } else { self.m }
    }

    /// Links a new point chooses on a level; room is left for others to link back.
    pub(crate) fn chosen(&self, level: usize) -> usize {
        if level == 0 {
            self.m + self.m / 2
        } else {
            self.m
        }
    }

    /// Of packed codes, where there are any.
    pub(crate) fn bits(&self) -> Option<Bits> {
        match self.quantization {
            Quantization::Packed(bits) => Some(bits),
            Quantization::None | Quantization::Int8 => None,
        }
    }
}

/// A point's dense number inside an index. Numbers of removed points are given again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Slot(pub u32);

impl Slot {
    pub(crate) fn at(self) -> usize {
        self.0 as usize
    }
}
