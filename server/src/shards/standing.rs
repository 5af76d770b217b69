//! How the shards of this node stand, as it tells others and operators, and how all stand as it sees them.
//!
//! What is open here counts from that moment on; what others serve is known from their leases, after the first look.

use std::time::{Duration, Instant};

use jetstream::Leases;

use super::Shards;
use super::nodes::{Closed, LEASE, Node, Stands};
use crate::app::App;
use crate::refusal::Refusal;
use crate::shared_log;

/// How often a node says that it is there, and looks who else is.
const RENEWED: Duration = Duration::from_secs(1);
/// How long a request waits for the next look, where a shard is served by nobody as far as was seen.
const NOT_SEEN: Duration = Duration::from_secs(2);
/// Characters of why a shard takes no writes.
const TOLD: usize = 400;

impl Shards {
    /// Where a shard is asked, in this order.
    pub(super) fn serving(&self, shard: u32) -> Vec<String> {
        self.nodes.serving(shard, self.own(shard).as_ref())
    }

    /// Where nobody serves one of these shards as far as was seen, waits for the next look: who serves it may have said so
    /// since. Not where one is served by nobody for longer: that is told at once.
    pub(super) async fn wait_served(&self, shards: impl Iterator<Item = u32>) {
        let shards: Vec<u32> = shards.collect();
        let open = |shard: &u32| {
            self.served
                .get(shard)
                .is_some_and(|it| it.engine().is_some())
        };
        let served = || shards.iter().all(|it| open(it) || self.nodes.serves(*it));
        let may_be = |it: &u32| open(it) || self.nodes.serves(*it) || self.nodes.may_serve(*it);
        if !served() && shards.iter().all(may_be) {
            self.nodes.seen(served, NOT_SEEN).await;
        }
    }

    /// How a shard stands here, if it is open here.
    fn own(&self, shard: u32) -> Option<Stands> {
        let engine = self.served.get(&shard)?.engine()?;
        Some(Stands {
            applied: engine.applied_lsn(),
            stopped: engine.stopped().map(|why| as_told(&why.to_string())),
        })
    }

    /// What this node says of itself now.
    fn said(&self) -> Node {
        let stands = |shard: &u32| Some((*shard, self.own(*shard)?));
        self.nodes
            .own(self.served.keys().filter_map(stands).collect())
    }

    /// Why nobody takes writes of a shard, if that is so.
    pub(super) fn closed(&self, shard: u32) -> Option<String> {
        let closed = self.nodes.closed(shard)?;
        let mut why: Vec<String> = closed.iter().map(Closed::to_string).collect();
        if let Some(served) = self.served.get(&shard) {
            let here = match self.own(shard) {
                Some(stands) => format!("it takes no writes here: {}", stands.stopped?),
                None => format!("it is not served here: {}", served.recovery().text()),
            };
            why.insert(0, here);
        }
        Some(match why.is_empty() {
            true => format!("shard {shard} is served by no node that is there"),
            false => format!("shard {shard}: {}", why.join("; ")),
        })
    }

    /// What of all shards is not as it should be, though this node answers; in words.
    ///
    /// # Errors
    /// One that this node is to serve is still being opened, or it has not looked yet who else is there.
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
                    let status = engine.status();
                    let stopped = status.read_only.map(|why| why.to_string());
                    let stopped = stopped.or(status.log_waits);
                    short.extend(
                        stopped.map(|why| format!("shard {shard} takes no writes here: {why}")),
                    );
                    short.extend(own.purged().map(|why| format!("shard {shard}: {why}")));
                }
            }
        }
        match self.nodes.looked() {
            None => {
                return Err(Refusal::busy(
                    "starting: it looks which other nodes are there",
                ));
            }
            Some((Err(why), _)) => short.push(format!("other nodes are not seen: {why}")),
            Some((Ok(()), said)) => {
                // Others may ask for it from then on.
                if let Some((shard, _)) = self.open().find(|(shard, _)| !said.contains(shard)) {
                    return Err(Refusal::busy(format!(
                        "starting: shard {shard} is open, and other nodes are not told of it yet"
                    )));
                }
            }
        }
        for (node, differing) in self.nodes.disagreeing() {
            let differing = differing.join(" and ");
            short.push(format!(
                "{node} has another {differing}, which must be the same on all nodes"
            ));
        }
        let elsewhere = (0..self.settings.count).filter(|shard| !self.served.contains_key(shard));
        for shard in elsewhere {
            let closed = self.nodes.closed(shard).unwrap_or_default().into_iter();
            // Who has another key is named already.
            let closed = closed.filter(|why| !matches!(why, Closed::ShutOut { .. }));
            short.extend(closed.map(|why| format!("shard {shard}: {why}")));
        }
        let unserved = self
            .nodes
            .unserved(self.settings.count, &self.said().shards);
        short.extend(
            unserved
                .into_iter()
                .map(|shard| format!("shard {shard} is served by no node that is seen here")),
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
            let (began, own) = (Instant::now(), self.said());
            let told = self.tell(&mut leases, &settings, (&name, &own));
            let seen = told.as_ref().map_err(ToString::to_string);
            self.nodes.has_looked(began, seen.copied(), &own);
            match told {
                Ok(()) => {
                    let own = self.said().shards;
                    let unserved = self.nodes.unserved(self.settings.count, &own).len();
                    let disagreeing = self.nodes.disagreeing().len();
                    let behind = self.nodes.behind(&own);
                    app.metrics.shards_seen(unserved, behind, disagreeing);
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

/// As much of a sentence as others are told.
fn as_told(why: &str) -> String {
    why.chars().take(TOLD).collect()
}
