//! Of nodes that share logs: what is missing of those, and of shards what nobody serves, and what is behind.

use prometheus::{Gauge, Registry};

use super::made::gauge;
use super::states::{flag, whole};

/// As this node has seen it last.
pub(super) struct Shards {
    purged: Gauge,
    store_fails: Gauge,
    unserved: Gauge,
    behind: Gauge,
    disagreeing: Gauge,
}

impl Shards {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
            purged: gauge(
                r,
                "doppel_log_purged",
                "1: somebody has purged the log that nodes share, and no checkpoint in the store makes up for it: no node \
                 could begin.",
            ),
            store_fails: gauge(
                r,
                "doppel_checkpoint_store_failing",
                "1: the last look into the store of checkpoints, or the last try to put one there, has come to nothing; it is \
                 tried again each minute.",
            ),
            unserved: gauge(
                r,
                "doppel_shards_unserved",
                "Shards that no node serves, as far as this one sees.",
            ),
            behind: gauge(
                r,
                "doppel_shards_behind_messages",
                "Messages of a shard's log that another node has applied and this one has not, of the shard where it \
                 is most.",
            ),
            disagreeing: gauge(
                r,
                "doppel_nodes_disagreeing",
                "Nodes that have another nats.shards, nats.node_key or nats.checkpoints than this one, and must not.",
            ),
        }
    }

    pub(super) fn log_is_purged(&self, is_purged: bool) {
        self.purged.set(flag(is_purged));
    }

    pub(super) fn store_fails(&self, fails: bool) {
        self.store_fails.set(flag(fails));
    }

    pub(super) fn seen(&self, unserved: usize, behind: u64, disagreeing: usize) {
        self.disagreeing.set(whole(disagreeing as u64));
        self.unserved.set(whole(unserved as u64));
        self.behind.set(whole(behind));
    }
}
