//! When the tables have met a disk that takes nothing, what they hold is read from snapshots and log.
//!
//! sled fails reads too then: on the way to a row it splits pages and writes out what a page needs.
//! Whoever is first to see that stops all writing, as any failure of a follower does, and has the
//! applier read the rows of all points into RAM, between two groups, so that they are as the indexes
//! are. A restart begins with tables again. A picture of a face that came after the last checkpoint
//! can be missing until then, if sled cannot say where it lies.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use storage::{
    CollectionId, FaceRecord, FaceRow, Lsn, Manifest, Manifests, PointId, Record, SnapshotReader,
    Spare, TableChange, Tables, read_rows,
};

use crate::backup::full_rows;
use crate::changes::table_changes;
use crate::commit::Work;
use crate::engine::Engine;
use crate::error::Error;
use crate::keep::new_payloads;
use crate::sections;
use crate::shared::Shared;
use crate::sync::bounded;

impl Engine {
    /// Reads the tables, or what stands in for them once they have failed.
    pub(crate) fn reading<T>(
        &self,
        read: impl Fn(&Tables) -> Result<T, storage::Error>,
    ) -> Result<T, Error> {
        let shared = self.shared();
        match read(&shared.tables) {
            Err(error) if error.is_of_tables() && !shared.tables.is_stood_in_for() => {
                let error = Error::from(error);
                let stopped = shared.read_only().is_some() || matches!(error, Error::ReadOnly(_));
                if !stopped && !error.is_disk_full() {
                    return Err(error);
                }
                shared.latch_apply(&error.to_string());
                self.have_spare()?;
                Ok(read(&shared.tables)?)
            }
            read => Ok(read?),
        }
    }

    fn have_spare(&self) -> Result<(), Error> {
        let (reply, done) = bounded(1);
        self.work()?
            .send(Work::StandIn(reply))
            .map_err(|_| Error::Stopped)?;
        done.recv().map_err(|_| Error::Stopped)?
    }
}

/// Has rows be read from RAM from now on; called by the applier, which applies no more.
pub(crate) fn stand_in(shared: &Shared) -> Result<(), Error> {
    if shared.tables.is_stood_in_for() {
        return Ok(());
    }
    let applied = Lsn(shared.progress.applied.load(Ordering::Acquire));
    let (mut spare, base) = from_snapshots(shared)?;
    let log = shared.log.lock();
    for record in log.read_from(base.next())? {
        let (lsn, bytes) = record?;
        if lsn > applied {
            break;
        }
        replay(shared, &mut spare, (lsn, Record::decode(&bytes)?))?;
    }
    drop(log);
    tracing::warn!("payloads are served from memory until a restart: the tables have failed");
    shared.tables.stand_in(spare);
    Ok(())
}

/// Rows as the newest checkpoint has them, and its place in the log.
fn from_snapshots(shared: &Shared) -> Result<(Spare, Lsn), Error> {
    let (disk, folder) = (&shared.disk, &shared.folder);
    let as_it_is = |_: &Manifest| Ok(());
    let opened = Manifests::open(Arc::clone(disk), folder.dir(), folder.store(), &as_it_is)?;
    let mut spare = Spare::default();
    let Some(newest) = opened.manifests.newest() else {
        return Ok((spare, Lsn(0)));
    };
    for entry in &newest.collections {
        let path = folder.snapshots().join(&entry.snapshot.file);
        let reader = SnapshotReader::open(&**disk, &path, folder.store())?;
        for row in read_rows(reader.part().section(sections::POINTS)?) {
            let row = row?;
            spare.apply(&[TableChange::PutPoint {
                collection: entry.id,
                id: row.id,
                lsn: newest.lsn,
                payload: &row.payload,
                face: row.face,
            }]);
        }
    }
    Ok((spare, newest.lsn))
}

fn replay(shared: &Shared, spare: &mut Spare, record: (Lsn, Record)) -> Result<(), Error> {
    let (lsn, known) = (record.0, &record.1);
    match known {
        Record::DropCollection { id } => spare.drop_collection(*id),
        Record::Restore {
            file, collections, ..
        } => {
            let reader = shared.restores.open(file)?;
            for restored in collections {
                restored
                    .replaces
                    .iter()
                    .for_each(|id| spare.drop_collection(*id));
                for row in full_rows(&reader.part(restored.part as usize))? {
                    let row = row?;
                    let face = row.face.map(|face| face.row);
                    spare.apply(&[TableChange::PutPoint {
                        collection: restored.id,
                        id: row.id,
                        lsn,
                        payload: &row.payload,
                        face: face.map(|face| placed(shared, restored.id, &row.id, face)),
                    }]);
                }
            }
        }
        _ => {}
    }
    let faces = match known {
        Record::Upsert { collection, points } => points
            .iter()
            .map(|point| {
                let face = point.face.as_ref()?;
                Some(placed(
                    shared,
                    *collection,
                    &point.id,
                    without_pictures(face),
                ))
            })
            .collect(),
        _ => Vec::new(),
    };
    let payload = |of: CollectionId, id: &PointId| Ok(spare.payload(of, id).map(<[u8]>::to_vec));
    let records = std::slice::from_ref(&record);
    let payloads = new_payloads(&payload, records)?;
    let mut changes = Vec::new();
    for ((lsn, record), payloads) in records.iter().zip(&payloads) {
        table_changes(*lsn, record, &faces, payloads, &mut changes);
    }
    spare.apply(&changes);
    Ok(())
}

fn without_pictures(face: &FaceRecord) -> FaceRow {
    FaceRow {
        bounding_box: face.bounding_box,
        landmarks: face.landmarks,
        confidence: face.confidence,
        crop: None,
        photo: None,
    }
}

/// With the places of its pictures, if the tables can still say.
fn placed(shared: &Shared, of: CollectionId, id: &PointId, face: FaceRow) -> FaceRow {
    let bare = |face: &FaceRow| FaceRow {
        crop: None,
        photo: None,
        ..face.clone()
    };
    match shared.tables.face(of, id) {
        Ok(Some(row)) if bare(&row) == bare(&face) => row,
        _ => bare(&face),
    }
}
