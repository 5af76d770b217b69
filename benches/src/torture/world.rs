//! An engine beside its model: operations go to it, and its answers are compared.

use std::path::Path;
use std::sync::Arc;

use engine::{
    Ack, CollectionSpec, Engine, Face, FaceImage, Metric, NewFace, Options, Payload, Point,
    PointId, Query, Select,
};
use storage::{Disk, SimDisk};

use super::model::{Model, Op, Points};

const DIM: usize = 4;
const PAGE: usize = 7;
const ALL: Select = Select {
    payload: true,
    vectors: engine::Which::All,
};

/// Opens an engine on a simulated disk, its tables `beside`. Log files are short, so that the log
/// rolls over, and no checkpoint comes by itself, so that every step has its number.
pub(super) fn open(disk: &SimDisk, beside: &Path) -> Result<Engine, engine::Error> {
    let disk: Arc<dyn Disk> = Arc::new(disk.clone());
    Engine::open(Options {
        segment_bytes: 2_000,
        checkpoint_log_bytes: u64::MAX,
        disk,
        beside: Some(beside.to_owned()),
        ..Options::new("/data")
    })
}

fn vector(n: u64) -> Vec<f32> {
    let number = |at: u64| (n.wrapping_mul(7_919) >> (at * 5)) % 1_000;
    let numbers = (0..DIM as u64).map(|at| u16::try_from(number(at)).unwrap_or(0));
    numbers.map(f32::from).collect()
}

fn picture(n: u64) -> Option<Vec<u8>> {
    let len = usize::try_from(n % 300).unwrap_or(0);
    n.is_multiple_of(3)
        .then(|| n.to_le_bytes().repeat(1 + len / 8))
}

fn point(id: u64, n: u64) -> Point {
    let mut payload = Payload::new();
    payload.insert("n".into(), n.into());
    let face = picture(n).map(|crop| NewFace {
        face: Face {
            bounding_box: [1.0, 2.0, 3.0, 4.0],
            landmarks: [[0.5; 2]; 5],
            confidence: 0.5,
        },
        crop_jpeg: Some(crop),
        photo: None,
    });
    Point {
        id: PointId::Num(id),
        vectors: vector(n).into(),
        payload,
        face,
    }
}

/// Does an operation; an error means that it was not acknowledged.
pub(super) fn perform(engine: &Engine, op: &Op) -> Result<(), engine::Error> {
    match op {
        Op::Create(name) => {
            engine.create_collection(name, CollectionSpec::new(DIM, Metric::Euclid))
        }
        Op::Drop(name) => engine.drop_collection(name).map(drop),
        Op::Upsert(name, points) => {
            let points = points.iter().map(|(id, n)| point(*id, *n)).collect();
            engine.upsert(name, points, Ack::Applied).map(drop)
        }
        Op::Delete(name, ids) => {
            let ids = ids.iter().copied().map(PointId::Num).collect();
            engine.delete(name, ids, Ack::Applied).map(drop)
        }
        Op::Checkpoint => engine.checkpoint().map(drop),
        Op::Reopen => Ok(()),
    }
}

/// All that an engine holds, after every invariant of it was checked; an error is a wrong answer.
pub(super) fn observe(engine: &Engine) -> Result<Model, String> {
    let mut model = Model::default();
    if let Some((_, why)) = engine.quarantined().first() {
        return Err(why.to_string());
    }
    for info in engine.collections() {
        let points = contents(engine, &info.name)?;
        if info.points != points.len() {
            let (said, found) = (info.points, points.len());
            return Err(format!("`{}` says {said} points, has {found}", info.name));
        }
        engine
            .check(&info.name)
            .map_err(|error| error.to_string())?;
        compare_search(engine, &info.name, &points)?;
        model.0.insert(info.name, points);
    }
    Ok(model)
}

fn contents(engine: &Engine, name: &str) -> Result<Points, String> {
    let mut points = Points::new();
    let mut from = None;
    loop {
        let page = engine.scroll(name, from, PAGE, ALL);
        let page = page.map_err(|error| format!("scroll of `{name}`: {error}"))?;
        for point in page.points {
            let (id, n) = known(engine, name, &point)?;
            points.insert(id, n);
        }
        match page.next {
            Some(next) => from = Some(next),
            None => return Ok(points),
        }
    }
}

/// A point's id and number, if all of it is what that number says.
fn known(engine: &Engine, name: &str, point: &engine::StoredPoint) -> Result<(u64, u64), String> {
    let wrong = |what: &str| format!("point {} of `{name}`: {what}", point.id);
    let PointId::Num(id) = point.id else {
        return Err(wrong("nobody put such an id"));
    };
    let payload = point.payload.as_ref().and_then(|p| p.get("n")?.as_u64());
    let n = payload.ok_or_else(|| wrong("its payload is not what was put"))?;
    if point.vectors != Some(vector(n).into()) {
        return Err(wrong("its vector is not that of its payload"));
    }
    let crop = engine.face_image(name, &point.id, FaceImage::Crop);
    let crop = crop.map_err(|error| wrong(&error.to_string()))?;
    if crop != picture(n) {
        return Err(wrong("its picture is not the one that was put"));
    }
    Ok((id, n))
}

/// Searches give what looking at every point gives.
fn compare_search(engine: &Engine, name: &str, points: &Points) -> Result<(), String> {
    for seed in [3, 77_777] {
        let query = vector(seed);
        let mut expected: Vec<(f32, u64)> = points
            .iter()
            .map(|(id, n)| (distance(&query, &vector(*n)), *id))
            .collect();
        expected.sort_by(|a, b| a.0.total_cmp(&b.0));
        let hits = engine.search(
            name,
            &Query {
                vector: query,
                using: String::new(),
                limit: 10,
                offset: 0,
                ef: None,
                exact: false,
                score_threshold: None,
                select: ALL,
            },
        );
        let hits = hits.map_err(|error| format!("search of `{name}`: {error}"))?;
        let found = hits.iter().map(|hit| hit.score);
        let due = expected.iter().take(10).map(|(score, _)| *score);
        if !found.clone().eq(due.clone()) {
            let (found, due): (Vec<_>, Vec<_>) = (found.collect(), due.collect());
            return Err(format!("search of `{name}` gives {found:?}, not {due:?}"));
        }
    }
    Ok(())
}

/// Whole numbers, so exact however it is computed.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    let squares = a.iter().zip(b).map(|(a, b)| (a - b) * (a - b));
    squares.sum::<f32>().sqrt()
}
