//! How far in the log an answer has seen, and a request wants this server to have come.
//!
//! Every answer says in `x-doppel-lsn` up to where the log was known when it was given. Whoever sends that
//! back, to this server or to another that follows the same log, is answered when it has applied as much:
//! so all that was seen before is seen again.

use std::time::Duration;

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use engine::Engine;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use crate::app::App;
use crate::limits;
use crate::refusal::Refusal;

const LSN: HeaderName = HeaderName::from_static("x-doppel-lsn");

/// Wakes those who wait for records to be applied.
#[derive(Default)]
pub(crate) struct Applied(Notify);

impl Applied {
    pub(crate) fn more(&self) {
        self.0.notify_waiters();
    }

    /// Whether all up to a position is applied in time.
    pub(crate) async fn reaches(&self, engine: &Engine, lsn: u64, wait: Duration) -> bool {
        let until = Instant::now() + wait;
        loop {
            let more = self.0.notified();
            if engine.applied_lsn().0 >= lsn {
                return true;
            }
            if timeout_at(until, more).await.is_err() {
                return engine.applied_lsn().0 >= lsn;
            }
        }
    }
}

/// Waits for what a request says it has seen already.
pub(crate) async fn awaited(app: &App, headers: &HeaderMap) -> Result<(), Refusal> {
    let Some(wanted) = headers.get(LSN) else {
        return Ok(());
    };
    let text = wanted.to_str().unwrap_or_default();
    let lsn: u64 = text.parse().map_err(|_| {
        Refusal::wrong("`x-doppel-lsn` must be a whole number, as an answer had it".to_owned())
    })?;
    reached(app, lsn).await
}

/// Waits until all up to a position is applied.
pub(crate) async fn reached(app: &App, lsn: u64) -> Result<(), Refusal> {
    let engine = app.recovered()?;
    let last = engine.durable_lsn();
    if app.config.nats.is_none() && last.0 < lsn {
        return Err(Refusal::wrong(format!(
            "the log of this server ends at LSN {last}: {lsn} is of another log"
        )));
    }
    if app.applied.reaches(&engine, lsn, limits::LSN_WAIT).await {
        return Ok(());
    }
    if let Some(end) = app.look(Engine::log_end).await?
        && end.0 < lsn
    {
        return Err(Refusal::wrong(format!(
            "the log ends before LSN {}: {lsn} is of another log",
            end.next()
        )));
    }
    let applied = engine.applied_lsn();
    Err(Refusal::busy(format!(
        "this server has applied the log up to LSN {applied}, and not yet up to {lsn}, which the request \
         asks for"
    )))
}

/// Tells it.
pub(crate) fn tell(app: &App, headers: &mut HeaderMap) {
    if let Some(engine) = app.engine() {
        headers.insert(LSN, HeaderValue::from(engine.durable_lsn().0));
    }
}
