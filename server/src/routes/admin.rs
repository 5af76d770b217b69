//! What operators do: checkpoints, checksums, erasure.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::seen;
use crate::wire::envelope::Answer;
use crate::wire::purge::{PurgeParams, Purged};
use crate::wire::snapshot::{Checkpointed, ChecksumParams, Checksums};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/admin/checkpoint", "checkpoint", || web::to(checkpoint))
            .about("Takes a checkpoint now.")
            .answers::<Checkpointed>(json!({"lsn": 42})),
        Operation::post("/admin/collections/{collection}/purge", "purge", || {
            web::to(purge)
        })
        .about("Takes what was deleted out of every file, and reports which files were rewritten.")
        .params::<PurgeParams>()
        .answers::<Purged>(json!({
            "collection": "faces", "lsn": 42, "finished": "2026-11-25T06:55:40", "seconds": 0.2,
            "files_removed": ["log/1.log"], "files_written": ["log/43.log"],
            "backups_not_included": [],
        })),
        Operation::get(
            "/admin/collections/{collection}/checksum",
            "checksum",
            || web::to(checksum),
        )
        .about(
            "Checksums of what a collection holds, to compare servers by. With `lsn`: of what it held \
             there, awaited for a moment; 409 if it has changed since.",
        )
        .params::<ChecksumParams>()
        .refuses(&[409])
        .answers::<Checksums>(json!({
            "lsn": 42, "changed": 40, "points": 1000, "content": "9f2c", "graph": "51ab",
        })),
    ]
}

async fn checkpoint(app: Data<App>) -> Outcome<Checkpointed> {
    let lsn = app.operate(|engine| engine.checkpoint()).await?;
    Ok(Answer(lsn.into()))
}

async fn checksum(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<Checksums> {
    let name = named(name.into_inner())?;
    let params: ChecksumParams = http::query(request.query_string())?;
    if let Some(lsn) = params.lsn {
        seen::reached(&app, lsn).await?;
    }
    let checksum = app.operate(move |engine| engine.checksum(&name)).await?;
    let changed = checksum.changed.0;
    if let Some(lsn) = params.lsn.filter(|lsn| changed > *lsn) {
        return Err(Refusal::conflict(format!(
            "the collection is no more as it was at LSN {lsn}: LSN {changed} has changed it"
        )));
    }
    Ok(Answer(checksum.into()))
}

async fn purge(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<Purged> {
    let name = named(name.into_inner())?;
    let params: PurgeParams = http::query(request.query_string())?;
    let backups = params.backups()?;
    let report = app.operate(move |engine| engine.purge(&name, backups));
    Ok(Answer(report.await?.into()))
}
