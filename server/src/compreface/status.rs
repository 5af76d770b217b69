//! What clients ask before they have a key: how large a photo may be, and whether all is well. Nothing
//! of what is kept is told.

use actix_web::web::{self, Data, Json};
use serde_json::{Value, json};

use super::fault::Fault;
use super::settings;
use crate::api::Operation;
use crate::app::App;
use crate::makers::makers;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/api/v1/config", "compreFaceConfig", || web::to(config))
            .about("How many bytes a photo and a body may have.")
            .answers_bare(json!({
                "clientMaxFileSize": 67_108_864, "clientMaxBodySize": 67_108_864,
            })),
        Operation::get(
            "/api/v1/consistence/status",
            "compreFaceConsistence",
            || web::to(consistence),
        )
        .about("Whether the collection's vectors are those of a model that is there.")
        .answers_bare(json!({
            "demoFaceCollectionIsInconsistent": false, "dbIsInconsistent": false,
            "saveImagesToDB": true, "status": "OK",
        })),
    ]
}

async fn config(app: Data<App>) -> Json<Value> {
    let most = app.max_body_bytes();
    Json(json!({"clientMaxFileSize": most, "clientMaxBodySize": most}))
}

async fn consistence(app: Data<App>) -> Result<Json<Value>, Fault> {
    let settings = settings(&app)?;
    let info = app.describe(&settings.collection).await;
    let good = info.is_ok_and(|info| makers(&app, &info, None).is_ok());
    Ok(Json(json!({
        "demoFaceCollectionIsInconsistent": false, "dbIsInconsistent": !good,
        "saveImagesToDB": settings.keep_photos, "status": "OK",
    })))
}
