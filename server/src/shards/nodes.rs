//! Which node serves which shard. Each says in a bucket beside the log what it serves and where it is
//! reached, and says so again every second; who does not is gone some seconds later. While the bucket
//! cannot be read, what it had last is what is known. Who does not answer is asked after the others for a
//! while, without waiting for its lease to end. Beside each shard stands how far its log is applied there, so
//! that each sees whether it is behind.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::Lsn;
use jetstream::{Leases, messages_between};
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::Shards;
use crate::app::App;
use crate::shared_log;

/// How long a node is known that says nothing.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How often it says that it is there, and looks who else is.
const RENEWED: Duration = Duration::from_secs(1);
/// How long one that has not answered is asked after the others: until it is gone, if it hangs.
const AVOIDED: Duration = Duration::from_secs(5);
/// How long it is known of one that has answered that it does not hang.
const ALIVE: Duration = Duration::from_secs(1);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    /// Where it is reached.
    pub(super) url: String,
    /// What it serves, and up to where the log of each is applied there.
    pub(super) shards: BTreeMap<u32, u64>,
}

/// All that are known.
pub(super) struct Nodes {
    own: RwLock<Node>,
    others: RwLock<Arc<Vec<Node>>>,
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Instant>>,
    answered: Mutex<HashMap<String, Instant>>,
}

impl Nodes {
    pub(super) fn new(url: String) -> Self {
        Self {
            own: RwLock::new(Node {
                url,
                shards: BTreeMap::new(),
            }),
            others: RwLock::default(),
            turn: AtomicUsize::new(0),
            failed: Mutex::default(),
            answered: Mutex::default(),
        }
    }

    /// Where a shard is served, in the order in which they are to be asked: here, then elsewhere by turns,
    /// and last where there was no answer a moment ago.
    pub(super) fn serving(&self, shard: u32) -> Vec<String> {
        let serves = |node: &&Node| node.shards.contains_key(&shard);
        let others = Arc::clone(&self.others.read());
        let others = others.iter().filter(serves).map(|node| node.url.clone());
        let mut urls: Vec<String> = others.collect();
        if !urls.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % urls.len();
            urls.rotate_left(turn);
        }
        let own = self.own.read();
        if own.shards.contains_key(&shard) {
            urls.insert(0, own.url.clone());
        }
        let mut failed = self.failed.lock();
        failed.retain(|_, at| at.elapsed() < AVOIDED);
        urls.sort_by_key(|url| failed.contains_key(url));
        urls
    }

    /// Notes that one has not answered.
    pub(super) fn has_failed(&self, url: &str) {
        self.failed.lock().insert(url.to_owned(), Instant::now());
    }

    /// Notes that one has answered.
    pub(super) fn has_answered(&self, url: &str) {
        let mut answered = self.answered.lock();
        answered.retain(|_, at| at.elapsed() < ALIVE);
        answered.insert(url.to_owned(), Instant::now());
    }

    /// Whether one has answered a moment ago, or is this one.
    pub(super) fn is_alive(&self, url: &str) -> bool {
        let answered = self.answered.lock();
        let lately = answered.get(url).is_some_and(|at| at.elapsed() < ALIVE);
        lately || self.own.read().url == url
    }

    /// Whether nobody who is there is reached at this address.
    pub(super) fn is_gone(&self, url: &str) -> bool {
        let others = self.others.read();
        self.own.read().url != url && !others.iter().any(|node| node.url == url)
    }

    /// How many of these shards nobody serves.
    fn unserved(&self, count: u32) -> usize {
        let (own, others) = (self.own.read(), self.others.read());
        let served = |shard: &u32| {
            let mut all = others.iter().chain([&*own]);
            all.any(|node| node.shards.contains_key(shard))
        };
        (0..count).filter(|shard| !served(shard)).count()
    }

    /// By how many messages what is served here is behind what others have applied, at most.
    fn behind(&self) -> u64 {
        let (own, others) = (self.own.read(), self.others.read());
        let furthest = |shard: &u32| {
            let all = others.iter().filter_map(|node| node.shards.get(shard));
            all.max().copied().unwrap_or_default()
        };
        let own = own.shards.iter();
        let behind = own.map(|(shard, lsn)| messages_between(Lsn(*lsn), Lsn(furthest(shard))));
        behind.max().unwrap_or_default()
    }

    fn set_own(&self, shards: BTreeMap<u32, u64>) -> Node {
        let mut own = self.own.write();
        own.shards = shards;
        own.clone()
    }

    fn set_others(&self, others: Vec<Node>) {
        *self.others.write() = Arc::new(others);
    }
}

impl Shards {
    /// Says what is served here and looks what is elsewhere, as long as the server runs.
    pub(crate) fn watch_nodes(&self, app: &App) {
        let (Some(engine), Some(nats)) = (app.engine(), &app.config.nats) else {
            return;
        };
        let (name, settings) = (
            format!("{:032x}", engine.store()),
            shared_log::settings(nats),
        );
        let mut leases = None;
        loop {
            let applied = self.open().filter_map(|(shard, own)| {
                let lsn = own.engine()?.status().applied_lsn;
                Some((shard, lsn.0))
            });
            let own = self.nodes.set_own(applied.collect());
            match self.tell(&mut leases, &settings, (&name, &own)) {
                Ok(()) => {
                    let unserved = self.nodes.unserved(self.settings.count);
                    app.metrics.shards_seen(unserved, self.nodes.behind());
                }
                Err(error) => {
                    tracing::warn!(%error, "other nodes are not seen");
                    leases = None;
                }
            }
            if !app.stopping.rests(RENEWED) {
                break;
            }
        }
        if let Some(Err(error)) = leases.map(|leases| leases.end(&name)) {
            tracing::debug!(%error, "other nodes are not told of the end");
        }
    }

    fn tell(
        &self,
        leases: &mut Option<Leases>,
        settings: &jetstream::Settings,
        (name, own): (&str, &Node),
    ) -> Result<(), storage::Error> {
        let leases = match leases {
            Some(leases) => leases,
            none => none.insert(Leases::open(settings, LEASE)?),
        };
        leases.say(name, &serde_json::to_string(own).unwrap_or_default())?;
        let all = leases.all()?.into_iter();
        let others = all.filter(|(node, _)| node != name);
        let others = others.filter_map(|(_, said)| serde_json::from_str(&said).ok());
        self.nodes.set_others(others.collect());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes(own: &[u32], others: &[(&str, &[u32])]) -> Nodes {
        let nodes = Nodes::new("own".to_owned());
        let applied = |shards: &[u32], lsn: u64| shards.iter().map(|shard| (*shard, lsn)).collect();
        nodes.set_own(applied(own, 3 << 16));
        let others = others.iter().map(|(url, shards)| Node {
            url: (*url).to_owned(),
            shards: applied(shards, 5 << 16),
        });
        nodes.set_others(others.collect());
        nodes
    }

    #[test]
    fn who_serves_a_shard_is_asked_here_first_then_elsewhere_by_turns() {
        let nodes = nodes(&[0], &[("a", &[0, 1]), ("b", &[1])]);
        assert_eq!(nodes.serving(0), ["own", "a"]);
        let first = [nodes.serving(1), nodes.serving(1)].map(|urls| urls[0].clone());
        assert_ne!(first[0], first[1]);
        assert!(nodes.serving(2).is_empty());
    }

    #[test]
    fn who_has_not_answered_is_asked_last() {
        let nodes = nodes(&[0], &[("a", &[0])]);
        nodes.has_failed("own");
        assert_eq!(nodes.serving(0), ["a", "own"]);
    }

    #[test]
    fn who_is_there_who_is_behind_and_what_nobody_serves_is_known() {
        let nodes = nodes(&[0, 2], &[("a", &[0, 1])]);
        assert!(!nodes.is_gone("own") && !nodes.is_gone("a") && nodes.is_gone("b"));
        assert_eq!((nodes.unserved(3), nodes.unserved(5)), (0, 2));
        assert_eq!(nodes.behind(), 2);
        assert!(!nodes.is_alive("a"));
        nodes.has_answered("a");
        assert!(nodes.is_alive("a"));
    }
}
