//! The vectors of a collection's points: which there are, and changes of them alone.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::{Ack, PointId, Vectors};
use serde_json::json;

use super::named;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::reembedding::note_heads;
use crate::refusal::Refusal;
use crate::wire::collection::NewVector;
use crate::wire::envelope::Answer;
use crate::wire::params::WriteParams;
use crate::wire::point::{DeleteVectors, UpdateVectors, Updated};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ONE: &str = "/collections/{collection}/vectors/{vector}";
    let updated = json!({"operation_id": 42, "status": "completed"});
    vec![
        Operation::put(ONE, "addVector", || web::to(add))
            .about("Adds a vector to a collection, to be filled; the same again does nothing.")
            .params::<WriteParams>()
            .takes::<NewVector>(json!({"dense": {"size": 4, "distance": "Cosine"}}))
            .answers::<Updated>(updated.clone())
            .refuses(&[409]),
        Operation::delete(ONE, "removeVector", || web::to(remove))
            .about("Takes a vector away from a collection, with its index.")
            .params::<WriteParams>()
            .answers::<Updated>(updated.clone()),
        Operation::delete(
            "/collections/{collection}/vectors/",
            "removeUnnamedVector",
            || web::to(remove_unnamed),
        )
        .about("Takes the vector without a name away from a collection, with its index.")
        .params::<WriteParams>()
        .answers::<Updated>(updated.clone()),
        Operation::put(
            "/collections/{collection}/points/vectors",
            "updateVectors",
            || web::to(update),
        )
        .about(
            "Puts vectors of points that are there; what is not named stays, but for vectors of a head that \
             a move has made of one that is put: they go, until the move makes them anew.",
        )
        .params::<WriteParams>()
        .takes::<UpdateVectors>(json!({"points": [
            {"id": 1, "vector": [0.1, 0.2, 0.3, 0.4]},
        ]}))
        .answers::<Updated>(updated.clone()),
        Operation::post(
            "/collections/{collection}/points/vectors/delete",
            "deleteVectors",
            || web::to(delete),
        )
        .about("Takes vectors away from points, which stay.")
        .params::<WriteParams>()
        .takes::<DeleteVectors>(json!({"points": [1], "vector": ["text"]}))
        .answers::<Updated>(updated),
    ]
}

async fn add(
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
    let faces = Arc::clone(&app.faces);
    let written = app.write(move |engine| {
        let written = engine.add_vector(&name, &vector, spec)?;
        note_heads(&faces, engine, &name)?;
        Ok::<_, engine::Error>(written)
    });
    Ok(Answer(Updated::new(written.await?, Ack::Applied)))
}

async fn remove(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<Updated> {
    let (name, vector) = path.into_inner();
    remove_named(app, request, name, vector).await
}

/// `DELETE /collections/{c}/vectors/`: the vector without a name.
async fn remove_unnamed(
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

async fn update(
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
    let written = app.update_vectors(name, points, ack).await?;
    Ok(Answer(Updated::new(written, ack)))
}

async fn delete(
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
