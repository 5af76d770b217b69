//! The pictures of faces that are kept.

use std::hash::{DefaultHasher, Hash, Hasher};

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};
use engine::FaceImage;

use super::faces::{is_face, no_face};
use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::decoding::decoded;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::id::Id;
use crate::wire::params::{ImageKind, ImageParams};

/// Photos of other kinds are kept as PNG.
const PICTURES: &[&str] = &["image/jpeg", "image/png", "image/webp"];

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get(
            "/collections/{collection}/faces/{id}/image",
            "getFaceImage",
            || web::to(image),
        )
        .about(
            "The picture of a face: its crop, a smaller one of it, or the photo if that is kept.",
        )
        .params::<ImageParams>()
        .answers_plain(PICTURES)
        .refuses(&[413])
        .tagged(),
    ]
}

const CACHED: &str = "private, no-cache";

/// Pictures of people are cached by nobody but their reader, who asks each time whether they are
/// still there: what is deleted must be gone.
async fn image(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Refusal> {
    let (name, id) = path.into_inner();
    let (name, id) = (named(name)?, Id::parse(&id)?);
    let params: ImageParams = http::query(request.query_string())?;
    let side = params.side()?;
    let (kind, word) = match params.kind {
        ImageKind::Crop | ImageKind::Thumbnail => (FaceImage::Crop, "crop"),
        ImageKind::Photo => (FaceImage::Photo, "photo"),
    };
    let collection = name.clone();
    let bytes = app
        .read(move |engine| engine.face_image(&collection, &id.0, kind))
        .await?;
    let Some(bytes) = bytes else {
        let there = is_face(&app, name, id.0).await?;
        return Err(match there {
            true => Refusal::not_found(format!("no {word} is kept of face {id}")),
            false => no_face(id),
        });
    };
    let bytes = match side {
        None => bytes,
        Some(side) => {
            let small = decoded(&app.memory, bytes, move |bytes| {
                embedder::thumbnail(bytes, side)
            });
            small.await?
        }
    };
    let tag = etag(&bytes);
    if is_known(request.headers(), &tag) {
        return Ok(HttpResponse::NotModified()
            .insert_header((header::ETAG, tag))
            .insert_header((header::CACHE_CONTROL, CACHED))
            .finish());
    }
    let (content_type, extension) = sniffed(&bytes);
    let disposition = format!("inline; filename=\"{id}-{word}.{extension}\"");
    Ok(HttpResponse::Ok()
        .content_type(content_type)
        .insert_header((header::ETAG, tag))
        .insert_header((header::CACHE_CONTROL, CACHED))
        .insert_header((header::CONTENT_DISPOSITION, disposition))
        .body(bytes))
}

fn etag(bytes: &[u8]) -> String {
    let mut hasher = DefaultHasher::new();
    bytes.hash(&mut hasher);
    format!("\"{:016x}\"", hasher.finish())
}

fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH);
    let known = known.and_then(|value| value.to_str().ok()).unwrap_or("");
    known.split(',').map(str::trim).any(|known| {
        // What a proxy has made a weak one of is the same picture.
        known == "*" || known.strip_prefix("W/").unwrap_or(known) == tag
    })
}

/// The type of a picture by its first bytes; what is none of ours is not shown as a picture.
fn sniffed(bytes: &[u8]) -> (&'static str, &'static str) {
    match embedder::sniff(bytes) {
        Ok(kind) => (kind.media_type(), kind.extension()),
        Err(_) => ("application/octet-stream", "bin"),
    }
}
