//! Who may do what. The key of the settings may do everything; others, made over REST, have scopes,
//! may end at a time, and may be limited to collections. Without any key the server is open.
//!
//! A request is judged before anything of it is read: by its method, the template of its path and
//! the name of the collection in it. What is only seen later (vectors in an answer, deletes in a
//! batch) is asked of the request's [`Grant`].

mod grant;
mod key;
mod ring;
mod scope;
mod service;
mod shown;
mod table;

use actix_web::HttpResponse;
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};

pub(crate) use grant::Grant;
pub(crate) use key::{Key, Limits};
pub(crate) use ring::{NotMade, Ring};
pub(crate) use scope::Scope;
pub(crate) use service::Service;
pub(crate) use table::{Needs, Reach, needs};

/// Why a request may not be served.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Denied {
    Missing,
    /// It is not of the shape that keys of CompreFace have.
    NotUuid,
    Wrong,
    Expired,
    /// The key is good, but not for this.
    Forbidden(String),
}

impl Denied {
    /// The word for the metric.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::NotUuid | Self::Wrong => "wrong",
            Self::Expired => "expired",
            Self::Forbidden(_) => "forbidden",
        }
    }

    /// The status, and why.
    pub(crate) fn told(&self) -> (StatusCode, &str) {
        let text = match self {
            Self::Missing => "this server wants an API key: header `api-key` or `Authorization`",
            Self::NotUuid | Self::Wrong => "this is not one of the server's API keys",
            Self::Expired => "this API key has expired",
            Self::Forbidden(why) => why,
        };
        let status = match self {
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            _ => StatusCode::UNAUTHORIZED,
        };
        (status, text)
    }

    /// Clients of the dialect expect this one answer as plain text.
    pub(crate) fn response(&self) -> HttpResponse {
        let (status, text) = self.told();
        let mut response = HttpResponse::build(status);
        if status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response
            .content_type("text/plain; charset=utf-8")
            .body(text.to_owned())
    }
}

/// What of a request says whether it may be served.
pub(crate) struct Asked<'a> {
    pub(crate) method: &'a Method,
    /// The path as it came.
    pub(crate) path: &'a str,
    /// The path with names in braces; nothing if there is nothing at it.
    pub(crate) template: Option<&'a str>,
    pub(crate) headers: &'a HeaderMap,
}

/// Whether this is for everyone: probes, and the page.
pub(crate) fn is_open(method: &Method, template: &str) -> bool {
    needs(method, template) == Some(Needs::OPEN)
}

/// Whether what this asks for may leave more in memory than there was.
pub(crate) fn adds(method: &Method, template: &str) -> bool {
    let none = [
        Scope::Search,
        Scope::Read,
        Scope::Delete,
        Scope::Images,
        Scope::Embeddings,
    ];
    let needs = needs(method, template);
    needs.is_none_or(|needs| needs.scopes.iter().any(|scope| !none.contains(scope)))
}

/// Whether this is asked to know how the server is, or to work on it.
pub(crate) fn is_of_operators(method: &Method, template: &str) -> bool {
    let theirs = [Scope::Metrics, Scope::Jobs, Scope::Keys];
    needs(method, template).is_some_and(|needs| {
        needs == Needs::OPEN || needs.scopes.iter().any(|scope| theirs.contains(scope))
    })
}

/// What a request may do, or why it may do nothing.
pub(crate) fn judge(ring: &Ring, asked: &Asked<'_>) -> Result<Grant, Denied> {
    if let Some(service) = asked.template.and_then(Service::of) {
        return service::judge(ring, service, asked);
    }
    if ring.is_open() {
        return Ok(Grant::everything());
    }
    let needs = asked.template.map(|it| needs(asked.method, it));
    if needs == Some(Some(Needs::OPEN)) {
        return Ok(Grant::nothing());
    }
    let shown = shown::key(asked.headers).ok_or(Denied::Missing)?;
    let key = ring.find(shown).ok_or(Denied::Wrong)?;
    if key.has_expired() {
        return Err(Denied::Expired);
    }
    if key.limits.is_everything() {
        return Ok(Grant::by(key));
    }
    let needs = match needs {
        // There is nothing at the path, which anyone with a key may learn.
        None => return Ok(Grant::by(key)),
        Some(Some(needs)) => needs,
        Some(None) if asked.method == Method::OPTIONS => return Ok(Grant::by(key)),
        Some(None) => return Err(Denied::Forbidden(
            "no scope allows this method of this path; it takes the key of the server's settings"
                .to_owned(),
        )),
    };
    for scope in needs.scopes {
        if !key.limits.has(*scope) {
            return Err(lacks(&key, *scope));
        }
    }
    reaches(&key, needs.reach, asked)?;
    Ok(Grant::by(key))
}

/// Id and name of the key that a request shows, whatever that is good for.
pub(crate) fn known(ring: &Ring, headers: &HeaderMap) -> Option<(String, String)> {
    let find = |shown: &[u8]| ring.find(shown);
    let of_compreface = || {
        let shown = headers.get("x-api-key")?.as_bytes();
        find(shown).or_else(|| find(&shown.to_ascii_lowercase()))
    };
    let key = shown::key(headers).and_then(find).or_else(of_compreface)?;
    Some((key.id.clone(), key.name.clone()))
}

fn lacks(key: &Key, scope: Scope) -> Denied {
    Denied::Forbidden(format!(
        "the key `{}` lacks the scope `{}`",
        key.name,
        scope.word()
    ))
}

/// Whether a key that is limited to collections may ask about these.
fn reaches(key: &Key, reach: Reach, asked: &Asked<'_>) -> Result<(), Denied> {
    let Some(allowed) = &key.limits.collections else {
        return Ok(());
    };
    let named = match reach {
        Reach::None => return Ok(()),
        Reach::Named => asked.template.and_then(|it| collection(it, asked.path)),
        Reach::All => None,
    };
    match named {
        Some(name) if allowed.iter().any(|it| it == name) => Ok(()),
        Some(name) => Err(Denied::Forbidden(format!(
            "the key `{}` is not for the collection `{}`; a name is meant as it stands in the URL",
            key.name,
            name.chars().take(80).collect::<String>()
        ))),
        None => Err(Denied::Forbidden(format!(
            "the key `{}` is for some collections only, and this concerns all of them",
            key.name
        ))),
    }
}

/// The collection's name in a path, as it stands there: one in escapes is nobody's.
pub(crate) fn collection<'a>(template: &str, path: &'a str) -> Option<&'a str> {
    let mut parts = template.split('/').zip(path.split('/'));
    parts
        .find(|(of_template, _)| *of_template == "{collection}")
        .map(|(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::key::Limits;

    fn ring() -> Ring {
        Ring::of_settings(Some("the-root-key"), None)
    }

    fn asked<'a>(
        (method, path, template): (&'a Method, &'a str, &'a str),
        headers: &'a HeaderMap,
    ) -> Asked<'a> {
        Asked {
            method,
            path,
            template: Some(template),
            headers,
        }
    }

    fn with_key(key: &str) -> HeaderMap {
        let name = header::HeaderName::from_static("api-key");
        [(name, key.parse().unwrap())].into_iter().collect()
    }

    const COUNT: &str = "/collections/{collection}/points/count";

    #[test]
    fn a_key_of_one_collection_does_not_reach_another_however_it_is_written() {
        let ring = ring();
        let limits = Limits {
            scopes: [Scope::Read].into(),
            collections: Some(vec!["mine".to_owned()]),
            expires_at: None,
        };
        let (secret, _) = ring.add_in_memory("one", limits);
        let headers = with_key(&secret);
        let judged =
            |path: &str| judge(&ring, &asked((&Method::POST, path, COUNT), &headers)).map(drop);
        assert_eq!(judged("/collections/mine/points/count"), Ok(()));
        for other in ["other", "%6Dine", "mine%20", "", "mine%2f..%2fother"] {
            let path = format!("/collections/{other}/points/count");
            assert!(matches!(judged(&path), Err(Denied::Forbidden(_))), "{path}");
        }
        let all = asked((&Method::GET, "/aliases", "/aliases"), &headers);
        assert!(matches!(judge(&ring, &all), Err(Denied::Forbidden(_))));
    }

    #[test]
    fn a_key_of_one_collection_that_was_once_made_with_the_scope_for_metrics_sees_none() {
        let ring = ring();
        let limits = Limits {
            scopes: [Scope::Metrics].into(),
            collections: Some(vec!["mine".to_owned()]),
            expires_at: None,
        };
        let (secret, _) = ring.add_in_memory("one", limits);
        let headers = with_key(&secret);
        let metrics = asked((&Method::GET, "/metrics", "/metrics"), &headers);
        assert!(matches!(judge(&ring, &metrics), Err(Denied::Forbidden(_))));
    }

    #[test]
    fn a_key_that_has_expired_is_told_so() {
        let ring = ring();
        let limits = |expires_at| Limits {
            scopes: [Scope::Read].into(),
            collections: None,
            expires_at,
        };
        let (late, _) = ring.add_in_memory("late", limits(Some(1)));
        let (good, _) = ring.add_in_memory("good", limits(Some(u64::MAX)));
        let path = "/collections/a/points/count";
        let judged = |key: &str| {
            let headers = with_key(key);
            judge(&ring, &asked((&Method::POST, path, COUNT), &headers)).map(drop)
        };
        assert_eq!(judged(&late), Err(Denied::Expired));
        assert_eq!(judged(&good), Ok(()));
        assert_eq!(judged("the-root-key"), Ok(()));
        assert_eq!(judged("the-root-kez"), Err(Denied::Wrong));
        assert_eq!(judged(""), Err(Denied::Wrong));
    }

    #[test]
    fn a_method_that_the_table_does_not_know_is_for_the_settings_key_only() {
        let ring = ring();
        let limits = Limits {
            scopes: Scope::ALL
                .into_iter()
                .filter(|it| *it != Scope::Keys)
                .collect(),
            collections: None,
            expires_at: None,
        };
        let (secret, _) = ring.add_in_memory("most", limits);
        let (most, root) = (with_key(&secret), with_key("the-root-key"));
        let of = |headers: &HeaderMap| {
            judge(
                &ring,
                &asked((&Method::PATCH, "/metrics", "/metrics"), headers),
            )
            .map(drop)
        };
        assert!(matches!(of(&most), Err(Denied::Forbidden(_))));
        assert_eq!(of(&root), Ok(()));
    }
}
