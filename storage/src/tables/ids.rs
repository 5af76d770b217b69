//! The ids of a collection, a piece at a time: between two pieces nothing of sled is held.

use std::collections::VecDeque;

use sled::Tree;

use super::{Tables, Trees, fail, row_key};
use crate::error::Error;
use crate::ids::{CollectionId, PointId};

/// Keys that are read at once.
const PIECE: usize = 1_000;

pub(super) struct Ids {
    tables: Tables,
    /// Whose keys are gone through.
    rows: fn(&Trees) -> &Tree,
    prefix: [u8; 8],
    /// Where the next piece starts; `None` when there is none.
    next: Option<Vec<u8>>,
    piece: VecDeque<PointId>,
}

impl Ids {
    pub(super) fn new(
        tables: Tables,
        rows: fn(&Trees) -> &Tree,
        of: CollectionId,
        from: Option<&PointId>,
    ) -> Self {
        let prefix = of.0.to_be_bytes();
        Self {
            tables,
            rows,
            prefix,
            next: Some(from.map_or_else(|| prefix.to_vec(), |id| row_key(of, id))),
            piece: VecDeque::new(),
        }
    }

    /// Ids that are known already.
    pub(super) fn known(tables: Tables, of: CollectionId, piece: VecDeque<PointId>) -> Self {
        Self {
            tables,
            rows: |trees| &trees.payloads,
            prefix: of.0.to_be_bytes(),
            next: None,
            piece,
        }
    }

    fn fill(&mut self, from: Vec<u8>) -> Result<(), Error> {
        let open = self.tables.trees()?;
        for key in (self.rows)(&open).range(from..).keys().take(PIECE) {
            let key = key?;
            let Some(id) = key.strip_prefix(&self.prefix) else {
                return Ok(());
            };
            let id = PointId::from_key(id).ok_or_else(|| fail("a key is malformed"))?;
            self.piece.push_back(id);
            // The least key that is greater.
            let after = [key.as_ref(), &[0]].concat();
            self.next = (self.piece.len() == PIECE).then_some(after);
        }
        Ok(())
    }
}

impl Iterator for Ids {
    type Item = Result<PointId, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.piece.is_empty() {
            let from = self.next.take()?;
            if let Err(error) = self.fill(from) {
                self.next = None;
                self.piece.clear();
                return Some(Err(error));
            }
        }
        self.piece.pop_front().map(Ok)
    }
}
