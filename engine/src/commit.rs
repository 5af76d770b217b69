//! The committer: one thread that makes the records of all waiting writers durable together.
//!
//! Whatever has queued while the last sync ran becomes one frame of the log and shares one sync
//! (group commit). A record goes on to the applier only after that sync has returned. A failed
//! append latches the engine read-only: nothing is written after it until a restart.
//!
//! Where other nodes write to the same log, their records go on to the applier between its own, in the
//! order of the log, and a write of this node that one of them overtakes (see `decide`) is given back.
//! A log that cannot be reached, or takes nothing now, latches nothing: what has become of a group shows when it can be
//! reached again.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use storage::{CollectionId, Log, Lsn, RECORD_HEAD, Record};

use crate::checkpoint::FrozenState;
use crate::decide::{Basis, Others};
use crate::error::Error;
use crate::limits::{FOLLOW_EVERY, FOLLOW_PATIENCE, FOLLOW_TRIES, GROUP_BYTES, OVERTAKEN_TRIES};
use crate::options::Event;
use crate::point::{Ack, Written};
use crate::shared::Shared;
use crate::sync::{Receiver, RecvTimeoutError, Sender};
use crate::view::View;

pub(crate) type Reply = Sender<Result<Written, Error>>;

/// A decided fact on its way into the log.
pub(crate) struct Proposal {
    pub(crate) basis: Basis,
    pub(crate) record: Record,
    pub(crate) bytes: Vec<u8>,
    pub(crate) ack: Ack,
    pub(crate) reply: Reply,
}

/// A durable record on its way to the followers.
pub(crate) struct Committed {
    pub(crate) lsn: Lsn,
    pub(crate) record: Record,
    pub(crate) bytes: u64,
    /// Who still waits for it to be applied.
    pub(crate) reply: Option<Reply>,
}

/// What the applier is given to do, in order.
pub(crate) enum Work {
    /// Apply these.
    Group(Vec<Committed>),
    /// Say how everything stands between two groups.
    Freeze(Sender<FrozenState>),
    /// The same, and watch the tables from now on, of one collection or of all.
    View(Option<CollectionId>, Sender<View>),
    /// Have something stand in for the tables, which have failed.
    StandIn(Sender<Result<(), Error>>),
    /// Do this between two groups.
    Alone(Box<dyn FnOnce(&Shared) + Send>),
}

/// Runs until every sender of proposals is gone.
pub(crate) fn run(shared: &Arc<Shared>, proposals: &Receiver<Proposal>, work: &Sender<Work>) {
    let mut committer = Committer {
        shared,
        work,
        others: Others::default(),
    };
    // One that did not go into the group before.
    let mut held = None;
    while let Some(next) = held
        .take()
        .map_or_else(|| next(shared, proposals), |it| Some(Some(it)))
    {
        if let Err(error) = committer.follow(Duration::ZERO) {
            committer.stop_unless_apart(&error);
        }
        if let Some(first) = next {
            if let Err(error) = committer.follow_group() {
                committer.stop_unless_apart(&error);
            }
            let most = committer.with_log(|log| log.piece_bytes()).min(GROUP_BYTES);
            let (group, rest) = gather(first, proposals, most);
            held = rest;
            committer.commit(group);
        }
    }
}

/// The next proposal; none if it is time to look what other nodes have appended. `None` at the end.
fn next(shared: &Shared, proposals: &Receiver<Proposal>) -> Option<Option<Proposal>> {
    if !shared.log_is_shared {
        return proposals.recv().ok().map(Some);
    }
    match proposals.recv_timeout(FOLLOW_EVERY) {
        Ok(proposal) => Some(Some(proposal)),
        Err(RecvTimeoutError::Timeout) => Some(None),
        Err(RecvTimeoutError::Disconnected) => None,
    }
}

/// What waits, up to so many bytes together, of which the log makes one piece; and the one that would have
/// been too much. A piece is there or not; what comes in several begins anew with each that others put
/// between them.
fn gather(
    first: Proposal,
    proposals: &Receiver<Proposal>,
    most: usize,
) -> (Vec<Proposal>, Option<Proposal>) {
    let mut bytes = first.bytes.len() + RECORD_HEAD;
    let mut group = vec![first];
    while bytes < most {
        let Ok(next) = proposals.try_recv() else {
            break;
        };
        bytes += next.bytes.len() + RECORD_HEAD;
        if bytes > most {
            return (group, Some(next));
        }
        group.push(next);
    }
    (group, None)
}

struct Committer<'a> {
    shared: &'a Shared,
    work: &'a Sender<Work>,
    others: Others,
}

impl Committer<'_> {
    /// Hands on what other nodes have appended, if anything comes in time, and says whether it did.
    fn follow(&mut self, wait: Duration) -> Result<bool, Error> {
        let shared = self.shared;
        if !shared.log_is_shared || shared.read_only().is_some() {
            return Ok(false);
        }
        let followed = self.with_log(|log| log.follow(wait))?;
        let mut group = Vec::with_capacity(followed.len());
        let mut unread = None;
        for (lsn, encoded) in followed {
            let record = match Record::decode(&encoded) {
                Ok(record) => record,
                Err(error) => {
                    unread = Some(of_the_log(lsn, error));
                    break;
                }
            };
            self.others.note(lsn, &record);
            let bytes = encoded.len() as u64;
            shared
                .progress
                .queued_bytes
                .fetch_add(bytes, Ordering::Relaxed);
            group.push(Committed {
                lsn,
                record,
                bytes,
                reply: None,
            });
        }
        let followed = group.last().map(|last| last.lsn);
        if let Some(last) = followed {
            self.durable(last);
            self.hand_on(group);
        }
        unread.map_or(Ok(followed.is_some()), |error| Err(error.into()))
    }

    /// Waits for what others have appended first, all of it.
    fn catch_up(&mut self) -> Result<(), Error> {
        let before = self.with_log(|log| log.seen());
        for _ in 0..FOLLOW_TRIES {
            // What was first may have been no record: the beginning of a group that came to nothing.
            if self.follow(FOLLOW_PATIENCE)? || self.with_log(|log| log.seen()) > before {
                return self.follow_group();
            }
        }
        let what = "what other nodes have written to the log does not arrive";
        Err(Error::Unreachable(what.into()))
    }

    /// Waits for the rest of a group that others have begun: what came between would have it begin anew. One
    /// that does not go on comes to nothing.
    fn follow_group(&mut self) -> Result<(), Error> {
        while self.with_log(|log| log.is_within_group()) {
            let before = self.with_log(|log| log.seen());
            self.follow(FOLLOW_PATIENCE)?;
            if self.with_log(|log| log.seen()) == before {
                return Ok(());
            }
        }
        Ok(())
    }

    /// What could not be followed is known to the log and not to the applier: nothing may come after it.
    fn stop_unless_apart(&self, error: &Error) {
        if !matches!(error, Error::Unreachable(_)) {
            self.shared.latch_log(error.to_string());
        }
    }

    fn durable(&self, last: Lsn) {
        let durable = &self.shared.progress.durable;
        durable.store(last.0, Ordering::Release);
    }

    /// Gives to the applier what is durable.
    fn hand_on(&self, group: Vec<Committed>) {
        let progress = &self.shared.progress;
        let bytes = group.iter().map(|committed| committed.bytes).sum();
        progress.appended_bytes.fetch_add(bytes, Ordering::Relaxed);
        let is_change = |it: &&Committed| !matches!(it.record, Record::Mark);
        if let Some(last) = group.iter().rev().find(is_change) {
            progress.changed.store(last.lsn.0, Ordering::Release);
        }
        if self.work.send(Work::Group(group)).is_err() {
            self.shared.latch("the applier has ended");
        }
    }

    fn commit(&mut self, mut group: Vec<Proposal>) {
        for _ in 0..OVERTAKEN_TRIES {
            group = self.give_back_overtaken(group);
            if group.is_empty() {
                return;
            }
            let started = Instant::now();
            let frames: Vec<_> = group
                .iter_mut()
                .map(|it| std::mem::take(&mut it.bytes))
                .collect();
            let error = match self.append(&frames) {
                Ok(lsns) => return self.committed(group, &frames, lsns, started),
                Err(error) => error,
            };
            for (proposal, bytes) in group.iter_mut().zip(frames) {
                proposal.bytes = bytes;
            }
            let followed = match error {
                Error::Overtaken => self
                    .catch_up()
                    .inspect_err(|error| self.stop_unless_apart(error)),
                // What has stopped writing meanwhile says nothing of what became of these.
                unknown @ Error::Unreachable(_) => return self.refuse(group, &unknown),
                error => Err(error),
            };
            if let Err(error) = followed {
                self.refuse(group, &self.shared.read_only().unwrap_or(error));
                return;
            }
        }
        let busy = "other nodes write to the log all the time, and were always first; try again";
        self.refuse(group, &Error::Busy(busy.into()));
    }

    fn append(&self, frames: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        let shared = self.shared;
        if let Some(error) = shared.read_only() {
            return Err(error);
        }
        let appended = self.with_log(|log| log.append(frames));
        appended.map_err(|error| match error.into() {
            passing @ (Error::Overtaken
            | Error::Unreachable(_)
            | Error::Refused { .. }
            | Error::Busy(_)) => passing,
            error if shared.log_is_shared => {
                shared.latch_log(error.to_string());
                Error::LogBroken(error.to_string())
            }
            error => {
                shared.latch(&error.to_string());
                Error::ReadOnly(error.to_string())
            }
        })
    }

    fn with_log<T>(&self, work: impl FnOnce(&mut dyn Log) -> T) -> T {
        let mut log = self.shared.log.lock();
        let done = work(&mut **log);
        self.shared.looked_at(&**log);
        done
    }

    /// What is left of a group when all have gone whom another node's record has overtaken.
    fn give_back_overtaken(&self, group: Vec<Proposal>) -> Vec<Proposal> {
        let (overtaken, rest): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|proposal| self.others.overtake(proposal.basis));
        if !overtaken.is_empty() {
            self.refuse(overtaken, &Error::Overtaken);
        }
        rest
    }

    fn refuse(&self, group: Vec<Proposal>, error: &Error) {
        for proposal in group {
            let bytes = proposal.bytes.len() as u64;
            let queued = &self.shared.progress.queued_bytes;
            queued.fetch_sub(bytes, Ordering::Relaxed);
            // A writer that has gone away needs no answer.
            let _ = proposal.reply.send(Err(error.clone()));
        }
    }

    fn committed(
        &self,
        group: Vec<Proposal>,
        frames: &[Vec<u8>],
        lsns: Vec<Lsn>,
        started: Instant,
    ) {
        let Some(last) = lsns.last().copied() else {
            return;
        };
        // Before anybody is answered: who comes after must know that there is something to wait for.
        self.durable(last);
        self.shared.observe(Event::Commit {
            records: lsns.len(),
            bytes: frames.iter().map(|bytes| bytes.len() as u64).sum(),
            sync: started.elapsed(),
        });
        let committed = lsns.into_iter().zip(group).zip(frames);
        let committed = committed.map(|((lsn, proposal), bytes)| {
            let reply = match proposal.ack {
                Ack::Applied => Some(proposal.reply),
                Ack::Durable => {
                    let answered = &self.shared.progress.answered;
                    answered.fetch_max(lsn.0, Ordering::AcqRel);
                    let _ = proposal.reply.send(Ok(Written { lsn }));
                    None
                }
            };
            Committed {
                lsn,
                record: proposal.record,
                bytes: bytes.len() as u64,
                reply,
            }
        });
        let committed = committed.collect();
        self.hand_on(committed);
    }
}

/// What is wrong with a record of a log that several nodes share.
pub(crate) fn of_the_log(lsn: Lsn, error: storage::Error) -> storage::Error {
    match error {
        storage::Error::Decode { .. } => {
            storage::Error::Shared(format!("the record at LSN {lsn} cannot be read: {error}"))
        }
        error => error,
    }
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use super::*;
    use crate::sync::bounded;

    fn proposal(bytes: usize) -> Proposal {
        Proposal {
            basis: Basis::NOTHING,
            record: Record::Mark,
            bytes: vec![0; bytes],
            ack: Ack::Durable,
            reply: bounded(1).0,
        }
    }

    #[test]
    fn what_waits_is_put_together_as_far_as_the_log_makes_one_piece_of_it() {
        let (sender, proposals) = bounded(10);
        for bytes in [40, 30, 500, 10] {
            assert!(sender.try_send(proposal(bytes)).is_ok());
        }
        let mut groups = Vec::new();
        let mut next = Some(proposal(10));
        while let Some(first) = next.take().or_else(|| proposals.try_recv().ok()) {
            let (group, rest) = gather(first, &proposals, 100);
            groups.push(group.iter().map(|it| it.bytes.len()).collect::<Vec<_>>());
            next = rest;
        }
        assert_eq!(groups, [vec![10, 40], vec![30], vec![500], vec![10]]);
    }
}
