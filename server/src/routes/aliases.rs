//! Other names for collections.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use engine::AliasChange;

use super::named;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::alias::{Aliases, ChangeAliases};
use crate::wire::envelope::Answer;
use crate::wire::params::{ReadParams, WriteParams};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// The word that stands in the place of a collection's name where aliases are changed.
const ALIASES: &str = "aliases";

/// `POST /collections/aliases`. A collection may be called `aliases`: nothing else is posted there.
pub(super) async fn change(
    app: Data<App>,
    request: HttpRequest,
    word: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    if word.as_str() != ALIASES {
        return Err(Refusal::method());
    }
    let _: WriteParams = http::query(request.query_string())?;
    let body: ChangeAliases = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let changes: Vec<AliasChange> = body.actions.into_iter().map(AliasChange::from).collect();
    app.write(move |engine| engine.change_aliases(&changes))
        .await?;
    Ok(Answer(true))
}

pub(super) async fn all(app: Data<App>, request: HttpRequest) -> Outcome<Aliases> {
    let _: ReadParams = http::query(request.query_string())?;
    let aliases = app.read(|engine| Ok(engine.aliases())).await?;
    Ok(Answer(aliases.into_iter().collect()))
}

pub(super) async fn of(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<Aliases> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let found = app.read(move |engine| Ok((engine.describe(&name)?.name, engine.aliases())));
    let (own, aliases) = found.await?;
    let mine = aliases.into_iter().filter(|(_, name)| *name == own);
    Ok(Answer(mine.collect()))
}
