//! Of collections that are spread over shards: what nobody serves, and what is behind.

use prometheus::{Gauge, Registry};

use super::made::gauge;
use super::states::whole;

/// As this node has seen it last.
pub(super) struct Shards {
    unserved: Gauge,
    behind: Gauge,
    disagreeing: Gauge,
}

impl Shards {
    pub(super) fn new(r: &Registry) -> Self {
        Self {
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
                "Nodes that have another nats.shards or nats.node_key than this one, and must not.",
            ),
        }
    }

    pub(super) fn seen(&self, unserved: usize, behind: u64, disagreeing: usize) {
        self.disagreeing.set(whole(disagreeing as u64));
        self.unserved.set(whole(unserved as u64));
        self.behind.set(whole(behind));
    }
}
