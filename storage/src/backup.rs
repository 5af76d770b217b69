//! A backup: one file that holds collections whole, as they were at one LSN, and can be restored
//! anywhere. No log follows it, so unlike in a snapshot every row is exactly as old as the LSN.
//!
//! The file is made of sections (see `sections`): first what it holds, then for each collection the
//! sections of a snapshot and the pictures of its faces, behind the collection's number in the file.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::bytes::Take;
use crate::config::CollectionConfig;
use crate::digest::hex;
use crate::disk::Disk;
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::MAX_CONTENTS_BYTES;
use crate::payload::decode_exact;
use crate::sections::{Part, SectionsReader, SectionsWriter, checked_header, header};

const MAGIC: &[u8; 8] = b"doppelBK";
const VERSION: u32 = 1;
const CONTENTS: &str = "contents";

/// Where and when a backup was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin {
    /// Of which data folder.
    pub store: u128,
    /// At which LSN of its log.
    pub lsn: Lsn,
    /// In seconds since 1970.
    pub made_s: u64,
}

/// What a backup holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contents {
    /// The collections, by their numbers in the file.
    pub collections: Vec<CollectionConfig>,
    /// Aliases, each with the number of its collection in the file.
    pub aliases: Vec<(String, u32)>,
}

fn prefix(part: usize) -> String {
    format!("{part}/")
}

/// Writes a backup section by section.
pub struct BackupWriter(SectionsWriter);

impl BackupWriter {
    /// Starts the backup that will be at `path`.
    pub fn create(
        disk: Arc<dyn Disk>,
        path: &Path,
        origin: &Origin,
        contents: &Contents,
    ) -> Result<Self, Error> {
        let fields = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &origin.store.to_le_bytes(),
            &origin.lsn.0.to_le_bytes(),
            &origin.made_s.to_le_bytes(),
        ];
        let header = header(fields.concat());
        let mut sections = SectionsWriter::create(disk, path, &header)?.with_digest(&header);
        let contents = rmp_serde::to_vec(contents).map_err(|error| Error::Decode {
            what: "the contents of a backup",
            reason: error.to_string(),
        })?;
        sections.section(CONTENTS, |out| out.write_all(&contents))?;
        Ok(Self(sections))
    }

    /// Writes one section of a collection with whatever `fill` writes.
    pub fn section<F>(&mut self, part: usize, name: &str, fill: F) -> Result<(), Error>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()>,
    {
        self.0.section(&format!("{}{name}", prefix(part)), fill)
    }

    /// Completes the file, makes it durable and gives it its name. Returns its bytes and its
    /// SHA-256 in hexadecimal.
    pub fn finish(self) -> Result<(u64, String), Error> {
        let written = self.0.finish()?;
        Ok((written.bytes, hex(&written.sha256.unwrap_or_default())))
    }
}

/// An open backup whose header, table of sections and contents are good.
pub struct BackupReader {
    sections: SectionsReader,
    /// Where it comes from.
    pub origin: Origin,
    /// What it holds.
    pub contents: Contents,
}

impl BackupReader {
    /// Opens a backup of any data folder.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, Error> {
        let (sections, header) = SectionsReader::open(disk, path)?;
        let origin = decode_header(&header).map_err(|what| Error::corrupt(path, 0, what))?;
        let contents = read_contents(&sections)?;
        Ok(Self {
            sections,
            origin,
            contents,
        })
    }

    /// The sections of one of its collections.
    pub fn part(&self, part: usize) -> Part<'_> {
        self.sections.part(prefix(part))
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

/// Where a backup comes from, by its header alone.
pub(crate) fn origin(disk: &dyn Disk, path: &Path) -> Result<Origin, Error> {
    let (_, header) = SectionsReader::open(disk, path)?;
    decode_header(&header).map_err(|what| Error::corrupt(path, 0, what))
}

fn decode_header(header: &[u8]) -> Result<Origin, String> {
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
    let (magic, version, store, lsn, made_s) = read().ok_or("the header is cut off")?;
    if magic != MAGIC {
        return Err("this is no backup of doppel".into());
    }
    if version != VERSION {
        return Err(format!(
            "backup version {version} is unknown; this program knows version {VERSION}: use a newer doppel"
        ));
    }
    Ok(Origin {
        store,
        lsn: Lsn(lsn),
        made_s,
    })
}

fn read_contents(sections: &SectionsReader) -> Result<Contents, Error> {
    let path = sections.path();
    let mut section = sections.section(CONTENTS)?;
    if section.size() > MAX_CONTENTS_BYTES {
        return Err(Error::corrupt(path, 0, "its contents are over the limit"));
    }
    let mut bytes = Vec::new();
    section
        .read_to_end(&mut bytes)
        .map_err(|error| Error::corrupt(path, 64, error.to_string()))?;
    decode_exact("the contents of a backup", &bytes)
}
