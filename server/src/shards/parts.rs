//! Parts follow the entries. A node makes, in every shard that it serves, the parts of the collections
//! that are there by the log that all share, and removes those of collections that are not. Two nodes that
//! do so at once come to the same, because a shard's log takes each part once.
//!
//! Invariant: a part is only removed by a node that goes by the same log as its maker, and has seen as much
//! of it. Who is behind and does not know of the collection yet leaves its part alone, and so does a node
//! with an entry that is damaged and not served. Parts of another log, one that was there before this one
//! was made anew, are nobody's: they are left alone and told of, unless an entry has come from there with a
//! backup and asks for them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use engine::{CollectionChange, CollectionSpec, Engine, Error, Payload};
use serde_json::{Value, json};

use super::{KEY, Sharded, Shards};
use crate::app::App;

/// How often it is looked whether a part is to be made or removed.
const LOOKS: Duration = Duration::from_millis(200);
/// The key of a part's metadata that says by which log it was made, and how far its maker had seen that.
pub(super) const MAKER: &str = "doppel_part_since";

/// How far a node has seen the log that all share.
struct Seen {
    /// Which log that is.
    log: String,
    /// Before the entries were looked at; nothing where some cannot be read, so that nobody knows what is gone.
    before: Option<u64>,
    /// After.
    after: u64,
}

impl Shards {
    /// Makes and removes parts, as long as the server runs.
    pub(crate) fn watch_parts(&self, app: &App) {
        let Some(engine) = app.engine() else { return };
        let log = log_name(engine.log_number());
        let (mut settled, mut strange) = (None, BTreeSet::new());
        let mut failing: BTreeMap<u32, String> = BTreeMap::new();
        while app.stopping.rests(LOOKS) {
            let before = engine.applied_lsn().0;
            let state = Some((before, self.open().count()));
            if settled == state {
                continue;
            }
            let wanted = wanted(engine);
            let seen = Seen {
                log: log.clone(),
                before: engine.quarantined().is_empty().then_some(before),
                // Not what is applied: an entry is seen before its group is done.
                after: engine.durable_lsn().0,
            };
            settled = state;
            for (shard, own) in self.open() {
                let Some(parts) = own.engine() else { continue };
                match settle(parts, shard, &wanted, &seen) {
                    Ok(others) => {
                        failing.remove(&shard);
                        others
                            .into_iter()
                            .filter(|part| strange.insert((shard, part.clone())))
                            .for_each(|part| tell_strange(shard, &part));
                    }
                    Err(error) => {
                        settled = None;
                        let why = error.to_string();
                        // It is tried again all the time.
                        if failing.insert(shard, why.clone()).as_ref() != Some(&why) {
                            tracing::warn!(
                                why,
                                shard,
                                "parts of collections are not as they should be"
                            );
                        }
                    }
                }
            }
        }
    }
}

/// As a log stands in the metadata of parts.
pub(super) fn log_name(number: Option<u128>) -> String {
    format!("{:032x}", number.unwrap_or_default())
}

fn tell_strange(shard: u32, part: &str) {
    tracing::warn!(
        shard,
        part,
        "a part belongs to another log than the one that all share now, and is left alone: remove the \
         streams and the stores of shards with that of the log (docs/SCALING.md)"
    );
}

/// The sharded collections that there are, by the names of their parts.
fn wanted(engine: &Engine) -> BTreeMap<String, (Sharded, CollectionSpec)> {
    let all = engine.collections().into_iter().filter_map(|info| {
        let sharded = Sharded::read(info.spec.metadata.get(KEY)?).ok()?;
        Some((sharded.part.clone(), (sharded, info.spec)))
    });
    all.collect()
}

/// Makes and removes parts of a shard; returns those that are of another log.
fn settle(
    parts: &Engine,
    shard: u32,
    wanted: &BTreeMap<String, (Sharded, CollectionSpec)>,
    seen: &Seen,
) -> Result<Vec<String>, Error> {
    let there = parts.collections();
    for (name, (sharded, spec)) in wanted {
        if let Some(part) = there.iter().find(|part| part.name == *name) {
            if seen.judges(&part.spec.metadata) == Judged::Strange {
                adopt(parts, name, seen)?;
                tracing::info!(shard, part = name, "belongs to the log that all share now");
            }
            continue;
        }
        if sharded.count <= shard {
            continue;
        }
        let mut spec = spec.clone();
        spec.metadata.remove(KEY);
        spec.metadata.insert(MAKER.to_owned(), seen.written());
        match parts.create_collection(name, spec) {
            Ok(()) => tracing::info!(shard, part = name, "made"),
            // Another node was first.
            Err(Error::Exists(_)) => {}
            Err(error) => return Err(error),
        }
    }
    let unwanted = there.into_iter();
    let unwanted = unwanted.filter(|part| !wanted.contains_key(&part.name));
    let mut strange = Vec::new();
    for part in unwanted {
        match seen.judges(&part.spec.metadata) {
            Judged::Gone if parts.drop_collection(&part.name)? => {
                tracing::info!(shard, part = part.name, "removed");
            }
            Judged::Gone | Judged::Unknown => {}
            Judged::Strange => strange.push(part.name),
        }
    }
    Ok(strange)
}

/// Has a part of an earlier log, for which an entry of this one asks, be of this one: a log that has begun with what
/// a node had of the earlier one. No other part is called so.
fn adopt(parts: &Engine, name: &str, seen: &Seen) -> Result<(), Error> {
    let metadata = Payload::from_iter([(MAKER.to_owned(), seen.written())]);
    let change = CollectionChange {
        metadata: Some(metadata),
        ..CollectionChange::default()
    };
    parts.update_collection(name, change).map(drop)
}

/// What a node knows of a part that no entry asks for.
#[derive(Debug, PartialEq, Eq)]
enum Judged {
    /// Its collection is gone.
    Gone,
    /// Its collection may be one that is not known here yet.
    Unknown,
    /// It is of another log.
    Strange,
}

impl Seen {
    fn written(&self) -> Value {
        json!({ "log": self.log, "lsn": self.after })
    }

    fn judges(&self, part: &Payload) -> Judged {
        let maker = part.get(MAKER).unwrap_or(&Value::Null);
        if maker["log"] != self.log {
            return Judged::Strange;
        }
        match (maker["lsn"].as_u64(), self.before) {
            (Some(lsn), Some(before)) if lsn <= before => Judged::Gone,
            _ => Judged::Unknown,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_goes_only_by_the_log_that_it_was_made_by_and_once_as_much_of_it_is_seen() {
        let seen = |log: &str, before, after| Seen {
            log: log.to_owned(),
            before,
            after,
        };
        let part = [(MAKER.to_owned(), seen("a", Some(4), 5).written())];
        let part = Payload::from_iter(part);
        assert_eq!(seen("a", Some(5), 9).judges(&part), Judged::Gone);
        assert_eq!(seen("a", Some(4), 9).judges(&part), Judged::Unknown);
        assert_eq!(seen("a", None, 9).judges(&part), Judged::Unknown);
        assert_eq!(seen("b", Some(9), 9).judges(&part), Judged::Strange);
        assert_eq!(
            seen("a", Some(9), 9).judges(&Payload::new()),
            Judged::Strange
        );
    }
}
