//! Recovery: a base at LSN x (see `load`), and then what follows in the log, by the same code that
//! applies new records.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use hnsw::Scratch;
use storage::{
    Blobs, CollectionEntry, DataFolder, Disk, Expectation, Log, Lsn, Manifest, Manifests,
    OpenedManifests, OpenedTables, Plans, PointId, Record, SnapshotReader, Tables, ends_early,
};

use crate::apply::Followers;
use crate::backup::Restores;
use crate::catalog::Catalog;
use crate::collection::Collection;
use crate::commit::of_the_log;
use crate::error::Error;
use crate::limits::{GROUP_BYTES, PLANS_BYTES};
use crate::load::{Rows, load_collection, refill_tables};
use crate::log_of::{applied_once, check_continuity, is_a_copy, note_applied, open_log};
use crate::options::{Event, Options, RecoveryStep};
use crate::quarantine::Quarantined;
use crate::seed::{Planted, plant};
use crate::shared::Shared;
use crate::sync::Mutex;
use crate::watch::Watches;

/// What recovery hands over.
pub(crate) struct Recovered {
    pub(crate) shared: Shared,
    pub(crate) manifests: Manifests,
    pub(crate) report: Report,
    /// Whether every manifest there is has been read, so that what none names can go.
    pub(crate) tidy: bool,
}

/// What recovery did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) tables_rebuilt: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) replayed: u64,
    pub(crate) recalled: u64,
    /// Whether the node has begun with what another had.
    pub(crate) planted: bool,
    /// Where the shared log could not be read to its end: up to where all is here, and what had been applied.
    pub(crate) copy: Option<(Lsn, Lsn)>,
}

/// Opens a data folder and brings everything up to the end of its log.
pub(crate) fn recover(options: Options) -> Result<Recovered, Error> {
    let started = Instant::now();
    let disk = Arc::clone(&options.disk);
    let beside = options.beside.as_ref().unwrap_or(&options.dir);
    let folder = DataFolder::open_on(Arc::clone(&disk), &options.dir, beside)?;
    let snapshots = folder.make_snapshots()?;
    let usable = |manifest: &Manifest| {
        let of = manifest.collections.len() as u64;
        let observe = |done| options.observe(step(RecoveryStep::Verify, done, of));
        verify_snapshots((&*disk, &snapshots), folder.store(), manifest, observe)
    };
    let opened = Manifests::open(Arc::clone(&disk), folder.dir(), folder.store(), &usable)?;
    for reason in &opened.skipped {
        tracing::warn!(reason, "a checkpoint cannot be used as it is");
    }
    let kept = opened.manifests.newest().map(|newest| newest.lsn);
    let mut log = open_log(&options, &folder, kept)?;
    let is_shared = log.shared().is_some();
    let (suspect, tidy) = (!opened.usable, opened.complete);
    let (mut manifests, base) = choose_base(opened, &*log)?;
    let planted = plant(&options, &folder, &mut *log, &mut manifests)?;
    let base = base.filter(|_| planted.is_none());
    let checkpoint = base.as_ref().map_or(Lsn(0), |manifest| manifest.lsn);
    let begins = planted.as_ref().map_or(checkpoint, |planted| planted.lsn);
    let apart = check_continuity(&*log, begins, options.waits_for_seed)?;
    let expected = Expectation {
        store: folder.store(),
        at_least: checkpoint,
        // How far a shared log can be read shows when it is.
        at_most: if is_shared {
            Lsn(u64::MAX)
        } else {
            log.last_lsn()
        },
    };
    let opened = Tables::open(&folder.tables(), &expected)?;
    if let Some(reason) = &opened.rebuild {
        tracing::warn!(reason, "the tables are rebuilt from snapshots and log");
    }
    let applied = opened
        .tables
        .applied_lsn()?
        .max(applied_once(folder.dir())?);
    let blobs = Blobs::open(Arc::clone(&disk), &folder.blobs(), folder.store())?;
    let scratch = Scratch::new(folder.scratch()?);
    let restores = Restores::new(Arc::clone(&disk), folder.restores());
    let plans = Mutex::new(match log.shared() {
        None => {
            let (disk, store) = (Arc::clone(&disk), folder.store());
            Plans::open(disk, folder.plans(), store, PLANS_BYTES)?
        }
        Some(_) => Plans::none(Arc::clone(&disk)),
    });
    let source = Source {
        options: &options,
        suspect,
        damaged: Mutex::default(),
        scratch: &scratch,
        restores: &restores,
        plans: &plans,
        folder: &folder,
        disk: &*disk,
        log: &*log,
        blobs: &blobs,
        base: base.as_ref(),
        planted: planted.as_ref(),
        apart,
    };
    let (built, OpenedTables { tables, rebuild }) = source.settle(opened, &expected)?;
    let Followed { replayed, end, .. } = built.followed;
    let broken = built.followed.broken(applied);
    let recalled = plans.lock().end_replay()?;
    let damaged = source.damaged.into_inner();
    let shared = Shared::new(
        options,
        folder,
        disk,
        log,
        tables,
        blobs,
        (built.catalog, scratch, restores, plans),
    );
    shared.restores.look(end)?;
    shared.backups.tidy()?;
    shared.start_at(end, checkpoint);
    *shared.damaged.lock() = damaged;
    let copy = broken.map(|why| is_a_copy(&shared, why, (end, applied)));
    let report = Report {
        tables_rebuilt: rebuild,
        seconds: started.elapsed().as_secs_f64(),
        replayed,
        recalled,
        planted: planted.is_some(),
        copy,
    };
    Ok(Recovered {
        shared,
        manifests,
        report,
        tidy,
    })
}

/// Reads all that a manifest names and checks it.
pub(crate) fn verify_snapshots(
    (disk, snapshots): (&dyn Disk, &Path),
    store: u128,
    manifest: &Manifest,
    observe: impl Fn(u64),
) -> Result<(), storage::Error> {
    let entries = manifest.collections.iter();
    entries.zip(0..).try_for_each(|(entry, done)| {
        observe(done);
        let path = snapshots.join(&entry.snapshot.file);
        SnapshotReader::open(disk, &path, store)?.verify()
    })
}

fn step(step: RecoveryStep, done: u64, of: u64) -> Event {
    Event::Recovering { step, done, of }
}

/// What to start from. Where no checkpoint can be used, a log that reaches back to the beginning
/// can do without; else the newest is taken if it can be read, and what is damaged is not served.
/// Nothing is removed but in favour of something whole: what cannot be read now may be later.
fn choose_base(
    opened: OpenedManifests,
    log: &dyn Log,
) -> Result<(Manifests, Option<Manifest>), Error> {
    let mut manifests = opened.manifests;
    if !opened.usable && log.first_lsn() == Lsn(1) {
        tracing::warn!("no checkpoint can be used: the whole log is replayed");
        manifests.remove_all()?;
    } else if !opened.usable && !opened.newest_read {
        let reasons = opened.skipped.join("; ");
        return Err(Error::Corrupt(format!(
            "no manifest can be used: {reasons}"
        )));
    } else if opened.usable && !opened.skipped.is_empty() {
        manifests.remove_passed_over()?;
    }
    let base = manifests.newest().cloned();
    Ok((manifests, base))
}

/// Builds the payload indexes from the payloads as they are after the replay.
fn build_payload_indexes(tables: &Tables, catalog: &Catalog) -> Result<(), Error> {
    let mut collections = catalog.all().into_iter();
    collections.try_for_each(|collection| collection.build_payload_indexes(tables))
}

fn tables_agree(tables: &Tables, catalog: &Catalog) -> bool {
    catalog.all().iter().all(|collection| {
        let ids: HashSet<PointId> = collection.ids().into_iter().collect();
        tables.holds_exactly(collection.id, &ids)
    })
}

/// What everything is built from.
struct Source<'a> {
    options: &'a Options,
    /// Something that the base names is damaged.
    suspect: bool,
    /// The snapshot files that are damaged.
    damaged: Mutex<HashSet<String>>,
    scratch: &'a Scratch,
    restores: &'a Restores,
    plans: &'a Mutex<Plans>,
    folder: &'a DataFolder,
    disk: &'a dyn Disk,
    log: &'a dyn Log,
    blobs: &'a Blobs,
    base: Option<&'a Manifest>,
    planted: Option<&'a Planted>,
    /// Why nothing of a shared log comes behind the base.
    apart: Option<String>,
}

/// What was built.
struct Built {
    catalog: Catalog,
    followed: Followed,
}

/// How far the log was followed.
struct Followed {
    /// How many records were replayed.
    replayed: u64,
    /// All up to here is there.
    end: Lsn,
    /// Why nothing more of a shared log can be read, if that is so.
    broken: Option<String>,
}

impl Followed {
    /// Why nothing may be appended to a shared log, of which this node had once applied so much.
    fn broken(self, applied: Lsn) -> Option<String> {
        let early = (applied > self.end).then(|| ends_early(self.end, applied));
        self.broken.or(early)
    }
}

impl Source<'_> {
    /// A full disk is told with what a start may write: the vectors and rows of all snapshots, and what the log has
    /// beyond them.
    fn told_of_room(&self, error: Error) -> Error {
        let full = std::io::ErrorKind::StorageFull;
        if !matches!(&error, Error::Storage(error) if error.kind() == full) {
            return error;
        }
        let entries = self.base.into_iter().flat_map(|base| &base.collections);
        let snapshots: u64 = entries.map(|entry| entry.snapshot.bytes).sum();
        Error::NoRoom {
            why: error.to_string(),
            wanted_bytes: snapshots + self.log.bytes(),
        }
    }

    /// Brings everything to the end of the log, with other tables where these cannot be used.
    fn settle(
        &self,
        opened: OpenedTables,
        expected: &Expectation,
    ) -> Result<(Built, OpenedTables), Error> {
        let follow = |tables: &Tables, empty| {
            let followed = self.follow(tables, empty);
            followed.map_err(|error| self.told_of_room(error))
        };
        let empty = opened.rebuild.is_some();
        let reason = match follow(&opened.tables, empty)? {
            Ok(built) => return Ok((built, opened)),
            Err(reason) if empty => return Err(Error::Corrupt(reason)),
            Err(reason) => reason,
        };
        tracing::warn!(reason, "the tables are rebuilt from snapshots and log");
        drop(opened);
        let opened = Tables::start_over(&self.folder.tables(), expected, reason)?;
        let built = follow(&opened.tables, true)?.map_err(Error::Corrupt)?;
        Ok((built, opened))
    }

    /// Brings everything to the end of the log. Tables that opened may still fail, or sled panic, on
    /// the first page of theirs that a power cut has torn.
    fn follow(&self, tables: &Tables, refill: bool) -> Result<Result<Built, String>, Error> {
        let follow = || {
            let built = match self.build(tables, refill) {
                Err(error) if is_of_tables(&error) => return Ok(Err(error.to_string())),
                built => built?,
            };
            let Followed { replayed, end, .. } = built.followed;
            let applied = tables.applied_lsn()?;
            if applied > end {
                self.remember(applied)?;
                return Ok(Err(format!(
                    "they are at LSN {applied}, and the log can be read up to {end}"
                )));
            }
            if let Err(error) = build_payload_indexes(tables, &built.catalog) {
                return Ok(Err(error.to_string()));
            }
            // Without records after the checkpoint the tables are what was synced there.
            if !refill && replayed > 0 && !tables_agree(tables, &built.catalog) {
                return Ok(Err("their points are not those of the indexes".to_owned()));
            }
            Ok(Ok(built))
        };
        let followed = catch_unwind(AssertUnwindSafe(follow));
        followed.unwrap_or_else(|_| Ok(Err("sled panicked while it was read".to_owned())))
    }

    /// A shared log ends before what was applied of it, and the tables, which know that, will go.
    fn remember(&self, applied: Lsn) -> Result<(), Error> {
        match (self.log.shared(), &self.options.beside) {
            (Some(number), None) => note_applied(self.folder.dir(), number, applied),
            // Of a draft nothing stays.
            _ => Ok(()),
        }
    }

    /// The collections at the end of the log. Fills the tables from the snapshots too if they are empty.
    fn build(&self, tables: &Tables, refill: bool) -> Result<Built, Error> {
        let first = self.planted.map_or(1, |planted| planted.next_collection);
        let catalog =
            Catalog::starting_at(self.base.map_or(first, |manifest| manifest.next_collection));
        let entries = self
            .base
            .map(|manifest| manifest.collections.as_slice())
            .unwrap_or_default();
        for (entry, done) in entries.iter().zip(0..) {
            let event = step(RecoveryStep::Load, done, entries.len() as u64);
            self.options.observe(event);
            let fill = refill || tables.is_incomplete(entry.id)?;
            match self.load(entry, fill.then_some(tables)) {
                Ok(collection) => catalog.insert(collection),
                Err(error) if is_damage(&error) => {
                    self.set_apart(entry, &error, tables, refill, &catalog)?;
                }
                Err(error) => return Err(error),
            }
        }
        let aliases = self.base.map(|manifest| manifest.aliases.as_slice());
        let aliases = aliases.unwrap_or_default().iter();
        catalog.change_aliases(
            aliases
                .map(|(alias, id)| (alias.clone(), Some(*id)))
                .collect(),
        );
        let from = self.base.map_or(Lsn(1), |manifest| manifest.lsn.next());
        let from = self.planted.map_or(from, |planted| planted.lsn.next());
        let followed = self.replay(tables, &catalog, from)?;
        if refill {
            tables.apply(followed.end, &[])?;
            tables.flush_and_sync()?;
        }
        Ok(Built { catalog, followed })
    }

    /// A collection as its snapshot has it; its rows go to the tables if there are some to fill.
    fn load(&self, entry: &CollectionEntry, fill: Option<&Tables>) -> Result<Collection, Error> {
        let reader = self.open_snapshot(entry)?;
        if self.suspect && reader.verify().is_err() {
            self.damaged.lock().insert(entry.snapshot.file.clone());
        }
        // What cannot be read shall be an error, as it is where bytes are copied.
        let rows = match self.suspect {
            true => Rows::Copied,
            false => Rows::Lent(self.options.lend_bytes),
        };
        let collection = load_collection(&reader, entry, self.scratch, rows)?;
        if let Some(tables) = fill {
            refill_tables(tables, &reader, entry, &collection)?;
            tables.mark_complete(entry.id)?;
        }
        Ok(collection)
    }

    /// Has a damaged collection not be served.
    fn set_apart(
        &self,
        entry: &CollectionEntry,
        error: &Error,
        tables: &Tables,
        emptied: bool,
        catalog: &Catalog,
    ) -> Result<(), Error> {
        let (name, reason) = (&entry.config.name, error.to_string());
        self.damaged.lock().insert(entry.snapshot.file.clone());
        if emptied {
            tables.mark_incomplete(entry.id)?;
        }
        tracing::error!(name, reason, "a collection is damaged and not served");
        catalog.quarantine(Quarantined {
            entry: entry.clone(),
            reason,
        });
        Ok(())
    }

    fn open_snapshot(&self, entry: &CollectionEntry) -> Result<SnapshotReader, Error> {
        let path = self.folder.snapshots().join(&entry.snapshot.file);
        let reader = SnapshotReader::open(self.disk, &path, self.folder.store())?;
        if reader.collection != entry.id {
            return Err(Error::Corrupt(format!(
                "{}: it holds another collection",
                path.display()
            )));
        }
        Ok(reader)
    }

    fn replay(&self, tables: &Tables, catalog: &Catalog, from: Lsn) -> Result<Followed, Error> {
        let followers = Followers {
            tables,
            blobs: self.blobs,
            catalog,
            scratch: self.scratch,
            restores: self.restores,
            plans: self.plans,
            watches: &Watches::default(),
        };
        if let Some(planted) = self.planted {
            followers.apply(vec![(planted.lsn, planted.record.clone())])?;
        }
        let (mut group, mut bytes, mut count) = (Vec::new(), 0, 0);
        let of = (self.log.last_lsn().0 + 1).saturating_sub(from.0);
        self.options.observe(step(RecoveryStep::Replay, 0, of));
        let mut broken = self.apart.clone().or_else(|| self.log.broken());
        let mut read = Lsn(from.0.saturating_sub(1));
        // Where the log does not go on from here, what this node has copied of it.
        let records = match self.apart {
            Some(_) => self.log.copied_from(from),
            None => self.log.read_from(from)?,
        };
        for record in records {
            let is_there = record.is_ok();
            let decoded = record.and_then(|(lsn, encoded)| {
                bytes += encoded.len();
                let record = Record::decode(&encoded);
                let of_all = |error| match self.log.shared() {
                    Some(_) => of_the_log(lsn, error),
                    None => error,
                };
                Ok((lsn, record.map_err(of_all)?))
            });
            match decoded {
                Ok((lsn, record)) => {
                    read = lsn;
                    group.push((lsn, record));
                }
                Err(error @ storage::Error::Shared(_)) if self.log.shared().is_some() => {
                    // Why there is only a copy says more than what that ends with.
                    let known = broken.take().filter(|_| is_there);
                    broken = known.or_else(|| Some(error.to_string()));
                    break;
                }
                Err(error) => return Err(error.into()),
            }
            count += 1;
            if bytes >= GROUP_BYTES {
                // A record whose collection has gone does nothing now as it did then.
                followers.apply(std::mem::take(&mut group))?;
                bytes = 0;
                self.options.observe(step(RecoveryStep::Replay, count, of));
            }
        }
        followers.apply(group)?;
        Ok(Followed {
            replayed: count,
            end: read,
            broken,
        })
    }
}

/// Whether the tables hold something else than they should; a full disk is not their fault.
fn is_of_tables(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if matches!(**error, storage::Error::Tables(_)))
}

/// Whether a snapshot cannot be read as it should; anything else, a full disk too, concerns all collections alike.
fn is_damage(error: &Error) -> bool {
    matches!(error, Error::Corrupt(_) | Error::Storage(_)) && !error.is_disk_full()
}
