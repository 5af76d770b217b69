//! Work that goes on after the request that asked for it was answered: each job has an id, a
//! progress that can be looked at, and an end that can be asked for early.
//!
//! A job runs on a thread of its own and says now and then how far it is; there it learns that it
//! was cancelled, or that the server stops. What it has written by then stays. Jobs live with the
//! process; what is to go on after a restart stands in the data folder, and is begun as a new job
//! then (see `reindexing`, `reembedding`). Its id is the millisecond at which it began, or more where the
//! clock went back: the newest id stands in a file, so that one from before a restart names no other job
//! after it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;
use storage::now_ms;

use crate::limits;
use crate::refusal::Refusal;

/// Where the newest id stands, in the data folder.
const FILE: &str = "JOBS";

/// The jobs of this process.
pub(crate) struct Jobs {
    state: Mutex<State>,
    ids: Arc<Ids>,
}

/// The ids that were given, also before this process.
struct Ids {
    path: PathBuf,
    /// The newest that the file had at the first look.
    before: OnceLock<u64>,
    /// The newest that was written; held while it is.
    noted: Mutex<Option<u64>>,
}

impl Ids {
    /// The newest that the file had at the first look. Nobody who asks waits for a write.
    fn newest(&self) -> u64 {
        let read = || match storage::read_whole(&self.path) {
            Ok(noted) => noted.and_then(|noted| Some(u64::from_le_bytes(noted.try_into().ok()?))),
            Err(error) => {
                tracing::warn!(%error, "the newest id of a job cannot be read: ids may repeat");
                None
            }
        };
        *self.before.get_or_init(|| read().unwrap_or_default())
    }

    /// Makes an id durable.
    fn note(&self, id: u64) {
        let mut noted = self.noted.lock();
        if noted.is_none_or(|noted| noted < id) {
            match storage::replace_whole(&self.path, &id.to_le_bytes()) {
                Ok(()) => *noted = Some(id),
                Err(error) => {
                    tracing::warn!(%error, "the id of a job cannot be noted: it may be given again");
                }
            }
        }
    }
}

#[derive(Default)]
struct State {
    last: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

/// A job, at work or at its end.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    /// What it does: `cluster`, `reembed`.
    pub(crate) kind: &'static str,
    /// Empty if it is about all of them.
    pub(crate) collection: String,
    /// Seconds since 1970.
    pub(crate) started_s: u64,
    started: Instant,
    done: AtomicU64,
    of: AtomicU64,
    cancelled: AtomicBool,
    stopped: AtomicBool,
    end: OnceLock<(Duration, End)>,
}

/// How a job has ended.
#[derive(Debug)]
pub(crate) enum End {
    /// With this result.
    Completed(Value),
    Failed(String),
    /// With what had come of it by then, if it tells.
    Cancelled(Option<Value>),
}

/// Why a job does not go on.
#[derive(Debug)]
pub(crate) enum Halt {
    Cancelled,
    /// It was cancelled, or the server stops: this is what has come of it.
    With(Value),
    /// The server stops.
    Stopped,
    Failed(String),
}

impl From<engine::Error> for Halt {
    fn from(error: engine::Error) -> Self {
        Self::Failed(error.to_string())
    }
}

impl Job {
    /// Asks it to end; one that has ended stays as it is.
    pub(crate) fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Says how far it is; an error if it is to go no further.
    pub(crate) fn step(&self, done: u64, of: u64) -> Result<(), Halt> {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        self.go_on()
    }

    /// An error if it is to go no further.
    pub(crate) fn go_on(&self) -> Result<(), Halt> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(Halt::Cancelled);
        }
        match self.stopped.load(Ordering::Relaxed) {
            true => Err(Halt::Stopped),
            false => Ok(()),
        }
    }

    /// Whether it does this, with this collection.
    pub(crate) fn is(&self, kind: &str, collection: &str) -> bool {
        self.kind == kind && self.collection == collection
    }

    /// Has the engine do something that takes a while, as this job.
    pub(crate) fn watch<T>(
        &self,
        work: impl FnOnce(engine::Progress<'_>) -> Result<T, engine::Error>,
    ) -> Result<T, Halt> {
        match work(&mut |done, of| self.step(done, of).is_ok()) {
            Err(engine::Error::Cancelled) => Err(Halt::Cancelled),
            outcome => Ok(outcome?),
        }
    }

    /// How much is done, of how much; 0 of 0 while that is not known.
    pub(crate) fn progress(&self) -> (u64, u64) {
        let read = |number: &AtomicU64| number.load(Ordering::Relaxed);
        (read(&self.done), read(&self.of))
    }

    /// How it has ended, if it has.
    pub(crate) fn end(&self) -> Option<&End> {
        self.end.get().map(|(_, end)| end)
    }

    /// How long it took, or has taken so far.
    pub(crate) fn duration(&self) -> Duration {
        let ended = self.end.get().map(|(duration, _)| *duration);
        ended.unwrap_or_else(|| self.started.elapsed())
    }

    fn run(&self, work: impl FnOnce(&Job) -> Result<Value, Halt>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)));
        let end = match outcome {
            Ok(Ok(result)) => End::Completed(result),
            Ok(Err(Halt::Cancelled | Halt::Stopped)) => End::Cancelled(None),
            Ok(Err(Halt::With(result))) => End::Cancelled(Some(result)),
            Ok(Err(Halt::Failed(why))) => End::Failed(why),
            Err(_) => End::Failed("a thread of the server broke down".to_owned()),
        };
        let (job, kind) = (self.id, self.kind);
        match &end {
            // What came of it is for whoever asked: there may be names of people in it.
            End::Completed(_) => tracing::info!(job, kind, "a job is done"),
            End::Cancelled(_) => tracing::info!(job, kind, "a job was cancelled"),
            End::Failed(why) => tracing::warn!(job, kind, why, "a job has failed"),
        }

        // Nobody else ends it.
        drop(self.end.set((self.started.elapsed(), end)));
    }
}

impl Jobs {
    /// Of the server with this data folder, which is not looked at before the first job.
    pub(crate) fn new(data_dir: &Path) -> Self {
        let ids = Ids {
            path: data_dir.join(FILE),
            before: OnceLock::new(),
            noted: Mutex::default(),
        };
        Self {
            state: Mutex::default(),
            ids: Arc::new(ids),
        }
    }

    /// Begins a job.
    ///
    /// # Errors
    /// 503 when as many are at work as may be, or the server is stopping.
    pub(crate) fn start(
        &self,
        kind: &'static str,
        collection: String,
        work: impl FnOnce(&Job) -> Result<Value, Halt> + Send + 'static,
    ) -> Result<Arc<Job>, Refusal> {
        let mut state = self.state.lock();
        let running = state.running();
        if state.closed || running >= limits::JOBS_AT_WORK {
            return Err(Refusal::busy(format!(
                "{running} jobs are at work, there may be {}: wait for one, or cancel it",
                limits::JOBS_AT_WORK
            )));
        }
        let now_ms = now_ms();
        let last = state.last.max(self.ids.newest());
        let job = Arc::new(Job {
            // Two may begin within a millisecond, and clocks go back.
            id: now_ms.max(last + 1),
            kind,
            collection,
            started_s: now_ms / 1_000,
            started: Instant::now(),
            done: AtomicU64::new(0),
            of: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            end: OnceLock::new(),
        });
        let (running, ids) = (Arc::clone(&job), Arc::clone(&self.ids));
        let thread = thread::Builder::new()
            .name(format!("job-{kind}"))
            .spawn(move || {
                ids.note(running.id);
                running.run(work);
            })
            .map_err(|error| Refusal::internal(format!("cannot start a thread: {error}")))?;
        state.last = job.id;
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(thread);
        state.jobs.insert(job.id, Arc::clone(&job));
        state.forget_old();
        Ok(job)
    }

    /// How many are at work.
    pub(crate) fn running(&self) -> usize {
        self.state.lock().running()
    }

    /// All that are known, the oldest first.
    pub(crate) fn list(&self) -> Vec<Arc<Job>> {
        self.state.lock().jobs.values().cloned().collect()
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Job>> {
        self.state.lock().jobs.get(&id).cloned()
    }

    /// Ends all of them and takes no more.
    pub(crate) fn close(&self) {
        let threads = {
            let mut state = self.state.lock();
            state.closed = true;
            let jobs = state.jobs.values();
            jobs.for_each(|job| job.stopped.store(true, Ordering::Relaxed));
            std::mem::take(&mut state.threads)
        };
        for thread in threads {
            // What a job panics with is caught in it.
            drop(thread.join());
        }
    }
}

impl State {
    fn running(&self) -> usize {
        let jobs = self.jobs.values();
        jobs.filter(|job| job.end().is_none()).count()
    }

    /// Of those that have ended only the newest are remembered.
    fn forget_old(&mut self) {
        while self.jobs.len() > limits::JOBS_KNOWN {
            let ended = self.jobs.values().find(|job| job.end().is_some());
            let Some(id) = ended.map(|job| job.id) else {
                return;
            };
            self.jobs.remove(&id);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use serde_json::json;

    use super::*;

    fn jobs() -> (tempfile::TempDir, Jobs) {
        let dir = tempfile::tempdir().unwrap();
        let jobs = Jobs::new(dir.path());
        (dir, jobs)
    }

    fn ended(job: &Job) -> &End {
        loop {
            match job.end() {
                Some(end) => return end,
                None => thread::yield_now(),
            }
        }
    }

    #[test]
    fn a_job_tells_how_far_it_is_and_what_came_of_it() {
        let (_dir, jobs) = jobs();
        let (go_on, wait) = channel::<()>();
        let (told, at_work) = channel();
        let job = jobs.start("test", "faces".into(), move |job| {
            job.step(1, 2)?;
            told.send(()).unwrap();
            wait.recv().unwrap();
            Ok(json!({"found": 7}))
        });
        let job = job.unwrap();
        at_work.recv().unwrap();
        assert_eq!(job.progress(), (1, 2));
        assert!(job.end().is_none());
        go_on.send(()).unwrap();
        assert!(matches!(ended(&job), End::Completed(result) if result["found"] == 7));
        assert_eq!(jobs.list().len(), 1);
    }

    #[test]
    fn a_job_ends_at_its_next_step_when_it_is_cancelled_or_the_server_stops() {
        let (_dir, jobs) = jobs();
        let endless = |job: &Job| loop {
            job.step(0, 0)?;
            thread::yield_now();
        };
        let one = jobs.start("test", "a".into(), endless).unwrap();
        let other = jobs.start("test", "b".into(), endless).unwrap();
        assert!(
            jobs.start("test", "c".into(), endless)
                .unwrap_err()
                .is_busy()
        );
        one.cancel();
        assert!(matches!(ended(&one), End::Cancelled(None)));
        assert!(other.end().is_none());
        jobs.close();
        assert!(matches!(other.end(), Some(End::Cancelled(_))));
        assert!(
            jobs.start("test", "c".into(), endless)
                .unwrap_err()
                .is_busy()
        );
    }

    #[test]
    fn an_id_is_never_given_again_though_the_clock_is_set_back_between_two_starts() {
        let (dir, first) = jobs();
        // A clock of the next century, of which this one has been set back.
        let ahead = now_ms() + 100 * 365 * 86_400_000;
        first.state.lock().last = ahead;
        let begin = |jobs: &Jobs| jobs.start("test", String::new(), |_| Ok(json!(null)));
        let ids = [begin(&first), begin(&first)].map(|job| job.unwrap().id);
        assert_eq!(ids, [ahead + 1, ahead + 2]);
        first.close();
        let second = Jobs::new(dir.path());
        assert_eq!(begin(&second).unwrap().id, ahead + 3);
        second.close();
        std::fs::write(dir.path().join(FILE), "damaged").unwrap();
        let third = Jobs::new(dir.path());
        assert!(begin(&third).unwrap().id < ahead, "by the clock alone");
    }

    #[test]
    fn a_job_that_is_cancelled_may_tell_what_had_come_of_it() {
        let (_dir, jobs) = jobs();
        let job = jobs.start("test", String::new(), |job| {
            loop {
                if job.go_on().is_err() {
                    return Err(Halt::With(json!({"found": 1})));
                }
                thread::yield_now();
            }
        });
        let job = job.unwrap();
        job.cancel();
        assert!(matches!(ended(&job), End::Cancelled(Some(found)) if found["found"] == 1));
    }

    #[test]
    fn a_job_that_breaks_down_has_failed() {
        let (_dir, jobs) = jobs();
        let broken = jobs.start("test", "a".into(), |_| panic!("on purpose"));
        let broken = broken.unwrap();
        assert!(matches!(ended(&broken), End::Failed(_)));
        for _ in 0..limits::JOBS_KNOWN + 5 {
            let job = jobs.start("test", "a".into(), |_| Ok(json!(null))).unwrap();
            ended(&job);
        }
        assert_eq!(jobs.list().len(), limits::JOBS_KNOWN);
        assert!(jobs.get(broken.id).is_none());
    }
}
