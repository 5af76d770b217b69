//! An engine beside its model: operations go to it, and its answers are compared.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use engine::{
    Ack, AliasChange, CollectionChange, CollectionSpec, Condition, Copied, Engine, Face, FaceImage,
    Filter, IndexChange, IndexKind, KeyPath, Lacking, Metric, NewFace, OldBackups, Options,
    Payload, Point, PointId, Query, Refill, RestoreAs, Scalar, Select, Test, VectorSpec, Vectors,
    Which,
};
use storage::{BackupReader, Disk, SimDisk};

use super::crowd;
use super::model::{
    Cabinet, FRONT, Held, Model, SIDE, TAG, TAGS, has_picture, lacks_second, payload_of, vectors_of,
};
use super::ops::{Chosen, NAMES, Op, Rebuilding};
use super::shelf::BackupId;

const PAGE: usize = 7;
const NOTE: &str = "note";
const ALL: Select = Select {
    payload: true,
    vectors: Which::All,
};

/// Opens an engine on a simulated disk, its tables `beside`. Log files are short, so that the log
/// rolls over, and no checkpoint comes by itself, so that every step has its number.
pub(super) fn open(disk: &SimDisk, beside: &Path) -> Result<Engine, engine::Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Engine::open(Options {
        segment_bytes: 2_000,
        checkpoint_log_bytes: u64::MAX,
        checkpoint_interval: Duration::MAX,
        disk,
        beside: Some(beside.to_owned()),
        ..Options::new("/data")
    })
}

fn dim(vector: &str) -> usize {
    match vector {
        SIDE => 3,
        _ => 4,
    }
}

/// The vector of a number, which can be told from it: whole numbers, so that whatever is computed of
/// them is exact.
pub(super) fn vector(name: &str, n: u64) -> Vec<f32> {
    let mixed = n.wrapping_mul(7_919);
    let numbers = [n % 1_024, n / 1_024 % 1_024, mixed % 997, mixed / 997 % 991];
    let numbers = numbers.map(|number| f32::from(u16::try_from(number).unwrap_or(0)));
    numbers[..dim(name)].to_vec()
}

/// The number of a vector, if it is that of one.
pub(super) fn number_of(name: &str, found: &[f32]) -> Option<u64> {
    let whole = |x: f32| (0..1_024_u16).find(|n| f32::from(*n) == x).map(u64::from);
    let n = whole(*found.first()?)? + whole(*found.get(1)?)? * 1_024;
    (vector(name, n) == found).then_some(n)
}

fn picture(n: u64) -> Vec<u8> {
    let len = usize::try_from(n % 300).unwrap_or(0);
    n.to_le_bytes().repeat(1 + len / 8)
}

fn face() -> Face {
    Face {
        bounding_box: [1.0, 2.0, 3.0, 4.0],
        landmarks: [[0.5; 2]; 5],
        confidence: 0.5,
    }
}

fn point(id: u64, n: u64, vectors: &BTreeSet<String>) -> Point {
    let face = has_picture(n).then(|| NewFace {
        face: face(),
        crop_jpeg: Some(picture(n)),
        photo: None,
    });
    let has = |name: &&String| *name != SIDE || !lacks_second(n);
    let vectors = vectors.iter().filter(has);
    Point {
        id: PointId::Num(id),
        vectors: vectors
            .map(|name| (name.clone(), vector(name, n)))
            .collect(),
        payload: payload_of(n),
        face,
    }
}

fn spec(name: &str) -> CollectionSpec {
    let vectors = vectors_of(name).iter();
    CollectionSpec::named(vectors.map(|name| (*name, VectorSpec::new(dim(name), Metric::Euclid))))
}

fn tagged(tag: u64) -> Filter {
    Filter::must(Condition::Key {
        key: KeyPath::of(TAG),
        test: Test::Value(Scalar::Integer(i64::try_from(tag).unwrap_or(0))),
    })
}

fn ids(ids: &[u64]) -> Vec<PointId> {
    ids.iter().copied().map(PointId::Num).collect()
}

fn chosen(chosen: &Chosen) -> engine::Chosen {
    match chosen {
        Chosen::Ids(some) => engine::Chosen::Ids(ids(some)),
        Chosen::Tagged(tag) => engine::Chosen::Filter(tagged(*tag)),
    }
}

/// Does an operation on what the model says is there; an error means that it was not acknowledged.
/// Gives the name of the backup that was made.
pub(super) fn perform(
    engine: &Engine,
    model: &Model,
    op: &Op,
) -> Result<Option<String>, engine::Error> {
    match op {
        Op::Create(name) => engine.create_collection(name, spec(name)),
        Op::Drop(name) => engine.drop_collection(name).map(drop),
        Op::Alias(alias, collection) => {
            let (alias, collection) = ((*alias).into(), (*collection).into());
            engine.change_aliases(&[AliasChange::Create { alias, collection }])
        }
        Op::Unalias(alias) => {
            let alias = (*alias).into();
            engine.change_aliases(&[AliasChange::Delete { alias }])
        }
        Op::Backup(of) => return Ok(Some(engine.create_backup(*of)?.name)),
        Op::DropBackup((of, name)) => engine.delete_backup(of.as_deref(), name).map(drop),
        Op::RestoreOne((of, file), _, name) => {
            let restored =
                engine.restore_from_shelf(of.as_deref(), file, RestoreAs::Name(name), None);
            restored.map(drop)
        }
        Op::RestoreAll((of, file), _) => {
            let restored =
                engine.restore_from_shelf(of.as_deref(), file, RestoreAs::Everything, None);
            restored.map(drop)
        }
        Op::Purge(name, backups) => {
            let backups = match backups {
                true => OldBackups::Delete,
                false => OldBackups::Keep,
            };
            engine.purge(name, backups).map(drop)
        }
        Op::Compact => engine.compact(&mut |_, _| true).map(drop),
        Op::Checkpoint => engine.checkpoint().map(drop),
        Op::Reopen => Ok(()),
        _ => change(engine, model, op),
    }?;
    Ok(None)
}

/// An operation on one collection.
fn change(engine: &Engine, model: &Model, op: &Op) -> Result<(), engine::Error> {
    match op {
        Op::Upsert(name, points) => {
            let vectors = model.find(name).map(|cabinet| cabinet.vectors.clone());
            let vectors = vectors.unwrap_or_default();
            let points = points.iter().map(|(id, n)| point(*id, *n, &vectors));
            engine
                .upsert(name, points.collect(), Ack::Applied)
                .map(drop)
        }
        Op::Delete(name, Chosen::Ids(some)) => {
            engine.delete(name, ids(some), Ack::Applied).map(drop)
        }
        Op::Delete(name, Chosen::Tagged(tag)) => engine
            .delete_where(name, &tagged(*tag), Ack::Applied)
            .map(drop),
        Op::Change(name, some, change) => engine
            .change_payload(name, chosen(some), change, Ack::Applied)
            .map(drop),
        Op::UpdateVectors(name, changes) => {
            let new = |(id, name, n): &(u64, &str, u64)| {
                let vectors = Vectors::from_iter([((*name).to_owned(), vector(name, *n))]);
                (PointId::Num(*id), vectors)
            };
            let changes = changes.iter().map(new).collect();
            engine.update_vectors(name, changes, Ack::Applied).map(drop)
        }
        Op::DeleteVectors(name, some, vector) => {
            let vectors = [(*vector).to_owned()];
            let done = match some {
                Chosen::Ids(some) => engine.delete_vectors(name, ids(some), &vectors, Ack::Applied),
                Chosen::Tagged(tag) => {
                    engine.delete_vectors_where(name, &tagged(*tag), &vectors, Ack::Applied)
                }
            };
            done.map(drop)
        }
        Op::Index(name, true) => engine
            .create_index(name, KeyPath::of(TAG), IndexKind::Integer, Ack::Applied)
            .map(drop),
        Op::Index(name, false) => engine
            .drop_index(name, &KeyPath::of(TAG), Ack::Applied)
            .map(drop),
        Op::Note(name, note) => {
            let note = (*note).map_or(serde_json::Value::Null, Into::into);
            let change = CollectionChange {
                metadata: Some(Payload::from_iter([(NOTE.to_owned(), note)])),
                ..CollectionChange::default()
            };
            engine.update_collection(name, change).map(drop)
        }
        Op::SecondVector(name, true) => engine
            .add_vector(name, SIDE, VectorSpec::new(dim(SIDE), Metric::Euclid))
            .map(drop),
        Op::SecondVector(name, false) => engine.remove_vector(name, SIDE).map(drop),
        Op::People(name, social) => crowd::perform(engine, name, social),
        Op::Fill(name, refills) => {
            let refill = |(id, n): &(u64, u64)| {
                let id = PointId::Num(*id);
                Ok(Refill {
                    id,
                    face: face(),
                    put: engine.put_by(name, &id)?.unwrap_or_default(),
                    vector: vector(SIDE, *n),
                })
            };
            let refills = refills
                .iter()
                .map(refill)
                .collect::<Result<_, engine::Error>>();
            let info = engine.describe(name)?;
            engine
                .fill_vector(&info, SIDE, refills?, Ack::Applied)
                .map(drop)
        }
        Op::Retire(name, accept) => {
            let lacking = match accept {
                true => Lacking::Accept,
                false => Lacking::Keep,
            };
            let info = engine.describe(name)?;
            engine
                .retire_vector(&info, (SIDE, FRONT), lacking)
                .map(drop)
        }
        Op::Reindex(name, vector, step) => match rebuild(engine, name, vector, *step) {
            Err(engine::Error::Conflict(_)) => Ok(()),
            outcome => outcome,
        },
        _ => Ok(()),
    }
}

fn rebuild(
    engine: &Engine,
    name: &str,
    vector: &str,
    step: Rebuilding,
) -> Result<(), engine::Error> {
    match step {
        Rebuilding::Begin(m) => {
            let change = IndexChange {
                m: Some(m),
                ..IndexChange::default()
            };
            engine.begin_reindex(name, vector, change).map(drop)
        }
        Rebuilding::Copy(count) => engine
            .continue_reindex(name, vector, Copied::default(), count)
            .map(drop),
        Rebuilding::Finish => engine.finish_reindex(name, vector).map(drop),
        Rebuilding::Cancel => engine.cancel_reindex(name, vector).map(drop),
    }
}

/// All that an engine holds, after every invariant of it was checked; an error is a wrong answer.
pub(super) fn observe(engine: &Engine) -> Result<Model, String> {
    let mut model = Model::default();
    if let Some((_, why)) = engine.quarantined().first() {
        return Err(why.to_string());
    }
    for info in engine.collections() {
        let mut cabinet = Cabinet {
            vectors: info.spec.vectors.keys().cloned().collect(),
            indexed: info
                .indexes
                .iter()
                .any(|index| index.key == KeyPath::of(TAG)),
            note: info.spec.metadata.get(NOTE).and_then(|note| note.as_u64()),
            ..Cabinet::default()
        };
        read_points(engine, &info.name, &mut cabinet)?;
        if info.points != cabinet.points.len() {
            let (said, found) = (info.points, cabinet.points.len());
            return Err(format!("`{}` says {said} points, has {found}", info.name));
        }
        engine
            .check(&info.name)
            .map_err(|error| error.to_string())?;
        for name in &cabinet.vectors {
            compare_search(engine, &info.name, name, &cabinet)?;
        }
        compare_counts(engine, &info.name, &cabinet)?;
        crowd::compare(engine, &info.name, &cabinet)?;
        model.cabinets.insert(info.name, cabinet);
    }
    model.aliases = engine.aliases().into_iter().collect();
    Ok(model)
}

fn read_points(engine: &Engine, name: &str, cabinet: &mut Cabinet) -> Result<(), String> {
    let mut from = None;
    loop {
        let page = engine.scroll(name, from, PAGE, ALL);
        let page = page.map_err(|error| format!("scroll of `{name}`: {error}"))?;
        for point in page.points {
            let (id, held) = known(engine, name, &point)?;
            cabinet.points.insert(id, held);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(()),
        }
    }
}

/// A point's id and what it is, if it is something that was once put.
fn known(engine: &Engine, name: &str, point: &engine::StoredPoint) -> Result<(u64, Held), String> {
    let wrong = |what: &str| format!("point {} of `{name}`: {what}", point.id);
    let PointId::Num(id) = point.id else {
        return Err(wrong("nobody put such an id"));
    };
    let mut held = Held {
        payload: point.payload.clone().unwrap_or_default(),
        ..Held::default()
    };
    for (name, vector) in point.vectors.iter().flat_map(Vectors::iter) {
        let n = number_of(name, vector);
        let n = n.ok_or_else(|| wrong("nobody put such a vector"))?;
        held.vectors.insert(name.to_owned(), n);
    }
    let crop = engine.face_image(name, &point.id, FaceImage::Crop);
    if let Some(crop) = crop.map_err(|error| wrong(&error.to_string()))? {
        let n = crop.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
        let n = n.filter(|n| picture(*n) == crop);
        held.picture = Some(n.ok_or_else(|| wrong("nobody put such a picture"))?);
    }
    Ok((id, held))
}

/// Searches give what looking at every point gives.
fn compare_search(
    engine: &Engine,
    name: &str,
    using: &str,
    cabinet: &Cabinet,
) -> Result<(), String> {
    for seed in [3, 77_777] {
        let query = vector(using, seed);
        let points = cabinet.points.values();
        let numbers = points.filter_map(|point| point.vectors.get(using));
        let mut expected: Vec<f32> = numbers
            .map(|n| distance(&query, &vector(using, *n)))
            .collect();
        expected.sort_by(f32::total_cmp);
        expected.truncate(10);
        let hits = engine.search(
            name,
            &Query {
                vector: query,
                using: using.to_owned(),
                limit: 10,
                offset: 0,
                ef: None,
                exact: false,
                filter: None,
                score_threshold: None,
                select: ALL,
            },
        );
        let hits = hits.map_err(|error| format!("search of `{name}`: {error}"))?;
        let found: Vec<f32> = hits.iter().map(|hit| hit.score).collect();
        if found != expected {
            return Err(format!(
                "search of `{name}` by `{using}` gives {found:?}, not {expected:?}"
            ));
        }
    }
    Ok(())
}

/// Filters let through what has the tag, with an index or without.
fn compare_counts(engine: &Engine, name: &str, cabinet: &Cabinet) -> Result<(), String> {
    for tag in 0..TAGS {
        let found = engine.count_where(name, &tagged(tag));
        let found = found.map_err(|error| format!("count of `{name}`: {error}"))?;
        let points = cabinet.points.values();
        let due = points.filter(|point| point.has_tag(tag)).count();
        if found != due {
            return Err(format!("`{name}` counts {found} of tag {tag}, not {due}"));
        }
    }
    Ok(())
}

/// The backups there are, each read to its end.
pub(super) fn backups(engine: &Engine, disk: &SimDisk) -> Result<Vec<BackupId>, String> {
    let shelves = NAMES.map(Some).into_iter().chain([None]);
    let mut all = Vec::new();
    for of in shelves {
        let listed = match engine.backups(of) {
            Err(engine::Error::NoCollection(_)) => Vec::new(),
            listed => listed.map_err(|error| error.to_string())?,
        };
        for file in listed {
            let found = engine.backup_file(of, &file.name);
            let found = found.map_err(|error| error.to_string())?;
            let (path, _) = found.ok_or_else(|| format!("{} has gone", file.name))?;
            let reader = BackupReader::open(disk, &path).and_then(|reader| reader.verify());
            reader.map_err(|error| error.to_string())?;
            all.push((of.map(str::to_owned), file.name));
        }
    }
    Ok(all)
}

fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>().sqrt()
}
