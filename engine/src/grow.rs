//! How records change a collection's points: brought in batch by batch, replaced, taken out.
//!
//! A new vector is brought into its index unseen. Then each point is given all of its new vectors
//! in one step under the lock, and only after that do the old ones leave their graphs: a search
//! finds a point as it was or as it is, at every moment.

use std::ops::Range;

use hnsw::{Batch, Index, Prepared, Slot};
use storage::{Lsn, NamedVectors, PlanKey, Plans, PointId, VectorId};

use crate::collection::{Collection, State};
use crate::limits::{COMMIT_STEPS, INSERT_BATCH, INSERT_BATCH_FRACTION, PARALLEL_PLANS};
use crate::numbers::PointNumber;
use crate::payload::Entries;
use crate::sync::Mutex;

/// A point's vectors as a record has them; those of a vector that has gone are passed over.
pub(crate) struct PointVectors {
    pub(crate) id: PointId,
    pub(crate) vectors: NamedVectors,
    /// What the payload indexes keep of it, if it has a new payload.
    pub(crate) entries: Option<Entries>,
    /// Whether it has a face, if it has a new payload.
    pub(crate) faced: bool,
}

/// What becomes of a point's vectors that a record does not speak of. Those that were made of one that it
/// puts go in any case.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    Go,
    Stay,
}

impl Collection {
    /// Inserts or replaces points.
    pub(crate) fn apply_upsert(
        &self,
        lsn: Lsn,
        points: Vec<PointVectors>,
        plans: &Mutex<Plans>,
    ) -> Result<(), hnsw::Error> {
        self.apply_batches(&points, Others::Go, plans)?;
        self.apply_batches(&self.followers(&points), Others::Stay, plans)?;
        self.mark_changed(lsn);
        Ok(())
    }

    /// Inserts or replaces vectors of points that are there.
    pub(crate) fn apply_update(
        &self,
        lsn: Lsn,
        mut points: Vec<PointVectors>,
        plans: &Mutex<Plans>,
    ) -> Result<(), hnsw::Error> {
        points.retain(|point| self.contains(&point.id));
        self.apply_batches(&points, Others::Stay, plans)?;
        self.apply_batches(&self.followers(&points), Others::Stay, plans)?;
        self.mark_changed(lsn);
        Ok(())
    }

    /// Takes vectors away from points.
    pub(crate) fn apply_delete_vectors(
        &self,
        lsn: Lsn,
        ids: &[PointId],
        vectors: &[VectorId],
    ) -> Result<(), hnsw::Error> {
        let settings = self.settings();
        let rebuilds = vectors.iter().filter_map(|of| settings.rebuild_of(*of));
        let rebuilds = rebuilds.map(|rebuild| rebuild.id);
        let vectors: Vec<VectorId> = vectors.iter().copied().chain(rebuilds).collect();
        for id in ids {
            let gone = self.state.write().vacate(id, |of| vectors.contains(&of));
            for (of, slot) in gone {
                self.take_out(of, slot)?;
            }
        }
        self.mark_changed(lsn);
        Ok(())
    }

    /// Removes points; ids that are not there are passed over.
    pub(crate) fn apply_delete(&self, lsn: Lsn, ids: &[PointId]) -> Result<(), hnsw::Error> {
        for id in ids {
            let gone = self.state.write().forget(id);
            for (of, slot) in gone {
                self.take_out(of, slot)?;
            }
        }
        self.mark_changed(lsn);
        Ok(())
    }

    /// Puts vectors of points into an index that is to replace another, as they stand in that one.
    pub(crate) fn apply_copy(
        &self,
        lsn: Lsn,
        into: VectorId,
        ids: Vec<PointId>,
        plans: &Mutex<Plans>,
    ) -> Result<(), hnsw::Error> {
        let points: Vec<PointVectors> = {
            let state = self.state.read();
            let missing = ids.into_iter().filter_map(|id| {
                let vector = state.missing(into, state.numbers.number(&id)?)?;
                Some(PointVectors {
                    id,
                    vectors: vec![(into, vector.to_vec())],
                    entries: None,
                    faced: false,
                })
            });
            missing.collect()
        };
        self.apply_batches(&points, Others::Stay, plans)?;
        self.mark_changed(lsn);
        Ok(())
    }

    /// What is put into an index that is being replaced goes into its successor too, after it and by
    /// itself: a young graph grows point by point, and the old one need not wait for that.
    fn followers(&self, points: &[PointVectors]) -> Vec<PointVectors> {
        let settings = self.settings();
        let follower = |point: &PointVectors| {
            let rebuilds = settings.vectors.iter().filter_map(|vector| {
                let put = point.vector(vector.rebuilds?)?;
                Some((vector.id, put.to_vec()))
            });
            let vectors: NamedVectors = rebuilds.collect();
            (!vectors.is_empty()).then_some(PointVectors {
                id: point.id,
                vectors,
                entries: None,
                faced: false,
            })
        };
        points.iter().filter_map(follower).collect()
    }

    fn apply_batches(
        &self,
        points: &[PointVectors],
        others: Others,
        plans: &Mutex<Plans>,
    ) -> Result<(), hnsw::Error> {
        let mut rest = points;
        while !rest.is_empty() {
            let (batch, after) = rest.split_at(self.batch_len(rest).min(rest.len()));
            self.apply_batch(batch, others, plans)?;
            rest = after;
        }
        Ok(())
    }

    /// A fraction of what is in the index that has least of all that get something.
    fn batch_len(&self, points: &[PointVectors]) -> usize {
        let state = self.state.read();
        let spaces = state.spaces.iter();
        let growing = spaces.filter(|(of, _)| points.iter().any(|point| point.has(**of)));
        let least = growing.map(|(_, space)| space.index.len()).min();
        least.map_or(INSERT_BATCH, |least| {
            (least / INSERT_BATCH_FRACTION).clamp(1, INSERT_BATCH)
        })
    }

    fn apply_batch(
        &self,
        points: &[PointVectors],
        others: Others,
        plans: &Mutex<Plans>,
    ) -> Result<(), hnsw::Error> {
        let mut places: Vec<Vec<(VectorId, Slot)>> = vec![Vec::new(); points.len()];
        let spaces: Vec<VectorId> = self.state.read().spaces.keys().copied().collect();
        for of in spaces {
            let (mut who, mut what) = (Vec::new(), Vec::new());
            for (at, point) in points.iter().enumerate() {
                if let Some(vector) = point.vector(of) {
                    who.push(at);
                    what.push((level_seed(&point.id), vector));
                }
            }
            for (at, slot) in who.into_iter().zip(self.bring_in(of, &what, plans)?) {
                places[at].push((of, slot));
            }
        }
        for (of, slot) in self.settle(points, &places, others) {
            self.take_out(of, slot)?;
        }
        Ok(())
    }

    /// Takes a hidden vector out of its index.
    fn take_out(&self, of: VectorId, slot: Slot) -> Result<(), hnsw::Error> {
        let mut removal = self.look(of, |index| index.plan_removal(slot))?;
        while !self.change(of, |index| index.carry_out(&mut removal, COMMIT_STEPS))? {}
        Ok(())
    }

    /// Puts vectors into an index where no search finds them yet. Searches are kept out while rows
    /// are copied, never while distances are computed.
    fn bring_in(
        &self,
        of: VectorId,
        vectors: &[(u64, &[f32])],
        plans: &Mutex<Plans>,
    ) -> Result<Vec<Slot>, hnsw::Error> {
        if vectors.is_empty() {
            return Ok(Vec::new());
        }
        self.change(of, Index::centre)?;
        let prepared = self.in_parts(of, vectors.len(), |index, part| {
            let vectors = vectors[part].iter();
            vectors.map(|(_, vector)| index.encode(vector)).collect()
        });
        let prepared: Vec<Prepared> = prepared.into_iter().collect::<Result<_, _>>()?;
        let seeds: Vec<u64> = vectors.iter().map(|(seed, _)| *seed).collect();
        let key = PlanKey::new((self.id, of), self.look(of, Index::history), vectors);
        let mut batch = self.change(of, |index| index.stage(&seeds, &prepared))?;
        self.work_out(&mut batch, &key, plans);
        while !self.change(of, |index| index.commit(&mut batch, COMMIT_STEPS)) {}
        Ok(batch.slots().to_vec())
    }

    /// Takes what was worked out for a batch before, if it was; else works it out. Keeps it for the next
    /// time.
    fn work_out(&self, batch: &mut Batch, key: &PlanKey, plans: &Mutex<Plans>) {
        let of = key.vector;
        let known = plans.lock().find(key);
        let known = known.filter(|known| self.look(of, |index| index.recall(batch, known)));
        if known.is_some() {
            plans.lock().count_used();
        }
        let worked_out = known.or_else(|| {
            let count = batch.slots().len();
            let found = self.in_parts(of, count, |index, part| index.plan(batch, part));
            batch.set_plans(found);
            let lists = self.in_parts(of, batch.lists(), |index, part| index.thin(batch, part));
            batch.set_thinned(lists);
            self.look(of, |index| index.remember(batch))
        });
        let kept = worked_out.map_or(Ok(()), |it| plans.lock().keep(key, &it));
        if let Err(error) = kept {
            tracing::warn!(%error, "a replay would have to work out inserts again");
        }
    }

    /// Gives points their new vectors, each point in one step. Returns the old vectors' places.
    fn settle(
        &self,
        points: &[PointVectors],
        places: &[Vec<(VectorId, Slot)>],
        others: Others,
    ) -> Vec<(VectorId, Slot)> {
        let settle = |(point, places): (&PointVectors, &Vec<_>)| {
            self.state.write().settle(point, places, others)
        };
        points.iter().zip(places).flat_map(settle).collect()
    }

    /// One short change of an index, searches kept out.
    fn change<T>(&self, of: VectorId, change: impl FnOnce(&mut Index) -> T) -> T {
        let mut state = self.state.write();
        let space = state.spaces.get_mut(&of).expect(ONE_WRITER);
        change(&mut space.index)
    }

    /// Has `0..count` worked on, on several threads when that pays. Each result is a pure function
    /// of the index, so threads change nothing but the time.
    fn in_parts<T: Send>(
        &self,
        of: VectorId,
        count: usize,
        work: impl Fn(&Index, Range<usize>) -> Vec<T> + Sync,
    ) -> Vec<T> {
        let threads = if count < PARALLEL_PLANS {
            1
        } else {
            hnsw::threads()
        };
        hnsw::in_parts(threads, count, |part| {
            self.look(of, |index| work(index, part))
        })
    }

    /// Something computed beside searches.
    fn look<T>(&self, of: VectorId, look: impl FnOnce(&Index) -> T) -> T {
        let state = self.state.read();
        look(&state.spaces.get(&of).expect(ONE_WRITER).index)
    }
}

const ONE_WRITER: &str = "only the applier, which is at work here, takes a vector away";

impl PointVectors {
    fn vector(&self, of: VectorId) -> Option<&[f32]> {
        let found = self.vectors.iter().find(|(vector, _)| *vector == of);
        found.map(|(_, vector)| vector.as_slice())
    }

    fn has(&self, of: VectorId) -> bool {
        self.vector(of).is_some()
    }
}

impl State {
    /// Lets no search find a point any more. Returns where its vectors are.
    fn forget(&mut self, id: &PointId) -> Vec<(VectorId, Slot)> {
        let gone = self.vacate(id, |_| true);
        if let Some(number) = self.numbers.forget(id) {
            self.payload.forget(number);
            self.mark_faced(number, false);
        }
        gone
    }

    /// Lets no search find some of a point's vectors any more. Returns where they are.
    fn vacate(&mut self, id: &PointId, which: impl Fn(VectorId) -> bool) -> Vec<(VectorId, Slot)> {
        let Some(number) = self.numbers.number(id) else {
            return Vec::new();
        };
        let mut gone = Vec::new();
        for (of, space) in self.spaces.iter_mut().filter(|(of, _)| which(**of)) {
            if let Some(slot) = space.take(number) {
                space.index.hide(slot);
                gone.push((*of, slot));
            }
        }
        gone
    }

    fn mark_faced(&mut self, number: PointNumber, faced: bool) {
        match faced {
            true => self.faced.insert(number.0),
            false => self.faced.remove(number.0),
        };
    }

    /// Has a point be at these places. Returns the places it was at before.
    fn settle(
        &mut self,
        point: &PointVectors,
        places: &[(VectorId, Slot)],
        others: Others,
    ) -> Vec<(VectorId, Slot)> {
        let number = self.numbers.give(point.id);
        if let Some(entries) = &point.entries {
            self.payload.put(number, entries.clone());
            self.mark_faced(number, point.faced);
        }
        let outdated = self.settings.outdated(|of| point.has(of));
        let mut replaced = Vec::new();
        for (of, space) in &mut self.spaces {
            let new = places.iter().find(|(vector, _)| vector == of);
            let before = match new {
                Some((_, slot)) => {
                    space.index.show(*slot);
                    space.put(number, *slot)
                }
                None if others == Others::Go || outdated.contains(of) => space.take(number),
                None => None,
            };
            if let Some(before) = before {
                space.index.hide(before);
                replaced.push((*of, before));
            }
        }
        replaced
    }
}

/// The graph level of a point is drawn from its id, so that every replay draws the same.
fn level_seed(id: &PointId) -> u64 {
    id.key().chunks(8).fold(0, |hash, piece| {
        let word = piece
            .iter()
            .fold(0u64, |word, byte| word << 8 | u64::from(*byte));
        mix(hash ^ word)
    })
}

/// The finaliser of SplitMix64 (Steele, Lea, Flood 2014).
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
