//! A key: what is kept of it, and what it is good for. Its secret is shown once and kept nowhere.

use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::scope::Scope;
use super::service::Service;

/// How far a key goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Limits {
    pub(crate) scopes: BTreeSet<Scope>,
    /// Only these, by name or alias as it stands in a URL.
    pub(crate) collections: Option<Vec<String>>,
    /// Seconds since 1970.
    pub(crate) expires_at: Option<u64>,
}

impl Limits {
    /// Everything, for ever.
    pub(crate) fn everything() -> Self {
        Self {
            scopes: Scope::ALL.into(),
            collections: None,
            expires_at: None,
        }
    }

    /// Whether nothing is out of reach.
    pub(crate) fn is_everything(&self) -> bool {
        self.collections.is_none() && Scope::ALL.iter().all(|scope| self.has(*scope))
    }

    /// Whether a kind of work is allowed.
    pub(crate) fn has(&self, scope: Scope) -> bool {
        self.scopes.contains(&scope)
    }

    /// What another may do that this may not, in words.
    pub(crate) fn lacks(&self, other: &Self) -> Option<String> {
        if let Some(scope) = other.scopes.difference(&self.scopes).next() {
            return Some(format!("the scope `{}`", scope.word()));
        }
        if let Some(own) = &self.collections {
            match &other.collections {
                None => return Some("all collections".to_owned()),
                Some(others) => {
                    if let Some(name) = others.iter().find(|name| !own.contains(name)) {
                        return Some(format!("the collection `{name}`"));
                    }
                }
            }
        }
        let end = |limits: &Self| limits.expires_at.unwrap_or(u64::MAX);
        (end(other) > end(self)).then(|| "a later end".to_owned())
    }
}

/// A key without its secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Key {
    pub(crate) id: String,
    pub(crate) name: String,
    /// SHA-256 of the secret, which has 244 random bits, or 122 where it is a UUID: nothing slower is
    /// needed.
    pub(super) hash: [u8; 32],
    /// Seconds since 1970.
    pub(crate) made_at: u64,
    /// The id of the key that made it; nothing where that was not noted yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) made_by: Option<String>,
    /// The service of CompreFace that it may be shown to, if it was made for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) service: Option<Service>,
    #[serde(flatten)]
    pub(crate) limits: Limits,
}

impl Key {
    /// A key of a secret that is known already.
    pub(super) fn of(secret: &[u8], (id, name): (String, String), limits: Limits) -> Self {
        Self {
            id,
            name,
            hash: hash(secret),
            made_at: now(),
            made_by: None,
            service: None,
            limits,
        }
    }

    /// Whether this is the key of a secret; takes as long when it is not.
    pub(super) fn is(&self, hash: &[u8; 32]) -> bool {
        self.hash.ct_eq(hash).into()
    }

    /// Whether its time is over.
    pub(crate) fn has_expired(&self) -> bool {
        self.limits.expires_at.is_some_and(|end| end <= now())
    }
}

pub(super) fn hash(secret: &[u8]) -> [u8; 32] {
    Sha256::digest(secret).into()
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(scopes: &[Scope], collections: Option<&[&str]>, expires_at: Option<u64>) -> Limits {
        Limits {
            scopes: scopes.iter().copied().collect(),
            collections: collections.map(|it| it.iter().map(|&it| it.to_owned()).collect()),
            expires_at,
        }
    }

    #[test]
    fn no_limits_lie_within_narrower_ones() {
        let (read, keys) = (Scope::Read, Scope::Keys);
        let own = limits(&[read, keys], Some(&["a", "b"]), Some(100));
        for within in [
            own.clone(),
            limits(&[read], Some(&["b"]), Some(99)),
            limits(&[], Some(&[]), Some(1)),
        ] {
            assert_eq!(own.lacks(&within), None, "{within:?}");
        }
        for beyond in [
            limits(&[Scope::Write], Some(&["a"]), Some(1)),
            limits(&[read], None, Some(1)),
            limits(&[read], Some(&["a", "c"]), Some(1)),
            limits(&[read], Some(&["a"]), Some(101)),
            limits(&[read], Some(&["a"]), None),
        ] {
            assert!(own.lacks(&beyond).is_some(), "{beyond:?}");
            assert_eq!(Limits::everything().lacks(&beyond), None);
        }
    }
}
