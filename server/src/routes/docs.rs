//! The API told by itself: the OpenAPI document, and a page that shows it and tries it out without
//! loading anything from elsewhere.

use std::sync::LazyLock;

use actix_web::http::header::{self, ContentType};
use actix_web::web::{self, Data};
use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

use super::page::{javascript, part};
use crate::api::{self, Operation};
use crate::app::App;

const PAGE: &str = include_str!("../../../web/docs.html");
const SCRIPT: &str = include_str!("../../../web/docs.js");

/// Made once: it is the same for every request.
static DOCUMENT: LazyLock<String> =
    LazyLock::new(|| api::document(&super::operations()).to_string());
/// The same where CompreFace's API is spoken.
static WITH_COMPREFACE: LazyLock<String> =
    LazyLock::new(|| api::document(&super::operations_with_compreface()).to_string());

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/openapi.json", "openapi", || web::to(document))
            .about("This document.")
            .answers_bare(json!({"openapi": "3.1.0"})),
        Operation::get("/docs", "docs", || web::to(page))
            .about("A page that shows this document and tries operations out.")
            .answers_plain(&["text/html"]),
        Operation::get("/docs.js", "docsScript", || web::to(script))
            .about("A part of that page.")
            .answers_plain(&["text/javascript"]),
    ]
}

async fn document(app: Data<App>) -> HttpResponse {
    let document = match app.config.compreface {
        None => &DOCUMENT,
        Some(_) => &WITH_COMPREFACE,
    };
    HttpResponse::build(StatusCode::OK)
        .content_type(ContentType::json())
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .body(document.as_str())
}

async fn page() -> HttpResponse {
    part(ContentType::html(), PAGE)
}

async fn script() -> HttpResponse {
    part(javascript(), SCRIPT)
}
