//! Backups as files: what a failing disk leaves of them.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{
    BackupReader, BackupWriter, Backups, Contents, Disk, Error, Fault, Incoming, Lsn, Origin,
    OsDisk, Shelf, SimDisk,
};

const ORIGIN: Origin = Origin {
    store: 7,
    lsn: Lsn(42),
    made_s: 1_000,
};
const SHELF: Shelf<'_> = Shelf::Collection("c");

/// A disk on which there is a data folder.
fn disk() -> SimDisk {
    let disk = SimDisk::new();
    disk.create_dir_all(Path::new("/d")).unwrap();
    disk.sync_dir(Path::new("/")).unwrap();
    disk
}

fn backups(disk: &SimDisk) -> Backups {
    Backups::new(Arc::new(disk.clone()), PathBuf::from("/d/backups"))
}

fn write(disk: &SimDisk) -> Result<(String, PathBuf), Error> {
    let backups = backups(disk);
    let (name, path) = backups.new_name(SHELF, &ORIGIN)?;
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    let mut writer = BackupWriter::create(disk, &path, &ORIGIN, &Contents::default())?;
    writer.section(0, "points", |out| out.write_all(&[5; 5_000]))?;
    let (_, sha256) = writer.finish()?;
    backups.note_sha256(SHELF, &name, &sha256)?;
    Ok((name, path))
}

fn check(disk: &SimDisk, path: &Path) {
    let reader = BackupReader::open(disk, path).unwrap();
    reader.verify().unwrap();
    assert_eq!(reader.origin, ORIGIN);
    let mut points = Vec::new();
    reader
        .part(0)
        .section("points")
        .unwrap()
        .read_to_end(&mut points)
        .unwrap();
    assert_eq!(points, [5; 5_000]);
}

#[test]
fn a_disk_that_fills_up_leaves_no_part_of_a_backup() {
    let disk = disk();
    write(&disk).unwrap();
    let (start, operations) = (self::disk().operations(), disk.operations());
    let mut failed = 0;
    for at in start..operations {
        let disk = self::disk();
        disk.fail_at(at, Fault::Error(ErrorKind::StorageFull));
        let Err(error) = write(&disk) else { continue };
        failed += 1;
        let full =
            matches!(&error, Error::Io { source, .. } if source.kind() == ErrorKind::StorageFull);
        assert!(full, "operation {at}: {error}");
        let left = disk.list(Path::new("/d/backups/collections/c")).unwrap();
        assert!(
            left.iter().all(|name| !name.ends_with(".tmp")),
            "{at}: {left:?}"
        );
        for file in backups(&disk).list(SHELF).unwrap() {
            check(&disk, &backups(&disk).path(SHELF, &file.name).unwrap());
        }
    }
    assert!(failed > 5, "{failed} of {operations}");
}

#[test]
fn a_power_cut_leaves_a_whole_backup_or_none() {
    let disk = disk();
    write(&disk).unwrap();
    let mut seen = [0, 0];
    for at in self::disk().operations()..=disk.operations() {
        for seed in 0..8 {
            let disk = self::disk();
            disk.power_off_at(at);
            let written = write(&disk).is_ok();
            let after = disk.crash(seed);
            let there = backups(&after).list(SHELF).unwrap();
            assert!(there.len() == 1 || !written, "operation {at}, seed {seed}");
            for file in &there {
                check(&after, &backups(&after).path(SHELF, &file.name).unwrap());
            }
            seen[there.len()] += 1;
        }
    }
    assert!(seen[0] > 0 && seen[1] > 0, "{seen:?}");
}

#[test]
fn what_comes_in_is_durable_when_it_is_kept_and_gone_when_it_is_not() {
    let dir = Path::new("/d/restores");
    let disk = disk();
    let incoming = |disk: &SimDisk| {
        let mut incoming = Incoming::create(Arc::new(disk.clone()), dir).unwrap();
        incoming.write(b"abc").unwrap();
        incoming
    };
    drop(incoming(&disk));
    assert!(disk.list(dir).unwrap().is_empty());
    let kept = incoming(&disk);
    let known = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    assert_eq!(kept.sha256(), known);
    let name = kept.keep(".restore").unwrap();
    for seed in 0..16 {
        let after = disk.crash(seed);
        let file = after.open(&dir.join(&name)).unwrap();
        let mut bytes = [0; 8];
        assert_eq!(file.read_at(&mut bytes, 0).unwrap(), 3);
        assert_eq!(&bytes[..3], b"abc");
    }
}

#[test]
fn a_backup_of_a_newer_version_is_refused_by_its_number() {
    let disk = disk();
    let (_, path) = write(&disk).unwrap();
    let file = disk.open(&path).unwrap();
    let mut header = [0; 64];
    file.read_at(&mut header, 0).unwrap();
    header[8] = 2;
    let crc = crc32c::crc32c(&header[..60]);
    header[60..].copy_from_slice(&crc.to_le_bytes());
    file.write_at(&header, 0).unwrap();
    let error = BackupReader::open(&disk, &path).err().unwrap().to_string();
    assert!(error.contains("backup version 2 is unknown"), "{error}");
}

#[test]
fn what_a_cut_left_half_written_is_removed_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let backups = Backups::new(Arc::new(OsDisk), dir.path().to_owned());
    backups.tidy().unwrap();
    for shelf in [SHELF, Shelf::Full] {
        let (_, path) = backups.new_name(shelf, &ORIGIN).unwrap();
        let disk: Arc<dyn Disk> = Arc::new(OsDisk);
        let writer = BackupWriter::create(disk, &path, &ORIGIN, &Contents::default());
        writer.unwrap().finish().unwrap();
        std::fs::write(path.with_extension("tmp"), "half").unwrap();
        backups.tidy().unwrap();
        assert!(!path.with_extension("tmp").exists());
        assert_eq!(backups.list(shelf).unwrap().len(), 1);
    }
}
