//! What one node tells about itself where clients of the dialect ask about a cluster.

use engine::Status;
use schemars::JsonSchema;
use serde::Serialize;

/// The answer to `GET /cluster`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct ClusterStatus {
    /// `disabled`: this is no cluster.
    pub(crate) status: &'static str,
}

/// The answer to `GET /collections/{c}/cluster`: everything is here.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct CollectionCluster {
    peer_id: u64,
    shard_count: usize,
    local_shards: Vec<Shard>,
    remote_shards: Vec<Shard>,
    shard_transfers: Vec<Shard>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Shard {
    shard_id: u32,
    points_count: usize,
    state: &'static str,
}

impl CollectionCluster {
    pub(crate) fn of(points: usize) -> Self {
        Self {
            peer_id: 0,
            shard_count: 1,
            local_shards: vec![Shard {
                shard_id: 0,
                points_count: points,
                state: "Active",
            }],
            remote_shards: Vec::new(),
            shard_transfers: Vec::new(),
        }
    }
}

/// The answer to `GET /telemetry`; it names no collection.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Telemetry {
    app: About,
    collections: Totals,
    cluster: Enabled,
    log: LogState,
}

#[derive(Debug, Serialize, JsonSchema)]
struct About {
    name: &'static str,
    version: &'static str,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Totals {
    number_of_collections: usize,
    number_of_points: usize,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Enabled {
    enabled: bool,
}

#[derive(Debug, Serialize, JsonSchema)]
struct LogState {
    durable_lsn: u64,
    applied_lsn: u64,
    checkpoint_lsn: u64,
    bytes: u64,
}

impl Telemetry {
    pub(crate) fn new(status: &Status, collections: usize, points: usize) -> Self {
        Self {
            app: About {
                name: "doppel",
                version: env!("CARGO_PKG_VERSION"),
            },
            collections: Totals {
                number_of_collections: collections,
                number_of_points: points,
            },
            cluster: Enabled { enabled: false },
            log: LogState {
                durable_lsn: status.durable_lsn.0,
                applied_lsn: status.applied_lsn.0,
                checkpoint_lsn: status.checkpoint_lsn.0,
                bytes: status.log_bytes,
            },
        }
    }
}

/// The answer to `GET /issues`.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Issues {
    issues: Vec<Issue>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Issue {
    id: &'static str,
    description: String,
    solution: &'static str,
}

impl Issues {
    /// What has stopped writing, if something has.
    pub(crate) fn new(read_only: Option<engine::Error>) -> Self {
        let issues = read_only.into_iter().map(|why| {
            let (id, solution) = match why {
                engine::Error::LogBroken(_) => (
                    "LOG_BROKEN",
                    "begin a new log with what a node has: docs/SCALING.md, \"When the log is damaged\"",
                ),
                _ => ("READ_ONLY", "free or repair the disk, then restart the server"),
            };
            Issue {
                id,
                description: why.to_string(),
                solution,
            }
        });
        Self {
            issues: issues.collect(),
        }
    }
}
