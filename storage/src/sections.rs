//! A file of named sections with a checksum each, behind a header of the caller's.
//!
//! It is written from front to back under a temporary name and renamed when it is whole and synced,
//! so a file with its final name is complete unless the disk has damaged it; the checksums say so.
//! Every byte of it is under one: the header under its own, the rest under the sections' and the
//! table's.

use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::bytes::{Take, checksum};
use crate::disk::{Disk, DiskFile};
use crate::error::Error;
use crate::limits::{MAX_SECTION_TABLE_BYTES, MAX_SECTIONS};

const END: &[u8; 8] = b"doppelSE";
/// Bytes of a header, its checksum included.
pub(crate) const HEADER: usize = 64;
/// Bytes at the very end: length and checksum of the table of sections, end mark.
const TRAILER: u64 = 16;
const BUFFER: usize = 1 << 20;

#[derive(Clone)]
struct Section {
    name: String,
    offset: u64,
    len: u64,
    crc: u32,
}

/// A header out of what stands in it: padded, with its checksum.
pub(crate) fn header(mut fields: Vec<u8>) -> Vec<u8> {
    fields.resize(HEADER - 4, 0);
    let crc = checksum(&[&fields]);
    fields.extend_from_slice(&crc.to_le_bytes());
    fields
}

/// What stands in a header whose checksum is right.
pub(crate) fn checked_header(header: &[u8]) -> Result<&[u8], String> {
    let (body, crc) = header
        .split_at_checked(HEADER - 4)
        .ok_or("the header is cut off")?;
    if checksum(&[body]).to_le_bytes() != crc {
        return Err("the header's checksum is wrong".into());
    }
    Ok(body)
}

/// Writes a file section by section.
pub(crate) struct SectionsWriter {
    disk: Arc<dyn Disk>,
    temporary: PathBuf,
    path: PathBuf,
    file: Box<dyn DiskFile>,
    end: u64,
    sections: Vec<Section>,
    /// Of all that was written, for those who want it.
    digest: Option<Sha256>,
    renamed: bool,
    finished: bool,
}

/// A file that has been written.
pub(crate) struct Written {
    pub(crate) bytes: u64,
    /// Of the whole file, if it was asked for.
    pub(crate) sha256: Option<[u8; 32]>,
}

impl SectionsWriter {
    pub(crate) fn create(disk: Arc<dyn Disk>, path: &Path, header: &[u8]) -> Result<Self, Error> {
        let temporary = path.with_extension("tmp");
        let file = disk
            .create(&temporary)
            .map_err(Error::io(&temporary, "create"))?;
        let this = Self {
            disk,
            temporary,
            path: path.to_owned(),
            file,
            end: header.len() as u64,
            sections: Vec::new(),
            digest: None,
            renamed: false,
            finished: false,
        };
        this.file
            .write_at(header, 0)
            .map_err(Error::io(&this.temporary, "write"))?;
        Ok(this)
    }

    /// Has the SHA-256 of the whole file computed on the way.
    pub(crate) fn with_digest(mut self, header: &[u8]) -> Self {
        self.digest = Some(Sha256::new_with_prefix(header));
        self
    }

    /// Writes one section with whatever `fill` writes.
    pub(crate) fn section<F>(&mut self, name: &str, fill: F) -> Result<(), Error>
    where
        F: FnOnce(&mut dyn Write) -> io::Result<()>,
    {
        let mut out = SectionWriter {
            file: &*self.file,
            at: self.end,
            crc: 0,
            digest: self.digest.as_mut(),
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

    /// Completes the file, makes it durable and gives it its name, which is durable too.
    pub(crate) fn finish(mut self) -> Result<Written, Error> {
        let written = self.complete()?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        self.disk
            .sync_dir(dir)
            .map_err(Error::io(dir, "sync the folder"))?;
        self.finished = true;
        Ok(written)
    }

    /// The same for one of many: their names are durable once the caller has synced the folder.
    pub(crate) fn finish_one(mut self) -> Result<Written, Error> {
        let written = self.complete()?;
        self.finished = true;
        Ok(written)
    }

    fn complete(&mut self) -> Result<Written, Error> {
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
        if let Some(digest) = &mut self.digest {
            digest.update(&table);
        }
        self.file
            .sync()
            .map_err(Error::io(&self.temporary, "sync"))?;
        self.disk
            .rename(&self.temporary, &self.path)
            .map_err(Error::io(&self.path, "rename"))?;
        self.renamed = true;
        Ok(Written {
            bytes: self.end + table.len() as u64,
            sha256: self.digest.take().map(|digest| digest.finalize().into()),
        })
    }
}

/// A file that was given up takes no space, least of all on a disk that is full.
impl Drop for SectionsWriter {
    fn drop(&mut self) {
        let path = match (self.finished, self.renamed) {
            (true, _) => return,
            (false, true) => &self.path,
            (false, false) => &self.temporary,
        };
        // What cannot be removed now is removed at the next start, or listed.
        let _ = self.disk.remove(path);
    }
}

struct SectionWriter<'a> {
    file: &'a dyn DiskFile,
    at: u64,
    crc: u32,
    digest: Option<&'a mut Sha256>,
    buffer: Vec<u8>,
}

impl SectionWriter<'_> {
    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.crc = crc32c::crc32c_append(self.crc, bytes);
        if let Some(digest) = &mut self.digest {
            digest.update(bytes);
        }
        self.file.write_at(bytes, self.at)?;
        self.at += bytes.len() as u64;
        Ok(())
    }
}

impl Write for SectionWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.len() + bytes.len() > BUFFER {
            self.flush()?;
        }
        if bytes.len() > BUFFER {
            self.put(bytes)?;
        } else {
            self.buffer.extend_from_slice(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        let mut buffer = std::mem::take(&mut self.buffer);
        self.put(&buffer)?;
        buffer.clear();
        self.buffer = buffer;
        Ok(())
    }
}

/// An open file whose table of sections is good.
pub(crate) struct SectionsReader {
    path: PathBuf,
    file: Box<dyn DiskFile>,
    sections: Vec<Section>,
}

impl SectionsReader {
    /// Opens a file; also gives its header, unchecked.
    pub(crate) fn open(disk: &dyn Disk, path: &Path) -> Result<(Self, Vec<u8>), Error> {
        let file = disk.open(path).map_err(Error::io(path, "open"))?;
        let len = file.len().map_err(Error::io(path, "measure"))?;
        let mut header = vec![0; HEADER];
        let got = file
            .read_at(&mut header, 0)
            .map_err(Error::io(path, "read"))?;
        header.truncate(got);
        let sections = read_table(&*file, len).map_err(Error::io(path, "read"))?;
        let sections = sections.ok_or_else(|| {
            Error::corrupt(
                path,
                len.saturating_sub(TRAILER),
                "the table of sections is damaged",
            )
        })?;
        let path = path.to_owned();
        let this = Self {
            path,
            file,
            sections,
        };
        Ok((this, header))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The sections whose names start so.
    pub(crate) fn part(&self, prefix: String) -> Part<'_> {
        Part {
            sections: self,
            prefix,
        }
    }

    pub(crate) fn section(&self, name: &str) -> Result<SectionReader<'_>, Error> {
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

    /// Reads everything once and checks it.
    pub(crate) fn verify(&self) -> Result<(), Error> {
        self.verify_while(&mut || true).map(drop)
    }

    /// The same, piece by piece for as long as `go_on` says so; whether it came to the end.
    pub(crate) fn verify_while(&self, go_on: &mut dyn FnMut() -> bool) -> Result<bool, Error> {
        let mut piece = vec![0; BUFFER];
        for section in &self.sections {
            let mut reader = self.section(&section.name)?;
            loop {
                if !go_on() {
                    return Ok(false);
                }
                let got = reader
                    .read(&mut piece)
                    .map_err(|error| match error.kind() {
                        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => {
                            Error::corrupt(&self.path, section.offset, error.to_string())
                        }
                        _ => Error::io(&self.path, "verify")(error),
                    })?;
                if got == 0 {
                    break;
                }
            }
        }
        Ok(true)
    }
}

/// The table of a file of `len` bytes; `None` if it is not one that a writer has finished.
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
    if end != END || size as usize > MAX_SECTION_TABLE_BYTES {
        return Ok(None);
    }
    let mut table = vec![0; size as usize];
    let got = file.read_at(&mut table, start)?;
    if got < table.len() || checksum(&[&table]) != crc {
        return Ok(None);
    }
    Ok(sections(&table, start))
}

/// The sections must lie one behind the other from the header to the table.
fn sections(table: &[u8], start: u64) -> Option<Vec<Section>> {
    let mut take = Take::new(table);
    let (mut sections, mut end) = (Vec::new(), HEADER as u64);
    while !take.is_empty() {
        let name_len = usize::from(take.u8()?);
        let name = String::from_utf8(take.bytes(name_len)?.to_vec()).ok()?;
        let (offset, len, crc) = (take.u64()?, take.u64()?, take.u32()?);
        if offset != end || sections.len() >= MAX_SECTIONS {
            return None;
        }
        end = offset.checked_add(len)?;
        sections.push(Section {
            name,
            offset,
            len,
            crc,
        });
    }
    (end == start).then_some(sections)
}

/// The sections of one collection.
pub struct Part<'a> {
    sections: &'a SectionsReader,
    /// What their names start with in the file.
    prefix: String,
}

impl<'a> Part<'a> {
    /// A section's bytes. The last of them are given only when the checksum is right.
    pub fn section(&self, name: &str) -> Result<SectionReader<'a>, Error> {
        self.sections.section(&format!("{}{name}", self.prefix))
    }

    /// Whether there is such a section.
    pub fn has(&self, name: &str) -> bool {
        let name = format!("{}{name}", self.prefix);
        let mut sections = self.sections.sections.iter();
        sections.any(|section| section.name == name)
    }

    /// The file's name, for messages.
    pub fn path(&self) -> &'a Path {
        &self.sections.path
    }
}

/// The checksum of sections and of parts of them (CRC-32C).
pub fn section_checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
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

    /// The file and the byte of it where the section begins, if it can be mapped. A file with its final
    /// name is never written to again, and its bytes stay as long as it is mapped, also when it has gone.
    pub fn place(&self) -> io::Result<Option<(OwnedFd, u64)>> {
        let file = self.file.handle()?;
        Ok(file.map(|file| (file, self.section.offset)))
    }

    /// Checks bytes that were read at the section's [`place`](Self::place) instead of here, the next ones;
    /// gives their own checksum.
    pub fn check(&mut self, bytes: &[u8]) -> io::Result<u32> {
        let crc = section_checksum(bytes);
        self.crc = crc32c::crc32c_combine(self.crc, crc, bytes.len());
        self.read += bytes.len() as u64;
        self.at_end()?;
        Ok(crc)
    }

    /// At the end the checksum must be right.
    fn at_end(&self) -> io::Result<()> {
        if self.read == self.section.len && self.crc != self.section.crc {
            let what = format!("the checksum of section `{}` is wrong", self.section.name);
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
        Ok(())
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
        self.at_end().inspect_err(|_| self.buffer.clear())
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
