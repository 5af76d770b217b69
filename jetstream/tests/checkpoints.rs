//! Checkpoints in the store beside the stream, and the stream trimmed below them; what nodes say of places
//! in the log.

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::io::{self, Read};
use std::thread;
use std::time::Duration;

use common::{ALWAYS, LAZY, Nats};
use jetstream::{Checkpoints, JetStreamLog, Leases, Settings, Sums};
use reach::{fetched, until};
use storage::{Log, Lsn};

fn settings(nats: &Nats) -> Settings {
    reach::settings(nats, "log")
}

#[test]
fn nodes_that_start_together_find_what_one_of_them_makes() {
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    for round in 0..3 {
        let settings = Settings {
            stream: format!("log{round}"),
            ..settings(&nats)
        };
        let open = || {
            drop(JetStreamLog::open(&settings).unwrap());
            drop(Checkpoints::open(&settings).unwrap());
            drop(Sums::open(&settings).unwrap());
            // Longer than the slowest of them takes: what is said must not end before all have tried.
            let leases = Leases::open(&settings, Duration::from_secs(120)).unwrap();
            // What was just made may have no leader yet.
            let mut said = None;
            until("the bucket is there", || {
                said = leases.say_alone("one", "who is first").ok();
                said.is_some()
            });
            said.unwrap()
        };
        let said = thread::scope(|scope| {
            let nodes: Vec<_> = (0..4).map(|_| scope.spawn(open)).collect();
            let said = nodes.into_iter().map(|it| it.join().unwrap());
            said.filter(Option::is_none).count()
        });
        assert_eq!(said, 1, "who says something alone was first");
    }
}

#[test]
fn two_checkpoints_are_kept_and_the_stream_from_the_older_on() {
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    assert_eq!(store.all().unwrap(), []);
    let large: Vec<u8> = (0..3_000_000u32).flat_map(u32::to_le_bytes).collect();
    let mut lsns = Vec::new();
    for n in 0..3u8 {
        let records: Vec<_> = (0..4).map(|m| vec![n, m]).collect();
        let written = log.append(&records).unwrap();
        let lsn = *written.last().unwrap();
        lsns.push(lsn);
        let (about, bytes) = (format!("number {n}"), &large[usize::from(n)..]);
        store.put(lsn, about, bytes).unwrap();
        // The server that lists may be one that has it a moment later.
        until("it is listed", || {
            store.all().unwrap().first().map(|it| it.lsn) == Some(lsn)
        });
        let kept_from = store.trim(Duration::ZERO).unwrap();
        let expected = if n == 0 {
            Lsn(1)
        } else {
            lsns[usize::from(n) - 1]
        };
        assert_eq!(kept_from, expected);
    }
    let all = store.all().unwrap();
    let told: Vec<_> = all.iter().map(|it| it.lsn).collect();
    assert_eq!(told, [lsns[2], lsns[1]]);
    for (n, it) in [(2, &all[0]), (1, &all[1])] {
        let (about, bytes) = fetched(&store, it);
        assert_eq!(about, format!("number {n}"));
        assert!(bytes == large[n..]);
    }
    drop(log);
    let log = JetStreamLog::open(&settings).unwrap();
    assert!(log.first_lsn() > Lsn(1) && log.first_lsn() <= lsns[1].next());
    let after = log.read_from(lsns[1].next()).unwrap();
    let after: Vec<_> = after.map(|record| record.unwrap().1).collect();
    assert_eq!(after, [[2, 0], [2, 1], [2, 2], [2, 3]]);
}

#[test]
fn what_is_trimmed_after_a_log_was_opened_is_not_passed_over() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    let mut lsns = Vec::new();
    for n in 0..6u8 {
        lsns.extend(log.append(&[vec![n]]).unwrap());
    }
    let starting = JetStreamLog::open(&settings).unwrap();
    assert!(starting.first_lsn() <= lsns[1].next());
    for lsn in [lsns[3], lsns[4]] {
        store.put(lsn, String::new(), &[][..]).unwrap();
    }
    assert_eq!(
        store.trim(Duration::from_secs(60)).unwrap(),
        Lsn(1),
        "too close together"
    );
    store.trim(Duration::ZERO).unwrap();
    let told = starting.read_from(lsns[1].next()).err().unwrap();
    assert!(told.to_string().contains("begin again"), "{told}");
    let rest: Vec<_> = starting.read_from(lsns[3].next()).unwrap().collect();
    assert_eq!(rest.len(), 2);
}

#[test]
fn a_group_in_parts_that_a_checkpoint_ends_with_stays_whole() {
    let Some(nats) = Nats::start_with(1, ALWAYS, "max_payload: 70000") else {
        return;
    };
    let settings = settings(&nats);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    log.append(&[vec![0]]).unwrap();
    let lsns = log.append(&[vec![1; 200_000], vec![2]]).unwrap();
    for _ in 0..2 {
        store.put(lsns[1], String::new(), &[][..]).unwrap();
    }
    store.trim(Duration::ZERO).unwrap();
    let mut log = JetStreamLog::open(&settings).unwrap();
    assert!(log.first_lsn() > Lsn(1));
    assert_eq!(log.last_lsn(), lsns[1]);
    assert_eq!(log.read_from(lsns[1].next()).unwrap().count(), 0);
    let from: Vec<_> = log
        .read_from(lsns[0])
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(from.len(), 2);
    log.append(&[vec![3]]).unwrap();
    assert_eq!(log.read_from(lsns[1].next()).unwrap().count(), 1);
}

/// Zeros, and then no more can be read.
struct BreaksOff(usize);

impl Read for BreaksOff {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = buffer.len().min(self.0);
        self.0 -= bytes;
        match bytes {
            0 => Err(io::Error::other("it breaks off")),
            bytes => Ok(bytes),
        }
    }
}

#[test]
fn what_is_left_of_an_upload_that_broke_off_is_removed_and_what_is_whole_is_not() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let mut log = JetStreamLog::open(&settings).unwrap();
    let store = Checkpoints::open(&settings).unwrap();
    let lsn = log.append(&[vec![1]]).unwrap()[0];
    let broken = store.put(lsn, String::new(), BreaksOff(1 << 20));
    assert!(broken.is_err());
    assert_eq!(store.all().unwrap(), []);
    let hour = Duration::from_secs(3_600);
    assert_eq!(store.sweep(hour).unwrap(), 0, "it may go on");
    let whole = vec![7; 1 << 20];
    store.put(lsn, String::new(), &whole[..]).unwrap();
    assert_eq!(store.sweep(hour).unwrap(), 0);
    assert_eq!(store.sweep(Duration::ZERO).unwrap(), 1);
    assert_eq!(store.sweep(Duration::ZERO).unwrap(), 0);
    assert!(fetched(&store, &store.all().unwrap()[0]).1 == whole);
}

#[test]
fn servers_that_do_not_sync_any_more_are_found_out() {
    let Some(nats) = Nats::start(1, LAZY) else {
        return;
    };
    let strict = settings(&nats);
    let lazy = Settings {
        lazy_sync: true,
        ..strict.clone()
    };
    drop(JetStreamLog::open(&lazy).unwrap());
    let store = Checkpoints::open(&lazy).unwrap();
    store.check_sync(&lazy).unwrap();
    let told = store.check_sync(&strict).unwrap_err().to_string();
    assert!(told.contains("sync_interval: always"), "{told}");
}

#[test]
fn each_node_sees_what_others_say_of_a_place() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let (one, other) = (
        Sums::open(&settings).unwrap(),
        Sums::open(&settings).unwrap(),
    );
    assert_eq!(one.said(Lsn(7)).unwrap(), []);
    one.say(Lsn(7), "one", "a").unwrap();
    other.say(Lsn(7), "other", "b").unwrap();
    other.say(Lsn(77), "other", "c").unwrap();
    let mut said = one.said(Lsn(7)).unwrap();
    said.sort();
    let expected = [("one", "a"), ("other", "b")].map(|(who, what)| (who.into(), what.into()));
    assert_eq!(said, expected);
}

#[test]
fn of_nodes_that_claim_a_task_one_gets_it() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let long = Duration::from_secs(60);
    let nodes: Vec<_> = (0..4).map(|_| Sums::open(&settings).unwrap()).collect();
    for within in [long, Duration::ZERO] {
        let claimed: usize = std::thread::scope(|scope| {
            let claim = |node: &'_ Sums| node.claim("task", "node", within).unwrap();
            let all: Vec<_> = nodes
                .iter()
                .map(|it| scope.spawn(move || claim(it)))
                .collect();
            all.into_iter()
                .map(|it| usize::from(it.join().unwrap()))
                .sum()
        });
        assert!(claimed == 1 || within.is_zero() && claimed > 0, "{claimed}");
    }
    let (one, other) = (&nodes[0], &nodes[1]);
    // Only who has it gives it back.
    other.give_back("task", "other").unwrap();
    assert!(!one.claim("task", "node", long).unwrap());
    one.give_back("task", "node").unwrap();
    assert!(other.claim("task", "other", long).unwrap());
    assert!(!one.claim("task", "node", long).unwrap());
}
