//! Reading: points, pages, hits and pictures.

use std::sync::Arc;
use std::time::Instant;

use serde_json::Value;
use storage::{FaceRow, PointId};

use crate::allow::{Allowed, Hits, Nearest};
use crate::collection::Collection;
use crate::convert;
use crate::engine::Engine;
use crate::error::Error;
use crate::filter::{Filter, KeyPath, Subject};
use crate::limits::{MAX_EF, MAX_FACETS, MAX_HITS, MAX_IDS_PER_REQUEST, MAX_PAGE, PROBED_HITS};
use crate::point::{
    FaceImage, Order, Page, Payload, Query, ScoredPoint, SearchTimes, Select, StoredPoint, Which,
};
use crate::settings::named;

impl Engine {
    /// The points of these ids, in their order; unknown ids are left out.
    pub fn get(
        &self,
        collection: &str,
        ids: &[PointId],
        select: Select,
    ) -> Result<Vec<StoredPoint>, Error> {
        let collection = self.holder(collection)?;
        at_most("ids in one request", ids.len(), MAX_IDS_PER_REQUEST)?;
        check_names(&collection, &select)?;
        let points = ids
            .iter()
            .filter_map(|id| self.stored(&collection, id, &select, None).transpose());
        points.collect()
    }

    /// The points nearest to a vector, best first.
    pub fn search(&self, collection: &str, query: &Query) -> Result<Vec<ScoredPoint>, Error> {
        Ok(self.search_timed(collection, query)?.0)
    }

    /// The points nearest to a vector, best first, and where the time went.
    pub fn search_timed(
        &self,
        collection: &str,
        query: &Query,
    ) -> Result<(Vec<ScoredPoint>, SearchTimes), Error> {
        let started = Instant::now();
        let collection = self.holder(collection)?;
        let k = query.limit.saturating_add(query.offset);
        at_most("`limit` and `offset` together", k, MAX_HITS)?;
        let ef = query.ef.unwrap_or(0);
        at_most("`ef`", ef, MAX_EF)?;
        if query.limit == 0 {
            return Err(Error::BadRequest("`limit` must be at least 1".into()));
        }
        check_names(&collection, &query.select)?;
        let settings = collection.settings();
        let by = settings.by_name(&query.using)?;
        let filter = query.filter.as_ref().filter(|filter| !filter.is_empty());
        let filter = filter.map(|filter| collection.resolve(filter));
        let nearest = Nearest {
            by: by.id,
            to: &query.vector,
            ef,
            exact: query.exact,
        };
        let hits = match &filter {
            None => collection
                .search(nearest, k, Allowed::All)
                .map(Option::unwrap_or_default),
            Some(filter) => self.search_filtered(&collection, nearest, k, filter),
        };
        let hits = hits.map_err(|error| named(&by.name, error))?;
        let index = started.elapsed();
        let higher = by.spec.metric.higher_is_better();
        let passes = |score: f32| match query.score_threshold {
            None => true,
            Some(threshold) if higher => score >= threshold,
            Some(threshold) => score <= threshold,
        };
        let mut scored = Vec::with_capacity(query.limit.min(hits.len()));
        for (id, score) in hits
            .into_iter()
            .filter(|hit| passes(hit.1))
            .skip(query.offset)
        {
            // Deleted or changed since the index was asked: it must not be returned.
            let point = self.stored(&collection, &id, &query.select, filter.as_ref())?;
            if let Some(point) = point {
                scored.push(ScoredPoint { score, point });
            }
        }
        let points = started.elapsed() - index;
        let ef = collection.ef_for(nearest, k);
        Ok((scored, SearchTimes { ef, index, points }))
    }

    /// Where the indexes know whom the filter lets through, those are searched. Otherwise the best
    /// that it may let through are looked at first, and all payloads only where that is not enough.
    fn search_filtered(
        &self,
        collection: &Collection,
        nearest: Nearest<'_>,
        k: usize,
        filter: &Filter,
    ) -> Result<Hits, Error> {
        if let Some(hits) = collection.search(nearest, k, Allowed::Filter(filter))? {
            return Ok(hits);
        }
        let probed = PROBED_HITS.max(k);
        let best = collection.search(nearest, probed, Allowed::Perhaps(filter))?;
        let best = best.unwrap_or_default();
        let all = best.len() < probed;
        let mut passed = Vec::new();
        for hit in best {
            if self.lets_through(collection, filter, &hit.0)? {
                passed.push(hit);
            }
            if passed.len() == k {
                return Ok(passed);
            }
        }
        if all {
            return Ok(passed);
        }
        let ids = self.let_through(collection, filter)?;
        let hits = collection.search(nearest, k, Allowed::These(&ids))?;
        Ok(hits.unwrap_or_default())
    }

    /// Points in the order of their ids, from `from` on.
    pub fn scroll(
        &self,
        collection: &str,
        from: Option<PointId>,
        limit: usize,
        select: Select,
    ) -> Result<Page, Error> {
        self.scroll_where(collection, &Filter::default(), from, limit, select)
    }

    /// Points that a filter lets through, in the order of their ids, from `from` on.
    pub fn scroll_where(
        &self,
        collection: &str,
        filter: &Filter,
        from: Option<PointId>,
        limit: usize,
        select: Select,
    ) -> Result<Page, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        check_names(&collection, &select)?;
        let filter = (!filter.is_empty()).then(|| collection.resolve(filter));
        let mut ids = self.ids_from(&collection, filter.as_ref(), from, limit + 1)?;
        let next = if ids.len() > limit { ids.pop() } else { None };
        let points = ids.iter().filter_map(|id| {
            self.stored(&collection, id, &select, filter.as_ref())
                .transpose()
        });
        Ok(Page {
            points: points.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// Points that a filter lets through, in the order of their ids, after so many others. What
    /// `scroll_where` reads from an id on costs less.
    pub fn page_where(
        &self,
        collection: &str,
        filter: &Filter,
        skip: usize,
        limit: usize,
        select: &Select,
    ) -> Result<Vec<StoredPoint>, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        check_names(&collection, select)?;
        let filter = collection.resolve(filter);
        let upto = skip.saturating_add(limit);
        let ids = self.ids_from(&collection, Some(&filter), None, upto)?;
        let ids = ids.iter().skip(skip);
        let points = ids.map(|id| self.stored(&collection, id, select, Some(&filter)));
        points.filter_map(Result::transpose).collect()
    }

    /// The first ids from one on that a filter lets through.
    fn ids_from(
        &self,
        collection: &Collection,
        filter: Option<&Filter>,
        from: Option<PointId>,
        limit: usize,
    ) -> Result<Vec<PointId>, Error> {
        let Some(filter) = filter else {
            return self.reading(|tables| {
                let ids = tables.ids(collection.id, from.as_ref());
                ids.take(limit).collect()
            });
        };
        let (mut ids, exact) = collection.candidates(filter);
        if let Some(from) = from {
            ids.retain(|id| *id >= from);
        }
        if exact && ids.len() > limit {
            ids.select_nth_unstable(limit);
            ids.truncate(limit);
        }
        ids.sort_unstable();
        if exact {
            return Ok(ids);
        }
        let mut passed = Vec::new();
        for id in ids {
            if self.lets_through(collection, filter, &id)? {
                passed.push(id);
            }
            if passed.len() == limit {
                break;
            }
        }
        Ok(passed)
    }

    /// Points in the order of a payload value, each with that value.
    pub fn scroll_by(
        &self,
        collection: &str,
        filter: &Filter,
        order: &Order,
        limit: usize,
        select: &Select,
    ) -> Result<Vec<(StoredPoint, Value)>, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        check_names(&collection, select)?;
        let filter = (!filter.is_empty()).then(|| collection.resolve(filter));
        let among = filter.as_ref();
        let among = among.map(|filter| self.let_through(&collection, filter));
        let placed = collection.in_order(order, among.transpose()?.as_deref(), limit)?;
        let points = placed.into_iter().filter_map(|(id, value)| {
            let point = self.stored(&collection, &id, select, filter.as_ref());
            point.map(|point| Some((point?, value))).transpose()
        });
        points.collect()
    }

    /// How many points a collection holds.
    pub fn count(&self, collection: &str) -> Result<usize, Error> {
        Ok(self.holder(collection)?.len())
    }

    /// How many points a filter lets through.
    pub fn count_where(&self, collection: &str, filter: &Filter) -> Result<usize, Error> {
        let collection = self.holder(collection)?;
        let filter = collection.resolve(filter);
        match collection.count_where(&filter) {
            Some(count) => Ok(count),
            None => Ok(self.let_through(&collection, &filter)?.len()),
        }
    }

    /// Values at a key and how many points have each, the most frequent first.
    pub fn facet(
        &self,
        collection: &str,
        key: &KeyPath,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(Value, u64)>, Error> {
        let collection = self.holder(collection)?;
        at_most("`limit`", limit, MAX_FACETS)?;
        let filter = (!filter.is_empty()).then(|| collection.resolve(filter));
        let among = filter.map(|filter| self.let_through(&collection, &filter));
        collection.facet(key, among.transpose()?.as_deref(), limit)
    }

    /// The points that a filter lets through, in no order. Where the indexes do not know, the
    /// payloads of all that come into question are read: a few microseconds each.
    pub(crate) fn let_through(
        &self,
        collection: &Collection,
        filter: &Filter,
    ) -> Result<Vec<PointId>, Error> {
        let (ids, exact) = collection.candidates(filter);
        if exact {
            return Ok(ids);
        }
        let mut passed = Vec::new();
        for id in ids {
            if self.lets_through(collection, filter, &id)? {
                passed.push(id);
            }
        }
        Ok(passed)
    }

    /// Whether a filter lets a point through, by its payload; none that is not there.
    pub(crate) fn lets_through(
        &self,
        collection: &Collection,
        filter: &Filter,
        id: &PointId,
    ) -> Result<bool, Error> {
        match self.reading(|tables| tables.payload(collection.id, id))? {
            Some(bytes) => Ok(passes(collection, filter, id, &convert::payload(&bytes)?)),
            None => Ok(false),
        }
    }

    /// A picture of a face; `None` when there is no such point, or no such picture of it.
    pub fn face_image(
        &self,
        collection: &str,
        id: &PointId,
        kind: FaceImage,
    ) -> Result<Option<Vec<u8>>, Error> {
        let collection = self.holder(collection)?;
        let place = |row: FaceRow| match kind {
            FaceImage::Crop => row.crop,
            FaceImage::Photo => row.photo,
        };
        let shared = self.shared();
        let find = || {
            let face = self.reading(|tables| tables.face(collection.id, id));
            Ok::<_, Error>(face?.and_then(place))
        };
        let Some(found) = find()? else {
            return Ok(None);
        };
        let read = |place| shared.blobs.read(&place, collection.id, id);
        match (read(found), find()?) {
            // A purge has moved it, or the point has gone, while it was being read.
            (Err(_), Some(moved)) if moved != found => Ok(Some(read(moved)?)),
            (Err(_), None) => Ok(None),
            (picture, _) => Ok(Some(picture?)),
        }
    }

    pub(crate) fn stored(
        &self,
        collection: &Arc<Collection>,
        id: &PointId,
        select: &Select,
        filter: Option<&Filter>,
    ) -> Result<Option<StoredPoint>, Error> {
        let Some(faced) = collection.has_face(id) else {
            return Ok(None);
        };
        let mut payload = match select.payload || filter.is_some() {
            true => match self.reading(|tables| tables.payload(collection.id, id))? {
                Some(bytes) => Some(convert::payload(&bytes)?),
                None => return Ok(None),
            },
            false => None,
        };
        if let (Some(filter), Some(payload)) = (filter, &payload)
            && !passes(collection, filter, id, payload)
        {
            return Ok(None);
        }
        payload = payload.filter(|_| select.payload);
        let vectors = match &select.vectors {
            Which::None => None,
            which => match collection.vectors(id, which) {
                Some(vectors) => Some(vectors),
                None => return Ok(None),
            },
        };
        let face = match faced {
            true => {
                let face = self.reading(|tables| tables.face(collection.id, id));
                face?.map(convert::stored_face)
            }
            false => None,
        };
        Ok(Some(StoredPoint {
            id: *id,
            payload,
            vectors,
            face,
        }))
    }
}

fn passes(collection: &Collection, filter: &Filter, id: &PointId, payload: &Payload) -> bool {
    filter.lets_through(&Subject {
        id: *id,
        payload,
        has_vector: &|name| collection.has_vector(id, name),
    })
}

/// A vector that is not there must not be taken for one that no point has.
pub(crate) fn check_names(collection: &Collection, select: &Select) -> Result<(), Error> {
    let Which::Named(names) = &select.vectors else {
        return Ok(());
    };
    let settings = collection.settings();
    names
        .iter()
        .try_for_each(|name| settings.by_name(name).map(drop))
}

pub(crate) fn at_most(what: &str, got: usize, limit: usize) -> Result<(), Error> {
    if got > limit {
        return Err(Error::TooLarge(format!(
            "{what} may be at most {limit}, got {got}"
        )));
    }
    Ok(())
}
