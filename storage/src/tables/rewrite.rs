//! Writing the tables anew, so that nothing of what was deleted is left in their files: sled keeps
//! old rows in its log until it needs the room, and says nothing of when that is.
//!
//! The new tables are written beside the old ones and synced, then the two change places. If power
//! goes between the two renames there are no tables, as there may be after any power cut: they are
//! rebuilt from snapshots and log. What was set aside is removed at the next start.

use std::fs;
use std::io::ErrorKind;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use sled::{Batch, Tree};

use super::open::open_guarded;
use super::{FaceRow, Tables, fail};
use crate::blobs::BlobRef;
use crate::disk::{Disk, OsDisk};
use crate::error::Error;
use crate::ids::{CollectionId, PointId};
use crate::limits::{ROW_BYTES, TRANSACTION_BYTES};
use crate::payload::decode_exact;

/// Says where a picture is from now on.
pub(super) type Moved<'a> =
    &'a mut dyn FnMut(CollectionId, PointId, BlobRef) -> Result<BlobRef, Error>;

/// The tables while and after they are written anew.
fn beside(path: &Path) -> (PathBuf, PathBuf) {
    (path.with_extension("new"), path.with_extension("old"))
}

/// Removes what a rewrite has left behind.
pub(super) fn tidy(path: &Path) -> Result<(), Error> {
    let (new, old) = beside(path);
    remove(&new)?;
    remove(&old)
}

fn remove(dir: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        removed => removed.map_err(Error::io(dir, "remove")),
    }
}

impl Tables {
    /// Tells of every face.
    pub fn each_face(
        &self,
        tell: &mut dyn FnMut(CollectionId, PointId, FaceRow) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let open = self.trees()?;
        open.faces.iter().try_for_each(|row| {
            let (key, row) = row?;
            let (collection, id) = owner(&key)?;
            tell(collection, id, decode_exact("a face", &row)?)
        })
    }

    /// Writes the tables anew; nothing may be applied meanwhile, reading goes on but for a moment.
    /// Tables that were moved aside as broken go too.
    /// `settle` makes durable what the new tables point to, before they take the place of the old.
    pub fn rewrite(
        &self,
        moved: Moved<'_>,
        settle: &mut dyn FnMut() -> Result<(), Error>,
    ) -> Result<(), Error> {
        tidy(&self.path)?;
        let (new, old) = beside(&self.path);
        let copied = catch_unwind(AssertUnwindSafe(|| self.copy_to(&new, moved)));
        copied.unwrap_or_else(|_| Err(fail("sled panicked")))?;
        settle()?;
        let mut open = self.open.write();
        drop(open.take());
        fs::rename(&self.path, &old).map_err(Error::io(&self.path, "rename"))?;
        fs::rename(&new, &self.path).map_err(Error::io(&new, "rename"))?;
        if let Some(parent) = self.path.parent() {
            OsDisk
                .sync_dir(parent)
                .map_err(Error::io(parent, "sync the folder"))?;
        }
        *open = open_guarded(&self.path)?.open.write().take();
        drop(open);
        remove(&old)?;
        remove(&self.path.with_extension("broken"))
    }

    fn copy_to(&self, new: &Path, moved: Moved<'_>) -> Result<(), Error> {
        let target = open_guarded(new)?;
        {
            let (from, to) = (self.trees()?, target.trees()?);
            let mut same = |_: &[u8], row: &[u8]| Ok(row.to_vec());
            copy(&from.meta, &to.meta, &mut same)?;
            copy(&from.points, &to.points, &mut same)?;
            copy(&from.payloads, &to.payloads, &mut same)?;
            copy(&from.faces, &to.faces, &mut |key, row| {
                let (collection, id) = owner(key)?;
                let mut face: FaceRow = decode_exact("a face", row)?;
                for place in [&mut face.crop, &mut face.photo].into_iter().flatten() {
                    *place = moved(collection, id, *place)?;
                }
                rmp_serde::to_vec(&face).map_err(fail)
            })?;
        }
        target.flush_and_sync()
    }
}

fn owner(key: &[u8]) -> Result<(CollectionId, PointId), Error> {
    let owner = || {
        let (collection, id) = key.split_first_chunk::<8>()?;
        let collection = CollectionId(u64::from_be_bytes(*collection));
        Some((collection, PointId::from_key(id)?))
    };
    owner().ok_or_else(|| fail("a key is malformed"))
}

type Change<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> Result<Vec<u8>, Error>;

fn copy(from: &Tree, to: &Tree, change: Change<'_>) -> Result<(), Error> {
    let (mut batch, mut bytes) = (Batch::default(), 0);
    for row in from {
        let (key, row) = row?;
        let row = change(&key, &row)?;
        bytes += key.len() + row.len() + ROW_BYTES;
        batch.insert(key, row);
        if bytes >= TRANSACTION_BYTES {
            to.apply_batch(std::mem::take(&mut batch))?;
            bytes = 0;
        }
    }
    Ok(to.apply_batch(batch)?)
}
