//! The sled tables: points, payloads and faces by key, a follower of the log. Vectors are not
//! among them: those are in the log, in snapshots and in the indexes.
//!
//! sled is a materialised view, never the authority: 0.34 does not fsync when it says so and may
//! panic on a file that a power cut has torn. So every change goes through one transaction over all
//! tables, with the applied LSN in it; files are synced by us; opening happens on a guarded thread;
//! and whatever cannot be trusted is moved aside to be rebuilt from snapshot and log.

mod ids;
mod open;
mod rewrite;
mod spare;

use std::collections::HashSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use parking_lot::{MappedRwLockReadGuard, RwLock, RwLockReadGuard};
use serde::{Deserialize, Serialize};
use sled::transaction::{ConflictableTransactionError, TransactionError, Transactional};
use sled::{Batch, Db, Tree};

use crate::blobs::BlobRef;
use crate::disk::{Disk, OsDisk};
use crate::error::Error;
use crate::ids::{CollectionId, Lsn, PointId};
use crate::limits::{ROW_BYTES, TRANSACTION_BYTES};
use crate::payload::decode_exact;

pub use open::{Expectation, OpenedTables};
pub use spare::Spare;

const APPLIED: &[u8] = b"applied_lsn";
const STORE: &[u8] = b"store";

/// The open tables. Cheap to clone; clones share them.
#[derive(Clone)]
pub struct Tables {
    path: PathBuf,
    /// Absent only when a rewrite could not open what it had written. Nothing of it is handed out,
    /// so that whoever may write here has it alone.
    open: Arc<RwLock<Option<Trees>>>,
    /// What is read instead, once sled has failed.
    spare: Arc<OnceLock<Spare>>,
}

/// What sled has open.
struct Trees {
    db: Db,
    meta: Tree,
    points: Tree,
    payloads: Tree,
    faces: Tree,
}

/// A change of the tables.
pub enum TableChange<'a> {
    /// A point is put whole.
    PutPoint {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        id: PointId,
        /// The record that put it.
        lsn: Lsn,
        /// Its payload, MessagePack.
        payload: &'a [u8],
        /// Its face; a face it had before goes.
        face: Option<FaceRow>,
    },
    /// A point that is there has another payload.
    PutPayload {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        id: PointId,
        /// The payload, MessagePack.
        payload: &'a [u8],
    },
    /// A point is not there any more.
    DeletePoint {
        /// Its collection.
        collection: CollectionId,
        /// Its id.
        id: PointId,
    },
}

impl TableChange<'_> {
    /// The point that changes.
    pub fn point(&self) -> (CollectionId, PointId) {
        match self {
            TableChange::PutPoint { collection, id, .. }
            | TableChange::PutPayload { collection, id, .. }
            | TableChange::DeletePoint { collection, id } => (*collection, *id),
        }
    }
}

/// A face as the tables keep it; the pictures lie in blob files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FaceRow {
    /// `x, y, width, height` in pixels.
    pub bounding_box: [f32; 4],
    /// Five points in pixels.
    pub landmarks: [[f32; 2]; 5],
    /// The detector's confidence.
    pub confidence: f32,
    /// The cut-out face.
    pub crop: Option<BlobRef>,
    /// The whole photo.
    pub photo: Option<BlobRef>,
}

#[derive(Default)]
struct Batches {
    bytes: usize,
    points: Batch,
    payloads: Batch,
    faces: Batch,
}

fn fail(error: impl std::fmt::Display) -> Error {
    Error::Tables(error.to_string())
}

/// sled hides the system's answer in an error of its own, behind a debug text.
impl From<sled::Error> for Error {
    fn from(error: sled::Error) -> Self {
        match error {
            sled::Error::Io(io)
                if matches!(
                    io.kind(),
                    io::ErrorKind::StorageFull | io::ErrorKind::ReadOnlyFilesystem
                ) =>
            {
                Error::TablesDisk(io.kind())
            }
            other => fail(other),
        }
    }
}

fn row_key(collection: CollectionId, id: &PointId) -> Vec<u8> {
    [collection.0.to_be_bytes().as_slice(), &id.key()].concat()
}

fn incomplete_key(collection: CollectionId) -> Vec<u8> {
    [b"incomplete".as_slice(), &collection.0.to_be_bytes()].concat()
}

impl Tables {
    fn trees(&self) -> Result<MappedRwLockReadGuard<'_, Trees>, Error> {
        RwLockReadGuard::try_map(self.open.read(), Option::as_ref).map_err(|_| Error::TablesShut)
    }

    /// Has points, payloads and faces be read from elsewhere from now on; the first to say so is
    /// heeded. Nothing may be applied any more.
    pub fn stand_in(&self, spare: Spare) {
        let _ = self.spare.set(spare);
    }

    /// Whether rows are read from elsewhere.
    pub fn is_stood_in_for(&self) -> bool {
        self.spare.get().is_some()
    }

    /// Applies changes in order, atomically in pieces of bounded size; the last piece carries
    /// `upto`, so that a crash between pieces leaves them to a replay.
    pub fn apply(&self, upto: Lsn, changes: &[TableChange<'_>]) -> Result<(), Error> {
        self.commit(&self.apply_most(changes)?, Some(upto))
    }

    /// Applies changes that are a part of what a record says; [`Tables::apply`] follows with the
    /// rest and the record's LSN.
    pub fn apply_part(&self, changes: &[TableChange<'_>]) -> Result<(), Error> {
        self.commit(&self.apply_most(changes)?, None)
    }

    /// All but the last piece, which is returned.
    fn apply_most(&self, changes: &[TableChange<'_>]) -> Result<Batches, Error> {
        let mut batches = Batches::default();
        for change in changes {
            batches.add(change)?;
            if batches.bytes >= TRANSACTION_BYTES {
                self.commit(&std::mem::take(&mut batches), None)?;
            }
        }
        Ok(batches)
    }

    fn commit(&self, batches: &Batches, applied: Option<Lsn>) -> Result<(), Error> {
        let open = self.trees()?;
        let trees = (&open.meta, &open.points, &open.payloads, &open.faces);
        let done: Result<(), TransactionError<()>> =
            trees.transaction(|(meta, points, payloads, faces)| {
                points.apply_batch(&batches.points)?;
                payloads.apply_batch(&batches.payloads)?;
                faces.apply_batch(&batches.faces)?;
                if let Some(lsn) = applied {
                    meta.insert(APPLIED, &lsn.0.to_be_bytes())?;
                }
                Ok::<(), ConflictableTransactionError<()>>(())
            });
        done.map_err(|error| match error {
            TransactionError::Abort(()) => fail("a transaction was given up"),
            TransactionError::Storage(error) => error.into(),
        })
    }

    /// The last record that was applied.
    pub fn applied_lsn(&self) -> Result<Lsn, Error> {
        let bytes = self.trees()?.meta.get(APPLIED)?;
        let number = bytes.map_or(Some(0), |bytes| {
            Some(u64::from_be_bytes(bytes.as_ref().try_into().ok()?))
        });
        number
            .map(Lsn)
            .ok_or_else(|| fail("the applied LSN is malformed"))
    }

    /// The record that put a point. Rows of older programs go on with the point's vector.
    pub fn put_by(&self, collection: CollectionId, id: &PointId) -> Result<Option<Lsn>, Error> {
        let Some(row) = self.trees()?.points.get(row_key(collection, id))? else {
            return Ok(None);
        };
        let lsn = row.first_chunk::<8>();
        lsn.map(|lsn| Some(Lsn(u64::from_le_bytes(*lsn))))
            .ok_or_else(|| fail(format!("the row of point {id} is malformed")))
    }

    /// A point's payload, MessagePack.
    pub fn payload(
        &self,
        collection: CollectionId,
        id: &PointId,
    ) -> Result<Option<Vec<u8>>, Error> {
        if let Some(spare) = self.spare.get() {
            return Ok(spare.payload(collection, id).map(<[u8]>::to_vec));
        }
        Ok(self
            .trees()?
            .payloads
            .get(row_key(collection, id))?
            .map(|row| row.to_vec()))
    }

    /// A point's face.
    pub fn face(&self, collection: CollectionId, id: &PointId) -> Result<Option<FaceRow>, Error> {
        if let Some(spare) = self.spare.get() {
            return Ok(spare.face(collection, id).cloned());
        }
        let row = self.trees()?.faces.get(row_key(collection, id))?;
        row.map(|row| decode_exact("a face", &row)).transpose()
    }

    /// Whether a point is there.
    pub fn contains(&self, collection: CollectionId, id: &PointId) -> Result<bool, Error> {
        self.trees()?
            .payloads
            .contains_key(row_key(collection, id))
            .map_err(Error::from)
    }

    /// The ids of a collection in order, from `from` on.
    pub fn ids(
        &self,
        collection: CollectionId,
        from: Option<&PointId>,
    ) -> impl Iterator<Item = Result<PointId, Error>> + use<> {
        match self.spare.get() {
            Some(spare) => {
                let ids = spare.ids(collection, from).collect();
                ids::Ids::known(self.clone(), collection, ids)
            }
            None => ids::Ids::new(self.clone(), |trees| &trees.payloads, collection, from),
        }
    }

    /// The ids of the points that have a face, in order.
    pub fn faced_ids(
        &self,
        collection: CollectionId,
    ) -> impl Iterator<Item = Result<PointId, Error>> + use<> {
        ids::Ids::new(self.clone(), |trees| &trees.faces, collection, None)
    }

    /// Whether the tables hold exactly these points in this collection. sled may panic on pages
    /// that a power cut has torn; that counts as no.
    pub fn holds_exactly(&self, collection: CollectionId, expected: &HashSet<PointId>) -> bool {
        let compare = || -> Result<bool, Error> {
            let mut count = 0;
            for id in self.ids(collection, None) {
                let id = id?;
                if !expected.contains(&id)
                    || !self
                        .trees()?
                        .points
                        .contains_key(row_key(collection, &id))?
                {
                    return Ok(false);
                }
                count += 1;
            }
            Ok(count == expected.len())
        };
        matches!(
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(compare)),
            Ok(Ok(true))
        )
    }

    /// Notes that rows of a collection are missing, because they were rebuilt while its snapshot
    /// could not be read.
    pub fn mark_incomplete(&self, collection: CollectionId) -> Result<(), Error> {
        self.trees()?.meta.insert(incomplete_key(collection), b"")?;
        Ok(())
    }

    /// Notes that no row of a collection is missing any more.
    pub fn mark_complete(&self, collection: CollectionId) -> Result<(), Error> {
        self.trees()?.meta.remove(incomplete_key(collection))?;
        Ok(())
    }

    /// Whether rows of a collection are missing.
    pub fn is_incomplete(&self, collection: CollectionId) -> Result<bool, Error> {
        Ok(self
            .trees()?
            .meta
            .contains_key(incomplete_key(collection))?)
    }

    /// Removes the rows of a dropped collection.
    pub fn sweep_dropped(&self, collection: CollectionId) -> Result<(), Error> {
        let open = self.trees()?;
        for tree in [&open.points, &open.payloads, &open.faces] {
            loop {
                let mut batch = Batch::default();
                let keys = tree
                    .scan_prefix(collection.0.to_be_bytes())
                    .keys()
                    .take(1_000);
                let keys: Vec<_> = keys.collect::<Result<_, _>>()?;
                if keys.is_empty() {
                    break;
                }
                keys.into_iter().for_each(|key| batch.remove(key));
                tree.apply_batch(batch)?;
            }
        }
        Ok(())
    }

    /// Makes everything applied so far durable. sled's own flush does not fsync, so its files and
    /// folders are synced here.
    pub fn flush_and_sync(&self) -> Result<(), Error> {
        self.trees()?.db.flush()?;
        sync_tree(&self.path)
    }

    /// Bytes of the files.
    pub fn disk_bytes(&self) -> u64 {
        self.trees()
            .and_then(|open| Ok(open.db.size_on_disk()?))
            .unwrap_or(0)
    }
}

/// Syncs every file of a folder, then the folder, then those inside.
fn sync_tree(dir: &Path) -> Result<(), Error> {
    for name in OsDisk.list(dir).map_err(Error::io(dir, "list"))? {
        let path = dir.join(name);
        if path.is_dir() {
            sync_tree(&path)?;
            continue;
        }
        match OsDisk.open(&path) {
            // sled removes old snapshot files at any time.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            file => file
                .and_then(|file| file.sync())
                .map_err(Error::io(&path, "sync"))?,
        }
    }
    OsDisk
        .sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))
}

impl Batches {
    fn add(&mut self, change: &TableChange<'_>) -> Result<(), Error> {
        let encode = |error: rmp_serde::encode::Error| fail(error);
        match change {
            TableChange::PutPoint {
                collection,
                id,
                lsn,
                payload,
                face,
            } => {
                let key = row_key(*collection, id);
                self.bytes += payload.len() + ROW_BYTES;
                self.points.insert(key.as_slice(), &lsn.0.to_le_bytes());
                self.payloads.insert(key.as_slice(), *payload);
                match face {
                    Some(face) => self
                        .faces
                        .insert(key, rmp_serde::to_vec(face).map_err(encode)?),
                    None => self.faces.remove(key),
                }
            }
            TableChange::PutPayload {
                collection,
                id,
                payload,
            } => {
                self.bytes += payload.len() + ROW_BYTES;
                self.payloads.insert(row_key(*collection, id), *payload);
            }
            TableChange::DeletePoint { collection, id } => {
                let key = row_key(*collection, id);
                self.bytes += ROW_BYTES;
                self.points.remove(key.as_slice());
                self.payloads.remove(key.as_slice());
                self.faces.remove(key);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_takes_nothing_is_told_in_words() {
        for (kind, words) in [
            (io::ErrorKind::StorageFull, "no storage space"),
            (io::ErrorKind::ReadOnlyFilesystem, "read-only"),
        ] {
            // The system's answer comes with a debug text of sled's.
            let answer = io::Error::new(kind, "Os { code: 28 }");
            let error = Error::from(sled::Error::Io(answer));
            let text = error.to_string();
            assert!(text.contains(words) && !text.contains("Os"), "{text}");
            // As it is known after it went through a writer of a file.
            assert_eq!(io::Error::from(error).kind(), kind);
        }
        let other = Error::from(sled::Error::Unsupported("x".into())).to_string();
        assert!(other.starts_with("tables: "), "{other}");
    }
}
