//! Opening the data folder of a server, or of one of its shards: as soon as those are there whom it takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::{Engine, Event, Options};
use migrations::Prepared;

use crate::app::App;
use crate::error::Error;
use crate::{limits, shared_log};

/// Recovers as soon as those are there whom it takes, such as the servers of the log; nothing if it was told to stop
/// before. Who has a server for one command is told at once.
pub(crate) fn recover_in_time(app: &App) -> Result<Option<Engine>, Error> {
    let mut busy_since = None;
    let nats = app.config.nats.as_ref();
    // Where nodes put nothing into the store somebody else is to do it.
    let patience = match nats.is_some_and(|nats| nats.checkpoint_interval_s > 0) {
        true => limits::SEED_PATIENCE,
        false => limits::SEED_HARDLY,
    };
    loop {
        let waits = busy_since.is_none_or(|it: Instant| it.elapsed() < patience);
        let error = match recover(app, waits && !app.without_log) {
            Ok(engine) => return Ok(Some(engine)),
            Err(error) => error,
        };
        let again = match &error {
            Error::Engine(engine::Error::Busy(_)) => {
                busy_since.get_or_insert_with(Instant::now);
                limits::SEED_AGAIN
            }
            _ => {
                busy_since = None;
                limits::START_AGAIN
            }
        };
        match error.passes() {
            Some(why) if !app.without_log => app.recovery().waits(why),
            _ => return Err(error),
        }
        if !app.stopping.rests(again) {
            return Ok(None);
        }
    }
}

fn recover(app: &App, waits_for_seed: bool) -> Result<Engine, Error> {
    if let Prepared::Migrated { from } = migrations::prepare(&app.config.data_dir)? {
        tracing::info!(from, "the data folder was brought to this program's format");
    }
    let engine = Engine::open(Options {
        waits_for_seed,
        ..options(app)
    })?;
    migrations::opened(&app.config.data_dir)?;
    Ok(engine)
}

fn options(app: &App) -> Options {
    let config = &app.config;
    let (metrics, recovery) = (app.metrics.clone(), app.recovery().clone());
    let opener = |nats| shared_log::opener(nats, app.without_log, app.recovery().clone());
    let fetcher = |nats| shared_log::fetcher(nats, app.recovery().clone());
    let applied = Arc::clone(&app.applied);
    Options {
        checkpoint_log_bytes: config.checkpoint.log_mib << 20,
        checkpoint_interval: Duration::from_secs(config.checkpoint.interval_s),
        segment_bytes: config.log.segment_mib << 20,
        shared_log: config.nats.as_ref().map(opener),
        seed: config.nats.as_ref().map(fetcher),
        without_log: app.without_log,
        compares: config
            .nats
            .as_ref()
            .is_some_and(|nats| nats.compare_interval_s > 0),
        observer: Some(Arc::new(move |event| {
            recovery.note(&event);
            if let Event::Apply { .. } = event {
                applied.more();
            }
            metrics.engine_event(event);
        })),
        ..Options::new(&config.data_dir)
    }
}
