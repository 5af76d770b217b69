//! A log that somebody else than doppel has purged. Nodes that have applied what is gone go on, and are the only ones that
//! have it: nobody can begin any more who does not. So they say it, and put a checkpoint into the store at once, as that
//! makes up for it. Who has not applied it stops writing by itself (`jetstream`).

use std::time::Duration;

use config::Nats;
use engine::Engine;
use jetstream::{Checkpoints, Sums};

use crate::app::App;
use crate::limits::PURGED_TICK;
use crate::shared_log::{may_put, put, settings};

/// For how long one node's checkpoint is waited for before another puts one in.
const TAKES: Duration = Duration::from_secs(60);

/// Goes on as long as the server runs.
pub(crate) fn watch(app: &App, engine: &Engine, nats: &Nats) {
    if app.without_log {
        return;
    }
    let (mut store, mut before) = (None, None);
    while app.stopping.rests(PURGED_TICK) {
        let purged = match look(&mut store, nats) {
            Ok(purged) => purged,
            Err(error) => {
                tracing::debug!(%error, "whether the log was purged is not seen");
                store = None;
                continue;
            }
        };
        // A server may list what there is a moment late.
        match (purged, std::mem::replace(&mut before, purged)) {
            (Some(first), Some(known)) if first == known => told(app, first),
            (None, _) if app.purged().is_some() => {
                tracing::info!("a checkpoint in the store makes up for what was purged of the log");
                app.is_purged(None);
            }
            _ => continue,
        }
        if let (Some(first), Some(store)) = (purged, &store)
            && let Err(error) = make_up(app, engine, (nats, store), first)
        {
            tracing::warn!(%error, "no checkpoint makes up for what was purged of the log yet");
        }
    }
}

/// The first message there is, if nobody could begin with it.
fn look(store: &mut Option<Checkpoints>, nats: &Nats) -> Result<Option<u64>, storage::Error> {
    let store = match store {
        Some(store) => store,
        none => none.insert(Checkpoints::open(&settings(nats))?),
    };
    store.purged()
}

fn told(app: &App, first: u64) {
    if app.purged().is_some() {
        return;
    }
    let what = format!(
        "the shared log begins with message {first}: somebody has purged what comes before, which this node has; until a \
         checkpoint that goes up to there is in the store, no node can begin, nor go on that had not read it (docs/SCALING.md, \
         \"When the log is damaged\")"
    );
    tracing::error!("{what}");
    app.is_purged(Some(what));
}

fn make_up(
    app: &App,
    engine: &Engine,
    (nats, store): (&Nats, &Checkpoints),
    first: u64,
) -> Result<(), engine::Error> {
    if nats.checkpoint_interval_s == 0 || !may_put(app, engine)? {
        return Ok(());
    }
    // What this node itself begins with next time.
    engine.checkpoint()?;
    let node = format!("{:032x}", engine.store());
    let task = format!("purged-{first}");
    if Sums::open(&settings(nats))?.claim(&task, &node, TAKES)? {
        let lsn = put(app, engine, store)?;
        tracing::info!(
            lsn,
            "a checkpoint was put into the store, for what was purged of the log"
        );
    }
    Ok(())
}
