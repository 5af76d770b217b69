//! A server that led and has stood still, or was cut off, tells how the stream stood then.
#![expect(clippy::panic, reason = "a test may panic")]

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::thread;
use std::time::{Duration, Instant};

use common::{ALWAYS, Nats};
use jetstream::JetStreamLog;
use reach::{settings, until};
use storage::{Error, Log, Lsn};

/// Takes what comes; that none comes for a while is no fault.
fn follows(log: &mut JetStreamLog) {
    match log.follow(Duration::ZERO) {
        Ok(_) | Err(Error::Unreachable(_)) => {}
        Err(error) => panic!("{error}"),
    }
}

/// The message in which a record is.
fn message_of(lsn: Lsn) -> u64 {
    lsn.0 >> 16
}

#[test]
fn a_server_that_led_and_stood_still_stops_nobody_with_what_it_tells() {
    let Some(mut nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "log");
    let mut log = JetStreamLog::open(&settings).unwrap();
    log.append(&[b"first".to_vec()]).unwrap();
    let led = nats.leader("log").unwrap();
    let others: Vec<_> = (0..nats.count()).filter(|it| *it != led).collect();
    nats.pause(led, true);
    until("others take records", || {
        follows(&mut log);
        log.append(&[b"without it".to_vec()]).is_ok()
    });
    let before = log.last_lsn();
    until("they take more", || {
        follows(&mut log);
        let _ = log.append(&[b"without it too".to_vec()]);
        message_of(log.last_lsn()) >= message_of(before) + 20
    });
    let last = log.last_lsn();
    others.iter().for_each(|it| nats.kill(*it));
    nats.pause(led, false);
    // Longer than a stream that has lost its end would be looked at.
    let until_then = Instant::now() + Duration::from_secs(12);
    while Instant::now() < until_then {
        follows(&mut log);
        thread::sleep(Duration::from_millis(200));
        if let Ok(end) = log.end() {
            assert!(end >= last, "{end:?} {last:?}");
        }
        assert_eq!(log.broken(), None);
    }
    match log.append(&[b"nobody takes it".to_vec()]) {
        Err(Error::Refused { .. } | Error::Unreachable(_)) => {}
        other => panic!("{other:?}"),
    }
    others.iter().for_each(|it| nats.restart(*it));
    nats.wait_healthy();
    until("it goes on", || {
        follows(&mut log);
        log.append(&[b"together".to_vec()]).is_ok()
    });
}
