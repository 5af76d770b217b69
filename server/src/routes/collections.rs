//! Collections: list, make, describe, change, drop.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use serde_json::{Value, json};

use super::named;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::collection::{Collections, CreateCollection, Named, UpdateCollection, described};
use crate::wire::envelope::Answer;
use crate::wire::params::{ReadParams, WriteParams};

type Outcome<T> = Result<Answer<T>, Refusal>;

pub(super) async fn list(app: Data<App>) -> Outcome<Collections> {
    let both = app.read(|engine| Ok((engine.collections(), engine.quarantined())));
    let (served, quarantined) = both.await?;
    let mut collections: Vec<_> = served.into_iter().map(Named::from).collect();
    let damaged = quarantined.into_iter();
    collections.extend(damaged.map(|(name, why)| Named::damaged(name, &why)));
    Ok(Answer(Collections { collections }))
}

pub(super) async fn describe(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<Value> {
    let _: ReadParams = http::query(request.query_string())?;
    let info = app.describe(&named(name.into_inner())?).await?;
    Ok(Answer(described(&info)))
}

pub(super) async fn exists(app: Data<App>, name: Path<String>) -> Outcome<Value> {
    let name = named(name.into_inner())?;
    let exists = app.read(move |engine| match engine.describe(&name) {
        Ok(_) => Ok(true),
        Err(engine::Error::NoCollection(_)) => Ok(false),
        Err(error) => Err(error),
    });
    Ok(Answer(json!({"exists": exists.await?})))
}

pub(super) async fn create(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let _: WriteParams = http::query(request.query_string())?;
    let body: CreateCollection =
        http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let spec = body.spec(&|name| app.faces.model(name))?;
    app.write(move |engine| engine.create_collection(&name, spec))
        .await?;
    Ok(Answer(true))
}

pub(super) async fn update(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let _: WriteParams = http::query(request.query_string())?;
    let body: UpdateCollection =
        http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let change = body.change(&app.describe(&name).await?.spec)?;
    app.write(move |engine| engine.update_collection(&name, change))
        .await?;
    Ok(Answer(true))
}

pub(super) async fn drop(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let _: WriteParams = http::query(request.query_string())?;
    let was_there = app
        .write(move |engine| engine.drop_collection(&name))
        .await?;
    Ok(Answer(was_there))
}
