//! The engine's own threads and its callers, in orders that shuttle chooses: group commit and its
//! hand-over to the applier, the wait for what is durable, the watch of a backup, the change of
//! places at a restore, the pool and the brief lock of searches.
//!
//! `cargo test -p engine --features shuttle --test interleavings`; with `DOPPEL_INTERLEAVINGS` as
//! many orders are tried of each as it says. What fails prints a schedule, for `shuttle::replay`.
//! sled and the simulated disk are inside one step each: what they do among themselves is not tried.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use common::{contents, point, query, vector};
use engine::{
    Ack, Chosen, CollectionSpec, Engine, Filter, Metric, Options, PayloadChange, Point, PointId,
    RestoreAs,
};
use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread;
use shuttle::{Config, Runner};
use storage::SimDisk;
use tempfile::TempDir;

const SEED: u64 = 4;
const ORDERS: usize = 200;
/// Of priorities.
const CHANGES: usize = 3;

/// Tries orders of what `life` does: half of them by lot at every step, half by priorities that
/// change a few times, which finds what needs somebody to be held up for long.
fn explore(life: impl Fn(&Stage) + Send + Sync + 'static) {
    let orders = std::env::var("DOPPEL_INTERLEAVINGS");
    let orders = orders.map_or(ORDERS, |orders| orders.parse().unwrap());
    let life = Arc::new(life);
    run(
        RandomScheduler::new_from_seed(SEED, orders / 2),
        Arc::clone(&life),
    );
    run(PctScheduler::new_from_seed(SEED, CHANGES, orders / 2), life);
}

fn run(scheduler: impl Scheduler + 'static, life: Arc<impl Fn(&Stage) + Send + Sync + 'static>) {
    let mut config = Config::new();
    // sled and the graph need more than a coroutine is given.
    config.stack_size = 4 << 20;
    Runner::new(scheduler, config).run(move || life(&Stage::new()));
}

/// An engine on a simulated disk, with its tables where a sync costs nothing.
struct Stage {
    disk: SimDisk,
    engine: Arc<Engine>,
    _beside: TempDir,
}

impl Stage {
    fn new() -> Self {
        let disk = SimDisk::new();
        let beside = beside();
        let engine = open(&disk, beside.path());
        let spec = CollectionSpec::new(4, Metric::Euclid);
        engine.create_collection("c", spec).unwrap();
        Self {
            disk,
            engine: Arc::new(engine),
            _beside: beside,
        }
    }

    /// What a start finds after power has gone now.
    fn after_a_power_cut(&self) -> BTreeMap<PointId, u64> {
        let beside = beside();
        let engine = open(&self.disk.crash(SEED), beside.path());
        engine.check("c").unwrap();
        contents(&engine, "c")
    }

    fn spawn(&self, work: impl FnOnce(&Engine) + Send + 'static) -> thread::JoinHandle<()> {
        let engine = Arc::clone(&self.engine);
        thread::spawn(move || work(&engine))
    }
}

fn beside() -> TempDir {
    tempfile::tempdir_in("/dev/shm").unwrap_or_else(|_| tempfile::tempdir().unwrap())
}

fn open(disk: &SimDisk, beside: &Path) -> Engine {
    let options = Options {
        disk: Arc::new(disk.clone()),
        beside: Some(beside.to_owned()),
        ..Options::new("/data")
    };
    Engine::open(options).unwrap()
}

/// Several points that are written together.
fn all_of(n: u64) -> Vec<Point> {
    (0..3).map(|id| point(id, n)).collect()
}

fn join(threads: impl IntoIterator<Item = thread::JoinHandle<()>>) {
    for thread in threads {
        thread.join().unwrap();
    }
}

#[test]
fn what_is_acknowledged_is_visible_and_survives_a_power_cut_whoever_writes_beside_it() {
    explore(|stage| {
        let writer = |from: u64| {
            move |engine: &Engine| {
                for id in from..from + 2 {
                    engine
                        .upsert("c", vec![point(id, id)], Ack::Applied)
                        .unwrap();
                    let found = engine.search("c", &query(vector(id), 1)).unwrap();
                    assert_eq!(found[0].point.id, PointId::Num(id), "not to be found");
                }
            }
        };
        let unseen = stage.spawn(|engine| {
            engine
                .upsert("c", vec![point(50, 50)], Ack::Durable)
                .unwrap();
        });
        let checkpoint = stage.spawn(|engine| {
            engine.checkpoint().unwrap();
        });
        join([stage.spawn(writer(10)), stage.spawn(writer(20)), unseen]);
        let due = [10, 11, 20, 21, 50].map(|id| (PointId::Num(id), id));
        assert_eq!(stage.after_a_power_cut(), due.into());
        join([checkpoint]);
        assert_eq!(stage.after_a_power_cut(), due.into());
    });
}

#[test]
fn a_change_by_filter_sees_what_was_acknowledged_before_it() {
    explore(|stage| {
        let beside = stage.spawn(|engine| {
            engine.upsert("c", vec![point(9, 9)], Ack::Durable).unwrap();
        });
        let changing = stage.spawn(|engine| {
            engine.upsert("c", all_of(1), Ack::Durable).unwrap();
            let change = PayloadChange::Set {
                payload: common::payload(7),
                key: None,
            };
            let all = Chosen::Filter(Filter::default());
            engine
                .change_payload("c", all, &change, Ack::Applied)
                .unwrap();
            let ids = [0, 1, 2].map(PointId::Num);
            for found in engine.get("c", &ids, common::ALL).unwrap() {
                assert_eq!(found.payload.unwrap()["n"], 7, "point {}", found.id);
            }
        });
        join([beside, changing]);
    });
}

/// What version each of the points is that were written together.
fn versions(engine: &Engine, collection: &str) -> BTreeSet<u64> {
    contents(engine, collection).into_values().collect()
}

#[test]
fn a_backup_is_of_one_moment_while_writes_go_on() {
    explore(|stage| {
        stage.engine.upsert("c", all_of(1), Ack::Applied).unwrap();
        let writing = stage.spawn(|engine| {
            for n in 2..5 {
                engine.upsert("c", all_of(n), Ack::Applied).unwrap();
            }
            engine
                .delete("c", vec![PointId::Num(0)], Ack::Applied)
                .unwrap();
        });
        let backing_up = stage.spawn(|engine| {
            let file = engine.create_backup(Some("c")).unwrap();
            let copy = RestoreAs::Name("copy");
            let sha256 = file.sha256.as_deref();
            engine
                .restore_from_shelf(Some("c"), &file.name, copy, sha256)
                .unwrap();
            let versions = versions(engine, "copy");
            assert_eq!(versions.len(), 1, "of several moments: {versions:?}");
            let points = engine.count("copy").unwrap();
            assert!(points == 3 || versions.contains(&4), "{points} points");
            engine.check("copy").unwrap();
        });
        join([writing, backing_up]);
    });
}

#[test]
fn a_search_beside_a_restore_finds_the_old_or_the_new_and_nothing_between() {
    explore(|stage| {
        stage.engine.upsert("c", all_of(1), Ack::Applied).unwrap();
        let file = stage.engine.create_backup(Some("c")).unwrap();
        stage.engine.upsert("c", all_of(2), Ack::Applied).unwrap();
        let restoring = stage.spawn(move |engine| {
            let (name, sha256) = (RestoreAs::Name("c"), file.sha256.as_deref());
            engine
                .restore_from_shelf(Some("c"), &file.name, name, sha256)
                .unwrap();
        });
        let searching = stage.spawn(|engine| {
            for _ in 0..3 {
                let hits = engine.search("c", &query(vector(2), 10)).unwrap();
                let versions = hits.iter().map(|hit| {
                    let payload = hit.point.payload.as_ref().unwrap();
                    let n = payload["n"].as_u64().unwrap();
                    assert_eq!(hit.point.vectors, Some(vector(n).into()));
                    n
                });
                let versions: BTreeSet<u64> = versions.collect();
                assert!(versions.len() <= 1, "old and new: {versions:?}");
            }
        });
        join([restoring, searching]);
        assert_eq!(versions(&stage.engine, "c"), [1].into());
        let survived: BTreeSet<u64> = stage.after_a_power_cut().into_values().collect();
        assert_eq!(survived, [1].into());
    });
}

#[test]
fn searches_beside_writes_find_each_point_once() {
    explore(|stage| {
        stage.engine.upsert("c", all_of(1), Ack::Applied).unwrap();
        let search = |engine: &Engine| {
            for _ in 0..3 {
                let hits = engine.search("c", &query(vector(1), 10)).unwrap();
                let ids: Vec<_> = hits.iter().map(|hit| hit.point.id).collect();
                let once: BTreeSet<_> = ids.iter().copied().collect();
                assert_eq!(once.len(), ids.len(), "twice: {ids:?}");
                for id in [0, 1, 2].map(PointId::Num) {
                    assert!(once.contains(&id), "{id} is not among {ids:?}");
                }
            }
        };
        let writing = stage.spawn(|engine| {
            engine.upsert("c", all_of(2), Ack::Applied).unwrap();
            engine.upsert("c", vec![point(5, 5)], Ack::Applied).unwrap();
            engine
                .delete("c", vec![PointId::Num(5)], Ack::Applied)
                .unwrap();
        });
        join([stage.spawn(search), stage.spawn(search), writing]);
        stage.engine.check("c").unwrap();
    });
}

#[test]
fn whoever_writes_when_the_engine_stops_is_answered() {
    explore(|stage| {
        let writer = |id: u64| {
            move |engine: &Engine| {
                let written = engine.upsert("c", vec![point(id, id)], Ack::Applied);
                assert!(
                    matches!(written, Ok(_) | Err(engine::Error::Stopped)),
                    "{written:?}"
                );
            }
        };
        let writers = [1, 2].map(|id| stage.spawn(writer(id)));
        let stopping = stage.spawn(|engine| engine.shutdown().unwrap());
        join(writers.into_iter().chain([stopping]));
    });
}
