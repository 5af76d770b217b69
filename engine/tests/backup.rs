//! Backups: what is in them, what a restore makes of them, and what it refuses.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use common::{contents, filled, open, point, query};
use engine::{
    Ack, AliasChange, BackupFile, Engine, Error, Face, FaceImage, Lsn, NewFace, PointId, RestoreAs,
};

fn backup(engine: &Engine) -> BackupFile {
    engine.create_backup(Some("c")).unwrap()
}

fn bytes(engine: &Engine, of: Option<&str>, file: &BackupFile) -> Vec<u8> {
    let (path, found) = engine.backup_file(of, &file.name).unwrap().unwrap();
    assert_eq!(found, *file, "a list tells what the making told");
    let bytes = fs::read(path).unwrap();
    assert_eq!(bytes.len() as u64, file.bytes);
    bytes
}

fn restore(engine: &Engine, bytes: &[u8], what: RestoreAs<'_>) -> Result<Lsn, Error> {
    let mut incoming = engine.receive_backup()?;
    for piece in bytes.chunks(1_000) {
        incoming.write(piece).unwrap();
    }
    Ok(engine.restore(incoming, what, None)?.lsn)
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy_folder(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

fn restores(dir: &Path) -> usize {
    fs::read_dir(dir.join("restores")).map_or(0, Iterator::count)
}

#[test]
fn a_backup_holds_what_was_written_up_to_its_lsn_and_nothing_later() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 400);
    let done: Mutex<Vec<(Lsn, u64, Option<u64>)>> = Mutex::default();
    let stop = AtomicBool::new(false);
    let files = std::thread::scope(|scope| {
        for writer in 0..3u64 {
            let (engine, done, stop) = (&engine, &done, &stop);
            scope.spawn(move || {
                for n in 1_000.. {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    let id = (n * 31 + writer) % 150 * 3 + writer;
                    let (lsn, now) = if n % 5 == 0 {
                        let ids = vec![PointId::Num(id)];
                        (engine.delete("c", ids, Ack::Durable).unwrap().lsn, None)
                    } else {
                        let points = vec![point(id, n)];
                        let written = engine.upsert("c", points, Ack::Durable).unwrap();
                        (written.lsn, Some(n))
                    };
                    done.lock().unwrap().push((lsn, id, now));
                }
            });
        }
        let files: Vec<_> = (0..6).map(|_| backup(&engine)).collect();
        stop.store(true, Ordering::Relaxed);
        files
    });
    let mut done = done.into_inner().unwrap();
    done.sort_unstable();
    assert!(done.len() > 6, "the test wrote nothing beside the backups");
    for file in &files {
        let mut model: BTreeMap<u64, u64> = (0..400).map(|id| (id, id)).collect();
        for (_, id, now) in done.iter().filter(|(lsn, ..)| *lsn <= file.lsn.unwrap()) {
            match now {
                Some(n) => model.insert(*id, *n),
                None => model.remove(id),
            };
        }
        restore(
            &engine,
            &bytes(&engine, Some("c"), file),
            RestoreAs::Name("then"),
        )
        .unwrap();
        let model: BTreeMap<_, _> = model
            .into_iter()
            .map(|(id, n)| (PointId::Num(id), n))
            .collect();
        assert_eq!(contents(&engine, "then"), model);
        engine.check("then").unwrap();
    }
}

#[test]
fn a_restored_collection_is_the_same_to_the_bit_and_answers_the_same_elsewhere() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = filled(here.path(), 300);
    let gone = (0..300).step_by(3).map(PointId::Num).collect();
    engine.delete("c", gone, Ack::Applied).unwrap();
    engine
        .upsert("c", vec![point(7, 999)], Ack::Applied)
        .unwrap();
    let file = bytes(&engine, Some("c"), &backup(&engine));
    let other = open(there.path());
    restore(&other, &file, RestoreAs::Name("copy")).unwrap();
    let (a, b) = (
        engine.checksum("c").unwrap(),
        other.checksum("copy").unwrap(),
    );
    assert_eq!(
        (a.points, &a.content, &a.graph),
        (b.points, &b.content, &b.graph)
    );
    assert_eq!(contents(&engine, "c"), contents(&other, "copy"));
    other.check("copy").unwrap();
    let hits = |engine: &Engine, name: &str| {
        let hits = engine.search(name, &query(common::vector(50), 10)).unwrap();
        hits.into_iter()
            .map(|hit| (hit.point.id, hit.score))
            .collect::<Vec<_>>()
    };
    assert_eq!(hits(&engine, "c"), hits(&other, "copy"));
    engine.upsert("c", vec![point(8, 1)], Ack::Applied).unwrap();
    assert_ne!(engine.checksum("c").unwrap().content, a.content);
    other
        .upsert("copy", vec![point(8, 1)], Ack::Applied)
        .unwrap();
    let (a, b) = (
        engine.checksum("c").unwrap(),
        other.checksum("copy").unwrap(),
    );
    assert_eq!((&a.content, &a.graph), (&b.content, &b.graph));
}

#[test]
fn faces_come_back_with_their_pictures_and_pictures_of_replaced_ones_do_not() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 3);
    let face = |fill: u8| NewFace {
        face: Face {
            bounding_box: [1.0, 2.0, 3.0, 4.0],
            landmarks: [[5.0; 2]; 5],
            confidence: 0.5,
        },
        crop_jpeg: Some(vec![fill; 700]),
        photo: (fill == 2).then(|| vec![fill + 100; 900]),
    };
    for (id, fill) in [(1, 9), (1, 1), (2, 2)] {
        let mut new = point(id, id);
        new.face = Some(face(fill));
        engine.upsert("c", vec![new], Ack::Applied).unwrap();
    }
    let file = bytes(&engine, Some("c"), &backup(&engine));
    assert!(!file.windows(700).any(|run| run == [9; 700]));
    restore(&engine, &file, RestoreAs::Name("d")).unwrap();
    let picture =
        |engine: &Engine, id, kind| engine.face_image("d", &PointId::Num(id), kind).unwrap();
    let check = |engine: &Engine| {
        assert_eq!(picture(engine, 1, FaceImage::Crop), Some(vec![1; 700]));
        assert_eq!(picture(engine, 1, FaceImage::Photo), None);
        assert_eq!(picture(engine, 2, FaceImage::Crop), Some(vec![2; 700]));
        assert_eq!(picture(engine, 2, FaceImage::Photo), Some(vec![102; 900]));
        assert_eq!(picture(engine, 0, FaceImage::Crop), None);
    };
    check(&engine);
    drop(engine);
    check(&open(dir.path()));
}

#[test]
fn a_restore_survives_a_cut_at_any_later_moment_and_its_file_goes_when_nobody_needs_it() {
    let (dir, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = filled(dir.path(), 100);
    let file = bytes(&engine, Some("c"), &backup(&engine));
    engine
        .delete("c", (0..100).map(PointId::Num).collect(), Ack::Applied)
        .unwrap();
    restore(&engine, &file, RestoreAs::Name("c")).unwrap();
    engine
        .upsert("c", vec![point(5, 500)], Ack::Applied)
        .unwrap();
    for round in 0..3 {
        assert_eq!(
            restores(dir.path()),
            usize::from(round < 2),
            "round {round}"
        );
        let copy = after.path().join(round.to_string());
        copy_folder(dir.path(), &copy);
        let recovered = open(&copy);
        assert_eq!(contents(&recovered, "c"), contents(&engine, "c"));
        assert_eq!(contents(&recovered, "c")[&PointId::Num(5)], 500);
        recovered.check("c").unwrap();
        let (a, b) = (
            engine.checksum("c").unwrap(),
            recovered.checksum("c").unwrap(),
        );
        assert_eq!(a.content, b.content);
        engine
            .upsert("c", vec![point(5, 500)], Ack::Applied)
            .unwrap();
        engine.checkpoint().unwrap();
    }
}

#[test]
fn a_damaged_backup_is_refused_at_every_byte_and_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 4);
    let good = bytes(&engine, Some("c"), &backup(&engine));
    let before = engine.status().durable_lsn;
    let refused = |bytes: &[u8], how: &str| {
        let error = restore(&engine, bytes, RestoreAs::Name("d")).unwrap_err();
        let Error::BadRequest(what) = &error else {
            panic!("{how}: {error}")
        };
        assert!(what.contains("damaged"), "{how}: {what}");
    };
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1 << (at % 8);
        refused(&bad, &format!("byte {at} flipped"));
        if at % 7 == 0 {
            refused(&good[..at], &format!("cut at {at}"));
        }
    }
    refused(&[good.as_slice(), b"x"].concat(), "a byte more");
    assert_eq!(engine.status().durable_lsn, before, "nothing was written");
    assert_eq!(restores(dir.path()), 0, "nothing is left behind");
    assert_eq!(engine.collections().len(), 1);
    let mut incoming = engine.receive_backup().unwrap();
    incoming.write(&good).unwrap();
    let error = engine
        .restore(incoming, RestoreAs::Name("d"), Some("00"))
        .unwrap_err();
    assert!(error.to_string().contains("SHA-256"), "{error}");
    restore(&engine, &good, RestoreAs::Name("d")).unwrap();
}

#[test]
fn a_backup_of_everything_brings_all_back_with_their_aliases_in_one_step() {
    let (dir, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let engine = filled(dir.path(), 20);
    let copy = bytes(&engine, Some("c"), &backup(&engine));
    restore(&engine, &copy, RestoreAs::Name("d")).unwrap();
    let alias = |alias: &str, collection: &str| AliasChange::Create {
        alias: alias.into(),
        collection: collection.into(),
    };
    engine
        .change_aliases(&[alias("one", "c"), alias("two", "d")])
        .unwrap();
    let file = engine.create_backup(None).unwrap();
    let file = bytes(&engine, None, &file);
    let error = restore(&engine, &file, RestoreAs::Name("e")).unwrap_err();
    assert!(error.to_string().contains("2 collections"), "{error}");
    for at in [dir.path(), there.path()] {
        let other = if at == dir.path() {
            None
        } else {
            Some(open(at))
        };
        let engine = other.as_ref().unwrap_or(&engine);
        if let Ok(spec) = engine.describe("c") {
            assert_eq!(spec.points, 20);
            engine
                .delete("c", (0..20).map(PointId::Num).collect(), Ack::Applied)
                .unwrap();
            engine.drop_collection("d").unwrap();
        }
        let lsn = engine.status().durable_lsn;
        assert_eq!(
            restore(engine, &file, RestoreAs::Everything).unwrap(),
            lsn.next()
        );
        assert_eq!(contents(engine, "one").len(), 20);
        assert_eq!(contents(engine, "two").len(), 20);
        engine.check("c").unwrap();
        engine.check("d").unwrap();
    }
}

#[test]
fn an_alias_stays_with_a_collection_that_is_replaced_and_its_name_cannot_be_restored_to() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 20);
    let (alias, collection) = ("a".to_owned(), "c".to_owned());
    engine
        .change_aliases(&[AliasChange::Create { alias, collection }])
        .unwrap();
    let file = bytes(&engine, Some("c"), &backup(&engine));
    engine
        .upsert("c", vec![point(50, 50)], Ack::Applied)
        .unwrap();
    restore(&engine, &file, RestoreAs::Name("c")).unwrap();
    assert_eq!(contents(&engine, "a").len(), 20);
    let error = restore(&engine, &file, RestoreAs::Name("a")).unwrap_err();
    assert!(matches!(error, Error::Conflict(_)), "{error}");
    drop(engine);
    assert_eq!(contents(&open(dir.path()), "a").len(), 20);
}

#[test]
fn backups_outlive_their_collection_and_names_do_not_lead_outside() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 5);
    assert!(engine.backups(Some("c")).unwrap().is_empty());
    let file = backup(&engine);
    engine.drop_collection("c").unwrap();
    assert_eq!(
        engine.backups(Some("c")).unwrap(),
        std::slice::from_ref(&file)
    );
    assert!(matches!(
        engine.backups(Some("x")),
        Err(Error::NoCollection(_))
    ));
    let name = RestoreAs::Name("c");
    engine
        .restore_from_shelf(Some("c"), &file.name, name, file.sha256.as_deref())
        .unwrap();
    assert_eq!(contents(&engine, "c").len(), 5);
    for bad in [
        "../FORMAT",
        "../../c/x.snapshot",
        "..",
        ".snapshot",
        "a/b.snapshot",
        "x",
        "x.snapshot\0",
    ] {
        let error = engine.backup_file(Some("c"), bad).unwrap_err();
        assert!(matches!(error, Error::BadRequest(_)), "{bad}: {error}");
        assert!(engine.delete_backup(Some("c"), bad).is_err(), "{bad}");
    }
    let inside = std::path::absolute(dir.path()).unwrap().join("backups");
    let inside = inside.to_str().unwrap();
    let located = engine.locate_backup(
        Some("d"),
        &format!("file://{inside}/collections/c/x.snapshot"),
    );
    assert_eq!(located.unwrap(), (Some("c".into()), "x.snapshot".into()));
    for bad in [
        "http://127.0.0.1/x.snapshot".to_owned(),
        "https://h/x.snapshot".into(),
        "file:///etc/passwd".into(),
        "/etc/passwd".into(),
        "a/x.snapshot".into(),
        format!("file://{inside}/../FORMAT"),
        format!("file://{inside}/collections/../../FORMAT"),
        format!("file://{inside}/collections/c/d/x.snapshot"),
    ] {
        assert!(engine.locate_backup(Some("d"), &bad).is_err(), "{bad}");
    }
    assert!(engine.delete_backup(Some("c"), &file.name).unwrap());
    assert!(!engine.delete_backup(Some("c"), &file.name).unwrap());
    assert_eq!(
        fs::read_dir(format!("{inside}/collections/c"))
            .unwrap()
            .count(),
        0
    );
}

#[test]
fn an_alias_given_before_a_restore_is_there_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 10);
    let file = bytes(&engine, Some("c"), &backup(&engine));
    let alias = AliasChange::Create {
        alias: "who".into(),
        collection: "c".into(),
    };
    engine.change_aliases(&[alias]).unwrap();
    restore(&engine, &file, RestoreAs::Name("c")).unwrap();
    let aliases = engine.aliases();
    assert_eq!(aliases, [("who".to_owned(), "c".to_owned())]);
    let killed = tempfile::tempdir().unwrap();
    copy_folder(dir.path(), killed.path());
    // Both records are replayed in one go.
    assert_eq!(open(killed.path()).aliases(), aliases);
}

#[test]
fn a_backup_tells_how_far_it_is_and_leaves_no_file_when_it_is_cancelled() {
    let dir = tempfile::tempdir().unwrap();
    let engine = filled(dir.path(), 600);
    let mut told = Vec::new();
    let file = engine.create_backup_watched(Some("c"), &mut |done, of| {
        told.push(done);
        assert_eq!(of, 1200, "each point as a row and for its pictures");
        true
    });
    let file = file.unwrap();
    assert!(told.is_sorted() && told.len() > 3, "{told:?}");
    assert_eq!(told.last(), Some(&1200));
    for at in 0..told.len() {
        let mut left = at;
        let cancelled = engine.create_backup_watched(Some("c"), &mut |_, _| {
            left = left.wrapping_sub(1);
            left != usize::MAX
        });
        assert!(matches!(cancelled, Err(Error::Cancelled)), "at {at}");
        let folder = dir.path().join("backups/collections/c");
        let names = fs::read_dir(folder).unwrap();
        let names = names.map(|it| it.unwrap().file_name().into_string().unwrap());
        let strange: Vec<String> = names.filter(|it| !it.starts_with(&file.name)).collect();
        assert_eq!(strange, [] as [&str; 0], "at {at}");
    }
    assert_eq!(engine.backups(Some("c")).unwrap(), [file]);
    backup(&engine);
}
