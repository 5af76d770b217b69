//! The log in files: segments of frames, one frame and one sync an append.
//!
//! The next frame is not written before the former's sync has returned, so after a crash only the
//! last frame of the last segment can be torn: it is cut. A bad frame with a good one after it, in
//! an older segment, or where the witness says that it was synced, is damage: opening refuses, says
//! where, and has changed nothing. After a failed write or sync the log takes nothing more.
//!
//! What is found at opening may have been written by a process that was killed before its sync
//! returned, so it is made durable before anything follows it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{self, SEGMENT_HEADER, SegmentHeader};
use super::witness::Witness;
use super::{Log, Records};
use crate::disk::{Disk, DiskFile, make_dir, read_all};
use crate::error::Error;
use crate::ids::Lsn;
use crate::limits::{MAX_FRAME_BYTES, MAX_FRAME_RECORDS, MAX_RECORD_BYTES};

pub(super) const SUFFIX: &str = ".log";

/// A log in a folder of its own.
pub struct FileLog {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    store: u128,
    segment_bytes: u64,
    /// Oldest first; the last one is written to. Never empty.
    segments: Vec<Segment>,
    active: Box<dyn DiskFile>,
    witness: Witness,
    next: Lsn,
    latched: Option<String>,
}

#[derive(Clone)]
pub(super) struct Segment {
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    pub(super) len: u64,
}

/// A torn tail that was cut when the log was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// The segment.
    pub path: PathBuf,
    /// Where its good frames end.
    pub offset: u64,
    /// Bytes that were cut.
    pub bytes: u64,
}

impl FileLog {
    /// Opens the log in `dir`, or starts one at LSN 1 there. Reads and checks every kept frame.
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        store: u128,
        segment_bytes: u64,
    ) -> Result<(FileLog, Option<Cut>), Error> {
        make_dir(&*disk, dir).map_err(Error::io(dir, "make the folder"))?;
        let Found {
            mut segments,
            unfinished,
        } = list_segments(&*disk, dir, store)?;
        let (next, cut) = check_segments(&*disk, &segments)?;
        let said = Witness::read(&*disk, dir, store)?;
        if let Some(said) = said.ok().filter(|said| *said >= next) {
            let place = lost_place(dir, &segments, unfinished.as_deref(), cut.as_ref());
            return Err(lost(place, next, said));
        }
        if let (Some(cut), Some(last)) = (&cut, segments.last_mut()) {
            cut_tail(&*disk, cut)?;
            last.len = cut.offset;
        }
        if let Some(path) = unfinished {
            disk.remove(&path).map_err(Error::io(&path, "remove"))?;
        }
        let active = match segments.last() {
            Some(segment) => settle(&*disk, dir, segment)?,
            None => {
                let (segment, file) = start_segment(&*disk, dir, store, next)?;
                segments.push(segment);
                file
            }
        };
        let witness = Witness::open(&*disk, dir, store)?;
        witness.say(Lsn(next.0 - 1));
        let dir = dir.to_owned();
        Ok((
            FileLog {
                disk,
                dir,
                store,
                segment_bytes,
                segments,
                active,
                witness,
                next,
                latched: None,
            },
            cut,
        ))
    }

    fn active(&self) -> &Segment {
        self.segments
            .last()
            .expect("a log always has an active segment")
    }

    fn write(&mut self, records: &[Vec<u8>]) -> Result<(), Error> {
        if self.active().len >= self.segment_bytes && self.active().len > SEGMENT_HEADER as u64 {
            self.next_segment()?;
        }
        let segment = self.active();
        let bytes = frame::encode(segment.header.salt, self.next, records);
        self.active
            .write_at(&bytes, segment.len)
            .map_err(Error::io(&segment.path, "write"))?;
        self.active
            .sync()
            .map_err(Error::io(&segment.path, "sync"))?;
        let segment = self
            .segments
            .last_mut()
            .expect("a log always has an active segment");
        segment.len += bytes.len() as u64;
        self.next = Lsn(self.next.0 + records.len() as u64);
        self.witness.say(self.last_lsn());
        Ok(())
    }
}

/// Where a log ends that should go on.
pub(super) fn lost_place<'a>(
    dir: &'a Path,
    segments: &'a [Segment],
    unfinished: Option<&'a Path>,
    cut: Option<&'a Cut>,
) -> (&'a Path, u64) {
    match (cut, unfinished, segments.last()) {
        (Some(cut), ..) => (&cut.path, cut.offset),
        (None, Some(path), _) => (path, 0),
        (None, None, Some(last)) => (&last.path, last.len),
        (None, None, None) => (dir, 0),
    }
}

pub(super) fn lost((path, offset): (&Path, u64), next: Lsn, said: Lsn) -> Error {
    let what = format!(
        "the log ends here, but the records from LSN {next} to {said} were synced and acknowledged: \
         they are damaged or missing"
    );
    Error::corrupt(path, offset, what)
}

pub(super) fn cut_tail(disk: &dyn Disk, cut: &Cut) -> Result<(), Error> {
    let file = disk.open(&cut.path).map_err(Error::io(&cut.path, "open"))?;
    file.set_len(cut.offset)
        .map_err(Error::io(&cut.path, "cut"))?;
    file.sync().map_err(Error::io(&cut.path, "sync"))
}

/// Opens the segment that is written to, durable with all that is in it and with its name.
fn settle(disk: &dyn Disk, dir: &Path, segment: &Segment) -> Result<Box<dyn DiskFile>, Error> {
    let path = &segment.path;
    let file = disk.open(path).map_err(Error::io(path, "open"))?;
    file.sync().map_err(Error::io(path, "sync"))?;
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))?;
    Ok(file)
}

impl FileLog {
    fn next_segment(&mut self) -> Result<(), Error> {
        let (segment, file) = start_segment(&*self.disk, &self.dir, self.store, self.next)?;
        self.segments.push(segment);
        self.active = file;
        Ok(())
    }
}

/// Makes a segment durable before anything is written to it.
pub(super) fn start_segment(
    disk: &dyn Disk,
    dir: &Path,
    store: u128,
    first: Lsn,
) -> Result<(Segment, Box<dyn DiskFile>), Error> {
    let path = dir.join(format!("{:020}{SUFFIX}", first.0));
    let salt = u64::try_from(disk.unique() >> 64).unwrap_or_default();
    let header = SegmentHeader { store, salt, first };
    let file = disk.create(&path).map_err(Error::io(&path, "create"))?;
    file.write_at(&header.encode(), 0)
        .map_err(Error::io(&path, "write"))?;
    file.sync().map_err(Error::io(&path, "sync"))?;
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))?;
    Ok((
        Segment {
            path,
            header,
            len: SEGMENT_HEADER as u64,
        },
        file,
    ))
}

pub(super) struct Found {
    /// In order.
    pub(super) segments: Vec<Segment>,
    /// A last one without a whole header, which a crash while it was started leaves behind.
    pub(super) unfinished: Option<PathBuf>,
}

pub(super) fn list_segments(disk: &dyn Disk, dir: &Path, store: u128) -> Result<Found, Error> {
    let names = disk.list(dir).map_err(Error::io(dir, "list"))?;
    let names: Vec<_> = names
        .into_iter()
        .filter(|name| name.ends_with(SUFFIX))
        .collect();
    let mut segments: Vec<Segment> = Vec::new();
    let mut unfinished = None;
    for (at, name) in names.iter().enumerate() {
        let path = dir.join(name);
        let file = disk.open(&path).map_err(Error::io(&path, "open"))?;
        let len = file.len().map_err(Error::io(&path, "measure"))?;
        let mut bytes = [0; SEGMENT_HEADER];
        let got = file
            .read_at(&mut bytes, 0)
            .map_err(Error::io(&path, "read"))?;
        match SegmentHeader::decode(bytes.get(..got).unwrap_or_default()) {
            Ok(header) if header.store != store => {
                return Err(Error::corrupt(
                    &path,
                    12,
                    "the segment belongs to another data folder",
                ));
            }
            Ok(header) if name != &format!("{:020}{SUFFIX}", header.first.0) => {
                return Err(Error::corrupt(
                    &path,
                    36,
                    format!(
                        "the segment starts at LSN {}, its name says otherwise",
                        header.first
                    ),
                ));
            }
            Ok(header) => segments.push(Segment { path, header, len }),
            Err(_) if at + 1 == names.len() && len <= SEGMENT_HEADER as u64 => {
                unfinished = Some(path);
            }
            Err(what) => return Err(Error::corrupt(&path, 0, what)),
        }
    }
    Ok(Found {
        segments,
        unfinished,
    })
}

/// Checks every frame; gives the next LSN and a torn tail, which is still to be cut.
pub(super) fn check_segments(
    disk: &dyn Disk,
    segments: &[Segment],
) -> Result<(Lsn, Option<Cut>), Error> {
    let mut next = segments
        .first()
        .map_or(Lsn(1), |segment| segment.header.first);
    let count = segments.len();
    let mut cut = None;
    for (at, segment) in segments.iter().enumerate() {
        if segment.header.first != next {
            let before = at.checked_sub(1).and_then(|before| segments.get(before));
            let before = before.and_then(|before| before.path.file_name());
            let before = before.unwrap_or_default().to_string_lossy();
            let what = format!(
                "the segment starts at LSN {}, but {next} is due after {before}: a segment is \
                 missing, or that one was cut short",
                segment.header.first
            );
            return Err(Error::corrupt(&segment.path, 36, what));
        }
        let first = next;
        let scan = scan_segment(disk, segment, first)?;
        next = scan.next;
        if scan.end == segment.len {
            continue;
        }
        if at + 1 < count {
            return Err(Error::corrupt(
                &segment.path,
                scan.end,
                "a bad frame in a segment that is not the last",
            ));
        }
        if let Some(good) = scan.good_after {
            return Err(Error::corrupt(
                &segment.path,
                scan.end,
                format!("a bad frame, but a good one follows at byte {good}"),
            ));
        }
        // Nothing is cut because of one bad read.
        if scan_segment(disk, segment, first)?.end != scan.end {
            let what = "reading it twice gives different bytes: the disk or its cable is failing";
            return Err(Error::corrupt(&segment.path, scan.end, what));
        }
        cut = Some(Cut {
            path: segment.path.clone(),
            offset: scan.end,
            bytes: segment.len - scan.end,
        });
    }
    Ok((next, cut))
}

pub(super) struct Scan {
    /// Where good frames end.
    pub(super) end: u64,
    pub(super) next: Lsn,
    /// Where a good frame stands after a bad one.
    good_after: Option<u64>,
}

pub(super) fn scan_segment(
    disk: &dyn Disk,
    segment: &Segment,
    mut next: Lsn,
) -> Result<Scan, Error> {
    let bytes = read_segment(disk, segment)?;
    let salt = segment.header.salt;
    let mut at = SEGMENT_HEADER;
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        match frame::decode(salt, rest).filter(|frame| frame.first == next) {
            Some(frame) => {
                next = Lsn(next.0 + frame.records.len() as u64);
                at += frame.len;
            }
            None => {
                let after = frame::any_good(salt, next, rest).map(|good| (at + good) as u64);
                return Ok(Scan {
                    end: at as u64,
                    next,
                    good_after: after,
                });
            }
        }
    }
    Ok(Scan {
        end: at as u64,
        next,
        good_after: None,
    })
}

fn read_segment(disk: &dyn Disk, segment: &Segment) -> Result<Vec<u8>, Error> {
    let file = disk
        .open(&segment.path)
        .map_err(Error::io(&segment.path, "open"))?;
    read_all(&*file, u64::MAX).map_err(Error::io(&segment.path, "read"))
}

/// The records of one segment; `next` is the first it must hold.
pub(super) fn segment_records(
    disk: &dyn Disk,
    segment: &Segment,
) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
    let mut bytes = read_segment(disk, segment)?;
    bytes.truncate(usize::try_from(segment.len).unwrap_or(usize::MAX));
    let mut records = Vec::new();
    let (mut at, mut next) = (SEGMENT_HEADER, segment.header.first);
    while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
        let frame = frame::decode(segment.header.salt, rest)
            .filter(|frame| frame.first == next)
            .ok_or_else(|| Error::corrupt(&segment.path, at as u64, "a bad frame"))?;
        at += frame.len;
        for record in frame.records {
            records.push((next, record));
            next = next.next();
        }
    }
    Ok(records)
}

impl Log for FileLog {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        if let Some(reason) = &self.latched {
            return Err(Error::Latched(reason.clone()));
        }
        check_sizes(records)?;
        let first = self.next;
        if !records.is_empty() {
            self.write(records)
                .inspect_err(|error| self.latched = Some(error.to_string()))?;
        }
        Ok((first.0..self.next.0).map(Lsn).collect())
    }

    fn last_lsn(&self) -> Lsn {
        Lsn(self.next.0 - 1)
    }

    fn first_lsn(&self) -> Lsn {
        self.segments
            .first()
            .map_or(self.next, |segment| segment.header.first)
    }

    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        let skip = self
            .segments
            .iter()
            .rposition(|segment| segment.header.first <= from)
            .unwrap_or(0);
        let disk = &*self.disk;
        let records = self.segments.iter().skip(skip).flat_map(move |segment| {
            let (records, error) = match segment_records(disk, segment) {
                Ok(records) => (records, None),
                Err(error) => (Vec::new(), Some(Err(error))),
            };
            records.into_iter().map(Ok).chain(error)
        });
        Ok(Box::new(records.filter(move |record| {
            record.as_ref().map_or(true, |(lsn, _)| *lsn >= from)
        })))
    }

    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        while let [oldest, second, ..] = self.segments.as_slice() {
            if second.header.first > lsn {
                break;
            }
            self.disk
                .remove(&oldest.path)
                .map_err(Error::io(&oldest.path, "remove"))?;
            self.disk
                .sync_dir(&self.dir)
                .map_err(Error::io(&self.dir, "sync the folder"))?;
            self.segments.remove(0);
        }
        Ok(())
    }

    fn rotate(&mut self) -> Result<(), Error> {
        if let Some(reason) = &self.latched {
            return Err(Error::Latched(reason.clone()));
        }
        if self.active().len > SEGMENT_HEADER as u64 {
            self.next_segment()
                .inspect_err(|error| self.latched = Some(error.to_string()))?;
        }
        Ok(())
    }

    fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.len).sum()
    }
}

fn check_sizes(records: &[Vec<u8>]) -> Result<(), Error> {
    let refuse = |what, got, limit| Err(Error::TooLarge { what, got, limit });
    if records.len() > MAX_FRAME_RECORDS {
        return refuse(
            "a frame's count of records",
            records.len(),
            MAX_FRAME_RECORDS,
        );
    }
    if let Some(record) = records
        .iter()
        .find(|record| record.len() > MAX_RECORD_BYTES)
    {
        return refuse("a record", record.len(), MAX_RECORD_BYTES);
    }
    let total: usize = records.iter().map(|record| record.len() + 4).sum();
    if total > MAX_FRAME_BYTES {
        return refuse("a frame", total, MAX_FRAME_BYTES);
    }
    Ok(())
}
