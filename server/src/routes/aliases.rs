//! Other names for collections.

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::AliasChange;
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::alias::{Aliases, ChangeAliases};
use crate::wire::envelope::Answer;
use crate::wire::params::{ReadParams, WriteParams};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let aliases = json!({"aliases": [{"alias_name": "people", "collection_name": "faces"}]});
    vec![
        Operation::post("/collections/aliases", "updateAliases", || web::to(change))
            .beside_a_name()
            .about("Changes aliases, all or none, in one step for everybody who looks.")
            .params::<WriteParams>()
            .takes::<ChangeAliases>(json!({"actions": [
                {"create_alias": {"collection_name": "faces", "alias_name": "people"}},
            ]}))
            .answers::<bool>(json!(true))
            .refuses(&[404, 409]),
        Operation::get("/aliases", "listAliases", || web::to(all))
            .about("All aliases.")
            .params::<ReadParams>()
            .answers::<Aliases>(aliases.clone()),
        Operation::get(
            "/collections/{collection}/aliases",
            "collectionAliases",
            || web::to(of),
        )
        .about("The aliases of a collection.")
        .params::<ReadParams>()
        .answers::<Aliases>(aliases),
    ]
}

/// A collection may be called `aliases`: nothing else is posted there.
async fn change(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<bool> {
    let _: WriteParams = http::query(request.query_string())?;
    let body: ChangeAliases = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let changes: Vec<AliasChange> = body.actions.into_iter().map(AliasChange::from).collect();
    app.write(move |engine| engine.change_aliases(&changes))
        .await?;
    Ok(Answer(true))
}

async fn all(app: Data<App>, request: HttpRequest) -> Outcome<Aliases> {
    let _: ReadParams = http::query(request.query_string())?;
    let aliases = app.read(|engine| Ok(engine.aliases())).await?;
    Ok(Answer(aliases.into_iter().collect()))
}

async fn of(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<Aliases> {
    let name = named(name.into_inner())?;
    let _: ReadParams = http::query(request.query_string())?;
    let found = app.read(move |engine| Ok((engine.describe(&name)?.name, engine.aliases())));
    let (own, aliases) = found.await?;
    let mine = aliases.into_iter().filter(|(_, name)| *name == own);
    Ok(Answer(mine.collect()))
}
