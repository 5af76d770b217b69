//! Points by chance.

use std::hash::{DefaultHasher, Hash, Hasher};

use crate::engine::Engine;
use crate::error::Error;
use crate::filter::Filter;
use crate::limits::MAX_PAGE;
use crate::point::{Select, StoredPoint};
use crate::read::{at_most, check_names};

impl Engine {
    /// Some of the points that a filter lets through, each as likely as any other; the same seed
    /// gives the same points as long as nothing is written.
    pub fn sample(
        &self,
        collection: &str,
        filter: &Filter,
        limit: usize,
        seed: u64,
        select: &Select,
    ) -> Result<Vec<StoredPoint>, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        check_names(&collection, select)?;
        let resolved = collection.resolve(filter);
        let ids = self.let_through(&collection, &resolved)?;
        // An id's hash under the seed is as good as a lot that it draws.
        let lots = ids.into_iter().map(|id| {
            let mut lot = DefaultHasher::new();
            (seed, id).hash(&mut lot);
            (lot.finish(), id)
        });
        let mut lots: Vec<_> = lots.collect();
        if lots.len() > limit {
            lots.select_nth_unstable(limit);
            lots.truncate(limit);
        }
        lots.sort_unstable();
        let filter = (!filter.is_empty()).then_some(&resolved);
        let points = lots
            .iter()
            .filter_map(|(_, id)| self.stored(&collection, id, select, filter).transpose());
        points.collect()
    }
}
