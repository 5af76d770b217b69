//! A shared log that is damaged, lost, or shorter than it was: what a node has of it is served and can be copied, and
//! nothing is written.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use engine::{Ack, Engine, Error, Options};
use parking_lot::Mutex;
use storage::{Log, Lsn, MemoryLog, SeveredLog};

use super::{Cluster, Kept, expect_same, keep, seeded, settle, spec, wait_for};
use crate::common::{contents, point};

/// A node with two points, the second behind its checkpoint.
fn running(cluster: &Cluster) -> (tempfile::TempDir, Engine) {
    let (dir, one) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    one.checkpoint().unwrap();
    one.upsert("c", vec![point(2, 2)], Ack::Applied).unwrap();
    (dir, one)
}

/// One that was stopped, with a checkpoint of both.
fn filled(cluster: &Cluster) -> tempfile::TempDir {
    let (dir, one) = running(cluster);
    one.shutdown().unwrap();
    dir
}

/// What a node has serves, and takes nothing.
fn serves(engine: &Engine, points: usize, why: &str) {
    assert_eq!(contents(engine, "c").len(), points);
    engine.check("c").unwrap();
    let told = engine.upsert("c", vec![point(9, 9)], Ack::Applied);
    let Err(Error::LogBroken(told)) = told else {
        panic!("{told:?}");
    };
    assert!(told.contains(why), "{told}");
    assert!(matches!(
        engine.status().read_only,
        Some(Error::LogBroken(_))
    ));
}

/// As much of a log as there was at first.
fn shortened(cluster: &Cluster, records: usize) -> Cluster {
    let log = cluster.0.lock().another();
    let mut short = MemoryLog::shared_as(log.shared().unwrap());
    for record in log.read_from(Lsn(1)).unwrap().take(records) {
        short.append(&[record.unwrap().1]).unwrap();
    }
    Cluster(Arc::new(Mutex::new(short)))
}

/// What a node leaves that is killed now.
pub(super) fn killed(dir: &Path) -> tempfile::TempDir {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in from.read_dir().unwrap() {
            let entry = entry.unwrap();
            let target = to.join(entry.file_name());
            match entry.file_type().unwrap().is_dir() {
                true => copy(&entry.path(), &target),
                false => drop(std::fs::copy(entry.path(), target).unwrap()),
            }
        }
    }
    let left = tempfile::tempdir().unwrap();
    copy(dir, left.path());
    left
}

fn manifests(dir: &Path) -> impl Iterator<Item = PathBuf> {
    let all = dir.read_dir().unwrap().map(|it| it.unwrap().path());
    all.filter(|it| {
        let name = it.file_name().unwrap().to_string_lossy();
        name.starts_with("manifest-")
    })
}

/// A log that is gone.
fn gone(dir: &tempfile::TempDir) -> Options {
    Options {
        shared_log: Some(Arc::new(|followed| match followed {
            Some(_) => Err(storage::Error::Gone(
                "the stream is not there any more".into(),
            )),
            None => Ok(Box::new(SeveredLog::new(5, Lsn(0), String::new())) as Box<dyn Log>),
        })),
        ..Options::new(dir.path())
    }
}

fn without_log(dir: &Path) -> Options {
    Options {
        without_log: true,
        ..Options::new(dir)
    }
}

#[test]
fn a_node_whose_log_is_damaged_keeps_all_it_has_and_serves_it_after_a_restart() {
    let cluster = Cluster::new();
    let (dir, one) = running(&cluster);
    let mut other = cluster.0.lock().another();
    other.append(&[b"no record".to_vec()]).unwrap();
    wait_for(|| one.status().read_only.is_some());
    serves(&one, 2, "cannot be read");
    // Without the log, too, as soon as it is known to be damaged.
    wait_for(|| one.status().checkpoint_lsn == one.status().applied_lsn);
    one.create_backup(None).unwrap();
    one.shutdown().unwrap();
    drop(one);
    for _ in 0..2 {
        let one = Engine::open(cluster.options(&dir)).unwrap();
        serves(&one, 2, "cannot be read");
        one.create_backup(None).unwrap();
    }
    let refused = Engine::open(Options::new(dir.path())).err().unwrap();
    assert!(refused.to_string().contains("was not given"), "{refused}");
    let copy = Engine::open(without_log(dir.path())).unwrap();
    serves(&copy, 2, "only the copy in this folder");
    drop(copy);
    let verdict = engine::verify(dir.path()).unwrap();
    let (end, applied) = verdict.copy.unwrap();
    assert!(verdict.is_whole() && end == applied, "{verdict:?}");
}

#[test]
fn a_new_node_has_what_comes_before_the_damage() {
    let cluster = Cluster::new();
    drop(filled(&cluster));
    let mut other = cluster.0.lock().another();
    other.append(&[b"no record".to_vec()]).unwrap();
    let (_dir, late) = cluster.node();
    serves(&late, 2, "cannot be read");
}

#[test]
fn a_log_that_ends_before_the_checkpoint_takes_no_writes_however_often_the_node_starts() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    let short = shortened(&cluster, 2);
    for _ in 0..2 {
        let one = Engine::open(short.options(&dir)).unwrap();
        serves(&one, 2, "it ends at LSN");
    }
    // Put back, it goes on.
    let one = Engine::open(cluster.options(&dir)).unwrap();
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
}

#[test]
fn a_log_that_ends_before_what_only_the_tables_know_is_remembered_to_be_short() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    std::fs::remove_file(manifests(dir.path()).max().unwrap()).unwrap();
    // As a power cut may leave it, which knows no file that was not synced.
    std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
    let verdict = engine::verify(dir.path()).unwrap();
    let (end, applied) = verdict.copy.unwrap();
    assert!(end < applied && !verdict.is_whole(), "{verdict:?}");
    let short = shortened(&cluster, 2);
    for _ in 0..2 {
        let one = Engine::open(short.options(&dir)).unwrap();
        serves(&one, 1, "it ends at LSN");
    }
    let one = Engine::open(cluster.options(&dir)).unwrap();
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    assert_eq!(contents(&one, "c").len(), 3);
}

#[test]
fn a_node_whose_log_is_gone_serves_what_it_has_and_one_that_has_nothing_says_so() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    let one = Engine::open(gone(&dir)).unwrap();
    serves(&one, 2, "not there any more");
    // What lies beside it is gone with it, and is not waited for.
    let not_there = |dir: &tempfile::TempDir| Options {
        seed: Some(Arc::new(|_, _, _| panic!("a checkpoint is looked for"))),
        ..gone(dir)
    };
    let (never_kept, one) = cluster.node();
    settle(&one, &one);
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    let left = killed(never_kept.path());
    assert_eq!(manifests(left.path()).count(), 0);
    serves(
        &Engine::open(not_there(&left)).unwrap(),
        3,
        "not there any more",
    );
    let nothing = tempfile::tempdir().unwrap();
    std::fs::copy(dir.path().join("FOLLOWS"), nothing.path().join("FOLLOWS")).unwrap();
    let refused = Engine::open(not_there(&nothing)).err().unwrap().to_string();
    assert!(
        refused.contains("holds nothing that could be read"),
        "{refused}"
    );
}

#[test]
fn what_a_node_has_begun_anew_with_and_what_it_had_before_are_removed() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    let (_other, other) = cluster.node();
    let store = Kept::default();
    other.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    let lsn = keep(&store, &other);
    cluster.0.lock().trim_below(lsn.next());
    let one = Engine::open(seeded(&cluster, &dir, &store)).unwrap();
    expect_same(&[&one, &other]);
    let restores = dir.path().join("restores");
    wait_for(|| restores.read_dir().unwrap().count() == 0);
    assert!(!dir.path().join("tables.broken").exists());
    drop(one);
    let one = Engine::open(seeded(&cluster, &dir, &store)).unwrap();
    expect_same(&[&one, &other]);
}

#[test]
fn a_node_that_is_killed_keeps_all_it_had_applied_though_its_log_is_gone() {
    let cluster = Cluster::new();
    for points in [0, 1, 12] {
        let (dir, one) = cluster.node();
        let name = format!("c{points}");
        one.create_collection(&name, spec()).unwrap();
        for n in 0..points {
            if n == points / 2 {
                one.checkpoint().unwrap();
            }
            one.upsert(&name, vec![point(n, n)], Ack::Applied).unwrap();
        }
        let left = killed(dir.path());
        let verdict = engine::verify(left.path()).unwrap();
        let (end, applied) = verdict.copy.unwrap();
        assert_eq!(end, applied);
        assert!(
            verdict.is_whole() && end >= one.durable_lsn(),
            "{verdict:?}"
        );
        let copy = Engine::open(without_log(left.path())).unwrap();
        assert_eq!(contents(&copy, &name).len() as u64, points);
        copy.create_backup(None).unwrap();
        drop(copy);
        for _ in 0..2 {
            let again = Engine::open(gone(&left)).unwrap();
            assert_eq!(contents(&again, &name).len() as u64, points);
            again.check(&name).unwrap();
            assert!(matches!(
                again.status().read_only,
                Some(Error::LogBroken(_))
            ));
        }
        // And with the log, when that is there again.
        let again = Engine::open(cluster.options(&left)).unwrap();
        again
            .upsert(&name, vec![point(99, 99)], Ack::Applied)
            .unwrap();
        settle(&one, &again);
        assert_eq!(
            one.checksum(&name).unwrap().graph,
            again.checksum(&name).unwrap().graph
        );
    }
}

#[test]
fn a_node_that_was_killed_is_not_shortened_with_its_log() {
    let cluster = Cluster::new();
    let (dir, _one) = running(&cluster);
    let left = killed(dir.path());
    let short = shortened(&cluster, 2);
    for _ in 0..2 {
        let one = Engine::open(short.options(&left)).unwrap();
        serves(&one, 2, "it ends at LSN");
    }
}

#[test]
fn a_node_that_had_read_all_that_was_purged_goes_on_and_others_are_told_how() {
    let cluster = Cluster::new();
    let (dir, one) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    one.checkpoint().unwrap();
    let behind = killed(dir.path());
    one.upsert("c", vec![point(2, 2)], Ack::Applied).unwrap();
    let left = killed(dir.path());
    cluster.0.lock().trim_below(one.durable_lsn().next());
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    let again = Engine::open(cluster.options(&left)).unwrap();
    again.upsert("c", vec![point(4, 4)], Ack::Applied).unwrap();
    expect_same(&[&one, &again]);
    // Who had not has what it had,
    let late = Engine::open(cluster.options(&behind)).unwrap();
    serves(&late, 1, "what is between was purged");
    // unless it is to wait for a checkpoint,
    let waits = Options {
        waits_for_seed: true,
        ..cluster.options(&behind)
    };
    drop(late);
    let told = Engine::open(waits).err().unwrap();
    assert!(matches!(told, Error::Busy(_)), "{told}");
    assert!(
        told.to_string().contains("what is between was purged"),
        "{told}"
    );
    // and who has nothing waits for a checkpoint.
    let fresh = tempfile::tempdir().unwrap();
    let told = Engine::open(cluster.options(&fresh)).err().unwrap();
    assert!(matches!(told, Error::Busy(_)), "{told}");
    assert!(told.to_string().contains("docs/SCALING.md"), "{told}");
    let store = Kept::default();
    keep(&store, &one);
    let fresh = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    expect_same(&[&one, &fresh]);
}

#[test]
fn a_node_that_has_more_than_the_checkpoint_in_the_store_does_not_begin_with_that() {
    let cluster = Cluster::new();
    let (dir, one) = cluster.node();
    let store = Kept::default();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    keep(&store, &one);
    for n in 2..9 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    // Killed before its first checkpoint, and its servers have lost the end.
    let left = killed(dir.path());
    let short = shortened(&cluster, 4);
    let again = Engine::open(seeded(&short, &left, &store)).unwrap();
    serves(&again, 8, "it ends at LSN");
}

#[test]
fn a_node_without_a_checkpoint_that_is_behind_what_was_purged_has_what_it_had_applied() {
    let cluster = Cluster::new();
    let (dir, one) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    let (behind, had) = (killed(dir.path()), one.durable_lsn());
    for n in 2..5 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    cluster.0.lock().trim_below(one.durable_lsn().next());
    // The commands, which ask the log too where they are told of it, and take nothing from the store.
    let store = Kept::default();
    keep(&store, &one);
    let command = Options {
        without_log: true,
        ..seeded(&cluster, &behind, &store)
    };
    let command = Engine::open(command).unwrap();
    assert_eq!(command.status().applied_lsn, had);
    let backup = command.create_backup(None).unwrap();
    assert_eq!(backup.lsn, Some(had));
    drop(command);
    for _ in 0..2 {
        let late = Engine::open(cluster.options(&behind)).unwrap();
        serves(&late, 1, "what is between was purged");
        assert_eq!(late.status().applied_lsn, had);
    }
    let again = Engine::open(seeded(&cluster, &behind, &store)).unwrap();
    expect_same(&[&one, &again]);
}

#[test]
fn what_a_node_has_begun_with_is_its_own_before_anybody_can_ask_it() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    let one = Engine::open(cluster.options(&dir)).unwrap();
    let store = Kept::default();
    let lsn = keep(&store, &one);
    cluster.0.lock().trim_below(lsn.next());
    let fresh = tempfile::tempdir().unwrap();
    let begun = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    assert_eq!(begun.status().checkpoint_lsn, lsn);
    // The second of its checkpoints is none that is waited for.
    let restores = fresh.path().join("restores");
    wait_for(|| restores.read_dir().unwrap().count() == 0);
    let left = killed(fresh.path());
    drop(begun);
    let verdict = engine::verify(left.path()).unwrap();
    assert!(verdict.is_whole(), "{verdict:?}");
    let copy = Engine::open(without_log(left.path())).unwrap();
    assert_eq!(contents(&copy, "c").len(), 2);
    drop(copy);
    // And goes on from it, though the store is gone too.
    let again = Engine::open(cluster.options(&left)).unwrap();
    again.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    expect_same(&[&one, &again]);
}

#[test]
fn a_node_whose_copy_cannot_be_kept_works_and_says_so() {
    let cluster = Cluster::new();
    let dir = filled(&cluster);
    let copy = dir.path().join("copy");
    std::fs::remove_dir_all(&copy).unwrap();
    std::fs::write(&copy, "no folder").unwrap();
    let one = Engine::open(cluster.options(&dir)).unwrap();
    assert!(one.status().copy.has_given_up);
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    std::fs::remove_file(&copy).unwrap();
    one.checkpoint().unwrap();
    one.upsert("c", vec![point(4, 4)], Ack::Applied).unwrap();
    let copied = one.status().copy;
    assert!(!copied.has_given_up && copied.bytes > 64, "{copied:?}");
    let left = killed(dir.path());
    let left = Engine::open(without_log(left.path())).unwrap();
    assert_eq!(contents(&left, "c").len(), 4);
}
