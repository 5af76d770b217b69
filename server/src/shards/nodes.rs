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
use sha2::{Digest, Sha256};

use super::Shards;
use crate::app::App;
use crate::refusal::Refusal;
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
    /// What must be the same on all nodes. What is told without it is of an older program.
    #[serde(default)]
    pub(super) agreed: Option<Agreed>,
}

/// What nodes must have the same settings of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Agreed {
    /// Over how many shards collections can be spread (`nats.shards`).
    shards: u32,
    /// By what a node's key is told from others: the beginning of a hash, which many keys have.
    key: String,
}

impl Agreed {
    pub(super) fn of(shards: u32, key: &str) -> Self {
        let mut hash = Sha256::new();
        hash.update("doppel's key of nodes: ");
        hash.update(key);
        let hash = hash.finalize().into_iter().take(3);
        Self {
            shards,
            key: hash.map(|byte| format!("{byte:02x}")).collect(),
        }
    }

    /// The settings in which another has something else.
    fn differing(&self, other: &Self) -> Vec<&'static str> {
        let all = [
            ("nats.shards", self.shards != other.shards),
            ("nats.node_key", self.key != other.key),
        ];
        let differing = all.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(setting, _)| setting).collect()
    }
}

/// All that are known.
pub(super) struct Nodes {
    own: RwLock<Node>,
    others: RwLock<Arc<Vec<Node>>>,
    /// Where nodes are reached that have other settings than this one, and which.
    disagreeing: Mutex<BTreeMap<String, Vec<&'static str>>>,
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Instant>>,
    answered: Mutex<HashMap<String, Instant>>,
}

impl Nodes {
    pub(super) fn new(url: String, agreed: Agreed) -> Self {
        Self {
            own: RwLock::new(Node {
                url,
                shards: BTreeMap::new(),
                agreed: Some(agreed),
            }),
            disagreeing: Mutex::default(),
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

    /// Those of so many shards that nobody serves.
    fn unserved(&self, count: u32) -> Vec<u32> {
        let (own, others) = (self.own.read(), self.others.read());
        let served = |shard: &u32| {
            let mut all = others.iter().chain([&*own]);
            all.any(|node| node.shards.contains_key(shard))
        };
        (0..count).filter(|shard| !served(shard)).collect()
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

    /// Also says which have other settings than this node, and tells of each once.
    fn set_others(&self, others: Vec<Node>) {
        let own = self.own.read().agreed.clone();
        let differing = others.iter().filter_map(|node| {
            let differing = own.as_ref()?.differing(node.agreed.as_ref()?);
            (!differing.is_empty()).then(|| (node.url.clone(), differing))
        });
        let now: BTreeMap<_, _> = differing.collect();
        let mut known = self.disagreeing.lock();
        for (node, differing) in now
            .iter()
            .filter(|(node, it)| known.get(*node) != Some(*it))
        {
            tracing::error!(
                node,
                ?differing,
                "another node has other settings, and they must be the same on all"
            );
        }
        *known = now;
        *self.others.write() = Arc::new(others);
    }

    /// Who has other settings, and which.
    fn disagreeing(&self) -> BTreeMap<String, Vec<&'static str>> {
        self.disagreeing.lock().clone()
    }
}

impl Shards {
    /// What of all shards is not as it should be, though this node answers; in words.
    ///
    /// # Errors
    /// One that this node is to serve is still being opened.
    pub(crate) fn short_of(&self) -> Result<Vec<String>, Refusal> {
        let mut short = Vec::new();
        for (shard, own) in &self.served {
            match (own.engine(), own.recovery().failure()) {
                (None, None) => {
                    let text = own.recovery().text();
                    return Err(Refusal::busy(format!("starting: shard {shard}: {text}")));
                }
                (None, Some(why)) => short.push(format!("shard {shard} is not served here: {why}")),
                (Some(engine), _) => {
                    let stopped = engine.status().read_only;
                    short.extend(
                        stopped.map(|why| format!("shard {shard} takes no writes here: {why}")),
                    );
                }
            }
        }
        for (node, differing) in self.nodes.disagreeing() {
            let differing = differing.join(" and ");
            short.push(format!(
                "{node} has another {differing}, which must be the same on all nodes"
            ));
        }
        let open: Vec<u32> = self.open().map(|(shard, _)| shard).collect();
        let unserved = self.nodes.unserved(self.settings.count).into_iter();
        let unserved = unserved.filter(|shard| !open.contains(shard));
        short.extend(
            unserved.map(|shard| format!("shard {shard} is served by no node that is seen here")),
        );
        Ok(short)
    }

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
                    let unserved = self.nodes.unserved(self.settings.count).len();
                    let disagreeing = self.nodes.disagreeing().len();
                    app.metrics
                        .shards_seen(unserved, self.nodes.behind(), disagreeing);
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
        let nodes = Nodes::new("own".to_owned(), Agreed::of(3, "the key of nodes"));
        let applied = |shards: &[u32], lsn: u64| shards.iter().map(|shard| (*shard, lsn)).collect();
        nodes.set_own(applied(own, 3 << 16));
        let others = others.iter().map(|(url, shards)| Node {
            url: (*url).to_owned(),
            shards: applied(shards, 5 << 16),
            agreed: None,
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
    fn who_has_another_key_or_another_number_of_shards_is_known() {
        let nodes = nodes(&[0], &[]);
        let node = |url: &str, agreed| Node {
            url: url.to_owned(),
            shards: BTreeMap::new(),
            agreed,
        };
        nodes.set_others(vec![
            node("same", Some(Agreed::of(3, "the key of nodes"))),
            node("older", None),
            node("more", Some(Agreed::of(4, "the key of nodes"))),
            node("key", Some(Agreed::of(3, "another key of nodes"))),
        ]);
        let due = [
            ("key", vec!["nats.node_key"]),
            ("more", vec!["nats.shards"]),
        ];
        assert_eq!(
            nodes.disagreeing(),
            due.map(|(url, it)| (url.to_owned(), it)).into()
        );
        nodes.set_others(Vec::new());
        assert!(nodes.disagreeing().is_empty());
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
        assert_eq!((nodes.unserved(3), nodes.unserved(5)), (vec![], vec![3, 4]));
        assert_eq!(nodes.behind(), 2);
        assert!(!nodes.is_alive("a"));
        nodes.has_answered("a");
        assert!(nodes.is_alive("a"));
    }
}
