//! Several writes in one request, done in their order. All are read and checked before the first is done; one
//! that fails all the same, by what is there or is not, ends the request, and those before it stand.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{Ack, Engine, PointId, Written};
use serde_json::json;

use super::named;
use crate::access::{Grant, Scope};
use crate::api;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::batch::{BatchBody, Operation, operation_at};
use crate::wire::envelope::Answer;
use crate::wire::params::WriteParams;
use crate::wire::point::{Put, Updated};

/// What this file answers.
pub(super) fn operations() -> Vec<api::Operation> {
    vec![
        api::Operation::post(
            "/collections/{collection}/points/batch",
            "batchPoints",
            || web::to(run),
        )
        .about(
            "Several writes, one after the other. All are checked before the first is done. One that fails \
             nevertheless, such as of a point that is not there, ends the request, and the error tells how many \
             before it are done.",
        )
        .params::<WriteParams>()
        .takes::<BatchBody>(json!({"operations": [{"delete": {"points": [1]}}]}))
        .answers::<Vec<Put>>(json!([{"operation_id": 42, "status": "completed"}])),
    ]
}

async fn run(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<Answer<Vec<Put>>, Refusal> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: BatchBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let operations = Vec::<Operation>::try_from(body)?;
    let mut done = Vec::with_capacity(operations.len());
    let deletes =
        |it: &Operation| matches!(it, Operation::Delete(..) | Operation::DeleteVectors(..));
    if let Some(n) = operations.iter().position(deletes) {
        let allowed = Grant::demand(Scope::Delete, "it takes something out");
        allowed.map_err(|refusal| refusal.at(&operation_at(n)))?;
    }
    for (n, operation) in checked(&app, &name, operations)
        .await?
        .into_iter()
        .enumerate()
    {
        let written = one(&app, name.clone(), operation, params.ack()).await;
        let (written, known) = written.map_err(|refusal| {
            let done = match n {
                0 => "None of those after it is done".to_owned(),
                1 => "Operation 0 is done, none of those after it".to_owned(),
                n => format!("Operations 0 to {} are done, none of those after it", n - 1),
            };
            refusal.at(&operation_at(n)).and(&done)
        })?;
        done.push(Put::new(Updated::new(written, params.ack()), known));
    }
    Ok(Answer(done))
}

/// The same, if each of them could be done where nothing that is there speaks against it.
async fn checked(
    app: &App,
    name: &str,
    operations: Vec<Operation>,
) -> Result<Vec<Operation>, Refusal> {
    let name = name.to_owned();
    let judged = app.write(move |engine| {
        for (n, operation) in operations.iter().enumerate() {
            check(engine, &name, operation).map_err(|error| {
                let refusal = Refusal::from(error).at(&operation_at(n));
                refusal.and("Nothing of the request is done")
            })?;
        }
        Ok::<_, Refusal>(operations)
    });
    judged.await
}

fn check(engine: &Engine, name: &str, operation: &Operation) -> Result<(), engine::Error> {
    match operation {
        Operation::Upsert(points, _) => engine.check_points(name, points),
        Operation::Delete(chosen) => engine.check_chosen(name, chosen),
        Operation::Payload((chosen, change), _) => engine.check_change(name, chosen, change),
        Operation::UpdateVectors(points) => engine.check_vectors(name, points),
        Operation::DeleteVectors(chosen, names) => engine.check_names(name, chosen, names),
    }
}

/// What a write came to; where points stay whose ids are there, with these ids.
type Done = (Written, Option<Vec<PointId>>);

async fn one(app: &App, name: String, operation: Operation, ack: Ack) -> Result<Done, Refusal> {
    let written = match operation {
        Operation::Upsert(points, mode) => return app.put(name, points, mode, ack).await,
        Operation::Delete(chosen) => app.delete_chosen(name, chosen, ack).await?.0,
        Operation::Payload(change, what) => app.change_payload(name, change, ack, what).await?,
        Operation::UpdateVectors(points) => app.update_vectors(name, points, ack).await?,
        Operation::DeleteVectors(chosen, names) => {
            app.delete_vectors(name, chosen, names, ack).await?
        }
    };
    Ok((written, None))
}
