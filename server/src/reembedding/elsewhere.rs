//! Which node moves a collection, where several share a log: it says so beside the log for as long as its job
//! runs, so that no other begins the same, gives it up under it, or goes on with it before it has gone.
//! A node that has died says nothing any more some seconds later.

use std::collections::BTreeMap;
use std::time::Duration;

use config::Nats;
use engine::Engine;
use jetstream::Leases;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::KIND;
use crate::app::App;
use crate::refusal::Refusal;
use crate::{shards, shared_log};

/// How often a node says which collections it moves.
const AGAIN: Duration = Duration::from_secs(1);

/// The bucket in which nodes say so, once somebody has asked.
#[derive(Default)]
pub(crate) struct Elsewhere(Mutex<Option<Leases>>);

/// Who moves a collection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Mover {
    /// Its data folder's number.
    node: String,
    /// Its machine, and where it listens there.
    name: String,
    /// Its job, once it has one.
    job: Option<u64>,
}

impl Mover {
    fn told(&self, collection: &str) -> Refusal {
        let Self { name, job, .. } = self;
        let job = job.map_or_else(|| "a job".to_owned(), |job| format!("job {job}"));
        Refusal::conflict(format!(
            "another node, {name}, is moving collection `{collection}` to another model \
             ({job}): ask that one, and cancel the job there first (`DELETE /admin/jobs/ID`, `doppel admin \
             cancel ID`) to have something else done. If it has died, this node may in a few seconds"
        ))
    }
}

impl Elsewhere {
    /// Says that this node moves the collection, unless another does.
    pub(super) fn take(&self, app: &App, engine: &Engine, collection: &str) -> Result<(), Refusal> {
        let Some(nats) = &app.config.nats else {
            return Ok(());
        };
        let own = own(app, engine, None);
        let said = self.with(nats, |leases| {
            leases.say_alone(&key(collection), &text(&own))
        })?;
        not_another(said, &own, collection)
    }

    /// Refuses where another node moves the collection.
    pub(super) fn refuse(
        &self,
        app: &App,
        engine: &Engine,
        collection: &str,
    ) -> Result<(), Refusal> {
        let Some(nats) = &app.config.nats else {
            return Ok(());
        };
        let said = self.with(nats, |leases| leases.said(&key(collection)))?;
        not_another(said, &own(app, engine, None), collection)
    }

    /// Says again and again which collections this node moves, as long as the server runs.
    pub(crate) fn watch(&self, app: &App, engine: &Engine, nats: &Nats) {
        let mut before: BTreeMap<String, u64> = BTreeMap::new();
        while app.stopping.rests(AGAIN) {
            let jobs = app.jobs.list().into_iter();
            let jobs = jobs.filter(|job| job.kind == KIND && job.is_at_work());
            let now: BTreeMap<_, _> = jobs.map(|job| (job.collection.clone(), job.id)).collect();
            let say = now.iter().map(|it| (it, true));
            let ended = before.iter().filter(|(name, _)| !now.contains_key(*name));
            for ((name, job), runs) in say.chain(ended.map(|it| (it, false))) {
                let own = text(&own(app, engine, Some(*job)));
                let said = self.with(nats, |leases| match runs {
                    true => leases.say(&key(name), &own),
                    false => leases.end(&key(name)),
                });
                if let Err(error) = said {
                    tracing::warn!(collection = name, %error, "other nodes do not see who moves it");
                }
            }
            before = now;
        }
    }

    /// A connection that has failed is made anew.
    fn with<T>(
        &self,
        nats: &Nats,
        work: impl FnOnce(&Leases) -> Result<T, storage::Error>,
    ) -> Result<T, Refusal> {
        let mut kept = self.0.lock();
        let leases = match kept.take() {
            Some(leases) => Ok(leases),
            None => Leases::open(&shared_log::settings(nats), shards::LEASE),
        };
        let done = leases.and_then(|leases| {
            let done = work(&leases)?;
            *kept = Some(leases);
            Ok(done)
        });
        done.map_err(|error| Refusal::busy(error.to_string()))
    }
}

fn own(app: &App, engine: &Engine, job: Option<u64>) -> Mover {
    let uname = rustix::system::uname();
    let (host, listen) = (uname.nodename().to_string_lossy(), app.config.listen);
    Mover {
        node: format!("{:032x}", engine.store()),
        name: format!("{host} ({listen})"),
        job,
    }
}

fn not_another(said: Option<String>, own: &Mover, collection: &str) -> Result<(), Refusal> {
    let said = said.and_then(|said| serde_json::from_str::<Mover>(&said).ok());
    match said.filter(|it| it.node != own.node) {
        Some(other) => Err(other.told(collection)),
        None => Ok(()),
    }
}

fn text(mover: &Mover) -> String {
    serde_json::to_string(mover).unwrap_or_default()
}

/// A name may be anything, and a key may not.
fn key(collection: &str) -> String {
    let hash = Sha256::digest(collection);
    let hash = hash.iter().map(|byte| format!("{byte:02x}"));
    format!("move-{}", hash.collect::<String>())
}
