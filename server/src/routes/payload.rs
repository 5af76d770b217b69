//! Payloads: changed in place, indexed, counted by their values.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{IndexKind, KeyPath};

use serde::de::DeserializeOwned;
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::choose::ChosenBody;
use crate::wire::envelope::Answer;
use crate::wire::index::{Counted, CreateIndex, Facet, FacetBody, Facets};
use crate::wire::params::{ReadParams, WriteParams};
use crate::wire::payload::{self, Change, DeletePayload, SetPayload};
use crate::wire::point::Updated;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::put("/collections/{collection}/index", "createIndex", || {
            web::to(create_index)
        })
        .about("Indexes a key of the payloads, so that filters and orders by it are quick.")
        .params::<WriteParams>()
        .takes::<CreateIndex>(json!({"field_name": "person", "field_schema": "keyword"}))
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::delete(
            "/collections/{collection}/index/{key}",
            "deleteIndex",
            || web::to(drop_index),
        )
        .about("Drops the index of a key.")
        .params::<WriteParams>()
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::post("/collections/{collection}/facet", "facet", || {
            web::to(facet)
        })
        .about("How many points have each value of an indexed key.")
        .params::<ReadParams>()
        .takes::<FacetBody>(json!({"key": "person", "limit": 10}))
        .answers::<Facets>(json!({"hits": [{"value": "Ada", "count": 3}]})),
        Operation::post(
            "/collections/{collection}/points/payload",
            "setPayload",
            || web::to(set),
        )
        .about("Sets keys of payloads; others stay.")
        .params::<WriteParams>()
        .takes::<SetPayload>(json!({"payload": {"person": "Ada"}, "points": [1]}))
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::put(
            "/collections/{collection}/points/payload",
            "overwritePayload",
            || web::to(overwrite),
        )
        .about("Gives points another payload.")
        .params::<WriteParams>()
        .takes::<SetPayload>(json!({"payload": {"person": "Ada"}, "points": [1]}))
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::post(
            "/collections/{collection}/points/payload/delete",
            "deletePayload",
            || web::to(delete),
        )
        .about("Takes keys out of payloads.")
        .params::<WriteParams>()
        .takes::<DeletePayload>(json!({"keys": ["person"], "points": [1]}))
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
        Operation::post(
            "/collections/{collection}/points/payload/clear",
            "clearPayload",
            || web::to(clear),
        )
        .about("Empties payloads.")
        .params::<WriteParams>()
        .takes::<ChosenBody>(json!({"points": [1]}))
        .answers::<Updated>(json!({"operation_id": 42, "status": "completed"})),
    ]
}

async fn set(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let asked = (&request, name.into_inner(), payload);
    change(&app, asked, SetPayload::set, "set_payload").await
}

async fn overwrite(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let asked = (&request, name.into_inner(), payload);
    change(&app, asked, SetPayload::overwrite, "overwrite_payload").await
}

async fn delete(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let asked = (&request, name.into_inner(), payload);
    change(&app, asked, DeletePayload::delete, "delete_payload").await
}

async fn clear(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let asked = (&request, name.into_inner(), payload);
    change(&app, asked, payload::clear, "clear_payload").await
}

/// Reads what is asked for, decides what it means and does it; it is counted as `what`.
async fn change<B: DeserializeOwned + Send + 'static>(
    app: &App,
    (request, name, payload): (&HttpRequest, String, Payload),
    decide: fn(B) -> Result<Change, Refusal>,
    what: &'static str,
) -> Outcome<Updated> {
    let name = named(name)?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: B = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let written = app
        .change_payload(name, decide(body)?, params.ack(), what)
        .await?;
    Ok(Answer(Updated::new(written, params.ack())))
}

async fn create_index(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: CreateIndex = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (key, kind): (KeyPath, IndexKind) = body.try_into()?;
    let ack = params.ack();
    let (memory, body) = (app.memory.clone(), http::Room::release());
    let written = app.write(move |engine| {
        let bytes = engine.payload_index_bytes(&name, &key, kind)?;
        let _room = memory.promise_beside(bytes, body)?;
        Ok::<_, Refusal>(engine.create_index(&name, key, kind, ack)?)
    });
    let written = written.await?;
    Ok(Answer(Updated::new(written, ack)))
}

async fn drop_index(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<Updated> {
    let (name, key) = path.into_inner();
    let name = named(name)?;
    let params: WriteParams = http::query(request.query_string())?;
    let key = KeyPath::parse(&key).map_err(Refusal::wrong)?;
    let ack = params.ack();
    let written = app
        .write(move |engine| engine.drop_index(&name, &key, ack))
        .await?;
    Ok(Answer(Updated::new(written, ack)))
}

async fn facet(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Facets> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: FacetBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let Facet { key, filter, limit } = body.try_into()?;
    let counts = app
        .read(move |engine| engine.facet(&name, &key, &filter, limit))
        .await?;
    let hits = counts.into_iter();
    let hits = hits.map(|(value, count)| Counted { value, count });
    Ok(Answer(Facets {
        hits: hits.collect(),
    }))
}
