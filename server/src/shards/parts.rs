//! Parts follow the entries. A node makes, in every shard that it serves, the parts of the collections
//! that are there by the log that all share, and removes those of collections that are not. Two nodes that
//! do so at once come to the same, because a shard's log takes each part once.
//!
//! Invariant: a part is only removed by a node that has seen as much of the shared log as its maker had. Who
//! is behind and does not know of the collection yet leaves its part alone, and so does a node with an entry
//! that is damaged and not served.

use std::collections::BTreeMap;
use std::time::Duration;

use engine::{CollectionSpec, Engine, Error};
use serde_json::Value;

use super::{KEY, Sharded, Shards, sharded};
use crate::app::App;

/// How often it is looked whether a part is to be made or removed.
const LOOKS: Duration = Duration::from_millis(200);
/// The key of a part's metadata that says how far its maker had seen the shared log.
pub(super) const MAKER: &str = "doppel_part_since";

impl Shards {
    /// Makes and removes parts, as long as the server runs.
    pub(crate) fn watch_parts(&self, app: &App) {
        let Some(engine) = app.engine() else { return };
        let mut settled = None;
        while app.stopping.rests(LOOKS) {
            let before = engine.status().applied_lsn.0;
            let state = Some((before, self.open().count()));
            if settled == state {
                continue;
            }
            let wanted = wanted(engine);
            // Not what is applied: an entry is seen before its group is done.
            let after = engine.durable_lsn().0;
            // Who cannot read an entry does not know that it is gone.
            let knows_all = engine.quarantined().is_empty();
            settled = state;
            for (shard, own) in self.open() {
                let Some(parts) = own.engine() else { continue };
                if let Err(error) =
                    settle(parts, shard, &wanted, (knows_all.then_some(before), after))
                {
                    tracing::warn!(%error, shard, "parts of collections are not as they should be");
                    settled = None;
                }
            }
        }
    }
}

/// The sharded collections that there are, by the names of their parts.
fn wanted(engine: &Engine) -> BTreeMap<String, (Sharded, CollectionSpec)> {
    let all = engine.collections().into_iter().filter_map(|info| {
        let (number, value) = engine.metadata_of(&info.name, KEY).ok()??;
        let sharded = sharded(number, &value).ok()?;
        Some((sharded.part.clone(), (sharded, info.spec)))
    });
    all.collect()
}

fn settle(
    parts: &Engine,
    shard: u32,
    wanted: &BTreeMap<String, (Sharded, CollectionSpec)>,
    (before, after): (Option<u64>, u64),
) -> Result<(), Error> {
    let there = parts.collections();
    for (name, (sharded, spec)) in wanted {
        let is_there = there.iter().any(|part| part.name == *name);
        if is_there || sharded.count <= shard {
            continue;
        }
        let mut spec = spec.clone();
        spec.metadata.remove(KEY);
        spec.metadata.insert(MAKER.to_owned(), after.into());
        match parts.create_collection(name, spec) {
            Ok(()) => tracing::info!(shard, part = name, "made"),
            // Another node was first.
            Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    for part in there {
        let since = part.spec.metadata.get(MAKER).and_then(Value::as_u64);
        let ends = since.is_some_and(|since| before.is_some_and(|before| since <= before))
            && !wanted.contains_key(&part.name);
        if ends && parts.drop_collection(&part.name)? {
            tracing::info!(shard, part = part.name, "removed");
        }
    }
    Ok(())
}
