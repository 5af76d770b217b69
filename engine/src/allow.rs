//! A collection asked with a filter: which points come into question, and which of them are near.
//!
//! Indexes and graphs are asked under one lock, so that a number means one point throughout.
//! Payloads are never read under it.

use hnsw::SearchOptions;
use roaring::RoaringBitmap;
use storage::{PointId, VectorId};

use crate::collection::{Collection, State};
use crate::error::Error;
use crate::filter::Filter;
use crate::numbers::PointNumber;
use crate::payload::{Found, Points};

/// Which points a search may answer with.
#[derive(Clone, Copy)]
pub(crate) enum Allowed<'a> {
    All,
    /// Those that a filter lets through; where the indexes cannot say who that is, nothing is
    /// answered.
    Filter(&'a Filter),
    /// Those that a filter may let through, by what the indexes say.
    Perhaps(&'a Filter),
    These(&'a [PointId]),
}

/// A search for the nearest points.
#[derive(Clone, Copy)]
pub(crate) struct Nearest<'a> {
    pub(crate) by: VectorId,
    pub(crate) to: &'a [f32],
    pub(crate) ef: usize,
    pub(crate) exact: bool,
}

/// Points and scores, best first.
pub(crate) type Hits = Vec<(PointId, f32)>;

impl Collection {
    /// How far such a search walks where nothing is filtered; `None` where it looks at all points.
    pub(crate) fn ef_for(&self, nearest: Nearest<'_>, k: usize) -> Option<usize> {
        let state = self.state.read();
        let options = SearchOptions {
            ef: nearest.ef,
            exact: nearest.exact,
            filter: None,
        };
        state.space(nearest.by).ok()?.index.ef_for(&options, k)
    }

    /// The `k` best points by one of their vectors; `None` where a filter is too much for the
    /// indexes.
    pub(crate) fn search(
        &self,
        nearest: Nearest<'_>,
        k: usize,
        allowed: Allowed<'_>,
    ) -> Result<Option<Hits>, Error> {
        let state = self.state.read();
        let space = state.space(nearest.by)?;
        let numbers = match allowed {
            Allowed::All => None,
            Allowed::Filter(filter) => match state.find(filter) {
                Found { exact: false, .. } => return Ok(None),
                found => Some(found.points),
            },
            Allowed::Perhaps(filter) => Some(state.find(filter).points),
            Allowed::These(ids) => Some(ids.iter().filter_map(|id| state.number(id)).collect()),
        };
        let some = numbers.filter(|numbers| numbers.len() < state.payload.live().len());
        let slots = some.map(|numbers| space.slots_of(numbers.iter().map(PointNumber)));
        let options = SearchOptions {
            ef: nearest.ef,
            exact: nearest.exact,
            filter: slots.as_ref(),
        };
        let hits = space.index.search(nearest.to, k, &options);
        let hits = hits.map_err(|error| Error::BadVector {
            what: error.to_string(),
        })?;
        let id = |slot| state.numbers.id(space.number(slot)?);
        let hits = hits.into_iter();
        let hits = hits.filter_map(|hit| Some((id(hit.slot)?, hit.score)));
        Ok(Some(hits.collect()))
    }

    /// The filter as it is meant in this collection.
    pub(crate) fn resolve(&self, filter: &Filter) -> Filter {
        self.state.read().payload.resolve(filter)
    }

    /// The points that a filter may let through, in no order, and whether it does so with all.
    pub(crate) fn candidates(&self, filter: &Filter) -> (Vec<PointId>, bool) {
        let state = self.state.read();
        let found = state.find(filter);
        let numbers = found.points.iter().map(PointNumber);
        let ids = numbers.filter_map(|number| state.numbers.id(number));
        (ids.collect(), found.exact)
    }

    /// How many points a filter lets through, if the indexes know.
    pub(crate) fn count_where(&self, filter: &Filter) -> Option<usize> {
        let found = self.state.read().find(filter);
        let count = usize::try_from(found.points.len()).unwrap_or(usize::MAX);
        found.exact.then_some(count)
    }

    /// Whether a point has the vector of this name.
    pub(crate) fn has_vector(&self, id: &PointId, name: &str) -> bool {
        let state = self.state.read();
        let has = || {
            let vector = state.settings.find(name)?;
            let number = state.numbers.number(id)?;
            state.spaces.get(&vector.id)?.slot(number)
        };
        has().is_some()
    }
}

impl State {
    pub(crate) fn find(&self, filter: &Filter) -> Found {
        self.payload.find(filter, self)
    }
}

impl Points for State {
    fn number(&self, id: &PointId) -> Option<u32> {
        self.numbers.number(id).map(|number| number.0)
    }

    fn with_vector(&self, name: &str) -> RoaringBitmap {
        let space = self.settings.find(name);
        let Some(space) = space.and_then(|vector| self.spaces.get(&vector.id)) else {
            return RoaringBitmap::new();
        };
        let all = self.payload.live().iter();
        all.filter(|number| space.slot(PointNumber(*number)).is_some())
            .collect()
    }
}
