//! What each route needs. A test fails when a route is missing here; until then it takes the key of
//! the settings.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::Method;

use super::scope::Scope;

/// What a request about a path has to be allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Needs {
    pub(crate) scopes: &'static [Scope],
    pub(crate) reach: Reach,
    open: bool,
}

/// Which collections a request is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// None, or only those that the key is for.
    None,
    /// The one that stands in its path.
    Named,
    /// All that there are.
    All,
}

impl Needs {
    /// Anyone may, without a key: probes, the page (which asks for the key), what the API is.
    pub(crate) const OPEN: Self = Self {
        scopes: &[],
        reach: Reach::None,
        open: true,
    };
}

/// A method, and a path or what follows a path's start.
type Row = (&'static str, &'static str);
/// Routes that need the same.
type Group = (&'static [Scope], &'static [Row]);

const OPEN: [&str; 9] = [
    "/api/v1/config",
    "/api/v1/consistence/status",
    "/",
    "/docs",
    "/openapi.json",
    "/healthz",
    "/livez",
    "/readyz",
    "/web/{file}",
];

/// Anyone may learn that these are off.
const OFF: [Row; 2] = [
    ("POST", "/api/v1/migrate"),
    ("GET", "/api/v1/static/{api_key}/images/{id}"),
];
/// Of one collection, and of all of them.
const SNAPSHOTS: [Row; 6] = [
    ("GET", "/snapshots"),
    ("POST", "/snapshots"),
    ("PUT", "/snapshots/recover"),
    ("POST", "/snapshots/upload"),
    ("GET", "/snapshots/{name}"),
    ("DELETE", "/snapshots/{name}"),
];

/// About one collection, by its name in the path.
const NAMED: [Group; 6] = [
    (
        &[Scope::Search],
        &[
            ("POST", "/faces/search"),
            ("POST", "/points/query"),
            ("POST", "/points/query/batch"),
            ("POST", "/points/query/groups"),
            ("POST", "/points/recommend"),
            ("POST", "/points/recommend/batch"),
            ("POST", "/points/recommend/groups"),
            ("POST", "/points/search"),
            ("POST", "/points/search/batch"),
            ("POST", "/points/search/groups"),
            ("POST", "/tune"),
        ],
    ),
    (
        &[Scope::Read],
        &[
            ("GET", ""),
            ("GET", "/aliases"),
            ("GET", "/cluster"),
            ("GET", "/exists"),
            ("POST", "/facet"),
            ("GET", "/faces"),
            ("GET", "/faces/{id}"),
            ("GET", "/people"),
            ("POST", "/points"),
            ("POST", "/points/count"),
            ("POST", "/points/scroll"),
            ("GET", "/points/{id}"),
        ],
    ),
    (
        &[Scope::Write],
        &[
            ("PUT", ""),
            ("PATCH", ""),
            ("POST", "/faces"),
            ("PATCH", "/faces/{id}"),
            ("PATCH", "/people"),
            ("POST", "/people/rename"),
            ("PUT", "/index"),
            ("PUT", "/points"),
            ("POST", "/points/batch"),
            ("POST", "/points/payload"),
            ("PUT", "/points/payload"),
            ("POST", "/points/payload/clear"),
            ("POST", "/points/payload/delete"),
            ("PUT", "/points/vectors"),
            ("PUT", "/vectors/{vector}"),
        ],
    ),
    (
        &[Scope::Delete],
        &[
            ("DELETE", ""),
            ("DELETE", "/faces"),
            ("POST", "/faces/delete"),
            ("DELETE", "/faces/{id}"),
            ("DELETE", "/index/{key}"),
            ("POST", "/points/delete"),
            ("POST", "/points/vectors/delete"),
            ("DELETE", "/vectors/"),
            ("DELETE", "/vectors/{vector}"),
        ],
    ),
    (&[Scope::Images], &[("GET", "/faces/{id}/image")]),
    (&[Scope::Jobs], &SNAPSHOTS),
];

/// About no collection, or only about those that a key is for.
const OF_NONE: [Group; 5] = [
    (
        &[Scope::Search],
        &[("POST", "/faces/compare"), ("POST", "/faces/detect")],
    ),
    (
        &[Scope::Search, Scope::Embeddings],
        &[("POST", "/faces/embed")],
    ),
    (
        &[Scope::Read],
        &[
            ("GET", "/cluster"),
            ("GET", "/collections"),
            ("GET", "/faces/models"),
            ("GET", "/issues"),
        ],
    ),
    // Only those of the key's collections: who may begin a job may look at it and end it.
    (
        &[Scope::Jobs],
        &[
            ("GET", "/admin/jobs"),
            ("GET", "/admin/jobs/{job}"),
            ("DELETE", "/admin/jobs/{job}"),
        ],
    ),
    (
        &[Scope::Keys],
        &[
            ("GET", "/admin/keys"),
            ("POST", "/admin/keys"),
            ("DELETE", "/admin/keys/{key_id}"),
        ],
    ),
];

/// About all collections.
const OF_ALL: [Group; 5] = [
    (
        &[Scope::Read],
        &[("GET", "/aliases"), ("GET", "/telemetry")],
    ),
    (&[Scope::Write], &[("POST", "/collections/aliases")]),
    (
        &[Scope::Jobs],
        &[("POST", "/admin/checkpoint"), ("POST", "/admin/jobs")],
    ),
    (&[Scope::Jobs], &SNAPSHOTS),
    (&[Scope::Metrics], &[("GET", "/metrics")]),
];

/// Work of operators on one collection.
const ADMIN_NAMED: [Group; 1] = [(
    &[Scope::Jobs],
    &[
        ("GET", "/checksum"),
        ("POST", "/cluster"),
        ("POST", "/jobs"),
        ("POST", "/purge"),
        ("POST", "/reindex"),
        ("POST", "/reembed"),
        ("DELETE", "/reembed"),
    ],
)];

/// CompreFace's API. Which collection it is about, the key or the settings say.
const COMPREFACE: [Group; 5] = [
    (
        &[Scope::Search],
        &[
            ("POST", "/detection/detect"),
            ("POST", "/recognition/embeddings/faces/{id}/verify"),
            ("POST", "/recognition/embeddings/recognize"),
            ("POST", "/recognition/faces/{id}/verify"),
            ("POST", "/recognition/recognize"),
            ("POST", "/verification/embeddings/verify"),
            ("POST", "/verification/verify"),
        ],
    ),
    (
        &[Scope::Read],
        &[
            ("GET", "/recognition/faces"),
            ("GET", "/recognition/subjects"),
            ("GET", "/recognition/subjects/"),
        ],
    ),
    (
        &[Scope::Write],
        &[
            ("POST", "/recognition/faces"),
            ("POST", "/recognition/subjects"),
            ("PUT", "/recognition/subjects/{subject}"),
        ],
    ),
    (
        &[Scope::Delete],
        &[
            ("DELETE", "/recognition/faces"),
            ("DELETE", "/recognition/faces/{id}"),
            ("POST", "/recognition/faces/delete"),
            ("DELETE", "/recognition/subjects"),
            ("DELETE", "/recognition/subjects/{subject}"),
        ],
    ),
    (&[Scope::Images], &[("GET", "/recognition/faces/{id}/img")]),
];

static TABLE: LazyLock<HashMap<String, Needs>> = LazyLock::new(|| {
    let parts: [(&str, Reach, &'static [Group]); 5] = [
        ("/collections/{collection}", Reach::Named, &NAMED),
        (
            "/admin/collections/{collection}",
            Reach::Named,
            &ADMIN_NAMED,
        ),
        ("/api/v1", Reach::None, &COMPREFACE),
        ("", Reach::None, &OF_NONE),
        ("", Reach::All, &OF_ALL),
    ];
    let mut table = HashMap::new();
    for (start, reach, groups) in parts {
        for (scopes, rows) in groups {
            for (method, rest) in *rows {
                let needs = Needs {
                    scopes,
                    reach,
                    open: false,
                };
                table.insert(format!("{method} {start}{rest}"), needs);
            }
        }
    }
    table
});

/// What a method of a path needs; nothing if nobody has said.
pub(crate) fn needs(method: &Method, template: &str) -> Option<Needs> {
    let method = match method.as_str() {
        "HEAD" => "GET",
        other => other,
    };
    if method == "GET" && (OPEN.contains(&template) || is_part_of_the_page(template)) {
        return Some(Needs::OPEN);
    }
    if OFF.contains(&(method, template)) {
        return Some(Needs::OPEN);
    }
    TABLE.get(&format!("{method} {template}")).copied()
}

/// Scripts, styles and pictures that lie in the binary.
fn is_part_of_the_page(template: &str) -> bool {
    let kinds = [".js", ".css", ".svg", ".png", ".webmanifest"];
    !template.contains('{') && kinds.iter().any(|kind| template.ends_with(kind))
}
