//! Searches for a wanted recall: how far a walk must go for it is measured on the collection's own
//! points, once, and again when there are twice or half as many.

use std::collections::HashMap;

pub use hnsw::Tuned;
use hnsw::{Hit, SearchOptions};
use parking_lot::Mutex;
use storage::VectorId;

use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{MAX_HITS, TUNINGS};

/// What was measured of a collection.
#[derive(Default)]
pub(crate) struct Tunings(Mutex<HashMap<Wanted, Measured>>);

/// Vectors, hits, and the bits of the recall.
type Wanted = (VectorId, usize, u32);

#[derive(Clone, Copy)]
struct Measured {
    tuned: Tuned,
    /// Points there were.
    len: usize,
}

impl Engine {
    /// The `ef` that finds this part of the true `k` nearest points, and the recall measured with
    /// it. Costs some hundred scans of the collection when it has not been measured lately; searches
    /// and writes go on.
    pub fn tune(
        &self,
        collection: &str,
        using: &str,
        k: usize,
        target_recall: f32,
    ) -> Result<Tuned, Error> {
        let collection = self.collection(collection)?;
        let by = collection.settings().by_name(using)?.id;
        collection.tuned(by, k, target_recall)
    }
}

impl Collection {
    pub(crate) fn tuned(&self, by: VectorId, k: usize, recall: f32) -> Result<Tuned, Error> {
        if !(1..=MAX_HITS).contains(&k) {
            return Err(Error::BadRequest(format!(
                "{k} hits cannot be tuned for; 1 to {MAX_HITS} can"
            )));
        }
        let len = self.len();
        let wanted = (by, k, recall.to_bits());
        if let Some(tuned) = self.tunings.fresh(&wanted, len) {
            return Ok(tuned);
        }
        let queries = self.state.read().space(by)?.index.samples();
        // The lock is taken anew for each search, so that writes go on.
        let search = |query: &[f32], options: &SearchOptions<'_>| -> Result<Vec<Hit>, Error> {
            let state = self.state.read();
            Ok(state.space(by)?.index.search(query, k, options)?)
        };
        let tuned = hnsw::tune(&queries, recall, k, search)?;
        self.tunings.keep(wanted, Measured { tuned, len });
        Ok(tuned)
    }
}

impl Tunings {
    fn fresh(&self, wanted: &Wanted, len: usize) -> Option<Tuned> {
        let known = self.0.lock().get(wanted).copied()?;
        (known.len / 2..=known.len.saturating_mul(2))
            .contains(&len)
            .then_some(known.tuned)
    }

    fn keep(&self, wanted: Wanted, measured: Measured) {
        let mut known = self.0.lock();
        if known.len() >= TUNINGS {
            known.clear();
        }
        known.insert(wanted, measured);
    }
}
