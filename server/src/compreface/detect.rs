//! The faces of a photo, of which nothing is kept.

use std::num::NonZeroUsize;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Payload};
use serde_json::json;

use super::fault::Fault;
use super::look;
use super::params::{Ask, LookParams, Params};
use super::pictures::{self, OnePicture};
use super::told::{self, Beside, Face};
use crate::api::Operation;
use crate::app::App;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/api/v1/detection/detect", "compreFaceDetect", || {
            web::to(detect)
        })
        .about("The faces of a photo, the largest first.")
        .params::<LookParams>()
        .takes::<OnePicture>(json!({"file": "/9j/4AAQSkZJRg=="}))
        .takes_form::<OnePicture>("multipart/form-data")
        .answers_bare(json!({"result": [{"box": {
            "probability": 0.99, "x_max": 90, "y_max": 108, "x_min": 10, "y_min": 12,
        }}]})),
    ]
}

async fn detect(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<told::Result<Face>>, Fault> {
    let ask = Ask::of(&Params::of(&request)?)?;
    let pool = app.faces.pool(None)?;
    let photo = pictures::one(&app, &request, payload).await?;
    let seen = look::faces(&pool, photo, &ask, false).await?;
    let faces = seen.analysis.faces.iter();
    let faces = faces.map(|face| Face::new(face, &seen.analysis.timings, &ask));
    let result = faces.collect();
    let beside = Beside::new(pool.model(), ask);
    let faces_left_out = NonZeroUsize::new(seen.analysis.left_out);
    Ok(Json(told::Result {
        result,
        faces_left_out,
        beside,
    }))
}
