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
    /// Where checkpoints lie (`nats.checkpoints`, which has no password in it); empty: beside the stream. What is told
    /// without it is of an older program.
    #[serde(default)]
    checkpoints: Option<String>,
}

impl Agreed {
    pub(super) fn of(shards: u32, key: &str, checkpoints: Option<&str>) -> Self {
        let mut hash = Sha256::new();
        hash.update("doppel's key of nodes: ");
        hash.update(key);
        let hash = hash.finalize().into_iter().take(3);
        Self {
            shards,
            key: hash.map(|byte| format!("{byte:02x}")).collect(),
            checkpoints: Some(
                checkpoints
                    .unwrap_or_default()
                    .trim_end_matches('/')
                    .to_owned(),
            ),
        }
    }

    /// The settings in which another has something else.
    pub(super) fn differing(&self, other: &Self) -> Vec<&'static str> {
        let checkpoints = self.checkpoints.as_ref().zip(other.checkpoints.as_ref());
        let all = [
            ("nats.shards", self.shards != other.shards),
            (NODE_KEY, self.key != other.key),
            (
                "nats.checkpoints",
                checkpoints.is_some_and(|(own, other)| own != other),
            ),
        ];
        let differing = all.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(setting, _)| setting).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_whose_checkpoints_lie_elsewhere_disagree_and_one_of_an_older_program_says_nothing_of_them()
     {
        let of = |checkpoints| Agreed::of(3, "the key of nodes", checkpoints);
        let own = of(Some("file:///mnt/faces"));
        assert!(own.differing(&of(Some("file:///mnt/faces/"))).is_empty());
        for other in [None, Some("s3://faces")] {
            assert_eq!(own.differing(&of(other)), ["nats.checkpoints"]);
            assert_eq!(of(other).differing(&own), ["nats.checkpoints"]);
        }
        let mut older = serde_json::to_value(&own).unwrap();
        older.as_object_mut().unwrap().remove("checkpoints");
        let older: Agreed = serde_json::from_value(older).unwrap();
        assert!(own.differing(&older).is_empty() && older.differing(&own).is_empty());
    }
}
