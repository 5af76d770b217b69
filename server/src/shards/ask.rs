//! One shard's answer, from whichever of the nodes that serve it gives one; and the answers of several
//! shards at once.
//!
//! A read goes to another node when one does not answer, fails, or takes long: the first answer counts. Who takes
//! long is asked whether it is there, and is waited for only if it says so.
//! A write goes to another only when the first has certainly not begun it, because a write that is done
//! twice may undo what another client has written in between. So who has said nothing for a moment is asked
//! first whether it is there, and a write is waited for only as long as its node is.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use engine::PointId;
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use serde_json::Value;
use tokio::time::sleep;

use super::Shards;
use super::heard::Heard;
use super::peer::{Call, Kind, Lost, Room, Said};
use super::split::Ids;
use crate::refusal::Refusal;

/// After which another node is asked too, if there is one; and how often it is looked whether those that were asked
/// are still there.
const LATE: Duration = Duration::from_millis(500);
/// In so many looks on end the node of a write must be gone before the write is: on a busy machine one may say
/// late that it is there.
const GONE: u32 = 10;
/// Characters of another node's sentence that are told.
const TOLD: usize = 400;
/// What is told of a write that may be done.
const AGAIN: &str = "send it again: what is done already is the same then";
/// Points that are named to whoever may have changed them or not.
const NAMED: usize = 10;

/// A shard's answer.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) shard: u32,
    /// How far the shard's log was known.
    pub(super) lsn: Option<u64>,
    /// What stands in its frame.
    pub(super) result: Value,
    /// What that takes of memory.
    pub(super) room: Room,
}

/// A shard that has refused, or given no answer.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) shard: u32,
    refusal: Refusal,
    /// Of a write: it may have come to be, or may yet.
    begun: bool,
}

/// What several shards have said.
#[derive(Debug, Default)]
pub(super) struct Answers {
    pub(super) told: Vec<Told>,
    pub(super) failed: Vec<Failed>,
}

impl Shards {
    /// Asks each of these shards.
    pub(super) async fn ask_all(&self, calls: Vec<(u32, Call)>, kind: Kind) -> Answers {
        let calls = calls.into_iter();
        let asked = calls.map(|(shard, call)| self.ask(shard, call, kind));
        let mut answers = Answers::default();
        for answer in join_all(asked).await {
            match answer {
                Ok(told) => answers.told.push(told),
                Err(failed) => answers.failed.push(failed),
            }
        }
        answers
    }

    /// Asks a shard.
    pub(super) async fn ask(&self, shard: u32, call: Call, kind: Kind) -> Result<Told, Failed> {
        let path = format!("/shards/{shard}{}", call.path);
        let call = Arc::new(Call { path, ..call });
        let urls = self.serving(shard);
        let failed = |refusal, begun| Failed {
            shard,
            refusal,
            begun,
        };
        if urls.is_empty() {
            let lonely = format!("shard {shard} is served by no node that is there");
            return Err(failed(Refusal::busy(lonely), false));
        }
        let said = match kind {
            Kind::Read => self.read(shard, urls, call).await,
            Kind::Write => self.write(shard, urls, call).await,
        };
        match said {
            Ok(said) => {
                let begun = said.status >= 500 && said.body["status"]["unwritten"] != true;
                told(shard, said).map_err(|refusal| failed(refusal, begun))
            }
            Err(Silent::Here(refusal)) => Err(failed(refusal, false)),
            Err(Silent::There(why)) => {
                let why = format!("shard {shard} cannot be asked: {why}");
                Err(failed(Refusal::busy(why), false))
            }
            Err(Silent::Begun(why)) => Err(failed(Refusal::busy(why), true)),
        }
    }

    /// The first answer that is one; else why there is none.
    async fn read(&self, shard: u32, urls: Vec<String>, call: Arc<Call>) -> Result<Said, Silent> {
        let mut asked = FuturesUnordered::new();
        let mut waiting = Vec::new();
        let mut why = "nobody serves it".to_owned();
        let mut urls = urls.into_iter();
        let mut here = None;
        loop {
            if let Some(url) = urls.next() {
                waiting.push(url.clone());
                asked.push(self.read_at(shard, url, &call));
            }
            let (url, answer) = tokio::select! {
                answer = asked.next() => match answer {
                    Some(answer) => answer,
                    None => return Err(here.map_or(Silent::There(why), Silent::Here)),
                },
                () = sleep(LATE) => {
                    if let Some(last) = waiting.last().filter(|_| urls.len() > 0) {
                        self.nodes.has_failed(last);
                    }
                    let late = waiting.iter().filter(|url| !self.nodes.is_alive(url));
                    late.for_each(|url| self.peers.look(url, shard));
                    continue;
                }
            };
            waiting.retain(|it| *it != url);
            let failed = match answer {
                Ok(said) => match failure(&said) {
                    None => return Ok(said),
                    Some(failed) => failed,
                },
                // Others that were asked may answer yet.
                Err(Lost::NoPlace(refusal) | Lost::NoRoom(refusal)) => {
                    here = Some(refusal);
                    continue;
                }
                Err(Lost::NotSent(why) | Lost::Unknown(why)) => why,
            };
            self.nodes.has_failed(&url);
            why = format!("{url}: {failed}");
        }
    }

    /// The answer of the first node that could be asked.
    async fn write(&self, shard: u32, urls: Vec<String>, call: Arc<Call>) -> Result<Said, Silent> {
        let mut why = "nobody serves it".to_owned();
        for url in urls {
            let answer = match self.is_there(shard, &url).await {
                Ok(()) => self.written(&url, &call).await,
                Err(lost) => Err(lost),
            };
            match answer {
                Ok(said) => match failure(&said).filter(|_| is_not_begun(said.status)) {
                    None => return Ok(said),
                    Some(failed) => why = format!("{url}: {failed}"),
                },
                Err(Lost::NoPlace(refusal)) => return Err(Silent::Here(refusal)),
                // It has answered, and nobody knows what.
                Err(Lost::NoRoom(refusal)) => return Err(Silent::Begun(refusal.to_string())),
                Err(Lost::NotSent(lost)) => why = format!("{url}: {lost}"),
                Err(Lost::Unknown(lost)) => {
                    self.nodes.has_failed(&url);
                    return Err(Silent::Begun(format!("{url}: {lost}")));
                }
            }
            self.nodes.has_failed(&url);
        }
        Err(Silent::There(why))
    }

    /// Whether a node answers at all, before it is given what cannot be taken back.
    async fn is_there(&self, shard: u32, url: &str) -> Result<(), Lost> {
        if self.nodes.is_alive(url) {
            return Ok(());
        }
        let call = Arc::new(Call::is_there(shard));
        // A place of a write, so that reads never stand before it.
        let (_, answer) = self.ask_node(url.to_owned(), &call, Kind::Write).await;
        match answer {
            Ok(_) => Ok(()),
            Err(Lost::Unknown(why)) => Err(Lost::NotSent(why)),
            Err(lost) => Err(lost),
        }
    }

    /// What a node says to a write, which is waited for as long as the node says that it is there.
    async fn written(&self, url: &str, call: &Arc<Call>) -> Result<Said, Lost> {
        let asked = self.ask_node(url.to_owned(), call, Kind::Write);
        tokio::pin!(asked);
        let mut gone = 0;
        loop {
            tokio::select! {
                (_, answer) = &mut asked => return answer,
                () = sleep(LATE) => self.nodes.has_failed(url),
            }
            gone = match self.nodes.is_gone(url) {
                true => gone + 1,
                false => 0,
            };
            if gone > GONE {
                let gone = "it has not answered, and has not said any more that it is there";
                return Err(Lost::Unknown(gone.to_owned()));
            }
        }
    }

    async fn read_at(
        &self,
        shard: u32,
        url: String,
        call: &Arc<Call>,
    ) -> (String, Result<Said, Lost>) {
        match self.found_here(shard, &url, call).await {
            Some(answer) => (url, answer),
            None => self.ask_node(url, call, Kind::Read).await,
        }
    }

    async fn ask_node(
        &self,
        url: String,
        call: &Arc<Call>,
        kind: Kind,
    ) -> (String, Result<Said, Lost>) {
        let answer = self.peers.ask(&url, Arc::clone(call), kind).await;
        if answer.is_ok() {
            self.nodes.has_answered(&url);
        }
        (url, answer)
    }
}

/// Why no node of a shard has answered.
enum Silent {
    /// There was no place for it on this node, or no memory for what was read.
    Here(Refusal),
    /// None could be asked.
    There(String),
    /// Of a write: one was asked, and has not said what became of it.
    Begun(String),
}

impl Answers {
    /// What they have said, and what a client is told beside it.
    pub(super) fn apart(self) -> (Vec<Told>, Heard) {
        let told = self.told.iter();
        let heard = Heard {
            lsns: told.filter_map(|it| Some((it.shard, it.lsn?))).collect(),
            missing: self.failed.iter().map(|it| it.shard).collect(),
            _rooms: self.told.iter().map(|it| it.room.clone()).collect(),
        };
        (self.told, heard)
    }

    /// Of a read: all of them, or what there is if a part is wanted too. What is wrong with the request
    /// itself is told as the first has told it.
    pub(super) fn read(mut self, takes_part: bool) -> Result<Self, Refusal> {
        if let Some(wrong) = self.failed.iter().position(Failed::is_wrong) {
            return Err(self.failed.swap_remove(wrong).refusal);
        }
        if self.failed.is_empty() || (takes_part && !self.told.is_empty()) {
            return Ok(self);
        }
        let missing = shards(self.failed.iter().map(|it| it.shard));
        let first = self.failed.swap_remove(0).refusal;
        Err(first.at(&format!("{missing} missing")))
    }

    /// Of a write of these points: where not all have done it, what has become of it in each.
    pub(super) fn written(mut self, ids: &Ids) -> Result<Self, Refusal> {
        if self.failed.is_empty() {
            return Ok(self);
        }
        let leads = self.failed.iter().position(Failed::is_wrong).unwrap_or(0);
        let mut told = Vec::new();
        if !self.told.is_empty() {
            let done = shards(self.told.iter().map(|it| it.shard));
            told.push(format!("{done} done"));
        }
        told.extend(self.failed.iter().map(|it| it.told(ids)));
        if self.failed.iter().any(|it| it.begun) {
            told.push(AGAIN.to_owned());
        }
        let nothing = self.told.is_empty() && self.failed.iter().all(Failed::is_wrong);
        let refusal = self.failed.swap_remove(leads).refusal;
        match nothing {
            true => Err(refusal),
            false => Err(refusal.instead(told.join("; "))),
        }
    }
}

impl Failed {
    /// Whether the request itself is.
    fn is_wrong(&self) -> bool {
        !self.refusal.status().is_server_error()
    }

    fn told(&self, ids: &Ids) -> String {
        let (shard, refusal) = (self.shard, &self.refusal);
        match (self.begun, ids.get(&shard)) {
            (false, _) => format!("shard {shard} not done: {refusal}"),
            (true, None) => format!("shard {shard} may be done, or not: {refusal}"),
            (true, Some(ids)) => {
                let points = points(ids);
                format!("shard {shard} may be done, or not ({points}): {refusal}")
            }
        }
    }
}

/// "points 3, 7 and 2 more".
fn points(ids: &[PointId]) -> String {
    let named: Vec<String> = ids.iter().take(NAMED).map(PointId::to_string).collect();
    let named = named.join(", ");
    match ids.len().saturating_sub(NAMED) {
        0 => format!("points {named}"),
        more => format!("points {named} and {more} more"),
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
        421 => Some("it has no part of this collection yet".to_owned()),
        status if status >= 500 => Some(sentence(said)),
        _ => None,
    }
}

/// Whether a node that answers so has certainly not begun a write. With 507 it may have: its disk can be
/// full when the record is durable.
fn is_not_begun(status: u16) -> bool {
    matches!(status, 401 | 403 | 421)
}

fn sentence(said: &Said) -> String {
    let told = said.body["status"]["error"].as_str();
    let told = told.or(said.body.as_str()).unwrap_or("no reason is given");
    told.chars().take(TOLD).collect()
}

fn told(shard: u32, mut said: Said) -> Result<Told, Refusal> {
    if said.status != 200 {
        let status = StatusCode::from_u16(said.status).unwrap_or(StatusCode::BAD_GATEWAY);
        let short_of = said.body["status"]["short_of"].as_str();
        return Err(Refusal::of_another(status, sentence(&said), short_of));
    }
    match said.body.get_mut("result") {
        Some(result) => Ok(Told {
            shard,
            lsn: said.lsn,
            result: result.take(),
            room: said.room,
        }),
        None => Err(Refusal::internal(format!(
            "shard {shard} has answered without a result"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn done(shard: u32) -> Told {
        Told {
            shard,
            lsn: None,
            result: Value::Null,
            room: None,
        }
    }

    fn failed(shard: u32, refusal: Refusal, begun: bool) -> Failed {
        Failed {
            shard,
            refusal,
            begun,
        }
    }

    #[test]
    fn of_a_write_it_is_told_what_has_become_of_it_in_each_shard() {
        let unknown = || Refusal::not_found("point 7 does not exist");
        let answers = Answers {
            told: vec![done(0), done(3)],
            failed: vec![
                failed(1, Refusal::busy("it hangs"), true),
                failed(2, unknown(), false),
                failed(4, Refusal::busy("nobody serves it"), false),
            ],
        };
        let ids = |count: u64| Ids::from([(1, (5..5 + count).map(PointId::Num).collect())]);
        let refusal = answers.written(&ids(2)).unwrap_err();
        assert_eq!((refusal.status().as_u16(), refusal.is_busy()), (404, false));
        assert_eq!(
            refusal.message(),
            "shards 0, 3 done; shard 1 may be done, or not (points 5, 6): it hangs; shard 2 not done: point \
             7 does not exist; shard 4 not done: nobody serves it; send it again: what is done already is the \
             same then"
        );
        // One of which nothing is known is nothing that was not done.
        let answers = Answers {
            told: Vec::new(),
            failed: vec![failed(1, Refusal::busy("it hangs"), true)],
        };
        let refusal = answers.written(&ids(12)).unwrap_err();
        assert_eq!((refusal.status().as_u16(), refusal.is_busy()), (503, true));
        assert_eq!(
            refusal.message(),
            "shard 1 may be done, or not (points 5, 6, 7, 8, 9, 10, 11, 12, 13, 14 and 2 more): it hangs; send \
             it again: what is done already is the same then"
        );
        // Where nothing was done and nothing may be, it is told as a whole collection tells it.
        let answers = Answers {
            told: Vec::new(),
            failed: vec![failed(1, unknown(), false), failed(2, unknown(), false)],
        };
        assert_eq!(
            answers.written(&Ids::new()).unwrap_err().message(),
            unknown().message()
        );
    }

    #[test]
    fn a_read_is_whole_unless_a_part_is_wanted_and_what_is_wrong_is_wrong_for_all() {
        let answers = |failed| Answers {
            told: vec![done(0)],
            failed,
        };
        let missing = || vec![failed(2, Refusal::busy("gone"), false)];
        let told = answers(missing()).read(false).unwrap_err();
        assert_eq!(told.message(), "shard 2 missing: gone");
        assert_eq!(answers(missing()).read(true).unwrap().failed.len(), 1);
        let wrong = vec![failed(1, Refusal::wrong("no such vector"), false)];
        assert_eq!(answers(wrong).read(true).unwrap_err().status(), 400);
        let nothing = Answers {
            failed: missing(),
            ..Answers::default()
        };
        assert!(nothing.read(true).is_err());
    }
}
