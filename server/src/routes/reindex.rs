//! An index built anew while it is searched and written to, as a job.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::CollectionInfo;
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::reindexing;
use crate::wire::collection::ReindexBody;
use crate::wire::envelope::Answer;
use crate::wire::job::JobOut;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post(
            "/admin/collections/{collection}/reindex",
            "reindex",
            || web::to(start),
        )
        .about(
            "Begins a job that builds the index of a vector anew, with other settings or the same, \
             beside the one that serves: searches and writes go on, in up to twice the memory, until \
             the new one takes its place. It goes on after a restart; if it is cancelled, all is as \
             before.",
        )
        .takes::<ReindexBody>(json!({
            "hnsw_config": {"m": 32, "ef_construct": 200},
            "quantization_config": {"scalar": {"type": "int8"}},
        }))
        .answers::<JobOut>(json!({
            "id": 1, "kind": "reindex", "collection": "faces", "status": "running",
            "done": 0, "of": 0, "started": "2026-11-29T10:20:40", "seconds": 0.0,
        }))
        .refuses(&[409]),
    ]
}

async fn start(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<Answer<JobOut>, Refusal> {
    let name = named(name.into_inner())?;
    let body: ReindexBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    app.takes_writes()?;
    let job = app.into_inner().begin(move |app, engine| {
        let info = engine.describe(&name)?;
        let vector = of_one(&info, body.using.as_deref())?;
        reindexing::begin(app, engine, (&info.name, &vector), body.change()?)
    });
    Ok(Answer(JobOut::from(&*job.await?)))
}

/// The vector that is meant.
fn of_one(info: &CollectionInfo, using: Option<&str>) -> Result<String, Refusal> {
    let mut names = info.spec.vectors.keys();
    match (using, names.next(), names.next()) {
        (Some(name), _, _) => Ok(name.to_owned()),
        (None, Some(only), None) => Ok(only.clone()),
        (None, _, _) => Err(Refusal::wrong(
            "say whose index it is with `using`: the collection has no vectors, or several",
        )),
    }
}
