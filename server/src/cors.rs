//! Web pages of other origins (CORS). A browser names the page that a request comes from; only our
//! own page may ask, and those that the settings list. A form of any other one could otherwise put
//! faces into a database on the visitor's machine.

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, Uri};
use config::Origins;

use crate::hosts;
use crate::refusal::Refusal;

/// Where a request comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// No page of another origin.
    Ours,
    /// A page that the settings allow.
    Allowed(HeaderValue),
}

/// Refuses pages that nobody has allowed.
pub(crate) fn check(allowed: &Origins, uri: &Uri, headers: &HeaderMap) -> Result<Origin, Refusal> {
    let Some(value) = headers.get(header::ORIGIN) else {
        return Ok(Origin::Ours);
    };
    let host = hosts::of(uri, headers).unwrap_or_default();
    let origin = value.to_str().unwrap_or_default();
    match origin.split_once("://") {
        Some((_, from)) if from.eq_ignore_ascii_case(host) => Ok(Origin::Ours),
        Some(_) if allowed.allow(origin) => Ok(Origin::Allowed(value.clone())),
        _ => Err(Refusal::forbidden(
            "requests from web pages of another origin are not served (server.cors_origins)",
        )),
    }
}

/// Whether a browser asks what it may ask. It does so without the API key.
pub(crate) fn is_preflight(method: &Method, headers: &HeaderMap) -> bool {
    method == Method::OPTIONS && headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD)
}

/// The answer to that.
pub(crate) fn preflight() -> HttpResponse {
    let names = "content-type, api-key, x-api-key, authorization, x-request-id, if-none-match, x-doppel-lsn";
    HttpResponse::NoContent()
        .insert_header((
            header::ACCESS_CONTROL_ALLOW_METHODS,
            "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS",
        ))
        .insert_header((header::ACCESS_CONTROL_ALLOW_HEADERS, names))
        .insert_header((header::ACCESS_CONTROL_MAX_AGE, "600"))
        .finish()
}

/// Lets the page see the answer.
pub(crate) fn open(origin: Origin, headers: &mut HeaderMap) {
    let Origin::Allowed(origin) = origin else {
        return;
    };
    headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    headers.append(header::VARY, HeaderValue::from_static("origin"));
    headers.insert(
        header::ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static("x-request-id, retry-after, etag, x-doppel-lsn"),
    );
    // Not among the standard names of the crate: a page on the internet asks a private network.
    headers.insert(
        HeaderName::from_static("access-control-allow-private-network"),
        HeaderValue::from_static("true"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(origin: &'static str, allowed: &Origins) -> Result<Origin, Refusal> {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, HeaderValue::from_static("a:6333"));
        headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
        check(allowed, &Uri::from_static("/"), &headers)
    }

    #[test]
    fn our_own_page_and_those_that_are_listed_may_ask_and_no_others() {
        let none = Origins::Listed(Vec::new());
        let one = Origins::Listed(vec!["http://b:1".to_owned()]);
        let unsaid = check(&none, &Uri::from_static("/"), &HeaderMap::new());
        assert_eq!(unsaid.unwrap(), Origin::Ours);
        // As HTTP/2 has it.
        let mut headers = HeaderMap::new();
        headers.insert(header::ORIGIN, HeaderValue::from_static("https://a:6333"));
        let of = |uri| check(&none, &Uri::from_static(uri), &headers);
        assert_eq!(of("https://a:6333/faces").unwrap(), Origin::Ours);
        assert!(of("https://b:6333/faces").is_err());
        assert_eq!(from("http://a:6333", &none).unwrap(), Origin::Ours);
        assert!(matches!(from("http://b:1", &one), Ok(Origin::Allowed(_))));
        assert!(from("http://c:1", &Origins::Any).is_ok());
        for origin in [
            "http://b:6333",
            "http://a",
            "http://b",
            "https://b:1",
            "null",
            "",
        ] {
            assert!(from(origin, &one).is_err(), "{origin}");
        }
    }
}
