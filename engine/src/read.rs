//! Reading: points, pages, hits and pictures.

use std::sync::Arc;

use storage::{FaceRow, PointId};

use crate::collection::Collection;
use crate::convert;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::{MAX_EF, MAX_HITS, MAX_IDS_PER_REQUEST, MAX_PAGE};
use crate::point::{FaceImage, Page, Query, ScoredPoint, Select, StoredPoint, Which};
use crate::settings::named;

impl Engine {
    /// The points of these ids, in their order; unknown ids are left out.
    pub fn get(
        &self,
        collection: &str,
        ids: &[PointId],
        select: Select,
    ) -> Result<Vec<StoredPoint>, Error> {
        let collection = self.collection(collection)?;
        at_most("ids in one request", ids.len(), MAX_IDS_PER_REQUEST)?;
        check_names(&collection, &select)?;
        let points = ids
            .iter()
            .filter_map(|id| self.stored(&collection, id, &select).transpose());
        points.collect()
    }

    /// The points nearest to a vector, best first.
    pub fn search(&self, collection: &str, query: &Query) -> Result<Vec<ScoredPoint>, Error> {
        let collection = self.collection(collection)?;
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
        let hits = collection.search(by.id, &query.vector, k, ef, query.exact);
        let hits = hits.map_err(|error| named(&by.name, error))?;
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
            // Deleted since the index was asked: it must not be returned.
            if let Some(point) = self.stored(&collection, &id, &query.select)? {
                scored.push(ScoredPoint { score, point });
            }
        }
        Ok(scored)
    }

    /// Points in the order of their ids, from `from` on.
    pub fn scroll(
        &self,
        collection: &str,
        from: Option<PointId>,
        limit: usize,
        select: Select,
    ) -> Result<Page, Error> {
        let collection = self.collection(collection)?;
        at_most("`limit`", limit, MAX_PAGE)?;
        check_names(&collection, &select)?;
        let ids = self
            .shared()
            .tables
            .ids(collection.id, from.as_ref())
            .take(limit + 1);
        let mut ids: Vec<PointId> = ids.collect::<Result<_, _>>()?;
        let next = if ids.len() > limit { ids.pop() } else { None };
        let points = ids
            .iter()
            .filter_map(|id| self.stored(&collection, id, &select).transpose());
        Ok(Page {
            points: points.collect::<Result<_, _>>()?,
            next,
        })
    }

    /// How many points a collection holds.
    pub fn count(&self, collection: &str) -> Result<usize, Error> {
        Ok(self.collection(collection)?.len())
    }

    /// A picture of a face; `None` when there is no such point, or no such picture of it.
    pub fn face_image(
        &self,
        collection: &str,
        id: &PointId,
        kind: FaceImage,
    ) -> Result<Option<Vec<u8>>, Error> {
        let collection = self.collection(collection)?;
        let place = |row: FaceRow| match kind {
            FaceImage::Crop => row.crop,
            FaceImage::Photo => row.photo,
        };
        let shared = self.shared();
        let find = || Ok::<_, Error>(shared.tables.face(collection.id, id)?.and_then(place));
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

    fn stored(
        &self,
        collection: &Arc<Collection>,
        id: &PointId,
        select: &Select,
    ) -> Result<Option<StoredPoint>, Error> {
        if !collection.contains(id) {
            return Ok(None);
        }
        let tables = &self.shared().tables;
        let payload = match select.payload {
            true => match tables.payload(collection.id, id)? {
                Some(bytes) => Some(convert::payload(&bytes)?),
                None => return Ok(None),
            },
            false => None,
        };
        let vectors = match &select.vectors {
            Which::None => None,
            which => match collection.vectors(id, which) {
                Some(vectors) => Some(vectors),
                None => return Ok(None),
            },
        };
        let face = tables.face(collection.id, id)?.map(convert::stored_face);
        Ok(Some(StoredPoint {
            id: *id,
            payload,
            vectors,
            face,
        }))
    }
}

/// A vector that is not there must not be taken for one that no point has.
fn check_names(collection: &Collection, select: &Select) -> Result<(), Error> {
    let Which::Named(names) = &select.vectors else {
        return Ok(());
    };
    let settings = collection.settings();
    names
        .iter()
        .try_for_each(|name| settings.by_name(name).map(drop))
}

fn at_most(what: &str, got: usize, limit: usize) -> Result<(), Error> {
    if got > limit {
        return Err(Error::TooLarge(format!(
            "{what} may be at most {limit}, got {got}"
        )));
    }
    Ok(())
}
