//! The log: one contract for every implementation, and files cut, flipped and crashed at every
//! byte and every operation.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{Disk, Error, Fault, FileLog, Log, Lsn, MemoryLog, SimDisk};

const STORE: u128 = 7;
const DIR: &str = "/log";
/// Small enough that the workload below fills several.
const SEGMENT_BYTES: u64 = 200;
/// Bytes of a segment's header.
const HEADER: usize = 64;

fn open(disk: &SimDisk) -> Result<FileLog, Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    FileLog::open(disk, Path::new(DIR), STORE, SEGMENT_BYTES).map(|(log, _)| log)
}

/// The record at a position; sizes differ, and one of them is empty.
fn record(lsn: u64) -> Vec<u8> {
    let len = usize::try_from(lsn * 13 % 50).unwrap();
    vec![u8::try_from(lsn % 251).unwrap(); len]
}

/// Appends the next `count` records.
fn append(log: &mut impl Log, count: u64) -> Result<(), Error> {
    let next = log.last_lsn().0 + 1;
    let records: Vec<_> = (next..next + count).map(record).collect();
    let lsns = log.append(&records)?;
    assert_eq!(lsns, (next..next + count).map(Lsn).collect::<Vec<_>>());
    Ok(())
}

/// Every kept record is what was appended at its position; in files the positions have no hole.
fn expect_sound(log: &impl Log) {
    let first = log.first_lsn();
    let mut next = first;
    for entry in log.read_from(first).unwrap() {
        let (lsn, bytes) = entry.unwrap();
        assert_eq!((lsn, bytes), (next, record(next.0)));
        next = next.next();
    }
    assert_eq!(next, log.last_lsn().next());
}

#[test]
fn every_log_keeps_the_contract() {
    let memory = MemoryLog::new();
    storage::keeps_log_contract(&mut || Box::new(memory.another()));
    let disk = SimDisk::new();
    storage::keeps_log_contract(&mut || Box::new(open(&disk).unwrap()));
}

#[test]
fn every_shared_log_keeps_the_contract() {
    let memory = MemoryLog::shared_as(7);
    storage::keeps_shared_log_contract(&mut || Box::new(memory.another()));
    let memory = MemoryLog::shared_as(8);
    storage::keeps_log_contract(&mut || Box::new(memory.another()));
}

#[test]
fn what_is_over_a_limit_is_refused_and_the_log_goes_on() {
    let mut log = open(&SimDisk::new()).unwrap();
    let many = vec![Vec::new(); storage::limits::MAX_FRAME_RECORDS + 1];
    assert!(matches!(log.append(&many), Err(Error::TooLarge { .. })));
    append(&mut log, 1).unwrap();
}

/// One segment of a few frames, and where each frame ends.
fn one_segment() -> (PathBuf, Vec<u8>, Vec<usize>) {
    let disk = SimDisk::new();
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (mut log, _) = FileLog::open(shared, Path::new(DIR), STORE, u64::MAX).unwrap();
    let mut ends = vec![HEADER];
    for count in [1, 3, 2] {
        append(&mut log, count).unwrap();
        ends.push(usize::try_from(log.bytes()).unwrap());
    }
    let name = segments(&disk).pop().unwrap();
    let path = Path::new(DIR).join(name);
    (path.clone(), content(&disk, &path), ends)
}

fn segments(disk: &SimDisk) -> Vec<String> {
    let names = disk.list(Path::new(DIR)).unwrap().into_iter();
    names.filter(|name| name.ends_with(".log")).collect()
}

fn content(disk: &SimDisk, path: &Path) -> Vec<u8> {
    let file = disk.open(path).unwrap();
    let mut bytes = vec![0; usize::try_from(file.len().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn disk_with(path: &Path, bytes: &[u8]) -> SimDisk {
    let disk = SimDisk::new();
    disk.create(path).unwrap().write_at(bytes, 0).unwrap();
    disk
}

#[test]
fn a_log_that_ends_anywhere_keeps_every_whole_frame_and_goes_on() {
    let (path, bytes, ends) = one_segment();
    for len in 0..=bytes.len() {
        let disk = disk_with(&path, &bytes[..len]);
        let mut log = open(&disk).unwrap();
        let whole = ends.iter().filter(|end| **end <= len).count();
        let last = [0, 0, 1, 4, 6][whole];
        assert_eq!(log.last_lsn(), Lsn(last), "cut at {len}");
        append(&mut log, 2).unwrap();
        drop(log);
        let log = open(&disk).unwrap();
        assert_eq!(log.last_lsn(), Lsn(last + 2), "cut at {len}");
        expect_sound(&log);
    }
}

#[test]
fn a_flipped_bit_is_found_and_never_read_as_a_record() {
    let (path, bytes, ends) = one_segment();
    let last_frame = ends[ends.len() - 2];
    for at in 0..bytes.len() {
        for bit in 0..8 {
            let mut damaged = bytes.clone();
            damaged[at] ^= 1 << bit;
            let opened = open(&disk_with(&path, &damaged));
            // In the last frame it looks like a torn tail; before, a good frame follows.
            if at < last_frame {
                let error = opened.err().unwrap().to_string();
                assert!(error.contains("damaged at byte"), "{at}: {error}");
            } else {
                let log = opened.unwrap();
                assert_eq!(log.last_lsn(), Lsn(4), "byte {at}");
                expect_sound(&log);
            }
        }
    }
}

#[test]
fn a_missing_segment_is_found() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    (0..12).for_each(|_| append(&mut log, 3).unwrap());
    drop(log);
    let segments = segments(&disk);
    assert!(segments.len() >= 4, "{segments:?}");
    disk.remove(&Path::new(DIR).join(&segments[1])).unwrap();
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains("a segment is missing"), "{error}");
}

#[test]
fn a_segment_that_was_cut_at_a_frame_is_named() {
    let disk = SimDisk::new();
    let mut log = open(&disk).unwrap();
    (0..12).for_each(|_| append(&mut log, 3).unwrap());
    drop(log);
    let segments = segments(&disk);
    let path = Path::new(DIR).join(&segments[1]);
    // Nothing is left but the header.
    disk.open(&path).unwrap().set_len(64).unwrap();
    let error = open(&disk).err().unwrap().to_string();
    assert!(error.contains(&segments[1]), "{error}");
}

#[test]
fn a_log_of_another_data_folder_is_refused() {
    let disk = SimDisk::new();
    append(&mut open(&disk).unwrap(), 1).unwrap();
    let shared: Arc<dyn Disk> = Arc::new(disk);
    let error = FileLog::open(shared, Path::new(DIR), STORE + 1, SEGMENT_BYTES);
    let error = error.err().unwrap().to_string();
    assert!(error.contains("another data folder"), "{error}");
}

/// Appends, rolls over and releases until the disk fails; gives what was acknowledged.
fn work(disk: &SimDisk) -> (u64, u64) {
    let (mut acknowledged, mut tried) = (0, 0);
    let Ok(mut log) = open(disk) else {
        return (0, 0);
    };
    for count in [1, 4, 2, 6, 3, 3, 1, 5, 2, 2] {
        tried = acknowledged + count;
        if append(&mut log, count).is_err() {
            let again = log.append(&[record(1)]);
            assert!(matches!(again, Err(Error::Latched(_))));
            break;
        }
        acknowledged = tried;
        if acknowledged == 16 && log.release_below(Lsn(9)).is_err() {
            break;
        }
    }
    (acknowledged, tried)
}

/// What was acknowledged is there; what was not is there whole or not at all.
fn expect_acknowledged(disk: &SimDisk, acknowledged: u64, tried: u64, what: &str) {
    let mut log = open(disk).unwrap_or_else(|error| panic!("{what}: {error}"));
    let last = log.last_lsn().0;
    assert!(
        last == acknowledged || last == tried,
        "{what}: {last}, of {acknowledged} acknowledged and {tried} tried"
    );
    assert!(log.first_lsn() <= Lsn(9), "{what}");
    expect_sound(&log);
    append(&mut log, 2).unwrap();
    drop(log);
    let log = open(disk).unwrap();
    assert_eq!(log.last_lsn().0, last + 2, "{what}");
    expect_sound(&log);
}

fn operations() -> u64 {
    let disk = SimDisk::new();
    work(&disk);
    disk.operations()
}

#[test]
fn power_may_go_at_any_operation() {
    let all = operations();
    assert!(all > 40, "{all}");
    for operation in 0..=all {
        for seed in 0..32 {
            let disk = SimDisk::new();
            disk.power_off_at(operation);
            let (acknowledged, tried) = work(&disk);
            let what = format!("operation {operation}, seed {seed}");
            expect_acknowledged(&disk.crash(seed), acknowledged, tried, &what);
        }
    }
}

#[test]
fn power_may_go_again_while_the_log_is_opened() {
    for seed in 0..64 {
        let disk = SimDisk::new();
        disk.power_off_at(operations() * 2 / 3);
        let (acknowledged, tried) = work(&disk);
        let crashed = disk.crash(seed);
        for operation in 0..4 {
            let again = crashed.crash(seed);
            again.power_off_at(operation);
            let _ = open(&again);
            let what = format!("seed {seed}, operation {operation} of opening");
            expect_acknowledged(&again.crash(seed + 1), acknowledged, tried, &what);
        }
    }
}

#[test]
fn any_operation_may_fail_in_any_way_and_the_log_takes_no_more_until_it_is_opened_anew() {
    let full = ErrorKind::StorageFull;
    let faults = [
        Fault::Error(full),
        Fault::Error(ErrorKind::Other),
        Fault::ShortWrite(full),
        Fault::LostSync { evicted: true },
        Fault::LostSync { evicted: false },
    ];
    for fault in faults {
        for operation in 0..operations() {
            let disk = SimDisk::new();
            disk.fail_at(operation, fault);
            let (acknowledged, tried) = work(&disk);
            let what = format!("operation {operation}, {fault:?}");
            for seed in 0..4 {
                expect_acknowledged(&disk.crash(seed), acknowledged, tried, &what);
            }
        }
    }
}

#[test]
fn what_a_killed_process_had_not_synced_is_durable_before_more_is_acknowledged() {
    for operation in 0..operations() {
        for seed in 0..16 {
            let disk = SimDisk::new();
            disk.power_off_at(operation);
            let (acknowledged, tried) = work(&disk);
            disk.restart();
            let what = format!("operation {operation}, seed {seed}");
            let mut log = open(&disk).unwrap();
            let before = log.last_lsn().0;
            assert!(before == acknowledged || before == tried, "{what}");
            append(&mut log, 3).unwrap();
            append(&mut log, 1).unwrap();
            drop(log);
            expect_acknowledged(&disk.crash(seed), before + 4, before + 4, &what);
        }
    }
}

#[test]
fn damage_to_what_was_acknowledged_last_is_told_from_a_torn_tail() {
    let (path, bytes, ends) = one_segment();
    let last_frame = ends[ends.len() - 2];
    let expect_refused = |disk: &SimDisk, what: String| {
        let error = open(disk).err().unwrap_or_else(|| panic!("{what}"));
        let error = error.to_string();
        assert!(error.contains(path.to_str().unwrap()), "{what}: {error}");
        assert!(error.contains("damaged at byte"), "{what}: {error}");
        assert!(open(disk).is_err(), "{what}: opening changed something");
    };
    let witnessed = || {
        let disk = disk_with(&path, &bytes);
        drop(open(&disk).unwrap());
        disk
    };
    for at in last_frame..bytes.len() {
        let disk = witnessed();
        disk.flip(&path, at, 1);
        expect_refused(&disk, format!("byte {at}"));
        disk.flip(&path, at, 1);
        assert_eq!(open(&disk).unwrap().last_lsn(), Lsn(6));
    }
    for len in 0..bytes.len() {
        let disk = witnessed();
        disk.open(&path).unwrap().set_len(len as u64).unwrap();
        expect_refused(&disk, format!("cut at {len}"));
    }
    let disk = witnessed();
    disk.remove(&path).unwrap();
    assert!(open(&disk).is_err(), "without its only segment");
}

#[test]
fn one_bad_read_of_a_good_log_costs_nothing() {
    let (path, bytes, _) = one_segment();
    let disk = disk_with(&path, &bytes);
    let before = disk.reads();
    drop(open(&disk).unwrap());
    for read in 0..disk.reads() - before {
        for bit in [3, 700, 1_500, 2_300] {
            // Without the witness, as after a power cut.
            let disk = disk_with(&path, &bytes);
            disk.fail_read_at(disk.reads() + read, Fault::FlippedBit(bit));
            drop(open(&disk));
            assert_eq!(open(&disk).unwrap().last_lsn(), Lsn(6), "read {read}");
        }
    }
}
