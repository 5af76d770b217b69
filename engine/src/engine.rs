//! The engine: an open data folder with its four threads.
//!
//! Every change is a record that goes through the log: a caller's thread decides and encodes it,
//! the committer makes it durable, the applier makes it visible. Calls block until then.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use serde_json::Value;
use storage::{Lsn, PointId, Record};

use crate::about::are_named;
use crate::check::few_ids;
use crate::checkpoint::{Checkpointer, remove_unnamed};
use crate::collection::Collection;
use crate::commit::{Proposal, Work};
use crate::decide::Basis;
use crate::error::Error;
use crate::limits::{
    MAX_POINTS_PER_UPSERT, MAX_RECORD_BYTES, QUEUED_BYTES, QUEUED_WRITES, UNAPPLIED_GROUPS,
};
use crate::options::{CollectionInfo, Options, Status};
use crate::point::{Ack, Point, Written};
use crate::quarantine::Quarantined;
use crate::recover::{Report, recover};
use crate::shared::Shared;
use crate::spec::check_name;
use crate::sync::{
    AtomicU64, JoinHandle, Mutex, RwLock, Sender, TrySendError, bounded, spawn, unbounded,
};
use crate::{apply, commit, convert, usual};

/// An open data folder.
pub struct Engine {
    shared: Arc<Shared>,
    report: Report,
    proposals: Mutex<Option<Sender<Proposal>>>,
    /// Held while somebody decides about names or settings (see `manage`).
    pub(crate) naming: Mutex<()>,
    /// Held by a purge alone, which moves what backups read, or by any number of backups.
    pub(crate) moving: RwLock<()>,
    checkpointer: Mutex<Option<Arc<Checkpointer>>>,
    threads: Mutex<Option<Threads>>,
}

struct Threads {
    committer: JoinHandle<()>,
    applier: JoinHandle<()>,
    checkpointer: JoinHandle<()>,
    tuner: JoinHandle<()>,
    /// Closing it ends the checkpointer and the tuner.
    stop: Sender<()>,
}

/// The name of the kernels that compare vectors in this process.
///
/// # Errors
/// `DOPPEL_SIMD` names some that this machine does not have.
pub fn kernels() -> Result<&'static str, Error> {
    Ok(hnsw::wanted_kernels()?.name)
}

impl Engine {
    /// Opens a data folder and recovers it; returns when everything is searchable.
    pub fn open(options: Options) -> Result<Engine, Error> {
        let recovered = recover(options)?;
        let shared = Arc::new(recovered.shared);
        if recovered.tidy {
            remove_unnamed(&shared, &recovered.manifests)?;
        }
        let (proposals, proposed) = bounded(QUEUED_WRITES);
        let (work, to_apply) = bounded(UNAPPLIED_GROUPS);
        let (stop, stopped) = unbounded();
        let stopped = Arc::new(stopped);
        let checkpointer = Arc::new(Checkpointer::new(
            Arc::clone(&shared),
            work.clone(),
            recovered.manifests,
        ));
        let threads = Threads {
            committer: start("committer", {
                let shared = Arc::clone(&shared);
                move || commit::run(&shared, &proposed, &work)
            })?,
            applier: start("applier", {
                let shared = Arc::clone(&shared);
                move || apply::run(&shared, &to_apply)
            })?,
            checkpointer: start("checkpointer", {
                let (checkpointer, stopped) = (Arc::clone(&checkpointer), Arc::clone(&stopped));
                move || checkpointer.run(&stopped)
            })?,
            tuner: start("tuner", {
                let shared = Arc::clone(&shared);
                move || usual::run(&shared, &stopped)
            })?,
            stop,
        };
        let engine = Engine {
            shared,
            report: recovered.report,
            proposals: Mutex::new(Some(proposals)),
            naming: Mutex::new(()),
            moving: RwLock::new(()),
            checkpointer: Mutex::new(Some(checkpointer)),
            threads: Mutex::new(Some(threads)),
        };
        if engine.report.planted {
            // Before anybody counts on it: what this node has begun with is its own only then.
            engine.checkpoint()?;
        }
        Ok(engine)
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn collection(&self, name: &str) -> Result<Arc<Collection>, Error> {
        check_name(name)?;
        if let Some(collection) = self.shared.catalog.by_name(name) {
            return Ok(collection);
        }
        Err(match self.quarantined_as(name) {
            Some(quarantined) => quarantined.refusal(),
            None => Error::NoCollection(name.into()),
        })
    }

    /// The same, of one whose points are in it.
    pub(crate) fn holder(&self, name: &str) -> Result<Arc<Collection>, Error> {
        let collection = self.collection(name)?;
        match collection.is_entry {
            false => Ok(collection),
            true => Err(Error::Conflict(format!(
                "the collection `{name}` is spread over shards: its points are not here, but in its parts. \
                 If it was made while this was on its way, send it again, to a node that serves shards; if \
                 it comes from a backup, drop it"
            ))),
        }
    }

    /// The collection of this name or alias, if it is not served.
    pub(crate) fn quarantined_as(&self, name: &str) -> Option<Arc<Quarantined>> {
        let all = self.shared.catalog.quarantined();
        let aliased = self.shared.catalog.aliases().get(name).copied();
        all.into_iter()
            .find(|it| it.name() == name || Some(it.entry.id) == aliased)
    }

    /// The collections that are not served because their data is damaged: name, and what is wrong
    /// and can be done.
    pub fn quarantined(&self) -> Vec<(String, Error)> {
        let all = self.shared.catalog.quarantined();
        let told = |q: Arc<Quarantined>| (q.name().to_owned(), q.refusal());
        all.into_iter().map(told).collect()
    }

    /// All collections, by name.
    pub fn collections(&self) -> Vec<CollectionInfo> {
        self.shared
            .catalog
            .all()
            .iter()
            .map(|collection| info(collection))
            .collect()
    }

    /// One collection.
    pub fn describe(&self, name: &str) -> Result<CollectionInfo, Error> {
        Ok(info(&*self.collection(name)?))
    }

    /// What a collection's metadata has at a key.
    ///
    /// # Errors
    /// There is no such collection, or it is not served.
    pub fn metadata_of(&self, name: &str, key: &str) -> Result<Option<Value>, Error> {
        let collection = self.collection(name)?;
        Ok(collection.settings().metadata.get(key).cloned())
    }

    /// The number that tells a log that several nodes follow from all others; nothing of one's own.
    pub fn log_number(&self) -> Option<u128> {
        self.shared.log.lock().shared()
    }

    /// A position that no record of the log is behind now, also of those that are not known here yet; nothing if it
    /// cannot be told at once.
    pub fn log_end(&self) -> Option<Lsn> {
        self.shared.log.try_lock()?.end().ok()
    }

    /// Puts points, all or none of them; of several with one id the last stands.
    pub fn upsert(&self, collection: &str, points: Vec<Point>, ack: Ack) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        few(&points)?;
        let written = match self.shared.log_is_shared && are_named(&points) {
            true => self.decided(|| self.upsert_once(&target, points.clone(), ack)),
            false => self.upsert_once(&target, points, ack),
        };
        written.map_err(|error| rename_missing(error, collection))
    }

    fn upsert_once(
        &self,
        target: &Collection,
        points: Vec<Point>,
        ack: Ack,
    ) -> Result<Written, Error> {
        // From here on, so that no vector is taken away between what a name means and its record.
        let deciding = self.beside(target);
        let basis = match are_named(&points) {
            true => deciding.basis,
            false => Basis::NOTHING,
        };
        self.put(target, basis, points, ack)
    }

    /// Puts points while what their names mean is held (`beside`, `alone`).
    pub(crate) fn put(
        &self,
        target: &Collection,
        basis: Basis,
        mut points: Vec<Point>,
        ack: Ack,
    ) -> Result<Written, Error> {
        self.inherit(target, &mut points)?;
        self.date(target, &mut points);
        let mut last = HashMap::with_capacity(points.len());
        for (at, point) in points.iter().enumerate() {
            last.insert(point.id, at);
        }
        let mut records = Vec::with_capacity(points.len());
        for (at, point) in points.into_iter().enumerate() {
            let vectors = target.prepare(&point.vectors);
            let vectors = vectors.map_err(|error| error.of_point(&point.id))?;
            if last.get(&point.id) == Some(&at) {
                records.push(convert::point_record(
                    point.id,
                    vectors,
                    &point.payload,
                    point.face,
                )?);
            }
        }
        let record = Record::Upsert {
            collection: target.id,
            points: records,
        };
        self.write(basis, record, ack)
    }

    /// Removes points; unknown ids are fine.
    pub fn delete(
        &self,
        collection: &str,
        mut ids: Vec<PointId>,
        ack: Ack,
    ) -> Result<Written, Error> {
        let target = self.holder(collection)?;
        few_ids(&ids)?;
        ids.sort_unstable();
        ids.dedup();
        let _deciding = target.deciding.read();
        let record = Record::Delete {
            collection: target.id,
            ids,
        };
        let written = self.write(Basis::NOTHING, record, ack);
        written.map_err(|error| rename_missing(error, collection))
    }

    /// Takes a checkpoint now.
    pub fn checkpoint(&self) -> Result<Lsn, Error> {
        self.checkpointer()?.take()
    }

    pub(crate) fn checkpointer(&self) -> Result<Arc<Checkpointer>, Error> {
        self.checkpointer.lock().clone().ok_or(Error::Stopped)
    }

    /// The way to the applier.
    pub(crate) fn work(&self) -> Result<Sender<Work>, Error> {
        Ok(self.checkpointer()?.work().clone())
    }

    /// The number that tells this data folder from all others.
    pub fn store(&self) -> u128 {
        self.shared.folder.store()
    }

    /// The last record that is durable.
    pub fn durable_lsn(&self) -> Lsn {
        Lsn(self.shared.progress.durable.load(Ordering::Acquire))
    }

    /// Everything up to here is applied.
    pub fn applied_lsn(&self) -> Lsn {
        Lsn(self.shared.progress.applied.load(Ordering::Acquire))
    }

    /// Why writing has stopped, if it has.
    pub fn stopped(&self) -> Option<Error> {
        self.shared.read_only()
    }

    /// The last record that is durable and no mark, so that something may have changed by it.
    pub fn changed_lsn(&self) -> Lsn {
        Lsn(self.shared.progress.changed.load(Ordering::Acquire))
    }

    /// Bytes of the tables' files; 0 while they change places.
    pub fn tables_bytes(&self) -> u64 {
        self.shared.tables.disk_bytes()
    }

    /// Where the engine stands.
    pub fn status(&self) -> Status {
        let progress = &self.shared.progress;
        let lsn = |number: &AtomicU64| Lsn(number.load(Ordering::Acquire));
        let log = self.shared.log_stands.lock().clone();
        Status {
            durable_lsn: lsn(&progress.durable),
            applied_lsn: lsn(&progress.applied),
            checkpoint_lsn: lsn(&progress.checkpoint),
            log_bytes: log.bytes,
            log_waits: log.waits,
            copy: log.copy,
            queued_bytes: progress.queued_bytes.load(Ordering::Relaxed),
            read_only: self.shared.read_only(),
            no_checkpoint: self.shared.uncopied.why(),
            quarantined: self.shared.catalog.quarantined().len(),
            tables_rebuilt: self.report.tables_rebuilt.clone(),
            recovery_seconds: self.report.seconds,
            replayed_records: self.report.replayed,
            recalled_batches: self.report.recalled,
        }
    }

    /// Verifies every invariant of a collection's index and that the tables hold the same points.
    /// Slow; meant for tests and for operators.
    pub fn check(&self, collection: &str) -> Result<(), Error> {
        let collection = self.collection(collection)?;
        let corrupt = |what| Error::Corrupt(format!("collection `{}`: {what}", collection.name));
        collection.check().map_err(corrupt)?;
        let ids = collection.ids().into_iter().collect();
        if !self.shared.tables.holds_exactly(collection.id, &ids) {
            return Err(corrupt(
                "the tables hold other points than the index".into(),
            ));
        }
        collection.check_payload_indexes(&self.shared.tables)
    }

    /// Finishes what was accepted, takes a last checkpoint and ends the threads. Later writes are
    /// refused; reads go on.
    ///
    /// # Errors
    /// The checkpoint failed, or was due and could not be taken because writing has stopped: what was acknowledged is
    /// in the log all the same. While a collection is quarantined none is due.
    pub fn shutdown(&self) -> Result<(), Error> {
        drop(self.proposals.lock().take());
        let Some(threads) = self.threads.lock().take() else {
            return Ok(());
        };
        let ended = |_| Error::Corrupt("a thread of the engine has panicked".into());
        threads.committer.join().map_err(ended)?;
        drop(threads.stop);
        threads.checkpointer.join().map_err(ended)?;
        let last = match self.checkpointer.lock().take() {
            Some(checkpointer) if self.quarantined().is_empty() => {
                match self.shared.disk_failed() {
                    None => checkpointer.take().map(|_| ()),
                    Some(error) => self.without_checkpoint(&error),
                }
            }
            _ => Ok(()),
        };
        threads.applier.join().map_err(ended)?;
        // Nothing that is kept depends on what it does.
        if threads.tuner.join().is_err() {
            tracing::error!("the thread that measures searches has panicked");
        }
        last
    }

    /// What a stop leaves to the next start, where writing has stopped before.
    fn without_checkpoint(&self, stopped: &Error) -> Result<(), Error> {
        let reason = match stopped {
            Error::ReadOnly(reason) => reason.clone(),
            other => other.to_string(),
        };
        let status = self.status();
        let (from, to) = (status.checkpoint_lsn.next(), status.durable_lsn);
        if to < from {
            return Ok(());
        }
        Err(Error::ReadOnly(format!(
            "{reason}; there is no checkpoint of what was written since the last: the next start replays records \
             {from} to {to} of the log, which hold all that was acknowledged"
        )))
    }

    /// Sends a decided fact through the log and waits for it.
    pub(crate) fn write(&self, basis: Basis, record: Record, ack: Ack) -> Result<Written, Error> {
        if let Some(error) = self.shared.read_only() {
            return Err(error);
        }
        let bytes = record.encode()?;
        if bytes.len() > MAX_RECORD_BYTES {
            let (got, limit) = (bytes.len(), MAX_RECORD_BYTES);
            return Err(Error::TooLarge(format!(
                "{got} bytes in one request, the limit is {limit}: send smaller batches"
            )));
        }
        let proposals = self.proposals.lock().clone().ok_or(Error::Stopped)?;
        let len = bytes.len() as u64;
        let queued = &self.shared.progress.queued_bytes;
        if queued.fetch_add(len, Ordering::Relaxed) > QUEUED_BYTES {
            queued.fetch_sub(len, Ordering::Relaxed);
            return Err(Error::Busy("too many bytes wait to be written".into()));
        }
        let (reply, answer) = bounded(1);
        proposals
            .try_send(Proposal {
                basis,
                record,
                bytes,
                ack,
                reply,
            })
            .map_err(|error| {
                queued.fetch_sub(len, Ordering::Relaxed);
                match error {
                    TrySendError::Full(_) => Error::Busy("too many writes wait for the log".into()),
                    TrySendError::Disconnected(_) => Error::Stopped,
                }
            })?;
        drop(proposals);
        answer.recv().map_err(|_| Error::Stopped)?
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Err(error) = self.shutdown() {
            tracing::error!(%error, "the shutdown failed");
        }
    }
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    spawn(name, run)
        .map_err(|error| Error::BadRequest(format!("cannot start the {name} thread: {error}")))
}

pub(crate) fn few(points: &[Point]) -> Result<(), Error> {
    if points.is_empty() {
        return Err(Error::BadRequest("there are no points to put".into()));
    }
    if points.len() > MAX_POINTS_PER_UPSERT {
        return Err(Error::TooLarge(format!(
            "{} points in one request, the limit is {MAX_POINTS_PER_UPSERT}",
            points.len()
        )));
    }
    Ok(())
}

fn info(collection: &Collection) -> CollectionInfo {
    CollectionInfo {
        name: collection.name.clone(),
        number: collection.id.0,
        spec: collection.settings().spec(),
        points: collection.len(),
        vectors: collection.vectors_len(),
        indexes: collection.indexes(),
        memory_bytes: collection.memory_bytes(),
        free_slots: collection.free_slots(),
    }
}

/// The applier knows collections by number; the caller knows the name.
pub(crate) fn rename_missing(error: Error, name: &str) -> Error {
    match error {
        Error::NoCollection(_) => Error::NoCollection(name.into()),
        other => other,
    }
}
