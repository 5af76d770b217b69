//! An index built anew as a job: points are copied a few at a time beside searches and writes, and
//! at the end the new index takes the old one's place. What has been begun stands in the log, so it
//! goes on after a restart, as a new job.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::{Copied, Engine};
use serde_json::{Value, json};

use crate::app::App;
use crate::jobs::{Halt, Job};
use crate::refusal::Refusal;

/// What the job is called.
const KIND: &str = "reindex";
/// Points copied at once while nobody is about.
const STEP: usize = 64;
/// Points copied at once while somebody is: a write waits for no more than these, and they are planned
/// on one thread, so that searches have the other cores.
const LITTLE_STEP: usize = engine::limits::PARALLEL_PLANS - 1;
/// How long jobs that have all places are left alone.
const NO_PLACE: Duration = Duration::from_secs(1);
/// How long a full queue of writes is left alone.
const BUSY: Duration = Duration::from_millis(50);

/// Begins a job that goes on with all that has been begun in a collection.
///
/// # Errors
/// 409 when one is at it already, 503 when as many jobs are at work as may be.
pub(crate) fn start(app: &App, collection: &str) -> Result<Arc<Job>, Refusal> {
    none_at_it(app, collection)?;
    let (engine, asked, name) = (app.recovered()?, app.asked(), collection.to_owned());
    app.jobs.start(KIND, collection.to_owned(), move |job| {
        run(&engine, &name, &asked, job)
    })
}

/// # Errors
/// 409 when a job rebuilds indexes of this collection.
pub(crate) fn none_at_it(app: &App, collection: &str) -> Result<(), Refusal> {
    let mut jobs = app.jobs.list().into_iter();
    let at_it = |job: &Arc<Job>| job.is(KIND, collection) && job.end().is_none();
    match jobs.find(at_it) {
        None => Ok(()),
        Some(job) => Err(Refusal::conflict(format!(
            "job {} rebuilds an index of collection `{collection}`: let it end, or cancel it",
            job.id
        ))),
    }
}

/// Goes on with what had been begun when the server stopped. Returns the collections for which there
/// was no place among the jobs.
pub(crate) fn go_on(app: &App, engine: &Engine) -> Vec<String> {
    let all = engine.collections().into_iter().map(|it| it.name);
    // A collection that has just been dropped has none.
    let begun = |name: &String| !engine.reindexes(name).unwrap_or_default().is_empty();
    let mut waiting = all.filter(begun).collect();
    start_all(&mut waiting, |name| start(app, name).map(drop));
    waiting
}

/// Tries again until all have begun, or the server stops.
pub(crate) fn wait_for_places(app: &App, mut waiting: Vec<String>) {
    while !waiting.is_empty() && app.stopping.rests(NO_PLACE) {
        start_all(&mut waiting, |name| start(app, name).map(drop));
    }
}

/// Those that find no place go on waiting.
fn start_all(waiting: &mut Vec<String>, start: impl Fn(&str) -> Result<(), Refusal>) {
    waiting.retain(|name| match start(name) {
        Ok(()) => false,
        Err(refusal) if refusal.is_busy() => true,
        Err(refusal) => {
            tracing::warn!(name, %refusal, "an index being rebuilt waits to be asked for again");
            false
        }
    });
}

fn run(
    engine: &Engine,
    collection: &str,
    asked: &dyn Fn() -> u64,
    job: &Job,
) -> Result<Value, Halt> {
    let before = engine.describe(collection)?.memory_bytes;
    let mut rebuilt = Vec::new();
    while let Some(next) = engine.reindexes(collection)?.into_iter().next() {
        match copy(engine, collection, &next.vector, asked, job) {
            Err(Halt::Cancelled) => {
                while let Err(error) = engine.cancel_reindex(collection, &next.vector) {
                    match error {
                        engine::Error::Busy(_) => thread::sleep(BUSY),
                        error => return Err(error.into()),
                    }
                }
                return Err(Halt::Cancelled);
            }
            copied => copied?,
        }
        rebuilt.push(next.vector);
    }
    let after = engine.describe(collection)?;
    let points = after.points as u64;
    // It is done, whatever was asked for meanwhile.
    let _ = job.step(points, points);
    Ok(json!({
        "vectors": rebuilt,
        "points": after.points,
        "memory_bytes": {"before": before, "after": after.memory_bytes},
    }))
}

/// Copies all points, and puts the new index in its place.
fn copy(
    engine: &Engine,
    collection: &str,
    vector: &str,
    asked: &dyn Fn() -> u64,
    job: &Job,
) -> Result<(), Halt> {
    let mut copied = Copied::default();
    let mut step = LITTLE_STEP;
    loop {
        let all = engine.reindexes(collection)?;
        if let Some(rebuild) = all.iter().find(|it| it.vector == vector) {
            job.step(rebuild.done as u64, rebuild.points as u64)?;
        }
        let (before, started) = (asked(), Instant::now());
        match engine.continue_reindex(collection, vector, copied, step) {
            Ok(Some(next)) => copied = next,
            Ok(None) => match engine.finish_reindex(collection, vector) {
                Ok(Some(_)) => return Ok(()),
                Ok(None) => copied = Copied::default(),
                Err(engine::Error::Busy(_)) => thread::sleep(BUSY),
                Err(error) => return Err(error.into()),
            },
            Err(engine::Error::Busy(_)) => thread::sleep(BUSY),
            Err(error) => return Err(error.into()),
        }
        step = STEP;
        if asked() > before {
            // Somebody is about, who gets half of the time.
            step = LITTLE_STEP;
            thread::sleep(started.elapsed());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use engine::{Ack, CollectionSpec, IndexChange, Metric, Options, Payload, Point, PointId};

    use super::*;
    use crate::jobs::{End, Jobs};

    const NAME: &str = "faces";

    /// An engine with an index to rebuild, and the job that does so.
    fn begun(dir: &std::path::Path) -> (Arc<Engine>, Jobs) {
        let engine = Engine::open(Options::new(dir)).unwrap();
        let spec = CollectionSpec::new(1, Metric::Euclid);
        engine.create_collection(NAME, spec).unwrap();
        let point = |id: u16| Point {
            id: PointId::Num(id.into()),
            vectors: vec![f32::from(id)].into(),
            payload: Payload::new(),
            face: None,
        };
        let points = (0..2_000).map(point).collect();
        engine.upsert(NAME, points, Ack::Applied).unwrap();
        let change = IndexChange::default();
        engine.begin_reindex(NAME, "", change).unwrap();
        (Arc::new(engine), Jobs::default())
    }

    fn job(engine: &Arc<Engine>, jobs: &Jobs) -> Arc<Job> {
        let engine = Arc::clone(engine);
        // Somebody is always about, so that it takes a while.
        let asked = std::sync::atomic::AtomicU64::new(0);
        let asked = move || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        jobs.start(KIND, NAME.into(), move |job| {
            run(&engine, NAME, &asked, job)
        })
        .unwrap()
    }

    fn wait(job: &Job) -> &End {
        loop {
            match job.end() {
                Some(end) => return end,
                None => thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_rebuild_that_is_cancelled_leaves_nothing_and_one_that_is_stopped_goes_on_later() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, jobs) = begun(dir.path());
        let stopped = job(&engine, &jobs);
        jobs.close();
        assert!(matches!(wait(&stopped), End::Cancelled));
        assert_eq!(engine.reindexes(NAME).unwrap().len(), 1);

        let jobs = Jobs::default();
        let cancelled = job(&engine, &jobs);
        jobs.cancel(cancelled.id).unwrap();
        assert!(matches!(wait(&cancelled), End::Cancelled));
        assert_eq!(engine.reindexes(NAME).unwrap(), []);
        engine.check(NAME).unwrap();

        engine
            .begin_reindex(NAME, "", IndexChange::default())
            .unwrap();
        let done = job(&engine, &jobs);
        assert!(matches!(wait(&done), End::Completed(result) if result["points"] == 2_000));
        engine.check(NAME).unwrap();
    }

    #[test]
    fn what_finds_no_place_waits_and_what_is_refused_does_not() {
        let start = |name: &str| match name {
            "waits" => Err(Refusal::busy("no place")),
            "refused" => Err(Refusal::conflict("no")),
            _ => Ok(()),
        };
        let mut waiting = ["waits", "refused", "fine"].map(str::to_owned).to_vec();
        start_all(&mut waiting, start);
        assert_eq!(waiting, ["waits"]);
        start_all(&mut waiting, |_| Ok(()));
        assert!(waiting.is_empty());
    }
}
