//! What clients of the dialect ask about a cluster and about the server as a whole. This is one
//! node, and it says so.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::node::{ClusterStatus, CollectionCluster, Issues, Telemetry};
use crate::wire::params::TelemetryParams;

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/cluster", "clusterStatus", || web::to(status))
            .about("Whether this is a cluster: it is not.")
            .answers::<ClusterStatus>(json!({"status": "disabled"})),
        Operation::get(
            "/collections/{collection}/cluster",
            "collectionCluster",
            || web::to(of_collection),
        )
        .about("Where the shards of a collection are: one, here.")
        .answers::<CollectionCluster>(json!({
            "peer_id": 0, "shard_count": 1, "remote_shards": [], "shard_transfers": [],
            "local_shards": [{"shard_id": 0, "points_count": 1000, "state": "Active"}],
        })),
        Operation::get("/telemetry", "telemetry", || web::to(telemetry))
            .about("What the server is and holds.")
            .params::<TelemetryParams>()
            .answers::<Telemetry>(json!({
                "app": {"name": "doppel", "version": env!("CARGO_PKG_VERSION")},
                "collections": {"number_of_collections": 1, "number_of_points": 1000},
                "cluster": {"enabled": false},
                "log": {
                    "durable_lsn": 42, "applied_lsn": 42, "checkpoint_lsn": 40, "bytes": 4096,
                },
            })),
        Operation::get("/issues", "issues", || web::to(issues))
            .about("What is wrong at the moment and needs a hand.")
            .answers::<Issues>(json!({"issues": []})),
    ]
}

async fn status() -> Outcome<ClusterStatus> {
    Ok(Answer(ClusterStatus { status: "disabled" }))
}

async fn of_collection(app: Data<App>, name: Path<String>) -> Outcome<CollectionCluster> {
    let info = app.describe(&named(name.into_inner())?).await?;
    Ok(Answer(CollectionCluster::of(info.points)))
}

async fn telemetry(app: Data<App>, request: HttpRequest) -> Outcome<Telemetry> {
    let _: TelemetryParams = http::query(request.query_string())?;
    let (status, collections) = app
        .look(|engine| (engine.status(), engine.collections()))
        .await?;
    let points = collections.iter().map(|it| it.points).sum();
    Ok(Answer(Telemetry::new(&status, collections.len(), points)))
}

async fn issues(app: Data<App>) -> Outcome<Issues> {
    let status = app.look(|engine| engine.status()).await?;
    Ok(Answer(Issues::new(status.read_only)))
}
