//! Streams that take nothing: what their servers say is told at once, and whether the record may be there.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::time::{Duration, Instant};

use common::{ALWAYS, Nats};
use jetstream::{Access, JetStreamLog, Settings};
use reach::{change, settings, until};
use storage::{Error, Log, Lsn};

/// Less than what is not told at once takes.
const AT_ONCE: Duration = Duration::from_secs(6);

fn all(log: &dyn Log) -> Vec<Vec<u8>> {
    let records = log.read_from(Lsn(1)).unwrap();
    records.map(|record| record.unwrap().1).collect()
}

/// What is said to a record that is not taken.
fn told(log: &mut JetStreamLog, record: &[u8]) -> Error {
    let started = Instant::now();
    let told = log.append(&[record.to_vec()]).unwrap_err();
    let took = started.elapsed();
    assert!(took < AT_ONCE, "told after {took:?}: {told}");
    told
}

fn is_full(told: &Error, word: &str) -> bool {
    matches!(told, Error::Refused { is_full: true, .. }) && told.to_string().contains(word)
}

fn full(servers: usize) {
    let Some(nats) = Nats::start(servers, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "full");
    let mut log = JetStreamLog::open(&settings).unwrap();
    log.append(&[b"one".to_vec()]).unwrap();
    change(&nats, "full", |it| it.max_messages = 1);
    let refused = told(&mut log, b"two");
    assert!(is_full(&refused, "maximum messages"), "{refused}");
    change(&nats, "full", |it| {
        (it.max_messages, it.max_bytes) = (-1, 2_000);
    });
    let refused = told(&mut log, &[7; 4_000]);
    assert!(is_full(&refused, "maximum bytes"), "{refused}");
    // With room again it goes on, and nothing that was refused is there.
    change(&nats, "full", |it| it.max_bytes = -1);
    log.append(&[b"three".to_vec()]).unwrap();
    assert_eq!(all(&log), [&b"one"[..], b"three"]);
}

#[test]
fn a_stream_that_is_full_says_so_at_once_and_goes_on_when_there_is_room() {
    full(1);
}

#[test]
fn a_stream_of_three_servers_that_is_full_says_so_at_once() {
    full(3);
}

#[test]
fn an_account_without_room_says_so_at_once() {
    let more = "accounts { A { jetstream { max_file: 300K, max_mem: 1M }, \
                users: [{ user: doppel, password: correct-horse }] } }";
    let Some(nats) = Nats::start_with(1, ALWAYS, more) else {
        return;
    };
    let settings = Settings {
        access: Access {
            user: Some(("doppel".to_owned(), "correct-horse".to_owned())),
            ..Access::default()
        },
        ..settings(&nats, "account")
    };
    let mut log = JetStreamLog::open(&settings).unwrap();
    let refused = loop {
        let started = Instant::now();
        match log.append(&[vec![7; 50_000]]) {
            Ok(_) => assert!(all(&log).len() < 100, "the account is never full"),
            Err(error) => {
                assert!(started.elapsed() < AT_ONCE, "{error}");
                break error;
            }
        }
    };
    assert!(is_full(&refused, "resource limits"), "{refused}");
}

#[test]
fn a_stream_that_is_sealed_says_so_at_once_and_is_read_to_its_end() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "sealed");
    let mut log = JetStreamLog::open(&settings).unwrap();
    log.append(&[b"one".to_vec()]).unwrap();
    change(&nats, "sealed", |it| it.sealed = true);
    let refused = told(&mut log, b"two");
    // Nothing more comes for good.
    assert!(matches!(refused, Error::Shared(_)), "{refused}");
    assert!(refused.to_string().contains("is sealed"), "{refused}");
    let mut late = JetStreamLog::reopen(&settings, log.shared().unwrap()).unwrap();
    assert!(late.broken().unwrap().contains("is sealed"));
    assert_eq!(all(&late), [b"one"]);
    assert!(matches!(told(&mut late, b"two"), Error::Shared(_)));
}

#[test]
fn servers_without_a_majority_say_that_nothing_was_written_and_are_not_waited_for_again_and_again()
{
    let Some(mut nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "alone");
    let mut log = JetStreamLog::open(&settings).unwrap();
    log.append(&[b"one".to_vec()]).unwrap();
    let mut leader = None;
    until("somebody leads", || {
        leader = nats.leader("alone");
        leader.is_some()
    });
    let others: Vec<_> = (0..3).filter(|n| Some(*n) != leader).collect();
    others.iter().for_each(|n| nats.kill(*n));
    // While the one that is left believes to lead, nobody knows what becomes of a record, or it refuses those behind it.
    let mut unknown = 0;
    until("nobody leads any more", || {
        match log.append(&[b"two".to_vec()]).unwrap_err() {
            Error::Refused {
                is_full: false,
                why,
            } => why.contains("no server takes messages"),
            Error::Unreachable(_) => {
                unknown += 1;
                false
            }
            other => panic!("{other}"),
        }
    });
    let refused = told(&mut log, b"three");
    assert!(
        matches!(refused, Error::Refused { is_full: false, .. })
            && refused.to_string().contains("no server takes messages"),
        "{refused}"
    );
    others.iter().for_each(|n| nats.restart(*n));
    nats.wait_healthy();
    until("they write again", || {
        match log.append(&[b"four".to_vec()]) {
            Ok(_) => true,
            Err(Error::Overtaken) => log.follow(Duration::from_secs(1)).is_err(),
            Err(_) => false,
        }
    });
    let all = all(&log);
    assert!(
        all.first().unwrap() == b"one"
            && all.last().unwrap() == b"four"
            && !all.contains(&b"three".to_vec()),
        "{all:?}"
    );
    let there = all.iter().filter(|it| *it == b"two").count();
    assert!(there <= unknown, "{there} of {unknown}");
}
