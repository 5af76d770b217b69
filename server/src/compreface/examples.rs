//! Examples: the faces of subjects, put in, listed and taken out.

use std::collections::{BTreeMap, HashSet};
use std::slice;

use actix_web::web::{self, Bytes, Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use embedder::{Choice, Want};
use engine::{
    ABOUT_PERSON, Ack, Chosen, CollectionInfo, Condition, Filter, INSERTED_AT_S, OfSeveral, PERSON,
    Point, PointId, Select, StoredPoint, Vectors, Which,
};
use schemars::JsonSchema;
use serde_json::{Value, json};

use super::fault::Fault;
use super::params::{Params, least_confidence};
use super::pictures::{self, OnePicture};
use super::subjects::{can_be_named, known, of, somebodys, without_examples};
use super::{collection, settings};
use crate::api::Operation;
use crate::app::App;
use crate::duplicates::{Comer, Space};
use crate::http;
use crate::limits;
use crate::makers::{clean, kept, look, makers, moved, searcher};
use crate::wire::id::Id;
use crate::wire::photo::Existing;
use crate::wire::sieve::Sieve;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ALL: &str = "/api/v1/recognition/faces";
    let example = json!({"image_id": "0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b", "subject": "Ada"});
    vec![
        Operation::post(ALL, "compreFaceAddExample", || web::to(add))
            .about("Keeps the one face of a photo as an example of a subject.")
            .params::<AddParams>()
            .takes::<OnePicture>(json!({"file": "/9j/4AAQSkZJRg=="}))
            .takes_form::<OnePicture>("multipart/form-data")
            .answers_bare(example.clone())
            .created(),
        Operation::get(ALL, "compreFaceListExamples", || web::to(list))
            .about("Examples page by page, of one subject or of all.")
            .params::<PageParams>()
            .answers_bare(json!({
                "faces": [example.clone()], "total_pages": 1, "total_elements": 1,
                "page_number": 0, "page_size": 20,
            })),
        Operation::delete(ALL, "compreFaceDeleteExamplesOf", || web::to(delete_of))
            .about("Takes out a subject with all examples. Without `subject` nothing is taken out.")
            .params::<SubjectParams>()
            .answers_bare(json!({"deleted": 3})),
        Operation::delete(
            "/api/v1/recognition/faces/{id}",
            "compreFaceDeleteExample",
            || web::to(delete),
        )
        .about("Takes out an example; its subject stays.")
        .answers_bare(example.clone()),
        Operation::post(
            "/api/v1/recognition/faces/delete",
            "compreFaceDeleteExamples",
            || web::to(delete_some),
        )
        .about("Takes out examples by their ids; unknown ones are passed over.")
        .takes::<Vec<String>>(json!(["0f9a4b1c-2d3e-4f50-8a6b-7c8d9e0f1a2b"]))
        .answers_bare(json!([example])),
    ]
}

/// Parameters of an example that comes in.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct AddParams {
    /// Made if it is not there.
    subject: String,
    /// The least confidence of a face, 0 to 1.
    det_prob_threshold: Option<f32>,
}

/// Parameters of a list.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct PageParams {
    /// Counted from 0.
    page: Option<u32>,
    /// 20 by default.
    size: Option<u32>,
    /// Only examples of this subject.
    subject: Option<String>,
}

/// A subject that must be named.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct SubjectParams {
    subject: String,
}

/// Examples of a page when the request does not say how many.
const PAGE: usize = 20;

async fn add(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Fault> {
    let params = Params::of(&request)?;
    let sent = params.raw("subject");
    let sent = sent.ok_or_else(|| Fault::missing_parameter("subject"))?;
    if sent.trim().is_empty() {
        return Err(Fault::constraint("subject cannot be blank"));
    }
    if sent.chars().count() > limits::PERSON_CHARS {
        let most = limits::PERSON_CHARS;
        let message = format!("subject must have at most {most} characters");
        return Err(Fault::constraint(message));
    }
    can_be_named(sent)?;
    let least = least_confidence(&params)?;
    let name = collection(&app)?;
    let info = app.describe(&name).await?;
    // Nobody sends a photo for nothing.
    let makers = makers(&app, &info, None)?;
    let using = makers.first().and_then(|maker| maker.vectors.first());
    let space = Space::new(&info, using.map_or("", String::as_str));
    let photo = pictures::one(&app, &request, payload).await?;
    let (mut face, vectors) = only_face(&app, &info, photo.clone(), least).await?;
    let original = match settings(&app)?.keep_photos {
        true => Some(clean(&app, photo).await?),
        false => None,
    };
    let id = Id::random();
    let _deciding = app.subjects.lock().await;
    let subject = known(&app, &name, sent).await?;
    let subject = subject.unwrap_or_else(|| sent.to_owned());
    // Nobody looks for duplicates of examples; others may be duplicates of this one.
    let comer = Comer {
        photo: 0,
        id: id.0,
        vector: std::mem::take(&mut face.vector),
    };
    let (hold, _) = app.underway.enter(space, vec![comer]);
    let point = Point {
        id: id.0,
        vectors,
        payload: [(PERSON.to_owned(), subject.as_str().into())]
            .into_iter()
            .collect(),
        face: Some(kept(face, original)),
    };
    let how = (Existing::Replace, Ack::Applied);
    if let Err(refusal) = hold.put(&app, name.clone(), vec![point], how).await {
        return Err(moved(&app, &info, refusal).await.into());
    }
    has_examples_now(&app, &info, &subject).await?;
    Ok(HttpResponse::Created().json(json!({"image_id": id.to_string(), "subject": sent})))
}

/// The one face of a photo with the vectors of all models of the collection. Somebody far behind a person is
/// no second, so small faces are looked for only where there is no other: what is recognized can be enrolled.
async fn only_face(
    app: &App,
    info: &CollectionInfo,
    photo: Bytes,
    least: f32,
) -> Result<(embedder::Face, Vectors), Fault> {
    let makers = makers(app, info, None)?;
    let mut found = Vec::new();
    for smallest in [u32::MAX, 0] {
        let want = Want {
            faces: Choice::All,
            vectors: true,
            crop: true,
            smallest,
        };
        let looked = look(&makers, vec![photo.clone()], want).await?;
        let (seen, vectors) = looked.into_iter().next().ok_or_else(Fault::no_face)??;
        found = seen.analysis.faces.into_iter().zip(vectors).collect();
        found.retain(|(face, _)| face.confidence >= least);
        if !found.is_empty() {
            break;
        }
    }
    let only = found.pop().ok_or_else(Fault::no_face)?;
    if !found.is_empty() {
        return Err(Fault::too_many_faces());
    }
    let sieve = Sieve::default().or_quality(app.config.embedding.min_quality_percent);
    let good = sieve.expect_one(slice::from_ref(&only.0), Choice::Largest);
    good.map_err(|refusal| Fault::argument(refusal.message()))?;
    Ok(only)
}

/// Takes out what stood for a subject while it had no examples, and nothing that has more than the name: others
/// may have points without a vector.
async fn has_examples_now(app: &App, info: &CollectionInfo, subject: &str) -> Result<(), Fault> {
    let mut bare = of(subject);
    // Nor one of a model that is used no more.
    let vectors = info.spec.vectors.keys().cloned();
    bare.must_not.extend(vectors.map(Condition::HasVector));
    let (name, filter) = (info.name.clone(), bare.clone());
    let select = Select {
        payload: true,
        vectors: Which::None,
    };
    let alone = app.read(move |engine| {
        let (mut alone, mut from) = (HashSet::new(), None);
        loop {
            let page = engine.scroll_where(&name, &filter, from, limits::PAGE, select.clone())?;
            let mere = page.points.iter().filter(|point| is_mere_name(point));
            alone.extend(mere.map(|point| point.id));
            from = page.next;
            if from.is_none() {
                return Ok(alone);
            }
        }
    });
    let alone = alone.await?;
    if !alone.is_empty() {
        // One that got a vector meanwhile stays: the delete looks again.
        bare.must.push(Condition::HasId(alone));
        let alone = Chosen::Filter(bare);
        app.delete_chosen(info.name.clone(), alone, Ack::Applied)
            .await?;
    }
    Ok(())
}

/// What an example has and a mere name has not.
fn has_vector(app: &App, info: &CollectionInfo) -> Result<Condition, Fault> {
    Ok(Condition::HasVector(searcher(app, info, None)?.1))
}

async fn list(app: Data<App>, request: HttpRequest) -> Result<Json<Value>, Fault> {
    let params = Params::of(&request)?;
    let page = params.number("page", 0..=usize::MAX, "0 or more")?;
    let page: usize = page.unwrap_or_default();
    let expected = format!("1 to {}", limits::PAGE);
    let size = params.number("size", 1..=limits::PAGE, &expected)?;
    let size: usize = size.unwrap_or(PAGE);
    let name = collection(&app)?;
    let info = app.describe(&name).await?;
    let only = match params.raw("subject") {
        None => None,
        Some(subject) => {
            let known = known(&app, &name, subject).await?;
            Some(known.unwrap_or_else(|| subject.to_owned()))
        }
    };
    let mut filter = only.as_deref().map_or_else(somebodys, of);
    filter.must.push(has_vector(&app, &info)?);
    let select = Select {
        payload: true,
        vectors: Which::None,
    };
    let found = app.read(move |engine| {
        let total = engine.count_where(&name, &filter)?;
        let skip = page.saturating_mul(size);
        Ok((
            total,
            engine.page_where(&name, &filter, skip, size, &select)?,
        ))
    });
    let (total, points) = found.await?;
    let of_point = |point: &StoredPoint| {
        let mut subjects = subjects_of(point);
        subjects.retain(|it| only.as_ref().is_none_or(|only| it == only));
        let id = Id(point.id);
        subjects.into_iter().map(move |it| told(id, &it))
    };
    let faces: Vec<_> = points.iter().flat_map(of_point).collect();
    Ok(Json(json!({
        "faces": faces, "total_pages": total.div_ceil(size), "total_elements": total,
        "page_number": page, "page_size": size,
    })))
}

/// Whether a point without a vector is what stands for a subject without examples. A face may lack the vector of
/// the model that is used by now.
fn is_mere_name(point: &StoredPoint) -> bool {
    const OWN: [&str; 3] = [PERSON, ABOUT_PERSON, INSERTED_AT_S];
    let payload = point.payload.as_ref().filter(|_| point.face.is_none());
    payload.is_some_and(|payload| {
        payload.get(PERSON).is_some_and(Value::is_string)
            && payload.keys().all(|key| OWN.contains(&key.as_str()))
    })
}

/// An example as it is told of a subject.
fn told(id: Id, subject: &str) -> Value {
    json!({"image_id": id.to_string(), "subject": subject})
}

/// Whose example a point is: of several, where it was given several people by doppel's own API. Who is named twice
/// is one.
pub(super) fn subjects_of(point: &StoredPoint) -> Vec<String> {
    let person = point.payload.as_ref().and_then(|it| it.get(PERSON));
    let names = match person {
        Some(Value::Array(names)) => names.as_slice(),
        Some(name) => slice::from_ref(name),
        None => &[],
    };
    let names = names.iter().filter_map(Value::as_str);
    let names = names.filter(|name| !name.is_empty());
    let mut subjects = Vec::new();
    for name in names {
        if !subjects.iter().any(|it| it == name) {
            subjects.push(name.to_owned());
        }
    }
    subjects
}

async fn delete_of(app: Data<App>, request: HttpRequest) -> Result<Json<Value>, Fault> {
    let params = Params::of(&request)?;
    // Without one, CompreFace takes out everything: too much for a parameter that was forgotten.
    let subject = params.raw("subject").filter(|it| !it.trim().is_empty());
    let subject = subject.ok_or_else(|| Fault::missing_parameter("subject"))?;
    let name = collection(&app)?;
    let info = app.describe(&name).await?;
    let _deciding = app.subjects.lock().await;
    let Some(subject) = known(&app, &name, subject).await? else {
        return Ok(Json(json!({"deleted": 0})));
    };
    let mut examples = of(&subject);
    examples.must.push(has_vector(&app, &info)?);
    let of_name = name.clone();
    let count = app.read(move |engine| engine.count_where(&of_name, &examples));
    let count = count.await?;
    app.delete_person(name, (subject, OfSeveral::Refuse), Ack::Applied)
        .await?;
    Ok(Json(json!({"deleted": count})))
}

async fn delete(app: Data<App>, path: Path<String>) -> Result<Json<Value>, Fault> {
    let id = id_of(&path)?;
    let mut deleted = take_out(&app, vec![id.0]).await?;
    let deleted = deleted.pop().ok_or_else(|| Fault::no_example(id))?;
    Ok(Json(deleted))
}

async fn delete_some(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Value>, Fault> {
    let ids: Vec<String> = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let ids = ids.iter().map(|id| id_of(id).map(|id| id.0));
    let mut ids = ids.collect::<Result<Vec<_>, Fault>>()?;
    ids.sort_unstable();
    ids.dedup();
    let deleted = take_out(&app, ids).await?;
    Ok(Json(deleted.into()))
}

pub(super) fn id_of(text: &str) -> Result<Id, Fault> {
    Id::parse(text).map_err(|refusal| Fault::argument(refusal.message()))
}

/// The examples of these ids that are there.
pub(super) async fn find(app: &App, ids: Vec<PointId>) -> Result<Vec<StoredPoint>, Fault> {
    let name = collection(app)?;
    let info = app.describe(&name).await?;
    let (_, using) = searcher(app, &info, None)?;
    let select = Select {
        payload: true,
        vectors: Which::Named(vec![using]),
    };
    let points = app.read(move |engine| engine.get(&name, &ids, select));
    let mut points = points.await?;
    points.retain(|point| {
        let has_one = |vectors: &Vectors| !vectors.is_empty();
        point.vectors.as_ref().is_some_and(has_one) && !subjects_of(point).is_empty()
    });
    Ok(points)
}

/// Takes out examples and tells those that were there. Of a subject who would lose the last, one
/// stays as a mere name. What is of others too is not for one of them to take out.
async fn take_out(app: &App, ids: Vec<PointId>) -> Result<Vec<Value>, Fault> {
    let name = collection(app)?;
    let _deciding = app.subjects.lock().await;
    let found = find(app, ids).await?;
    let mut of_subjects: BTreeMap<String, Vec<PointId>> = BTreeMap::new();
    let mut gone = Vec::with_capacity(found.len());
    for point in &found {
        let id = Id(point.id);
        let [subject] = <[String; 1]>::try_from(subjects_of(point)).map_err(|subjects| {
            let (of, several) = (subjects.len(), subjects.join("`, `"));
            Fault::argument(format!(
                "image {id} is of {of} subjects, `{several}`: DELETE /collections/{name}/faces/{id} takes it out, PATCH \
                 says of whom alone it is"
            ))
        })?;
        gone.push(told(id, &subject));
        of_subjects.entry(subject).or_default().push(point.id);
    }
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for (subject, theirs) in of_subjects {
        let (of_name, filter): (String, Filter) = (name.clone(), of(&subject));
        let all = app.read(move |engine| engine.count_where(&of_name, &filter));
        let mut theirs = theirs.into_iter();
        if all.await? == theirs.len()
            && let Some(first) = theirs.next()
        {
            stay.push(without_examples(Id(first), &subject));
        }
        go.extend(theirs);
    }
    if !go.is_empty() {
        app.delete(name.clone(), go, Ack::Applied).await?;
    }
    let mut stay = stay.into_iter().peekable();
    while stay.peek().is_some() {
        let some = stay.by_ref().take(engine::limits::MAX_POINTS_PER_UPSERT);
        app.upsert(name.clone(), some.collect(), Ack::Applied)
            .await?;
    }
    Ok(gone)
}
