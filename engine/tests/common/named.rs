//! Points with several vectors, and what they are as a map would hold it.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use engine::{
    CollectionSpec, Engine, Error, Metric, Payload, PointId, Query, Select, VectorSpec, Vectors,
    Which,
};

use super::{ALL, open, payload, query};

/// The name and the size of each vector; `late` is there only at times.
pub(crate) const NAMES: [(&str, usize); 3] = [("face", 4), ("text", 2), ("late", 3)];

pub(crate) fn spec(name: &str) -> VectorSpec {
    let dim = NAMES.iter().find(|(known, _)| *known == name).unwrap().1;
    VectorSpec::new(dim, Metric::Euclid)
}

pub(crate) fn vector(name: &str, n: u16) -> Vec<f32> {
    let number = |at: usize| f32::from(n) + 1_000.0 * f32::from(u8::try_from(at).unwrap());
    (0..spec(name).dim).map(number).collect()
}

pub(crate) fn num(id: u64) -> PointId {
    PointId::Num(id)
}

/// What a point is: the number of its payload, and that of each vector it has.
pub(crate) type Model = BTreeMap<PointId, (u16, BTreeMap<&'static str, u16>)>;

/// Vectors as a test writes them: of the names whose bits are set.
pub(crate) fn chosen(bits: u8, n: u16, late: bool) -> BTreeMap<&'static str, u16> {
    let names = NAMES.iter().enumerate();
    names
        .filter(|(at, (name, _))| bits >> at & 1 == 1 && (late || *name != "late"))
        .map(|(_, (name, _))| (*name, n))
        .collect()
}

pub(crate) fn vectors(of: &BTreeMap<&'static str, u16>) -> Vectors {
    let of = of.iter();
    of.map(|(name, n)| ((*name).to_owned(), vector(name, *n)))
        .collect()
}

pub(crate) fn made(dir: &Path) -> Engine {
    let engine = open(dir);
    let vectors = ["face", "text"].map(|name| (name, spec(name)));
    engine
        .create_collection("c", CollectionSpec::named(vectors))
        .unwrap();
    engine
}

pub(crate) fn search(
    engine: &Engine,
    using: &str,
    vector: Vec<f32>,
) -> Result<Vec<(PointId, f32)>, Error> {
    let query = Query {
        using: using.into(),
        select: Select {
            payload: false,
            vectors: Which::None,
        },
        ..query(vector, 100)
    };
    let hits = engine.search("c", &query)?;
    Ok(hits.iter().map(|hit| (hit.point.id, hit.score)).collect())
}

pub(crate) fn expect(engine: &Engine, model: &Model, late: bool) {
    let page = engine.scroll("c", None, 100, ALL).unwrap();
    let found: BTreeMap<_, _> = page
        .points
        .into_iter()
        .map(|point| (point.id, (point.payload.unwrap(), point.vectors.unwrap())))
        .collect();
    let expected: BTreeMap<_, _> = model
        .iter()
        .map(|(id, (n, of))| (*id, (payload(u64::from(*n)), vectors(of))))
        .collect();
    // Vectors are told in the order they were made, a model has them in another.
    let sorted = |all: BTreeMap<PointId, (Payload, Vectors)>| {
        let sort = |vectors: Vectors| vectors.into_iter().collect::<BTreeMap<_, _>>();
        let all = all.into_iter();
        all.map(|(id, (payload, vectors))| (id, (payload, sort(vectors))))
            .collect::<BTreeMap<_, _>>()
    };
    assert_eq!(sorted(found), sorted(expected));
    for (name, _) in NAMES {
        let hits = search(engine, name, vector(name, 7));
        if name == "late" && !late {
            assert!(matches!(hits, Err(Error::NoVector { .. })));
            continue;
        }
        let mut hits: Vec<PointId> = hits.unwrap().into_iter().map(|hit| hit.0).collect();
        hits.sort_unstable();
        let with = model.iter().filter(|(_, (_, of))| of.contains_key(name));
        assert_eq!(hits, with.map(|(id, _)| *id).collect::<Vec<_>>(), "{name}");
    }
    let counted: usize = model.values().map(|(_, of)| of.len()).sum();
    assert_eq!(engine.describe("c").unwrap().vectors, counted);
}

/// The log alone, as if no checkpoint had ever been taken.
pub(crate) fn open_after_crash(dir: &Path) -> Engine {
    let copy = dir.join("copy");
    fs::create_dir_all(copy.join("log")).unwrap();
    fs::copy(dir.join("FORMAT"), copy.join("FORMAT")).unwrap();
    for entry in fs::read_dir(dir.join("log")).unwrap().map(Result::unwrap) {
        fs::copy(entry.path(), copy.join("log").join(entry.file_name())).unwrap();
    }
    open(&copy)
}
