//! How far recovery is, in words for whoever asks a server that is not ready yet.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use engine::{Event, RecoveryStep};

/// What is known of it.
#[derive(Clone, Default)]
enum Stands {
    /// It has just begun.
    #[default]
    Begun,
    /// It waits for something else, and begins again.
    Waits(String),
    /// How much of a step is done.
    At(RecoveryStep, u64, u64),
    /// It has come to nothing.
    Failed(String),
}

/// Between two warnings of why a start waits, where that changes back and forth.
const WARNED: Duration = Duration::from_secs(10);

/// The last that was heard of it, and the last that was warned of.
#[derive(Clone, Default)]
pub(crate) struct Recovery {
    stands: Arc<Mutex<Stands>>,
    warned: Arc<Mutex<Option<(Instant, String)>>>,
}

impl Recovery {
    fn stands(&self) -> MutexGuard<'_, Stands> {
        self.stands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Listens to what the engine tells.
    pub(crate) fn note(&self, event: &Event) {
        if let Event::Recovering { step, done, of } = event {
            let mut stands = self.stands();
            // What is waited for comes after the first step.
            let waits = matches!(*stands, Stands::Waits(_)) && *step == RecoveryStep::Verify;
            if !waits {
                *stands = Stands::At(*step, *done, *of);
            }
        }
    }

    /// It has asked for something. While it is waited for, why it does not come says more.
    pub(crate) fn asks(&self, what: String) {
        let mut stands = self.stands();
        if !matches!(*stands, Stands::Waits(_)) {
            *stands = Stands::Waits(what);
        }
    }

    /// It tries again, or begins again, until this is no more; tells it where that is news.
    pub(crate) fn waits(&self, why: &str) {
        *self.stands() = Stands::Waits(why.to_owned());
        if self.is_news(why) {
            tracing::warn!(why, "the start waits, and tries again");
        }
    }

    /// Whether something else was warned of last, and not just now.
    fn is_news(&self, why: &str) -> bool {
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        let is_known = |(at, known): &(Instant, String)| known == why || at.elapsed() < WARNED;
        let is_news = !warned.as_ref().is_some_and(is_known);
        if is_news {
            *warned = Some((Instant::now(), why.to_owned()));
        }
        is_news
    }

    /// What was waited for is there.
    pub(crate) fn goes_on(&self) {
        *self.stands() = Stands::Begun;
    }

    pub(crate) fn has_failed(&self, why: String) {
        *self.stands() = Stands::Failed(why);
    }

    /// Why there will be nothing before a restart, if that is so.
    pub(crate) fn failure(&self) -> Option<String> {
        match &*self.stands() {
            Stands::Failed(why) => Some(why.clone()),
            _ => None,
        }
    }

    pub(crate) fn text(&self) -> String {
        let stands = self.stands();
        let (step, done, of) = match &*stands {
            Stands::Begun => return "the data folder is being opened".to_owned(),
            Stands::Waits(why) => return format!("it waits, and tries again: {why}"),
            Stands::Failed(why) => return format!("the data folder cannot be opened: {why}"),
            Stands::At(step, done, of) => (step, done, of),
        };
        let what = match step {
            RecoveryStep::Verify => "snapshots are being checked",
            RecoveryStep::Load => "collections are being loaded",
            RecoveryStep::Replay => "the log is being replayed",
        };
        format!("the data is being recovered: {what}, {done} of {of} done")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_last_is_what_is_said() {
        let recovery = Recovery::default();
        assert!(recovery.text().contains("is being opened"));
        for (step, word) in [
            (RecoveryStep::Verify, "checked, 3 of 9"),
            (RecoveryStep::Load, "loaded, 3 of 9"),
            (RecoveryStep::Replay, "replayed, 3 of 9"),
        ] {
            let (done, of) = (3, 9);
            recovery.note(&Event::Recovering { step, done, of });
            assert!(recovery.text().contains(word), "{}", recovery.text());
        }
        recovery.asks("a server is asked".to_owned());
        assert!(recovery.text().contains("a server is asked"));
        recovery.waits("no server answers");
        recovery.asks("a server is asked".to_owned());
        let verify = RecoveryStep::Verify;
        recovery.note(&Event::Recovering {
            step: verify,
            done: 1,
            of: 1,
        });
        assert!(recovery.text().contains("no server answers"));
        recovery.goes_on();
        assert!(recovery.text().contains("is being opened"));
    }

    #[test]
    fn causes_that_come_by_turns_are_warned_of_once_in_a_while() {
        let recovery = Recovery::default();
        assert!(recovery.is_news("one"));
        assert!(!recovery.is_news("one") && !recovery.is_news("other"));
        let mut warned = recovery.warned.lock().unwrap();
        let (at, _) = warned.as_mut().unwrap();
        let Some(long_ago) = at.checked_sub(WARNED) else {
            return;
        };
        *at = long_ago;
        drop(warned);
        assert!(!recovery.is_news("one") && recovery.is_news("other"));
    }
}
