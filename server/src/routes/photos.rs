//! Photos in: their faces kept, or their look-alikes out.

use std::collections::HashSet;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use embedder::{Choice, ModelInfo, Scale, Want};
use engine::{Ack, CollectionInfo, Point, PointId, Query, ScoredPoint, Select, Vectors, Which};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::duplicates::{Comer, Hold, Space};
use crate::embed_pool::Seen;
use crate::http::{self, Either};
use crate::likeness;
use crate::limits;
use crate::makers::{clean, expect_maker, kept, look, makers, moved, searcher};
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::face::{
    Added, AddedFace, Among, Duplicate, Found, FoundFace, Hit, ImageError, KnownFace, LeftOut,
    Meaning, Place, Timings, person_of,
};
use crate::wire::id::Id;
use crate::wire::params::{ReadParams, WriteParams};
use crate::wire::photo::{AddBody, AddForm, AddPhotos, Existing, Photo, RawPhoto};
use crate::wire::seek::{SearchBody, SearchForm, SearchPhoto};
use crate::wire::sieve::Sieve;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let place = json!({
        "box": [10, 12, 80, 96], "confidence": 0.99,
        "landmarks": [[30, 50], [62, 50], [46, 68], [33, 85], [60, 85]],
    });
    let (mut added, mut found) = (place.clone(), place);
    added["id"] = json!(1);
    added["image_index"] = json!(0);
    found["hits"] = json!([{
        "id": 1, "score": 0.93, "probability": 0.99, "likeness": 99.99,
        "person": "Ada", "payload": {"person": "Ada"},
        "image": "/collections/faces/faces/1/image",
    }]);
    vec![
        Operation::post("/collections/{collection}/faces", "addFaces", || {
            web::to(add)
        })
        .about(
            "Keeps the faces of photos, each as a point with its vector. What has arrived is carried out, also \
             where its client has gone: one that sends it again gives each photo its `id`.",
        )
        .params::<WriteParams>()
        .takes::<AddBody>(json!({"image": "/9j/4AAQSkZJRg==", "person": "Ada"}))
        .takes_form::<AddForm>("multipart/form-data")
        .takes_form::<RawPhoto>("image/jpeg")
        .answers::<Added>(json!({"faces": [added], "errors": []})),
        Operation::post(
            "/collections/{collection}/faces/search",
            "searchFaces",
            || web::to(search),
        )
        .about("The look-alikes of each face of a photo, best first.")
        .params::<ReadParams>()
        .takes::<SearchBody>(json!({
            "image": "/9j/4AAQSkZJRg==", "limit": 5, "exclude": ["Ada"], "group_by": "person",
        }))
        .takes_form::<SearchForm>("multipart/form-data")
        .takes_form::<RawPhoto>("image/jpeg")
        .answers::<Found>(json!({
            "faces": [found], "model": "facenet-128", "likeness_among": "model",
            "width": 250, "height": 250,
            "timings": {
                "queue_ms": 0.1, "decode_ms": 2.0, "detect_ms": 5.0, "embed_ms": 30.0,
                "search_ms": 0.3,
            },
        })),
    ]
    .into_iter()
    .map(|operation| operation.refuses(&[409, 422, 501]))
    .collect()
}

async fn add(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Added> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let info = app.describe(&name).await?;
    // Nobody sends photos for nothing.
    expect_maker(&app, &info)?;
    let most = app.max_body_bytes();
    let body = http::multipart_or_json::<AddBody>(request.headers(), payload, most).await?;
    let add = match body {
        Either::Json(body) => AddPhotos::try_from(body)?,
        Either::Form(form) => AddPhotos::try_from(form)?,
    };
    let makers = makers(&app, &info, add.using.as_deref())?;
    let using = makers.first().and_then(|maker| maker.vectors.first());
    let using = using.cloned().unwrap_or_default();
    let want = Want {
        faces: add.faces,
        vectors: true,
        crop: add.keep_crop,
        smallest: add.sieve.smallest(),
    };
    let single = add.photos.len() == 1;
    let mut gathered = Gathered::default();
    let photos = add.photos.into_iter().enumerate().collect();
    let photos = match add.existing {
        Existing::Replace => photos,
        Existing::Keep => gathered.without_known(&app, &name, photos).await?,
    };
    let images: Vec<_> = photos.iter().map(|(_, it)| it.bytes.clone()).collect();
    let outcomes = match images.is_empty() {
        true => Vec::new(),
        false => look(&makers, images, want).await?,
    };
    let sieve = add
        .sieve
        .or_quality(app.config.embedding.min_quality_percent);
    let (mut seen, mut comers) = (Vec::new(), Vec::new());
    for ((index, photo), outcome) in photos.into_iter().zip(outcomes) {
        let sieved = (outcome, &sieve, add.faces);
        match taken(&app, &photo, sieved, add.keep_photo).await {
            Ok(mut taken) => {
                comers.extend(taken.comers(seen.len()));
                seen.push((index, photo, taken));
            }
            Err(refusal) if single => return Err(moved(&app, &info, refusal).await),
            Err(refusal) => gathered.refuse(index, photo, &refusal),
        }
    }
    let (hold, earlier) = app.underway.enter(Space::new(&info, &using), comers);
    let twins = hold.twins(&app, (&info, &using), earlier, add.duplicates);
    for ((index, photo, taken), twins) in seen.into_iter().zip(twins.await?) {
        match twins {
            Ok(twins) => gathered.take(index, photo, (taken, twins)),
            Err(refusal) if single => return Err(moved(&app, &info, refusal).await),
            Err(refusal) => gathered.refuse(index, photo, &refusal),
        }
    }
    let errors = &mut gathered.added.errors;
    errors.sort_by_key(|error| error.image_index);
    put(
        &app,
        (&info, name),
        (gathered, hold),
        (add.existing, params.ack()),
    )
    .await
}

/// Keeps what was gathered; of what is to leave others as they are, what nobody else has put meanwhile.
async fn put(
    app: &App,
    (info, name): (&CollectionInfo, String),
    (mut gathered, hold): (Gathered, Hold),
    (existing, ack): (Existing, Ack),
) -> Outcome<Added> {
    let points = std::mem::take(&mut gathered.points);
    if !points.is_empty() {
        match hold.put(app, name, points, (existing, ack)).await {
            Ok(known) => gathered.leave_known(&known),
            Err(refusal) => return Err(moved(app, info, refusal).await),
        }
    }
    Ok(Answer(gathered.added))
}

/// What the models have seen in a photo, and the vectors of its faces.
type Looked = (Seen, Vec<Vectors>);

/// The faces of a photo with the ids that they get, and their vectors.
type Faces = Vec<(Id, embedder::Face, Vectors)>;

fn named_faces((seen, vectors): Looked, id: Option<Id>) -> Faces {
    let faces = seen.analysis.faces.into_iter().zip(vectors);
    faces
        .map(|(face, vectors)| (id.unwrap_or_else(Id::random), face, vectors))
        .collect()
}

/// Those that are good enough to be kept; one at least.
fn sifted((mut seen, vectors): Looked, sieve: &Sieve, chosen: Choice) -> Result<Looked, Refusal> {
    sieve.expect_one(&seen.analysis.faces, chosen)?;
    let faces = std::mem::take(&mut seen.analysis.faces).into_iter();
    let good = faces.zip(vectors).filter(|(face, _)| sieve.keeps(face));
    let (good, vectors): (Vec<_>, Vec<_>) = good.unzip();
    seen.analysis.faces = good;
    Ok((seen, vectors))
}

/// What is kept of a photo that the models have looked at.
async fn taken(
    app: &App,
    photo: &Photo,
    (outcome, sieve, chosen): (Result<Looked, Refusal>, &Sieve, Choice),
    keep_photo: bool,
) -> Result<Taken, Refusal> {
    let seen = sifted(outcome?, sieve, chosen)?;
    let left_out = NonZeroUsize::new(seen.0.analysis.left_out);
    let original = match keep_photo {
        true => Some(clean(app, photo.bytes.clone()).await?),
        false => None,
    };
    Ok(Taken {
        faces: named_faces(seen, photo.id),
        original,
        left_out,
    })
}

/// What is kept of a photo.
struct Taken {
    faces: Faces,
    /// The photo, if it is kept too.
    original: Option<Vec<u8>>,
    left_out: Option<NonZeroUsize>,
}

impl Taken {
    /// Its faces as others are compared with them; of the vectors that are kept each point has its own.
    fn comers(&mut self, photo: usize) -> impl Iterator<Item = Comer> {
        let faces = self.faces.iter_mut();
        faces.map(move |(id, face, _)| Comer {
            photo,
            id: id.0,
            vector: std::mem::take(&mut face.vector),
        })
    }
}

/// What one request's photos come to.
#[derive(Default)]
struct Gathered {
    points: Vec<Point>,
    added: Added,
}

impl Gathered {
    /// The photos whose ids are not there yet.
    async fn without_known(
        &mut self,
        app: &App,
        name: &str,
        photos: Vec<(usize, Photo)>,
    ) -> Result<Vec<(usize, Photo)>, Refusal> {
        let ids = photos.iter().filter_map(|(_, photo)| photo.id);
        let there = there(app, name, ids.collect()).await?;
        let is_new = |(image_index, photo): &(usize, Photo)| match photo.id {
            Some(id) if there.contains(&id.0) => {
                let image_index = *image_index;
                self.added.known.push(KnownFace { id, image_index });
                false
            }
            _ => true,
        };
        Ok(photos.into_iter().filter(is_new).collect())
    }

    /// Those whose ids others had by then were left out.
    fn leave_known(&mut self, known: &[PointId]) {
        let faces = std::mem::take(&mut self.added.faces).into_iter();
        let (known, added): (Vec<_>, Vec<_>) = faces.partition(|it| known.contains(&it.id.0));
        self.added.faces = added;
        let known = known.into_iter().map(|it| KnownFace {
            id: it.id,
            image_index: it.image_index,
        });
        self.added.known.extend(known);
    }

    /// With what each face is of the same picture as.
    fn take(
        &mut self,
        image_index: usize,
        photo: Photo,
        (taken, twins): (Taken, Vec<Option<Duplicate>>),
    ) {
        self.added
            .left_out
            .extend(taken.left_out.map(|faces_left_out| LeftOut {
                image_index,
                faces_left_out,
            }));
        let original = taken.original;
        for ((id, face, vectors), duplicate_of) in taken.faces.into_iter().zip(twins) {
            self.added.faces.push(AddedFace {
                place: Place::from(&face),
                id,
                image_index,
                duplicate_of,
            });
            self.points.push(Point {
                id: id.0,
                vectors,
                payload: photo.payload.clone(),
                face: Some(kept(face, original.clone())),
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

/// Which of these ids the collection has.
async fn there(app: &App, name: &str, ids: Vec<Id>) -> Result<HashSet<PointId>, Refusal> {
    let ids: Vec<_> = ids.into_iter().map(|id| id.0).collect();
    let (name, select) = (
        name.to_owned(),
        Select {
            payload: false,
            vectors: Which::None,
        },
    );
    let points = app.read(move |engine| engine.get(&name, &ids, select));
    Ok(points.await?.into_iter().map(|point| point.id).collect())
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
    // Nobody sends a photo for nothing.
    expect_maker(&app, &info)?;
    let most = app.max_body_bytes();
    let body = http::multipart_or_json::<SearchBody>(request.headers(), payload, most).await?;
    let mut search = match body {
        Either::Json(body) => SearchPhoto::try_from(body)?,
        Either::Form(form) => SearchPhoto::try_from(form)?,
    };
    if !search.ignored_too {
        let collection = name.clone();
        let ignored = app.read(move |engine| engine.ignored(&collection));
        if let Some(ignored) = ignored.await? {
            let filter = search.filter.get_or_insert_default();
            filter.must_not.push(ignored);
        }
    }
    let (pool, using) = searcher(&app, &info, search.using.as_deref())?;
    let want = Want {
        faces: search.faces,
        vectors: true,
        crop: false,
        smallest: search.sieve.smallest(),
    };
    let seen = pool.analyze(search.bytes.clone(), want).await?;
    let Seen {
        mut analysis,
        queued,
    } = seen;
    search.sieve.expect_one(&analysis.faces, search.faces)?;
    analysis.faces.retain(|face| search.sieve.keeps(face));
    let started = Instant::now();
    let own = likeness::own_scale(&app, &info, &using).await?;
    let model = pool.model();
    let meaning = meaning(model, own.as_deref(), likeness::is_cosine(&info, &using));
    let mut faces = Vec::with_capacity(analysis.faces.len());
    for face in analysis.faces {
        let place = Place::from(&face);
        let query = nearest(face.vector, &using, &search);
        let hits = match search.by_person {
            false => app.search(name.clone(), query).await,
            true => one_a_person(&app, &name, query).await,
        };
        let hits = match hits {
            Ok(hits) => hits.into_iter(),
            Err(refusal) => return Err(moved(&app, &info, refusal).await),
        };
        let hits = hits.map(|hit| Hit::new(&name, hit, &search.payload, &meaning));
        let hits = hits.collect();
        faces.push(FoundFace { place, hits });
    }
    Ok(Answer(Found {
        faces,
        faces_left_out: NonZeroUsize::new(analysis.left_out),
        model: model.name.clone(),
        likeness_among: meaning.scale.map(|(_, among)| among),
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

/// What scores mean, if they are cosines.
fn meaning<'a>(model: &'a ModelInfo, own: Option<&'a Scale>, cosines: bool) -> Meaning<'a> {
    let calibration = model.calibration.as_ref().filter(|_| cosines);
    let of_model = calibration.map(|it| (&it.strangers, Among::Model));
    Meaning {
        calibration,
        scale: own.map(|scale| (scale, Among::Collection)).or(of_model),
    }
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
        select: Select {
            payload: true,
            vectors: Which::None,
        },
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
