//! API keys as they travel.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::list;
use crate::access::{Key, Limits, Scope, Service};
use crate::limits;
use crate::refusal::Refusal;

/// A key that is to be made.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewKey {
    /// Who or what it is for; stands in refusals.
    name: String,
    scopes: Vec<Scope>,
    /// Only these, by the name or alias that stands in a URL; without it, all.
    #[serde(default, deserialize_with = "list::optional")]
    collections: Option<Vec<String>>,
    /// Seconds since 1970 at which it ends; without it, never.
    expires_at: Option<u64>,
    /// The service of CompreFace's API that it is for: its secret is a UUID then.
    compreface: Option<Service>,
}

impl NewKey {
    /// Its name, how far it goes and what for.
    pub(crate) fn parts(self) -> Result<(String, Limits, Option<Service>), Refusal> {
        let letters = self.name.chars().count();
        if letters == 0 || letters > limits::KEY_NAME || self.name.chars().any(char::is_control) {
            return Err(Refusal::wrong(format!(
                "`name` must have 1 to {} characters, none of them a control character",
                limits::KEY_NAME
            )));
        }
        if self.scopes.is_empty() {
            let words = Scope::ALL.map(Scope::word).join("`, `");
            return Err(Refusal::wrong(format!(
                "`scopes` names none of `{words}`, so the key would be good for nothing"
            )));
        }
        let names = self.collections.as_deref().unwrap_or_default();
        if self.collections.is_some() && names.is_empty() || names.len() > limits::KEY_COLLECTIONS {
            return Err(Refusal::wrong(format!(
                "`collections` must have 1 to {} names, or be left out for all",
                limits::KEY_COLLECTIONS
            )));
        }
        for name in names {
            engine::check_name(name)?;
        }
        if self.collections.is_some() && self.scopes.contains(&Scope::Metrics) {
            return Err(Refusal::wrong(
                "`/metrics` tells of all collections: leave `metrics` out of the `scopes` of a key that is \
                 limited to `collections`, and make one with that scope alone",
            ));
        }
        if self.compreface == Some(Service::Recognition) && names.len() > 1 {
            return Err(Refusal::wrong(
                "a key for CompreFace's recognition is for one collection, or for that of the \
                 settings where `collections` is left out",
            ));
        }
        let limits = Limits {
            scopes: self.scopes.into_iter().collect(),
            collections: self.collections,
            expires_at: self.expires_at,
        };
        Ok((self.name, limits, self.compreface))
    }
}

/// A key without its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptKey {
    id: String,
    name: String,
    scopes: Vec<Scope>,
    #[serde(skip_serializing_if = "Option::is_none")]
    collections: Option<Vec<String>>,
    /// Seconds since 1970.
    made_at: u64,
    /// The id of the key that made it, `settings` for the settings' own.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_by: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    expires_at: Option<u64>,
    /// The service of CompreFace's API that it is for.
    #[serde(skip_serializing_if = "Option::is_none")]
    compreface: Option<Service>,
}

impl From<&Key> for KeptKey {
    fn from(key: &Key) -> Self {
        Self {
            id: key.id.clone(),
            name: key.name.clone(),
            scopes: key.limits.scopes.iter().copied().collect(),
            collections: key.limits.collections.clone(),
            made_at: key.made_at,
            made_by: key.made_by.clone(),
            expires_at: key.limits.expires_at,
            compreface: key.service,
        }
    }
}

/// All keys that were made.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct KeptKeys {
    pub(crate) keys: Vec<KeptKey>,
}

/// A key that was made: the only answer that ever shows its secret.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct MadeKey {
    /// What requests show in the header `api-key`.
    pub(crate) secret: String,
    pub(crate) key: KeptKey,
}

/// What became of a key.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Revoked {
    /// Its id.
    pub(crate) revoked: String,
    /// The keys that it had made, and those that these had, which stay good: to be revoked too if it was in
    /// wrong hands.
    pub(crate) remaining: Vec<KeptKey>,
}
