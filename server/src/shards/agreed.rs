//! What nodes must have the same settings of, and how they find out that they have not.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The setting without which nodes do not let each other in.
pub(super) const NODE_KEY: &str = "nats.node_key";

/// What nodes must have the same settings of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agreed {
    /// Over how many shards collections can be spread (`nats.shards`).
    shards: u32,
    /// By what a node's key is told from others: the beginning of a hash, which many keys have.
    key: String,
}

impl Agreed {
    pub(super) fn of(shards: u32, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update("doppel's key of nodes: ");
        hash.update(key);
        let hash = hash.finalize().into_iter().take(3);
        Self {
            shards,
            key: hash.map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The settings in which another has something else.
    pub(super) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("nats.shards", self.shards != other.shards),
            (NODE_KEY, self.key != other.key),
        ];
        let differing = all.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(setting, _)| setting).collect()
    }
}
