//! Manifests, snapshots and blobs: damaged at every byte, and without power at every operation.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::HashMap;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use storage::{
    BlobKind, Blobs, CollectionConfig, CollectionEntry, CollectionId, Disk, Error, Fault, Lsn,
    Manifest, Manifests, Metric, PointId, PointRow, Quantization, SimDisk, SnapshotReader,
    SnapshotRef, SnapshotWriter, VectorConfig, VectorId, VectorsConfig, read_rows, sync_snapshots,
    write_row,
};

const STORE: u128 = 7;
const DIR: &str = "/data";

fn shared(disk: &SimDisk) -> Arc<dyn Disk> {
    Arc::new(disk.clone())
}

fn manifest(lsn: u64) -> Manifest {
    let face = VectorConfig {
        id: VectorId(1),
        name: "face".into(),
        dim: 128,
        metric: Metric::Cosine,
        quantization: Quantization::Int8,
        m: 16,
        ef_construct: 100,
        embedder: None,
        rebuilds: None,
        made_of: None,
        on_disk: false,
    };
    let config = CollectionConfig {
        name: "faces".into(),
        vectors: VectorsConfig {
            list: vec![face],
            next: 5,
        },
        metadata: vec![0x80],
        indexes: None,
    };
    let snapshot = SnapshotRef {
        file: format!("{lsn}.snap"),
        changed: lsn,
        bytes: 99,
    };
    Manifest {
        lsn: Lsn(lsn),
        next_collection: 2,
        collections: vec![CollectionEntry {
            id: CollectionId(1),
            config,
            snapshot,
        }],
        aliases: vec![("people".into(), CollectionId(1))],
    }
}

fn manifests(disk: &SimDisk) -> Result<(Manifests, Vec<String>), Error> {
    let opened = Manifests::open(shared(disk), Path::new(DIR), STORE, &|_| Ok(()))?;
    assert!(opened.usable || opened.manifests.newest().is_none());
    Ok((opened.manifests, opened.skipped))
}

fn len(disk: &SimDisk, path: &Path) -> usize {
    usize::try_from(disk.open(path).unwrap().len().unwrap()).unwrap()
}

#[test]
fn the_two_newest_manifests_are_kept_and_the_log_is_released_below_the_older() {
    let disk = SimDisk::new();
    let (mut kept, _) = manifests(&disk).unwrap();
    assert_eq!((kept.newest(), kept.release_below()), (None, Lsn(0)));
    kept.write(manifest(10)).unwrap();
    assert_eq!(kept.release_below(), Lsn(0), "there is no spare yet");
    kept.write(manifest(20)).unwrap();
    kept.write(manifest(30)).unwrap();
    assert_eq!(kept.release_below(), Lsn(21));
    assert_eq!(disk.list(Path::new(DIR)).unwrap().len(), 2);
    let (again, skipped) = manifests(&disk).unwrap();
    assert_eq!(again.newest(), Some(&manifest(30)));
    assert!(skipped.is_empty());
    assert!(again.snapshots().contains("20.snap") && !again.snapshots().contains("10.snap"));
}

#[test]
fn a_flipped_bit_in_a_manifest_makes_the_one_before_it_count() {
    let disk = SimDisk::new();
    let (mut kept, _) = manifests(&disk).unwrap();
    kept.write(manifest(10)).unwrap();
    kept.write(manifest(20)).unwrap();
    let names = disk.list(Path::new(DIR)).unwrap();
    let newest = Path::new(DIR).join(&names[1]);
    for at in 0..len(&disk, &newest) {
        disk.flip(&newest, at, 1);
        let (opened, skipped) = manifests(&disk).unwrap();
        assert_eq!(opened.newest(), Some(&manifest(10)), "byte {at}");
        assert_eq!(skipped.len(), 1);
        disk.flip(&newest, at, 1);
    }
    disk.flip(&newest, 40, 1);
    disk.flip(&Path::new(DIR).join(&names[0]), 40, 1);
    let opened = Manifests::open(shared(&disk), Path::new(DIR), STORE, &|_| Ok(())).unwrap();
    assert!(!opened.usable && opened.manifests.newest().is_none());
    assert_eq!(opened.skipped.len(), 2, "{:?}", opened.skipped);
}

#[test]
fn power_may_go_at_any_operation_while_manifests_are_written() {
    let work = |disk: &SimDisk| {
        let Ok((mut kept, _)) = manifests(disk) else {
            return 0;
        };
        let mut done = 0;
        for lsn in 1..=4 {
            if kept.write(manifest(lsn)).is_err() {
                break;
            }
            done = lsn;
        }
        done
    };
    let whole = SimDisk::new();
    work(&whole);
    for operation in 0..=whole.operations() {
        for seed in 0..32 {
            let disk = SimDisk::new();
            disk.power_off_at(operation);
            let done = work(&disk);
            let (opened, _) = manifests(&disk.crash(seed)).unwrap();
            let found = opened.newest().map_or(0, |manifest| manifest.lsn.0);
            assert!(
                found == done || found == done + 1,
                "operation {operation}, seed {seed}: {found} after {done}"
            );
        }
    }
}

fn row(id: u64) -> PointRow {
    PointRow {
        id: PointId::Num(id),
        payload: vec![0x81, 0xa1, b'n', 0x05],
        face: None,
    }
}

fn write_snapshot(disk: &SimDisk) -> Result<PathBuf, Error> {
    let path = Path::new(DIR).join("s.snap");
    let mut writer = SnapshotWriter::create(shared(disk), &path, STORE, CollectionId(3), Lsn(12))?;
    writer.section("index", |out| out.write_all(&[7; 300]))?;
    writer.section("points", |out| {
        (0..3).try_for_each(|id| write_row(out, row(id)))
    })?;
    writer.finish()?;
    sync_snapshots(disk, Path::new(DIR))?;
    Ok(path)
}

fn read_snapshot(disk: &SimDisk, path: &Path) -> Result<(Vec<u8>, Vec<PointRow>), Error> {
    let reader = SnapshotReader::open(disk, path, STORE)?;
    assert_eq!((reader.collection, reader.lsn), (CollectionId(3), Lsn(12)));
    reader.verify()?;
    let mut index = Vec::new();
    reader
        .part()
        .section("index")?
        .read_to_end(&mut index)
        .unwrap();
    let rows = read_rows(reader.part().section("points")?).collect::<Result<_, _>>()?;
    Ok((index, rows))
}

#[test]
fn a_snapshot_is_read_as_it_was_written_and_a_flipped_bit_is_found() {
    let disk = SimDisk::new();
    let path = write_snapshot(&disk).unwrap();
    let whole = (vec![7; 300], vec![row(0), row(1), row(2)]);
    assert_eq!(read_snapshot(&disk, &path).unwrap(), whole);
    for at in 0..len(&disk, &path) {
        disk.flip(&path, at, 0x10);
        assert!(read_snapshot(&disk, &path).is_err(), "byte {at}");
        disk.flip(&path, at, 0x10);
    }
    for cut in 0..len(&disk, &path) {
        let shorter = SimDisk::new();
        write_snapshot(&shorter).unwrap();
        let file = shorter.open(&path).unwrap();
        file.set_len(cut as u64).unwrap();
        assert!(read_snapshot(&shorter, &path).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_snapshot_has_its_name_only_when_it_is_whole() {
    let whole = SimDisk::new();
    let path = write_snapshot(&whole).unwrap();
    for operation in 0..=whole.operations() {
        for seed in 0..16 {
            let disk = SimDisk::new();
            disk.power_off_at(operation);
            let done = write_snapshot(&disk).is_ok();
            let after = disk.crash(seed);
            let there = after.open(&path).is_ok();
            assert!(there || !done, "operation {operation}, seed {seed}: lost");
            if there {
                let read = read_snapshot(&after, &path);
                assert!(read.is_ok(), "operation {operation}, seed {seed}");
            }
        }
    }
}

const ADA: PointId = PointId::Num(1);
const HOME: CollectionId = CollectionId(3);

fn blobs(disk: &SimDisk) -> Blobs {
    Blobs::open(shared(disk), Path::new(DIR), STORE).unwrap()
}

#[test]
fn a_synced_blob_survives_and_is_given_to_its_owner_only() {
    for seed in 0..16 {
        let disk = SimDisk::new();
        let kept = blobs(&disk);
        let put = |bytes: &[u8]| {
            let place = kept.append(HOME, &ADA, BlobKind::Crop, Lsn(1), bytes);
            place.unwrap()
        };
        let (one, two) = (put(b"a face"), put(b""));
        kept.sync().unwrap();
        let unsynced = put(b"not synced");
        let after = disk.crash(seed);
        let kept = blobs(&after);
        assert_eq!(kept.read(&one, HOME, &ADA).unwrap(), b"a face");
        assert_eq!(kept.read(&two, HOME, &ADA).unwrap(), b"");
        assert!(kept.read(&one, CollectionId(4), &ADA).is_err());
        assert!(kept.read(&one, HOME, &PointId::Uuid(1)).is_err());
        let read = kept.read(&unsynced, HOME, &ADA);
        assert!(read.is_err() || read.unwrap() == b"not synced");
        let later = kept.append(HOME, &ADA, BlobKind::Photo, Lsn(2), b"later");
        let later = later.unwrap();
        assert!(later.file > one.file, "a torn file is never written after");
        assert_eq!(kept.read(&later, HOME, &ADA).unwrap(), b"later");
    }
}

#[test]
fn what_is_copied_after_a_file_that_could_not_be_begun_is_not_removed_with_it() {
    let disk = SimDisk::new();
    let (collection, id) = (HOME, ADA);
    let blobs = blobs(&disk);
    let append = || blobs.append(collection, &id, BlobKind::Crop, Lsn(1), b"crop");
    let place = append().unwrap();
    let used = HashMap::from([(place.file, Blobs::bytes_of(&place))]);
    append().unwrap();
    // A place for a copy is wanted: its file is made, but there is no room for the header.
    let stale = blobs.stale(&used).unwrap();
    assert_eq!(stale, [place.file]);
    disk.fail_at(disk.operations() + 1, Fault::Error(ErrorKind::StorageFull));
    assert!(blobs.copy(&place, collection, &id).is_err());
    // Once more, with room.
    let stale = blobs.stale(&used).unwrap();
    assert_eq!(
        stale.len(),
        2,
        "the file that was begun is there: {stale:?}"
    );
    let copied = blobs.copy(&place, collection, &id).unwrap();
    assert!(!stale.contains(&copied.file));
    blobs.remove(&stale).unwrap();
    assert_eq!(blobs.read(&copied, collection, &id).unwrap(), b"crop");
    let used = HashMap::from([(copied.file, Blobs::bytes_of(&copied))]);
    assert!(blobs.stale(&used).unwrap().is_empty());
}

#[test]
fn a_flipped_bit_in_a_blob_is_found() {
    let disk = SimDisk::new();
    let kept = blobs(&disk);
    let place = kept.append(HOME, &ADA, BlobKind::Crop, Lsn(1), b"a face");
    let place = place.unwrap();
    let name = disk.list(Path::new(DIR)).unwrap().pop().unwrap();
    let path = Path::new(DIR).join(name);
    let start = usize::try_from(place.offset).unwrap();
    for at in start..len(&disk, &path) {
        disk.flip(&path, at, 4);
        assert!(kept.read(&place, HOME, &ADA).is_err(), "byte {at}");
        disk.flip(&path, at, 4);
    }
    assert_eq!(kept.read(&place, HOME, &ADA).unwrap(), b"a face");
}
