//! When what has failed is tried again: ever later, and told only where it fails otherwise than before.

use std::time::{Duration, Instant};

/// How long it is left alone after it has failed for the first time,
const FIRST: Duration = Duration::from_secs(1);
/// and at most.
const LAST: Duration = Duration::from_secs(60);

/// Something that is tried now and then.
#[derive(Default)]
pub(crate) struct Again(Option<Failed>);

struct Failed {
    why: String,
    wait: Duration,
    at: Instant,
}

impl Again {
    /// Whether it may be tried now.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.0.as_ref().is_none_or(|failed| failed.at <= now)
    }

    /// It was tried, and has failed for this reason, if for any; whether that is news.
    pub(crate) fn tried(&mut self, why: Option<String>, now: Instant) -> bool {
        let before = self.0.take();
        let is_news = before.as_ref().map(|it| &it.why) != why.as_ref();
        self.0 = why.map(|why| {
            let wait = before.map_or(FIRST, |it| (it.wait * 2).min(LAST));
            Failed {
                why,
                wait,
                at: now + wait,
            }
        });
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_is_tried_after_ever_longer_and_told_once_until_it_fails_otherwise_or_no_more() {
        let failed = |why: &str| Some(why.to_owned());
        let mut again = Again::default();
        let mut now = Instant::now();
        assert!(again.is_due(now) && !again.tried(None, now));
        for (seconds, is_news) in [(1, true), (2, false), (4, false), (8, false), (16, false)] {
            assert_eq!(again.tried(failed("rotten"), now), is_news, "{seconds} s");
            let due = now + Duration::from_secs(seconds);
            assert!(!again.is_due(due - Duration::from_millis(1)) && again.is_due(due));
            now = due;
        }
        for is_news in [true, false, false] {
            assert_eq!(again.tried(failed("full"), now), is_news);
            now += Duration::from_secs(60);
            assert!(again.is_due(now), "a minute at most");
        }
        assert!(again.tried(None, now) && again.is_due(now));
        assert!(again.tried(failed("full"), now));
        assert!(again.is_due(now + FIRST), "anew");
    }
}
