//! Work that goes on after the request that asked for it was answered: each job has an id, a
//! progress that can be looked at, and an end that can be asked for early.
//!
//! A job runs on a thread of its own and says now and then how far it is; there it learns that it
//! was cancelled, or that the server stops. What it has written by then stays. That it has begun and not ended
//! stands in a file (`notes`): what goes on after a restart (see `interrupted`) does so under its id of before,
//! and waits as a job until there is a place for it; of the others it is told that the server stopped.
//! An id is the millisecond at which the job began, or more where the clock went back.

mod job;
mod notes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::{self, JoinHandle};

use parking_lot::Mutex;
use serde_json::Value;
use storage::now_ms;

use crate::limits;
use crate::refusal::Refusal;
pub(crate) use job::{End, Halt, Job};
use notes::{Noted, Notes};

/// Of a job that does not go on, whose end nobody has noted.
const STOPPED: &str = "the server stopped before this job had ended, or just as it did: look what there is, or \
                       begin it again";

/// The jobs of this process.
pub(crate) struct Jobs {
    state: Mutex<State>,
    notes: Arc<Notes>,
}

/// Work that a stop has interrupted, and that goes on.
pub(crate) struct Interrupted {
    pub(crate) kind: &'static str,
    pub(crate) collection: String,
    /// How much is done, of how much; 0 of 0 if that is not known.
    pub(crate) progress: (u64, u64),
}

#[derive(Default)]
struct State {
    last: u64,
    jobs: BTreeMap<u64, Arc<Job>>,
    threads: Vec<JoinHandle<()>>,
    closed: bool,
}

impl Jobs {
    /// Of the server with this data folder, which is not looked at before the first job.
    pub(crate) fn new(data_dir: &Path) -> Self {
        Self {
            state: Mutex::default(),
            notes: Arc::new(Notes::of(data_dir)),
        }
    }

    /// Begins a job, or goes on with the one that waits to do this. Once this returns a kill does not take
    /// its id away.
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
        if state.closed {
            return Err(Refusal::busy("the server stops: no job begins"));
        }
        let running = state.running();
        if running >= limits::JOBS_AT_WORK {
            return Err(Refusal::busy(format!(
                "{running} jobs are at work, there may be {}: wait for one, or cancel it",
                limits::JOBS_AT_WORK
            )));
        }
        let mut known = state.jobs.values();
        let waiting = known.find(|job| job.is(kind, &collection) && job.wakes());
        let waiting = waiting.cloned();
        let waits = waiting.is_some();
        let job = waiting.unwrap_or_else(|| {
            let noted = self.named(&mut state, kind, collection);
            Arc::new(Job::new(noted, &self.notes))
        });
        let (running, notes) = (Arc::clone(&job), Arc::clone(&self.notes));
        let (told, noted) = channel::<()>();
        let thread = thread::Builder::new()
            .name(format!("job-{kind}"))
            .spawn(move || {
                notes.begun(running.noted());
                drop(told);
                running.run(work);
            })
            .map_err(|error| {
                if waits {
                    job.waits_at(job.progress());
                }
                Refusal::internal(format!("cannot start a thread: {error}"))
            })?;
        state.threads.retain(|thread| !thread.is_finished());
        state.threads.push(thread);
        state.jobs.insert(job.id, Arc::clone(&job));
        state.forget_old();
        drop(state);
        // Nothing is sent: it is dropped when that is done.
        noted.recv().unwrap_or_default();
        Ok(job)
    }

    /// What is to be noted of a job that is new.
    fn named(&self, state: &mut State, kind: &str, collection: String) -> Noted {
        let now_ms = now_ms();
        // Two may begin within a millisecond, and clocks go back.
        let id = now_ms.max(state.last.max(self.notes.newest()) + 1);
        state.last = id;
        Noted {
            id,
            kind: kind.to_owned(),
            collection,
            started_s: now_ms / 1_000,
            counts: BTreeMap::new(),
        }
    }

    /// At a start: what was interrupted and goes on waits as a job, under its id of before. Of others that had not
    /// ended it is told that the server stopped.
    pub(crate) fn recall(&self, interrupted: Vec<Interrupted>) -> Vec<Arc<Job>> {
        let mut before = self.notes.unended();
        let mut state = self.state.lock();
        let waiting = interrupted.into_iter().map(|it| {
            let same = |job: &Noted| job.kind == it.kind && job.collection == it.collection;
            let noted = match before.iter().position(same) {
                Some(at) => before.swap_remove(at),
                None => self.named(&mut state, it.kind, it.collection),
            };
            let job = Job::new(noted, &self.notes);
            job.waits_at(it.progress);
            Arc::new(job)
        });
        let waiting: Vec<_> = waiting.collect();
        self.notes
            .are(waiting.iter().map(|job| job.noted()).collect());
        let over = before.into_iter().map(|noted| {
            let job = Job::new(noted, &self.notes);
            job.ends(End::Failed(STOPPED.to_owned()));
            Arc::new(job)
        });
        let all = waiting.iter().cloned().chain(over);
        state.jobs.extend(all.map(|job| (job.id, job)));
        waiting
    }

    /// Ends one that waits, if it still does.
    pub(crate) fn over(&self, job: &Job, end: End) {
        if job.wakes() {
            self.notes.ended(job.id);
            job.ends(end);
        }
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

    /// Has all of them end at their next step, and takes no more.
    pub(crate) fn stop(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.jobs.values().for_each(|job| job.stop());
    }

    /// The same, and waits until they have ended.
    pub(crate) fn close(&self) {
        self.stop();
        let threads = std::mem::take(&mut self.state.lock().threads);
        for thread in threads {
            // What a job panics with is caught in it.
            drop(thread.join());
        }
    }
}

impl State {
    fn running(&self) -> usize {
        let jobs = self.jobs.values();
        jobs.filter(|job| job.is_at_work()).count()
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
        std::fs::write(dir.path().join(notes::FILE), "damaged").unwrap();
        let third = Jobs::new(dir.path());
        assert!(begin(&third).unwrap().id < ahead, "by the clock alone");
    }

    fn endless(job: &Job) -> Result<Value, Halt> {
        loop {
            job.step(1, 9)?;
            thread::yield_now();
        }
    }

    fn again(collection: &str) -> Interrupted {
        Interrupted {
            kind: "test",
            collection: collection.to_owned(),
            progress: (3, 9),
        }
    }

    #[test]
    fn a_job_that_a_stop_has_interrupted_goes_on_under_its_id_and_can_be_cancelled() {
        let (dir, first) = jobs();
        let begun = first.start("test", "a".into(), endless).unwrap();
        first.close();
        for _ in 0..2 {
            let second = Jobs::new(dir.path());
            let waiting = second.recall(vec![again("a")]).remove(0);
            assert_eq!((waiting.id, waiting.started_s), (begun.id, begun.started_s));
            assert_eq!(waiting.progress(), (3, 9));
            assert!(waiting.waits().is_some() && waiting.end().is_none());
            assert_eq!(second.running(), 0);
            let on = second.start("test", "a".into(), endless).unwrap();
            assert_eq!((on.id, second.list().len()), (begun.id, 1));
            assert!(on.waits().is_none());
            second.close();
        }
        let third = Jobs::new(dir.path());
        third.recall(vec![again("a")]);
        let on = third.start("test", "a".into(), endless).unwrap();
        on.cancel();
        assert!(matches!(ended(&on), End::Cancelled(None)));
        let fourth = Jobs::new(dir.path());
        fourth.recall(Vec::new());
        assert!(fourth.list().is_empty());
    }

    #[test]
    fn what_a_job_has_counted_is_there_when_it_goes_on_and_not_for_another() {
        let (dir, first) = jobs();
        let counts = |faces| BTreeMap::from([("faces".to_owned(), faces)]);
        let begun = first.start("test", "a".into(), move |job| {
            assert!(job.counts().is_empty());
            job.counted(counts(4));
            job.counted(counts(7));
            endless(job)
        });
        let begun = begun.unwrap();
        while begun.counts() != counts(7) {
            thread::yield_now();
        }
        for _ in 0..2 {
            // As after a kill: nobody has told it to end.
            let second = Jobs::new(dir.path());
            let waiting = second.recall(vec![again("a")]).remove(0);
            assert_eq!((waiting.id, waiting.counts()), (begun.id, counts(7)));
            let on = second.start("test", "a".into(), endless).unwrap();
            assert_eq!(on.counts(), counts(7));
            second.close();
        }
        first.close();
        let third = Jobs::new(dir.path());
        let other = third
            .start("test", "a".into(), |_| Ok(json!(null)))
            .unwrap();
        assert!(other.counts().is_empty());
    }

    #[test]
    fn of_a_job_that_does_not_go_on_it_is_told_once_that_the_server_stopped() {
        let (dir, first) = jobs();
        let begun = first.start("test", "a".into(), endless).unwrap();
        let done = first.start("test", "b".into(), |_| Ok(json!(null)));
        let done = done.unwrap();
        ended(&done);
        first.close();
        let second = Jobs::new(dir.path());
        second.recall(Vec::new());
        let told = second.get(begun.id).unwrap();
        assert!(matches!(told.end(), Some(End::Failed(why)) if why == STOPPED));
        assert!(second.get(done.id).is_none());
        let third = Jobs::new(dir.path());
        third.recall(Vec::new());
        assert!(third.list().is_empty());
    }

    #[test]
    fn one_that_waits_is_over_where_nothing_is_left_to_do() {
        let (dir, first) = jobs();
        first.start("test", "a".into(), endless).unwrap();
        first.close();
        let second = Jobs::new(dir.path());
        let waiting = second.recall(vec![again("a")]).remove(0);
        assert!(waiting.waits_for("a place".into()) && !waiting.waits_for("a place".into()));
        second.over(&waiting, End::Cancelled(None));
        second.over(&waiting, End::Failed("not twice".into()));
        assert!(matches!(waiting.end(), Some(End::Cancelled(None))));
        let other = second.start("test", "a".into(), |_| Ok(json!(null)));
        assert_ne!(other.unwrap().id, waiting.id);
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
