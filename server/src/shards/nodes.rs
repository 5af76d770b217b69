//! Which node serves which shard. Each says in a bucket beside the log what it serves and where it is
//! reached, and says so again every second; who does not is gone some seconds later. While the bucket
//! cannot be read, what it had last is what is known. Who does not answer is asked after the others for a
//! while, without waiting for its lease to end.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jetstream::Leases;
use parking_lot::{Mutex, RwLock};
use serde::{Deserialize, Serialize};

use super::Shards;
use crate::app::App;
use crate::shared_log;

/// How long a node is known that says nothing.
const LEASE: Duration = Duration::from_secs(5);
/// How often it says that it is there, and looks who else is.
const RENEWED: Duration = Duration::from_secs(1);
/// How long one that has not answered is asked after the others: until it is gone, if it hangs.
const AVOIDED: Duration = Duration::from_secs(5);

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Node {
    /// Where it is reached.
    pub(super) url: String,
    /// What it serves.
    pub(super) shards: Vec<u32>,
}

/// All that are known.
pub(super) struct Nodes {
    own: RwLock<Node>,
    others: RwLock<Arc<Vec<Node>>>,
    turn: AtomicUsize,
    failed: Mutex<HashMap<String, Instant>>,
}

impl Nodes {
    pub(super) fn new(url: String) -> Self {
        Self {
            own: RwLock::new(Node {
                url,
                shards: Vec::new(),
            }),
            others: RwLock::default(),
            turn: AtomicUsize::new(0),
            failed: Mutex::default(),
        }
    }

    /// Where a shard is served, in the order in which they are to be asked: here, then elsewhere by turns,
    /// and last where there was no answer a moment ago.
    pub(super) fn serving(&self, shard: u32) -> Vec<String> {
        let serves = |node: &&Node| node.shards.contains(&shard);
        let others = Arc::clone(&self.others.read());
        let others = others.iter().filter(serves).map(|node| node.url.clone());
        let mut urls: Vec<String> = others.collect();
        if !urls.is_empty() {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed) % urls.len();
            urls.rotate_left(turn);
        }
        let own = self.own.read();
        if own.shards.contains(&shard) {
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

    fn set_own(&self, shards: Vec<u32>) -> Node {
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
            let own = self
                .nodes
                .set_own(self.open().map(|(shard, _)| shard).collect());
            let told = self.tell(&mut leases, &settings, (&name, &own));
            if let Err(error) = told {
                tracing::warn!(%error, "other nodes are not seen");
                leases = None;
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
        nodes.set_own(own.to_vec());
        let others = others.iter().map(|(url, shards)| Node {
            url: (*url).to_owned(),
            shards: shards.to_vec(),
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
}
