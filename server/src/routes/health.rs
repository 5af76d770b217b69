//! What operators ask: is it alive, is it ready, how is it doing.

use actix_web::HttpResponse;
use actix_web::web::{self, Data};

use crate::api::Operation;
use crate::app::App;
use crate::memory::Memory;
use crate::metrics::Work;
use crate::refusal::Refusal;
use crate::shards::Shards;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/healthz", "healthz", || web::to(alive)).about("Whether it is alive."),
        Operation::get("/livez", "livez", || web::to(alive)).about("Whether it is alive."),
        Operation::get("/readyz", "readyz", || web::to(ready))
            .about(
                "Whether everything on this node is recovered, the models, if any, are loaded, and writes are taken. \
                 Where a collection's shards are short of something that other nodes may have, the log that nodes share \
                 was purged, this node cannot keep its copy of it, or no checkpoint can be taken before a restart, the answer \
                 says so.",
            ),
        Operation::get("/metrics", "metrics", || web::to(metrics))
            .about("Metrics in the text format of Prometheus."),
    ]
}

async fn alive() -> HttpResponse {
    plain("alive")
}

/// Ready: everything is recovered, if there are models, they are loaded, and writes are taken.
async fn ready(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let short = stands(&app)?;
    Ok(plain(match short.is_empty() {
        true => "ready".to_owned(),
        false => format!("ready, but {}", short.join("; ")),
    }))
}

/// Which files are meant is in the log: anybody may ask this.
const UNCOPIED: &str =
    "no copy of the shared log is kept here before the next checkpoint: this node's log says why";

/// What it is short of, if it stands.
fn stands(app: &App) -> Result<Vec<String>, Refusal> {
    let status = app.recovered()?.status();
    if let Some(why) = status.read_only {
        return Err(Refusal::damaged(why.to_string()).and("Searches go on"));
    }
    if let Some(why) = status.log_waits {
        return Err(Refusal::busy(why).and("Searches go on"));
    }
    if app.faces.is_loading() {
        return Err(Refusal::busy("starting: the face models are being loaded"));
    }
    let mut short: Vec<String> = app.purged().into_iter().collect();
    if status.copy.has_given_up {
        short.push(UNCOPIED.to_owned());
    }
    short.extend(app.shards().map_or(Ok(Vec::new()), Shards::short_of)?);
    // Why holds the name of a collection, and anybody may ask this.
    let told = "no checkpoint can be taken: the log says why, and what a restart mends";
    short.extend(status.no_checkpoint.map(|_| told.to_owned()));
    Ok(short)
}

async fn metrics(app: Data<App>) -> Result<HttpResponse, Refusal> {
    let mut work = Work {
        is_ready: stands(&app).is_ok(),
        photos_waiting: app.faces.waiting(),
        jobs: app.jobs.running(),
        memory_used: Memory::used_bytes(),
        memory_limit: app.memory.limit_bytes(),
        memory_promised: app.memory.promised_bytes(),
        ..Work::default()
    };
    let text = if app.engine().is_some() {
        let states = app.look(|engine| {
            let told = (engine.status(), engine.collections());
            (told, (engine.compared(), engine.tables_bytes()))
        });
        let ((status, collections), counted) = states.await?;
        (work.compared, work.tables_bytes) = counted;
        app.metrics.text(Some((&status, &collections)), work)?
    } else {
        app.metrics.text(None, work)?
    };
    Ok(HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4; charset=utf-8")
        .body(text))
}

fn plain(text: impl Into<String>) -> HttpResponse {
    HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .body(text.into())
}
