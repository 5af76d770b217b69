//! What a write was decided on, and whether that still stands when it comes to the log.
//!
//! A record is a fact: applying it asks nothing. What it depends on was looked at before, and must not
//! change between the look and the record. Writers of one node are kept apart by locks: `naming` for
//! names and settings, a collection's `deciding` for its points. Writers of other nodes know nothing of
//! these. So whoever decides notes up to where it has seen the log, and the committer, which appends
//! right after the last record it knows or not at all, looks whether another node's record came after
//! that which has to do with it. If one did nothing is written, and it is decided again.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use storage::{CollectionId, Lsn, Record};

use crate::collection::Collection;
use crate::engine::Engine;
use crate::error::Error;
use crate::limits::DECISIONS;
use crate::sync::{MutexGuard, RwLockReadGuard, RwLockWriteGuard};

/// What a decision depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    /// Nothing that another node's record could change.
    Nothing,
    /// Names and settings of collections.
    Names,
    /// All points of a collection and its settings.
    Points(CollectionId),
    /// What payloads of a collection were changed to, and its settings.
    Payloads(CollectionId),
}

/// What a decision depends on, and up to where the log had been seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Basis {
    on: On,
    seen: Lsn,
}

impl Basis {
    /// Of what holds whatever comes before it.
    pub(crate) const NOTHING: Basis = Basis {
        on: On::Nothing,
        seen: Lsn(0),
    };
}

/// Held while something is decided, until it has been applied.
pub(crate) struct Deciding<G> {
    pub(crate) basis: Basis,
    _held: G,
}

impl Engine {
    /// Nobody else decides about names or settings meanwhile.
    pub(crate) fn on_names(&self) -> Deciding<MutexGuard<'_, ()>> {
        let held = self.naming.lock();
        self.deciding(On::Names, held)
    }

    /// Nobody else writes to a collection meanwhile.
    pub(crate) fn alone<'a>(&self, target: &'a Collection) -> Deciding<RwLockWriteGuard<'a, ()>> {
        let held = target.deciding.write();
        self.deciding(On::Points(target.id), held)
    }

    /// Others write to a collection meanwhile, but nobody who has to be alone.
    pub(crate) fn beside<'a>(&self, target: &'a Collection) -> Deciding<RwLockReadGuard<'a, ()>> {
        let held = target.deciding.read();
        self.deciding(On::Payloads(target.id), held)
    }

    fn deciding<G>(&self, on: On, held: G) -> Deciding<G> {
        let seen = Lsn(self.shared().progress.applied.load(Ordering::Acquire));
        Deciding {
            basis: Basis { on, seen },
            _held: held,
        }
    }

    /// Decides, and again as long as another node's record comes in between.
    pub(crate) fn decided<T>(
        &self,
        mut decide: impl FnMut() -> Result<T, Error>,
    ) -> Result<T, Error> {
        for _ in 1..DECISIONS {
            match decide() {
                Err(Error::Overtaken) => self.shared().wait_applied()?,
                decided => return decided,
            }
        }
        decide().map_err(|error| match error {
            Error::Overtaken => Error::Busy("other nodes change the same all the time".into()),
            error => error,
        })
    }
}

/// Where the last records of other nodes are that a decision may depend on.
#[derive(Default)]
pub(crate) struct Others {
    names: Lsn,
    points: HashMap<CollectionId, Lsn>,
    payloads: HashMap<CollectionId, Lsn>,
}

impl Others {
    pub(crate) fn note(&mut self, lsn: Lsn, record: &Record) {
        match record {
            Record::CreateCollection { .. }
            | Record::ChangeAliases { .. }
            | Record::Restore { .. } => self.names = lsn,
            Record::DropCollection { id: of }
            | Record::PutIndex { collection: of, .. }
            | Record::DropIndex { collection: of, .. }
            | Record::SwapVector { collection: of, .. }
            | Record::Configure { collection: of, .. } => {
                self.names = lsn;
                self.points.insert(*of, lsn);
                self.payloads.insert(*of, lsn);
            }
            Record::ChangePayload { collection: of, .. } => {
                self.points.insert(*of, lsn);
                self.payloads.insert(*of, lsn);
            }
            Record::Upsert { collection: of, .. }
            | Record::Delete { collection: of, .. }
            | Record::UpdateVectors { collection: of, .. }
            | Record::DeleteVectors { collection: of, .. }
            | Record::CopyVectors { collection: of, .. } => {
                self.points.insert(*of, lsn);
            }
            Record::Purge { .. } | Record::Mark => {}
        }
    }

    /// Whether something has come after what a decision was made on.
    pub(crate) fn overtake(&self, basis: Basis) -> bool {
        let last = match basis.on {
            On::Nothing => None,
            On::Names => Some(&self.names),
            On::Points(of) => self.points.get(&of),
            On::Payloads(of) => self.payloads.get(&of),
        };
        last.is_some_and(|last| *last > basis.seen)
    }
}
