//! Which models make the vectors of a collection out of photos, and by which of them a photo is
//! looked for. Vectors of two models cannot be compared, so a vector is only ever given what its own
//! model makes, by name and checksum.

use std::collections::BTreeSet;
use std::sync::Arc;

use actix_web::http::StatusCode;
use actix_web::web::Bytes;
use embedder::{Want, overlap};
use engine::{CollectionInfo, Engine, NewFace};

use crate::app::App;
use crate::decoding::decoded;
use crate::embed_pool::{Pool, Seen};
use crate::reembedding::{Move, State};
use crate::refusal::Refusal;

/// How much the boxes of a face as two models see it have in common at least.
const SAME_FACE: f32 = 0.5;

/// A model, and the vectors of a collection that it makes.
pub(crate) struct Maker {
    pub(crate) pool: Arc<Pool>,
    pub(crate) vectors: Vec<String>,
}

/// A face that was found, as a point keeps it.
pub(crate) fn kept(face: embedder::Face, photo: Option<Vec<u8>>) -> NewFace {
    NewFace {
        face: engine::Face {
            bounding_box: face.bounding_box,
            landmarks: face.landmarks,
            confidence: face.confidence,
        },
        crop_jpeg: Some(face.crop_jpeg).filter(|crop| !crop.is_empty()),
        photo,
    }
}

/// The models that make the vectors of photos that come into a collection, or the one called `using`. The one
/// by which photos are looked for comes first. All must be there: a photo that lacks a vector is not found by
/// it, and nobody would see that. Only one to which the collection is being moved may be away, because the
/// move makes what is missing.
pub(crate) fn makers(
    app: &App,
    info: &CollectionInfo,
    using: Option<&str>,
) -> Result<Vec<Maker>, Refusal> {
    let Found { makers, missing } = found(app, info, using)?;
    let moves_to = Move::of(info).filter(|it| it.state != State::Kept);
    let moves_to = moves_to.map(|it| it.to);
    let is_needed = |(name, refusal): &(&String, Refusal)| {
        makers.is_empty() || refusal.is_busy() || moves_to.as_ref() != Some(*name)
    };
    let Some((name, refusal)) = missing.into_iter().find(is_needed) else {
        return Ok(makers);
    };
    let refusal = refusal.at(&format!("collection `{}`", info.name));
    Err(match makers.is_empty() || refusal.is_busy() {
        true => refusal,
        false => refusal.and(&format!(
            "Its photos get the vector `{name}` too: have that model here, remove the vector (`DELETE \
             /collections/{}/vectors/{name}`) and move the collection again, or say with `using` which vector \
             the photos get",
            info.name
        )),
    })
}

/// Whether there is a model at all that looks at photos for a collection; which, is asked once the request is
/// read.
pub(crate) fn expect_maker(app: &App, info: &CollectionInfo) -> Result<(), Refusal> {
    let Found { makers, missing } = found(app, info, None)?;
    let is_needed = |(_, refusal): &(_, Refusal)| makers.is_empty() || refusal.is_busy();
    match missing.into_iter().find(is_needed) {
        Some((_, refusal)) => Err(refusal.at(&format!("collection `{}`", info.name))),
        None => Ok(()),
    }
}

/// Why models that make vectors of a collection do not run here, by the names of these; one that may come by
/// itself is not told.
pub(crate) fn without_model(app: &App, info: &CollectionInfo) -> Vec<(String, Refusal)> {
    let missing = found(app, info, None).map(|found| found.missing);
    let missing = missing.unwrap_or_default().into_iter();
    let missing = missing.filter(|(_, refusal)| !refusal.is_busy());
    missing
        .map(|(name, refusal)| (name.clone(), refusal))
        .collect()
}

/// Tells the log of all vectors that photos cannot get.
pub(crate) fn tell_missing(app: &App, engine: &Engine) {
    for info in engine.collections() {
        for (vector, why) in without_model(app, &info) {
            let collection = &info.name;
            tracing::warn!(collection, vector, %why, "photos are not taken for a vector");
        }
    }
}

/// The models of a collection that are there. One that is not is left out, unless it is about
/// to come, or all searches go by its vectors because the collection is being moved from it.
fn some_of(app: &App, info: &CollectionInfo, using: Option<&str>) -> Result<Vec<Maker>, Refusal> {
    let Found { makers, missing } = found(app, info, using)?;
    let moved_from = Move::of(info).filter(|it| it.state != State::Kept);
    let moved_from = moved_from.map(|it| it.from);
    let is_needed = |(name, refusal): &(&String, Refusal)| {
        makers.is_empty() || refusal.is_busy() || moved_from.as_ref() == Some(*name)
    };
    match missing.into_iter().find(is_needed) {
        Some((_, refusal)) => Err(refusal.at(&format!("collection `{}`", info.name))),
        None => Ok(makers),
    }
}

/// The models of a collection.
struct Found<'a> {
    /// Of those there is one at least, or one that is missing.
    makers: Vec<Maker>,
    /// Vectors whose model is not there, and why.
    missing: Vec<(&'a String, Refusal)>,
}

fn found<'a>(
    app: &App,
    info: &'a CollectionInfo,
    using: Option<&str>,
) -> Result<Found<'a>, Refusal> {
    let vectors = &info.spec.vectors;
    if let Some(name) = using.filter(|name| !vectors.contains_key(*name)) {
        let name: String = name.chars().take(80).collect();
        return Err(Refusal::wrong(format!(
            "collection `{}` has no vector `{name}` for `using`",
            info.name
        )));
    }
    let named = vectors
        .iter()
        .filter(|(name, _)| using.is_none_or(|using| using == *name));
    let (mut makers, mut missing): (Vec<Maker>, Vec<_>) = (Vec::new(), Vec::new());
    for (name, vector) in named {
        let Some(embedder) = &vector.embedder else {
            continue;
        };
        let pool = match app.faces.maker(embedder) {
            Ok(pool) => pool,
            Err(refusal) => {
                missing.push((name, refusal));
                continue;
            }
        };
        let same = makers.iter_mut().find(|it| Arc::ptr_eq(&it.pool, &pool));
        match same {
            Some(maker) => maker.vectors.push(name.clone()),
            None => makers.push(Maker {
                pool,
                vectors: vec![name.clone()],
            }),
        }
    }
    if makers.is_empty() && missing.is_empty() {
        let name = &info.name;
        return Err(Refusal::conflict(match using {
            Some(using) => format!("no model makes the vectors `{using}` of collection `{name}`"),
            None => format!(
                "collection `{name}` takes vectors, not photos: it was made without an `embedder`"
            ),
        }));
    }
    let first = searched_by(info);
    let is_first = |maker: &Maker| {
        maker
            .vectors
            .iter()
            .any(|name| Some(name) == first.as_ref())
    };
    makers.sort_by_key(|maker| !is_first(maker));
    Ok(Found { makers, missing })
}

/// The vector that photos are looked for by where the request does not say: the old one while a
/// collection moves to another model, else that without a name.
pub(crate) fn searched_by(info: &CollectionInfo) -> Option<String> {
    let moving = Move::of(info).map(|it| it.from);
    let unnamed = info.spec.vectors.contains_key("").then(String::new);
    moving.or(unnamed)
}

/// The one vector that a photo is looked for by, and who makes it.
pub(crate) fn searcher(
    app: &App,
    info: &CollectionInfo,
    using: Option<&str>,
) -> Result<(Arc<Pool>, String), Refusal> {
    let makers = some_of(app, info, using)?;
    let all = makers.iter();
    let all = all.flat_map(|maker| maker.vectors.iter().map(move |name| (&maker.pool, name)));
    let all: Vec<_> = all.collect();
    let first = searched_by(info);
    let chosen = match all.as_slice() {
        [only] => Some(only),
        several => several
            .iter()
            .find(|(_, name)| Some(*name) == first.as_ref()),
    };
    if let Some((pool, name)) = chosen {
        return Ok((Arc::clone(pool), (*name).clone()));
    }
    let names: BTreeSet<&str> = all.iter().map(|(_, name)| name.as_str()).collect();
    let names: Vec<&str> = names.into_iter().collect();
    Err(Refusal::wrong(format!(
        "say by which vector with `using`: `{}`",
        names.join("`, `")
    )))
}

/// What models make of photos: of each photo what the first sees, and the vectors of its faces.
pub(crate) type Looked = Vec<Result<(Seen, Vec<engine::Vectors>), Refusal>>;

/// Has the models look at photos one after the other; a face that a later one does not find has no
/// vector of its.
pub(crate) async fn look(
    makers: &[Maker],
    images: Vec<Bytes>,
    want: Want,
) -> Result<Looked, Refusal> {
    let Some((first, others)) = makers.split_first() else {
        return Err(Refusal::internal("no model makes the vectors"));
    };
    let outcomes = first.pool.analyze_all(images.clone(), want).await?;
    let mut looked: Looked = outcomes
        .into_iter()
        .map(|outcome| {
            let seen = outcome?;
            let faces = seen.analysis.faces.iter();
            let vectors = faces.map(|face| named(&first.vectors, &face.vector));
            let vectors = vectors.map(|vectors| vectors.into_iter().collect());
            let vectors = vectors.collect();
            Ok((seen, vectors))
        })
        .collect();
    for maker in others {
        let want = Want {
            crop: false,
            ..want
        };
        let outcomes = maker.pool.analyze_all(images.clone(), want).await?;
        for (looked, outcome) in looked.iter_mut().zip(outcomes) {
            match (looked.as_mut(), outcome) {
                (Ok((seen, vectors)), Ok(other)) => add(seen, vectors, &other, &maker.vectors),
                (Ok(_), Err(refusal)) => *looked = Err(refusal),
                (Err(_), _) => {}
            }
        }
    }
    Ok(looked)
}

fn named(names: &[String], vector: &[f32]) -> Vec<(String, Vec<f32>)> {
    let names = names.iter();
    names.map(|name| (name.clone(), vector.to_vec())).collect()
}

/// Gives each face the vectors of the face that lies where it does.
fn add(seen: &Seen, vectors: &mut [engine::Vectors], other: &Seen, names: &[String]) {
    for (face, vectors) in seen.analysis.faces.iter().zip(vectors) {
        let same = other
            .analysis
            .faces
            .iter()
            .map(|it| (overlap(it.bounding_box, face.bounding_box), it))
            .filter(|(overlap, _)| *overlap >= SAME_FACE)
            .max_by(|(a, _), (b, _)| a.total_cmp(b));
        let Some((_, same)) = same else { continue };
        let known = std::mem::take(vectors).into_iter();
        *vectors = known.chain(named(names, &same.vector)).collect();
    }
}

/// What is said of a photo whose vector is no more, because the collection was moved to another model
/// while the photo was looked at: nothing is wrong with it.
pub(crate) async fn moved(app: &App, info: &CollectionInfo, refusal: Refusal) -> Refusal {
    if refusal.status() != StatusCode::BAD_REQUEST {
        return refusal;
    }
    match app.describe(&info.name).await {
        Ok(now)
            if info
                .spec
                .vectors
                .keys()
                .any(|it| !now.spec.vectors.contains_key(it)) =>
        {
            Refusal::busy(
                "the collection was moved to another model while the photo was looked at: send it \
                 again",
            )
        }
        _ => refusal,
    }
}

/// The photo as it is kept: without what else its file says.
pub(crate) async fn clean(app: &App, photo: Bytes) -> Result<Vec<u8>, Refusal> {
    // What cannot be cut out of its file is decoded and written anew.
    decoded(&app.memory, photo, |photo| {
        embedder::without_metadata(photo)
    })
    .await
}
