//! Several nodes on one log: what one writes all have, what depends on what is there is decided as if
//! there were one, and all come to the same bytes.

mod broken;
mod insert;
mod late;
mod remembered;
mod seeds;
mod unfinished;

use std::io::Read;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use engine::{
    Ack, Chosen, CollectionSpec, Engine, Error, Filter, KeyPath, Metric, OldBackups, Options,
    PayloadChange, PointId, SeedHead, Taken, VectorSpec,
};
use parking_lot::Mutex;
use storage::{Log, Lsn, MemoryLog};
use tempfile::TempDir;

use crate::common::{contents, payload, point};

/// The log that the nodes of a test share.
struct Cluster(Arc<Mutex<MemoryLog>>);

impl Cluster {
    fn new() -> Self {
        Self(Arc::new(Mutex::new(MemoryLog::shared_as(5))))
    }

    fn options(&self, dir: &TempDir) -> Options {
        let log = Arc::clone(&self.0);
        Options {
            shared_log: Some(Arc::new(move |_| {
                Ok(Box::new(log.lock().another()) as Box<dyn Log>)
            })),
            ..Options::new(dir.path())
        }
    }

    fn node(&self) -> (TempDir, Engine) {
        let dir = tempfile::tempdir().unwrap();
        let engine = Engine::open(self.options(&dir)).unwrap();
        (dir, engine)
    }
}

fn wait_for(what: impl Fn() -> bool) {
    let started = Instant::now();
    while !what() {
        assert!(started.elapsed() < Duration::from_secs(30), "in vain");
        thread::yield_now();
    }
}

/// Waits until a node has applied all that another has.
fn settle(node: &Engine, other: &Engine) {
    let upto = other.durable_lsn();
    wait_for(|| node.status().applied_lsn >= upto);
}

fn expect_same(nodes: &[&Engine]) {
    for node in nodes {
        for other in nodes {
            settle(node, other);
        }
    }
    let told = |node: &&Engine| {
        let sum = node.checksum("c").unwrap();
        node.check("c").unwrap();
        (sum.lsn, sum.content, sum.graph)
    };
    let sums: Vec<_> = nodes.iter().map(told).collect();
    assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
}

fn spec() -> CollectionSpec {
    CollectionSpec::new(4, Metric::Euclid)
}

#[test]
fn all_nodes_have_what_any_node_writes_and_a_late_one_catches_up() {
    let cluster = Cluster::new();
    let ((dir, one), (_b, other)) = (cluster.node(), cluster.node());
    one.create_collection("c", spec()).unwrap();
    settle(&other, &one);
    for n in 0..40 {
        let writer = if n % 2 == 0 { &one } else { &other };
        writer.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
        if n == 20 {
            settle(&one, &other);
            one.checkpoint().unwrap();
        }
    }
    expect_same(&[&one, &other]);
    drop(one);
    other
        .delete("c", vec![PointId::Num(3)], Ack::Applied)
        .unwrap();
    let one = Engine::open(cluster.options(&dir)).unwrap();
    assert!(one.status().replayed_records > 0, "from its checkpoint on");
    let (_c, late) = cluster.node();
    expect_same(&[&one, &other, &late]);
    assert_eq!(contents(&late, "c").len(), 39);
}

#[test]
fn of_nodes_that_create_one_collection_one_succeeds() {
    let cluster = Cluster::new();
    let nodes: Vec<_> = (0..4).map(|_| cluster.node()).collect();
    let created = thread::scope(|scope| {
        let create = |(_, node): &'_ (TempDir, Engine)| node.create_collection("c", spec());
        let made: Vec<_> = nodes
            .iter()
            .map(|node| scope.spawn(move || create(node)))
            .collect();
        let made = made.into_iter().map(|it| it.join().unwrap());
        made.map(|made| match made {
            Ok(()) => true,
            Err(Error::Exists(_)) => false,
            Err(other) => panic!("{other}"),
        })
        .filter(|made| *made)
        .count()
    });
    assert_eq!(created, 1);
    let engines: Vec<_> = nodes.iter().map(|(_, node)| node).collect();
    expect_same(&engines);
}

#[test]
fn vectors_that_nodes_add_at_once_have_numbers_of_their_own() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (cluster.node(), cluster.node());
    one.create_collection("c", spec()).unwrap();
    settle(&other, &one);
    let add = |node: &Engine, name: &str| {
        let spec = VectorSpec::new(4, Metric::Euclid);
        node.add_vector("c", name, spec).map(drop)
    };
    for n in 0..8 {
        let (left, right) = (format!("a{n}"), format!("b{n}"));
        thread::scope(|scope| {
            let first = scope.spawn(|| add(&one, &left));
            add(&other, &right).unwrap();
            first.join().unwrap().unwrap();
        });
    }
    expect_same(&[&one, &other]);
    assert_eq!(one.describe("c").unwrap().spec.vectors.len(), 17);
}

#[test]
fn what_is_decided_by_a_filter_holds_at_its_place_in_the_log() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (cluster.node(), cluster.node());
    one.create_collection("c", spec()).unwrap();
    settle(&other, &one);
    let all = Filter::default();
    let mark = |node: &Engine, key: &str| {
        let payload = [(key.to_owned(), true.into())].into_iter().collect();
        let change = PayloadChange::Set { payload, key: None };
        node.change_payload("c", Chosen::Filter(all.clone()), &change, Ack::Applied)
    };
    let put = |node: &Engine, from: u64| {
        for n in from..from + 60 {
            node.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
        }
    };
    thread::scope(|scope| {
        let writer = scope.spawn(|| put(&one, 0));
        put(&other, 100);
        writer.join().unwrap();
    });
    thread::scope(|scope| {
        let first = scope.spawn(|| mark(&one, "left"));
        mark(&other, "right").unwrap();
        first.join().unwrap().unwrap();
    });
    expect_same(&[&one, &other]);
    // Who deletes all, on a node that has not seen the last, deletes it too or leaves it for all.
    for round in 0..20 {
        let fresh = 1_000 + round;
        thread::scope(|scope| {
            let put = scope.spawn(|| one.upsert("c", vec![point(fresh, 1)], Ack::Applied));
            let (_, gone) = other.delete_where("c", &all, Ack::Applied).unwrap();
            assert!(round == 0 || gone <= 2, "{gone}");
            put.join().unwrap().unwrap();
        });
        expect_same(&[&one, &other]);
        assert!(contents(&one, "c").len() <= 1);
    }
}

#[test]
fn a_person_is_not_named_twice_by_two_nodes() {
    let cluster = Cluster::new();
    let ((_a, one), (_b, other)) = (cluster.node(), cluster.node());
    one.create_collection("c", spec()).unwrap();
    let kind = engine::IndexKind::Keyword;
    one.create_index("c", KeyPath::of("person"), kind, Ack::Applied)
        .unwrap();
    for n in 0..9 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    assert_eq!(payload(0)["person"], "p0");
    settle(&other, &one);
    let rename = |node: &Engine, from: &str| {
        node.rename_person("c", (from, "x"), Taken::Refuse, "new", Ack::Applied)
    };
    let both = thread::scope(|scope| {
        let first = scope.spawn(|| rename(&one, "p0").is_ok());
        let second = rename(&other, "p1").is_ok();
        (first.join().unwrap(), second)
    });
    assert!(
        both.0 != both.1,
        "one of them finds the name taken: {both:?}"
    );
    expect_same(&[&one, &other]);
    assert_eq!(one.person("c", "x").unwrap().unwrap().points, 3);
}

#[test]
fn a_folder_stays_with_the_log_it_began_with() {
    let cluster = Cluster::new();
    let (dir, node) = cluster.node();
    node.create_collection("c", spec()).unwrap();
    let refused = node.purge("c", OldBackups::Keep);
    assert!(matches!(refused, Err(Error::Shared(_))), "{refused:?}");
    drop(node);
    let alone = Engine::open(Options::new(dir.path()));
    let told = alone.err().unwrap().to_string();
    assert!(told.contains("--log"), "{told}");
    assert!(engine::verify(dir.path()).unwrap().copy.is_some());
    let mut elsewhere = Cluster::new();
    elsewhere.0 = Arc::new(Mutex::new(MemoryLog::shared_as(6)));
    let told = Engine::open(elsewhere.options(&dir))
        .err()
        .unwrap()
        .to_string();
    assert!(told.contains("another shared log"), "{told}");
    let own = tempfile::tempdir().unwrap();
    drop(Engine::open(Options::new(own.path())).unwrap());
    let told = Engine::open(cluster.options(&own))
        .err()
        .unwrap()
        .to_string();
    assert!(told.contains("a log of its own"), "{told}");
}

/// Seeds as a store keeps them, the newest last.
type Kept = Arc<Mutex<Vec<(SeedHead, Vec<u8>)>>>;

fn keep(store: &Kept, of: &Engine) -> Lsn {
    let mut seed = of.seed().unwrap();
    let mut bytes = Vec::new();
    seed.read_to_end(&mut bytes).unwrap();
    store.lock().push((seed.head.clone(), bytes));
    seed.head.lsn
}

fn seeded(cluster: &Cluster, dir: &TempDir, store: &Kept) -> Options {
    let store = Arc::clone(store);
    Options {
        seed: Some(Arc::new(move |reaches, newest_but, take| {
            let store = store.lock();
            let mut fit = store.iter().rev().filter(|(head, _)| head.lsn >= reaches);
            let Some((head, bytes)) = fit.nth(newest_but) else {
                return Ok(None);
            };
            bytes.chunks(1_000).try_for_each(take)?;
            Ok(Some(head.clone()))
        })),
        ..cluster.options(dir)
    }
}

#[test]
fn a_node_begins_with_a_seed_where_the_log_does_not_reach_back() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let (_a, one) = cluster.node();
    let away = tempfile::tempdir().unwrap();
    let other = Engine::open(seeded(&cluster, &away, &store)).unwrap();
    for name in ["before", "c"] {
        one.create_collection(name, spec()).unwrap();
    }
    one.drop_collection("before").unwrap();
    for n in 0..200 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    settle(&other, &one);
    other.checkpoint().unwrap();
    drop(other);
    for n in (0..200).step_by(3) {
        one.delete("c", vec![PointId::Num(n)], Ack::Applied)
            .unwrap();
    }
    let lsn = keep(&store, &one);
    for n in 300..340 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    cluster.0.lock().trim_below(lsn.next());
    // One that is new, and one that was away for too long.
    let fresh = tempfile::tempdir().unwrap();
    let third = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    let other = Engine::open(seeded(&cluster, &away, &store)).unwrap();
    expect_same(&[&one, &other, &third]);
    for n in 400..440 {
        third.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    third.create_collection("after", spec()).unwrap();
    expect_same(&[&one, &other, &third]);
    assert_eq!(contents(&one, "c"), contents(&third, "c"));
    third.checkpoint().unwrap();
    drop((third, other));
    // From its own checkpoint on, without the store.
    store.lock().clear();
    let third = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    expect_same(&[&one, &third]);
    let nothing = tempfile::tempdir().unwrap();
    let refused = Engine::open(seeded(&cluster, &nothing, &store)).err();
    let told = refused.unwrap().to_string();
    assert!(told.contains("what comes before was purged"), "{told}");
}

#[test]
fn nodes_hold_the_same_at_a_mark_while_others_write() {
    let cluster = Cluster::new();
    let open = |dir: &TempDir| {
        let options = Options {
            compares: true,
            ..cluster.options(dir)
        };
        Engine::open(options).unwrap()
    };
    let (left, right) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (one, other) = (open(&left), open(&right));
    one.create_collection("c", spec()).unwrap();
    settle(&other, &one);
    assert_eq!(one.marked().unwrap(), None);
    let marked = thread::scope(|scope| {
        scope.spawn(|| {
            for n in 0..300 {
                one.upsert("c", vec![point(n, n)], Ack::Durable).unwrap();
            }
        });
        for n in 1_000..1_060 {
            other.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
        }
        other.mark().unwrap()
    });
    settle(&one, &other);
    settle(&other, &one);
    let both = [&one, &other].map(|node| node.marked().unwrap().unwrap());
    assert_eq!(both[0], both[1]);
    assert_eq!(both[0].lsn, marked);
    let sum = both[0].collections[0].1.as_ref();
    assert!(sum.unwrap().points >= 60);
    assert_eq!(one.marked().unwrap(), None, "it is told once");
}

#[test]
fn a_seed_that_cannot_be_read_is_passed_over_for_an_older_one() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let (_a, one) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    let lsn = keep(&store, &one);
    one.upsert("c", vec![point(2, 2)], Ack::Applied).unwrap();
    keep(&store, &one);
    cluster.0.lock().trim_below(lsn.next());
    let middle = store.lock()[1].1.len() / 2;
    store.lock()[1].1[middle] ^= 1;
    let fresh = tempfile::tempdir().unwrap();
    let other = Engine::open(seeded(&cluster, &fresh, &store)).unwrap();
    expect_same(&[&one, &other]);
    drop(other);
    let middle = store.lock()[0].1.len() / 2;
    store.lock()[0].1[middle] ^= 1;
    let fresh = tempfile::tempdir().unwrap();
    assert!(Engine::open(seeded(&cluster, &fresh, &store)).is_err());
}

#[test]
fn a_seed_that_is_ahead_of_the_log_takes_nothing_out_of_the_folder() {
    let cluster = Cluster::new();
    let store = Kept::default();
    let (dir, one) = cluster.node();
    let (_b, other) = cluster.node();
    one.create_collection("c", spec()).unwrap();
    one.checkpoint().unwrap();
    settle(&other, &one);
    drop(one);
    other.upsert("c", vec![point(1, 1)], Ack::Applied).unwrap();
    let late = cluster.0.lock().another();
    other.upsert("c", vec![point(2, 2)], Ack::Applied).unwrap();
    let lsn = keep(&store, &other);
    cluster.0.lock().trim_below(lsn.next());
    let late = Mutex::new(Some(late));
    let begun_before = Options {
        shared_log: Some(Arc::new(move |_| {
            Ok(Box::new(late.lock().take().unwrap()) as Box<dyn Log>)
        })),
        ..seeded(&cluster, &dir, &store)
    };
    let refused = Engine::open(begun_before).err().unwrap().to_string();
    assert!(refused.contains("start again"), "{refused}");
    assert!(dir.path().join("snapshots").read_dir().unwrap().count() > 0);
    let one = Engine::open(seeded(&cluster, &dir, &store)).unwrap();
    expect_same(&[&one, &other]);
}

/// A log that hands on what others have written only to who waits for it.
struct Late(MemoryLog);

impl Log for Late {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, storage::Error> {
        self.0.append(records)
    }
    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, storage::Error> {
        match wait.is_zero() {
            true => Ok(Vec::new()),
            false => self.0.follow(wait),
        }
    }
    fn shared(&self) -> Option<u128> {
        self.0.shared()
    }
    fn last_lsn(&self) -> Lsn {
        self.0.last_lsn()
    }
    fn first_lsn(&self) -> Lsn {
        self.0.first_lsn()
    }
    fn read_from(&self, from: Lsn) -> Result<storage::Records<'_>, storage::Error> {
        self.0.read_from(from)
    }
    fn release_below(&mut self, lsn: Lsn) -> Result<(), storage::Error> {
        self.0.release_below(lsn)
    }
    fn rotate(&mut self) -> Result<(), storage::Error> {
        self.0.rotate()
    }
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

#[test]
fn nothing_is_written_after_what_another_node_wrote_and_this_cannot_read() {
    let cluster = Cluster::new();
    let dir = tempfile::tempdir().unwrap();
    let log = Arc::clone(&cluster.0);
    let options = Options {
        shared_log: Some(Arc::new(move |_| {
            Ok(Box::new(Late(log.lock().another())) as Box<dyn Log>)
        })),
        ..Options::new(dir.path())
    };
    let one = Engine::open(options).unwrap();
    one.create_collection("c", spec()).unwrap();
    let mut other = cluster.0.lock().another();
    other.append(&[b"no record".to_vec()]).unwrap();
    assert!(one.upsert("c", vec![point(1, 1)], Ack::Applied).is_err());
    let next = one.upsert("c", vec![point(2, 2)], Ack::Applied);
    assert!(matches!(next, Err(Error::LogBroken(_))), "{next:?}");
    assert!(matches!(one.seed(), Err(Error::LogBroken(_))));
}

#[test]
fn a_node_that_does_not_serve_a_collection_makes_no_seed() {
    let cluster = Cluster::new();
    let (dir, one) = cluster.node();
    for name in ["c", "d"] {
        one.create_collection(name, spec()).unwrap();
        one.upsert(name, vec![point(1, 1)], Ack::Applied).unwrap();
    }
    one.checkpoint().unwrap();
    cluster.0.lock().trim_below(one.durable_lsn().next());
    drop(one);
    for snapshot in dir.path().join("snapshots").read_dir().unwrap() {
        std::fs::write(snapshot.unwrap().path(), b"damaged").unwrap();
    }
    let one = Engine::open(cluster.options(&dir)).unwrap();
    assert!(!one.quarantined().is_empty());
    assert!(one.seed().is_err());
}
