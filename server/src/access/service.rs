//! The services of CompreFace, whose keys are UUIDs and belong to one of them: what a request about
//! one must show, and what it may do. Such a key is one of this server's like any other, with its
//! scopes, its collection and its end, and lies in the same file.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::table::needs;
use super::{Asked, Denied, Grant, Ring, lacks};

/// What a key of CompreFace is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Service {
    /// Subjects, their examples, and who is like them.
    Recognition,
    /// Faces of a photo.
    Detection,
    /// Whether two photos are of one person.
    Verification,
}

/// Characters of the shortest way to write a UUID that CompreFace takes.
const UUID_CHARS: usize = 36;

impl Service {
    /// The one that a path is about.
    pub(crate) fn of(template: &str) -> Option<Self> {
        let rest = template.strip_prefix("/api/v1/")?;
        match rest.split('/').next()? {
            "recognition" => Some(Self::Recognition),
            "detection" => Some(Self::Detection),
            "verification" => Some(Self::Verification),
            _ => None,
        }
    }

    /// As its messages have it.
    pub(crate) fn title(self) -> &'static str {
        match self {
            Self::Recognition => "Recognition",
            Self::Detection => "Detection",
            Self::Verification => "Verification",
        }
    }
}

/// What a request about a service may do. The key is asked for by a server without keys too, as
/// CompreFace does; then any will do.
pub(super) fn judge(ring: &Ring, service: Service, asked: &Asked<'_>) -> Result<Grant, Denied> {
    let shown = asked.headers.get("x-api-key").ok_or(Denied::Missing)?;
    let shown = shown.to_str().map_err(|_| Denied::NotUuid)?;
    let id = Uuid::try_parse(shown).map_err(|_| Denied::NotUuid)?;
    if shown.len() < UUID_CHARS {
        return Err(Denied::NotUuid);
    }
    if ring.is_open() {
        return Ok(Grant::everything());
    }
    let lower = id.hyphenated().to_string();
    let key = ring
        .find(shown.as_bytes())
        .or_else(|| ring.find(lower.as_bytes()));
    let key = key.ok_or(Denied::Wrong)?;
    if key.service.is_some_and(|own| own != service) {
        return Err(Denied::Wrong);
    }
    if key.has_expired() {
        return Err(Denied::Expired);
    }
    if key.limits.is_everything() {
        return Ok(Grant::by(key));
    }
    if key.service.is_none() {
        return Err(Denied::Wrong);
    }
    let needs = asked.template.and_then(|it| needs(asked.method, it));
    // A method that nobody serves is told by the one who would have.
    for scope in needs.map_or(&[][..], |needs| needs.scopes) {
        if !key.limits.has(*scope) {
            return Err(lacks(&key, *scope));
        }
    }
    Ok(Grant::by(key))
}

#[cfg(test)]
mod tests {
    use actix_web::http::Method;
    use actix_web::http::header::{HeaderMap, HeaderName};

    use super::*;
    use crate::access::{Limits, Scope};

    const SUBJECTS: &str = "/api/v1/recognition/subjects";

    fn judged(ring: &Ring, template: &str, key: &str) -> Result<(), Denied> {
        let name = HeaderName::from_static("x-api-key");
        let headers: HeaderMap = [(name, key.parse().unwrap())].into_iter().collect();
        let asked = Asked {
            method: &Method::GET,
            path: template,
            template: Some(template),
            headers: &headers,
        };
        super::super::judge(ring, &asked).map(drop)
    }

    fn limits(scope: Scope, expires_at: Option<u64>) -> Limits {
        Limits {
            scopes: [scope].into(),
            collections: None,
            expires_at,
        }
    }

    #[test]
    fn a_key_is_good_for_its_own_service_alone_however_its_letters_are_written() {
        let ring = Ring::of_settings(Some("the-root-key"), None);
        let made = |service| {
            let made = ring.add("one", limits(Scope::Read, None), service, None);
            made.unwrap().0
        };
        let (own, other) = (Service::Recognition, Service::Detection);
        let (good, bad, plain) = (made(Some(own)), made(Some(other)), made(None));
        assert_eq!(judged(&ring, SUBJECTS, &good), Ok(()));
        assert_eq!(judged(&ring, SUBJECTS, &good.to_uppercase()), Ok(()));
        assert_eq!(judged(&ring, SUBJECTS, &bad), Err(Denied::Wrong));
        assert_eq!(judged(&ring, SUBJECTS, &plain), Err(Denied::NotUuid));
        let nobodys = Uuid::new_v4().to_string();
        assert_eq!(judged(&ring, SUBJECTS, &nobodys), Err(Denied::Wrong));
        let short = good.replace('-', "");
        assert_eq!(judged(&ring, SUBJECTS, &short), Err(Denied::NotUuid));
        let detect = "/api/v1/detection/detect";
        assert_eq!(judged(&ring, detect, &good), Err(Denied::Wrong));
    }

    #[test]
    fn a_key_that_has_expired_or_lacks_a_scope_is_none() {
        let ring = Ring::of_settings(Some("the-root-key"), None);
        let made = |scope, end| {
            let made = ring.add("one", limits(scope, end), Some(Service::Recognition), None);
            made.unwrap().0
        };
        let late = made(Scope::Read, Some(1));
        assert_eq!(judged(&ring, SUBJECTS, &late), Err(Denied::Expired));
        let blind = made(Scope::Write, None);
        let judged = judged(&ring, SUBJECTS, &blind);
        assert!(matches!(judged, Err(Denied::Forbidden(_))), "{judged:?}");
    }

    #[test]
    fn the_key_of_the_settings_is_good_for_all_if_it_is_a_uuid() {
        let root = Uuid::new_v4().to_string().to_uppercase();
        let ring = Ring::of_settings(Some(&root), None);
        for template in [
            SUBJECTS,
            "/api/v1/detection/detect",
            "/api/v1/verification/verify",
        ] {
            assert_eq!(judged(&ring, template, &root), Ok(()));
        }
    }
}
