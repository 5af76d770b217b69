//! Collections that are spread over nodes.
//!
//! A sharded collection is an entry in the log that all nodes share, whose metadata says over how many
//! shards it is spread, and a *part* in each of them: an ordinary collection in a log of that shard's own,
//! on whichever nodes serve the shard. A point is in the part that a hash of its id says (`place`). Whoever
//! serves a shard makes the parts that the entries ask for and removes the others (`parts`), so that an
//! entry is all that is decided. Any node takes any request, asks one node for each shard over HTTP
//! (`ask`), itself too, and puts the answers together (`answer`, `merge`). Who serves what, nodes say in a
//! bucket of leases (`nodes`).
//!
//! A shard is a whole server of its own within this one, at `/shards/{shard}`, for nodes only (`served`).

mod answer;
mod ask;
mod create;
mod heard;
mod merge;
mod nodes;
mod parts;
mod peer;
mod place;
mod served;
mod split;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

pub(crate) use answer::route;
pub(crate) use create::create;
pub(crate) use served::{Served, is_between_nodes, judge, mount, serve};

use crate::app::App;
use crate::error::Error;
use crate::refusal::Refusal;

use nodes::Nodes;
use peer::Peers;

/// The key of a collection's metadata that says over how many shards it is spread.
pub(crate) const KEY: &str = "doppel_shards";

/// What this node knows and serves of shards.
pub(crate) struct Shards {
    settings: config::Shards,
    nodes: Nodes,
    peers: Peers,
    served: BTreeMap<u32, Arc<App>>,
}

/// A sharded collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sharded {
    /// The name of its part in every shard.
    part: String,
    /// Over how many shards it is spread: the first so many.
    count: u32,
}

impl Shards {
    pub(crate) fn new(
        settings: &config::Shards,
        config: &config::Config,
        served: BTreeMap<u32, Arc<App>>,
        url: String,
    ) -> Result<Self, Error> {
        let at_work = config.server.concurrent_searches + config.server.concurrent_writes;
        Ok(Self {
            settings: settings.clone(),
            nodes: Nodes::new(settings.url.clone().unwrap_or(url)),
            peers: Peers::new(settings, config.tls.as_ref(), at_work)?,
            served,
        })
    }

    /// Those that are open here.
    fn open(&self) -> impl Iterator<Item = (u32, &Arc<App>)> {
        let open = self.served.iter().filter(|(_, app)| app.engine().is_some());
        open.map(|(shard, app)| (*shard, app))
    }
}

/// The shards of a collection; nothing of one that is whole, or not there. A log that nobody shares has
/// none.
pub(crate) fn of(app: &App, collection: &str) -> Result<Option<Sharded>, Refusal> {
    if app.config.nats.is_none() {
        return Ok(None);
    }
    let Some(engine) = app.engine() else {
        return Ok(None);
    };
    match engine.metadata_of(collection, KEY) {
        Ok(Some((number, value))) => sharded(number, &value).map(Some),
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Refuses what takes a collection that is whole.
pub(crate) fn whole(app: &App, collection: &str, what: &str) -> Result<(), Refusal> {
    match of(app, collection)? {
        None => Ok(()),
        Some(_) => Err(Refusal::unsupported(format!(
            "the collection `{collection}` is spread over shards, and {what} is not there for such ones yet: \
             docs/SCALING.md says what is"
        ))),
    }
}

fn sharded(number: u64, value: &Value) -> Result<Sharded, Refusal> {
    let count = value.as_u64().and_then(|count| u32::try_from(count).ok());
    match count {
        Some(count) if count > 0 => Ok(Sharded {
            part: part(number),
            count,
        }),
        _ => Err(Refusal::internal(format!(
            "the collection's metadata has `{KEY}`: {value}, which is no number of shards"
        ))),
    }
}

/// What the parts of a collection are called: by its number, which no other ever has, so that one that is
/// dropped and made again under the same name has nothing of the old.
fn part(number: u64) -> String {
    format!("part-{number}")
}
