//! Paths and what answers them. Handlers are short: parse, call, frame.

mod admin;
mod aliases;
mod collections;
mod faces;
mod health;
mod page;
mod points;
mod query;
mod snapshots;
mod vectors;

use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, Resource, Route};

use crate::refusal::Refusal;

/// All routes.
pub(crate) fn configure(routes: &mut ServiceConfig) {
    let paths = web::PathConfig::default().error_handler(|error, _| {
        Refusal::wrong(format!("the path cannot be read: {error}")).into()
    });
    routes
        .app_data(paths)
        .service(at(
            "/",
            [web::get().to(page::root), web::head().to(page::root)],
        ))
        .service(at("/app.js", [web::get().to(page::script)]))
        .service(at("/style.css", [web::get().to(page::style)]))
        .service(at("/favicon.svg", [web::get().to(page::icon)]))
        .service(at(
            "/healthz",
            [web::get().to(health::alive), web::head().to(health::alive)],
        ))
        .service(at(
            "/livez",
            [web::get().to(health::alive), web::head().to(health::alive)],
        ))
        .service(at(
            "/readyz",
            [web::get().to(health::ready), web::head().to(health::ready)],
        ))
        .service(at("/metrics", [web::get().to(health::metrics)]))
        .service(at("/collections", [web::get().to(collections::list)]))
        .service(at(
            "/collections/{collection}",
            [
                web::get().to(collections::describe),
                web::put().to(collections::create),
                web::patch().to(collections::update),
                web::delete().to(collections::drop),
                web::post().to(aliases::change),
            ],
        ))
        .service(at(
            "/collections/{collection}/exists",
            [web::get().to(collections::exists)],
        ))
        .service(at("/aliases", [web::get().to(aliases::all)]))
        .service(at(
            "/collections/{collection}/aliases",
            [web::get().to(aliases::of)],
        ))
        .configure(vectors)
        .configure(points)
        .configure(faces)
        .configure(backups)
        .default_service(web::to(nowhere));
}

fn vectors(routes: &mut ServiceConfig) {
    routes
        .service(at(
            "/collections/{collection}/vectors/",
            [web::delete().to(vectors::remove_unnamed)],
        ))
        .service(at(
            "/collections/{collection}/vectors/{vector}",
            [
                web::put().to(vectors::add),
                web::delete().to(vectors::remove),
            ],
        ))
        .service(at(
            "/collections/{collection}/points/vectors",
            [web::put().to(vectors::update)],
        ))
        .service(at(
            "/collections/{collection}/points/vectors/delete",
            [web::post().to(vectors::delete)],
        ));
}

fn points(routes: &mut ServiceConfig) {
    routes
        .service(at(
            "/collections/{collection}/points",
            [
                web::put().to(points::upsert),
                web::post().to(points::retrieve),
            ],
        ))
        .service(at(
            "/collections/{collection}/points/delete",
            [web::post().to(points::delete)],
        ))
        .service(at(
            "/collections/{collection}/points/query",
            [web::post().to(query::query)],
        ))
        .service(at(
            "/collections/{collection}/points/search",
            [web::post().to(query::search)],
        ))
        .service(at(
            "/collections/{collection}/points/scroll",
            [web::post().to(query::scroll)],
        ))
        .service(at(
            "/collections/{collection}/points/count",
            [web::post().to(query::count)],
        ))
        .service(at(
            "/collections/{collection}/points/{id}",
            [web::get().to(points::get)],
        ));
}

fn faces(routes: &mut ServiceConfig) {
    routes
        .service(at(
            "/collections/{collection}/faces",
            [web::post().to(faces::add)],
        ))
        .service(at(
            "/collections/{collection}/faces/search",
            [web::post().to(faces::search)],
        ))
        .service(at(
            "/collections/{collection}/faces/{id}",
            [web::get().to(faces::get), web::delete().to(faces::delete)],
        ))
        .service(at(
            "/collections/{collection}/faces/{id}/image",
            [web::get().to(faces::image)],
        ));
}

fn backups(routes: &mut ServiceConfig) {
    let of_one = [
        web::get().to(snapshots::list),
        web::post().to(snapshots::create),
    ];
    let of_all = [
        web::get().to(snapshots::list_full),
        web::post().to(snapshots::create_full),
    ];
    routes
        .service(at("/collections/{collection}/snapshots", of_one))
        .service(at(
            "/collections/{collection}/snapshots/upload",
            [web::post().to(snapshots::upload)],
        ))
        .service(at(
            "/collections/{collection}/snapshots/recover",
            [web::put().to(snapshots::recover)],
        ))
        .service(at(
            "/collections/{collection}/snapshots/{name}",
            [
                web::get().to(snapshots::download),
                web::delete().to(snapshots::remove),
            ],
        ))
        .service(at("/snapshots", of_all))
        .service(at(
            "/snapshots/upload",
            [web::post().to(snapshots::upload_full)],
        ))
        .service(at(
            "/snapshots/recover",
            [web::put().to(snapshots::recover_full)],
        ))
        .service(at(
            "/snapshots/{name}",
            [
                web::get().to(snapshots::download_full),
                web::delete().to(snapshots::remove_full),
            ],
        ))
        .service(at("/admin/checkpoint", [web::post().to(admin::checkpoint)]))
        .service(at(
            "/admin/collections/{collection}/purge",
            [web::post().to(admin::purge)],
        ))
        .service(at(
            "/admin/collections/{collection}/checksum",
            [web::get().to(admin::checksum)],
        ));
}

fn at<const N: usize>(path: &str, routes: [Route; N]) -> Resource {
    let resource = routes
        .into_iter()
        .fold(web::resource(path), Resource::route);
    resource.default_service(web::to(wrong_method))
}

async fn wrong_method() -> Result<String, Refusal> {
    Err(Refusal::method())
}

/// A path with `..` in it is told apart: it is no mere slip.
async fn nowhere(request: HttpRequest) -> Result<String, Refusal> {
    let path = request.path();
    if path.split('/').any(|part| part == ".." || part == ".") {
        return Err(Refusal::wrong("a path must not go through `.` or `..`"));
    }
    Err(Refusal::not_found("there is nothing at this path"))
}

/// A collection's name as it stands in a path, checked before anything else is.
fn named(name: String) -> Result<String, Refusal> {
    engine::check_name(&name)?;
    Ok(name)
}
