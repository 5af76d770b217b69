//! A data folder that no one has open is checked without being changed, and mended only as told.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};

use common::{contents, copied, expect_filled, files, filled, open, point};
use engine::{
    Ack, CollectionSpec, Engine, Loss, Lsn, Metric, Options, PointId, Remedy, Verdict, repair,
    verify,
};
use storage::{CollectionId, Expectation, TableChange, Tables};

fn remedies(verdict: &Verdict) -> Vec<Remedy> {
    verdict.findings.iter().map(|it| it.remedy).collect()
}

/// Two checkpoints, neither of which has the last ten of thirty points.
fn with_two_checkpoints(dir: &Path) {
    let engine = filled(dir, 10);
    for from in [10, 20] {
        engine.checkpoint().unwrap();
        let more = (from..from + 10).map(|id| point(id, id)).collect();
        engine.upsert("c", more, Ack::Applied).unwrap();
    }
    kill(engine);
}

/// Ends without the last checkpoint, as a killed process does: the folder is copied back as it was.
fn kill(engine: Engine) {
    std::mem::forget(engine);
}

fn last_of(dir: &Path, folder: &str, ending: &str) -> PathBuf {
    let mut all = files(&dir.join(folder)).into_keys();
    all.rfind(|path| path.to_str().unwrap().ends_with(ending))
        .unwrap()
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 0x10;
    fs::write(path, bytes).unwrap();
}

#[test]
fn checking_a_whole_folder_finds_nothing_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    with_two_checkpoints(dir.path());
    let dir = copied(dir.path());
    let before = files(dir.path());
    let verdict = verify(dir.path()).unwrap();
    assert!(verdict.is_whole(), "{:?}", verdict.findings);
    assert_eq!(verdict.log.map(|it| it.1), Some(Lsn(4)));
    assert_eq!(verdict.checkpoint, Some(Lsn(3)));
    let [collection] = verdict.collections.as_slice() else {
        panic!("{:?}", verdict.collections)
    };
    assert_eq!((collection.name.as_str(), collection.points), ("c", 30));
    assert_eq!(
        files(dir.path()),
        before,
        "the check has changed the folder"
    );
}

#[test]
fn a_flipped_byte_of_log_checkpoint_or_snapshot_is_found_and_its_file_is_named() {
    let whole = tempfile::tempdir().unwrap();
    with_two_checkpoints(whole.path());
    let whole = copied(whole.path());
    let is_checked = |path: &PathBuf| {
        let path = path.to_str().unwrap();
        let ends = |ending| path.ends_with(ending);
        ends(".log") || ends(".snap") || ends("/witness") || path.contains("manifest-")
    };
    let all = files(whole.path()).into_iter();
    let all: Vec<_> = all.filter(|(path, _)| is_checked(path)).collect();
    assert!(all.len() >= 6, "{}", all.len());
    for (path, bytes) in all {
        for at in (0..bytes.len()).step_by(bytes.len() / 8 + 1) {
            flip(&path, at);
            let verdict = verify(whole.path()).unwrap();
            fs::write(&path, &bytes).unwrap();
            let named = verdict.findings.iter().any(|finding| {
                let name = path.file_name().unwrap().to_str().unwrap();
                finding.what.contains(name)
            });
            assert!(
                named,
                "{}, byte {at}: {:?}",
                path.display(),
                verdict.findings
            );
        }
    }
}

#[test]
fn a_payload_that_the_tables_alone_have_otherwise_is_found_and_mended() {
    let dir = tempfile::tempdir().unwrap();
    drop(filled(dir.path(), 20));
    let expected = Expectation {
        store: storage::read_format(dir.path()).unwrap().unwrap().1,
        at_least: Lsn(0),
        at_most: Lsn(100),
    };
    let opened = Tables::open(&dir.path().join("tables"), &expected).unwrap();
    let other = storage::encode_payload(&common::payload(99)).unwrap();
    let put = TableChange::PutPoint {
        collection: CollectionId(1),
        id: PointId::Num(7),
        lsn: Lsn(2),
        payload: &other,
        face: None,
    };
    opened.tables.apply(Lsn(2), &[put]).unwrap();
    opened.tables.flush_and_sync().unwrap();
    drop(opened);
    let found = verify(dir.path()).unwrap();
    assert_eq!(remedies(&found), [Remedy::RebuildTables]);
    assert!(found.findings[0].what.contains("point 7"), "{found:?}");
    let (done, after) = repair(dir.path(), &found, Loss::Refused).unwrap();
    assert!(after.is_whole(), "{done:?} {:?}", after.findings);
    expect_filled(dir.path(), 20);
}

#[test]
fn a_torn_tail_is_shown_before_it_is_cut() {
    let dir = tempfile::tempdir().unwrap();
    with_two_checkpoints(dir.path());
    let dir = copied(dir.path());
    let segment = last_of(dir.path(), "log", ".log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend([7; 5]);
    fs::write(&segment, &bytes).unwrap();
    let found = verify(dir.path()).unwrap();
    assert_eq!(remedies(&found), [Remedy::Start]);
    assert_eq!(fs::read(&segment).unwrap(), bytes, "only shown");
    let (_, after) = repair(dir.path(), &found, Loss::Refused).unwrap();
    assert!(after.is_whole(), "{:?}", after.findings);
    expect_filled(dir.path(), 30);
}

/// What could tell is gone, so it is not called whole; a start would go on, and that is all that repairing does.
#[test]
fn a_log_or_witness_that_is_gone_is_named_though_nothing_else_knows_of_what_was_in_it() {
    let whole = tempfile::tempdir().unwrap();
    kill(filled(whole.path(), 10));
    let expect = |gone: &[&str], points: &[usize]| {
        let dir = copied(whole.path());
        for path in gone.iter().map(|gone| dir.path().join(gone)) {
            match path.is_dir() {
                true => fs::remove_dir_all(&path).unwrap(),
                false => fs::remove_file(&path).unwrap(),
            }
        }
        let found = verify(dir.path()).unwrap();
        assert!(!found.is_whole() && !found.loses_nothing(), "{gone:?}");
        for gone in gone.iter().filter(|gone| gone.starts_with("log")) {
            let gone = dir.path().join(gone).display().to_string();
            let is_named = found.findings.iter().any(|it| it.what.starts_with(&gone));
            assert!(is_named, "{gone}: {:?}", found.findings);
        }
        let served: Vec<_> = found.collections.iter().map(|it| it.points).collect();
        assert_eq!(served, points, "{gone:?}");
        let (done, after) = repair(dir.path(), &found, Loss::Refused).unwrap();
        assert!(after.is_whole(), "{done:?} {:?}", after.findings);
    };
    expect(&["log/witness"], &[10]);
    // Without log and tables nobody knows that there was anything.
    expect(&["log", "tables"], &[]);
}

#[test]
fn a_torn_write_is_not_called_unknown_to_all_where_no_witness_says_so() {
    let dir = tempfile::tempdir().unwrap();
    kill(filled(dir.path(), 10));
    let dir = copied(dir.path());
    let segment = last_of(dir.path(), "log", ".log");
    let mut bytes = fs::read(&segment).unwrap();
    bytes.extend([7; 5]);
    fs::write(&segment, &bytes).unwrap();
    let torn = || {
        let found = verify(dir.path()).unwrap().findings.into_iter();
        let mut torn = found.filter(|it| it.remedy == Remedy::Start);
        torn.next().unwrap().what
    };
    assert!(torn().ends_with("nobody was told of"), "{}", torn());
    fs::remove_file(dir.path().join("log/witness")).unwrap();
    assert!(torn().ends_with("may have been told"), "{}", torn());
}

#[test]
fn a_damaged_record_is_given_up_only_when_the_loss_is_accepted_and_its_bytes_are_kept() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 10);
    let segment = last_of(dir.path(), "log", ".log");
    let good = fs::read(&segment).unwrap();
    for from in [10, 20] {
        let more = (from..from + 10).map(|id| point(id, id)).collect();
        engine.upsert("c", more, Ack::Applied).unwrap();
    }
    kill(engine);
    let dir = copied(dir.path());
    let segment = last_of(dir.path(), "log", ".log");
    flip(&segment, good.len() + 40);
    let damaged = fs::read(&segment).unwrap();
    let found = verify(dir.path()).unwrap();
    assert!(remedies(&found).contains(&Remedy::AcceptLoss), "{found:?}");
    assert!(!found.loses_nothing());
    let (done, after) = repair(dir.path(), &found, Loss::Refused).unwrap();
    assert!(done.is_empty() && !after.loses_nothing(), "{done:?}");
    assert_eq!(fs::read(&segment).unwrap(), damaged, "nothing was given up");
    let (done, after) = repair(dir.path(), &found, Loss::Accepted).unwrap();
    assert!(after.is_whole(), "{done:?} {:?}", after.findings);
    let kept = fs::read(last_of(dir.path(), "log", ".damaged")).unwrap();
    assert_eq!(kept, damaged[good.len()..]);
    expect_filled(dir.path(), 10);
}

#[test]
fn damage_in_the_log_before_the_checkpoint_costs_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 256,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options).unwrap();
    let spec = CollectionSpec::new(4, Metric::Euclid);
    engine.create_collection("c", spec).unwrap();
    for id in 0..40 {
        let one = vec![point(id, id)];
        engine.upsert("c", one, Ack::Applied).unwrap();
        if id == 30 {
            engine.checkpoint().unwrap();
        }
    }
    kill(engine);
    let dir = copied(dir.path());
    let first = files(&dir.path().join("log")).into_keys().next().unwrap();
    flip(&first, 60);
    let found = verify(dir.path()).unwrap();
    assert!(remedies(&found).contains(&Remedy::AcceptLoss), "{found:?}");
    let (done, after) = repair(dir.path(), &found, Loss::Accepted).unwrap();
    assert!(after.is_whole(), "{done:?} {:?}", after.findings);
    expect_filled(dir.path(), 40);
}

#[test]
fn a_log_that_ends_before_the_checkpoint_begins_anew_after_it() {
    let dir = tempfile::tempdir().unwrap();
    with_two_checkpoints(dir.path());
    let dir = copied(dir.path());
    for path in files(&dir.path().join("log")).into_keys() {
        fs::remove_file(path).unwrap();
    }
    let found = verify(dir.path()).unwrap();
    assert!(!found.loses_nothing(), "{found:?}");
    let (done, after) = repair(dir.path(), &found, Loss::Accepted).unwrap();
    assert!(after.is_whole(), "{done:?} {:?}", after.findings);
    let engine = expect_filled(dir.path(), 20);
    engine
        .upsert("c", vec![point(20, 20)], Ack::Applied)
        .unwrap();
    drop(engine);
    expect_filled(dir.path(), 21);
}

#[test]
fn a_collection_whose_snapshots_are_all_damaged_is_named_and_the_others_are_checked() {
    let dir = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 64,
        ..Options::new(dir.path())
    };
    let engine = Engine::open(options).unwrap();
    for name in ["good", "bad"] {
        let spec = CollectionSpec::new(4, Metric::Euclid);
        engine.create_collection(name, spec).unwrap();
    }
    for round in 0..4 {
        for name in ["good", "bad"] {
            let one = vec![point(round, round)];
            engine.upsert(name, one, Ack::Applied).unwrap();
        }
        engine.checkpoint().unwrap();
    }
    drop(engine);
    for path in files(&dir.path().join("snapshots")).into_keys() {
        if path
            .file_name()
            .unwrap()
            .to_str()
            .unwrap()
            .starts_with("0000000002")
        {
            flip(&path, 80);
        }
    }
    let found = verify(dir.path()).unwrap();
    let lost: Vec<_> = found.findings.iter().collect();
    let lost = lost
        .iter()
        .find(|it| it.remedy == Remedy::RestoreCollection);
    assert!(lost.unwrap().what.contains("`bad`"), "{found:?}");
    assert_eq!(found.collections.len(), 1);
    assert_eq!(contents(&open(dir.path()), "good").len(), 4);
}

#[test]
fn nothing_is_given_up_where_no_checkpoint_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    with_two_checkpoints(dir.path());
    let dir = copied(dir.path());
    for path in files(dir.path()).into_keys() {
        let name = path.to_str().unwrap();
        if name.contains("manifest-") || name.ends_with(".log") {
            flip(&path, 20);
        }
    }
    let before = files(dir.path());
    let found = verify(dir.path()).unwrap();
    assert!(!remedies(&found).contains(&Remedy::AcceptLoss), "{found:?}");
    assert!(
        remedies(&found).contains(&Remedy::RestoreFolder),
        "{found:?}"
    );
    let (done, _) = repair(dir.path(), &found, Loss::Accepted).unwrap_or_default();
    assert!(done.is_empty(), "{done:?}");
    for (path, bytes) in before {
        assert_eq!(fs::read(&path).unwrap(), bytes, "{}", path.display());
    }
}

#[test]
fn a_folder_in_use_and_one_that_is_not_there_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 3);
    let error = verify(dir.path()).unwrap_err().to_string();
    assert!(
        error.contains("another process has this data folder open"),
        "{error}"
    );
    drop(engine);
    let nowhere = dir.path().join("nowhere");
    let error = verify(&nowhere).unwrap_err().to_string();
    assert!(error.contains("there is no data folder here"), "{error}");
    assert!(!nowhere.exists(), "a check makes no folder");
}

#[test]
fn a_sha256_beside_a_backup_that_has_rotted_is_told_to_nobody_and_the_backup_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 10);
    let backup = engine.create_backup(Some("c")).unwrap();
    let listed = |engine: &Engine| engine.backups(Some("c")).unwrap()[0].sha256.clone();
    assert_eq!(listed(&engine), backup.sha256);
    let beside = last_of(dir.path(), "backups/collections/c", ".sha256");
    let whole = fs::read(&beside).unwrap();
    for at in 0..whole.len() {
        flip(&beside, at);
        assert_eq!(listed(&engine), None, "byte {at}");
        fs::write(&beside, &whole[..at]).unwrap();
        assert_eq!(listed(&engine), None, "cut at {at}");
        fs::write(&beside, &whole).unwrap();
    }
    flip(&beside, 7);
    drop(engine);
    let verdict = verify(dir.path()).unwrap();
    assert_eq!(remedies(&verdict), [Remedy::RemoveChecksum]);
    assert!(verdict.findings[0].what.contains(".sha256"), "{verdict:?}");
}

#[test]
fn a_damaged_backup_is_told_and_the_data_it_was_made_of_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 10);
    engine.create_backup(Some("c")).unwrap();
    engine.create_backup(None).unwrap();
    drop(engine);
    let verdict = verify(dir.path()).unwrap();
    assert!(verdict.is_whole(), "{:?}", verdict.findings);
    assert_eq!(verdict.backups, 2);
    let backup = last_of(dir.path(), "backups/full", ".snapshot");
    flip(&backup, 300);
    let verdict = verify(dir.path()).unwrap();
    assert_eq!(remedies(&verdict), [Remedy::MakeBackupAgain]);
    let name = backup.file_name().unwrap().to_str().unwrap();
    let what = &verdict.findings[0].what;
    assert!(what.contains(name), "{what}");
    assert!(!verdict.loses_nothing() && verdict.plan(Loss::Accepted).is_empty());
    expect_filled(dir.path(), 10);
}
