//! Endpoints of the dialect that doppel does not have. They are known, so that a client is told by
//! name what is missing, and not that it has mistyped a path.

use actix_web::http::Method;
use actix_web::{HttpRequest, web};

use crate::api::Operation;
use crate::refusal::Refusal;

const COLLECTION: &str = "shards: this server is one node and keeps each collection whole";
const CLUSTER: &str = "clusters: this server is one node";
const DISCOVERY: &str = "discovery: recommend with `positive` and `negative` examples instead";
const MATRIX: &str = "distance matrices: ask for the neighbours of each point with `query/batch`";

/// Method, path, and what is missing.
const REFUSED: &[(Method, &str, &str)] = &[
    (
        Method::POST,
        "/collections/{collection}/points/discover",
        DISCOVERY,
    ),
    (
        Method::POST,
        "/collections/{collection}/points/discover/batch",
        DISCOVERY,
    ),
    (
        Method::POST,
        "/collections/{collection}/points/search/matrix/pairs",
        MATRIX,
    ),
    (
        Method::POST,
        "/collections/{collection}/points/search/matrix/offsets",
        MATRIX,
    ),
    (
        Method::POST,
        "/collections/{collection}/cluster",
        COLLECTION,
    ),
    (Method::GET, "/collections/{collection}/shards", COLLECTION),
    (Method::PUT, "/collections/{collection}/shards", COLLECTION),
    (
        Method::POST,
        "/collections/{collection}/shards/delete",
        COLLECTION,
    ),
    (
        Method::GET,
        "/collections/{collection}/shards/{shard}/snapshots",
        COLLECTION,
    ),
    (
        Method::POST,
        "/collections/{collection}/shards/{shard}/snapshots",
        COLLECTION,
    ),
    (
        Method::PUT,
        "/collections/{collection}/shards/{shard}/snapshots/recover",
        COLLECTION,
    ),
    (
        Method::POST,
        "/collections/{collection}/shards/{shard}/snapshots/upload",
        COLLECTION,
    ),
    (
        Method::GET,
        "/collections/{collection}/shards/{shard}/snapshots/{name}",
        COLLECTION,
    ),
    (
        Method::DELETE,
        "/collections/{collection}/shards/{shard}/snapshots/{name}",
        COLLECTION,
    ),
    (
        Method::GET,
        "/collections/{collection}/optimizations",
        "optimizations to wait for: everything is indexed as it is written",
    ),
    (Method::POST, "/cluster/recover", CLUSTER),
    (Method::DELETE, "/cluster/peer/{peer}", CLUSTER),
    (Method::GET, "/cluster/telemetry", CLUSTER),
    (
        Method::DELETE,
        "/issues",
        "issues to clear: they go when their cause does",
    ),
    (
        Method::GET,
        "/locks",
        "locks: writing stops only when the disk fails",
    ),
    (
        Method::POST,
        "/locks",
        "locks: writing stops only when the disk fails",
    ),
];

/// All of them; they are mounted like others, and not in the document.
pub(super) fn operations() -> Vec<Operation> {
    let refused = REFUSED.iter();
    refused
        .map(|(method, path, _)| Operation::refused(method.clone(), path, || web::to(refuse)))
        .collect()
}

/// Whether this is one of them.
pub(super) fn is_known(method: &Method, path: &str) -> bool {
    let head = *method == Method::HEAD;
    let mut known = REFUSED.iter();
    known.any(|(of, at, _)| *at == path && (of == method || head && *of == Method::GET))
}

async fn refuse(request: HttpRequest) -> Result<String, Refusal> {
    let pattern = request.match_pattern().unwrap_or_default();
    let known = REFUSED.iter().find(|(method, path, _)| {
        let head = request.method() == Method::HEAD && *method == Method::GET;
        (method == request.method() || head) && *path == pattern
    });
    let what = known.map_or("such things", |(_, _, what)| what);
    let method = request.method();
    Err(Refusal::unsupported(format!(
        "{method} {pattern} is not supported. There are no {what}"
    )))
}
