//! What is wrong with a write whatever is there: told before anything is decided, so that of several writes in one
//! request none is done where one of them could never be. Whether points are there is not looked at.

use storage::PointId;

use crate::convert;
use crate::engine::{Engine, few};
use crate::error::Error;
use crate::limits::{MAX_IDS_PER_REQUEST, MAX_POINTS_PER_UPSERT};
use crate::payload::PayloadChange;
use crate::point::{Chosen, Point};
use crate::vectors::Vectors;

impl Engine {
    /// Refuses points that could not be put in, whether they are to be in this collection itself or in
    /// parts of it; puts none in.
    ///
    /// # Errors
    /// The same as of [`Engine::upsert`].
    pub fn check_points(&self, collection: &str, points: &[Point]) -> Result<(), Error> {
        few(points)?;
        let target = self.collection(collection)?;
        for point in points {
            let vectors = target.prepare(&point.vectors);
            let vectors = vectors.map_err(|error| error.of_point(&point.id))?;
            convert::point_record(point.id, vectors, &point.payload, point.face.clone())?;
        }
        Ok(())
    }

    /// Refuses vectors that no point of a collection could be given.
    ///
    /// # Errors
    /// The same as of [`Engine::update_vectors`], but for points that are not there.
    pub fn check_vectors(
        &self,
        collection: &str,
        points: &[(PointId, Vectors)],
    ) -> Result<(), Error> {
        some_vectors(points)?;
        let target = self.holder(collection)?;
        for (id, vectors) in points {
            let vectors = target.prepare(vectors);
            vectors.map_err(|error| error.of_point(id))?;
        }
        Ok(())
    }

    /// Refuses vectors that a collection does not have, or too many points.
    ///
    /// # Errors
    /// The same as of [`Engine::delete_vectors`].
    pub fn check_names(
        &self,
        collection: &str,
        chosen: &Chosen,
        names: &[String],
    ) -> Result<(), Error> {
        self.check_chosen(collection, chosen)?;
        let settings = self.holder(collection)?.settings();
        some_names(names)?;
        names
            .iter()
            .try_for_each(|name| settings.by_name(name).map(drop))
    }

    /// Refuses a change of payloads that could never be made, or of too many points.
    ///
    /// # Errors
    /// The same as of [`Engine::change_payload`], but for what points have, or are not there.
    pub fn check_change(
        &self,
        collection: &str,
        chosen: &Chosen,
        change: &PayloadChange,
    ) -> Result<(), Error> {
        self.check_chosen(collection, chosen)?;
        change.check()
    }

    /// Refuses too many points.
    ///
    /// # Errors
    /// There is no such collection, or they are too many.
    pub fn check_chosen(&self, collection: &str, chosen: &Chosen) -> Result<(), Error> {
        self.holder(collection)?;
        match chosen {
            Chosen::Ids(ids) => few_ids(ids),
            Chosen::Filter(_) => Ok(()),
        }
    }
}

pub(crate) fn few_ids(ids: &[PointId]) -> Result<(), Error> {
    match ids.len() {
        ..=MAX_IDS_PER_REQUEST => Ok(()),
        ids => Err(Error::TooLarge(format!(
            "{ids} ids in one request, the limit is {MAX_IDS_PER_REQUEST}"
        ))),
    }
}

pub(crate) fn some_vectors(points: &[(PointId, Vectors)]) -> Result<(), Error> {
    match points.len() {
        0 => Err(Error::BadRequest("there are no vectors to put".into())),
        1..=MAX_POINTS_PER_UPSERT => Ok(()),
        points => Err(Error::TooLarge(format!(
            "{points} points in one request, the limit is {MAX_POINTS_PER_UPSERT}"
        ))),
    }
}

pub(crate) fn some_names(names: &[String]) -> Result<(), Error> {
    match names.is_empty() {
        true => Err(Error::BadRequest("no vectors are named".into())),
        false => Ok(()),
    }
}
