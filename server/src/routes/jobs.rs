//! Jobs: backups, erasure and upkeep begun as such, all of them looked at and asked to end.

use std::collections::HashSet;
use std::sync::Arc;

use actix_web::HttpRequest;
use actix_web::web::{self, Data, Path, Payload};
use engine::Engine;
use serde::Serialize;
use serde_json::{Value, json};

use super::named;
use crate::access::Grant;
use crate::api::Operation;
use crate::app::App;
use crate::jobs::{Halt, Job};
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::job::{Begin, BeginAll, CompactedOut, ExaminedOut, JobList, JobOut, WarmedOut};
use crate::wire::purge::Purged;
use crate::wire::snapshot::Snapshot;
use crate::{http, interrupted, limits};

type Outcome<T> = Result<Answer<T>, Refusal>;

/// What this file answers.
pub(super) fn operations() -> Vec<Operation> {
    const ONE: &str = "/admin/jobs/{job}";
    let running = json!({
        "id": 1, "kind": "cluster", "collection": "faces", "status": "running",
        "done": 1200, "of": 3027, "started": "2026-11-25T06:55:40", "seconds": 0.4,
    });
    vec![
        Operation::get("/admin/jobs", "listJobs", || web::to(list))
            .about(
                "The jobs that are at work and the last that have ended, the oldest first. What a restart \
                 has interrupted and goes on (`reindex`, `reembed`) keeps its id; other jobs are told as failed \
                 then. A key that is limited to collections sees and cancels the jobs of these.",
            )
            .answers::<JobList>(json!({"jobs": [running.clone()]})),
        Operation::post("/admin/jobs", "beginJob", || web::to(begin_all))
            .about(
                "Begins a job about everything: `backup` makes a backup of the whole server, whose \
                 name is in the job's result; `verify` reads the checkpoints and backups, compares \
                 them with their checksums, tells what is damaged and writes damaged snapshots anew (one \
                 that is cancelled has what it had found by then in its result); \
                 `compact` writes the tables anew and releases the log, while which writes wait.",
            )
            .takes::<BeginAll>(json!({"kind": "backup"}))
            .answers::<JobOut>(json!({
                "id": 2, "kind": "backup", "collection": null, "status": "running",
                "done": 0, "of": 0, "started": "2026-11-25T06:55:40", "seconds": 0.0,
            })),
        Operation::post(
            "/admin/collections/{collection}/jobs",
            "beginJobOfCollection",
            || web::to(begin),
        )
        .about(
            "Begins a job: `backup` makes a backup of the collection; `purge` takes what was \
             deleted out of every file, and can be cancelled between its steps; `warm_up` reads all \
             vectors and payloads into memory. The result of the first two is what the routes answer \
             that do the same while the client waits.",
        )
        .takes::<Begin>(json!({"kind": "purge", "backups": "keep"}))
        .answers::<JobOut>(running.clone()),
        Operation::get(ONE, "getJob", || web::to(get))
            .about("How far a job is, or what came of it.")
            .answers::<JobOut>(running.clone()),
        Operation::delete(ONE, "cancelJob", || web::to(cancel))
            .about(
                "Asks a job to end early; what it has written stays. One that has ended is left \
                 as it is.",
            )
            .answers::<JobOut>(running),
    ]
}

async fn list(app: Data<App>) -> Outcome<JobList> {
    app.recovered()?;
    let seen = Seen::of(&app);
    let jobs = app.jobs.list().into_iter().filter(|job| seen.has(job));
    let jobs = jobs.map(|job| JobOut::from(&*job)).collect();
    Ok(Answer(JobList { jobs }))
}

async fn begin_all(app: Data<App>, request: HttpRequest, payload: Payload) -> Outcome<JobOut> {
    let body: BeginAll = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    if body.writes() {
        app.takes_writes()?;
    }
    let job = app.into_inner().begin(move |app, engine| {
        let of = Arc::clone(engine);
        match body {
            BeginAll::Backup(_) => back_up(app, of, None),
            BeginAll::Compact(_) => app.jobs.start("compact", String::new(), move |job: &Job| {
                let done = job.watch(|progress| of.compact(progress))?;
                told(&CompactedOut::from(done))
            }),
            BeginAll::Verify(_) => app.jobs.start("verify", String::new(), move |job: &Job| {
                let done = job.watch(|progress| of.examine(progress))?;
                for what in &done.damaged {
                    tracing::error!(what, mended = done.mended, "a file is damaged");
                }
                let complete = done.complete;
                let told = told(&ExaminedOut::from(done))?;
                match complete {
                    true => Ok(told),
                    false => Err(Halt::With(told)),
                }
            }),
        }
    });
    Ok(Answer(JobOut::from(&*job.await?)))
}

async fn begin(
    app: Data<App>,
    request: HttpRequest,
    name: Path<String>,
    payload: Payload,
) -> Outcome<JobOut> {
    let name = named(name.into_inner())?;
    let body: Begin = http::json(request.headers(), payload, app.max_body_bytes()).await?;
    // Here, where it is known who asks.
    let backups = body.backups()?;
    if body.writes() {
        app.takes_writes()?;
    }
    let job = app.into_inner().begin(move |app, engine| {
        // An alias is told by the name of its collection, and what is not there is refused at once.
        let name = engine.describe(&name)?.name;
        let of = Arc::clone(engine);
        match body {
            Begin::Backup(_) => back_up(app, of, Some(name)),
            Begin::Purge(_) => app.jobs.start("purge", name.clone(), move |job: &Job| {
                let report = job.watch(|progress| of.purge_watched(&name, backups, progress))?;
                told(&Purged::from(report))
            }),
            Begin::WarmUp(_) => app.jobs.start("warm_up", name.clone(), move |job: &Job| {
                let done = job.watch(|progress| of.warm_up(&name, progress))?;
                told(&WarmedOut::from(done))
            }),
        }
    });
    Ok(Answer(JobOut::from(&*job.await?)))
}

fn back_up(app: &App, engine: Arc<Engine>, of: Option<String>) -> Result<Arc<Job>, Refusal> {
    let name = of.clone().unwrap_or_default();
    app.jobs.start("backup", name, move |job: &Job| {
        let made = job.watch(|progress| engine.create_backup_watched(of.as_deref(), progress))?;
        told(&Snapshot::from(made))
    })
}

fn told(result: &impl Serialize) -> Result<Value, Halt> {
    serde_json::to_value(result).map_err(|error| Halt::Failed(error.to_string()))
}

async fn get(app: Data<App>, id: Path<String>) -> Outcome<JobOut> {
    Ok(Answer(JobOut::from(&*seen(&app, &id)?)))
}

async fn cancel(app: Data<App>, id: Path<String>) -> Outcome<JobOut> {
    let job = seen(&app, &id)?;
    let cancelled = Arc::clone(&job);
    match job.waits() {
        None => job.cancel(),
        Some(_) => {
            let cancel =
                move |app: &App, engine: &Arc<Engine>| interrupted::cancel(app, engine, &cancelled);
            app.into_inner().begin(cancel).await?;
        }
    }
    Ok(Answer(JobOut::from(&*job)))
}

/// The job of an id; one of others is none.
fn seen(app: &App, id: &str) -> Result<Arc<Job>, Refusal> {
    let id = number(id)?;
    app.recovered()?;
    let job = app.jobs.get(id).filter(|job| Seen::of(app).has(job));
    job.ok_or_else(|| {
        Refusal::not_found(format!(
            "job {id} does not exist, or is not known any more: of those that ended before the server's last start \
             nothing is kept, of later ones the last {} are",
            limits::JOBS_KNOWN
        ))
    })
}

/// Which jobs the key that asks sees and cancels: those that it might have begun.
enum Seen {
    All,
    /// Those of these collections.
    Of(HashSet<String>),
}

impl Seen {
    fn of(app: &App) -> Self {
        let Some(own) = Grant::current().limits().collections else {
            return Self::All;
        };
        let mut own: HashSet<_> = own.into_iter().collect();
        // A job is told by the name of its collection, a key may be limited to an alias.
        let aliases = app.engine().map(|engine| engine.aliases());
        for (alias, collection) in aliases.unwrap_or_default() {
            if own.contains(&alias) {
                own.insert(collection);
            }
        }
        Self::Of(own)
    }

    fn has(&self, job: &Job) -> bool {
        match self {
            Self::All => true,
            Self::Of(own) => own.contains(&job.collection),
        }
    }
}

fn number(id: &str) -> Result<u64, Refusal> {
    id.parse()
        .map_err(|_| Refusal::wrong("a job's id is a whole number: `GET /admin/jobs` lists them"))
}
