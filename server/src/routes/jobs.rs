//! Jobs: looked at, and asked to end.

use actix_web::web::{self, Data, Path};
use serde_json::json;

use crate::api::Operation;
use crate::app::App;
use crate::refusal::Refusal;
use crate::wire::envelope::Answer;
use crate::wire::job::{JobList, JobOut};

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
            .about("The jobs that are at work and the last that have ended, the oldest first.")
            .answers::<JobList>(json!({"jobs": [running.clone()]})),
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
    let jobs = app.jobs.list();
    let jobs = jobs.iter().map(|job| JobOut::from(&**job)).collect();
    Ok(Answer(JobList { jobs }))
}

async fn get(app: Data<App>, id: Path<String>) -> Outcome<JobOut> {
    let job = app.jobs.get(number(&id)?)?;
    Ok(Answer(JobOut::from(&*job)))
}

async fn cancel(app: Data<App>, id: Path<String>) -> Outcome<JobOut> {
    let job = app.jobs.cancel(number(&id)?)?;
    Ok(Answer(JobOut::from(&*job)))
}

fn number(id: &str) -> Result<u64, Refusal> {
    id.parse()
        .map_err(|_| Refusal::wrong("a job's id is a whole number: `GET /admin/jobs` lists them"))
}
