//! `GET /`: the page for people, the version for programs; and the page's parts. All of it lies in
//! the binary, and the browser is told to load nothing else.

use actix_web::http::header::{self, ContentType};
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::api::Operation;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let of_page = |path, id, route| {
        let operation = Operation::get(path, id, route);
        operation.about("A part of the page.")
    };
    vec![
        Operation::get("/", "root", || web::to(root))
            .about("The version for programs; the page for browsers.")
            .answers_bare_or(
                json!({"title": "doppel", "version": DIALECT}),
                &["text/html"],
            ),
        of_page("/app.js", "pageScript", || web::to(script)).answers_plain(&["text/javascript"]),
        of_page("/style.css", "pageStyle", || web::to(style)).answers_plain(&["text/css"]),
        of_page("/favicon.svg", "pageIcon", || web::to(icon)).answers_plain(&["image/svg+xml"]),
    ]
}

/// The level of the dialect that is spoken; stock clients compare it with their own.
const DIALECT: &str = "1.19.0";

const PAGE: &str = include_str!("../../../web/index.html");
const SCRIPT: &str = include_str!("../../../web/app.js");
const STYLE: &str = include_str!("../../../web/style.css");
const ICON: &str = include_str!("../../../web/favicon.svg");

const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
     img-src 'self' blob:; connect-src 'self'; form-action 'none'; base-uri 'none'; \
     frame-ancestors 'none'";

async fn root(request: HttpRequest) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT);
    let accept = accept.and_then(|value| value.to_str().ok()).unwrap_or("");
    if accept.contains("text/html") {
        return part(ContentType::html(), PAGE);
    }
    HttpResponse::Ok()
        .insert_header((header::VARY, "accept"))
        .json(json!({
            "title": "doppel, an embedded vector database for faces",
            "version": DIALECT,
            "doppel_version": env!("CARGO_PKG_VERSION"),
        }))
}

async fn script() -> HttpResponse {
    part(javascript(), SCRIPT)
}

async fn style() -> HttpResponse {
    part(
        ContentType("text/css; charset=utf-8".parse().expect(MIME)),
        STYLE,
    )
}

async fn icon() -> HttpResponse {
    part(ContentType("image/svg+xml".parse().expect(MIME)), ICON)
}

const MIME: &str = "a content type that is written here is one";

pub(super) fn javascript() -> ContentType {
    ContentType("text/javascript; charset=utf-8".parse().expect(MIME))
}

pub(super) fn part(content_type: ContentType, text: &'static str) -> HttpResponse {
    HttpResponse::Ok()
        .insert_header(content_type)
        .insert_header((header::VARY, "accept"))
        .insert_header((header::CACHE_CONTROL, "no-cache"))
        .insert_header((header::CONTENT_SECURITY_POLICY, POLICY))
        .insert_header((header::REFERRER_POLICY, "no-referrer"))
        .body(text)
}
