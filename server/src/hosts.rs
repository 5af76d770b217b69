//! Under which name a server is asked. One without a key trusts all who can connect, and so does the
//! browser of somebody on this machine whom a web page sends here: by a name of the page's own that leads
//! to this address (DNS rebinding), for its browser takes that for the page's own server. A name that
//! nobody has allowed is refused therefore; where a key is asked for, such a page has none.

use actix_web::http::Uri;
use actix_web::http::header::{self, HeaderMap};
use config::Hosts;

use crate::refusal::Refusal;

/// Characters of a name that are told.
const TOLD: usize = 80;

/// Host and port that a request is for, by its target or else its header (RFC 9110, 7.2). HTTP/2 has
/// them in the target, HTTP/1.1 in the header.
pub(crate) fn of<'a>(uri: &'a Uri, headers: &'a HeaderMap) -> Option<&'a str> {
    let authority = uri.authority().map(|it| it.as_str());
    authority.or_else(|| {
        let header = headers.get(header::HOST)?;
        Some(header.to_str().unwrap_or_default())
    })
}

/// Refuses names that nobody has allowed. Clients that say none are no browsers.
pub(crate) fn check(allowed: &Hosts, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(host) = of(uri, headers) else {
        return Ok(());
    };
    if allowed.allow(without_port(host)) {
        return Ok(());
    }
    let told: String = host.chars().take(TOLD).collect();
    Err(Refusal::forbidden(format!(
        "a server without an API key is asked as localhost or by an address, not as `{told}`: list that \
         name in server.hosts (DOPPEL_SERVER__HOSTS), or set an api_key (DOPPEL_API_KEY)"
    )))
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::header::HeaderValue;

    use super::*;

    fn checked(uri: &'static str, host: Option<&'static str>) -> Result<(), Refusal> {
        let mut headers = HeaderMap::new();
        if let Some(host) = host {
            headers.insert(header::HOST, HeaderValue::from_static(host));
        }
        let allowed = Hosts::Listed(vec!["faces.lan".to_owned()]);
        check(&allowed, &Uri::from_static(uri), &headers)
    }

    #[test]
    fn the_name_is_that_of_the_target_or_else_of_the_header() {
        for fine in [
            "localhost",
            "localhost:6333",
            "127.0.0.1:6333",
            "[::1]:6333",
            "[::1]",
            "faces.lan:1",
        ] {
            assert!(checked("/collections", Some(fine)).is_ok(), "{fine}");
        }
        for other in [
            "",
            "evil.example:6333",
            "evil.example",
            "localhost:x",
            "::1",
            "localhost@evil.example",
        ] {
            assert!(checked("/collections", Some(other)).is_err(), "{other}");
        }
        assert!(checked("/collections", None).is_ok());
        assert!(checked("https://evil.example/a", Some("localhost")).is_err());
        assert!(checked("https://localhost:1/a", Some("evil.example")).is_ok());
    }
}
