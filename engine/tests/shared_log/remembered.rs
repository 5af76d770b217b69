//! A shared log whose messages say what they stand behind: a node remembers in its folder how it stood, and so knows it from
//! another, however often it starts.

use std::sync::Arc;
use std::time::Duration;

use engine::{Ack, Engine, Options};
use storage::{Bookmark, Error, History, Log, Lsn, MemoryLog, Records, checksum};
use tempfile::TempDir;

use super::broken::killed;
use super::{Cluster, spec, wait_for};
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
