//! Snapshots: one collection at one LSN, as named sections with a checksum each.
//!
//! A snapshot is written under a temporary name and renamed when it is whole and synced, so a file
//! with a snapshot's name is complete unless the disk has damaged it; the checksums say so.

use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::ids::{CollectionId, Lsn, PointId};
use crate::limits::{MAX_ROW_BYTES, MAX_SECTIONS};
use crate::payload::decode_exact;
use crate::tables::FaceRow;

const MAGIC: &[u8; 8] = b"doppelSN";
const END: &[u8; 8] = b"doppelSE";
const VERSION: u32 = 2;
/// Of snapshots of collections with one vector, whose ids stand slot by slot.
const BY_SLOT: u32 = 1;
const HEADER: usize = 64;
/// Bytes at the very end: length and checksum of the table of sections, end mark.
const TRAILER: u64 = 16;
const BUFFER: usize = 1 << 20;

/// Writes a snapshot section by section.
pub struct SnapshotWriter {
    disk: Arc<dyn Disk>,
    temporary: PathBuf,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
    sections: Vec<Section>,
}

#[derive(Clone)]
struct Section {
    name: String,
    offset: u64,
    len: u64,
    crc: u32,
}

impl SnapshotWriter {
    /// Starts the snapshot that will be at `path`.
    pub fn create(
        disk: Arc<dyn Disk>,
        path: &Path,
        store: u128,
        collection: CollectionId,
        lsn: Lsn,
    ) -> Result<Self, Error> {
        let temporary = path.with_extension("tmp");
        let file = disk
            .create(&temporary)
            .map_err(Error::io(&temporary, "create"))?;
        let mut header = [
            MAGIC.as_slice(),
            &VERSION.to_le_bytes(),
            &store.to_le_bytes(),
        ]
        .concat();
        header.extend_from_slice(&collection.0.to_le_bytes());
        header.extend_from_slice(&lsn.0.to_le_bytes());
        header.resize(HEADER - 4, 0);
        header.extend_from_slice(&checksum(&[&header]).to_le_bytes());
        file.write_at(&header, 0)
            .map_err(Error::io(&temporary, "write"))?;
        Ok(Self {
            disk,
            temporary,
            path: path.to_owned(),
            file,
            end: HEADER as u64,
            sections: Vec::new(),
        })
    }

    /// Writes one section with whatever `fill` writes.
    pub fn section<F>(&mut self, name: &str, fill: F) -> Result<(), Error>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()>,
    {
        let mut out = SectionWriter {
            file: &*self.file,
            at: self.end,
            crc: 0,
            buffer: Vec::with_capacity(BUFFER),
        };
        fill(&mut out)
            .and_then(|()| out.flush())
            .map_err(Error::io(&self.temporary, "write"))?;
        let len = out.at - self.end;
        self.sections.push(Section {
            name: name.to_owned(),
            offset: self.end,
            len,
            crc: out.crc,
        });
        self.end += len;
        Ok(())
    }

    /// Completes the file, makes it durable and gives it its name. Returns its bytes.
    pub fn finish(self) -> Result<u64, Error> {
        let mut table = Vec::new();
        for section in &self.sections {
            table.push(u8::try_from(section.name.len()).unwrap_or(u8::MAX));
            table.extend_from_slice(section.name.as_bytes());
            table.extend_from_slice(&section.offset.to_le_bytes());
            table.extend_from_slice(&section.len.to_le_bytes());
            table.extend_from_slice(&section.crc.to_le_bytes());
        }
        let len = u32::try_from(table.len()).unwrap_or(u32::MAX);
        let crc = checksum(&[&table]);
        table.extend_from_slice(&len.to_le_bytes());
        table.extend_from_slice(&crc.to_le_bytes());
        table.extend_from_slice(END);
        self.file
            .write_at(&table, self.end)
            .map_err(Error::io(&self.temporary, "write"))?;
        self.file
            .sync()
            .map_err(Error::io(&self.temporary, "sync"))?;
        self.disk
            .rename(&self.temporary, &self.path)
            .map_err(Error::io(&self.path, "rename"))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        self.disk
            .sync_dir(dir)
            .map_err(Error::io(dir, "sync the folder"))?;
        Ok(self.end + table.len() as u64)
    }
}

struct SectionWriter<'a> {
    file: &'a dyn DiskFile,
    at: u64,
    crc: u32,
    buffer: Vec<u8>,
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            self.crc = crc32c::crc32c_append(self.crc, bytes);
            self.file.write_at(bytes, self.at)?;
            self.at += bytes.len() as u64;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.file.write_at(&self.buffer, self.at)?;
        self.at += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// An open snapshot whose header and table of sections are good.
pub struct SnapshotReader {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    sections: Vec<Section>,
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
        let file = disk.open(path).map_err(Error::io(path, "open"))?;
        let len = file.len().map_err(Error::io(path, "measure"))?;
        let mut header = [0; HEADER];
        let got = file
            .read_at(&mut header, 0)
            .map_err(Error::io(path, "read"))?;
        let (version, collection, lsn) =
            decode_header(header.get(..got).unwrap_or_default(), store)
                .map_err(|what| Error::corrupt(path, 0, what))?;
        let sections = read_table(&*file, len).map_err(Error::io(path, "read"))?;
        let sections = sections.ok_or_else(|| {
            Error::corrupt(
                path,
                len.saturating_sub(TRAILER),
                "the table of sections is damaged",
            )
        })?;
        Ok(Self {
            path: path.to_owned(),
            file,
            sections,
            ids_by_slot: version == BY_SLOT,
            collection,
            lsn,
        })
    }

    /// A section's bytes. The last of them are given only when the checksum is right.
    pub fn section(&self, name: &str) -> Result<SectionReader<'_>, Error> {
        let section = self.sections.iter().find(|section| section.name == name);
        let section = section
            .ok_or_else(|| Error::corrupt(&self.path, 0, format!("section `{name}` is missing")))?;
        Ok(SectionReader {
            file: &*self.file,
            section: section.clone(),
            read: 0,
            crc: 0,
            buffer: Vec::new(),
            at: 0,
        })
    }

    /// The file's name, for messages.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Reads everything once and checks it.
    pub fn verify(&self) -> Result<(), Error> {
        for section in &self.sections {
            let mut reader = self.section(&section.name)?;
            io::copy(&mut reader, &mut io::sink()).map_err(|error| match error.kind() {
                ErrorKind::InvalidData | ErrorKind::UnexpectedEof => {
                    Error::corrupt(&self.path, section.offset, error.to_string())
                }
                _ => Error::io(&self.path, "verify")(error),
            })?;
        }
        Ok(())
    }
}

fn decode_header(header: &[u8], store: u128) -> Result<(u32, CollectionId, Lsn), String> {
    let (body, crc) = header
        .split_at_checked(HEADER - 4)
        .ok_or("the header is cut off")?;
    if checksum(&[body]).to_le_bytes() != crc {
        return Err("the header's checksum is wrong".into());
    }
    let mut take = Take::new(body);
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
    if version != VERSION && version != BY_SLOT {
        return Err(format!("snapshot version {version} is unknown"));
    }
    if owner != store {
        return Err("the snapshot belongs to another data folder".into());
    }
    Ok((version, CollectionId(collection), Lsn(lsn)))
}

fn read_table(file: &dyn DiskFile, len: u64) -> io::Result<Option<Vec<Section>>> {
    let mut trailer = [0; 16];
    let Some(at) = len.checked_sub(TRAILER) else {
        return Ok(None);
    };
    file.read_at(&mut trailer, at)?;
    let mut take = Take::new(&trailer);
    let (Some(size), Some(crc), Some(end)) = (take.u32(), take.u32(), take.bytes(8)) else {
        return Ok(None);
    };
    let Some(start) = at.checked_sub(u64::from(size)) else {
        return Ok(None);
    };
    if end != END || size as usize > MAX_SECTIONS * 300 {
        return Ok(None);
    }
    let mut table = vec![0; size as usize];
    let got = file.read_at(&mut table, start)?;
    if got < table.len() || checksum(&[&table]) != crc {
        return Ok(None);
    }
    let mut take = Take::new(&table);
    let mut sections = Vec::new();
    while !take.is_empty() {
        let mut next = || {
            let name_len = usize::from(take.u8()?);
            let name = String::from_utf8(take.bytes(name_len)?.to_vec()).ok()?;
            let (offset, len, crc) = (take.u64()?, take.u64()?, take.u32()?);
            (offset.checked_add(len)? <= start).then_some(Section {
                name,
                offset,
                len,
                crc,
            })
        };
        let Some(section) = next() else {
            return Ok(None);
        };
        sections.push(section);
    }
    Ok(Some(sections))
}

/// Reads one section and checks it on the way.
pub struct SectionReader<'a> {
    file: &'a dyn DiskFile,
    section: Section,
    /// Bytes taken from the file so far.
    read: u64,
    crc: u32,
    buffer: Vec<u8>,
    at: usize,
}

impl SectionReader<'_> {
    /// Bytes of the whole section.
    pub fn size(&self) -> u64 {
        self.section.len
    }

    fn fill(&mut self) -> io::Result<()> {
        let rest = self.section.len - self.read;
        let size = usize::try_from(rest).unwrap_or(BUFFER).min(BUFFER);
        self.buffer.resize(size, 0);
        self.at = 0;
        let got = self
            .file
            .read_at(&mut self.buffer, self.section.offset + self.read)?;
        if got < size {
            return Err(io::Error::new(
                io::ErrorKind::UnexpectedEof,
                "the section is cut off",
            ));
        }
        self.crc = crc32c::crc32c_append(self.crc, &self.buffer);
        self.read += size as u64;
        if self.read == self.section.len && self.crc != self.section.crc {
            self.buffer.clear();
            let what = format!("the checksum of section `{}` is wrong", self.section.name);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(())
    }
}

impl Read for SectionReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.at == self.buffer.len() && self.read < self.section.len {
            self.fill()?;
        }
        let rest = self.buffer.get(self.at..).unwrap_or_default();
        let n = rest.len().min(out.len());
        out[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

/// What a snapshot keeps of a point beside its vector.
#[derive(Debug, Clone, PartialEq)]
pub struct PointRow {
    /// Its id.
    pub id: PointId,
    /// Its payload, a MessagePack map.
    pub payload: Vec<u8>,
    /// Its face.
    pub face: Option<FaceRow>,
}

#[derive(Serialize, Deserialize)]
struct RowBody {
    id: ByteBuf,
    payload: ByteBuf,
    face: Option<FaceRow>,
}

/// Writes one row: its length, then MessagePack.
pub fn write_row(out: &mut dyn Write, row: PointRow) -> io::Result<()> {
    let body = RowBody {
        id: ByteBuf::from(row.id.key()),
        payload: ByteBuf::from(row.payload),
        face: row.face,
    };
    let bytes = rmp_serde::to_vec(&body).map_err(io::Error::other)?;
    let len = u32::try_from(bytes.len()).map_err(io::Error::other)?;
    out.write_all(&len.to_le_bytes())?;
    out.write_all(&bytes)
}

/// Reads rows until the end of `input`.
pub fn read_rows(mut input: impl Read) -> impl Iterator<Item = Result<PointRow, Error>> {
    let fail = |reason: String| Error::Decode {
        what: "a row of a snapshot",
        reason,
    };
    let mut ended = false;
    std::iter::from_fn(move || {
        if ended {
            return None;
        }
        let row = read_row(&mut input)
            .map_err(|error| fail(error.to_string()))
            .transpose();
        ended = row.as_ref().is_none_or(Result::is_err);
        row
    })
}

fn read_row(input: &mut impl Read) -> io::Result<Option<PointRow>> {
    let mut length = [0; 4];
    let (first, rest) = length.split_at_mut(1);
    if input.read(first)? == 0 {
        return Ok(None);
    }
    input.read_exact(rest)?;
    let len = u32::from_le_bytes(length) as usize;
    if len > MAX_ROW_BYTES {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            format!("a row of {len} bytes is over the limit"),
        ));
    }
    let mut bytes = vec![0; len];
    input.read_exact(&mut bytes)?;
    let body: RowBody = decode_exact("a row", &bytes).map_err(io::Error::other)?;
    let id = PointId::from_key(&body.id).ok_or_else(|| io::Error::other("an id is malformed"))?;
    Ok(Some(PointRow {
        id,
        payload: body.payload.into_vec(),
        face: body.face,
    }))
}
