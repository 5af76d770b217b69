//! The photo of an example, or the crop of its face where no photo is kept.

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::{self, Data, Path};
use engine::FaceImage;

use super::collection;
use super::examples::{find, id_of};
use super::fault::Fault;
use crate::api::Operation;
use crate::app::App;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/api/v1/recognition/faces/{id}/img",
            "compreFaceExampleImage",
            || web::to(image),
        )
        .about("The photo of an example, or the crop of its face; nothing where there is none.")
        .answers_plain(&["application/octet-stream"]),
    ]
}

/// Nothing, with 200, where there is no picture. Unlike CompreFace's it may not be kept by others:
/// what is deleted must be gone.
async fn image(app: Data<App>, path: Path<String>) -> Result<HttpResponse, Fault> {
    let id = id_of(&path)?;
    let name = collection(&app)?;
    let there = !find(&app, vec![id.0]).await?.is_empty();
    let picture = app.read(move |engine| {
        let of = |kind| engine.face_image(&name, &id.0, kind);
        match (
            there,
            there.then(|| of(FaceImage::Photo)).transpose()?.flatten(),
        ) {
            (true, None) => of(FaceImage::Crop),
            (_, photo) => Ok(photo),
        }
    });
    Ok(HttpResponse::Ok()
        .content_type("application/octet-stream")
        .insert_header((header::CACHE_CONTROL, "private, no-cache"))
        .body(picture.await?.unwrap_or_default()))
}
