//! Changes of points that leave the rest of them as it is: vectors put and taken.

use std::collections::HashMap;

use storage::{PointId, Record};

use crate::check::{few_ids, some_names, some_vectors};
use crate::decide::Basis;
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::point::{Ack, Written};
use crate::vectors::Vectors;

impl Engine {
    /// Puts vectors of points, all or none; what else the points have stays, but for vectors that were made
    /// of one that is put ([`Engine::add_vector_made_of`]). Every point must be
    /// there. Of several changes of one point all count, the last one of a vector stands.
    pub fn update_vectors(
        &self,
        collection: &str,
        points: Vec<(PointId, Vectors)>,
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        some_vectors(&points)?;
        let mut places = HashMap::with_capacity(points.len());
        let mut decided: Vec<(PointId, storage::NamedVectors)> = Vec::with_capacity(points.len());
        for (id, vectors) in points {
            if !target.contains(&id) {
                return Err(Error::NoPoint(id));
            }
            let vectors = target.prepare(&vectors);
            let vectors = vectors.map_err(|error| error.of_point(&id))?;
            let place = *places.entry(id).or_insert(decided.len());
            let Some((_, known)) = decided.get_mut(place) else {
                decided.push((id, vectors));
                continue;
            };
            known.retain(|(old, _)| vectors.iter().all(|(new, _)| new != old));
            known.extend(vectors);
        }
        let _deciding = target.deciding.read();
        let record = Record::UpdateVectors {
            collection: target.id,
            points: decided,
        };
        self.write(Basis::NOTHING, record, ack)
            .map_err(|error| rename_missing(error, collection))
    }

    /// Takes vectors away from points; unknown ids, and points without such a vector, are fine.
    pub fn delete_vectors(
        &self,
        collection: &str,
        mut ids: Vec<PointId>,
        names: &[String],
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        few_ids(&ids)?;
        some_names(names)?;
        ids.sort_unstable();
        ids.dedup();
        let settings = target.settings();
        let vectors = names.iter().map(|name| Ok(settings.by_name(name)?.id));
        let _deciding = target.deciding.read();
        let record = Record::DeleteVectors {
            collection: target.id,
            ids,
            vectors: vectors.collect::<Result<_, Error>>()?,
        };
        self.write(Basis::NOTHING, record, ack)
            .map_err(|error| rename_missing(error, collection))
    }
}
