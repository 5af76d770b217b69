//! Backups, of one collection or of everything: make, list, download, remove, restore.

use actix_web::body::SizedStream;
use actix_web::http::header;
use actix_web::web::{self, Bytes, Data, Path, Payload};
use actix_web::{HttpRequest, HttpResponse};
use engine::RestoreAs;
use futures_util::stream;

use serde_json::{Value, json};

use super::named;
use crate::access::Grant;
use crate::api::Operation;
use crate::app::App;
use crate::http;
use crate::limits;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::snapshot::{
    BackupBytes, Recover, RestoredAll, Snapshot, SnapshotForm, SnapshotParams,
};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    let restored = json!({"lsn": 42, "collections": [{"name": "faces", "points": 1000}]});
    vec![
        Operation::get(
            "/collections/{collection}/snapshots",
            "listSnapshots",
            || web::to(list),
        )
        .about("The backups of a collection.")
        .answers::<Vec<Snapshot>>(json!([snapshot()])),
        Operation::post(
            "/collections/{collection}/snapshots",
            "createSnapshot",
            || web::to(create),
        )
        .about("Makes a backup of a collection while writes go on.")
        .params::<SnapshotParams>()
        .answers::<Snapshot>(snapshot())
        .refuses(&[507]),
        Operation::post(
            "/collections/{collection}/snapshots/upload",
            "uploadSnapshot",
            || web::to(upload),
        )
        .about("Restores a collection from a backup that is sent.")
        .params::<SnapshotParams>()
        .takes_form::<SnapshotForm>("multipart/form-data")
        .takes_form::<BackupBytes>("application/octet-stream")
        .answers::<bool>(json!(true))
        .refuses(&[409, 422, 507]),
        Operation::put(
            "/collections/{collection}/snapshots/recover",
            "recoverSnapshot",
            || web::to(recover),
        )
        .about("Restores a collection from a backup that this server holds.")
        .params::<SnapshotParams>()
        .takes::<Recover>(json!({"location": "faces.snapshot"}))
        .answers::<bool>(json!(true))
        .refuses(&[409, 422, 507]),
        Operation::get(
            "/collections/{collection}/snapshots/{name}",
            "downloadSnapshot",
            || web::to(download),
        )
        .about("A backup, as a file.")
        .answers_plain(&["application/octet-stream"]),
        Operation::delete(
            "/collections/{collection}/snapshots/{name}",
            "deleteSnapshot",
            || web::to(remove),
        )
        .about("Removes a backup.")
        .params::<SnapshotParams>()
        .answers::<bool>(json!(true)),
        Operation::get("/snapshots", "listFullSnapshots", || web::to(list_full))
            .about("The backups of the whole server.")
            .answers::<Vec<Snapshot>>(json!([snapshot()])),
        Operation::post("/snapshots", "createFullSnapshot", || web::to(create_full))
            .about("Makes a backup of everything.")
            .params::<SnapshotParams>()
            .answers::<Snapshot>(snapshot())
            .refuses(&[507]),
        Operation::post("/snapshots/upload", "uploadFullSnapshot", || {
            web::to(upload_full)
        })
        .about("Restores everything from a backup that is sent.")
        .params::<SnapshotParams>()
        .takes_form::<SnapshotForm>("multipart/form-data")
        .takes_form::<BackupBytes>("application/octet-stream")
        .answers::<RestoredAll>(restored.clone())
        .refuses(&[409, 422, 507]),
        Operation::put("/snapshots/recover", "recoverFullSnapshot", || {
            web::to(recover_full)
        })
        .about("Restores everything from a backup that this server holds.")
        .params::<SnapshotParams>()
        .takes::<Recover>(json!({"location": "full.snapshot"}))
        .answers::<RestoredAll>(restored.clone())
        .refuses(&[404, 409, 422, 507]),
        Operation::get("/snapshots/{name}", "downloadFullSnapshot", || {
            web::to(download_full)
        })
        .about("A backup of everything, as a file.")
        .answers_plain(&["application/octet-stream"]),
        Operation::delete("/snapshots/{name}", "deleteFullSnapshot", || {
            web::to(remove_full)
        })
        .about("Removes a backup of everything.")
        .params::<SnapshotParams>()
        .answers::<bool>(json!(true)),
    ]
}

fn snapshot() -> Value {
    json!({
        "name": "faces-42.snapshot", "creation_time": "2026-11-25T06:55:40", "size": 4096,
        "checksum": "9f2c", "lsn": 42,
    })
}

async fn create(app: Data<App>, request: HttpRequest, name: Path<String>) -> Outcome<Snapshot> {
    make(app, request, Some(named(name.into_inner())?)).await
}

async fn create_full(app: Data<App>, request: HttpRequest) -> Outcome<Snapshot> {
    make(app, request, None).await
}

async fn make(app: Data<App>, request: HttpRequest, of: Option<String>) -> Outcome<Snapshot> {
    let _: SnapshotParams = http::query(request.query_string())?;
    let made = app.operate(move |engine| engine.create_backup(of.as_deref()));
    Ok(Answer(made.await?.into()))
}

async fn list(app: Data<App>, name: Path<String>) -> Outcome<Vec<Snapshot>> {
    all(app, Some(named(name.into_inner())?)).await
}

async fn list_full(app: Data<App>) -> Outcome<Vec<Snapshot>> {
    all(app, None).await
}

async fn all(app: Data<App>, of: Option<String>) -> Outcome<Vec<Snapshot>> {
    let files = app.operate(move |engine| engine.backups(of.as_deref()));
    let files = files.await?.into_iter();
    Ok(Answer(files.map(Snapshot::from).collect()))
}

async fn download(app: Data<App>, path: Path<(String, String)>) -> Result<HttpResponse, Refusal> {
    let (name, file) = path.into_inner();
    content(app, Some(named(name)?), file).await
}

async fn download_full(app: Data<App>, file: Path<String>) -> Result<HttpResponse, Refusal> {
    content(app, None, file.into_inner()).await
}

async fn content(
    app: Data<App>,
    of: Option<String>,
    file: String,
) -> Result<HttpResponse, Refusal> {
    let download = app.operate(move |engine| engine.download_backup(of.as_deref(), &file));
    let download = download.await?;
    let mut response = HttpResponse::Ok();
    response.content_type("application/octet-stream");
    let attachment = format!("attachment; filename=\"{}\"", download.info.name);
    response.insert_header((header::CONTENT_DISPOSITION, attachment));
    if let Some(sha256) = &download.info.sha256 {
        response.insert_header(("x-checksum-sha256", sha256.as_str()));
    }
    let bytes = download.info.bytes;
    let pieces = stream::try_unfold((download, 0), |(download, at)| async move {
        let read = web::block(move || {
            let piece = download.read(at, limits::BACKUP_PIECE_BYTES);
            piece.map(|piece| (piece, download))
        });
        let broke = |_| Refusal::internal("a thread of the server broke down");
        let (piece, download) = read.await.map_err(broke)?.map_err(Refusal::from)?;
        let next = at + piece.len() as u64;
        let more = (!piece.is_empty()).then(|| (Bytes::from(piece), (download, next)));
        Ok::<_, actix_web::Error>(more)
    });
    Ok(response.body(SizedStream::new(bytes, Box::pin(pieces))))
}

async fn remove(
    app: Data<App>,
    request: HttpRequest,
    path: Path<(String, String)>,
) -> Outcome<bool> {
    let (name, file) = path.into_inner();
    delete(app, request, Some(named(name)?), file).await
}

async fn remove_full(app: Data<App>, request: HttpRequest, file: Path<String>) -> Outcome<bool> {
    delete(app, request, None, file.into_inner()).await
}

async fn delete(
    app: Data<App>,
    request: HttpRequest,
    of: Option<String>,
    file: String,
) -> Outcome<bool> {
    let _: SnapshotParams = http::query(request.query_string())?;
    let removed = app.operate(
        move |engine| match engine.delete_backup(of.as_deref(), &file)? {
            true => Ok(true),
            false => Err(engine::Error::NoBackup(file)),
        },
    );
    Ok(Answer(removed.await?))
}

async fn upload(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let params: SnapshotParams = http::query(request.query_string())?;
    let incoming = app.operate(|engine| engine.receive_backup()).await?;
    let backup = http::backup(request.headers(), payload, incoming).await?;
    let memory = app.memory.clone();
    let restored = app.operate(move |engine| {
        let _room = memory.promise(engine.restore_bytes(&backup))?;
        let checksum = params.checksum.as_deref();
        Ok::<_, Refusal>(engine.restore(backup, RestoreAs::Name(&name), checksum)?)
    });
    restored.await?;
    Ok(Answer(true))
}

async fn upload_full(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Outcome<RestoredAll> {
    let params: SnapshotParams = http::query(request.query_string())?;
    let incoming = app.operate(|engine| engine.receive_backup()).await?;
    let backup = http::backup(request.headers(), payload, incoming).await?;
    let memory = app.memory.clone();
    let restored = app.operate(move |engine| {
        let _room = memory.promise(engine.restore_bytes(&backup))?;
        let checksum = params.checksum.as_deref();
        Ok::<_, Refusal>(engine.restore(backup, RestoreAs::Everything, checksum)?)
    });
    Ok(Answer(restored.await?.into()))
}

async fn recover(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<bool> {
    let name = named(name.into_inner())?;
    let body = recover_body(&app, &request, payload).await?;
    let (memory, own) = (app.memory.clone(), Grant::current().limits().collections);
    let restored = app.operate(move |engine| {
        let (of, file) = engine.locate_backup(Some(&name), &body.location)?;
        let (its_own, _) = engine.locate_backup(Some(&name), &file)?;
        let reached = |of: &String| own.iter().flatten().any(|name| name == of);
        if own.is_some() && of != its_own && !of.as_ref().is_some_and(reached) {
            return Err(Refusal::forbidden(
                "`location` is a backup of other collections, and this key is for some only",
            ));
        }
        let (of, checksum) = (of.as_deref(), body.checksum.as_deref());
        let _room = memory.promise(engine.restore_bytes_from_shelf(of, &file)?)?;
        let restored = engine.restore_from_shelf(of, &file, RestoreAs::Name(&name), checksum);
        Ok::<_, Refusal>(restored?)
    });
    restored.await?;
    Ok(Answer(true))
}

async fn recover_full(
    app: Data<App>,
    request: HttpRequest,
    payload: Payload,
) -> Outcome<RestoredAll> {
    let body = recover_body(&app, &request, payload).await?;
    let memory = app.memory.clone();
    let restored = app.operate(move |engine| {
        let (of, file) = engine.locate_backup(None, &body.location)?;
        let (of, checksum) = (of.as_deref(), body.checksum.as_deref());
        let _room = memory.promise(engine.restore_bytes_from_shelf(of, &file)?)?;
        let restored = engine.restore_from_shelf(of, &file, RestoreAs::Everything, checksum);
        Ok::<_, Refusal>(restored?)
    });
    Ok(Answer(restored.await?.into()))
}

async fn recover_body(
    app: &Data<App>,
    request: &HttpRequest,
    payload: Payload,
) -> Result<Recover, Refusal> {
    let _: SnapshotParams = http::query(request.query_string())?;
    let body: Recover = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    body.checked()
}
