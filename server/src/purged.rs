//! A log that somebody else than doppel has purged. Nodes that have applied what is gone go on, and are the only ones that
//! have it: nobody can begin any more who does not. So they say it, and put a checkpoint into the store at once, as that
//! makes up for it. Who has not applied it stops writing by itself (`jetstream`).

use std::time::Duration;

use config::Nats;
use engine::{Engine, Lsn};
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
    let mut made_up = MadeUp::default();
    while app.stopping.rests(PURGED_TICK) {
        let purged = match look(engine, &mut store, nats) {
            Ok(purged) => purged,
            Err(error) => {
                tracing::debug!(%error, "whether the log was purged is not seen");
                store = None;
                continue;
            }
        };
        // A server may list what there is a moment late.
        let known = std::mem::replace(&mut before, purged);
        let Some((first, needed)) = purged else {
            if app.purged().is_some() {
                tracing::info!("a checkpoint in the store makes up for what was purged of the log");
                app.is_purged(None);
            }
            continue;
        };
        // Who has not applied what is gone has nothing to say of it; reading finds that out.
        if known != purged || engine.applied_lsn() < needed {
            continue;
        }
        told(app, first);
        if let Some(store) = &store {
            made_up.go_on(app, engine, (nats, store), first);
        }
    }
}

/// The first message there is, and how far one must have applied the log, if nobody could begin with it. A stream is not
/// left without any.
fn look(
    engine: &Engine,
    store: &mut Option<Checkpoints>,
    nats: &Nats,
) -> Result<Option<(u64, Lsn)>, storage::Error> {
    let store = match store {
        Some(store) => store,
        none => none.insert(Checkpoints::open(&settings(nats))?),
    };
    if let Some(last) = store.emptied()? {
        write_behind(engine, last);
    }
    store.purged()
}

/// Puts something behind a last message that is gone: who does not know it can write again when it has read that.
fn write_behind(engine: &Engine, last: u64) {
    let status = engine.status();
    if status.read_only.is_some() || status.log_waits.is_some() {
        return;
    }
    match engine.mark() {
        Ok(lsn) => tracing::info!(
            last,
            lsn = lsn.0,
            "the shared log is empty: this node has put a mark into it"
        ),
        Err(error) => tracing::warn!(last, %error, "the shared log is empty, and takes no mark"),
    }
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

/// What this node has done about it.
#[derive(Default)]
struct MadeUp {
    /// Its own checkpoint was taken for the log that begins with this message.
    own: Option<u64>,
    /// Why it has come to nothing, as it was told last.
    failed: Option<String>,
}

impl MadeUp {
    fn go_on(&mut self, app: &App, engine: &Engine, on: (&Nats, &Checkpoints), first: u64) {
        let failed = self.make_up(app, engine, on, first).err();
        let failed = failed.map(|error| error.to_string());
        if let Some(why) = failed
            .as_ref()
            .filter(|why| self.failed.as_ref() != Some(*why))
        {
            tracing::warn!(
                why,
                "no checkpoint makes up for what was purged of the log yet"
            );
        }
        self.failed = failed;
    }

    fn make_up(
        &mut self,
        app: &App,
        engine: &Engine,
        (nats, store): (&Nats, &Checkpoints),
        first: u64,
    ) -> Result<(), engine::Error> {
        if self.own != Some(first) {
            // What this node itself begins with next time.
            engine.checkpoint()?;
            self.own = Some(first);
        }
        if nats.checkpoint_interval_s == 0 || !may_put(app, engine)? {
            return Ok(());
        }
        let node = format!("{:032x}", engine.store());
        let task = format!("purged-{first}");
        if Sums::open(&settings(nats))?.claim(&task, &node, TAKES)? {
            let lsn = put(app, engine.seed()?, store)?;
            tracing::info!(
                lsn,
                "a checkpoint was put into the store, for what was purged of the log"
            );
        }
        Ok(())
    }
}
