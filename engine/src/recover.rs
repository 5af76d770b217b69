//! Recovery: a base at LSN x (see `load`), and then what follows in the log, by the same code that
//! applies new records.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use hnsw::Scratch;
use storage::{
    Blobs, CollectionEntry, DataFolder, Disk, Expectation, FileLog, Log, Lsn, Manifest, Manifests,
    OsDisk, PointId, Record, SnapshotReader, Tables,
};

use crate::apply::Followers;
use crate::catalog::Catalog;
use crate::error::Error;
use crate::limits::GROUP_BYTES;
use crate::load::{load_collection, refill_tables};
use crate::options::Options;
use crate::shared::Shared;

/// What recovery hands over.
pub(crate) struct Recovered {
    pub(crate) shared: Shared,
    pub(crate) manifests: Manifests,
    pub(crate) report: Report,
}

/// What recovery did.
#[derive(Debug, Clone, Default)]
pub(crate) struct Report {
    pub(crate) tables_rebuilt: Option<String>,
    pub(crate) seconds: f64,
    pub(crate) replayed: u64,
}

/// Opens a data folder and brings everything up to the end of its log.
pub(crate) fn recover(options: Options) -> Result<Recovered, Error> {
    let started = Instant::now();
    let folder = DataFolder::open(&options.dir)?;
    let disk: Arc<dyn Disk> = Arc::new(OsDisk);
    let snapshots = folder.snapshots();
    disk.create_dir_all(&snapshots)
        .map_err(|error| Error::Corrupt(format!("{}: {error}", snapshots.display())))?;
    let usable = |manifest: &Manifest| {
        manifest.collections.iter().try_for_each(|entry| {
            let path = snapshots.join(&entry.snapshot.file);
            SnapshotReader::open(&*disk, &path, folder.store())?.verify()
        })
    };
    let (manifests, skipped) =
        Manifests::open(Arc::clone(&disk), folder.dir(), folder.store(), &usable)?;
    for reason in skipped {
        tracing::warn!(
            reason,
            "a checkpoint cannot be used, the one before is taken"
        );
    }
    let (log, cut) = FileLog::open(
        Arc::clone(&disk),
        &folder.log(),
        folder.store(),
        options.segment_bytes,
    )?;
    if let Some(cut) = cut {
        tracing::warn!(file = %cut.path.display(), cut.offset, cut.bytes, "a torn tail of the log was cut");
    }
    let base = manifests.newest().cloned();
    let checkpoint = base.as_ref().map_or(Lsn(0), |manifest| manifest.lsn);
    check_continuity(&log, checkpoint)?;
    let expected = Expectation {
        store: folder.store(),
        at_least: checkpoint,
        at_most: log.last_lsn(),
    };
    let opened = Tables::open(&folder.tables(), &expected)?;
    let blobs = Blobs::open(Arc::clone(&disk), &folder.blobs(), folder.store())?;
    let scratch = Scratch::new(folder.scratch()?);
    let source = Source {
        scratch: &scratch,
        folder: &folder,
        disk: &*disk,
        log: &log,
        blobs: &blobs,
        base: base.as_ref(),
    };
    let (mut tables, mut rebuilt) = (opened.tables, opened.rebuild);
    let (mut catalog, replayed) = source.build(&tables, rebuilt.is_some())?;
    // Without records after the checkpoint the tables are what was synced there.
    if replayed > 0 && rebuilt.is_none() && !tables_agree(&tables, &catalog) {
        let reason = "their points are not those of the indexes".to_owned();
        drop(tables);
        let opened = Tables::start_over(&folder.tables(), &expected, reason)?;
        (tables, rebuilt) = (opened.tables, opened.rebuild);
        catalog = source.build(&tables, true)?.0;
    }
    if let Some(reason) = &rebuilt {
        tracing::warn!(reason, "the tables were rebuilt from snapshots and log");
    }
    let durable = log.last_lsn();
    let shared = Shared::new(
        options,
        folder,
        disk,
        Box::new(log),
        tables,
        blobs,
        (catalog, scratch),
    );
    shared.start_at(durable, checkpoint);
    let report = Report {
        tables_rebuilt: rebuilt,
        seconds: started.elapsed().as_secs_f64(),
        replayed,
    };
    Ok(Recovered {
        shared,
        manifests,
        report,
    })
}

/// The log must go on where the checkpoint ends.
fn check_continuity(log: &FileLog, checkpoint: Lsn) -> Result<(), Error> {
    if log.first_lsn() > checkpoint.next() {
        let first = log.first_lsn();
        return Err(Error::Corrupt(format!(
            "the checkpoint ends at LSN {checkpoint}, but the log starts at {first}: records are missing"
        )));
    }
    if log.last_lsn() < checkpoint {
        let last = log.last_lsn();
        return Err(Error::Corrupt(format!(
            "the log ends at LSN {last}, before the checkpoint at {checkpoint}: log files are missing"
        )));
    }
    Ok(())
}

fn tables_agree(tables: &Tables, catalog: &Catalog) -> bool {
    catalog.all().iter().all(|collection| {
        let ids: HashSet<PointId> = collection.ids().into_iter().collect();
        tables.holds_exactly(collection.id, &ids)
    })
}

/// What everything is built from.
struct Source<'a> {
    scratch: &'a Scratch,
    folder: &'a DataFolder,
    disk: &'a dyn Disk,
    log: &'a FileLog,
    blobs: &'a Blobs,
    base: Option<&'a Manifest>,
}

impl Source<'_> {
    /// The collections at the end of the log, and how many records were replayed. Fills the tables
    /// from the snapshots too if they are empty.
    fn build(&self, tables: &Tables, refill: bool) -> Result<(Catalog, u64), Error> {
        let catalog =
            Catalog::starting_at(self.base.map_or(1, |manifest| manifest.next_collection));
        let entries = self
            .base
            .map(|manifest| manifest.collections.as_slice())
            .unwrap_or_default();
        for entry in entries {
            let reader = self.open_snapshot(entry)?;
            let collection = load_collection(&reader, entry, self.scratch)?;
            if refill {
                refill_tables(tables, &reader, entry, &collection)?;
            }
            catalog.insert(collection);
        }
        let aliases = self.base.map(|manifest| manifest.aliases.as_slice());
        let aliases = aliases.unwrap_or_default().iter();
        catalog.change_aliases(
            aliases
                .map(|(alias, id)| (alias.clone(), Some(*id)))
                .collect(),
        );
        let from = self.base.map_or(Lsn(1), |manifest| manifest.lsn.next());
        let replayed = self.replay(tables, &catalog, from)?;
        if refill {
            tables.apply(self.log.last_lsn(), &[])?;
            tables.flush_and_sync()?;
        }
        Ok((catalog, replayed))
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

    fn replay(&self, tables: &Tables, catalog: &Catalog, from: Lsn) -> Result<u64, Error> {
        let followers = Followers {
            tables,
            blobs: self.blobs,
            catalog,
            scratch: self.scratch,
        };
        let (mut group, mut bytes, mut count) = (Vec::new(), 0, 0);
        for record in self.log.read_from(from)? {
            let (lsn, encoded) = record?;
            bytes += encoded.len();
            count += 1;
            group.push((lsn, Record::decode(&encoded)?));
            if bytes >= GROUP_BYTES {
                // A record whose collection has gone does nothing now as it did then.
                followers.apply(std::mem::take(&mut group))?;
                bytes = 0;
            }
        }
        followers.apply(group)?;
        Ok(count)
    }
}
