//! Rows of equal width in one block of memory: vectors (`f32`) and neighbours (`u32`).
//!
//! Invariant: the number of values is a multiple of the width, and the width is not 0.

use anyhow::{Result, bail};

/// Rows of `width` values each.
#[derive(Debug, Clone, PartialEq)]
pub struct Table<T> {
    width: usize,
    values: Vec<T>,
}

impl<T> Table<T> {
    /// Rows out of a block of values.
    ///
    /// # Errors
    /// The width is 0 or the values are no whole number of rows.
    pub fn new(width: usize, values: Vec<T>) -> Result<Self> {
        if width == 0 || !values.len().is_multiple_of(width) {
            bail!("{} values are no rows of {width}", values.len());
        }
        Ok(Self { width, values })
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.values.len() / self.width
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// One row; there must be one.
    pub fn row(&self, at: usize) -> &[T] {
        &self.values[at * self.width..(at + 1) * self.width]
    }

    /// All rows in order.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &[T]> {
        self.values.chunks_exact(self.width)
    }

    /// All rows in order, to be changed.
    pub fn rows_mut(&mut self) -> impl Iterator<Item = &mut [T]> {
        self.values.chunks_exact_mut(self.width)
    }

    /// The whole block.
    pub fn values(&self) -> &[T] {
        &self.values
    }

    /// Keeps only the first rows.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows.saturating_mul(self.width));
    }
}

impl Table<f32> {
    /// Scales every row to length 1.
    ///
    /// # Errors
    /// A row has no direction.
    pub fn normalise(&mut self) -> Result<()> {
        for (at, row) in self.rows_mut().enumerate() {
            let squared: f64 = row.iter().map(|x| f64::from(*x) * f64::from(*x)).sum();
            let norm = squared.sqrt();
            if norm == 0.0 || !norm.is_finite() {
                bail!("vector {at} has no direction, which the cosine metric compares");
            }
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a rounding to f32 is meant"
            )]
            row.iter_mut()
                .for_each(|x| *x = (f64::from(*x) / norm) as f32);
        }
        Ok(())
    }
}
