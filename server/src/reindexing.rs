//! An index built anew as a job: points are copied a few at a time beside searches and writes, and
//! at the end the new index takes the old one's place. What has been begun stands in the log, so it
//! goes on after a restart (see `interrupted`).

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::{Copied, Engine, IndexChange};
use serde_json::{Value, json};

use crate::app::App;
use crate::jobs::{Halt, Job};
use crate::memory::Promise;
use crate::refusal::Refusal;

/// What a job of this kind is called.
pub(crate) const KIND: &str = "reindex";
/// Points copied at once while nobody is about.
const STEP: usize = 64;
/// Points copied at once while somebody is: a write waits for no more than these, and they are planned
/// on one thread, so that searches have the other cores.
const LITTLE_STEP: usize = engine::limits::PARALLEL_PLANS - 1;
/// How long a full queue of writes is left alone.
const BUSY: Duration = Duration::from_millis(50);

/// Begins to build an index anew: that it is under way is in the log before anybody is told. Whoever
/// calls this holds `beginning`.
///
/// # Errors
/// 409 when a job is at it already or with other settings, 503 when as many jobs are at work as may be,
/// 507 when there is no room for a second index.
pub(crate) fn begin(
    app: &App,
    engine: &Arc<Engine>,
    (collection, vector): (&str, &str),
    change: IndexChange,
) -> Result<Arc<Job>, Refusal> {
    none_at_it(app, collection)?;
    let before = engine.reindexes(collection)?;
    // The new index is there beside the old one.
    let room = app
        .memory
        .promise(engine.index_bytes(collection, vector)? as u64)?;
    engine.begin_reindex(collection, vector, change)?;
    let started = start(app, engine, collection, room);
    started.inspect_err(|_| {
        // What had been begun before stays.
        if before.iter().any(|it| it.vector == vector) {
            return;
        }
        if let Err(error) = engine.cancel_reindex(collection, vector) {
            tracing::error!(collection, vector, %error, "a rebuild that did not begin stays noted");
        }
    })
}

/// Goes on with all that a stop has interrupted in a collection, if it is still to go on.
///
/// # Errors
/// 409 when a job is at it already, 503 when as many jobs are at work as may be.
pub(crate) fn go_on(app: &App, engine: &Arc<Engine>, collection: &str) -> Result<(), Refusal> {
    let _one = app.beginning.lock();
    let begun = engine.reindexes(collection)?;
    if begun.is_empty() {
        return Ok(());
    }
    none_at_it(app, collection)?;
    // It was let in once, and part of it is there: it is counted, and not refused.
    let bytes = begun.iter().map(|it| it.wanted_bytes as u64).sum();
    start(app, engine, collection, app.memory.hold(bytes)).map(drop)
}

/// Begins a job that goes on with all that has been begun in a collection.
fn start(
    app: &App,
    engine: &Arc<Engine>,
    collection: &str,
    room: Promise,
) -> Result<Arc<Job>, Refusal> {
    let (engine, asked, name) = (Arc::clone(engine), app.asked(), collection.to_owned());
    app.jobs.start(KIND, collection.to_owned(), move |job| {
        run(&engine, &name, &asked, (job, &room))
    })
}

/// Gives up all that was begun in a collection and waits to go on. Whoever calls this holds `beginning`.
pub(crate) fn give_up(engine: &Engine, collection: &str) -> Result<(), Refusal> {
    for begun in engine.reindexes(collection)? {
        engine.cancel_reindex(collection, &begun.vector)?;
    }
    Ok(())
}

/// # Errors
/// 409 when a job rebuilds indexes of this collection.
fn none_at_it(app: &App, collection: &str) -> Result<(), Refusal> {
    let mut jobs = app.jobs.list().into_iter();
    let at_it = |job: &Arc<Job>| job.is(KIND, collection) && job.is_at_work();
    match jobs.find(at_it) {
        None => Ok(()),
        Some(job) => Err(Refusal::conflict(format!(
            "job {} rebuilds an index of collection `{collection}`: let it end, or cancel it",
            job.id
        ))),
    }
}

fn run(
    engine: &Engine,
    collection: &str,
    asked: &dyn Fn() -> u64,
    (job, room): (&Job, &Promise),
) -> Result<Value, Halt> {
    let before = engine.describe(collection)?.memory_bytes;
    let mut rebuilt = Vec::new();
    while let Some(next) = engine.reindexes(collection)?.into_iter().next() {
        match copy(engine, (collection, &next.vector), asked, (job, room)) {
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
    (collection, vector): (&str, &str),
    asked: &dyn Fn() -> u64,
    (job, room): (&Job, &Promise),
) -> Result<(), Halt> {
    let mut copied = Copied::default();
    let mut step = LITTLE_STEP;
    loop {
        let all = engine.reindexes(collection)?;
        room.keep(all.iter().map(|it| it.wanted_bytes as u64).sum());
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
    use crate::memory::Memory;
    use crate::metrics::Metrics;

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
        (Arc::new(engine), Jobs::new(dir))
    }

    fn job(engine: &Arc<Engine>, jobs: &Jobs) -> Arc<Job> {
        let engine = Arc::clone(engine);
        // Somebody is always about, so that it takes a while.
        let asked = std::sync::atomic::AtomicU64::new(0);
        let asked = move || asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let room = Memory::new(0, &Metrics::new()).hold(0);
        jobs.start(KIND, NAME.into(), move |job| {
            run(&engine, NAME, &asked, (job, &room))
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
        assert!(matches!(wait(&stopped), End::Cancelled(_)));
        assert_eq!(engine.reindexes(NAME).unwrap().len(), 1);

        let jobs = Jobs::new(dir.path());
        let cancelled = job(&engine, &jobs);
        cancelled.cancel();
        assert!(matches!(wait(&cancelled), End::Cancelled(_)));
        assert_eq!(engine.reindexes(NAME).unwrap(), []);
        engine.check(NAME).unwrap();

        engine
            .begin_reindex(NAME, "", IndexChange::default())
            .unwrap();
        let done = job(&engine, &jobs);
        assert!(matches!(wait(&done), End::Completed(result) if result["points"] == 2_000));
        engine.check(NAME).unwrap();
    }
}
