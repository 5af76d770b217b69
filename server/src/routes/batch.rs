//! Several writes in one request, done in their order. All are read before the first is done; one
//! that fails ends the request, and those before it stand.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{Ack, Written};

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
use crate::wire::point::Updated;

/// What this file answers.
pub(super) fn operations() -> Vec<api::Operation> {
    vec![
        api::Operation::post(
            "/collections/{collection}/points/batch",
            "batchPoints",
            || web::to(run),
        )
        .about("Several writes, one after the other.")
        .params::<WriteParams>()
        .takes::<BatchBody>(json!({"operations": [{"delete": {"points": [1]}}]}))
        .answers::<Vec<Updated>>(json!([{"operation_id": 42, "status": "completed"}])),
    ]
}

async fn run(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<Answer<Vec<Updated>>, Refusal> {
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
    for (n, operation) in operations.into_iter().enumerate() {
        let written = one(&app, name.clone(), operation, params.ack()).await;
        let written = written.map_err(|refusal| refusal.at(&operation_at(n)))?;
        done.push(Updated::new(written, params.ack()));
    }
    Ok(Answer(done))
}

async fn one(app: &App, name: String, operation: Operation, ack: Ack) -> Result<Written, Refusal> {
    match operation {
        Operation::Upsert(points, mode) => Ok(app.put(name, points, mode, ack).await?.0),
        Operation::Delete(chosen) => Ok(app.delete_chosen(name, chosen, ack).await?.0),
        Operation::Payload(change, what) => app.change_payload(name, change, ack, what).await,
        Operation::UpdateVectors(points) => app.update_vectors(name, points, ack).await,
        Operation::DeleteVectors(chosen, names) => {
            app.delete_vectors(name, chosen, names, ack).await
        }
    }
}
