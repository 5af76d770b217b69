//! Who may ask. With an API key in the settings every request must show it, but for the page, the
//! documents and the probes.

use actix_web::http::header::{self, HeaderMap};
use actix_web::{HttpResponse, http::StatusCode};
use config::ApiKey;

/// Paths that answer without a key: probes, the page (which asks for the key) and its parts, and
/// what the API is.
const OPEN: [&str; 9] = [
    "/",
    "/style.css",
    "/favicon.svg",
    "/docs",
    "/docs.js",
    "/openapi.json",
    "/healthz",
    "/livez",
    "/readyz",
];

/// Where the modules of the page are.
const PARTS: &str = "/web/";

/// Why a request may not be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Denied {
    Missing,
    Wrong,
}

impl Denied {
    /// The word for the metric.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Wrong => "wrong",
        }
    }

    /// Clients of the dialect expect this one answer as plain text.
    pub(crate) fn response(self) -> HttpResponse {
        let text = match self {
            Self::Missing => "this server wants an API key: header `api-key` or `Authorization`",
            Self::Wrong => "this is not the server's API key",
        };
        HttpResponse::build(StatusCode::UNAUTHORIZED)
            .insert_header((header::WWW_AUTHENTICATE, "Bearer"))
            .content_type("text/plain; charset=utf-8")
            .body(text)
    }
}

/// Whether a request shows the key.
pub(crate) fn check(key: Option<&ApiKey>, path: &str, headers: &HeaderMap) -> Result<(), Denied> {
    let Some(key) = key else { return Ok(()) };
    if OPEN.contains(&path) || path.starts_with(PARTS) {
        return Ok(());
    }
    let shown = shown(headers).ok_or(Denied::Missing)?;
    if same(shown, key.as_str().as_bytes()) {
        Ok(())
    } else {
        Err(Denied::Wrong)
    }
}

fn shown(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("api-key") {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
}

/// Takes as long for a wrong key as for the right one; only the length can be learnt.
fn same(left: &[u8], right: &[u8]) -> bool {
    let differing = left.iter().zip(right).fold(0, |sum, (a, b)| sum | (a ^ b));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::{HeaderName, HeaderValue};

    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| {
            let name = HeaderName::from_static(name);
            (name, HeaderValue::from_static(value))
        });
        pairs.collect()
    }

    #[test]
    fn equal_keys_are_the_same_and_no_others() {
        assert!(same(b"secret-key", b"secret-key"));
        for other in ["secret-kez", "secret-ke", "secret-keyy", "", "Secret-key"] {
            assert!(!same(other.as_bytes(), b"secret-key"), "{other}");
        }
    }

    #[test]
    fn the_key_is_read_from_either_header() {
        for pair in [
            ("api-key", "abc"),
            ("authorization", "Bearer abc"),
            ("authorization", "bearer abc"),
        ] {
            assert_eq!(
                shown(&headers(&[pair])),
                Some(b"abc".as_slice()),
                "{pair:?}"
            );
        }
        assert_eq!(shown(&headers(&[("authorization", "Basic abc")])), None);
        assert_eq!(shown(&headers(&[("authorization", "Bear")])), None);
    }
}
