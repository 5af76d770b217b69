//! What operators do: checkpoints, checksums.

use actix_web::web::{Data, Path};

use super::named;
use crate::app::App;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
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
