//! Blob files: crops and photos, append-only, each with a checksum and the name of its owner.
//!
//! A blob is durable once [`Blobs::sync`] has returned; until then the log still holds it. Every
//! opening starts a new file at the first append, so that a torn tail is never written after.
//! Blobs that no row points to any more stay until somebody has those of their file that are in use
//! written once more, and removes it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile, make_dir};
use crate::error::Error;
use crate::ids::{CollectionId, Lsn, PointId};
use crate::limits::{BLOB_FILE_BYTES, MAX_BLOB_BYTES};

const SUFFIX: &str = ".blob";
const MAGIC: &[u8; 8] = b"doppelBL";
const VERSION: u32 = 1;
const FILE_HEADER: u64 = 32;
const BLOB_MAGIC: u32 = 0x424f_4c42;
/// Bytes before a blob: magic, checksum, length, collection, LSN, kind, id (padded).
const BLOB_HEADER: usize = 48;

/// Which picture a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlobKind {
    /// The cut-out face.
    Crop = 1,
    /// The whole photo.
    Photo = 2,
}

/// Where a blob is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobRef {
    /// The number of its file.
    pub file: u32,
    /// Where its header starts.
    pub offset: u64,
    /// Its bytes, without the header.
    pub len: u32,
}

/// The blob files of a data folder.
pub struct Blobs {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: u128,
    inner: Mutex<Inner>,
}

struct Inner {
    next_file: u32,
    writing: Option<Writing>,
    unsynced: Vec<Arc<dyn DiskFile>>,
    reading: HashMap<u32, Arc<dyn DiskFile>>,
    bytes: u64,
}

struct Writing {
    number: u32,
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl Blobs {
    /// Opens the blob files in `dir`.
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, store: u128) -> Result<Self, Error> {
        make_dir(&*disk, dir).map_err(Error::io(dir, "make the folder"))?;
        let (mut next_file, mut bytes) = (1, 0);
        for name in disk.list(dir).map_err(Error::io(dir, "list"))? {
            let Some(number) = number_of(&name) else {
                continue;
            };
            next_file = next_file.max(number.saturating_add(1));
            let path = dir.join(&name);
            let file = disk.open(&path).map_err(Error::io(&path, "open"))?;
            bytes += file.len().map_err(Error::io(&path, "measure"))?;
        }
        let inner = Inner {
            next_file,
            writing: None,
            unsynced: Vec::new(),
            reading: HashMap::new(),
            bytes,
        };
        Ok(Self {
            disk,
            dir: dir.to_owned(),
            store,
            inner: Mutex::new(inner),
        })
    }

    fn path(&self, number: u32) -> PathBuf {
        self.dir.join(format!("{number:010}{SUFFIX}"))
    }

    /// Writes a blob at the end; not durable yet.
    pub fn append(
        &self,
        collection: CollectionId,
        id: &PointId,
        kind: BlobKind,
        lsn: Lsn,
        bytes: &[u8],
    ) -> Result<BlobRef, Error> {
        let len = u32::try_from(bytes.len())
            .ok()
            .filter(|_| bytes.len() <= MAX_BLOB_BYTES);
        let len = len.ok_or(Error::TooLarge {
            what: "a picture",
            got: bytes.len(),
            limit: MAX_BLOB_BYTES,
        })?;
        let header = encode_header(collection, id, kind, lsn, len, bytes);
        self.put(&[header.as_slice(), bytes].concat(), len)
    }

    /// Writes a blob with its header at the end.
    fn put(&self, blob: &[u8], len: u32) -> Result<BlobRef, Error> {
        let mut inner = self.inner.lock();
        if inner
            .writing
            .as_ref()
            .is_none_or(|writing| writing.end >= BLOB_FILE_BYTES)
        {
            self.start_file(&mut inner)?;
        }
        let Inner {
            writing: Some(writing),
            bytes: total,
            ..
        } = &mut *inner
        else {
            return Err(Error::corrupt(&self.dir, 0, "no blob file is open"));
        };
        let path = self.path(writing.number);
        writing
            .file
            .write_at(blob, writing.end)
            .map_err(Error::io(&path, "write"))?;
        let place = BlobRef {
            file: writing.number,
            offset: writing.end,
            len,
        };
        writing.end += blob.len() as u64;
        *total += blob.len() as u64;
        Ok(place)
    }

    fn start_file(&self, inner: &mut Inner) -> Result<(), Error> {
        let number = inner.next_file;
        // Taken, whatever comes of it: if this fails the file may be there, and whoever has listed the
        // files by then would later remove one of the same name.
        inner.next_file = number.saturating_add(1);
        let path = self.path(number);
        let file: Arc<dyn DiskFile> = self
            .disk
            .create(&path)
            .map_err(Error::io(&path, "create"))?
            .into();
        let mut header = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &self.store.to_le_bytes(),
        ]
        .concat();
        header.extend_from_slice(&checksum(&[&header]).to_le_bytes());
        file.write_at(&header, 0)
            .map_err(Error::io(&path, "write"))?;
        inner.unsynced.push(Arc::clone(&file));
        inner.reading.insert(number, Arc::clone(&file));
        inner.writing = Some(Writing {
            number,
            file,
            end: FILE_HEADER,
        });
        Ok(())
    }

    /// Makes all blobs appended so far durable.
    pub fn sync(&self) -> Result<(), Error> {
        let files = {
            let mut inner = self.inner.lock();
            let mut files = std::mem::take(&mut inner.unsynced);
            // The file being written may get more blobs while this runs; it is synced again next time.
            if let Some(writing) = &inner.writing {
                let file = Arc::clone(&writing.file);
                inner.unsynced.push(Arc::clone(&file));
                files.push(file);
            }
            files
        };
        for file in files {
            file.sync()
                .map_err(Error::io(&self.dir, "sync a blob file"))?;
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io(&self.dir, "sync the folder"))
    }

    /// Reads a blob and checks that it is whole and belongs to this point.
    pub fn read(
        &self,
        place: &BlobRef,
        collection: CollectionId,
        id: &PointId,
    ) -> Result<Vec<u8>, Error> {
        Ok(self.read_whole(place, collection, id)?.1)
    }

    /// A blob's header and its bytes.
    fn read_whole(
        &self,
        place: &BlobRef,
        collection: CollectionId,
        id: &PointId,
    ) -> Result<(Vec<u8>, Vec<u8>), Error> {
        let path = self.path(place.file);
        let damaged = |what: &str| Error::corrupt(&path, place.offset, what);
        if place.len as usize > MAX_BLOB_BYTES {
            return Err(damaged("the row points to a blob over the limit"));
        }
        let file = self.reader(place.file, &path)?;
        let mut blob = vec![0; BLOB_HEADER + place.len as usize];
        let got = file
            .read_at(&mut blob, place.offset)
            .map_err(Error::io(&path, "read"))?;
        if got < blob.len() {
            return Err(damaged("the blob is cut off"));
        }
        let bytes = blob.split_off(BLOB_HEADER);
        let owner =
            decode_header(&blob, &bytes).ok_or_else(|| damaged("the blob's checksum is wrong"))?;
        if owner != (collection, *id) {
            return Err(damaged("the blob belongs to another point"));
        }
        Ok((blob, bytes))
    }

    /// The files that hold more than these many bytes of blobs that are in use. What is written to
    /// at the moment ends here, so that every file is told.
    pub fn stale(&self, used: &HashMap<u32, u64>) -> Result<Vec<u32>, Error> {
        self.inner.lock().writing = None;
        let mut stale = Vec::new();
        for name in self
            .disk
            .list(&self.dir)
            .map_err(Error::io(&self.dir, "list"))?
        {
            let Some(number) = number_of(&name) else {
                continue;
            };
            let path = self.path(number);
            let file = self.reader(number, &path)?;
            let len = file.len().map_err(Error::io(&path, "measure"))?;
            if len != FILE_HEADER + used.get(&number).copied().unwrap_or(0) {
                stale.push(number);
            }
        }
        Ok(stale)
    }

    /// What a blob takes up in its file.
    pub fn bytes_of(place: &BlobRef) -> u64 {
        BLOB_HEADER as u64 + u64::from(place.len)
    }

    /// Writes a blob once more, at the end; not durable yet.
    pub fn copy(
        &self,
        place: &BlobRef,
        collection: CollectionId,
        id: &PointId,
    ) -> Result<BlobRef, Error> {
        let (header, bytes) = self.read_whole(place, collection, id)?;
        self.put(&[header, bytes].concat(), place.len)
    }

    /// Removes files that no row points to any more.
    pub fn remove(&self, files: &[u32]) -> Result<(), Error> {
        let mut inner = self.inner.lock();
        for number in files {
            let path = self.path(*number);
            let len = match inner.reading.remove(number) {
                Some(file) => file.len().map_err(Error::io(&path, "measure"))?,
                None => 0,
            };
            self.disk
                .remove(&path)
                .map_err(Error::io(&path, "remove"))?;
            inner.bytes = inner.bytes.saturating_sub(len);
        }
        self.disk
            .sync_dir(&self.dir)
            .map_err(Error::io(&self.dir, "sync the folder"))
    }

    fn reader(&self, number: u32, path: &Path) -> Result<Arc<dyn DiskFile>, Error> {
        let mut inner = self.inner.lock();
        if let Some(file) = inner.reading.get(&number) {
            return Ok(Arc::clone(file));
        }
        let file: Arc<dyn DiskFile> = self
            .disk
            .open(path)
            .map_err(Error::io(path, "open"))?
            .into();
        inner.reading.insert(number, Arc::clone(&file));
        Ok(file)
    }

    /// Bytes of all blob files.
    pub fn total_bytes(&self) -> u64 {
        self.inner.lock().bytes
    }
}

fn number_of(name: &str) -> Option<u32> {
    name.strip_suffix(SUFFIX)?.parse().ok()
}

fn encode_header(
    collection: CollectionId,
    id: &PointId,
    kind: BlobKind,
    lsn: Lsn,
    len: u32,
    bytes: &[u8],
) -> Vec<u8> {
    let mut body = Vec::with_capacity(BLOB_HEADER);
    body.extend_from_slice(&len.to_le_bytes());
    body.extend_from_slice(&collection.0.to_le_bytes());
    body.extend_from_slice(&lsn.0.to_le_bytes());
    body.push(kind as u8);
    let key = id.key();
    body.push(u8::try_from(key.len()).unwrap_or(0));
    body.extend_from_slice(&key);
    body.resize(BLOB_HEADER - 8, 0);
    let crc = checksum(&[&body, bytes]);
    [
        &BLOB_MAGIC.to_le_bytes(),
        &crc.to_le_bytes(),
        body.as_slice(),
    ]
    .concat()
}

fn decode_header(header: &[u8], bytes: &[u8]) -> Option<(CollectionId, PointId)> {
    let mut take = Take::new(header);
    let (magic, crc) = (take.u32()?, take.u32()?);
    if magic != BLOB_MAGIC || checksum(&[header.get(8..)?, bytes]) != crc {
        return None;
    }
    let len = take.u32()?;
    let (collection, _lsn, _kind) = (take.u64()?, take.u64()?, take.u8()?);
    let key_len = take.u8()?;
    let key = take.bytes(usize::from(key_len))?;
    (len as usize == bytes.len()).then_some(())?;
    Some((CollectionId(collection), PointId::from_key(key)?))
}
