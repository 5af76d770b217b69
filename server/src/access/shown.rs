//! The key that a request shows.

use actix_web::http::header::{self, HeaderMap};

/// From the header `api-key`, or else `Authorization: Bearer`.
pub(super) fn key(headers: &HeaderMap) -> Option<&[u8]> {
    if let Some(key) = headers.get("api-key") {
        return Some(key.as_bytes());
    }
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, key) = value.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then_some(key)
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
    fn the_key_is_read_from_either_header() {
        for pair in [
            ("api-key", "abc"),
            ("authorization", "Bearer abc"),
            ("authorization", "bearer abc"),
        ] {
            assert_eq!(key(&headers(&[pair])), Some(b"abc".as_slice()), "{pair:?}");
        }
        assert_eq!(key(&headers(&[("authorization", "Basic abc")])), None);
        assert_eq!(key(&headers(&[("authorization", "Bear")])), None);
    }
}
