//! What a key may be good for.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A kind of work.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub(crate) enum Scope {
    /// Looking for neighbours; detecting and comparing faces.
    #[serde(rename = "search")]
    Search,
    /// Reading points, payloads, people and settings.
    #[serde(rename = "read")]
    Read,
    /// Putting in and changing points, faces, payloads and collections.
    #[serde(rename = "write")]
    Write,
    /// Taking out points, faces, payload indexes, vectors and collections.
    #[serde(rename = "delete")]
    Delete,
    /// Seeing crops and photos.
    #[serde(rename = "images")]
    Images,
    /// Seeing vectors, from which faces can be made again.
    #[serde(rename = "embeddings")]
    Embeddings,
    /// Scraping metrics.
    #[serde(rename = "metrics")]
    Metrics,
    /// Checkpoints, snapshots, erasure and other work of an operator.
    #[serde(rename = "admin:jobs")]
    Jobs,
    /// Making and revoking keys that may do no more than this one.
    #[serde(rename = "admin:keys")]
    Keys,
}

impl Scope {
    /// All there are.
    pub(crate) const ALL: [Self; 9] = [
        Self::Search,
        Self::Read,
        Self::Write,
        Self::Delete,
        Self::Images,
        Self::Embeddings,
        Self::Metrics,
        Self::Jobs,
        Self::Keys,
    ];

    /// As it is written.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Search => "search",
            Self::Read => "read",
            Self::Write => "write",
            Self::Delete => "delete",
            Self::Images => "images",
            Self::Embeddings => "embeddings",
            Self::Metrics => "metrics",
            Self::Jobs => "admin:jobs",
            Self::Keys => "admin:keys",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_written_as_it_is_told() {
        for scope in Scope::ALL {
            assert_eq!(serde_json::to_value(scope).unwrap(), scope.word());
        }
    }
}
