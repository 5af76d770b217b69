//! Photos on their way in: files of a form, whose names must end as those of pictures do, or base64
//! in JSON.

use actix_web::HttpRequest;
use actix_web::web::{self, Bytes, Payload};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use schemars::JsonSchema;
use serde::Deserialize;

use super::fault::Fault;
use crate::app::App;
use crate::http::{self, Either};
use crate::refusal::Refusal;

/// How the names of files end that CompreFace takes. What they are, their bytes say.
const EXTENSIONS: [&str; 9] = [
    "tif", "tiff", "jpg", "jpeg", "png", "bmp", "ico", "gif", "webp",
];

/// The names of the parts, and of the fields.
const FILE: &[&str] = &["file"];
const PAIR: &[&str] = &["source_image", "target_image"];

/// A photo in base64, or as a part of a form. What else is sent is passed over.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct OnePicture {
    file: Option<String>,
}

/// Two photos in base64, or as parts of a form. What else is sent is passed over.
#[derive(Debug, Deserialize, JsonSchema)]
pub(super) struct TwoPictures {
    source_image: Option<String>,
    target_image: Option<String>,
}

/// The photo of a request.
pub(super) async fn one(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Bytes, Fault> {
    let most = app.max_body_bytes();
    let body = http::files_or_json::<OnePicture>(request.headers(), payload, most, FILE).await?;
    match body {
        Either::Json(body) => decoded(body.file, FILE[0]).await,
        Either::Form(form) => uploaded(&form, FILE[0]),
    }
}

/// The two photos of a request.
pub(super) async fn two(
    app: &App,
    request: &HttpRequest,
    payload: Payload,
) -> Result<(Bytes, Bytes), Fault> {
    let most = app.max_body_bytes();
    let body = http::files_or_json::<TwoPictures>(request.headers(), payload, most, PAIR).await?;
    match body {
        Either::Json(body) => Ok((
            decoded(body.source_image, PAIR[0]).await?,
            decoded(body.target_image, PAIR[1]).await?,
        )),
        Either::Form(form) => Ok((uploaded(&form, PAIR[0])?, uploaded(&form, PAIR[1])?)),
    }
}

fn uploaded(form: &http::Form, field: &str) -> Result<Bytes, Fault> {
    let mut files = form.images.iter();
    let file = files.find(|file| file.field == field);
    let file = file.ok_or_else(|| Fault::missing_part(field))?;
    let name = file.name.as_deref().unwrap_or_default();
    let extension = name
        .rsplit_once('.')
        .map(|(_, end)| end.to_ascii_lowercase());
    match extension.is_some_and(|end| EXTENSIONS.contains(&end.as_str())) {
        true => Ok(file.bytes.clone()),
        false => Err(Fault::extension(name)),
    }
}

async fn decoded(text: Option<String>, field: &str) -> Result<Bytes, Fault> {
    let text = text.ok_or_else(|| Fault::missing_part(field))?;
    let bytes = web::block(move || BASE64_STANDARD.decode(text)).await;
    let bytes = bytes.map_err(|_| Refusal::internal("a thread of the server broke down"))?;
    Ok(bytes.map_err(|_| Fault::base64())?.into())
}
