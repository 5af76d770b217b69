//! Reading a body. Its declared length is checked before the first byte is taken, the bytes
//! themselves while they come in, and once more while they are expanded. JSON and MessagePack are
//! two ways to write the same body.

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::encoding;
use super::form::{self, Files, Form, Upload};
use super::parts::{Parts, Place};
use super::room::Reading;
use crate::limits;
use crate::refusal::Refusal;

/// The content type of MessagePack, and the one that it had before it was registered.
pub(crate) const MESSAGE_PACK: [&str; 2] = ["application/msgpack", "application/x-msgpack"];

/// A body that may come in either form.
pub(crate) enum Either<T> {
    /// `application/json`, or MessagePack.
    Json(T),
    /// `multipart/form-data`, or a photo as it is.
    Form(Form),
}

/// How a body is written.
#[derive(Debug, Clone, Copy)]
pub(super) enum Format {
    Json,
    MessagePack,
}

/// Reads JSON or MessagePack.
pub(crate) async fn json<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<T, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    json_of(headers, payload, max_bytes, Place::Outside).await
}

/// The same for what is kept as it is, vectors too.
pub(crate) async fn values<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<T, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    json_of(headers, payload, max_bytes, Place::Values).await
}

async fn json_of<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
    place: Place,
) -> Result<T, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    let format = match media_type(headers).as_str() {
        "application/json" => Format::Json,
        other if MESSAGE_PACK.contains(&other) => Format::MessagePack,
        _ => {
            return Err(Refusal::content_type(
                "the body must be JSON (content-type: application/json) or MessagePack \
                 (application/msgpack)",
            ));
        }
    };
    let (bytes, reading) = whole(headers, payload, max_bytes).await?;
    parse((format, place), bytes, reading).await
}

/// The name of the parts that are photos.
const IMAGE: &str = "image";

/// Reads a photo with what belongs to it: as a form, as JSON, or as nothing but the photo.
pub(crate) async fn multipart_or_json<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<Either<T>, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    match media_type(headers).as_str() {
        "multipart/form-data" => {
            let form = whole_form(headers, payload, max_bytes, &[IMAGE]);
            form.await.map(Either::Form)
        }
        "application/octet-stream"
        | "image/jpeg"
        | "image/png"
        | "image/webp"
        | "image/gif"
        | "image/bmp"
        | "image/tiff"
        | "image/heic"
        | "image/heif" => {
            let (bytes, reading) = whole(headers, payload, max_bytes).await?;
            reading.hold();
            Ok(Either::Form(Form::of_one(Upload {
                field: IMAGE,
                name: None,
                bytes,
            })))
        }
        "application/json" => json(headers, payload, max_bytes).await.map(Either::Json),
        other if MESSAGE_PACK.contains(&other) => {
            json(headers, payload, max_bytes).await.map(Either::Json)
        }
        _ => Err(Refusal::content_type(
            "send photos as multipart/form-data (field `image`), as application/json (base64), or \
             one photo as it is (image/jpeg, image/png, image/webp, image/gif, image/bmp, \
             image/tiff, image/heic)",
        )),
    }
}

/// Reads files of a form by the names of their parts, or the same as JSON.
pub(crate) async fn files_or_json<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
    files: Files,
) -> Result<Either<T>, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    match media_type(headers).as_str() {
        "multipart/form-data" => {
            let form = whole_form(headers, payload, max_bytes, files);
            form.await.map(Either::Form)
        }
        "application/json" => json(headers, payload, max_bytes).await.map(Either::Json),
        _ => Err(Refusal::content_type(format!(
            "send `{}` as multipart/form-data, or in base64 as application/json",
            files.join("`, `")
        ))),
    }
}

async fn whole_form(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
    files: Files,
) -> Result<Form, Refusal> {
    check_length(headers, max_bytes)?;
    let form = async {
        match encoding::of(headers)? {
            None => form::read(headers, payload, max_bytes, files).await,
            Some(_) => {
                let (bytes, _reading) = whole(headers, payload, max_bytes).await?;
                form::read_bytes(headers, bytes, max_bytes, files).await
            }
        }
    };
    let form = timeout(limits::BODY_TIMEOUT, form).await;
    form.map_err(|_| Refusal::slow_body())?
}

/// Reads the part of the URL behind the question mark.
pub(crate) fn query<T: DeserializeOwned>(query: &str) -> Result<T, Refusal> {
    let parsed = web::Query::<T>::from_query(query);
    let parsed = parsed.map_err(|error| Refusal::wrong(format!("in the URL: {error}")))?;
    Ok(parsed.into_inner())
}

/// The content type without its parameters, in lower case.
pub(super) fn media_type(headers: &HeaderMap) -> String {
    let value = headers.get(header::CONTENT_TYPE);
    let value = value.and_then(|value| value.to_str().ok()).unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("");
    media_type.trim().to_ascii_lowercase()
}

fn check_length(headers: &HeaderMap, max_bytes: usize) -> Result<(), Refusal> {
    let length = headers.get(header::CONTENT_LENGTH);
    let length: Option<u64> = length.and_then(|value| value.to_str().ok()?.parse().ok());
    match length {
        Some(length) if length > max_bytes as u64 => Err(body_too_large(max_bytes)),
        _ => Ok(()),
    }
}

pub(super) fn body_too_large(max_bytes: usize) -> Refusal {
    let mib = max_bytes >> 20;
    Refusal::too_large(format!(
        "the body is larger than {mib} MiB (server.max_body_mib)"
    ))
}

/// The whole body, expanded.
async fn whole(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<(Bytes, Reading), Refusal> {
    check_length(headers, max_bytes)?;
    let encoding = encoding::of(headers)?;
    let mut reading = Reading::new();
    let bytes = timeout(limits::BODY_TIMEOUT, all(payload, max_bytes, &mut reading));
    let bytes = bytes.await.map_err(|_| Refusal::slow_body())??;
    match encoding {
        None => Ok((bytes, reading)),
        Some(encoding) => encoding::expand(encoding, bytes, max_bytes, reading).await,
    }
}

async fn all(
    mut payload: Payload,
    max_bytes: usize,
    reading: &mut Reading,
) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Refusal::wrong(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > max_bytes {
            return Err(body_too_large(max_bytes));
        }
        reading.takes(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

async fn parse<T>(
    (format, place): (Format, Place),
    bytes: Bytes,
    mut reading: Reading,
) -> Result<T, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    if bytes.len() <= limits::INLINE_PARSE_BYTES {
        return from_slice(format, &bytes);
    }
    let parsed = web::block(move || {
        reading.becomes(&Parts::of(format, &bytes, place), bytes.len())?;
        from_slice(format, &bytes).map(|value| (value, reading))
    });
    let parsed = parsed.await;
    let parsed = parsed.map_err(|_| Refusal::internal("a thread of the server broke down"))?;
    let (value, reading) = parsed?;
    reading.hold();
    Ok(value)
}

fn from_slice<T: DeserializeOwned>(format: Format, bytes: &[u8]) -> Result<T, Refusal> {
    match format {
        Format::Json => serde_json::from_slice(bytes)
            .map_err(|error| Refusal::wrong(format!("the JSON body is wrong: {error}"))),
        Format::MessagePack => {
            let mut rest = bytes;
            let mut reader = rmp_serde::Deserializer::new(&mut rest);
            reader.set_max_depth(limits::BODY_DEPTH);
            let value = T::deserialize(&mut reader)
                .map_err(|error| Refusal::wrong(format!("the MessagePack body is wrong: {error}")));
            match value {
                Ok(_) if !rest.is_empty() => Err(Refusal::wrong(
                    "the MessagePack body is wrong: something follows the value",
                )),
                value => value,
            }
        }
    }
}
