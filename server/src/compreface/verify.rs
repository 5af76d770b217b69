//! How like the one face of a photo is to those of another; nothing of either is kept.

use std::num::NonZeroUsize;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Json, Payload};
use serde::Serialize;
use serde_json::json;

use super::fault::Fault;
use super::look;
use super::params::{Ask, LookParams, Params};
use super::pictures::{self, TwoPictures};
use super::similarity::Similarity;
use super::told::{Beside, Face};
use crate::api::Operation;
use crate::app::App;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let place = json!({
        "probability": 0.99, "x_max": 90, "y_max": 108, "x_min": 10, "y_min": 12,
    });
    vec![
        Operation::post("/api/v1/verification/verify", "compreFaceVerify", || {
            web::to(verify)
        })
        .about("How like the one face of a photo is to each of another.")
        .params::<LookParams>()
        .takes::<TwoPictures>(json!({
            "source_image": "/9j/4AAQSkZJRg==", "target_image": "/9j/4AAQSkZJRg==",
        }))
        .takes_form::<TwoPictures>("multipart/form-data")
        .answers_bare(json!({"result": [{
            "source_image_face": {"box": place},
            "face_matches": [{"box": place, "similarity": 0.97858}],
        }]})),
    ]
}

/// The one face and those that it was compared with.
#[derive(Debug, Serialize)]
struct Compared {
    source_image_face: Face,
    face_matches: Vec<Face>,
    #[serde(flatten)]
    beside: Beside,
}

/// There is one of them always.
#[derive(Debug, Serialize)]
struct Told {
    result: [Compared; 1],
    /// Ours: faces of the photo beyond the 100 that are told of one at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    faces_left_out: Option<NonZeroUsize>,
}

async fn verify(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Result<Json<Told>, Fault> {
    let ask = Ask::of(&Params::of(&request)?)?;
    let pool = app.faces.pool(None)?;
    let scale = Similarity::of(pool.model());
    let (source, target) = pictures::two(&app, &request, payload).await?;
    let source = look::faces(&pool, source, &ask, true).await?.analysis;
    let [own] = source.faces.as_slice() else {
        return Err(Fault::too_many_faces());
    };
    let target = look::faces(&pool, target, &ask, true).await?.analysis;
    let matches = target.faces.iter().map(|face| {
        let mut told = Face::new(face, &target.timings, &ask);
        told.similarity = Some(scale.between(&own.vector, &face.vector));
        told
    });
    let compared = Compared {
        source_image_face: Face::new(own, &source.timings, &ask),
        face_matches: matches.collect(),
        beside: Beside::new(pool.model(), ask),
    };
    Ok(Json(Told {
        result: [compared],
        faces_left_out: NonZeroUsize::new(target.left_out),
    }))
}
