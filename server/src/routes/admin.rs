//! What operators do: checkpoints, checksums, erasure.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path};

use super::named;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::purge::{PurgeParams, Purged};
use crate::wire::snapshot::{Checkpointed, Checksums};

type Outcome<T> = Result<Answer<T>, Refusal>;

pub(super) async fn checkpoint(app: Data<App>) -> Outcome<Checkpointed> {
    let lsn = app.write(|engine| engine.checkpoint()).await?;
    Ok(Answer(lsn.into()))
}

pub(super) async fn checksum(app: Data<App>, name: Path<String>) -> Outcome<Checksums> {
    let name = named(name.into_inner())?;
    let checksum = app.read(move |engine| engine.checksum(&name)).await?;
    Ok(Answer(checksum.into()))
}

pub(super) async fn purge(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<Purged> {
    let name = named(name.into_inner())?;
    let params: PurgeParams = http::query(request.query_string())?;
    let report = app.write(move |engine| engine.purge(&name, params.backups()));
    Ok(Answer(report.await?.into()))
}
