//! Which node serves which shard. Each says in a bucket beside the log what it serves and where it is
//! reached, and says so again every second; who does not is gone some seconds later. While the bucket
//! cannot be read, what it had last is what is known. Who does not answer is asked after the others for a
//! while, without waiting for its lease to end. Beside each shard stands how far its log is applied there, so
//! that each sees whether it is behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::{self, Display, Formatter};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::Lsn;
use jetstream::messages_between;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio::time::timeout;

use super::agreed::{Agreed, NODE_KEY};

/// How long a node is known that says nothing.
pub(crate) const LEASE: Duration = Duration::from_secs(5);
/// How long a node is new, with which others may have been started that are not seen yet.
const NEW: Duration = Duration::from_secs(60);
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
    /// Those of them that take no writes there, and why.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) stopped: BTreeMap<u32, String>,
    /// What must be the same on all nodes. What is told without it is of an older program.
    #[serde(default)]
    pub(super) agreed: Option<Agreed>,
}

/// How a shard stands that is open here.
pub(super) struct Stands {
    /// Up to where its log is applied.
    pub(super) applied: Lsn,
    /// Why it takes no writes, if that is so.
    pub(super) stopped: Option<String>,
}

/// A look who is there.
#[derive(Debug, Clone)]
struct Look {
    began: Instant,
    /// Why others could not be seen, if that is so.
    seen: Result<(), String>,
    /// What this node had said before that it serves.
    said: BTreeSet<u32>,
}

/// Why another node takes no writes of a shard that it serves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Closed {
    /// It refuses the key that this one shows.
    ShutOut {
        /// Where it is reached.
        url: String,
    },
    /// Its log of the shard is not as it must be, or its disk has failed.
    Stopped {
        /// Where it is reached.
        url: String,
        /// What it says of that.
        why: String,
    },
}

impl Display for Closed {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShutOut { url } => write!(out, "{url} has another {NODE_KEY}"),
            Self::Stopped { url, why } => write!(out, "it takes no writes at {url}: {why}"),
        }
    }
}

/// Whether a node refuses the key that this one shows.
fn is_shut_out(disagreeing: &BTreeMap<String, Vec<&'static str>>, url: &str) -> bool {
    disagreeing
        .get(url)
        .is_some_and(|it| it.contains(&NODE_KEY))
}

/// All that are known. What this one serves itself is asked when it is wanted: it counts from the moment it is open.
pub(super) struct Nodes {
    /// Where this one is reached.
    url: String,
    agreed: Agreed,
    others: RwLock<Arc<Vec<Node>>>,
    /// When others were last seen to serve a shard.
    served: Mutex<HashMap<u32, Instant>>,
    begun: Instant,
    /// The last look, if there was one.
    looked: watch::Sender<Option<Look>>,
    /// Where nodes are reached that have other settings than this one, and which.
    disagreeing: Mutex<BTreeMap<String, Vec<&'static str>>>,
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Instant>>,
    answered: Mutex<HashMap<String, Instant>>,
}

impl Nodes {
    pub(super) fn new(url: String, agreed: Agreed) -> Self {
        Self {
            url,
            agreed,
            looked: watch::Sender::new(None),
            disagreeing: Mutex::default(),
            others: RwLock::default(),
            served: Mutex::default(),
            begun: Instant::now(),
            turn: AtomicUsize::new(0),
            failed: Mutex::default(),
            answered: Mutex::default(),
        }
    }

    /// Where a shard is served, in the order in which they are to be asked: here, if it is open here, then elsewhere by
    /// turns, and last where there was no answer a moment ago. After all others where the shard takes no writes, reads
    /// too: they are to find what was written elsewhere.
    pub(super) fn serving(&self, shard: u32, own: Option<&Stands>) -> Vec<String> {
        let others = Arc::clone(&self.others.read());
        let others = others
            .iter()
            .filter(|node| node.shards.contains_key(&shard));
        let others = others.map(|node| (node.url.clone(), node.stopped.contains_key(&shard)));
        let mut urls: Vec<(String, bool)> = others.collect();
        if !urls.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % urls.len();
            urls.rotate_left(turn);
        }
        if let Some(own) = own {
            urls.insert(0, (self.url.clone(), own.stopped.is_some()));
        }
        let mut failed = self.failed.lock();
        failed.retain(|_, at| at.elapsed() < AVOIDED);
        urls.sort_by_key(|(url, stopped)| (*stopped, failed.contains_key(url)));
        urls.into_iter().map(|(url, _)| url).collect()
    }

    /// Whether another serves a shard.
    pub(super) fn serves(&self, shard: u32) -> bool {
        let others = self.others.read();
        others.iter().any(|node| node.shards.contains_key(&shard))
    }

    /// Whether it may be seen in a moment that another serves a shard: one did a moment ago, or nobody can be known long.
    pub(super) fn may_serve(&self, shard: u32) -> bool {
        let served = self.served.lock();
        let lately = served.get(&shard).is_some_and(|at| at.elapsed() < LEASE);
        lately || self.begun.elapsed() < NEW
    }

    /// Why no other node takes writes of a shard, of each that serves it; nothing where one does.
    pub(super) fn closed(&self, shard: u32) -> Option<Vec<Closed>> {
        let disagreeing = self.disagreeing();
        let others = Arc::clone(&self.others.read());
        let mut all = others
            .iter()
            .filter(|node| node.shards.contains_key(&shard));
        all.try_fold(Vec::new(), |mut why, node| {
            let url = node.url.clone();
            why.push(match is_shut_out(&disagreeing, &url) {
                true => Closed::ShutOut { url },
                false => Closed::Stopped {
                    url,
                    why: node.stopped.get(&shard)?.clone(),
                },
            });
            Some(why)
        })
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
        lately || self.url == url
    }

    /// Whether this node is reached there.
    pub(super) fn is_this(&self, url: &str) -> bool {
        self.url == url
    }

    /// Whether nobody who is there is reached at this address.
    pub(super) fn is_gone(&self, url: &str) -> bool {
        let others = self.others.read();
        self.url != url && !others.iter().any(|node| node.url == url)
    }

    /// Those of so many shards that nobody serves: neither this node, nor another that takes its key.
    pub(super) fn unserved(&self, count: u32, own: &BTreeMap<u32, u64>) -> Vec<u32> {
        // Never both locks at once: whoever looks who is there takes them too.
        let others = Arc::clone(&self.others.read());
        let disagreeing = self.disagreeing();
        let there = others
            .iter()
            .filter(|node| !is_shut_out(&disagreeing, &node.url));
        let there: Vec<&Node> = there.collect();
        let served = |shard: &u32| {
            own.contains_key(shard) || there.iter().any(|node| node.shards.contains_key(shard))
        };
        (0..count).filter(|shard| !served(shard)).collect()
    }

    /// By how many messages what is served here is behind what others have applied, at most.
    pub(super) fn behind(&self, own: &BTreeMap<u32, u64>) -> u64 {
        let others = self.others.read();
        let furthest = |shard: &u32| {
            let all = others.iter().filter_map(|node| node.shards.get(shard));
            all.max().copied().unwrap_or_default()
        };
        let behind = own.iter();
        let behind = behind.map(|(shard, lsn)| messages_between(Lsn(*lsn), Lsn(furthest(shard))));
        behind.max().unwrap_or_default()
    }

    /// Also says which have other settings than this node, and tells of each once.
    pub(super) fn set_others(&self, others: Vec<Node>) {
        let differing = others.iter().filter_map(|node| {
            let differing = self.agreed.differing(node.agreed.as_ref()?);
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
        drop(known);
        let now = Instant::now();
        let shards = others.iter().flat_map(|node| node.shards.keys());
        let mut served = self.served.lock();
        served.extend(shards.map(|shard| (*shard, now)));
        served.retain(|_, at| at.elapsed() < LEASE);
        drop(served);
        *self.others.write() = Arc::new(others);
    }

    /// What this node says of itself that serves these shards up to there, some of which take no writes.
    pub(super) fn own(&self, shards: BTreeMap<u32, Stands>) -> Node {
        let stopped = shards.iter();
        let stopped = stopped.filter_map(|(shard, it)| Some((*shard, it.stopped.clone()?)));
        Node {
            url: self.url.clone(),
            stopped: stopped.collect(),
            shards: shards
                .iter()
                .map(|(shard, it)| (*shard, it.applied.0))
                .collect(),
            agreed: Some(self.agreed.clone()),
        }
    }

    /// It was looked from then on who else is there, after this was said of this node; or could not be, and why.
    pub(super) fn has_looked(&self, began: Instant, seen: Result<(), String>, said: &Node) {
        let said = said.shards.keys().copied().collect();
        self.looked.send_replace(Some(Look { began, seen, said }));
    }

    /// What came of the last look, if there was one; and what others were told before that is served here.
    pub(super) fn looked(&self) -> Option<(Result<(), String>, BTreeSet<u32>)> {
        let look = self.looked.borrow().clone()?;
        Some((look.seen, look.said))
    }

    /// Waits until it is so, or a look that has begun from now on has ended; for so long at most.
    pub(super) async fn seen(&self, is_so: impl Fn() -> bool, patience: Duration) {
        let (asked, mut looked) = (Instant::now(), self.looked.subscribe());
        let seen = looked
            .wait_for(|look| is_so() || look.as_ref().is_some_and(|look| look.began >= asked));
        // Who has seen nothing goes by what was seen before.
        let _ = timeout(patience, seen).await;
    }

    /// Who has other settings, and which.
    pub(super) fn disagreeing(&self) -> BTreeMap<String, Vec<&'static str>> {
        self.disagreeing.lock().clone()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn applied(shards: &[u32], lsn: u64) -> BTreeMap<u32, u64> {
        shards.iter().map(|shard| (*shard, lsn)).collect()
    }

    /// This node and others: where they are reached, what they serve, and what of that takes no writes.
    fn nodes(others: &[(&str, &[u32], &[u32])]) -> Nodes {
        let nodes = Nodes::new("own".to_owned(), Agreed::of(3, "the key of nodes", None));
        let others = others.iter().map(|(url, shards, stopped)| Node {
            url: (*url).to_owned(),
            shards: applied(shards, 5 << 16),
            stopped: stopped
                .iter()
                .map(|it| (*it, "damaged".to_owned()))
                .collect(),
            agreed: None,
        });
        nodes.set_others(others.collect());
        nodes
    }

    fn open() -> Stands {
        Stands {
            applied: Lsn(3 << 16),
            stopped: None,
        }
    }

    #[test]
    fn who_serves_a_shard_is_asked_here_first_then_elsewhere_by_turns() {
        let nodes = nodes(&[("a", &[0, 1], &[]), ("b", &[1], &[])]);
        let own = open();
        let read = |shard, own| nodes.serving(shard, own);
        assert_eq!(read(0, Some(&own)), ["own", "a"]);
        let first = [read(1, None), read(1, None)].map(|urls| urls[0].clone());
        assert_ne!(first[0], first[1]);
        assert!(read(2, None).is_empty());
    }

    #[test]
    fn who_takes_no_writes_is_asked_last_and_why_is_known_if_nobody_does() {
        let nodes = nodes(&[("a", &[0, 1], &[1]), ("b", &[0, 2], &[0])]);
        let stopped = Stands {
            stopped: Some("damaged".to_owned()),
            ..open()
        };
        assert_eq!(nodes.serving(0, Some(&stopped)), ["a", "own", "b"]);
        assert_eq!(nodes.closed(0), None);
        let told = |shard| {
            let closed = nodes.closed(shard).unwrap().into_iter();
            closed.map(|it| it.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(told(1), ["it takes no writes at a: damaged"]);
        assert_eq!(nodes.closed(2), None);
        assert!(nodes.closed(3).unwrap().is_empty(), "nobody serves it");
    }

    #[test]
    fn who_has_another_key_or_another_number_of_shards_is_known_and_another_key_serves_nothing() {
        let nodes = nodes(&[]);
        let node = |url: &str, shard: u32, agreed| Node {
            url: url.to_owned(),
            shards: applied(&[shard], 1),
            stopped: BTreeMap::new(),
            agreed,
        };
        nodes.set_others(vec![
            node("same", 0, Some(Agreed::of(3, "the key of nodes", None))),
            node("older", 0, None),
            node("more", 1, Some(Agreed::of(4, "the key of nodes", None))),
            node("key", 2, Some(Agreed::of(3, "another key of nodes", None))),
        ]);
        let due = [
            ("key", vec!["nats.node_key"]),
            ("more", vec!["nats.shards"]),
        ];
        assert_eq!(
            nodes.disagreeing(),
            due.map(|(url, it)| (url.to_owned(), it)).into()
        );
        assert_eq!(nodes.unserved(3, &applied(&[], 0)), [2]);
        let shut = Closed::ShutOut {
            url: "key".to_owned(),
        };
        assert_eq!(nodes.closed(2).unwrap(), [shut]);
        nodes.set_others(Vec::new());
        assert!(nodes.disagreeing().is_empty());
    }

    #[test]
    fn a_shard_that_nobody_serves_is_waited_for_only_if_somebody_did_a_moment_ago() {
        let mut nodes = nodes(&[("a", &[0], &[])]);
        assert!(nodes.may_serve(0) && nodes.may_serve(1), "it is new");
        let Some(begun) = nodes.begun.checked_sub(NEW) else {
            return;
        };
        nodes.begun = begun;
        nodes.set_others(Vec::new());
        assert!(nodes.may_serve(0) && !nodes.may_serve(1));
        let mut served = nodes.served.lock();
        let at = served.get_mut(&0).unwrap();
        *at = at.checked_sub(LEASE).unwrap();
        drop(served);
        assert!(!nodes.may_serve(0));
    }

    #[test]
    fn who_has_not_answered_is_asked_last() {
        let nodes = nodes(&[("a", &[0], &[])]);
        nodes.has_failed("own");
        assert_eq!(nodes.serving(0, Some(&open())), ["a", "own"]);
    }

    #[test]
    fn who_is_there_who_is_behind_and_what_nobody_serves_is_known() {
        let nodes = nodes(&[("a", &[0, 1], &[])]);
        let own = applied(&[0, 2], 3 << 16);
        assert!(!nodes.is_gone("own") && !nodes.is_gone("a") && nodes.is_gone("b"));
        let unserved = |count| nodes.unserved(count, &own);
        assert_eq!((unserved(3), unserved(5)), (vec![], vec![3, 4]));
        assert_eq!(nodes.behind(&own), 2);
        assert!(!nodes.is_alive("a"));
        nodes.has_answered("a");
        assert!(nodes.is_alive("a"));
    }

    #[tokio::test]
    async fn what_is_not_seen_is_waited_for_until_it_was_looked_once_more() {
        let nodes = nodes(&[]);
        let own = nodes.own(BTreeMap::new());
        let (served, long) = (|| nodes.serves(1), Duration::from_secs(60));
        let began = Instant::now();
        let mut seen = std::pin::pin!(nodes.seen(served, long));
        assert!(seen.as_mut().now_or_never().is_none());
        // One that had begun before says nothing.
        nodes.has_looked(began, Ok(()), &own);
        assert!(seen.as_mut().now_or_never().is_none());
        nodes.has_looked(Instant::now(), Ok(()), &own);
        seen.await;
        let mut seen = std::pin::pin!(nodes.seen(served, long));
        assert!(seen.as_mut().now_or_never().is_none());
        let mut other = own.clone();
        other.shards = applied(&[1], 7);
        nodes.set_others(vec![other]);
        nodes.has_looked(began, Ok(()), &own);
        seen.await;
        nodes.seen(served, long).await;
        nodes.seen(|| false, Duration::from_millis(20)).await;
    }

    #[test]
    fn who_looks_who_is_there_and_who_asks_do_not_wait_for_each_other() {
        let nodes = std::sync::Arc::new(nodes(&[("a", &[0], &[])]));
        let (done, ended) = std::sync::mpsc::channel();
        for asks in [true, false, true] {
            let (nodes, done) = (std::sync::Arc::clone(&nodes), done.clone());
            std::thread::spawn(move || {
                for _ in 0..20_000 {
                    if asks {
                        nodes.unserved(3, &BTreeMap::new());
                        nodes.closed(0);
                    } else {
                        nodes.set_others(Vec::new());
                    }
                }
                done.send(()).unwrap();
            });
        }
        for _ in 0..3 {
            ended.recv_timeout(Duration::from_secs(60)).unwrap();
        }
    }
}
