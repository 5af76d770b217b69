//! What a wanted recall takes: an extension of this server.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::params::ReadParams;
use crate::wire::tune::{ToTune, TuneBody, TunedOut};

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/collections/{collection}/tune", "tuneCollection", || {
            web::to(tune)
        })
        .about(
            "Measures on a collection's own points which `hnsw_ef` finds a wanted part of the true \
             hits; searches with that `target_recall` use it. Measured again when the collection \
             has a quarter more or fewer points.",
        )
        .params::<ReadParams>()
        .takes::<TuneBody>(json!({"target_recall": 0.99, "k": 10}))
        .answers::<TunedOut>(json!({
            "ef": 23, "recall": 0.9925, "k": 10, "sample": 200, "points": 100_000,
            "median_ms": 0.06, "p99_ms": 0.13, "exact": false,
        })),
    ]
}

async fn tune(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Result<Answer<TunedOut>, Refusal> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let body: TuneBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let ToTune { recall, k, using } = body.try_into()?;
    let tuned = app.read(move |engine| engine.tune(&name, &using, k, recall));
    Ok(Answer(TunedOut::new(&tuned.await?)))
}
