//! The reads that go on at each node. They are only so many, so that a node which answers nobody does not
//! take the places of others, and end together where it hangs.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::OwnedSemaphorePermit;
use ureq::Agent;
use ureq::config::Config;

use super::peer::THERE;
use super::resolve;
use crate::gate::Gate;

/// How long a node is remembered that nobody reads from.
const FORGOTTEN: Duration = Duration::from_secs(60);

/// Who reads, by the address of the node.
pub(super) struct Readers {
    settings: Config,
    /// Reads at one node at once.
    places: usize,
    nodes: Mutex<HashMap<String, Known>>,
    /// Those that did not say that they are there when they were last asked.
    hanging: Mutex<HashSet<String>>,
}

struct Known {
    reader: Reader,
    used: Instant,
    /// When it was last asked whether it is there.
    looked: Option<Instant>,
}

/// The way to one node, until it hangs.
#[derive(Clone)]
pub(super) struct Reader {
    agent: Agent,
    places: Gate,
    ended: Arc<AtomicBool>,
}

impl Readers {
    /// `places`: reads at one node at once.
    pub(super) fn new(settings: Config, places: usize) -> Self {
        Self {
            settings,
            places,
            nodes: Mutex::default(),
            hanging: Mutex::default(),
        }
    }

    /// Notes whether a node hangs; says whether that was not known.
    pub(super) fn is_news(&self, url: &str, hangs: bool) -> bool {
        let mut hanging = self.hanging.lock();
        match hangs {
            true => hanging.insert(url.to_owned()),
            false => hanging.remove(url),
        }
    }

    /// Who reads at this node: another than before, once the one before was ended.
    pub(super) fn of(&self, url: &str) -> Reader {
        let mut nodes = self.nodes.lock();
        if let Some(known) = nodes.get_mut(url).filter(|it| !it.reader.has_ended()) {
            known.used = Instant::now();
            return known.reader.clone();
        }
        nodes.retain(|_, it| it.used.elapsed() < FORGOTTEN);
        let reader = Reader {
            agent: resolve::agent(self.settings.clone()),
            places: Gate::new("reads at a node", self.places),
            ended: Arc::default(),
        };
        let known = Known {
            reader: reader.clone(),
            used: Instant::now(),
            looked: None,
        };
        nodes.insert(url.to_owned(), known);
        reader
    }

    /// Whose node is to be asked whether it is there, if it was not a moment ago.
    pub(super) fn to_be_looked_at(&self, url: &str) -> Option<Reader> {
        let mut nodes = self.nodes.lock();
        let known = nodes.get_mut(url)?;
        if known.looked.is_some_and(|at| at.elapsed() < THERE) {
            return None;
        }
        known.looked = Some(Instant::now());
        Some(known.reader.clone())
    }
}

impl Reader {
    /// A place; else why there is none.
    pub(super) fn enter(&self) -> Result<OwnedSemaphorePermit, String> {
        let full = |_| "as many reads as may be wait for it already".to_owned();
        self.places.enter().map_err(full)
    }

    pub(super) fn agent(&self) -> &Agent {
        &self.agent
    }

    /// All that it reads ends now, without an answer.
    pub(super) fn end(self) {
        self.ended.store(true, Ordering::Relaxed);
        self.agent.shutdown();
    }

    pub(super) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}
