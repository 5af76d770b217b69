//! Bad inputs: what is valid, bent a little, given to every decoder and to a running server. None
//! may panic, and a server must say what is wrong, with a status of the 400s.

use std::collections::BTreeMap;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use anyhow::{Context, Result, bail};
use embedder::{Choice, FaceEmbedder, FakeEmbedder, Want};
use engine::{Engine, PayloadChange, RestoreAs};
use storage::{
    BackupReader, BackupWriter, CollectionId, Contents, Disk, FileLog, Log, Lsn, Manifests, Origin,
    PlanKey, Plans, Record, SimDisk, SnapshotReader, VectorId, decode_payload, read_rows,
};

use super::model::{Model, ONLY};
use super::ops::{Chosen, Op};
use super::simulated::Until;
use super::tally::Tally;
use super::world;
use crate::Process;
use crate::chance::Chance;

/// Valid bodies of requests, and pictures; more can be laid beside them.
const BODIES: &[&str] = &[
    include_str!("../../corpus/bodies/upsert.json"),
    include_str!("../../corpus/bodies/query.json"),
    include_str!("../../corpus/bodies/scroll.json"),
    include_str!("../../corpus/bodies/create.json"),
    include_str!("../../corpus/bodies/delete.json"),
    include_str!("../../corpus/bodies/face.json"),
];
/// Where they are sent to.
const PATHS: &[(&str, &str)] = &[
    ("PUT", "/collections/hammered/points?wait=true"),
    ("POST", "/collections/hammered/points/query"),
    ("POST", "/collections/hammered/points/search"),
    ("POST", "/collections/hammered/points/scroll"),
    ("POST", "/collections/hammered/points/count"),
    ("POST", "/collections/hammered/points/delete"),
    ("POST", "/collections/hammered/faces"),
    ("PUT", "/collections/other"),
    ("POST", "/collections/..%2f..%2fetc/points/query"),
];

/// Bent bodies to a running server until it is dead. Those that are still valid would change what
/// the other clients count on, so nothing is sent that parses.
pub(super) fn to_a_server(
    server: &Process,
    seed: u64,
    dead: &AtomicBool,
    count: &AtomicU64,
) -> Result<()> {
    let mut chance = Chance::new(seed);
    loop {
        let body = BODIES[chance.index(BODIES.len())];
        let body = bend(body.as_bytes(), &mut chance);
        if serde_json::from_slice::<serde_json::Value>(&body).is_ok() {
            continue;
        }
        let (method, path) = PATHS[chance.index(PATHS.len())];
        match server.bytes(method, path, body.clone()) {
            Ok((400..=499 | 503, _)) => {}
            // Photos, where there are no models.
            Ok((501, _)) => {}
            Ok((status, text)) => {
                let body = String::from_utf8_lossy(&body);
                bail!("{method} {path} answers {status} {text} to {body}");
            }
            Err(_) if dead.load(Ordering::Acquire) => return Ok(()),
            Err(error) => bail!("the server died by itself: {error}"),
        }
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// Bent inputs to every decoder, so many to each.
///
/// # Errors
/// The valid ones cannot be made.
pub fn bad_inputs(seed: u64, until: Until, scratch: &Path) -> Result<Tally> {
    let mut tally = Tally::default();
    let valid = valid(scratch)?;
    let mut chance = Chance::new(seed);
    for round in 0.. {
        if until.is_over(round, &tally, 1) || !tally.is_clean() {
            break;
        }
        for (name, bytes, decode) in &valid {
            let bent = bend(bytes, &mut chance);
            tally.bad_inputs += 1;
            if catch_unwind(AssertUnwindSafe(|| decode(&bent))).is_err() {
                tally
                    .panicked
                    .push(format!("seed {seed}, {name}: {bent:02x?}"));
            }
        }
    }
    Ok(tally)
}

/// Flips, cuts, repeats, overwrites with numbers that are too large.
fn bend(valid: &[u8], chance: &mut Chance) -> Vec<u8> {
    let mut bytes = valid.to_vec();
    for _ in 0..=chance.below(4) {
        let at = chance.index(bytes.len());
        match chance.below(6) {
            0 | 1 => {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte ^= 1 << chance.below(8);
                }
            }
            2 => bytes.truncate(at),
            3 => {
                let piece = bytes[at..].to_vec();
                let to = chance.index(bytes.len());
                let piece = piece.into_iter().take(40);
                bytes.splice(to..to, piece);
            }
            4 => {
                let end = (at + 4).min(bytes.len());
                bytes[at..end].fill([0, 0xff, 0x7f, b'9'][chance.index(4)]);
            }
            _ => {
                let to = chance.index(bytes.len() + 1);
                bytes.truncate(at.max(to));
                bytes.drain(..at.min(to).min(bytes.len()));
            }
        }
    }
    bytes
}

type Decode = Box<dyn Fn(&[u8])>;
type Valid = (&'static str, Vec<u8>, Decode);

/// Something valid for each decoder: the files of an engine that has done a bit of everything, and
/// the corpus.
fn valid(scratch: &Path) -> Result<Vec<Valid>> {
    let disk = SimDisk::new();
    let engine = world::open(&disk, &scratch.join("inputs"))?;
    let (one, many) = (vec![(1, 3)], (2..20).map(|id| (id, id * 3)).collect());
    let faces = || "faces".to_owned();
    let mut model = Model::default();
    for op in [
        Op::Create("faces"),
        Op::Create("cats"),
        Op::Upsert(faces(), one),
        Op::Upsert(faces(), many),
        Op::Delete(faces(), Chosen::Ids(vec![2, 3])),
        Op::Change(faces(), Chosen::Ids(vec![4]), PayloadChange::Clear),
        Op::UpdateVectors(faces(), vec![(5, ONLY, 7)]),
        Op::Index(faces(), true),
        Op::Alias("who", "faces"),
        Op::Drop("cats"),
        Op::Backup(None),
        Op::Checkpoint,
    ] {
        world::perform(&engine, &model, &op)?;
        model.apply(&op);
    }
    // Its stop would release the beginning of the log.
    let mut all = from_folder(&disk)?;
    let backups = Path::new("/data/backups/full");
    let engine = Arc::new(engine);
    let names = disk.list(backups)?;
    let name = names.iter().find(|name| name.ends_with(".snapshot"));
    let backup = bytes_of(&disk, &backups.join(name.context("no backup")?))?;
    all.extend(from_backup(
        &disk,
        &backups.join(name.context("no backup")?),
        &engine,
    )?);
    let decode = move |bytes: &[u8]| restore(&engine, bytes);
    all.push(("backup", backup, Box::new(decode)));
    all.extend(from_corpus());
    Ok(all)
}

fn from_folder(disk: &SimDisk) -> Result<Vec<Valid>> {
    let mut all: Vec<Valid> = Vec::new();
    let store = bytes_of(disk, Path::new("/data/FORMAT"))?;
    let store = store.get(12..28).and_then(|store| store.try_into().ok());
    let store = u128::from_le_bytes(store.context("the marker is too short")?);
    let shared: Arc<dyn Disk> = Arc::new(disk.clone());
    let (log, _) = FileLog::open(shared, Path::new("/data/log"), store, 1 << 20)?;
    for record in log.read_from(Lsn(1))? {
        let decode = |bytes: &[u8]| drop(Record::decode(bytes));
        all.push(("record", record?.1, Box::new(decode)));
    }
    let decode = move |bytes: &[u8]| {
        let name = "/log/00000000000000000001.log";
        on_disk(name, bytes, |disk| read_log(disk, store));
    };
    let name = Path::new("/data/log/00000000000000000001.log");
    all.push(("log", bytes_of(disk, name)?, Box::new(decode)));
    let decode = move |bytes: &[u8]| on_disk("/s", bytes, |disk| read_snapshot(&*disk, store));
    let names = disk.list(Path::new("/data/snapshots"))?;
    let name = Path::new("/data/snapshots").join(names.first().context("no snapshot")?);
    all.push(("snapshot", bytes_of(disk, &name)?, Box::new(decode)));
    let reader = SnapshotReader::open(disk, &name, store)?;
    let part = |name: &str| -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        reader.part().section(name)?.read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let rows = part("points")?;
    let decode = |bytes: &[u8]| read_rows(bytes).for_each(drop);
    all.push(("rows", rows, Box::new(decode)));
    let names = ["index-0", "vectors-0", "codes-0"];
    let parts = [part(names[0])?, part(names[1])?, part(names[2])?];
    for (at, name) in names.into_iter().enumerate() {
        let others = parts.clone();
        let decode = move |bent: &[u8]| {
            let mut parts = others.clone();
            parts[at] = bent.to_vec();
            read_index(&parts);
        };
        all.push((name, parts[at].clone(), Box::new(decode)));
    }
    let decode = move |bytes: &[u8]| {
        on_disk("/m/manifest-1", bytes, |disk| {
            drop(Manifests::open(disk, Path::new("/m"), store, &|_| Ok(())));
        });
    };
    let name = Path::new("/data/manifest-00000000000000000001");
    all.push(("manifest", bytes_of(disk, name)?, Box::new(decode)));
    Ok(all)
}

fn from_corpus() -> Vec<Valid> {
    let mut all: Vec<Valid> = Vec::new();
    let payload = storage::encode_payload(&serde_json::Map::from_iter([(
        "a".to_owned(),
        serde_json::json!([1, {"b": null, "c": [0.5, "x"]}]),
    )]));
    let decode = |bytes: &[u8]| drop(decode_payload::<serde_json::Value>(bytes));
    all.push(("payload", payload.unwrap_or_default(), Box::new(decode)));
    let pictures = [
        include_bytes!("../../corpus/images/face.png").to_vec(),
        include_bytes!("../../corpus/images/face.jpg").to_vec(),
    ];
    for picture in pictures {
        all.push(("picture", picture, Box::new(read_picture)));
    }
    let model = include_bytes!("../../../embedder/src/models/facenet-128.json");
    let decode = |bytes: &[u8]| drop(embedder::Manifest::parse(&String::from_utf8_lossy(bytes)));
    all.push(("model manifest", model.to_vec(), Box::new(decode)));
    all.push(("plans", kept_plans(), Box::new(read_plans)));
    all
}

const PLANS: &str = "/plans/0000000000.plans";

fn plan_key(history: u64) -> PlanKey {
    PlanKey::new((CollectionId(1), VectorId(0)), history, &[(7, &[0.5])])
}

fn kept_plans() -> Vec<u8> {
    let disk = SimDisk::new();
    let plans = Plans::open(Arc::new(disk.clone()), "/plans".into(), 1, u64::MAX);
    let kept = plans.and_then(|mut plans| {
        (0..20).try_for_each(|history| plans.keep(&plan_key(history), &[3; 40]))
    });
    kept.map_or_else(
        |_| Vec::new(),
        |()| bytes_of(&disk, Path::new(PLANS)).unwrap_or_default(),
    )
}

fn read_plans(bytes: &[u8]) {
    on_disk(PLANS, bytes, |disk| {
        if let Ok(plans) = Plans::open(disk, "/plans".into(), 1, u64::MAX) {
            (0..20).for_each(|history| drop(plans.find(&plan_key(history))));
        }
    });
}

fn read_log(disk: Arc<dyn Disk>, store: u128) {
    if let Ok((log, _)) = FileLog::open(disk, Path::new("/log"), store, 1 << 20)
        && let Ok(records) = log.read_from(Lsn(1))
    {
        records.for_each(drop);
    }
}

fn read_snapshot(disk: &dyn Disk, store: u128) {
    if let Ok(reader) = SnapshotReader::open(disk, Path::new("/s"), store) {
        drop(reader.verify());
        if let Ok(section) = reader.part().section("points") {
            read_rows(section).for_each(drop);
        }
    }
}

/// Sections of a backup, each in a backup whose checksums are right.
fn from_backup(disk: &SimDisk, path: &Path, engine: &Arc<Engine>) -> Result<Vec<Valid>> {
    let reader = BackupReader::open(disk, path)?;
    let mut sections = BTreeMap::new();
    for name in ["ids", "points", "pictures", "index-0", "numbers-0"] {
        let mut bytes = Vec::new();
        reader.part(0).section(name)?.read_to_end(&mut bytes)?;
        sections.insert(name, bytes);
    }
    let mut all: Vec<Valid> = Vec::new();
    for (name, bytes) in sections.clone() {
        let (engine, sections) = (Arc::clone(engine), sections.clone());
        let (origin, contents) = (reader.origin, reader.contents.clone());
        let decode = move |bent: &[u8]| {
            let mut sections = sections.clone();
            sections.insert(name, bent.to_vec());
            if let Ok(bytes) = written(&origin, &contents, &sections) {
                use_restored(&engine, &bytes);
            }
        };
        all.push((name, bytes, Box::new(decode)));
    }
    Ok(all)
}

fn written(
    origin: &Origin,
    contents: &Contents,
    sections: &BTreeMap<&str, Vec<u8>>,
) -> Result<Vec<u8>> {
    let (disk, path) = (SimDisk::new(), Path::new("/b/backup"));
    let shared = Arc::new(disk.clone());
    let mut writer = BackupWriter::create(shared, path, origin, contents)?;
    for (name, bytes) in sections {
        writer.section(0, name, |out| out.write_all(bytes))?;
    }
    writer.finish()?;
    bytes_of(&disk, path)
}

/// What passes for a backup may be restored; then whatever is asked of it must not end in a panic.
fn use_restored(engine: &Engine, bytes: &[u8]) {
    let Ok(mut incoming) = engine.receive_backup() else {
        return;
    };
    if incoming.write(bytes).is_err() {
        return;
    }
    match engine.restore(incoming, RestoreAs::Everything, None) {
        Ok(_) => drop(world::observe(engine)),
        Err(engine::Error::ReadOnly(why)) => panic!("the engine has stopped: {why}"),
        Err(engine::Error::Stopped) => panic!("the engine has ended"),
        Err(_) => {}
    }
}

/// Whatever is not refused must leave an engine that works.
fn restore(engine: &Engine, bytes: &[u8]) {
    let Ok(mut incoming) = engine.receive_backup() else {
        return;
    };
    if incoming.write(bytes).is_ok()
        && let Ok(report) = engine.restore(incoming, RestoreAs::Everything, None)
    {
        for (name, _) in report.collections {
            engine.check(&name).expect("what was restored is whole");
        }
    }
}

/// Behind checksums in a snapshot, but they must stand on their own.
fn read_index([graph, vectors, codes]: &[Vec<u8>; 3]) {
    let len = |bytes: &Vec<u8>| bytes.len() as u64;
    let index = hnsw::Index::read_apart(hnsw::Apart {
        graph: (&mut &graph[..], len(graph)),
        vectors: (hnsw::Kept::Stream(&mut &vectors[..]), len(vectors)),
        codes: (hnsw::Kept::Stream(&mut &codes[..]), len(codes)),
        scratch: None,
    });
    if let Ok(index) = index {
        drop(index.check());
    }
}

fn read_picture(bytes: &[u8]) {
    drop(embedder::sniff(bytes));
    let want = Want {
        faces: Choice::All,
        vectors: true,
        crop: true,
        smallest: 0,
    };
    drop(FakeEmbedder::new().analyze(bytes, want));
}

/// Has something look at a disk on which a file holds these bytes.
fn on_disk(path: &str, bytes: &[u8], look: impl FnOnce(Arc<dyn Disk>)) {
    let disk = SimDisk::new();
    let file = disk.create(Path::new(path));
    if file.and_then(|file| file.write_at(bytes, 0)).is_ok() {
        look(Arc::new(disk));
    }
}

fn bytes_of(disk: &SimDisk, path: &Path) -> Result<Vec<u8>> {
    let file = disk.open(path)?;
    let mut bytes = vec![0; usize::try_from(file.len()?)?];
    file.read_at(&mut bytes, 0)?;
    Ok(bytes)
}
