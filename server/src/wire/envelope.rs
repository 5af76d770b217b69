//! The frame around every successful answer: `{"result": ..., "status": "ok", "time": seconds}`.

use actix_web::body::BoxBody;
use actix_web::{HttpRequest, HttpResponse, Responder};
use serde::Serialize;

use crate::clock;

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

    fn respond_to(self, _: &HttpRequest) -> HttpResponse {
        HttpResponse::Ok().json(Envelope {
            result: self.0,
            status: "ok",
            time: clock::seconds(),
        })
    }
}
