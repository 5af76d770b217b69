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
struct Envelope<T> {
    result: T,
    status: &'static str,
    time: f64,
}

impl<T: Serialize> Responder for Answer<T> {
    type Body = BoxBody;

    fn respond_to(self, request: &HttpRequest) -> HttpResponse {
        let envelope = Envelope {
            result: self.0,
            status: "ok",
            time: clock::seconds(),
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
}

fn wants_message_pack(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    let mut types = accept.split(',');
    types.any(|it| {
        let name = it.split(';').next().unwrap_or_default().trim();
        MESSAGE_PACK.contains(&name)
    })
}
