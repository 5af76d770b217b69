//! Points by their ids: put in, retrieve, take out.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{Point, Which};
use serde_json::json;

use super::named;
use crate::access::{Grant, Scope};
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::choose::ChosenBody;
use crate::wire::envelope::Answer;
use crate::wire::id::Id;
use crate::wire::params::{ReadParams, WriteParams};
use crate::wire::point::{Put, Record, Retrieve, Updated, Upsert};
use crate::wire::select::{PayloadView, View};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ALL: &str = "/collections/{collection}/points";
    let record = json!({"id": 1, "payload": {"person": "Ada"}});
    let updated = json!({"operation_id": 42, "status": "completed"});
    let points = json!({"points": [
        {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4], "payload": {"person": "Ada"}},
    ]});
    vec![
        Operation::put(ALL, "upsertPoints", || web::to(upsert))
            .about(
                "Puts points, all or none of them; one of an id that is there is replaced, or with \
                 `\"update_mode\": \"insert_only\"` left as it is and told.",
            )
            .params::<WriteParams>()
            .takes::<Upsert>(points)
            .answers::<Put>(updated.clone()),
        Operation::post(ALL, "getPoints", || web::to(retrieve))
            .about("The points of these ids; unknown ids are left out.")
            .params::<ReadParams>()
            .takes::<Retrieve>(json!({"ids": [1, 2], "with_payload": true}))
            .answers::<Vec<Record>>(json!([record])),
        Operation::get("/collections/{collection}/points/{id}", "getPoint", || {
            web::to(get)
        })
        .about("One point with its payload and its vector.")
        .params::<ReadParams>()
        .answers::<Record>(record),
        Operation::post(
            "/collections/{collection}/points/delete",
            "deletePoints",
            || web::to(delete),
        )
        .about("Takes points out; unknown ids are fine.")
        .params::<WriteParams>()
        .takes::<ChosenBody>(json!({"points": [1, 2]}))
        .answers::<Updated>(updated),
    ]
}

async fn upsert(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Put> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: Upsert = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (mode, ack) = (body.mode(), params.ack());
    let points = Vec::<Point>::try_from(body)?;
    let (written, known) = app.put(name, points, mode, ack).await?;
    Ok(Answer(Put::new(Updated::new(written, ack), known)))
}

async fn retrieve(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Vec<Record>> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: Retrieve = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (ids, view) = body.parts()?;
    let select = view.select();
    let points = app
        .read(move |engine| engine.get(&name, &ids, select))
        .await?;
    let records = points.into_iter().map(|point| Record::new(point, &view));
    Ok(Answer(records.collect()))
}

async fn get(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<Record> {
    let (name, id) = path.into_inner();
    let (name, id) = (named(name)?, Id::parse(&id)?);
    let _: ReadParams = http::query(request.query_string())?;
    let vectors = match Grant::demand(Scope::Embeddings, "a vector is shown") {
        Ok(()) => Which::All,
        Err(_) => Which::None,
    };
    let view = View {
        payload: PayloadView::All,
        vectors,
    };
    let select = view.select();
    let points = app
        .read(move |engine| engine.get(&name, &[id.0], select))
        .await?;
    let point = points.into_iter().next();
    let point = point.ok_or_else(|| Refusal::not_found(format!("point {id} does not exist")))?;
    Ok(Answer(Record::new(point, &view)))
}

async fn delete(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: ChosenBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let chosen = body.try_into()?;
    let (written, _) = app.delete_chosen(name, chosen, params.ack()).await?;
    Ok(Answer(Updated::new(written, params.ack())))
}
