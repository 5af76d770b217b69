//! The face models there are, and collections moved from one to another.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{CollectionInfo, Engine};
use serde_json::json;

use super::named;
use crate::access::Grant;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::makers;
use crate::reembedding;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::job::JobOut;
use crate::wire::reembedding::{
    GiveUpParams, GivenUp, ModelList, ModelOut, ReembedBody, WithoutModel,
};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/faces/models", "listModels", || web::to(models))
            .about(
                "The face models that this server has or could have, those that are loaded first; and which \
                 vectors of collections are of a model that does not run here, by name and checksum.",
            )
            .answers::<ModelList>(json!({"models": [{
                "name": "facenet-128", "size": 128, "loaded": true, "default": true,
                "sha256": "92c3c3f568c43bef41c0e3d2d6ca50b91f46e103bf471acbca5a2d77ea1f17e3",
                "calibration": {
                    "threshold": 0.42, "threshold_error": 0.02, "slope": 28.9, "slope_error": 4.9,
                    "pairs": 1200, "false_match_rates": [[0.0357, 0.5], [0.3821, 0.01]],
                },
            }]})),
        Operation::post(
            "/admin/collections/{collection}/reembed",
            "reembedFaces",
            || web::to(start),
        )
        .about(
            "Begins a job that moves a collection to another face model: a vector of it is added \
             and made of the photos and crops that are kept, and takes the place of the old one at \
             the end. Searches go by the old one until then, new photos get both. Faces that \
             cannot be embedded anew are told, and keep the old vector in place unless \
             `accept_missing` is true. A restart goes on with it; so does the same request after it was \
             cancelled or has failed, and `DELETE` gives it up.",
        )
        .takes::<ReembedBody>(json!({"model": "mobilefacenet-192"}))
        .answers::<JobOut>(json!({
            "id": 1, "kind": "reembed", "collection": "faces", "status": "running",
            "done": 0, "of": 0, "started": "2026-11-29T06:55:40", "seconds": 0.0,
        }))
        .refuses(&[409, 501]),
        Operation::delete(
            "/admin/collections/{collection}/reembed",
            "giveUpReembedding",
            || web::to(give_up),
        )
        .about(
            "Gives up a move to another model that was cancelled, has failed or has left faces without a \
             new vector: the new vector goes, the old one stays as it was. A job that is at work \
             must be cancelled first. Where points have the new vector alone, nothing is done unless \
             `accept_missing` is true.",
        )
        .params::<GiveUpParams>()
        .answers::<GivenUp>(json!({
            "model": "mobilefacenet-192", "vector": "mobilefacenet-192", "without_vector": 0,
        }))
        .refuses(&[409]),
    ]
}

async fn models(app: Data<App>) -> Outcome<ModelList> {
    // First: models come up after the data, so while a start recovers there is nothing to tell.
    let without_model = without_models(&app).await?;
    let models = app.faces.models().into_iter();
    Ok(Answer(ModelList {
        models: models.map(ModelOut::from).collect(),
        without_model,
    }))
}

/// A key sees its own collections.
async fn without_models(app: &App) -> Result<Vec<WithoutModel>, Refusal> {
    let mut collections = app.look(Engine::collections).await?;
    if let Some(own) = Grant::current().limits().collections {
        collections.retain(|info| own.contains(&info.name));
    }
    let of_one = |info: &CollectionInfo| {
        let missing = makers::without_model(app, info).into_iter();
        let told = missing.map(|(vector, refusal)| WithoutModel {
            collection: info.name.clone(),
            vector,
            why: refusal.to_string(),
        });
        told.collect::<Vec<_>>()
    };
    Ok(collections.iter().flat_map(of_one).collect())
}

async fn start(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<JobOut> {
    let name = named(name.into_inner())?;
    let body: ReembedBody = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    app.takes_writes()?;
    let job = app.into_inner().begin(move |app, engine| {
        let info = engine.describe(&name)?;
        let pool = app.faces.pool(Some(body.model()))?;
        let wanted = body.wanted(&info, &pool)?;
        reembedding::begin(app, engine, info, wanted)
    });
    let job = job.await?;
    Ok(Answer(JobOut::from(&*job)))
}

async fn give_up(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<GivenUp> {
    let name = named(name.into_inner())?;
    let params: GiveUpParams = http::query(request.query_string())?;
    let given_up = app.into_inner().begin(move |app, engine| {
        let info = engine.describe(&name)?;
        reembedding::give_up(app, engine, &info, params.lacking())
    });
    Ok(Answer(GivenUp::from(given_up.await?)))
}
