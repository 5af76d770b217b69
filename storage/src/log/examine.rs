//! A log that no one has open: what is in it, and how to go on without what is damaged.
//!
//! Examining changes nothing. Giving up keeps every byte it takes out of the log, in files beside
//! the segments that end in `.damaged`; the witness goes last, so that a log of which it was only
//! half done is refused as before.

use std::ops::Range;
use std::path::{Path, PathBuf};

use super::file::{
    Cut, Found, SUFFIX, Segment, check_segments, cut_tail, list_segments, lost, lost_place,
    scan_segment, segment_records, start_segment,
};
use super::frame::{SEGMENT_HEADER, SegmentHeader};
use super::witness::Witness;
use crate::disk::{Disk, DiskFile, read_all};
use crate::error::Error;
use crate::ids::Lsn;
use crate::record::Record;

/// How files end that hold what was taken out of the log.
const GIVEN_UP: &str = ".damaged";

/// What a log holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogState {
    /// The oldest record that is kept, or would be written next.
    pub first: Lsn,
    /// The newest record.
    pub last: Lsn,
    /// How many files.
    pub segments: usize,
    /// Their bytes.
    pub bytes: u64,
    /// A torn tail that the next start cuts; where there is a witness, nobody was told that it is durable.
    pub torn: Option<Cut>,
    /// How far the log was surely synced, or why nothing says so.
    pub witness: Result<Lsn, &'static str>,
}

/// Reads every frame and every record of the log in `dir`.
///
/// # Errors
/// It is damaged: file, byte and what is wrong, just as opening it would say.
pub fn examine_log(disk: &dyn Disk, dir: &Path, store: u128) -> Result<LogState, Error> {
    let Found {
        mut segments,
        unfinished,
    } = list_segments(disk, dir, store)?;
    let (next, torn) = check_segments(disk, &segments)?;
    let witness = Witness::read(disk, dir, store)?;
    if let Some(said) = witness.ok().filter(|said| *said >= next) {
        let place = lost_place(dir, &segments, unfinished.as_deref(), torn.as_ref());
        return Err(lost(place, next, said));
    }
    let bytes = segments.iter().map(|segment| segment.len).sum();
    if let (Some(cut), Some(last)) = (&torn, segments.last_mut()) {
        last.len = cut.offset;
    }
    for segment in &segments {
        for (lsn, record) in segment_records(disk, segment)? {
            Record::decode(&record).map_err(|error| {
                let what = format!("the record at LSN {lsn}: {error}");
                Error::corrupt(&segment.path, 0, what)
            })?;
        }
    }
    Ok(LogState {
        first: segments.first().map_or(next, |first| first.header.first),
        last: Lsn(next.0 - 1),
        segments: segments.len(),
        bytes,
        torn,
        witness,
    })
}

/// What was taken out of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GivenUp {
    /// The last record that the log still has, or that a checkpoint stands for.
    pub last: Lsn,
    /// Where the bytes that were taken out lie now.
    pub moved: Vec<PathBuf>,
}

/// Goes on without what is damaged in the log in `dir` and all that follows it. `at_least` is the
/// LSN after the checkpoint: should the log end before it, it begins anew there.
pub fn give_up_damaged(
    disk: &dyn Disk,
    dir: &Path,
    store: u128,
    at_least: Lsn,
) -> Result<GivenUp, Error> {
    let names = disk.list(dir).map_err(Error::io(dir, "list"))?;
    let names = names.iter().filter(|name| name.ends_with(SUFFIX));
    let paths: Vec<PathBuf> = names.map(|name| dir.join(name)).collect();
    let kept = longest_chain(disk, &paths, store, at_least)?;
    let mut moved = Vec::new();
    for (at, path) in paths.iter().enumerate().rev() {
        if kept.as_ref().is_none_or(|kept| !kept.files.contains(&at)) {
            let aside = damaged_name(path);
            disk.rename(path, &aside)
                .map_err(Error::io(path, "move aside"))?;
            moved.push(aside);
        }
    }
    if let Some(cut) = kept.as_ref().and_then(|kept| kept.torn.as_ref()) {
        moved.push(save_tail(disk, cut)?);
        cut_tail(disk, cut)?;
    }
    let next = match kept {
        Some(kept) => kept.next,
        None => {
            let next = at_least.max(Lsn(1));
            start_segment(disk, dir, store, next)?;
            next
        }
    };
    let witness = Witness::path(dir);
    if disk.open(&witness).is_ok() {
        disk.remove(&witness)
            .map_err(Error::io(&witness, "remove"))?;
    }
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))?;
    Ok(GivenUp {
        last: Lsn(next.0 - 1),
        moved,
    })
}

/// Removes for good what was taken out of the log in `dir`.
pub fn forget_given_up(disk: &dyn Disk, dir: &Path) -> Result<(), Error> {
    let names = disk.list(dir).map_err(Error::io(dir, "list"))?;
    for name in names.iter().filter(|name| name.ends_with(GIVEN_UP)) {
        let path = dir.join(name);
        disk.remove(&path).map_err(Error::io(&path, "remove"))?;
    }
    disk.sync_dir(dir)
        .map_err(Error::io(dir, "sync the folder"))
}

/// Files of a log that follow each other without a gap.
struct Chain {
    files: Range<usize>,
    next: Lsn,
    /// The end of the last file that is no part of it.
    torn: Option<Cut>,
}

/// Of all chains that go on where the checkpoint ends, the one that reaches furthest.
fn longest_chain(
    disk: &dyn Disk,
    paths: &[PathBuf],
    store: u128,
    at_least: Lsn,
) -> Result<Option<Chain>, Error> {
    let mut best: Option<Chain> = None;
    for start in 0..paths.len() {
        let chain = chain_from(disk, paths, store, start, at_least)?;
        let reached = best.as_ref().map_or(Lsn(0), |best| best.next);
        if let Some(chain) = chain.filter(|chain| chain.next > reached) {
            best = Some(chain);
        }
    }
    Ok(best.filter(|best| best.next >= at_least))
}

fn chain_from(
    disk: &dyn Disk,
    paths: &[PathBuf],
    store: u128,
    start: usize,
    at_least: Lsn,
) -> Result<Option<Chain>, Error> {
    let mut chain: Option<Chain> = None;
    for (at, path) in paths.iter().enumerate().skip(start) {
        let due = chain.as_ref().map(|chain| chain.next);
        let Some(segment) = whole_header(disk, path, store, due)? else {
            break;
        };
        let first = segment.header.first;
        if chain.is_none() && first > at_least.max(Lsn(1)) {
            break;
        }
        let scan = scan_segment(disk, &segment, first)?;
        let torn = (scan.end < segment.len).then(|| Cut {
            path: path.clone(),
            offset: scan.end,
            bytes: segment.len - scan.end,
        });
        let ends = torn.is_some();
        chain = Some(Chain {
            files: start..at + 1,
            next: scan.next,
            torn,
        });
        if ends {
            break;
        }
    }
    Ok(chain)
}

/// The segment at `path`, if its header is good and goes on where the former ended.
fn whole_header(
    disk: &dyn Disk,
    path: &Path,
    store: u128,
    due: Option<Lsn>,
) -> Result<Option<Segment>, Error> {
    let file = disk.open(path).map_err(Error::io(path, "open"))?;
    let len = file.len().map_err(Error::io(path, "measure"))?;
    let mut bytes = [0; SEGMENT_HEADER];
    let got = file
        .read_at(&mut bytes, 0)
        .map_err(Error::io(path, "read"))?;
    let header = SegmentHeader::decode(bytes.get(..got).unwrap_or_default());
    let fits = |header: &SegmentHeader| {
        header.store == store
            && path.ends_with(format!("{:020}{SUFFIX}", header.first.0))
            && due.is_none_or(|due| header.first == due)
    };
    let header = header.ok().filter(fits);
    Ok(header.map(|header| Segment {
        path: path.to_owned(),
        header,
        len,
    }))
}

fn damaged_name(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(GIVEN_UP);
    PathBuf::from(name)
}

/// Keeps the bytes that will be cut.
fn save_tail(disk: &dyn Disk, cut: &Cut) -> Result<PathBuf, Error> {
    let path = damaged_name(&cut.path);
    let segment = disk.open(&cut.path).map_err(Error::io(&cut.path, "open"))?;
    let bytes = read_all(&*segment, u64::MAX).map_err(Error::io(&cut.path, "read"))?;
    let from = usize::try_from(cut.offset).unwrap_or(usize::MAX);
    let file: Box<dyn DiskFile> = disk.create(&path).map_err(Error::io(&path, "create"))?;
    file.write_at(bytes.get(from..).unwrap_or_default(), 0)
        .map_err(Error::io(&path, "write"))?;
    file.sync().map_err(Error::io(&path, "sync"))?;
    Ok(path)
}
