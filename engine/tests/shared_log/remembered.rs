//! A shared log whose messages say what they stand behind: a node remembers in its folder how it stood, and so knows it from
//! another, however often it starts.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use engine::{Ack, Engine, Options};
use storage::{Bookmark, Error, History, Log, Lsn, MemoryLog, Records, checksum};
use tempfile::TempDir;

use super::broken::killed;
use super::{Cluster, Kept, keep, seeded, spec, wait_for};
use crate::common::{contents, point};

struct Chained(MemoryLog);

impl Chained {
    /// The checksum of all up to a position.
    fn sum(&self, upto: Lsn) -> u32 {
        let records = self.0.read_from(Lsn(1)).unwrap().map(Result::unwrap);
        let records = records.filter(|(lsn, _)| *lsn <= upto);
        records.fold(0, |sum: u32, (lsn, record)| {
            checksum(&[&sum.to_le_bytes(), &lsn.0.to_le_bytes(), &record])
        })
    }
}

impl Log for Chained {
    fn append(&mut self, records: &[Vec<u8>]) -> Result<Vec<Lsn>, Error> {
        self.0.append(records)
    }
    fn follow(&mut self, wait: Duration) -> Result<Vec<(Lsn, Vec<u8>)>, Error> {
        self.0.follow(wait)
    }
    fn bookmark(&self) -> Option<Bookmark> {
        let last = self.last_lsn();
        Some(Bookmark {
            message: last.0,
            sum: self.sum(last),
            last,
        })
    }
    fn remember(&mut self, bookmark: &Bookmark) -> Result<History, Error> {
        Ok(match self.sum(bookmark.last) == bookmark.sum {
            true => History::Same,
            false => History::Another("it is another".into()),
        })
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
    fn read_from(&self, from: Lsn) -> Result<Records<'_>, Error> {
        self.0.read_from(from)
    }
    fn release_below(&mut self, lsn: Lsn) -> Result<(), Error> {
        self.0.release_below(lsn)
    }
    fn rotate(&mut self) -> Result<(), Error> {
        self.0.rotate()
    }
    fn bytes(&self) -> u64 {
        self.0.bytes()
    }
}

fn options(cluster: &Cluster, dir: &TempDir) -> Options {
    let log = Arc::clone(&cluster.0);
    Options {
        shared_log: Some(Arc::new(move |_| {
            Ok(Box::new(Chained(log.lock().another())) as Box<dyn Log>)
        })),
        ..Options::new(dir.path())
    }
}

#[test]
fn a_log_that_was_written_anew_is_told_at_every_start_though_a_power_cut_took_the_copy() {
    let cluster = Cluster::new();
    let dir = tempfile::tempdir().unwrap();
    let one = Engine::open(options(&cluster, &dir)).unwrap();
    one.create_collection("c", spec()).unwrap();
    for n in 0..3 {
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
    }
    one.shutdown().unwrap();
    drop(one);
    std::fs::remove_dir_all(dir.path().join("copy")).unwrap();
    // The log it has followed is taken,
    let one = Engine::open(options(&cluster, &dir)).unwrap();
    one.upsert("c", vec![point(3, 3)], Ack::Applied).unwrap();
    let left = killed(dir.path());
    drop(one);
    // and one that has another record at the end of what it has applied is not.
    let records = cluster.0.lock().another();
    let records = records.read_from(Lsn(1)).unwrap().map(|it| it.unwrap().1);
    let mut records: Vec<_> = records.collect();
    let last = records.pop().unwrap();
    let others = Cluster::new();
    let mut anew = others.0.lock().another();
    anew.append(&records).unwrap();
    let mut other = last.clone();
    *other.last_mut().unwrap() ^= 1;
    anew.append(&[other, last]).unwrap();
    for _ in 0..3 {
        let one = Engine::open(options(&others, &left)).unwrap();
        let told = one.status().read_only.unwrap().to_string();
        assert!(told.contains("it is another"), "{told}");
        assert_eq!(contents(&one, "c").len(), 4);
        // It takes a checkpoint of what it has, which says nothing of the other log.
        wait_for(|| one.status().checkpoint_lsn == one.status().applied_lsn);
        drop(one);
        std::fs::remove_dir_all(left.path().join("copy")).unwrap();
    }
}

#[test]
fn a_seed_of_another_log_of_the_same_number_is_passed_over() {
    let (cluster, others) = (Cluster::new(), Cluster::new());
    let store = Kept::default();
    let open = |of: &Cluster| {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            seed: seeded(of, &dir, &store).seed,
            ..options(of, &dir)
        };
        Engine::open(options).map(|engine| (engine, dir))
    };
    for (of, n) in [(&others, 1), (&cluster, 2)] {
        let (one, _dir) = open(of).unwrap();
        one.create_collection("c", spec()).unwrap();
        one.upsert("c", vec![point(n, n)], Ack::Applied).unwrap();
        if n == 2 {
            keep(&store, &one);
        }
    }
    let (late, _dir) = open(&cluster).unwrap();
    let replayed = late.status().replayed_records;
    assert_eq!((replayed, contents(&late, "c").len()), (0, 1));
    let told = open(&others).err().unwrap().to_string();
    assert!(
        told.contains("the checkpoint in the store") && told.contains("it is another"),
        "{told}"
    );
}

#[test]
fn what_a_seed_says_of_the_log_is_of_where_it_ends_also_while_others_write() {
    let cluster = Cluster::new();
    let dir = tempfile::tempdir().unwrap();
    let one = Engine::open(options(&cluster, &dir)).unwrap();
    one.create_collection("c", spec()).unwrap();
    thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for n in 0..600 {
                let written = one.upsert("c", vec![point(n % 50, n)], Ack::Durable);
                written.unwrap();
            }
        });
        while !writer.is_finished() {
            let head = one.seed().unwrap().head.clone();
            let told = head.bookmark.map(|it| it.last);
            assert!(told.is_none_or(|it| it == head.lsn), "{head:?}");
        }
    });
    one.upsert("c", vec![point(99, 1)], Ack::Applied).unwrap();
    let head = one.seed().unwrap().head.clone();
    assert_eq!(head.bookmark.map(|it| it.last), Some(head.lsn));
}
