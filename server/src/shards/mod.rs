//! Collections that are spread over nodes.
//!
//! A sharded collection is an entry in the log that all nodes share, whose metadata says over how many
//! shards it is spread, and a *part* in each of them: an ordinary collection in a log of that shard's own,
//! on whichever nodes serve the shard. A point is in the part that a hash of its id says (`place`). Whoever
//! serves a shard makes the parts that the entries ask for and removes the others (`parts`), so that an
//! entry is all that is decided. Any node takes any request, asks one node for each shard over HTTP
//! (`ask`), itself too but for searches (`here`), and puts the answers together (`answer`, `merge`). Who serves what, nodes say in a
//! bucket of leases (`nodes`).
//!
//! A shard is a whole server of its own within this one, at `/shards/{shard}`, for nodes only (`served`).

mod agreed;
mod answer;
mod ask;
mod create;
mod heard;
mod here;
mod merge;
mod nodes;
mod parts;
mod peer;
mod place;
mod reads;
mod resolve;
mod served;
mod split;
mod standing;
mod way;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

pub(crate) use answer::route;
pub(crate) use create::{adopted, create, gone};
pub(crate) use nodes::LEASE;
pub(crate) use served::{Served, is_between_nodes, is_of_a_node, judge, mount, serve};

use crate::app::App;
use crate::error::Error;
use crate::gate::Gate;
use crate::refusal::Refusal;

use agreed::Agreed;
use nodes::Nodes;
use peer::Peers;

/// The key of a collection's metadata that says over how many shards it is spread, and what its parts are
/// called.
pub(crate) const KEY: &str = engine::SHARDS;

/// What this node knows and serves of shards.
pub(crate) struct Shards {
    settings: config::Shards,
    nodes: Nodes,
    peers: Peers,
    /// Searches, and writes, that go on in shards: apart from those that this node does itself.
    searches: Gate,
    writes: Gate,
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
        app: &App,
        served: BTreeMap<u32, Arc<App>>,
        url: String,
    ) -> Result<Self, Error> {
        let (tls, server) = (app.config.tls.as_ref(), &app.config.server);
        let at_once = (server.concurrent_searches, server.concurrent_writes);
        let at_once = peer::at_once(at_once, settings.count);
        let nats = app.config.nats.as_ref();
        let checkpoints = nats.and_then(|nats| nats.checkpoints.as_deref());
        let agreed = Agreed::of(settings.count, settings.key.as_str(), checkpoints);
        Ok(Self {
            settings: settings.clone(),
            nodes: Nodes::new(settings.url.clone().unwrap_or(url), agreed),
            peers: Peers::new(settings, tls, at_once, app.memory.clone())?,
            searches: Gate::new("searches in shards", at_once.0),
            writes: Gate::new("writes to shards", at_once.1),
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
        Ok(Some(value)) => Sharded::read(&value).map(Some),
        Ok(None) | Err(_) => Ok(None),
    }
}

/// Whether a sharded collection is still there, whatever its name may stand for by now.
fn is_there(app: &App, name: &str, sharded: &Sharded) -> Result<bool, Refusal> {
    if of(app, name)?.as_ref() == Some(sharded) {
        return Ok(true);
    }
    let Some(engine) = app.engine() else {
        return Ok(false);
    };
    let written = sharded.written();
    let all = engine.collections();
    Ok(all
        .iter()
        .any(|it| it.spec.metadata.get(KEY) == Some(&written)))
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

impl Sharded {
    /// One whose parts are called as no others are or have been, in whatever life of whichever log: so one
    /// that is made again under the same name has nothing of the old.
    fn new(count: u32) -> Self {
        Self {
            part: format!("part-{}", Uuid::new_v4().simple()),
            count,
        }
    }

    /// As it stands in the metadata of its entry.
    fn written(&self) -> Value {
        json!({ "count": self.count, "part": self.part })
    }

    fn read(written: &Value) -> Result<Self, Refusal> {
        let count = written["count"].as_u64();
        let count = count.and_then(|count| u32::try_from(count).ok());
        let part = written["part"].as_str().map(str::to_owned);
        match (count, part) {
            (Some(count), Some(part)) if count > 0 => Ok(Self { part, count }),
            _ => Err(Refusal::internal(format!(
                "the collection's metadata has `{KEY}`: {written}, which names no parts in shards"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_called_as_no_others_and_an_entry_says_how() {
        let (one, two) = (Sharded::new(3), Sharded::new(3));
        assert_ne!(one.part, two.part);
        assert_eq!(Sharded::read(&one.written()).unwrap(), one);
        for wrong in [
            json!(3),
            json!({"count": 0, "part": "p"}),
            json!({"count": 3}),
        ] {
            assert!(Sharded::read(&wrong).is_err(), "{wrong}");
        }
    }
}
