//! One shard's answer, from whichever of the nodes that serve it gives one; and the answers of several
//! shards at once.
//!
//! A read goes to another node when one does not answer, fails, or takes long: the first answer counts.
//! A write goes to another only when the first has certainly not begun it, because a write that is done
//! twice may undo what another client has written in between.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::sleep;

use super::Shards;
use super::heard::Heard;
use super::peer::{Call, Lost, Said};
use crate::refusal::Refusal;

/// After which another node is asked too, if there is one.
const LATE: Duration = Duration::from_millis(500);
/// Characters of another node's sentence that are told.
const TOLD: usize = 400;

/// What is asked of a shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Read,
    Write,
}

/// A shard's answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) shard: u32,
    /// How far the shard's log was known.
    pub(super) lsn: Option<u64>,
    /// What stands in its frame.
    pub(super) result: Value,
}

/// What several shards have said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) told: Vec<Told>,
    /// Those that gave no answer, and why.
    pub(super) missing: Vec<(u32, Refusal)>,
}

impl Shards {
    /// Asks each of these shards. What is wrong with the request itself is told as the first has told it.
    pub(super) async fn ask_all(
        &self,
        calls: Vec<(u32, Call)>,
        kind: Kind,
    ) -> Result<Answers, Refusal> {
        let asked = calls
            .into_iter()
            .map(|(shard, call)| async move { (shard, self.ask(shard, call, kind).await) });
        let mut answers = Answers::default();
        let mut wrong = None;
        for (shard, answer) in join_all(asked).await {
            match answer {
                Ok(told) => answers.told.push(told),
                Err(refusal) if refusal.status().is_server_error() => {
                    answers.missing.push((shard, refusal));
                }
                Err(refusal) => wrong = wrong.or(Some(refusal)),
            }
        }
        match (wrong, kind, answers.told.is_empty()) {
            (None, _, _) => Ok(answers),
            (Some(refusal), Kind::Write, false) => Err(refusal.at(&format!(
                "{} done, the others not",
                shards(answers.told.iter().map(|it| it.shard))
            ))),
            (Some(refusal), _, _) => Err(refusal),
        }
    }

    /// Asks a shard.
    pub(super) async fn ask(&self, shard: u32, call: Call, kind: Kind) -> Result<Told, Refusal> {
        let path = format!("/shards/{shard}{}", call.path);
        let call = Arc::new(Call { path, ..call });
        let urls = self.nodes.serving(shard);
        if urls.is_empty() {
            return Err(Refusal::busy(format!(
                "shard {shard} is served by no node that is there"
            )));
        }
        let said = match kind {
            Kind::Read => self.read(urls, call).await,
            Kind::Write => self.write(urls, call).await,
        };
        let said =
            said.map_err(|why| Refusal::busy(format!("shard {shard} cannot be asked: {why}")))?;
        told(shard, said)
    }

    /// The first answer that is one; else why there is none.
    async fn read(&self, urls: Vec<String>, call: Arc<Call>) -> Result<Said, String> {
        let mut asked = FuturesUnordered::new();
        let mut why = "nobody serves it".to_owned();
        let mut urls = urls.into_iter();
        let mut last = String::new();
        loop {
            if let Some(url) = urls.next() {
                last.clone_from(&url);
                asked.push(self.ask_node(url, &call));
            }
            let (url, answer) = tokio::select! {
                answer = asked.next() => match answer {
                    Some(answer) => answer,
                    None => return Err(why),
                },
                () = sleep(LATE), if urls.len() > 0 => {
                    self.nodes.has_failed(&last);
                    continue;
                }
            };
            let failed = match answer {
                Ok(said) => match failure(&said) {
                    None => return Ok(said),
                    Some(failed) => failed,
                },
                Err(lost) => lost.why(),
            };
            self.nodes.has_failed(&url);
            why = format!("{url}: {failed}");
        }
    }

    /// The answer of the first node that could be asked.
    async fn write(&self, urls: Vec<String>, call: Arc<Call>) -> Result<Said, String> {
        let mut why = "nobody serves it".to_owned();
        for url in urls {
            let (url, answer) = self.ask_node(url, &call).await;
            match answer {
                Ok(said) => match failure(&said).filter(|_| is_not_begun(said.status)) {
                    None => return Ok(said),
                    Some(failed) => why = format!("{url}: {failed}"),
                },
                Err(Lost::NotSent(lost)) => why = format!("{url}: {lost}"),
                Err(Lost::Unknown(lost)) => {
                    self.nodes.has_failed(&url);
                    return Err(format!("{url}: {lost}; the write may come to be, or not"));
                }
            }
            self.nodes.has_failed(&url);
        }
        Err(why)
    }

    async fn ask_node(&self, url: String, call: &Arc<Call>) -> (String, Result<Said, Lost>) {
        let answer = self.peers.ask(&url, Arc::clone(call)).await;
        (url, answer)
    }
}

impl Answers {
    /// What they have said, and what a client is told beside it.
    pub(super) fn apart(self) -> (Vec<Told>, Heard) {
        let told = self.told.iter();
        let heard = Heard {
            lsns: told.filter_map(|it| Some((it.shard, it.lsn?))).collect(),
            missing: self.missing.into_iter().map(|(shard, _)| shard).collect(),
        };
        (self.told, heard)
    }

    /// All of them; where some are missing, the refusal of the first, led by which.
    pub(super) fn whole(mut self) -> Result<Self, Refusal> {
        if self.missing.is_empty() {
            return Ok(self);
        }
        let missing = shards(self.missing.iter().map(|(shard, _)| *shard));
        let (_, first) = self.missing.swap_remove(0);
        Err(first.at(&format!("{missing} missing")))
    }

    /// Of a write: what was done where others could not be asked is told.
    pub(super) fn written(self) -> Result<Self, Refusal> {
        let done = shards(self.told.iter().map(|it| it.shard));
        let some = !self.told.is_empty();
        self.whole().map_err(|refusal| match some {
            true => refusal.at(&format!("{done} done")),
            false => refusal,
        })
    }
}

/// "shard 1", "shards 0, 2".
pub(super) fn shards(all: impl Iterator<Item = u32>) -> String {
    let all: Vec<String> = all.map(|shard| shard.to_string()).collect();
    match all.len() {
        1 => format!("shard {}", all[0]),
        _ => format!("shards {}", all.join(", ")),
    }
}

/// Why another node may answer where this one did not: it is not ready, breaks down, does not know the key,
/// or has no such part yet.
fn failure(said: &Said) -> Option<String> {
    match said.status {
        401 | 403 => Some("it refuses this node's nats.node_key".to_owned()),
        404 => Some("it has no part of this collection yet".to_owned()),
        status if status >= 500 => Some(sentence(said)),
        _ => None,
    }
}

/// Whether a node that answers so has certainly not begun a write. With 507 it may have: its disk can be
/// full when the record is durable.
fn is_not_begun(status: u16) -> bool {
    matches!(status, 401 | 403 | 404)
}

fn sentence(said: &Said) -> String {
    let told = said.body["status"]["error"].as_str();
    let told = told.or(said.body.as_str()).unwrap_or("no reason is given");
    told.chars().take(TOLD).collect()
}

fn told(shard: u32, mut said: Said) -> Result<Told, Refusal> {
    if said.status != 200 {
        let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::BAD_GATEWAY);
        return Err(Refusal::of_another(status, sentence(&said)));
    }
    match said.body.get_mut("result") {
        Some(result) => Ok(Told {
            shard,
            lsn: said.lsn,
            result: result.take(),
        }),
        None => Err(Refusal::internal(format!(
            "shard {shard} has answered without a result"
        ))),
    }
}
