//! Searches and photos that took longer than they should are told, each with what it was and where
//! its time went; never with vectors, payloads or names. The line belongs to its request, whose id
//! and route the log adds. It is written where the work was done, so that it is there also where the
//! client was told before that it takes too long, or has gone.

use std::time::Duration;

use embedder::Timings;
use engine::{Query, SearchTimes};

/// From when on something is slow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slow {
    from: Duration,
}

impl Slow {
    /// From so many milliseconds on; all are from 0 on.
    pub(crate) fn new(from_ms: u64) -> Self {
        Self {
            from: Duration::from_millis(from_ms),
        }
    }

    /// A search has ended; what of its time is in no stage it waited for a thread.
    pub(crate) fn searched(
        self,
        collection: &str,
        query: &Query,
        took: Duration,
        times: SearchTimes,
    ) {
        if took < self.from {
            return;
        }
        let filter = query.filter.as_ref();
        let filter = filter.map_or_else(String::new, |filter| filter.shape().to_string());
        let waited = took.saturating_sub(times.index + times.points);
        tracing::warn!(
            collection,
            using = query.using,
            k = query.limit.saturating_add(query.offset),
            ef = query.ef,
            exact = query.exact,
            filter,
            took_ms = ms(took),
            waited_ms = ms(waited),
            index_ms = ms(times.index),
            points_ms = ms(times.points),
            "slow search"
        );
    }

    /// A photo has been looked at.
    pub(crate) fn looked(self, queued: Duration, timings: &Timings, faces: usize) {
        let took = queued + timings.decode + timings.detect + timings.embed;
        if took < self.from {
            return;
        }
        tracing::warn!(
            faces,
            took_ms = ms(took),
            waited_ms = ms(queued),
            decode_ms = ms(timings.decode),
            detect_ms = ms(timings.detect),
            embed_ms = ms(timings.embed),
            "slow photo"
        );
    }
}

/// Milliseconds with two digits.
fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 100_000.0).round() / 100.0
}
