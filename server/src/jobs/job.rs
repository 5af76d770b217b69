//! One job: how far it is, how it is asked to end, and how it has ended.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

use super::notes::{Noted, Notes};

/// A job, at work or at its end.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: u64,
    /// What it does: `cluster`, `reembed`.
    pub(crate) kind: String,
    /// Empty if it is about all of them.
    pub(crate) collection: String,
    /// Seconds since 1970.
    pub(crate) started_s: u64,
    started: Instant,
    done: AtomicU64,
    of: AtomicU64,
    cancelled: AtomicBool,
    stopped: AtomicBool,
    notes: Arc<Notes>,
    counts: Mutex<BTreeMap<String, u64>>,
    /// Why one that was interrupted does not go on yet.
    waits: Mutex<Option<String>>,
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
    pub(super) fn new(noted: Noted, notes: &Arc<Notes>) -> Self {
        Self {
            notes: Arc::clone(notes),
            counts: Mutex::new(noted.counts),
            id: noted.id,
            kind: noted.kind,
            collection: noted.collection,
            started_s: noted.started_s,
            started: Instant::now(),
            done: AtomicU64::new(0),
            of: AtomicU64::new(0),
            cancelled: AtomicBool::new(false),
            stopped: AtomicBool::new(false),
            waits: Mutex::default(),
            end: OnceLock::new(),
        }
    }

    pub(super) fn noted(&self) -> Noted {
        Noted {
            id: self.id,
            kind: self.kind.clone(),
            collection: self.collection.clone(),
            started_s: self.started_s,
            counts: self.counts(),
        }
    }

    /// What it had done when that was noted last; of one that goes on, also before the start.
    pub(crate) fn counts(&self) -> BTreeMap<String, u64> {
        self.counts.lock().clone()
    }

    /// Notes what it has done so far, so that it can tell of all of it if it goes on after a restart.
    pub(crate) fn counted(&self, counts: BTreeMap<String, u64>) {
        self.notes.counted(self.id, &counts);
        *self.counts.lock() = counts;
    }

    /// Why it does not go on yet, of one that a restart has interrupted.
    pub(crate) fn waits(&self) -> Option<String> {
        self.waits.lock().clone()
    }

    /// Has it wait, so far on.
    pub(super) fn waits_at(&self, (done, of): (u64, u64)) {
        self.done.store(done, Ordering::Relaxed);
        self.of.store(of, Ordering::Relaxed);
        *self.waits.lock() = Some("the server has just started".to_owned());
    }

    /// It waits no longer; whether it did.
    pub(super) fn wakes(&self) -> bool {
        self.waits.lock().take().is_some()
    }

    /// It is to end with the server.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Says why it still waits; whether that is news.
    pub(crate) fn waits_for(&self, why: String) -> bool {
        let mut waits = self.waits.lock();
        let news = waits.as_ref().is_some_and(|it| *it != why);
        if news {
            *waits = Some(why);
        }
        news
    }

    /// Whether it has begun, or gone on, and not ended.
    pub(crate) fn is_at_work(&self) -> bool {
        self.end().is_none() && self.waits.lock().is_none()
    }

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

    /// How long it took, or has taken so far, since the server's start at most.
    pub(crate) fn duration(&self) -> Duration {
        let ended = self.end.get().map(|(duration, _)| *duration);
        ended.unwrap_or_else(|| self.started.elapsed())
    }

    pub(super) fn run(&self, work: impl FnOnce(&Job) -> Result<Value, Halt>) {
        let outcome = catch_unwind(AssertUnwindSafe(|| work(self)));
        let end = match outcome {
            Ok(Ok(result)) => End::Completed(result),
            Ok(Err(Halt::Cancelled | Halt::Stopped)) => End::Cancelled(None),
            Ok(Err(Halt::With(result))) => End::Cancelled(Some(result)),
            Ok(Err(Halt::Failed(why))) => End::Failed(why),
            Err(_) => End::Failed("a thread of the server broke down".to_owned()),
        };
        let (job, kind) = (self.id, &self.kind);
        let asked = self.cancelled.load(Ordering::Relaxed);
        let stops = !asked && self.stopped.load(Ordering::Relaxed);
        match &end {
            End::Cancelled(_) if stops => {
                tracing::info!(job, kind, "a job stops with the server");
                self.ends(end);
                return;
            }
            // What came of it is for whoever asked: there may be names of people in it.
            End::Completed(_) => tracing::info!(job, kind, "a job is done"),
            End::Cancelled(_) => tracing::info!(job, kind, "a job was cancelled"),
            End::Failed(why) => tracing::warn!(job, kind, why, "a job has failed"),
        }
        // Before anybody sees it: a start after a kill would tell of it as of one that was interrupted.
        self.notes.ended(self.id);
        self.ends(end);
    }

    pub(super) fn ends(&self, end: End) {
        // Nobody else ends it.
        drop(self.end.set((self.started.elapsed(), end)));
    }
}
