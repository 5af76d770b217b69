//! The frame around every successful answer: `{"result": ..., "status": "ok", "time": seconds}`.

use actix_web::body::BoxBody;
use actix_web::http::header::{self, ContentEncoding};
use actix_web::{HttpRequest, HttpResponse, Responder, ResponseError};
use serde::Serialize;

use crate::http::MESSAGE_PACK;
use crate::refusal::Refusal;
use crate::{clock, limits};

/// A successful answer; its frame is put on when it leaves.
pub(crate) struct Answer<T>(pub(crate) T);

#[derive(Serialize)]
struct Envelope<'a, T> {
    result: T,
    status: &'static str,
    time: f64,
    #[serde(skip_serializing_if = "<[u32]>::is_empty")]
    missing_shards: &'a [u32],
}

impl<T: Serialize> Responder for Answer<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        framed(self.0, &[], request)
    }
}

/// The same, of a collection that is spread over shards, some of which have not answered.
pub(crate) fn framed<T: Serialize>(
    result: T,
    missing_shards: &[u32],
    request: &HttpRequest,
) -> HttpResponse {
    let envelope = Envelope {
        result,
        status: "ok",
        time: clock::seconds(),
        missing_shards,
    };
    let (bytes, content_type) = match wants_message_pack(request) {
        false => (
            serde_json::to_vec(&envelope).map_err(|error| error.to_string()),
            "application/json",
        ),
        true => (
            rmp_serde::to_vec_named(&envelope).map_err(|error| error.to_string()),
            MESSAGE_PACK[0],
        ),
    };
    let bytes = match bytes {
        Ok(bytes) => bytes,
        Err(error) => return Refusal::internal(error).error_response(),
    };
    let mut response = HttpResponse::Ok();
    response.content_type(content_type);
    response.insert_header((header::VARY, "accept"));
    if bytes.len() < limits::COMPRESS_BYTES {
        response.insert_header(ContentEncoding::Identity);
    }
    response.body(bytes)
}

fn wants_message_pack(request: &HttpRequest) -> bool {
    let accept = request.headers().get_all(header::ACCEPT);
    let accept: Vec<_> = accept.filter_map(|value| value.to_str().ok()).collect();
    prefers_message_pack(&accept.join(","))
}

/// Whether `accept` (RFC 9110, 12.5.1) names MessagePack and rather has that, or as readily, than JSON.
fn prefers_message_pack(accept: &str) -> bool {
    let weight = |names: &[&str]| {
        let of_names = accept.split(',').filter_map(|it| {
            let mut parts = it.split(';').map(str::trim);
            let name = parts.next()?.to_ascii_lowercase();
            let mut weights = parts.filter_map(|it| it.split_once('='));
            let weight = weights.find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
            let weight = weight.map_or(Some(1.0), |(_, weight)| weight.trim().parse().ok());
            names.contains(&name.as_str()).then_some(weight)?
        });
        of_names.reduce(f32::max)
    };
    let json = weight(&["application/json"])
        .or_else(|| weight(&["application/*"]))
        .or_else(|| weight(&["*/*"]));
    let packed = weight(&MESSAGE_PACK).unwrap_or_default();
    packed > 0.0 && packed >= json.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_pack_is_given_to_who_would_rather_have_it() {
        for accept in [
            "application/msgpack",
            "application/x-msgpack, */*",
            "application/json, application/msgpack",
            "application/json;q=0.5, Application/MsgPack; q=0.6",
            "*/*;q=0.1,application/msgpack;q=0.2",
        ] {
            assert!(prefers_message_pack(accept), "{accept}");
        }
        for accept in [
            "",
            "*/*",
            "application/json",
            "application/msgpack;q=0",
            "application/msgpack;q=0.0, application/json",
            "application/json, application/msgpack;q=0.5",
            "application/*, application/msgpack;q=0.9",
            "application/msgpackage",
            "application/msgpack;q=much",
        ] {
            assert!(!prefers_message_pack(accept), "{accept}");
        }
    }
}
