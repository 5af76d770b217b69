//! A vector that takes the place of another: filled beside it, point by point, while everything is
//! served as before, and then the old one goes.
//!
//! Both steps are decided while no other write of the collection can come between the decision and
//! its record, so that no vector comes to a face that it was not made of, and no point loses its
//! old vector before it has the new one, unless that was said to be fine. Where the new one is made of the
//! old one ([`Engine::add_vector_made_of`]), a later change of that takes it away again, so that it is missed and
//! made anew.

use std::collections::HashSet;

use storage::{Lsn, NamedVectors, PointId, Record, VectorId};

use crate::collection::Collection;
use crate::convert;
use crate::decide::Basis;
use crate::engine::{Engine, rename_missing};
use crate::error::Error;
use crate::limits::MAX_POINTS_PER_UPSERT;
use crate::options::CollectionInfo;
use crate::point::{Ack, Face, Which};
use crate::vectors::Vectors;

/// A vector that was made of a face's picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Refill {
    /// The point.
    pub id: PointId,
    /// The face that it had when the picture was read.
    pub face: Face,
    /// The record that put it by then ([`Engine::put_by`]): two photos may have a face at the same place.
    pub put: Lsn,
    /// What was made of it.
    pub vector: Vec<f32>,
}

/// A vector that was made of another vector of the point.
#[derive(Debug, Clone, PartialEq)]
pub struct Remade {
    /// The point.
    pub id: PointId,
    /// The vector as it was read.
    pub of: Vec<f32>,
    /// What was made of it.
    pub vector: Vec<f32>,
}

/// What becomes of points that have the old vector and not the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lacking<'a> {
    /// The old vector stays, for all.
    Keep,
    /// The old vector goes if they are all among these; they stay, without either.
    AcceptOf(&'a HashSet<PointId>),
    /// The old vector goes; they stay, without either.
    Accept,
}

/// What came of taking an old vector away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retired {
    /// Points that had the old vector and not the new one.
    pub lacking: usize,
    /// Whether it has gone.
    pub is_gone: bool,
}

impl Engine {
    /// Puts a vector of points that do not have it, if they still have the face it was made of;
    /// passes over all others. Says how many it were. The collection and the vector are those that were described.
    ///
    /// # Errors
    /// There is no such collection or vector by now, a vector is not of its size, there are too many, or
    /// it cannot be written.
    pub fn fill_vector(
        &self,
        info: &CollectionInfo,
        name: &str,
        refills: Vec<Refill>,
        ack: Ack,
    ) -> Result<usize, Error> {
        let target = self.described(info)?;
        few(refills.len())?;
        let filled = self.decided(|| self.fill_once((&target, info), name, &refills, ack));
        filled.map_err(|error| rename_missing(error, &info.name))
    }

    fn fill_once(
        &self,
        (target, info): (&Collection, &CollectionInfo),
        name: &str,
        refills: &[Refill],
        ack: Ack,
    ) -> Result<usize, Error> {
        let deciding = self.alone(target);
        self.shared().wait_applied()?;
        let vector = target.described_vector(info, name)?;
        let mut points = Vec::with_capacity(refills.len());
        for refill in refills {
            let id = refill.id;
            let same = self.shared().tables.put_by(target.id, &id)? == Some(refill.put)
                && self.face_of(target, &id)?.as_ref() == Some(&refill.face);
            if !same || target.has_vector(&id, name) {
                continue;
            }
            points.push(prepared(target, id, (name, &refill.vector))?);
        }
        all_of(&points, vector)?;
        self.put_filled(target, points, (deciding.basis, ack))
    }

    /// Puts a vector of points that do not have it, if they still have the vector that it was made of
    /// under `from`; passes over all others. Says how many it were. The collection and the vectors are those that were
    /// described.
    ///
    /// # Errors
    /// There is no such collection or vector by now, a vector is not of its size, there are too many, or
    /// it cannot be written.
    pub fn fill_from_vector(
        &self,
        info: &CollectionInfo,
        (from, to): (&str, &str),
        remade: Vec<Remade>,
        ack: Ack,
    ) -> Result<usize, Error> {
        let target = self.described(info)?;
        few(remade.len())?;
        let filled = self.decided(|| self.remake_once((&target, info), (from, to), &remade, ack));
        filled.map_err(|error| rename_missing(error, &info.name))
    }

    fn remake_once(
        &self,
        (target, info): (&Collection, &CollectionInfo),
        (from, to): (&str, &str),
        remade: &[Remade],
        ack: Ack,
    ) -> Result<usize, Error> {
        let deciding = self.alone(target);
        self.shared().wait_applied()?;
        target.described_vector(info, from)?;
        let vector = target.described_vector(info, to)?;
        let which = Which::Named(vec![from.to_owned()]);
        let mut points = Vec::with_capacity(remade.len());
        for Remade {
            id,
            of,
            vector: made,
        } in remade
        {
            let now = target.vectors(id, &which);
            let now = now.as_ref().and_then(|vectors| vectors.get(from));
            if now == Some(of.as_slice()) && !target.has_vector(id, to) {
                points.push(prepared(target, *id, (to, made))?);
            }
        }
        all_of(&points, vector)?;
        self.put_filled(target, points, (deciding.basis, ack))
    }

    /// Writes what was decided; whoever decided still holds the collection.
    fn put_filled(
        &self,
        target: &Collection,
        points: Vec<(PointId, NamedVectors)>,
        (basis, ack): (Basis, Ack),
    ) -> Result<usize, Error> {
        let count = points.len();
        if count == 0 {
            return Ok(0);
        }
        let record = Record::UpdateVectors {
            collection: target.id,
            points,
        };
        self.write(basis, record, ack)?;
        Ok(count)
    }

    /// The record that put a point, or put another in its place; changes of its payload are none.
    ///
    /// # Errors
    /// There is no such collection, or the tables cannot be read.
    pub fn put_by(&self, collection: &str, id: &PointId) -> Result<Option<Lsn>, Error> {
        let target = self.holder(collection)?;
        self.reading(|tables| tables.put_by(target.id, id))
    }

    fn face_of(&self, target: &Collection, id: &PointId) -> Result<Option<Face>, Error> {
        match target.has_face(id) {
            Some(true) => {
                let row = self.shared().tables.face(target.id, id)?;
                Ok(row.map(|row| convert::stored_face(row).face))
            }
            _ => Ok(None),
        }
    }

    /// Takes a vector away once another stands for it. Where points have the old one and not the new one,
    /// and are not accepted, nothing is done. The collection and the vectors are those that were described.
    ///
    /// # Errors
    /// There is no such collection or vector by now, or it cannot be written.
    pub fn retire_vector(
        &self,
        info: &CollectionInfo,
        (old, new): (&str, &str),
        lacking: Lacking<'_>,
    ) -> Result<Retired, Error> {
        let target = self.described(info)?;
        self.decided(|| {
            let deciding = self.alone(&target);
            self.shared().wait_applied()?;
            // Vectors come and go under this, and none does between the look and the record.
            let _naming = self.naming.lock();
            target.described_vector(info, old)?;
            target.described_vector(info, new)?;
            let all = target.lacking(old, new, |_| true);
            let is_gone = match lacking {
                Lacking::Keep => all == 0,
                Lacking::AcceptOf(these) => target.lacking(old, new, |id| !these.contains(id)) == 0,
                Lacking::Accept => true,
            };
            if is_gone {
                self.configure_on(deciding.basis, info.into(), &mut |settings| {
                    settings.remove(old);
                    Ok(())
                })?;
            }
            Ok(Retired {
                lacking: all,
                is_gone,
            })
        })
    }

    /// How many points have one vector and not another. The collection and the vectors are those that were described.
    ///
    /// # Errors
    /// There is no such collection or vector by now.
    pub fn count_lacking(
        &self,
        info: &CollectionInfo,
        (has, lacks): (&str, &str),
    ) -> Result<usize, Error> {
        let target = self.described(info)?;
        target.described_vector(info, has)?;
        target.described_vector(info, lacks)?;
        Ok(target.lacking(has, lacks, |_| true))
    }
}

fn few(points: usize) -> Result<(), Error> {
    match points > MAX_POINTS_PER_UPSERT {
        true => Err(Error::TooLarge(format!(
            "{points} points at once, the limit is {MAX_POINTS_PER_UPSERT}"
        ))),
        false => Ok(()),
    }
}

/// Whether all are of one vector: not where its name has come to another while they were prepared.
fn all_of(points: &[(PointId, NamedVectors)], vector: VectorId) -> Result<(), Error> {
    let mut vectors = points.iter().flat_map(|(_, vectors)| vectors);
    match vectors.all(|(of, _)| *of == vector) {
        true => Ok(()),
        false => Err(Error::Overtaken),
    }
}

fn prepared(
    target: &Collection,
    id: PointId,
    (name, vector): (&str, &[f32]),
) -> Result<(PointId, NamedVectors), Error> {
    let vectors: Vectors = [(name.to_owned(), vector.to_vec())].into_iter().collect();
    let prepared = target.prepare(&vectors);
    Ok((id, prepared.map_err(|error| error.of_point(&id))?))
}

impl Collection {
    /// How many points of those that count have one vector and not another.
    fn lacking(&self, has: &str, lacks: &str, counts: impl Fn(&PointId) -> bool) -> usize {
        let state = self.state.read();
        let space = |name: &str| {
            let vector = state.settings.find(name)?;
            state.spaces.get(&vector.id)
        };
        let (Some(has), Some(lacks)) = (space(has), space(lacks)) else {
            return 0;
        };
        let ids = state.numbers.ids().filter(|id| counts(id));
        let numbers = ids.filter_map(|id| state.numbers.number(id));
        numbers
            .filter(|number| has.slot(*number).is_some() && lacks.slot(*number).is_none())
            .count()
    }
}
