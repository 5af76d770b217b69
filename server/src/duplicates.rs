//! Faces that are there already: so like one that is kept, or that is on its way in, that both come
//! from the same picture.
//!
//! The faces of a request are *under way* from when its photos have been looked at until searches see
//! them, or it is sure that they will not be kept. A request waits for those of the same pictures that
//! came before it, and never for one that came after, so that nobody waits for each other; of several
//! that come at once each is told what it would be told one after the other. What other nodes have under
//! way is not known here.

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;

use actix_web::web;
use engine::{Ack, CollectionInfo, Point, PointId, Query, Select, Which};
use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::likeness::is_cosine;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::face::Duplicate;
use crate::wire::id::Id;
use crate::wire::photo::{Duplicates, Existing};
use crate::wire::point::UpdateMode;

/// The faces that are under way, by their requests, in the order in which these came.
#[derive(Clone, Default)]
pub(crate) struct Underway(Arc<Mutex<Vec<Coming>>>);

/// Those of one request.
#[derive(Clone)]
struct Coming {
    of: Space,
    faces: Arc<Vec<Comer>>,
    /// Closed once they are kept, or will not be.
    over: watch::Receiver<()>,
}

/// A vector of a collection, and the model that makes it: only what is of the same is compared.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Space {
    collection: u64,
    using: String,
    model: Option<String>,
    /// Whether what is kept is compared by cosines, and so what comes in.
    is_cosine: bool,
}

/// A face that comes in.
pub(crate) struct Comer {
    /// The photo that it is in, counted from 0 over those that have faces; its other faces are no
    /// duplicates of it.
    pub(crate) photo: usize,
    pub(crate) id: PointId,
    /// Of length 1.
    pub(crate) vector: Vec<f32>,
}

/// Those that were under way when others came.
pub(crate) struct Earlier(Vec<Coming>);

/// The faces of a request, under way until this is dropped.
pub(crate) struct Hold {
    all: Underway,
    faces: Arc<Vec<Comer>>,
    /// Dropped after they have been taken out.
    _over: watch::Sender<()>,
}

impl Space {
    pub(crate) fn new(info: &CollectionInfo, using: &str) -> Self {
        let vector = info.spec.vectors.get(using);
        Self {
            collection: info.number,
            using: using.to_owned(),
            model: vector.and_then(|it| Some(it.embedder.as_ref()?.sha256.clone())),
            is_cosine: is_cosine(info, using),
        }
    }
}

impl Underway {
    /// Faces of photos, in the order of these, are on their way from now on.
    pub(crate) fn enter(&self, of: Space, faces: Vec<Comer>) -> (Hold, Earlier) {
        let (faces, (ends, over)) = (Arc::new(faces), watch::channel(()));
        let mut all = self.0.lock();
        let same = |it: &&Coming| of.is_cosine && it.of == of;
        let earlier = all.iter().filter(same).cloned().collect();
        all.push(Coming {
            of,
            faces: Arc::clone(&faces),
            over,
        });
        drop(all);
        let hold = Hold {
            all: self.clone(),
            faces,
            _over: ends,
        };
        (hold, Earlier(earlier))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut all = self.all.0.lock();
        all.retain(|it| !Arc::ptr_eq(&it.faces, &self.faces));
    }
}

/// For each face of a photo another of the same picture, or why the photo is refused.
pub(crate) type Twins = Result<Vec<Option<Duplicate>>, Refusal>;

impl Hold {
    /// What is there already of the faces of each photo. An earlier photo of the request counts if
    /// it is kept.
    pub(crate) async fn twins(
        &self,
        app: &App,
        (info, using): (&CollectionInfo, &str),
        earlier: Earlier,
        duplicates: Duplicates,
    ) -> Result<Vec<Twins>, Refusal> {
        let photos = self.faces.chunk_by(|a, b| a.photo == b.photo);
        if duplicates == Duplicates::Ignore {
            let none = photos.map(|faces| Ok(vec![None; faces.len()]));
            return Ok(none.collect());
        }
        let late = late(self.alike(earlier).await?).await;
        let (mut kept, mut all) = (Vec::new(), Vec::new());
        let mut at = 0;
        for faces in photos {
            let here = at..at + faces.len();
            at = here.end;
            let twins = async {
                if late.contains(&kept.len()) {
                    return Err(Refusal::busy(
                        "a face of the same picture is being written: try again",
                    ));
                }
                let mut twins = self.among_own(here, &kept).await?;
                for (face, twin) in faces.iter().zip(&mut twins) {
                    if twin.is_none() {
                        *twin = kept_already(app, info, using, face).await?;
                    }
                    if let (Some(Duplicate { id, score }), Duplicates::Refuse) = (*twin, duplicates)
                    {
                        return Err(Refusal::conflict(format!(
                            "face {id} is of the same picture (cosine {score:.4})"
                        )));
                    }
                }
                Ok(twins)
            };
            let twins: Twins = twins.await;
            kept.push(twins.is_ok());
            all.push(twins);
        }
        Ok(all)
    }

    /// The photos of the request of which a face is like one of those that came before, and when
    /// that is over.
    async fn alike(&self, Earlier(earlier): Earlier) -> Result<Vec<Alike>, Refusal> {
        if earlier.is_empty() {
            return Ok(Vec::new());
        }
        let faces = Arc::clone(&self.faces);
        apart(move || {
            let of = |face: &Comer| {
                let is_like = |it: &&Coming| best(face, it.faces.iter()).is_some();
                let alike = earlier.iter().filter(is_like);
                let alike = alike.map(|it| (face.photo, it.over.clone()));
                alike.collect::<Vec<_>>()
            };
            faces.iter().flat_map(of).collect()
        })
        .await
    }

    /// What the faces of a photo are like among those of the photos before it that are kept.
    async fn among_own(
        &self,
        here: Range<usize>,
        kept: &[bool],
    ) -> Result<Vec<Option<Duplicate>>, Refusal> {
        if !kept.contains(&true) {
            return Ok(vec![None; here.len()]);
        }
        let (faces, kept) = (Arc::clone(&self.faces), kept.to_owned());
        apart(move || {
            let (before, own) = (&faces[..here.start], &faces[here]);
            let is_kept = |it: &&Comer| kept.get(it.photo) == Some(&true);
            let twin = |face| best(face, before.iter().filter(is_kept));
            own.iter().map(twin).collect()
        })
        .await
    }

    /// Puts the points of faces in. They are under way until searches see them, also where the
    /// answer does not wait for that, or nobody waits for the answer. Gives the ids that were there
    /// and stay.
    pub(crate) async fn put(
        self,
        app: &App,
        collection: String,
        points: Vec<Point>,
        (existing, ack): (Existing, Ack),
    ) -> Result<Vec<PointId>, Refusal> {
        let mode = match existing {
            Existing::Replace => UpdateMode::Upsert,
            Existing::Keep => UpdateMode::InsertOnly,
        };
        let put = app.put_holding(self, collection, points, mode, ack);
        let ((written, known), held) = put.await?;
        if ack == Ack::Durable {
            let (engine, applied) = (app.recovered()?, Arc::clone(&app.applied));
            tokio::spawn(async move {
                let wait = limits::DUPLICATE_WAIT;
                applied.reaches(&engine, written.lsn.0, wait).await;
                drop(held);
            });
        }
        Ok(known.unwrap_or_default())
    }
}

/// A photo, and the end of what a face of it is like.
type Alike = (usize, watch::Receiver<()>);

/// Compares on a thread of its own: there may be many thousands of pairs.
async fn apart<T: Send + 'static>(
    compare: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    let outcome = web::block(compare).await;
    outcome.map_err(|_| Refusal::internal("a thread of the server broke down"))
}

/// The first of those that a face is most like, of those that are of the same picture.
fn best<'a>(face: &Comer, others: impl Iterator<Item = &'a Comer>) -> Option<Duplicate> {
    let duplicates = others.filter_map(|other| duplicate(face, other));
    duplicates.reduce(|best, next| if next.score > best.score { next } else { best })
}

/// What a face is of the same picture as, if it is; under the same id it is no other.
fn duplicate(face: &Comer, other: &Comer) -> Option<Duplicate> {
    if face.id == other.id || face.vector.len() != other.vector.len() {
        return None;
    }
    let score = dot(&face.vector, &other.vector).min(1.0);
    (score >= limits::DUPLICATE_COSINE).then_some(Duplicate {
        id: Id(other.id),
        score,
    })
}

/// In lanes that a compiler makes vectors of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a, a_rest) = a.as_chunks::<16>();
    let (b, b_rest) = b.as_chunks::<16>();
    let mut lanes = [0.0_f32; 16];
    for (a, b) in a.iter().zip(b) {
        for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
            *lane += a * b;
        }
    }
    let rest = a_rest.iter().zip(b_rest).map(|(a, b)| a * b);
    lanes.iter().sum::<f32>() + rest.sum::<f32>()
}

/// Waits until those are over, and gives the photos for which that took too long.
async fn late(alike: Vec<Alike>) -> HashSet<usize> {
    let until = Instant::now() + limits::DUPLICATE_WAIT;
    let mut late = HashSet::new();
    for (photo, mut over) in alike {
        // Nothing is ever sent.
        if timeout_at(until, over.changed()).await.is_err() {
            late.insert(photo);
        }
    }
    late
}

/// What is kept and is nearly the same as a face; its own point does not count.
async fn kept_already(
    app: &App,
    info: &CollectionInfo,
    using: &str,
    face: &Comer,
) -> Result<Option<Duplicate>, Refusal> {
    if !is_cosine(info, using) {
        return Ok(None);
    }
    let query = Query {
        vector: face.vector.clone(),
        using: using.to_owned(),
        limit: 2,
        offset: 0,
        ef: None,
        exact: false,
        score_threshold: Some(limits::DUPLICATE_COSINE),
        filter: None,
        select: Select {
            payload: false,
            vectors: Which::None,
        },
    };
    let hits = app.search(info.name.clone(), query).await?;
    let other = hits.into_iter().find(|hit| hit.point.id != face.id);
    Ok(other.map(|hit| Duplicate {
        id: Id(hit.point.id),
        score: hit.score,
    }))
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn space(model: &str) -> Space {
        Space {
            collection: 1,
            using: String::new(),
            model: Some(model.to_owned()),
            is_cosine: true,
        }
    }

    fn comers(faces: &[(usize, u64, [f32; 2])]) -> Vec<Comer> {
        let comer = |&(photo, id, vector): &(usize, u64, [f32; 2])| Comer {
            photo,
            id: PointId::Num(id),
            vector: vector.to_vec(),
        };
        faces.iter().map(comer).collect()
    }

    const ACROSS: [f32; 2] = [1.0, 0.0];
    const UP: [f32; 2] = [0.0, 1.0];

    #[tokio::test(start_paused = true)]
    async fn a_face_waits_for_the_same_picture_before_it_until_that_is_kept_or_given_up() {
        let all = Underway::default();
        let (first, none) = all.enter(space("a"), comers(&[(0, 1, ACROSS)]));
        assert!(none.0.is_empty());
        let both = [(0, 2, UP), (1, 3, ACROSS)];
        let (second, earlier) = all.enter(space("a"), comers(&both));
        let alike = second.alike(earlier).await.unwrap();
        assert!(late(alike.clone()).now_or_never().is_none());
        let photos: Vec<_> = alike.iter().map(|(photo, _)| *photo).collect();
        assert_eq!(
            photos,
            [1],
            "the other photo is of nothing that came before"
        );
        // The first waits for nobody who came after it.
        drop(first);
        assert!(late(alike).await.is_empty());
        let (third, earlier) = all.enter(space("a"), comers(&[(0, 4, UP)]));
        let alike = third.alike(earlier).await.unwrap();
        assert_eq!(late(alike).await, HashSet::from([0]), "not for ever");
        drop((second, third));
        assert!(all.0.lock().is_empty());
    }

    #[tokio::test]
    async fn only_another_face_of_the_same_collection_and_model_is_waited_for() {
        let all = Underway::default();
        let (_first, _) = all.enter(space("a"), comers(&[(0, 1, ACROSS)]));
        let waits = |model, face| {
            let (hold, earlier) = all.enter(space(model), comers(&[face]));
            async move { hold.alike(earlier).await.unwrap().len() }
        };
        assert_eq!(waits("a", (0, 2, ACROSS)).await, 1);
        assert_eq!(waits("a", (0, 1, ACROSS)).await, 0, "it replaces itself");
        assert_eq!(waits("a", (0, 2, UP)).await, 0);
        assert_eq!(waits("b", (0, 2, ACROSS)).await, 0);
    }

    #[test]
    fn products_are_the_same_over_all_lengths() {
        for length in 0..40_u8 {
            let a: Vec<_> = (0..length).map(f32::from).collect();
            let plain: f32 = a.iter().map(|a| a * 2.0).sum();
            let twos = vec![2.0; a.len()];
            assert!((dot(&a, &twos) - plain).abs() < 1e-3, "{length}");
        }
    }
}
