//! Recovery: a base at LSN x, and then what follows in the log, by the same code that applies new
//! records.

use std::collections::{BTreeMap, HashSet};
use std::io::Read;
use std::sync::Arc;
use std::time::Instant;

use hnsw::Scratch;
use storage::{
    Blobs, CollectionEntry, DataFolder, Disk, Expectation, FileLog, Log, Lsn, Manifest, Manifests,
    OsDisk, PointId, Record, SnapshotReader, TableChange, Tables, VectorId, read_rows,
};

use crate::apply::Followers;
use crate::catalog::Catalog;
use crate::collection::{Collection, State};
use crate::convert;
use crate::error::Error;
use crate::limits::GROUP_BYTES;
use crate::numbers::Numbers;
use crate::options::Options;
use crate::shared::Shared;
use crate::space::{NOBODY, Space};

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

fn load_collection(
    reader: &SnapshotReader,
    entry: &CollectionEntry,
    scratch: &Scratch,
) -> Result<Collection, Error> {
    let corrupt = |what: String| Error::Corrupt(format!("{}: {what}", reader.path().display()));
    let spec = convert::spec(&entry.config);
    let mut section = reader.section("index")?;
    let len = section.size();
    let index = hnsw::Index::read(&mut section, len, spec.on_disk.then(|| scratch.clone()))
        .map_err(|error| corrupt(error.to_string()))?;
    if *index.params() != spec.params() {
        return Err(corrupt(
            "the index has other settings than its collection".into(),
        ));
    }
    let ids = read_ids(reader.section("ids")?, index.slots()).map_err(corrupt)?;
    // In this form of a snapshot the ids stand slot by slot: slots become numbers.
    let by_slot = (0u32..).zip(&ids);
    let by_slot = by_slot.map(|(number, id)| id.map_or(NOBODY, |_| number));
    let by_slot: Vec<u32> = by_slot.collect();
    let numbers = Numbers::from_ids(ids).map_err(corrupt)?;
    let is_point = |number| numbers.id(number).is_some();
    let space = Space::with_numbers(index, &by_slot, is_point).map_err(corrupt)?;
    let state = State {
        numbers,
        spaces: BTreeMap::from([(VectorId::UNNAMED, space)]),
    };
    let changed = Lsn(entry.snapshot.changed);
    Ok(Collection::with_state(
        entry.id,
        entry.config.name.clone(),
        spec,
        state,
        changed,
    ))
}

fn read_ids(mut input: impl Read, slots: usize) -> Result<Vec<Option<PointId>>, String> {
    let mut ids = Vec::new();
    let mut length = [0];
    while input.read(&mut length).map_err(|error| error.to_string())? == 1 {
        let [length] = length;
        let mut key = vec![0; usize::from(length)];
        input
            .read_exact(&mut key)
            .map_err(|error| error.to_string())?;
        ids.push(match key.as_slice() {
            [] => None,
            key => Some(PointId::from_key(key).ok_or("an id is malformed")?),
        });
    }
    if ids.len() > slots {
        return Err(format!("{} ids for {slots} slots", ids.len()));
    }
    ids.resize(slots, None);
    Ok(ids)
}

fn refill_tables(
    tables: &Tables,
    reader: &SnapshotReader,
    entry: &CollectionEntry,
    collection: &Collection,
) -> Result<(), Error> {
    tables.apply(
        Lsn(0),
        &[TableChange::PutCollection {
            id: entry.id,
            config: &entry.config,
        }],
    )?;
    let mut rows = read_rows(reader.section("points")?);
    loop {
        let piece: Vec<_> = rows.by_ref().take(1_000).collect::<Result<_, _>>()?;
        if piece.is_empty() {
            return Ok(());
        }
        let ids: Vec<PointId> = piece.iter().map(|row| row.id).collect();
        let vectors = collection.vectors(VectorId::UNNAMED, &ids);
        let puts = piece.iter().zip(&vectors).filter_map(|(row, vector)| {
            Some(TableChange::PutPoint {
                collection: entry.id,
                id: row.id,
                lsn: Lsn(entry.snapshot.changed),
                vector: vector.as_deref()?,
                payload: &row.payload,
                face: row.face.clone(),
            })
        });
        tables.apply(Lsn(0), &puts.collect::<Vec<_>>())?;
    }
}
