//! Faces that are kept: listed, told, changed, taken out.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{Ack, Chosen, PayloadChange, PointId, Select, Which};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::delete::{DeleteFaces, Deleted, Gone, PersonParams};
use crate::wire::envelope::Answer;
use crate::wire::face::{KeptFace, KeptFaces};
use crate::wire::id::Id;
use crate::wire::params::{ListParams, ReadParams, WriteParams};
use crate::wire::payload::PatchFace;
use crate::wire::point::Updated;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ALL: &str = "/collections/{collection}/faces";
    const ONE: &str = "/collections/{collection}/faces/{id}";
    let kept = json!({
        "id": 1, "person": "Ada", "payload": {"person": "Ada"},
        "box": [10, 12, 80, 96], "confidence": 0.99,
        "landmarks": [[30, 50], [62, 50], [46, 68], [33, 85], [60, 85]],
        "image": "/collections/faces/faces/1/image", "photo": null,
    });
    let done = json!({"operation_id": 42, "status": "completed"});
    let deleted = json!({"operation_id": 42, "status": "completed", "deleted": 3});
    vec![
        Operation::get(ALL, "listFaces", || web::to(list))
            .about("The faces that are kept, in the order of their ids, page by page.")
            .params::<ListParams>()
            .answers::<KeptFaces>(json!({"faces": [kept.clone()], "next_page_offset": 2})),
        Operation::get(ONE, "getFace", || web::to(get))
            .about("A face that is kept.")
            .params::<ReadParams>()
            .answers::<KeptFace>(kept),
        Operation::patch(ONE, "updateFace", || web::to(patch))
            .about("Says whose face it is, or that it is nobody's, and sets keys of its payload.")
            .params::<WriteParams>()
            .takes::<PatchFace>(json!({"person": "Ada", "payload": {"year": 1843, "draft": null}}))
            .answers::<Updated>(done.clone()),
        Operation::delete(ONE, "deleteFace", || web::to(delete))
            .about("Takes a face out, with its pictures.")
            .params::<WriteParams>()
            .answers::<Updated>(done),
        Operation::delete(ALL, "deletePerson", || web::to(delete_person))
            .about("Takes out all faces of a person.")
            .params::<PersonParams>()
            .answers::<Deleted>(deleted.clone())
            .refuses(&[409]),
        Operation::post(
            "/collections/{collection}/faces/delete",
            "deleteFaces",
            || web::to(delete_chosen),
        )
        .about("Takes out faces by ids, by whose they are, or by a filter.")
        .params::<WriteParams>()
        .takes::<DeleteFaces>(json!({"points": [1, 2]}))
        .answers::<Deleted>(deleted)
        .refuses(&[409]),
    ]
}

const ALL: Select = Select {
    payload: true,
    vectors: Which::None,
};

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

async fn patch(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Outcome<Updated> {
    let (name, id) = path.into_inner();
    let (name, id) = (named(name)?, Id::parse(&id)?);
    let params: WriteParams = http::query(request.query_string())?;
    let body: PatchFace = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let change = PayloadChange::try_from(body)?;
    if !is_face(&app, name.clone(), id.0).await? {
        return Err(no_face(id));
    }
    let ack = params.ack();
    let change = (Chosen::Ids(vec![id.0]), change);
    let written = app.change_payload(name, change, ack, "set_payload").await?;
    Ok(Answer(Updated::new(written, ack)))
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
    gone(&app, name, params.gone(), ack).await
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
    gone(&app, name, body.try_into()?, params.ack()).await
}

async fn gone(app: &App, name: String, gone: Gone, ack: Ack) -> Outcome<Deleted> {
    let (written, count) = match gone {
        Gone::Chosen(chosen) => app.delete_chosen(name, chosen, ack).await?,
        Gone::Person(person, of_several) => {
            let deleted = app.delete_person(name, (person, of_several), ack);
            deleted
                .await
                .map(|(written, count)| (written, Some(count)))?
        }
    };
    Ok(Answer(Deleted::new(written, ack, count)))
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
