//! Reading a body. Its declared length is checked before the first byte is taken, the bytes
//! themselves while they come in.

use actix_web::http::header::{self, HeaderMap};
use actix_web::web::{self, Bytes, BytesMut, Payload};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::form::{self, Form};
use crate::limits;
use crate::refusal::Refusal;

/// A body that may come in either form.
pub(crate) enum Either<T> {
    /// `application/json`.
    Json(T),
    /// `multipart/form-data`.
    Form(Form),
}

/// Reads `application/json`.
pub(crate) async fn json<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<T, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    if media_type(headers) != "application/json" {
        return Err(Refusal::content_type(
            "the body must be JSON (content-type: application/json)",
        ));
    }
    check_length(headers, max_bytes)?;
    let bytes = timeout(limits::BODY_TIMEOUT, all(payload, max_bytes)).await;
    parse(bytes.map_err(|_| Refusal::slow_body())??).await
}

/// Reads `multipart/form-data` or `application/json`.
pub(crate) async fn multipart_or_json<T>(
    headers: &HeaderMap,
    payload: Payload,
    max_bytes: usize,
) -> Result<Either<T>, Refusal>
where
    T: DeserializeOwned + Send + 'static,
{
    match media_type(headers).as_str() {
        "application/json" => json(headers, payload, max_bytes).await.map(Either::Json),
        "multipart/form-data" => {
            check_length(headers, max_bytes)?;
            let form = timeout(
                limits::BODY_TIMEOUT,
                form::read(headers, payload, max_bytes),
            );
            let form = form.await.map_err(|_| Refusal::slow_body())??;
            Ok(Either::Form(form))
        }
        _ => Err(Refusal::content_type(
            "send photos as multipart/form-data (field `image`) or as application/json (base64)",
        )),
    }
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

async fn all(mut payload: Payload, max_bytes: usize) -> Result<Bytes, Refusal> {
    let mut bytes = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|error| Refusal::wrong(format!("the body broke off: {error}")))?;
        if bytes.len() + chunk.len() > max_bytes {
            return Err(body_too_large(max_bytes));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

async fn parse<T: DeserializeOwned + Send + 'static>(bytes: Bytes) -> Result<T, Refusal> {
    if bytes.len() <= limits::INLINE_PARSE_BYTES {
        return from_slice(&bytes);
    }
    let parsed = web::block(move || from_slice(&bytes)).await;
    parsed.map_err(|_| Refusal::internal("a thread of the server broke down"))?
}

fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Refusal> {
    serde_json::from_slice(bytes)
        .map_err(|error| Refusal::wrong(format!("the JSON body is wrong: {error}")))
}
