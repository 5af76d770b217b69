//! What a stop has interrupted goes on at the next start, as the jobs that it was: indexes that are built anew,
//! and moves to other models. One for which there is no place among the jobs, or whose model is not up yet,
//! waits, and is tried again until the server stops or somebody cancels it.

use std::sync::Arc;
use std::time::Duration;

use engine::Engine;
use serde_json::json;

use crate::app::App;
use crate::jobs::{self, End, Job, Jobs};
use crate::refusal::Refusal;
use crate::{reembedding, reindexing};

/// How long what has to wait is left alone.
const WAIT: Duration = Duration::from_secs(1);

/// What was under way in a collection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Rebuild,
    Move,
}

/// Work that waits, as the job that it was.
#[derive(Debug)]
struct Waits {
    work: Work,
    job: Arc<Job>,
}

/// All that waits.
#[derive(Debug)]
pub(crate) struct Interrupted(Vec<Waits>);

impl Interrupted {
    /// What the log says had been begun and was not ended.
    pub(crate) fn of(jobs: &Jobs, engine: &Engine) -> Self {
        let (mut works, mut all) = (Vec::new(), Vec::new());
        for info in engine.collections() {
            let mut waits = |work, kind, progress| {
                works.push(work);
                all.push(jobs::Interrupted {
                    kind,
                    collection: info.name.clone(),
                    progress,
                });
            };
            // A collection that has just been dropped has none.
            let rebuilds = engine.reindexes(&info.name).unwrap_or_default();
            if let Some(next) = rebuilds.first() {
                let progress = (next.done as u64, next.points as u64);
                waits(Work::Rebuild, reindexing::KIND, progress);
            }
            if reembedding::is_interrupted(&info) {
                waits(Work::Move, reembedding::KIND, (0, 0));
            }
        }
        let jobs = jobs.recall(all);
        let all = works.into_iter().zip(jobs);
        Self(all.map(|(work, job)| Waits { work, job }).collect())
    }

    /// Goes on with all for which there is a place now.
    pub(crate) fn go_on(&mut self, app: &App, engine: &Arc<Engine>) {
        self.start(&app.jobs, |work, collection| match work {
            Work::Rebuild => reindexing::go_on(app, engine, collection),
            Work::Move => reembedding::go_on(app, engine, collection),
        });
    }

    /// Tries again until all have begun, or the server stops.
    pub(crate) fn wait(mut self, app: &App, engine: &Arc<Engine>) {
        while !self.0.is_empty() && app.stopping.rests(WAIT) {
            self.go_on(app, engine);
        }
    }

    fn start(&mut self, jobs: &Jobs, start: impl Fn(Work, &str) -> Result<(), Refusal>) {
        self.0.retain(|Waits { work, job }| {
            if job.waits().is_none() {
                // Somebody has gone on with it, or cancelled it.
                return false;
            }
            let collection = &job.collection;
            let Err(refusal) = start(*work, collection) else {
                let nothing = json!({"why": "nothing was left to be done"});
                jobs.over(job, End::Cancelled(Some(nothing)));
                return false;
            };
            if !refusal.is_busy() {
                tracing::error!(collection, ?work, %refusal, "what was interrupted cannot go on");
                jobs.over(job, End::Failed(refusal.to_string()));
                return false;
            }
            if job.waits_for(refusal.to_string()) {
                tracing::info!(collection, ?work, %refusal, "what was interrupted waits to go on");
            }
            true
        });
    }
}

/// Cancels a job that waits, or has gone on meanwhile. Whoever calls this holds `beginning`.
///
/// # Errors
/// What keeps it from being cancelled; it waits on.
pub(crate) fn cancel(app: &App, engine: &Engine, job: &Job) -> Result<(), Refusal> {
    if job.waits().is_none() {
        job.cancel();
        return Ok(());
    }
    match job.kind.as_str() {
        reembedding::KIND => reembedding::stop(app, engine, &job.collection)?,
        _ => reindexing::give_up(engine, &job.collection)?,
    }
    app.jobs.over(job, End::Cancelled(None));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_finds_no_place_or_no_model_waits_and_what_is_refused_does_not() {
        let start = |work: Work, name: &str| match (name, work) {
            ("busy", _) => Err(Refusal::busy("no place")),
            ("model", Work::Move) => Err(Refusal::busy("no model")),
            ("refused", _) => Err(Refusal::conflict("no")),
            _ => Ok(()),
        };
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::new(dir.path());
        let all = [
            (Work::Rebuild, "busy"),
            (Work::Move, "model"),
            (Work::Move, "refused"),
            (Work::Move, "fine"),
        ];
        let recalled = jobs.recall(
            all.map(|(_, name)| jobs::Interrupted {
                kind: "test",
                collection: name.to_owned(),
                progress: (0, 0),
            })
            .into(),
        );
        let works = all.map(|(work, _)| work).into_iter().zip(recalled);
        let mut interrupted = Interrupted(works.map(|(work, job)| Waits { work, job }).collect());
        interrupted.start(&jobs, start);
        let names: Vec<_> = interrupted.0.iter().map(|it| &*it.job.collection).collect();
        assert_eq!(names, ["busy", "model"]);
        let told = |name: &str| {
            let job = jobs.list().into_iter().find(|it| it.collection == name);
            let job = job.unwrap();
            (
                job.waits(),
                job.end().map(|end| matches!(end, End::Failed(_))),
            )
        };
        assert_eq!(told("model"), (Some("no model".to_owned()), None));
        assert_eq!(told("refused"), (None, Some(true)));
        assert_eq!(told("fine"), (None, Some(false)));
        interrupted.start(&jobs, |_, _| Ok(()));
        assert!(interrupted.0.is_empty());
    }
}
