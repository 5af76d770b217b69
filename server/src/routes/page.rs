//! `GET /`: the page for people, the version for programs; and the page's parts. All of it lies in
//! the binary, and the browser is told to load nothing else.

use actix_web::http::header::{self, ContentType};
use actix_web::web::Path;
use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::json;

use crate::api::Operation;
use crate::refusal::Refusal;

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
        of_page("/web/{file}", "pageScript", || web::to(script))
            .answers_plain(&["text/javascript"])
            .refuses(&[404]),
        of_page("/style.css", "pageStyle", || web::to(style)).answers_plain(&["text/css"]),
        of_page("/favicon.svg", "pageIcon", || web::to(icon)).answers_plain(&["image/svg+xml"]),
    ]
}

/// The level of the dialect that is spoken; stock clients compare it with their own.
const DIALECT: &str = "1.19.0";

const PAGE: &str = include_str!("../../../web/index.html");
/// The page's modules; each is a file of `web/`.
const SCRIPTS: [(&str, &str); 21] = [
    ("add.js", include_str!("../../../web/add.js")),
    ("api.js", include_str!("../../../web/api.js")),
    ("backups.js", include_str!("../../../web/backups.js")),
    ("browse.js", include_str!("../../../web/browse.js")),
    ("camera.js", include_str!("../../../web/camera.js")),
    ("cards.js", include_str!("../../../web/cards.js")),
    ("compare.js", include_str!("../../../web/compare.js")),
    ("console.js", include_str!("../../../web/console.js")),
    ("dom.js", include_str!("../../../web/dom.js")),
    ("jobs.js", include_str!("../../../web/jobs.js")),
    ("look.js", include_str!("../../../web/look.js")),
    ("main.js", include_str!("../../../web/main.js")),
    ("moves.js", include_str!("../../../web/moves.js")),
    ("panels.js", include_str!("../../../web/panels.js")),
    ("person.js", include_str!("../../../web/person.js")),
    ("photo.js", include_str!("../../../web/photo.js")),
    ("settings.js", include_str!("../../../web/settings.js")),
    ("share.js", include_str!("../../../web/share.js")),
    ("strings.js", include_str!("../../../web/strings.js")),
    ("troubles.js", include_str!("../../../web/troubles.js")),
    ("undo.js", include_str!("../../../web/undo.js")),
];
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

async fn script(file: Path<String>) -> Result<HttpResponse, Refusal> {
    let text = SCRIPTS.iter().find(|(name, _)| *name == file.as_str());
    let (_, text) = text.ok_or_else(|| Refusal::not_found("the page has no such part"))?;
    Ok(part(javascript(), text))
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
