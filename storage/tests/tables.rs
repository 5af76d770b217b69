//! The tables: what was applied is there, in order, and tables that do not fit are not used.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashSet;
use std::path::Path;

use storage::{CollectionId, Expectation, Lsn, OpenedTables, PointId, TableChange, Tables};

const HOME: CollectionId = CollectionId(1);
const OTHER: CollectionId = CollectionId(2);

fn expectation(at_least: u64, at_most: u64) -> Expectation {
    Expectation {
        store: 7,
        at_least: Lsn(at_least),
        at_most: Lsn(at_most),
    }
}

fn open(dir: &Path, expected: Expectation) -> OpenedTables {
    Tables::open(&dir.join("tables"), &expected).unwrap()
}

fn put(collection: CollectionId, id: u64) -> TableChange<'static> {
    TableChange::PutPoint {
        collection,
        id: PointId::Num(id),
        lsn: Lsn(id),
        payload: b"payload",
        face: None,
    }
}

fn ids(tables: &Tables, collection: CollectionId, from: Option<u64>) -> Vec<PointId> {
    let ids = tables.ids(collection, from.map(PointId::Num).as_ref());
    ids.collect::<Result<_, _>>().unwrap()
}

fn numbers(numbers: &[u64]) -> Vec<PointId> {
    numbers.iter().copied().map(PointId::Num).collect()
}

#[test]
fn what_was_applied_is_there_after_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let OpenedTables { tables, rebuild } = open(dir.path(), expectation(0, 0));
    assert_eq!(rebuild, None);
    let delete = TableChange::DeletePoint {
        collection: HOME,
        id: PointId::Num(300),
    };
    let changes = [
        put(HOME, 300),
        put(HOME, 2),
        put(OTHER, 5),
        put(HOME, 70_000),
        delete,
    ];
    tables.apply(Lsn(9), &changes).unwrap();
    tables.flush_and_sync().unwrap();
    drop(tables);
    let OpenedTables { tables, rebuild } = open(dir.path(), expectation(9, 9));
    assert_eq!(rebuild, None);
    assert_eq!(tables.applied_lsn().unwrap(), Lsn(9));
    assert_eq!(ids(&tables, HOME, None), numbers(&[2, 70_000]));
    assert_eq!(ids(&tables, HOME, Some(3)), numbers(&[70_000]));
    assert_eq!(tables.put_by(HOME, &PointId::Num(2)).unwrap(), Some(Lsn(2)));
    let payload = tables.payload(HOME, &PointId::Num(2)).unwrap();
    assert_eq!(payload.as_deref(), Some(b"payload".as_slice()));
    assert!(!tables.contains(HOME, &PointId::Num(300)).unwrap());
    let exactly: HashSet<_> = numbers(&[2, 70_000]).into_iter().collect();
    assert!(tables.holds_exactly(HOME, &exactly));
    assert!(!tables.holds_exactly(OTHER, &exactly));
    tables.sweep_dropped(HOME).unwrap();
    assert!(ids(&tables, HOME, None).is_empty());
    assert_eq!(ids(&tables, OTHER, None), numbers(&[5]));
}

#[test]
fn many_changes_are_applied_in_pieces_and_all_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let tables = open(dir.path(), expectation(0, 0)).tables;
    let payload = vec![5; 16_384];
    let changes: Vec<_> = (0..2_000)
        .map(|id| TableChange::PutPoint {
            collection: HOME,
            id: PointId::Num(id),
            lsn: Lsn(1),
            payload: &payload,
            face: None,
        })
        .collect();
    assert!(changes.len() * 16_384 > 3 * storage::limits::TRANSACTION_BYTES);
    tables.apply(Lsn(1), &changes).unwrap();
    assert_eq!(ids(&tables, HOME, None).len(), 2_000);
    assert_eq!(tables.applied_lsn().unwrap(), Lsn(1));
}

#[test]
fn tables_that_do_not_fit_are_moved_aside_with_the_reason() {
    let reason = |expected: Expectation| {
        let dir = tempfile::tempdir().unwrap();
        let tables = open(dir.path(), expectation(0, 0)).tables;
        tables.apply(Lsn(5), &[put(HOME, 1)]).unwrap();
        tables.flush_and_sync().unwrap();
        drop(tables);
        let opened = open(dir.path(), expected);
        assert!(ids(&opened.tables, HOME, None).is_empty());
        assert!(dir.path().join("tables.broken").is_dir());
        opened.rebuild.unwrap()
    };
    assert!(reason(expectation(6, 9)).contains("before the checkpoint at 6"));
    let other = Expectation {
        store: 8,
        ..expectation(0, 9)
    };
    assert!(reason(other).contains("another data folder"));
}

#[test]
fn tables_that_know_more_than_the_log_accuse_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let tables = open(dir.path(), expectation(0, 0)).tables;
    tables.apply(Lsn(5), &[put(HOME, 1)]).unwrap();
    tables.flush_and_sync().unwrap();
    drop(tables);
    let path = dir.path().join("tables");
    let error = Tables::open(&path, &expectation(0, 4)).err().unwrap();
    assert!(error.to_string().contains("the log ends at 4"), "{error}");
    let opened = open(dir.path(), expectation(0, 5));
    assert_eq!(ids(&opened.tables, HOME, None), numbers(&[1]));
}

#[test]
fn empty_tables_are_not_taken_for_those_of_a_checkpoint() {
    let dir = tempfile::tempdir().unwrap();
    let opened = open(dir.path(), expectation(3, 3));
    assert!(opened.rebuild.is_some());
}
