//! The new vectors, page by page of the collection: from the old vector where the new model is a head
//! on the old one, else from the photo where it is kept, else from the
//! crop. A face that is in neither is told, and keeps what it has.

use std::collections::{BTreeMap, HashSet};
use std::thread;
use std::time::{Duration, Instant};

use embedder::{Analysis, Choice, Mapper, Want, overlap};
use engine::{
    Ack, CollectionInfo, Engine, FaceImage, PointId, Refill, Remade, Retired, Select, StoredPoint,
    Which,
};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use super::{Move, Picture, is_there};
use crate::embed_pool::{Pool, Seen};
use crate::jobs::{Halt, Job};
use crate::limits;
use crate::memory::Promise;
use crate::refusal::Refusal;
use crate::wire::id::Id;

/// Points that are read at once.
const PAGE: usize = 256;
/// Pictures that are looked at together: few, so that clients' photos find room beside them.
const PICTURES: usize = 8;
/// How long a pool that is full with clients' photos is left alone.
const PATIENCE: Duration = Duration::from_millis(50);
/// How much the box of a face that is found has in common at least with the one that is kept.
const SAME_FACE: f32 = 0.5;
/// How often the collection is gone through for what has come in meanwhile.
const PASSES: usize = 100;
/// How often it is noted what was done: so much of it a kill may leave untold.
const NOTED_EVERY: Duration = Duration::from_secs(1);
/// What is noted.
const COUNTED: [&str; 3] = ["of_vectors", "of_photos", "of_crops"];

/// Why a face has no new vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Missing {
    /// Neither photo nor crop is kept.
    NoPicture,
    /// The models do not find it in what is kept.
    NotFound,
}

impl Missing {
    fn word(self) -> &'static str {
        match self {
            Self::NoPicture => "no_picture",
            Self::NotFound => "not_found",
        }
    }
}

/// What came of it.
#[derive(Debug)]
pub(super) struct Filled {
    pub(super) of_vectors: u64,
    pub(super) of_photos: u64,
    pub(super) of_crops: u64,
    missing: Vec<(PointId, Missing)>,
}

impl Filled {
    /// What the job had counted before the server was started again.
    fn before(counts: &BTreeMap<String, u64>) -> Self {
        let count = |name: &str| counts.get(name).copied().unwrap_or_default();
        let [of_vectors, of_photos, of_crops] = COUNTED.map(count);
        Self {
            of_vectors,
            of_photos,
            of_crops,
            missing: Vec::new(),
        }
    }

    fn counts(&self) -> BTreeMap<String, u64> {
        let counts = [self.of_vectors, self.of_photos, self.of_crops];
        let named = COUNTED.map(str::to_owned).into_iter().zip(counts);
        named.collect()
    }

    /// Vectors that were made.
    pub(super) fn embedded(&self) -> u64 {
        self.of_vectors + self.of_photos + self.of_crops
    }

    /// Who has none, and why.
    pub(super) fn missing_told(&self) -> Value {
        let count = |why| self.missing.iter().filter(|(_, it)| *it == why).count();
        let first = self.missing.iter().take(limits::MISSING_TOLD);
        let first = first.map(|(id, why)| json!({"id": Id(*id), "why": why.word()}));
        json!({
            "no_picture": count(Missing::NoPicture),
            "not_found": count(Missing::NotFound),
            "first": first.collect::<Vec<_>>(),
        })
    }
}

/// The work, as far as it has come.
pub(super) struct Work<'a> {
    engine: &'a Engine,
    pool: &'a Pool,
    /// Makes new vectors of the old ones, where the new model is a head on theirs.
    mapper: Option<Mapper>,
    /// With both vectors.
    info: &'a CollectionInfo,
    collection: &'a str,
    wanted: &'a Move,
    job: &'a Job,
    /// For the vectors that are still to come.
    room: &'a Promise,
    room_bytes: u64,
    runtime: Runtime,
    filled: Filled,
    /// When that was noted last.
    noted: Instant,
    /// Those that cannot have a new vector: they are looked at once.
    given_up: HashSet<PointId>,
}

impl<'a> Work<'a> {
    /// Nothing is done yet.
    pub(super) fn new(
        engine: &'a Engine,
        (pool, mapper): (&'a Pool, Option<Mapper>),
        (info, wanted): (&'a CollectionInfo, &'a Move),
        (job, room): (&'a Job, &'a Promise),
    ) -> Result<Self, Halt> {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let runtime = runtime.map_err(|error| Halt::Failed(error.to_string()))?;
        Ok(Self {
            engine,
            pool,
            mapper,
            info,
            collection: &info.name,
            wanted,
            job,
            room,
            room_bytes: room.bytes(),
            runtime,
            filled: Filled::before(&job.counts()),
            noted: Instant::now(),
            given_up: HashSet::new(),
        })
    }

    /// What has come of it.
    pub(super) fn filled(self) -> Filled {
        self.filled
    }

    /// Gives every point that has the old vector and not the new one a new one, those that come in
    /// meanwhile too, and then has it ended, which is told who had to be given up. Where more points turn out
    /// to lack it, they have come or changed in between, and it is all done again.
    pub(super) fn fill_and(
        &mut self,
        end: impl Fn(&HashSet<PointId>) -> Result<Retired, Halt>,
    ) -> Result<Retired, Halt> {
        let ended = self.fill_until(end);
        // One that a stop has ended goes on from there.
        self.job.counted(self.filled.counts());
        ended
    }

    fn fill_until(
        &mut self,
        end: impl Fn(&HashSet<PointId>) -> Result<Retired, Halt>,
    ) -> Result<Retired, Halt> {
        let mut tries = 0..PASSES;
        loop {
            self.fill()?;
            let ended = end(&self.given_up)?;
            if ended.lacking <= self.given_up.len() || tries.next().is_none() {
                return Ok(ended);
            }
        }
    }

    fn fill(&mut self) -> Result<(), Halt> {
        for _ in 0..PASSES {
            if self.pass()? == 0 {
                break;
            }
        }
        Ok(())
    }

    /// Goes through the collection once; says how many vectors it has made.
    fn pass(&mut self) -> Result<u64, Halt> {
        let before = self.filled.embedded();
        let (mut from, mut done) = (None, 0);
        loop {
            let select = Select {
                payload: false,
                vectors: Which::Named(vec![self.wanted.from.clone(), self.wanted.to.clone()]),
            };
            let page = self.engine.scroll(self.collection, from, PAGE, select)?;
            let wanting: Vec<_> = page.points.iter().filter(|it| self.wants(it)).collect();
            done += page.points.len() - wanting.len();
            let (mapped, wanting): (Vec<_>, Vec<_>) =
                wanting.into_iter().partition(|it| self.is_mapped(it));
            self.map_all(&mapped)?;
            done += mapped.len();
            for some in wanting.chunks(PICTURES) {
                self.report(done)?;
                self.fill_some(some)?;
                done += some.len();
            }
            self.report(done)?;
            from = page.next;
            if from.is_none() {
                return Ok(self.filled.embedded() - before);
            }
        }
    }

    fn report(&mut self, done: usize) -> Result<(), Halt> {
        is_there(self.engine, self.info)?;
        if self.noted.elapsed() >= NOTED_EVERY {
            self.job.counted(self.filled.counts());
            self.noted = Instant::now();
        }
        let all = self.engine.count(self.collection)?;
        let (done, all) = (done.min(all) as u64, all as u64);
        self.room.keep_part(self.room_bytes, all - done, all);
        self.job.step(done, all)
    }

    fn wants(&self, point: &StoredPoint) -> bool {
        let has = |name: &str| {
            let vectors = point.vectors.as_ref();
            vectors.is_some_and(|vectors| vectors.get(name).is_some())
        };
        let comes_into_question = point.face.is_some() || has(&self.wanted.from);
        comes_into_question && !has(&self.wanted.to) && !self.given_up.contains(&point.id)
    }

    /// Whether its new vector is made of the old one.
    fn is_mapped(&self, point: &StoredPoint) -> bool {
        let vectors = point.vectors.as_ref();
        let old = vectors.and_then(|vectors| vectors.get(&self.wanted.from));
        self.mapper.is_some() && old.is_some()
    }

    fn map_all(&mut self, points: &[&StoredPoint]) -> Result<(), Halt> {
        let Some(mapper) = self.mapper.as_ref().filter(|_| !points.is_empty()) else {
            return Ok(());
        };
        let from = &self.wanted.from;
        let old = points.iter().filter_map(|point| {
            let vector = point.vectors.as_ref()?.get(from)?;
            Some((point.id, vector.to_vec()))
        });
        let (ids, old): (Vec<_>, Vec<_>) = old.unzip();
        let made = mapper.map(&old);
        let made = made.map_err(|error| Halt::Failed(error.to_string()))?;
        let remade = ids.into_iter().zip(old).zip(made);
        let remade: Vec<Remade> = remade
            .map(|((id, of), vector)| Remade { id, of, vector })
            .collect();
        self.filled.of_vectors += self.patiently(|engine, (info, wanted)| {
            let names = (wanted.from.as_str(), wanted.to.as_str());
            engine.fill_from_vector(info, names, remade.clone(), Ack::Applied)
        })?;
        Ok(())
    }

    fn fill_some(&mut self, points: &[&StoredPoint]) -> Result<(), Halt> {
        let (mut photos, mut crops) = (Vec::new(), Vec::new());
        for point in points {
            match self.picture(point, FaceImage::Photo)? {
                Some(photo) => photos.push(photo),
                None => crops.extend(self.crop_or_give_up(point, Missing::NoPicture)?),
            }
        }
        let (refills, unseen) = self.look(photos, Choice::All, of_place)?;
        self.filled.of_photos += self.write(refills)?;
        let unseen: Vec<_> = points.iter().filter(|it| unseen.contains(&it.id)).collect();
        for point in unseen {
            crops.extend(self.crop_or_give_up(point, Missing::NotFound)?);
        }
        let (refills, unseen) = self.look(crops, Choice::Largest, of_crop)?;
        self.filled.of_crops += self.write(refills)?;
        for id in unseen {
            self.give_up(id, Missing::NotFound);
        }
        Ok(())
    }

    fn crop_or_give_up(
        &mut self,
        point: &StoredPoint,
        why: Missing,
    ) -> Result<Option<Picture>, Halt> {
        let crop = self.picture(point, FaceImage::Crop)?;
        if crop.is_none() {
            self.give_up(point.id, why);
        }
        Ok(crop)
    }

    fn give_up(&mut self, id: PointId, why: Missing) {
        self.given_up.insert(id);
        self.filled.missing.push((id, why));
    }

    fn picture(&self, point: &StoredPoint, kind: FaceImage) -> Result<Option<Picture>, Halt> {
        let Some(kept) = &point.face else {
            return Ok(None);
        };
        let has = match kind {
            FaceImage::Photo => kept.has_photo,
            FaceImage::Crop => kept.has_crop,
        };
        if !has {
            return Ok(None);
        }
        // Before the picture: one that is put meanwhile is of another record then.
        let put = self.engine.put_by(self.collection, &point.id)?;
        let bytes = self.engine.face_image(self.collection, &point.id, kind)?;
        Ok(put.zip(bytes).map(|(put, bytes)| Picture {
            id: point.id,
            face: kept.face.clone(),
            put,
            bytes: bytes.into(),
        }))
    }

    /// The vectors of those that are found in their pictures, and the ids of the others.
    fn look(
        &self,
        pictures: Vec<Picture>,
        faces: Choice,
        find: fn(&Picture, &Analysis) -> Option<Vec<f32>>,
    ) -> Result<(Vec<Refill>, HashSet<PointId>), Halt> {
        let want = Want {
            faces,
            vectors: true,
            crop: false,
            smallest: 0,
        };
        let (mut refills, mut unseen) = (Vec::new(), HashSet::new());
        let mut waiting = pictures;
        while !waiting.is_empty() {
            self.job.go_on()?;
            let images = waiting
                .iter()
                .map(|picture| picture.bytes.clone())
                .collect();
            let outcomes = self.runtime.block_on(self.pool.analyze_all(images, want));
            let outcomes: Vec<Result<Seen, Refusal>> = match outcomes {
                Ok(outcomes) => outcomes,
                Err(refusal) if refusal.is_busy() => {
                    thread::sleep(PATIENCE);
                    continue;
                }
                Err(refusal) => return Err(Halt::Failed(refusal.to_string())),
            };
            let mut again = Vec::new();
            for (picture, outcome) in waiting.into_iter().zip(outcomes) {
                let vector = match outcome {
                    Ok(seen) => find(&picture, &seen.analysis),
                    Err(refusal) if refusal.is_busy() => {
                        again.push(picture);
                        continue;
                    }
                    Err(refusal) if is_of_picture(&refusal) => {
                        tracing::warn!(id = %picture.id, %refusal, "a kept picture has no face");
                        None
                    }
                    // Of no picture's making: it could be any of them, and the next.
                    Err(refusal) => return Err(Halt::Failed(refusal.to_string())),
                };
                let Picture { id, face, put, .. } = picture;
                match vector {
                    Some(vector) => refills.push(Refill {
                        id,
                        face,
                        put,
                        vector,
                    }),
                    None => drop(unseen.insert(id)),
                }
            }
            waiting = again;
            if !waiting.is_empty() {
                thread::sleep(PATIENCE);
            }
        }
        Ok((refills, unseen))
    }

    fn write(&self, refills: Vec<Refill>) -> Result<u64, Halt> {
        if refills.is_empty() {
            return Ok(0);
        }
        self.patiently(|engine, (info, wanted)| {
            engine.fill_vector(info, &wanted.to, refills.clone(), Ack::Applied)
        })
    }

    /// Again and again while the engine is busy, unless the job is to stop.
    fn patiently(
        &self,
        write: impl Fn(&Engine, (&CollectionInfo, &Move)) -> Result<usize, engine::Error>,
    ) -> Result<u64, Halt> {
        loop {
            is_there(self.engine, self.info)?;
            match write(self.engine, (self.info, self.wanted)) {
                Err(engine::Error::Busy(_)) => {
                    self.job.go_on()?;
                    thread::sleep(PATIENCE);
                }
                outcome => return Ok(outcome? as u64),
            }
        }
    }
}

/// In a photo the face lies where it was found before.
fn of_place(picture: &Picture, seen: &Analysis) -> Option<Vec<f32>> {
    let faces = seen.faces.iter();
    let near = faces.map(|it| (overlap(it.bounding_box, picture.face.bounding_box), it));
    let near = near.filter(|(overlap, _)| *overlap >= SAME_FACE);
    let best = near.max_by(|(a, _), (b, _)| a.total_cmp(b));
    best.map(|(_, face)| face.vector.clone())
}

/// A crop was made of one face, which fills the most of it.
fn of_crop(_: &Picture, seen: &Analysis) -> Option<Vec<f32>> {
    seen.faces.first().map(|face| face.vector.clone())
}

/// Whether nothing can be made of a picture, whoever tries.
fn is_of_picture(refusal: &Refusal) -> bool {
    matches!(refusal.status().as_u16(), 415 | 422)
}
