//! Collections: list, make, describe, change, drop.

use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use serde_json::{Value, json};

use super::named;
use crate::access::Grant;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::reembedding::note_heads;
use crate::refusal::Refusal;
use crate::shards;
use crate::wire::collection::{
    Collections, CreateCollection, Described, Exists, Named, UpdateCollection,
};
use crate::wire::envelope::Answer;
use crate::wire::params::{DropParams, ReadParams, WriteParams};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ONE: &str = "/collections/{collection}";
    vec![
        Operation::get("/collections", "listCollections", || web::to(list))
            .about("All collections, by name; those of a key that is limited to some by the names it is good for.")
            .answers::<Collections>(json!({"collections": [{
                "name": "faces", "points_count": 1000, "embedder": "facenet-128",
            }]})),
        Operation::get(ONE, "getCollection", || web::to(describe))
            .about("What a collection is made of and how much it holds.")
            .params::<ReadParams>()
            .answers::<Described>(description()),
        Operation::put(ONE, "createCollection", || web::to(create))
            .about("Makes a collection, of vectors or, with an `embedder`, of faces.")
            .params::<WriteParams>()
            .takes::<CreateCollection>(json!({"vectors": {"size": 4, "distance": "Cosine"}}))
            .answers::<bool>(json!(true))
            .refuses(&[409]),
        Operation::patch(ONE, "updateCollection", || web::to(update))
            .about("Changes what can change of a collection: metadata, `ef_construct` and how long points live.")
            .params::<WriteParams>()
            .takes::<UpdateCollection>(json!({"metadata": {"owner": "Ada"}}))
            .answers::<bool>(json!(true)),
        Operation::delete(ONE, "deleteCollection", || web::to(drop))
            .about("Drops a collection with all its points; false if there was none.")
            .params::<DropParams>()
            .answers::<bool>(json!(true))
            .refuses(&[409]),
        Operation::get(
            "/collections/{collection}/exists",
            "collectionExists",
            || web::to(exists),
        )
        .about("Whether there is such a collection.")
        .answers::<Exists>(json!({"exists": true})),
    ]
}

fn description() -> Value {
    json!({
        "status": "green",
        "optimizer_status": "ok",
        "points_count": 1000,
        "indexed_vectors_count": 1000,
        "segments_count": 1,
        "config": {
            "params": {
                "vectors": {"size": 4, "distance": "Cosine", "on_disk": true},
                "shard_number": 1, "replication_factor": 1, "write_consistency_factor": 1,
                "on_disk_payload": true,
            },
            "hnsw_config": {"m": 16, "ef_construct": 100, "full_scan_threshold": 0},
            "optimizer_config": {
                "deleted_threshold": 0.0, "vacuum_min_vector_number": 0,
                "default_segment_number": 1, "flush_interval_sec": 0,
            },
            "wal_config": null,
            "quantization_config": {"binary": {"encoding": "two_bits"}},
        },
        "payload_schema": {"person": {"data_type": "keyword", "points": 1000}},
        "memory_bytes": 700_000,
        "walked_on": {"": "two_bits"},
        "embedder": null,
    })
}

async fn list(app: Data<App>) -> Outcome<Collections> {
    let all = app.read(|engine| {
        let served = (engine.collections(), engine.quarantined());
        Ok((served, engine.aliases()))
    });
    let ((served, quarantined), aliases) = all.await?;
    let mut collections: Vec<_> = served.into_iter().map(Named::from).collect();
    let damaged = quarantined.into_iter();
    collections.extend(damaged.map(|(name, why)| Named::damaged(name, &why)));
    if let Some(own) = Grant::current().limits().collections {
        let under = |name: &String| {
            let of = aliases.iter().find(|(alias, _)| alias == name);
            let of = of.map_or(name, |(_, collection)| collection);
            let it = collections.iter().find(|it| it.is(of))?;
            Some(it.called(name))
        };
        collections = own.iter().filter_map(under).collect();
    }
    Ok(Answer(Collections { collections }))
}

async fn describe(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<Described> {
    let _: ReadParams = http::query(request.query_string())?;
    let info = app.describe(&named(name.into_inner())?).await?;
    Ok(Answer(info.into()))
}

async fn exists(app: Data<App>, name: Path<String>) -> Outcome<Exists> {
    let name = named(name.into_inner())?;
    let exists = app.read(move |engine| match engine.describe(&name) {
        Ok(_) => Ok(true),
        Err(engine::Error::NoCollection(_)) => Ok(false),
        Err(error) => Err(error),
    });
    let exists = exists.await?;
    Ok(Answer(Exists { exists }))
}

async fn create(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let _: WriteParams = http::query(request.query_string())?;
    let body: CreateCollection =
        http::json(request.headers(), payload, app.max_body_bytes()).await?;
    let spread = body.shards()?;
    let spec = body.spec(&|name| app.faces.model(name))?;
    if let Some(count) = spread {
        shards::create(&app, name, spec, count).await?;
        return Ok(Answer(true));
    }
    let faces = Arc::clone(&app.faces);
    app.write(move |engine| {
        engine.create_collection(&name, spec)?;
        note_heads(&faces, engine, &name)
    })
    .await?;
    Ok(Answer(true))
}

async fn update(
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

async fn drop(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let params: DropParams = http::query(request.query_string())?;
    if params.only_empty() {
        shards::whole(&app, &name, "`only_empty`")?;
        let dropped = app.write(move |engine| engine.drop_empty_collection(&name));
        return Ok(Answer(dropped.await?));
    }
    let spread = shards::of(&app, &name)?;
    if let Some(spread) = &spread {
        shards::adopted(&app, spread).await?;
    }
    let was_there = app
        .write(move |engine| engine.drop_collection(&name))
        .await?;
    if let (true, Some(spread)) = (was_there, spread) {
        shards::gone(&app, &spread).await;
    }
    Ok(Answer(was_there))
}
