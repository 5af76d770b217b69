//! What inserts have worked out: found again as it was kept or not at all, whatever becomes of the files.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{CollectionId, Disk, PlanKey, Plans, SimDisk, VectorId};

const DIR: &str = "/data/plans";

fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/data")).unwrap();
    disk
}

fn open(disk: &SimDisk) -> Plans {
    open_with(disk, u64::MAX)
}

fn open_with(disk: &SimDisk, most: u64) -> Plans {
    Plans::open(Arc::new(disk.clone()), DIR.into(), 9, most).unwrap()
}

fn key(history: u64) -> PlanKey {
    let of = (CollectionId(7), VectorId(2));
    PlanKey::new(of, history, &[(history, &[1.0, 2.0])])
}

fn worked_out(history: u64) -> Vec<u8> {
    let byte = u8::try_from(history).unwrap();
    vec![byte; usize::from(byte % 5)]
}

fn keep(plans: &mut Plans, history: std::ops::Range<u64>) {
    history.for_each(|it| plans.keep(&key(it), &worked_out(it)).unwrap());
}

/// Which are found, each as it was kept.
fn found(plans: &mut Plans) -> Vec<u64> {
    let is_found = |history: &u64| {
        let found = plans.find(&key(*history));
        found.is_some_and(|found| {
            assert_eq!(found, worked_out(*history));
            true
        })
    };
    (0..40).filter(is_found).collect()
}

fn files(disk: &SimDisk) -> Vec<PathBuf> {
    let names = disk.list(Path::new(DIR)).unwrap().into_iter();
    names.map(|name| Path::new(DIR).join(name)).collect()
}

#[test]
fn what_was_kept_is_found_by_a_process_that_comes_after_a_kill() {
    let disk = disk();
    let mut plans = open(&disk);
    assert!(files(&disk).is_empty(), "nothing is written for nothing");
    keep(&mut plans, 3..30);
    assert_eq!(found(&mut plans), [], "it is for a replay alone");
    let mut after = open(&disk);
    assert_eq!(found(&mut after), (3..30).collect::<Vec<_>>());
    let of = (CollectionId(7), VectorId(2));
    for other in [
        PlanKey::new((CollectionId(8), VectorId(2)), 5, &[(5, &[1.0, 2.0])]),
        PlanKey::new((CollectionId(7), VectorId(3)), 5, &[(5, &[1.0, 2.0])]),
        PlanKey::new(of, 5, &[(6, &[1.0, 2.0])]),
        PlanKey::new(of, 5, &[(5, &[1.0, 2.5])]),
        PlanKey::new(of, 5, &[(5, &[1.0, 2.0]), (5, &[1.0, 2.0])]),
    ] {
        assert_eq!(after.find(&other), None);
    }
    after.count_used();
    assert_eq!(after.end_replay().unwrap(), 1);
}

#[test]
fn of_a_file_that_is_cut_or_has_rotted_what_stands_before_is_found() {
    let whole = disk();
    keep(&mut open(&whole), 1..9);
    let [path] = &files(&whole)[..] else {
        panic!("one file")
    };
    let len = whole.open(path).unwrap().len().unwrap();
    let mut before = 8;
    for at in (0..len).rev() {
        let cut = SimDisk::new();
        cut.create_dir_all(Path::new(DIR)).unwrap();
        let mut bytes = vec![0; usize::try_from(at).unwrap()];
        whole.open(path).unwrap().read_at(&mut bytes, 0).unwrap();
        cut.create(path).unwrap().write_at(&bytes, 0).unwrap();
        let there = found(&mut open(&cut)).len();
        assert!(there == before || there + 1 == before, "{at}");
        before = there;

        whole.flip(path, bytes.len(), 16);
        let there = found(&mut open(&whole));
        assert!(
            there.len() < 8 && there.iter().zip(1..).all(|(a, b)| *a == b),
            "{at}"
        );
        whole.flip(path, bytes.len(), 16);
    }
    assert_eq!(before, 0);
}

/// The log may have lost its end with the power, and goes on with other records: what was worked out for
/// those that are lost must not come back.
#[test]
fn what_was_forgotten_is_not_found_again_whatever_a_power_cut_leaves() {
    for seed in 0..60 {
        let disk = disk();
        keep(&mut open(&disk), 1..20);
        // The system may have written them out by itself.
        let first = disk.open(&files(&disk)[0]).unwrap();
        first.sync().unwrap();
        disk.sync_dir(Path::new(DIR)).unwrap();
        let mut plans = open(&disk);
        keep(&mut plans, 1..9);
        plans.end_replay().unwrap();
        let there = found(&mut open(&disk));
        assert_eq!(there, (1..9).collect::<Vec<_>>(), "what was replayed");
        let there = found(&mut open(&disk.crash(seed)));
        assert!(there.iter().all(|history| *history < 9), "{there:?}");
    }
}

#[test]
fn a_checkpoint_lets_go_of_what_was_kept_before_it() {
    let disk = disk();
    let mut plans = open(&disk);
    keep(&mut plans, 1..9);
    plans.rotate();
    keep(&mut plans, 9..15);
    assert_eq!(found(&mut open(&disk)).len(), 14, "until it is written");
    plans.release().unwrap();
    assert_eq!(found(&mut open(&disk)), (9..15).collect::<Vec<_>>());
    plans.rotate();
    plans.release().unwrap();
    assert!(files(&disk).is_empty());
}

#[test]
fn a_full_disk_is_told_once_and_is_given_back_what_was_taken_of_it() {
    let disk = disk();
    let mut plans = open(&disk);
    keep(&mut plans, 1..5);
    disk.refuse_writes(Some(io::ErrorKind::StorageFull));
    assert!(plans.keep(&key(5), &worked_out(5)).is_err());
    assert!(files(&disk).is_empty());
    disk.refuse_writes(None);
    keep(&mut plans, 6..9);
    assert!(files(&disk).is_empty(), "there would be a gap");
    plans.rotate();
    keep(&mut plans, 9..12);
    assert_eq!(found(&mut open(&disk)), [9, 10, 11]);
}

/// Where no checkpoint comes, because its snapshot cannot be written or nobody wants one, the log grows on and this
/// does not.
#[test]
fn files_grow_to_their_limit_and_no_further_and_what_is_in_them_is_found() {
    const MOST: u64 = 1_000;
    let disk = disk();
    let bytes = || {
        let files = files(&disk).into_iter();
        files
            .map(|path| disk.open(&path).unwrap().len().unwrap())
            .sum::<u64>()
    };
    let mut plans = open_with(&disk, MOST);
    let mut kept = 0;
    while plans.keep(&key(kept), &worked_out(kept)).is_ok() {
        kept += 1;
        assert!(bytes() <= MOST && kept < 40, "{} of {kept}", bytes());
    }
    assert!(bytes() > MOST - 64 && kept > 10, "{} of {kept}", bytes());
    // It is told once, and a smaller one makes no gap.
    plans.keep(&key(35), &[]).unwrap();
    let mut after = open_with(&disk, MOST);
    assert_eq!(found(&mut after), (0..kept).collect::<Vec<_>>());
    // Starts that are cut short, again and again, add no more than there is room for.
    assert!(after.keep(&key(0), &worked_out(0)).is_err());
    assert!(bytes() <= MOST);
    // With the end of the replay there is room again,
    after.end_replay().unwrap();
    after.keep(&key(30), &worked_out(30)).unwrap();
    assert_eq!(found(&mut open(&disk)), [30]);
    // and with a checkpoint.
    let mut plans = open_with(&disk, MOST);
    plans.end_replay().unwrap();
    let mut more = 0;
    while plans.keep(&key(more), &worked_out(more)).is_ok() {
        more += 1;
    }
    plans.rotate();
    assert!(
        plans.keep(&key(30), &worked_out(30)).is_err(),
        "they are still there"
    );
    plans.rotate();
    plans.release().unwrap();
    plans.keep(&key(30), &worked_out(30)).unwrap();
    assert_eq!(found(&mut open(&disk)), [30]);
}

#[test]
fn nothing_is_kept_of_a_log_that_others_write_to() {
    let disk = disk();
    let mut plans = Plans::none(Arc::new(disk.clone()));
    let before = disk.operations();
    keep(&mut plans, 1..5);
    plans.rotate();
    keep(&mut plans, 5..9);
    plans.release().unwrap();
    assert_eq!(plans.end_replay().unwrap(), 0);
    assert_eq!(disk.operations(), before, "the disk is not touched");
}

#[test]
fn what_another_folder_or_version_has_worked_out_is_not_taken_and_goes() {
    let disk = disk();
    keep(&mut open(&disk), 1..9);
    let path = &files(&disk)[0];
    disk.flip(path, 8, 2);
    assert_eq!(found(&mut open(&disk)), [], "another version");
    disk.flip(path, 8, 2);
    let shared = Arc::new(disk.clone());
    let mut other = Plans::open(shared, DIR.into(), 10, u64::MAX).unwrap();
    assert_eq!(found(&mut other), [], "another folder");
    other.end_replay().unwrap();
    assert!(files(&disk).is_empty());
}

#[test]
fn a_file_that_could_not_be_removed_is_told_and_goes_with_the_next_checkpoint() {
    let disk = disk();
    let mut plans = open(&disk);
    keep(&mut plans, 1..5);
    plans.rotate();
    disk.power_off_at(disk.operations());
    assert!(plans.release().is_err());
    disk.power_off_at(u64::MAX);
    assert_eq!(files(&disk).len(), 1);
    plans.release().unwrap();
    assert!(files(&disk).is_empty());
}
