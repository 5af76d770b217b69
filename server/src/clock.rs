//! When the request at work came in, so that every answer, also a refusal, can say how long it
//! took. The outermost middleware starts the clock; outside of a request it reads zero.

use std::future::Future;
use std::time::Instant;

tokio::task_local! {
    static STARTED: Instant;
}

/// Runs a request with its clock.
pub(crate) async fn timed<F: Future>(started: Instant, work: F) -> F::Output {
    STARTED.scope(started, work).await
}

/// Seconds since the request came in.
pub(crate) fn seconds() -> f64 {
    STARTED
        .try_with(|started| started.elapsed().as_secs_f64())
        .unwrap_or_default()
}
