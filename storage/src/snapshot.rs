//! Snapshots: one collection at one LSN, in sections (see `sections`).

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

use crate::bytes::Take;
use crate::disk::Disk;
use crate::error::Error;
use crate::ids::{CollectionId, Lsn};
use crate::sections::{Part, SectionsReader, SectionsWriter, checked_header, header};

const MAGIC: &[u8; 8] = b"doppelSN";
const VERSION: u32 = 3;
/// The first of collections with several vectors, whose indexes stand whole.
const WHOLE: u32 = 2;
/// Of snapshots of collections with one vector, whose ids stand slot by slot.
const BY_SLOT: u32 = 1;

/// Writes a snapshot section by section.
pub struct SnapshotWriter(SectionsWriter);

impl SnapshotWriter {
    /// Starts the snapshot that will be at `path`.
    pub fn create(
        disk: Arc<dyn Disk>,
        path: &Path,
        store: u128,
        collection: CollectionId,
        lsn: Lsn,
    ) -> Result<Self, Error> {
        let fields = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &store.to_le_bytes(),
            &collection.0.to_le_bytes(),
            &lsn.0.to_le_bytes(),
        ];
        let header = header(fields.concat());
        Ok(Self(SectionsWriter::create(disk, path, &header)?))
    }

    /// Writes one section with whatever `fill` writes.
    pub fn section<F>(&mut self, name: &str, fill: F) -> Result<(), Error>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()>,
    {
        self.0.section(name, fill)
    }

    /// Completes the file, makes its content durable and gives it its name, which lasts only after
    /// [`sync_snapshots`]. Returns its bytes.
    pub fn finish(self) -> Result<u64, Error> {
        Ok(self.0.finish_one()?.bytes)
    }
}

/// Makes the names of all snapshots that were finished in a folder durable.
pub fn sync_snapshots(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))
}

/// An open snapshot whose header and table of sections are good.
pub struct SnapshotReader {
    sections: SectionsReader,
    /// Whether its ids stand slot by slot of its only index, as they did in version 1, and not by
    /// the points' numbers.
    pub ids_by_slot: bool,
    /// Whose snapshot it is.
    pub collection: CollectionId,
    /// At which LSN.
    pub lsn: Lsn,
}

impl SnapshotReader {
    /// Opens a snapshot of this data folder.
    pub fn open(disk: &dyn Disk, path: &Path, store: u128) -> Result<Self, Error> {
        let (sections, header) = SectionsReader::open(disk, path)?;
        let (version, collection, lsn) =
            decode_header(&header, store).map_err(|what| Error::corrupt(path, 0, what))?;
        Ok(Self {
            sections,
            ids_by_slot: version == BY_SLOT,
            collection,
            lsn,
        })
    }

    /// Its sections.
    pub fn part(&self) -> Part<'_> {
        self.sections.part(String::new())
    }

    /// The file's name, for messages.
    pub fn path(&self) -> &Path {
        self.sections.path()
    }

    /// Reads everything once and checks it.
    pub fn verify(&self) -> Result<(), Error> {
        self.sections.verify()
    }

    /// The same, piece by piece for as long as `go_on` says so; whether it came to the end.
    pub fn verify_while(&self, go_on: &mut dyn FnMut() -> bool) -> Result<bool, Error> {
        self.sections.verify_while(go_on)
    }
}

fn decode_header(header: &[u8], store: u128) -> Result<(u32, CollectionId, Lsn), String> {
    let mut take = Take::new(checked_header(header)?);
    let mut read = || {
        Some((
            take.bytes(8)?,
            take.u32()?,
            take.u128()?,
            take.u64()?,
            take.u64()?,
        ))
    };
    let (magic, version, owner, collection, lsn) = read().ok_or("the header is cut off")?;
    if magic != MAGIC {
        return Err("this is no snapshot".into());
    }
    if ![VERSION, WHOLE, BY_SLOT].contains(&version) {
        return Err(format!("snapshot version {version} is unknown"));
    }
    if owner != store {
        return Err("the snapshot belongs to another data folder".into());
    }
    Ok((version, CollectionId(collection), Lsn(lsn)))
}
