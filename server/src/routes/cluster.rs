//! What clients of the dialect ask about a cluster and about the server as a whole. This is one
//! node, and it says so.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path};
use serde_json::{Value, json};

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::params::TelemetryParams;

type Outcome = Result<Answer<Value>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/cluster", "clusterStatus", || web::to(status))
            .about("Whether this is a cluster: it is not.")
            .answers::<Value>(json!({"status": "disabled"})),
        Operation::get(
            "/collections/{collection}/cluster",
            "collectionCluster",
            || web::to(of_collection),
        )
        .about("Where the shards of a collection are: one, here.")
        .answers::<Value>(of_one_node(1000)),
        Operation::get("/telemetry", "telemetry", || web::to(telemetry))
            .about("What the server is and holds.")
            .params::<TelemetryParams>()
            .answers::<Value>(json!({"app": {"name": "doppel", "version": "0.1.0"}})),
        Operation::get("/issues", "issues", || web::to(issues))
            .about("What is wrong at the moment and needs a hand.")
            .answers::<Value>(json!({"issues": []})),
    ]
}

async fn status() -> Outcome {
    Ok(Answer(json!({"status": "disabled"})))
}

async fn of_collection(app: Data<App>, name: Path<String>) -> Outcome {
    let info = app.describe(&named(name.into_inner())?).await?;
    Ok(Answer(of_one_node(info.points)))
}

fn of_one_node(points: usize) -> Value {
    json!({
        "peer_id": 0,
        "shard_count": 1,
        "local_shards": [{"shard_id": 0, "points_count": points, "state": "Active"}],
        "remote_shards": [],
        "shard_transfers": [],
    })
}

async fn telemetry(app: Data<App>, request: HttpRequest) -> Outcome {
    let _: TelemetryParams = http::query(request.query_string())?;
    let (status, collections) = app
        .read(|engine| Ok((engine.status(), engine.collections())))
        .await?;
    let points: usize = collections.iter().map(|it| it.points).sum();
    Ok(Answer(json!({
        "app": {"name": "doppel", "version": env!("CARGO_PKG_VERSION")},
        "collections": {
            "number_of_collections": collections.len(),
            "number_of_points": points,
        },
        "cluster": {"enabled": false},
        "log": {
            "durable_lsn": status.durable_lsn.0,
            "applied_lsn": status.applied_lsn.0,
            "checkpoint_lsn": status.checkpoint_lsn.0,
            "bytes": status.log_bytes,
        },
    })))
}

async fn issues(app: Data<App>) -> Outcome {
    let status = app.read(|engine| Ok(engine.status())).await?;
    let read_only = status.read_only.map(|why| {
        json!({
            "id": "READ_ONLY",
            "description": why,
            "solution": "free or repair the disk, then restart the server",
        })
    });
    let issues: Vec<_> = read_only.into_iter().collect();
    Ok(Answer(json!({ "issues": issues })))
}
