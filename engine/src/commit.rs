//! The committer: one thread that makes the records of all waiting writers durable together.
//!
//! Whatever has queued while the last sync ran becomes one frame of the log and shares one sync
//! (group commit). A record goes on to the applier only after that sync has returned. A failed
//! append latches the engine read-only: nothing is written after it until a restart.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use storage::{CollectionId, Lsn, Record};

use crate::checkpoint::FrozenState;
use crate::error::Error;
use crate::limits::GROUP_BYTES;
use crate::options::Event;
use crate::point::{Ack, Written};
use crate::shared::Shared;
use crate::sync::{Receiver, Sender};
use crate::view::View;

pub(crate) type Reply = Sender<Result<Written, Error>>;

/// A decided fact on its way into the log.
pub(crate) struct Proposal {
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
    while let Ok(first) = proposals.recv() {
        let group = gather(first, proposals);
        let committed = match append(shared, group) {
            Ok(committed) => committed,
            Err(()) => continue,
        };
        if work.send(Work::Group(committed)).is_err() {
            shared.latch("the applier has ended");
        }
    }
}

fn gather(first: Proposal, proposals: &Receiver<Proposal>) -> Vec<Proposal> {
    let mut bytes = first.bytes.len();
    let mut group = vec![first];
    while bytes < GROUP_BYTES {
        let Ok(next) = proposals.try_recv() else {
            break;
        };
        bytes += next.bytes.len();
        group.push(next);
    }
    group
}

/// Appends a group; on failure every writer of it has been told.
fn append(shared: &Shared, group: Vec<Proposal>) -> Result<Vec<Committed>, ()> {
    let started = Instant::now();
    let (frames, rest): (Vec<_>, Vec<_>) = group
        .into_iter()
        .map(|p| (p.bytes, (p.record, p.ack, p.reply)))
        .unzip();
    let sizes: Vec<u64> = frames.iter().map(|bytes| bytes.len() as u64).collect();
    let bytes: u64 = sizes.iter().sum();
    let appended = match shared.read_only() {
        Some(reason) => Err(Error::ReadOnly(reason)),
        None => shared.log.lock().append(&frames).map_err(|error| {
            shared.latch(&error.to_string());
            Error::ReadOnly(error.to_string())
        }),
    };
    let lsns = match appended {
        Ok(lsns) => lsns,
        Err(error) => {
            shared
                .progress
                .queued_bytes
                .fetch_sub(bytes, Ordering::Relaxed);
            for (_, _, reply) in rest {
                // A writer that has gone away needs no answer.
                let _ = reply.send(Err(error.clone()));
            }
            return Err(());
        }
    };
    if let Some(last) = lsns.last() {
        shared.progress.durable.store(last.0, Ordering::Release);
    }
    shared
        .progress
        .appended_bytes
        .fetch_add(bytes, Ordering::Relaxed);
    shared.observe(Event::Commit {
        records: lsns.len(),
        bytes,
        sync: started.elapsed(),
    });
    let committed =
        lsns.into_iter()
            .zip(rest)
            .zip(sizes)
            .map(|((lsn, (record, ack, reply)), bytes)| {
                let reply = match ack {
                    Ack::Applied => Some(reply),
                    Ack::Durable => {
                        let _ = reply.send(Ok(Written { lsn }));
                        None
                    }
                };
                Committed {
                    lsn,
                    record,
                    bytes,
                    reply,
                }
            });
    Ok(committed.collect())
}
