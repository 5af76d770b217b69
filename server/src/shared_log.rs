//! The log that the settings name, where that is one that several nodes share, and the checkpoints in the
//! store beside it, which new nodes begin with.

use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use config::{ApiKey, Config, Nats};
use engine::{Engine, FetchSeed, Lsn, OpenLog, SeedFile, SeedHead};
use jetstream::{Access, Before, Checkpoints, JetStreamLog, Settings, StoreUse, Sums, Waits};
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use storage::Bookmark;

use crate::app::App;
use crate::error::Error;
use crate::limits::STORE_AGAIN;
use crate::recovery::Recovery;
use crate::tls;

/// What a checkpoint in the store says of itself.
#[derive(Serialize, Deserialize)]
struct About {
    lsn: u64,
    /// Where the backup in it was made, if elsewhere: a log has begun with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    made: Option<u64>,
    /// The log's last message up to there, and its checksum.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    message: Option<(u64, u32)>,
    next_collection: u64,
    collections: Vec<u64>,
}

impl About {
    fn written(head: &SeedHead) -> String {
        let about = Self {
            lsn: head.lsn.0,
            made: (head.made != head.lsn).then_some(head.made.0),
            message: head.bookmark.map(|it| (it.message, it.sum)),
            next_collection: head.next_collection,
            collections: head.collections.clone(),
        };
        serde_json::to_string(&about).unwrap_or_default()
    }
}

/// Opens the log when the engine wants it, and says in `recovery` what that waits for; `can_do_without`: a folder that
/// follows it is read also where nobody answers.
pub(crate) fn opener(nats: &Nats, can_do_without: bool, recovery: Recovery) -> OpenLog {
    let settings = settings(nats);
    Arc::new(move |followed| {
        let before = match followed {
            None => Before::Nothing,
            Some(_) if can_do_without => Before::Dispensable,
            Some(number) => Before::Followed(number),
        };
        let waits = Waits {
            asks: &|error| recovery.asks(error.to_string()),
            fails: &|error| {
                // Who can do without does not wait for long.
                if !can_do_without {
                    recovery.waits(&error.to_string());
                }
            },
        };
        let log = JetStreamLog::open_telling(&settings, before, waits)?;
        recovery.goes_on();
        Ok(Box::new(log))
    })
}

/// Fetches a checkpoint when the engine wants one, and says in `recovery` that it does, and why it did not come last.
pub(crate) fn fetcher(nats: &Nats, recovery: Recovery) -> FetchSeed {
    let settings = settings(nats);
    let failed = Mutex::new(None);
    Arc::new(move |reaches, newest_but, take| {
        let asks = || "the store of checkpoints is asked".to_owned();
        recovery.asks(failed.lock().clone().unwrap_or_else(asks));
        let fetched = fetch(&settings, reaches, newest_but, take);
        *failed.lock() = fetched.as_ref().err().map(ToString::to_string);
        if fetched.is_ok() {
            recovery.goes_on();
        }
        fetched
    })
}

fn fetch(
    settings: &Settings,
    reaches: Lsn,
    newest_but: usize,
    take: &mut dyn FnMut(&[u8]) -> Result<(), storage::Error>,
) -> Result<Option<SeedHead>, storage::Error> {
    let store = Checkpoints::open(settings)?;
    let mut fitting = store.all()?.into_iter().filter(|it| it.lsn >= reaches);
    let Some(wanted) = fitting.nth(newest_but) else {
        return Ok(None);
    };
    let shown = store.shown(&wanted);
    let about = store.fetch(&wanted, take)?;
    let about: About = serde_json::from_str(&about).map_err(|error| {
        storage::Error::Shared(format!(
            "the description of the checkpoint {shown} cannot be read: {error}"
        ))
    })?;
    Ok(Some(SeedHead {
        shown,
        lsn: Lsn(about.lsn),
        made: Lsn(about.made.unwrap_or(about.lsn)),
        bookmark: about.message.map(|(message, sum)| Bookmark {
            message,
            sum,
            last: Lsn(about.lsn),
        }),
        next_collection: about.next_collection,
        collections: about.collections,
    }))
}

/// Begins a shared log with what a backup holds: the stream of the settings, which must not be there yet. Gives the
/// position behind which it goes on: behind all of the backup, and behind `behind`.
///
/// # Errors
/// The settings name no servers, the backup is damaged, the stream is there, or its servers may lose records.
pub fn begin_log(config: &Config, backup: &Path, behind: u64) -> Result<u64, Error> {
    let Some(nats) = &config.nats else {
        return Err(Error::NoServers);
    };
    tls::check_nats(nats)?;
    check_store(nats, StoreUse::Puts)?;
    let (mut head, bytes) = engine::seed_of(backup)?;
    head.lsn = jetstream::begins_at(head.made.max(Lsn(behind)));
    let begun = jetstream::begin(&settings(nats), head.lsn, About::written(&head), bytes);
    begun.map_err(engine::Error::from)?;
    Ok(head.lsn.0)
}

/// Refuses a store of checkpoints that is not there, or takes nothing of one who is to put something there, as far as this
/// machine can tell by itself.
fn check_store(nats: &Nats, used: StoreUse) -> Result<(), Error> {
    jetstream::check_store(&settings(nats), used).map_err(|error| {
        Error::CheckpointStore(match error {
            storage::Error::Shared(why) => why,
            error => error.to_string(),
        })
    })
}

/// The same of a node that is to serve a folder. One that has data serves it without the store too.
pub(crate) fn check_store_of(dir: &Path, nats: &Nats) -> Result<(), Error> {
    let used = match nats.checkpoint_interval_s {
        0 => StoreUse::Reads,
        _ => StoreUse::Puts,
    };
    match check_store(nats, used) {
        Err(error) if engine::follows_shared_log(dir) => {
            tracing::warn!(%error, "the node starts with what it has");
            Ok(())
        }
        checked => checked,
    }
}

/// Puts checkpoints into the store, as long as the server runs; of several nodes the first that finds
/// none that is young enough. Looks there at once, so that it is known from the beginning if nothing can come of it.
pub(crate) fn watch(app: &App, engine: &Engine, nats: &Nats) {
    let every = Duration::from_secs(nats.checkpoint_interval_s);
    if every.is_zero() {
        return;
    }
    let looked = Checkpoints::open(&settings(nats)).and_then(|store| store.all());
    let mut fails = told(app, false, looked.map(|_| Kept::Fits));
    // Nodes that were started together look at different times.
    let mut rest = every / 2 + every.mul_f64(f64::from(std::process::id() % 64) / 128.0);
    loop {
        if fails {
            rest = rest.min(STORE_AGAIN);
        }
        if !app.stopping.rests(rest) {
            break;
        }
        rest = every / 4;
        fails = told(app, fails, keep(app, engine, nats, every));
    }
}

/// What came of a look into the store.
enum Kept {
    /// A checkpoint was put there that was made here.
    Put(u64),
    /// What is there is young enough.
    Fits,
    /// Another node is at it, or this one may not or cannot make one.
    Left,
}

/// Tells it, and whether the store fails now; `failed`: it had before.
fn told(app: &App, failed: bool, kept: Result<Kept, storage::Error>) -> bool {
    let fails = match kept {
        Ok(Kept::Put(lsn)) => {
            tracing::info!(lsn, "a checkpoint was put into the store");
            false
        }
        Ok(Kept::Fits) => false,
        // Of a store that took nothing nothing else is known by that.
        Ok(Kept::Left) => failed,
        Err(error @ (storage::Error::Checkpoints(_) | storage::Error::Shared(_))) => {
            tracing::warn!(%error, "the store of checkpoints cannot be used: none is put there, and the log is not trimmed");
            true
        }
        // Nor of servers of the log that are away.
        Err(error) => {
            tracing::warn!(%error, "no checkpoint is put into the store");
            failed
        }
    };
    if failed && !fails {
        tracing::info!("the store of checkpoints can be used again");
    }
    app.metrics.checkpoint_store_fails(fails);
    fails
}

/// A seed whose reading fails once the server is to stop.
struct UntilStop<'a> {
    seed: SeedFile,
    app: &'a App,
}

impl Read for UntilStop<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.app.stopping.rests(Duration::ZERO) {
            true => self.seed.read(buffer),
            false => Err(io::Error::other("the server stops")),
        }
    }
}

/// Whether this node puts checkpoints into the store: one that may hold something else than the others puts nothing there
/// for them to begin with, and leaves in the stream what they may need.
pub(crate) fn may_put(app: &App, engine: &Engine) -> Result<bool, engine::Error> {
    if app.metrics.replicas_differ() {
        tracing::warn!(
            "nodes differ: this one puts no checkpoint into the store and trims nothing"
        );
        return Ok(false);
    }
    let stopped = engine.stopped();
    let damaged = || Some(engine.quarantined().into_iter().next()?.1);
    stopped.or_else(damaged).map_or(Ok(true), Err)
}

/// Puts one there; gives where it was made.
pub(crate) fn put(app: &App, seed: SeedFile, store: &Checkpoints) -> Result<u64, storage::Error> {
    let (lsn, about) = (seed.head.lsn, About::written(&seed.head));
    store.put(lsn, about, UntilStop { seed, app })?;
    Ok(lsn.0)
}

fn keep(app: &App, engine: &Engine, nats: &Nats, every: Duration) -> Result<Kept, storage::Error> {
    match may_put(app, engine) {
        Ok(true) => {}
        Ok(false) => return Ok(Kept::Left),
        Err(error) => return Ok(unmade(&error)),
    }
    let store = Checkpoints::open(&settings(nats))?;
    if let Err(error) = store.check_sync(&settings(nats)) {
        tracing::error!(%error, "the servers of the log are not as they were at the start");
    }
    match store.sweep(every / 2) {
        Ok(0) => {}
        Ok(uploads) => tracing::info!(
            uploads,
            "what was left of uploads that broke off is removed"
        ),
        // Tidying is no reason to put in no checkpoint.
        Err(error) => tracing::warn!(%error, "what is left of uploads that broke off stays"),
    }
    let newest = store.all()?.into_iter().next();
    let changed = engine.changed_lsn();
    let due = match newest {
        Some(newest) => newest.age >= every && newest.lsn < changed,
        None => changed > Lsn(0),
    };
    if !due {
        store.trim(every / 2)?;
        return Ok(Kept::Fits);
    }
    // Of nodes that find that it is time one goes on; if it does not come to an end another does.
    let node = format!("{:032x}", engine.store());
    let sums = Sums::open(&settings(nats))?;
    if !sums.claim("checkpoint", &node, every / 2)? {
        return Ok(Kept::Left);
    }
    let given_back = || {
        if let Err(error) = sums.give_back("checkpoint", &node) {
            tracing::warn!(%error, "other nodes wait longer before they put a checkpoint into the store");
        }
    };
    let seed = match engine.seed() {
        Ok(seed) => seed,
        Err(error) => {
            given_back();
            return Ok(unmade(&error));
        }
    };
    let lsn = put(app, seed, &store).inspect_err(|_| given_back())?;
    store.trim(every / 2)?;
    Ok(Kept::Put(lsn))
}

fn unmade(error: &engine::Error) -> Kept {
    tracing::warn!(%error, "no checkpoint was made for the store");
    Kept::Left
}

pub(crate) fn settings(nats: &Nats) -> Settings {
    let user = nats.user.as_ref();
    Settings {
        servers: nats.servers.clone(),
        stream: nats.stream.clone(),
        replicas: nats.replicas,
        monitors: nats.monitors.clone(),
        lazy_sync: nats.lazy_sync,
        checkpoints: nats.checkpoints.clone(),
        access: Access {
            credentials: nats.credentials.clone(),
            user: user.map(|(name, password)| (name.clone(), ApiKey::as_str(password).to_owned())),
            ca: nats.ca.clone(),
            certificate: nats.certificate.clone(),
        },
    }
}
