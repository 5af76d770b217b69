//! Subjects: the people of the collection. One who has no example is kept as a point that has nothing
//! but the name. Names are told apart by more than their case.

use actix_web::web::{self, Data, Json, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use engine::{
    Ack, Condition, Filter, KeyPath, OfSeveral, PERSON, Point, Scalar, Taken, Test, Vectors,
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::collection;
use super::fault::Fault;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::wire::id::Id;

/// Characters of a name.
const NAME_CHARS: usize = 50;
/// What must not be in it.
const BAD: [char; 3] = [';', '/', '\\'];

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ALL: &str = "/api/v1/recognition/subjects";
    const ONE: &str = "/api/v1/recognition/subjects/{subject}";
    vec![
        Operation::post(ALL, "compreFaceAddSubject", || web::to(add))
            .about("Makes a subject that has no example yet.")
            .takes::<Named>(json!({"subject": "Ada"}))
            .answers_bare(json!({"subject": "Ada"}))
            .created(),
        Operation::get(ALL, "compreFaceListSubjects", || web::to(list))
            .about("The names of all subjects.")
            .answers_bare(json!({"subjects": ["Ada", "Bob"]})),
        Operation::get(
            "/api/v1/recognition/subjects/",
            "compreFaceListSubjectsToo",
            || web::to(list),
        )
        .about("The same.")
        .answers_bare(json!({"subjects": ["Ada", "Bob"]})),
        Operation::put(ONE, "compreFaceRenameSubject", || web::to(rename))
            .about("Gives a subject another name; where somebody has it, both become one.")
            .takes::<Named>(json!({"subject": "Ada Lovelace"}))
            .answers_bare(json!({"updated": true})),
        Operation::delete(ONE, "compreFaceDeleteSubject", || web::to(delete))
            .about("Takes out a subject with all examples.")
            .answers_bare(json!({"subject": "Ada"})),
    ]
}

/// A body that names a subject. What else is sent is passed over.
#[derive(Debug, Deserialize, JsonSchema)]
struct Named {
    subject: Option<String>,
}

type Answer = Result<Json<Value>, Fault>;

async fn add(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Result<HttpResponse, Fault> {
    let name = named(&app, &request, payload).await?;
    if name.trim().is_empty() {
        return Err(Fault::constraint("subject cannot be blank"));
    }
    checked(&name)?;
    let collection = collection(&app)?;
    let _deciding = app.subjects.lock().await;
    if known(&app, &collection, &name).await?.is_some() {
        return Err(Fault::subject_exists());
    }
    let alone = without_examples(Id::random(), &name);
    app.upsert(collection, vec![alone], Ack::Applied).await?;
    Ok(HttpResponse::Created().json(json!({"subject": name})))
}

async fn list(app: Data<App>) -> Answer {
    let collection = collection(&app)?;
    let names = app.read(move |engine| engine.person_names(&collection));
    Ok(Json(json!({"subjects": names.await?})))
}

async fn rename(
    app: Data<App>,
    request: HttpRequest,
    path: Path<String>,
    payload: Payload,
) -> Answer {
    let (old, new) = (path.into_inner(), named(&app, &request, payload).await?);
    let collection = collection(&app)?;
    let _deciding = app.subjects.lock().await;
    let from = known(&app, &collection, &old).await?;
    let from = from.ok_or_else(|| Fault::no_subject(&old))?;
    if new.trim().is_empty() || new.to_lowercase() == from.to_lowercase() {
        return Ok(Json(json!({"updated": false})));
    }
    checked(&new)?;
    let to = known(&app, &collection, &new).await?.unwrap_or(new);
    let fresh = Id::random().to_string();
    let renamed = app.write(move |engine| {
        let names = (from.as_str(), to.as_str());
        engine.rename_person(&collection, names, Taken::Merge, &fresh, Ack::Applied)
    });
    let renamed = renamed.await.map(|(written, _)| written);
    app.metrics.wrote("set_payload", &renamed);
    renamed?;
    Ok(Json(json!({"updated": true})))
}

async fn delete(app: Data<App>, path: Path<String>) -> Answer {
    let name = path.into_inner();
    let collection = collection(&app)?;
    let _deciding = app.subjects.lock().await;
    let known = known(&app, &collection, &name).await?;
    let known = known.ok_or_else(|| Fault::no_subject(&name))?;
    // What others own too is not for this to decide.
    let theirs = (known.clone(), OfSeveral::Refuse);
    app.delete_person(collection, theirs, Ack::Applied).await?;
    Ok(Json(json!({"subject": known})))
}

async fn named(app: &App, request: &HttpRequest, payload: Payload) -> Result<String, Fault> {
    let body: Named = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    Ok(body.subject.unwrap_or_default())
}

fn checked(name: &str) -> Result<(), Fault> {
    if name.chars().count() > NAME_CHARS {
        return Err(Fault::constraint(format!(
            "subject must have 1 to {NAME_CHARS} characters"
        )));
    }
    if name.contains(BAD) {
        return Err(Fault::constraint(
            "subject must not have `;`, `/` or `\\` in it",
        ));
    }
    can_be_named(name)
}

/// Refuses names that no path can have in it: clients take `.` and `..` for folders, and pass on no control
/// characters.
pub(super) fn can_be_named(name: &str) -> Result<(), Fault> {
    if matches!(name.trim(), "." | "..") {
        return Err(Fault::constraint("subject must not be `.` or `..`"));
    }
    if name.contains(char::is_control) {
        return Err(Fault::constraint(
            "subject must not have control characters in it",
        ));
    }
    Ok(())
}

/// The name as the subject has it, if there is one.
pub(super) async fn known(
    app: &App,
    collection: &str,
    name: &str,
) -> Result<Option<String>, Fault> {
    let (collection, name) = (collection.to_owned(), name.to_owned());
    let known = app.read(move |engine| engine.person_called(&collection, &name));
    Ok(known.await?)
}

/// All that a subject has.
pub(super) fn of(name: &str) -> Filter {
    Filter::must(Condition::Key {
        key: KeyPath::of(PERSON),
        test: Test::Value(Scalar::Text(name.to_owned())),
    })
}

/// All that subjects have.
pub(super) fn somebodys() -> Filter {
    Filter {
        must_not: vec![Condition::Key {
            key: KeyPath::of(PERSON),
            test: Test::Empty,
        }],
        ..Filter::default()
    }
}

/// What a subject without examples is.
pub(super) fn without_examples(id: Id, name: &str) -> Point {
    Point {
        id: id.0,
        vectors: Vectors::default(),
        payload: [(PERSON.to_owned(), name.into())].into_iter().collect(),
        face: None,
    }
}
