//! Faces: photos in, look-alikes out, and what is kept of them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use embedder::Want;
use engine::{
    Ack, Chosen, CollectionInfo, NewFace, Point, PointId, Query, ScoredPoint, Select, Which,
};
use serde_json::{Value, json};

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::embed_pool::{Pool, Seen};
use crate::http::{self, Either};
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::delete::{DeleteFaces, Deleted, PersonParams};
use crate::wire::envelope::Answer;
use crate::wire::face::{
    Added, AddedFace, Found, FoundFace, Hit, ImageError, KeptFace, KeptFaces, Place, Timings,
    person_of,
};
use crate::wire::id::Id;
use crate::wire::params::{ListParams, ReadParams, WriteParams};
use crate::wire::photo::{
    AddBody, AddForm, AddPhotos, Photo, RawPhoto, SearchBody, SearchForm, SearchPhoto,
};
use crate::wire::point::Updated;
use crate::wire::sieve::Sieve;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// The statuses of photos that no faces come from.
const PHOTO: &[u16] = &[409, 422, 501];

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ALL: &str = "/collections/{collection}/faces";
    const ONE: &str = "/collections/{collection}/faces/{id}";
    let place = json!({"box": [10, 12, 80, 96], "landmarks": [[30, 50]], "confidence": 0.99});
    vec![
        Operation::post(ALL, "addFaces", || web::to(add))
            .about("Keeps the faces of photos, each as a point with its vector.")
            .params::<WriteParams>()
            .takes::<AddBody>(json!({"image": "/9j/4AAQSkZJRg==", "person": "Ada"}))
            .takes_form::<AddForm>("multipart/form-data")
            .takes_form::<RawPhoto>("image/jpeg")
            .answers::<Added>(json!({"faces": [place], "errors": []}))
            .refuses(PHOTO),
        Operation::post(
            "/collections/{collection}/faces/search",
            "searchFaces",
            || web::to(search),
        )
        .about("The look-alikes of each face of a photo, best first.")
        .params::<ReadParams>()
        .takes::<SearchBody>(json!({"image": "/9j/4AAQSkZJRg==", "limit": 5}))
        .takes_form::<SearchForm>("multipart/form-data")
        .takes_form::<RawPhoto>("image/jpeg")
        .answers::<Found>(json!({"faces": [], "width": 250, "height": 250}))
        .refuses(PHOTO),
        Operation::get(ALL, "listFaces", || web::to(list))
            .about("The faces that are kept, in the order of their ids, page by page.")
            .params::<ListParams>()
            .answers::<KeptFaces>(json!({
                "faces": [{"id": 1, "person": "Ada", "payload": {}}], "next_page_offset": 2,
            })),
        Operation::get(ONE, "getFace", || web::to(get))
            .about("A face that is kept.")
            .params::<ReadParams>()
            .answers::<KeptFace>(json!({"id": 1, "person": "Ada", "payload": {"person": "Ada"}})),
        Operation::delete(ONE, "deleteFace", || web::to(delete))
            .about("Takes a face out, with its pictures.")
            .params::<WriteParams>()
            .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::delete(ALL, "deletePerson", || web::to(delete_person))
            .about("Takes out all faces of a person.")
            .params::<PersonParams>()
            .answers::<Value>(json!({"deleted": 3})),
        Operation::post(
            "/collections/{collection}/faces/delete",
            "deleteFaces",
            || web::to(delete_chosen),
        )
        .about("Takes out faces by ids or by a filter.")
        .params::<WriteParams>()
        .takes::<Value>(json!({"ids": [1, 2]}))
        .answers::<Value>(json!({"deleted": 2})),
    ]
}

const ALL: Select = Select {
    payload: true,
    vectors: Which::None,
};

async fn add(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Added> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let info = app.describe(&name).await?;
    let pool = pool_for(&app, &info)?;
    let most = app.max_body_bytes();
    let body = http::multipart_or_json::<AddBody>(request.headers(), payload, most).await?;
    let add = match body {
        Either::Json(body) => AddPhotos::try_from(body)?,
        Either::Form(form) => AddPhotos::try_from(form)?,
    };
    let using = made_by(&pool, &info, add.using.as_deref())?;
    let want = Want {
        faces: add.faces,
        vectors: true,
        crop: add.keep_crop,
    };
    let images = add.photos.iter().map(|photo| photo.bytes.clone()).collect();
    let outcomes = pool.analyze_all(images, want).await?;
    let single = outcomes.len() == 1;
    let mut gathered = Gathered::default();
    for (index, (photo, outcome)) in add.photos.into_iter().zip(outcomes).enumerate() {
        match outcome.and_then(|seen| with_faces(seen, &add.sieve)) {
            Ok(seen) => gathered.take(index, photo, seen, (&using, add.keep_photo)),
            Err(refusal) if single => return Err(refusal),
            Err(refusal) => gathered.refuse(index, photo, &refusal),
        }
    }
    if !gathered.points.is_empty() {
        app.upsert(name, gathered.points, params.ack()).await?;
    }
    Ok(Answer(gathered.added))
}

/// What one request's photos come to.
#[derive(Default)]
struct Gathered {
    points: Vec<Point>,
    added: Added,
}

impl Gathered {
    fn take(
        &mut self,
        image_index: usize,
        photo: Photo,
        seen: Seen,
        (using, keep_photo): (&[String], bool),
    ) {
        for face in seen.analysis.faces {
            let id = photo.id.unwrap_or_else(Id::random);
            self.added.faces.push(AddedFace {
                place: Place::from(&face),
                id,
                image_index,
            });
            self.points.push(Point {
                id: id.0,
                vectors: using
                    .iter()
                    .map(|name| (name.clone(), face.vector.clone()))
                    .collect(),
                payload: photo.payload.clone(),
                face: Some(NewFace {
                    face: engine::Face {
                        bounding_box: face.bounding_box,
                        landmarks: face.landmarks,
                        confidence: face.confidence,
                    },
                    crop_jpeg: Some(face.crop_jpeg).filter(|crop| !crop.is_empty()),
                    photo: keep_photo.then(|| photo.bytes.to_vec()),
                }),
            });
        }
    }

    fn refuse(&mut self, image_index: usize, photo: Photo, refusal: &Refusal) {
        self.added.errors.push(ImageError {
            image_index,
            name: photo.name,
            status: refusal.status().as_u16(),
            error: refusal.message().to_owned(),
        });
    }
}

/// The pool, if this collection has vectors that its model makes.
fn pool_for(app: &App, info: &CollectionInfo) -> Result<Arc<Pool>, Refusal> {
    let mut vectors = info.spec.vectors.values();
    if vectors.all(|vector| vector.embedder.is_none()) {
        return Err(Refusal::conflict(format!(
            "collection `{}` takes vectors, not photos: it was made without an `embedder`",
            info.name
        )));
    }
    let pool = app.faces.pool()?;
    made_by(&pool, info, None)?;
    Ok(pool)
}

/// The names of the collection's vectors that the pool's model makes: `using`, or all of them.
fn made_by(
    pool: &Pool,
    info: &CollectionInfo,
    using: Option<&str>,
) -> Result<Vec<String>, Refusal> {
    let vectors = &info.spec.vectors;
    let unknown = using.filter(|name| !vectors.contains_key(*name));
    if let Some(name) = unknown {
        let name: String = name.chars().take(80).collect();
        return Err(Refusal::wrong(format!(
            "collection `{}` has no vector `{name}` for `using`",
            info.name
        )));
    }
    let model = pool.model();
    let named = vectors
        .iter()
        .filter(|(name, _)| using.is_none_or(|using| using == *name));
    let (mut made, mut others) = (Vec::new(), Vec::new());
    for (name, vector) in named {
        match &vector.embedder {
            Some(of) if (&of.name, &of.sha256) == (&model.name, &model.sha256) => {
                made.push(name.clone());
            }
            Some(of) => others.push(format!("{} ({})", of.name, of.sha256)),
            None => others.push("no model".to_owned()),
        }
    }
    if made.is_empty() {
        return Err(Refusal::conflict(format!(
            "collection `{}` holds vectors of {}, but this server has the model {} ({}); vectors \
             of two models cannot be compared",
            info.name,
            others.join(", "),
            model.name,
            model.sha256
        )));
    }
    Ok(made)
}

/// A photo is looked for by one of the vectors; by that without a name, where there is one.
fn only_one(names: Vec<String>) -> Result<String, Refusal> {
    match names.as_slice() {
        [only] => Ok(only.clone()),
        names if names.iter().any(String::is_empty) => Ok(String::new()),
        names => Err(Refusal::wrong(format!(
            "say by which vector with `using`: `{}`",
            names.join("`, `")
        ))),
    }
}

fn with_faces(mut seen: Seen, sieve: &Sieve) -> Result<Seen, Refusal> {
    let found = seen.analysis.faces.len();
    seen.analysis.faces.retain(|face| sieve.keeps(face));
    if found > 0 && seen.analysis.faces.is_empty() {
        return Err(Refusal::photo(
            "no face in the photo reaches `min_face_size` and `min_confidence`",
        ));
    }
    if seen.analysis.faces.is_empty() {
        return Err(Refusal::photo("no face found in the photo"));
    }
    Ok(seen)
}

async fn search(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Found> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let info = app.describe(&name).await?;
    let pool = pool_for(&app, &info)?;
    let most = app.max_body_bytes();
    let body = http::multipart_or_json::<SearchBody>(request.headers(), payload, most).await?;
    let search = match body {
        Either::Json(body) => SearchPhoto::try_from(body)?,
        Either::Form(form) => SearchPhoto::try_from(form)?,
    };
    let using = only_one(made_by(&pool, &info, search.using.as_deref())?)?;
    let want = Want {
        faces: search.faces,
        vectors: true,
        crop: false,
    };
    let seen = pool.analyze(search.bytes.clone(), want).await?;
    let Seen { analysis, queued } = with_faces(seen, &search.sieve)?;
    let started = Instant::now();
    let mut faces = Vec::with_capacity(analysis.faces.len());
    for face in analysis.faces {
        let place = Place::from(&face);
        let query = nearest(face.vector, &using, &search);
        let hits = match search.by_person {
            false => app.search(name.clone(), query).await?,
            true => one_a_person(&app, &name, query).await?,
        };
        let hits = hits
            .into_iter()
            .map(|hit| Hit::new(&name, hit, &search.payload));
        let hits = hits.collect();
        faces.push(FoundFace { place, hits });
    }
    Ok(Answer(Found {
        faces,
        width: analysis.width,
        height: analysis.height,
        timings: Timings {
            queue_ms: milliseconds(queued),
            decode_ms: milliseconds(analysis.timings.decode),
            detect_ms: milliseconds(analysis.timings.detect),
            embed_ms: milliseconds(analysis.timings.embed),
            search_ms: milliseconds(started.elapsed()),
        },
    }))
}

/// The best hit of each person, a face without one standing for itself. Looks at more and more hits
/// until there are enough people, or no more hits.
async fn one_a_person(app: &App, name: &str, query: Query) -> Result<Vec<ScoredPoint>, Refusal> {
    let wanted = query.limit;
    let mut reach = wanted.clamp(limits::GROUPS_REACH, limits::HITS);
    loop {
        let wider = Query {
            limit: reach,
            ..query.clone()
        };
        let hits = app.search(name.to_owned(), wider).await?;
        let seen_all = hits.len() < reach || reach == limits::HITS;
        let mut people = HashSet::new();
        let mut best = hits;
        best.retain(|hit| {
            let person = hit.point.payload.as_ref().and_then(person_of);
            person.is_none_or(|person| people.insert(person))
        });
        if best.len() >= wanted || seen_all {
            best.truncate(wanted);
            return Ok(best);
        }
        reach = (reach * 4).min(limits::HITS);
    }
}

/// The payload is always read: the person is in it.
fn nearest(vector: Vec<f32>, using: &str, search: &SearchPhoto) -> Query {
    Query {
        vector,
        using: using.to_owned(),
        limit: search.limit,
        offset: 0,
        ef: search.options.ef,
        exact: search.options.exact,
        score_threshold: search.options.score_threshold,
        filter: search.filter.clone(),
        select: ALL,
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

async fn get(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<KeptFace> {
    let (name, id) = path.into_inner();
    let (name, id) = (named(name)?, Id::parse(&id)?);
    let _: ReadParams = http::query(request.query_string())?;
    let collection = name.clone();
    let points = app
        .read(move |engine| engine.get(&collection, &[id.0], ALL))
        .await?;
    let point = points.into_iter().next().ok_or_else(|| no_face(id))?;
    let face = point.face.clone().ok_or_else(|| no_face(id))?;
    Ok(Answer(KeptFace::new(&name, point, &face)))
}

/// Points that are no faces are passed over.
async fn list(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<KeptFaces> {
    let name = named(name.into_inner())?;
    let params: ListParams = http::query(request.query_string())?;
    let (mut from, limit) = params.page()?;
    let mut faces = Vec::new();
    while faces.len() < limit {
        let (collection, missing) = (name.clone(), limit - faces.len());
        let page = app.read(move |engine| engine.scroll(&collection, from, missing, ALL));
        let page = page.await?;
        faces.extend(page.points.into_iter().filter_map(|point| {
            let face = point.face.clone()?;
            Some(KeptFace::new(&name, point, &face))
        }));
        from = page.next;
        if from.is_none() {
            break;
        }
    }
    Ok(Answer(KeptFaces {
        faces,
        next_page_offset: from.map(Id),
    }))
}

pub(super) fn no_face(id: Id) -> Refusal {
    Refusal::not_found(format!("face {id} does not exist"))
}

async fn delete(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<Updated> {
    let (name, id) = path.into_inner();
    let (name, id) = (named(name)?, Id::parse(&id)?);
    let params: WriteParams = http::query(request.query_string())?;
    if !is_face(&app, name.clone(), id.0).await? {
        return Err(no_face(id));
    }
    let ack: Ack = params.ack();
    let written = app.delete(name, vec![id.0], ack).await?;
    Ok(Answer(Updated::new(written, ack)))
}

/// `DELETE /collections/{c}/faces?person=NAME`: all faces of one person.
async fn delete_person(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<Deleted> {
    let name = named(name.into_inner())?;
    let params: PersonParams = http::query(request.query_string())?;
    let ack = params.ack();
    let chosen = Chosen::Filter(params.filter());
    let (written, count) = app.delete_chosen(name, chosen, ack).await?;
    Ok(Answer(Deleted::new(written, ack, count)))
}

/// `POST /collections/{c}/faces/delete`: faces by ids, by person or by filter.
async fn delete_chosen(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Deleted> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: DeleteFaces = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let chosen = body.try_into()?;
    let (written, count) = app.delete_chosen(name, chosen, params.ack()).await?;
    Ok(Answer(Deleted::new(written, params.ack(), count)))
}

pub(super) async fn is_face(app: &App, name: String, id: PointId) -> Result<bool, Refusal> {
    let select = Select {
        payload: false,
        vectors: Which::None,
    };
    let points = app
        .read(move |engine| engine.get(&name, &[id], select))
        .await?;
    Ok(points.first().is_some_and(|point| point.face.is_some()))
}
