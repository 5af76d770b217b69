//! The vectors of a collection's points: which there are, and changes of them alone.

use actix_web::HttpRequest;
use actix_web::web::{Data, Path, Payload};
use engine::{Ack, PointId, Vectors};

use super::named;
use crate::app::App;
use crate::http;
use crate::refusal::Refusal;
use crate::wire::collection::NewVector;
use crate::wire::envelope::Answer;
use crate::wire::params::WriteParams;
use crate::wire::point::{DeleteVectors, UpdateVectors, Updated};

type Outcome<T> = Result<Answer<T>, Refusal>;

pub(super) async fn add(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
    payload: Payload,
) -> Outcome<Updated> {
    let (name, vector) = path.into_inner();
    let name = named(name)?;
    let _: WriteParams = http::query(request.query_string())?;
    let body: NewVector = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let spec = body.spec(&|name| app.faces.model(name))?;
    let written = app.write(move |engine| engine.add_vector(&name, &vector, spec));
    Ok(Answer(Updated::new(written.await?, Ack::Applied)))
}

pub(super) async fn remove(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<Updated> {
    let (name, vector) = path.into_inner();
    remove_named(app, request, name, vector).await
}

/// `DELETE /collections/{c}/vectors/`: the vector without a name.
pub(super) async fn remove_unnamed(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
) -> Outcome<Updated> {
    remove_named(app, request, name.into_inner(), String::new()).await
}

async fn remove_named(
    app: Data<App>,
    request: HttpRequest,
    name: String,
    vector: String,
) -> Outcome<Updated> {
    let name = named(name)?;
    let _: WriteParams = http::query(request.query_string())?;
    let gone = vector.chars().take(80).collect::<String>();
    let was_there = app.write(move |engine| engine.remove_vector(&name, &vector));
    match was_there.await? {
        Some(written) => Ok(Answer(Updated::new(written, Ack::Applied))),
        None => Err(Refusal::not_found(format!(
            "the collection has no vector `{gone}`"
        ))),
    }
}

pub(super) async fn update(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: UpdateVectors = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let points = Vec::<(PointId, Vectors)>::try_from(body)?;
    let ack = params.ack();
    let written = app
        .write(move |engine| engine.update_vectors(&name, points, ack))
        .await;
    app.metrics.wrote("update_vectors", &written);
    Ok(Answer(Updated::new(written?, ack)))
}

pub(super) async fn delete(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<Updated> {
    let name = named(name.into_inner())?;
    let params: WriteParams = http::query(request.query_string())?;
    let body: DeleteVectors = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let (chosen, names) = body.parts()?;
    let ack = params.ack();
    let written = app.delete_vectors(name, chosen, names, ack).await?;
    Ok(Answer(Updated::new(written, ack)))
}
