//! What is done about a request about a sharded collection.
//!
//! Invariant: none reaches a handler that takes the collection for a whole one, whose points would be
//! missing: what is not in the table here is refused.

use actix_web::dev::{ServiceRequest, Url};
use actix_web::http::Method;

use super::Sharded;
use crate::access;
use crate::app::App;
use crate::refusal::Refusal;

const COLLECTION: &str = "/collections/{collection}";

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By the entry alone.
    Entry,
    Describe,
    /// Of one point.
    Point,
    Points,
    Upsert,
    /// A write about points that it names, who need not be there, or that a filter chooses.
    Write,
    /// A write about points that it names, all of whom must be there, or that a filter chooses.
    Change,
    /// A write of all shards.
    Everywhere,
    Query,
    Search,
    Count,
    Scroll,
}

/// Methods and what follows the collection in a path.
const WAYS: [(&str, &str, Way); 20] = [
    ("GET", "", Way::Describe),
    ("PUT", "", Way::Entry),
    ("DELETE", "", Way::Entry),
    ("GET", "/exists", Way::Entry),
    ("GET", "/points/{id}", Way::Point),
    ("POST", "/points", Way::Points),
    ("PUT", "/points", Way::Upsert),
    ("POST", "/points/delete", Way::Write),
    ("PUT", "/points/vectors", Way::Change),
    ("POST", "/points/vectors/delete", Way::Write),
    ("POST", "/points/payload", Way::Change),
    ("PUT", "/points/payload", Way::Change),
    ("POST", "/points/payload/delete", Way::Change),
    ("POST", "/points/payload/clear", Way::Change),
    ("PUT", "/index", Way::Everywhere),
    ("DELETE", "/index/{key}", Way::Everywhere),
    ("POST", "/points/query", Way::Query),
    ("POST", "/points/search", Way::Search),
    ("POST", "/points/count", Way::Count),
    ("POST", "/points/scroll", Way::Scroll),
];

/// The sharded collection that a request is about, and what is done about it.
pub(super) fn about(
    app: &App,
    request: &ServiceRequest,
) -> Result<Option<(String, Sharded, Way)>, Refusal> {
    let Some(template) = request.match_pattern() else {
        return Ok(None);
    };
    if app.config.nats.is_none() || super::is_between_nodes(app, request) {
        return Ok(None);
    }
    // As handlers read it, without escapes.
    let path = Url::new(request.uri().clone());
    let Some(name) = access::collection(&template, path.path()) else {
        return Ok(None);
    };
    let Some(sharded) = super::of(app, name)? else {
        return Ok(None);
    };
    let way = template.strip_prefix(COLLECTION).and_then(|rest| {
        let method = match *request.method() {
            Method::HEAD => "GET",
            ref method => method.as_str(),
        };
        let mut ways = WAYS.iter();
        ways.find(|(of, path, _)| *of == method && *path == rest)
    });
    match way {
        Some((_, _, way)) => Ok(Some((name.to_owned(), sharded, *way))),
        None if *request.method() == Method::OPTIONS => Ok(None),
        None => Err(not_there(name, &format!("{} {template}", request.method()))),
    }
}

pub(super) fn not_there(name: &str, what: &str) -> Refusal {
    Refusal::unsupported(format!(
        "the collection `{name}` is spread over shards, and {what} is not there for such ones yet: \
         docs/SCALING.md says what is"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_is_one_of_a_route() {
        for (method, rest, _) in WAYS {
            let (method, path) = (method.parse().unwrap(), format!("{COLLECTION}{rest}"));
            assert!(access::needs(&method, &path).is_some(), "{method} {path}");
        }
    }
}
