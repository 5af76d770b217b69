//! Streams that were purged, removed or made anew beside nodes that follow them: what operators do, and their tools.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::time::{Duration, Instant};

use async_nats::jetstream::stream::Config;
use common::{ALWAYS, Nats, Proxy};
use futures_util::StreamExt;
use jetstream::{Checkpoints, JetStreamLog, Settings};
use reach::{change, operator, until};
use storage::{Error, Log, Lsn};

fn settings(nats: &Nats) -> Settings {
    reach::settings(nats, "log")
}

fn open(settings: &Settings) -> JetStreamLog {
    JetStreamLog::open(settings).unwrap()
}

fn purge(nats: &Nats) {
    operator(nats, async |context| {
        let stream = context.get_stream("log").await.unwrap();
        stream.purge().await.unwrap();
    });
}

/// Removes the stream and makes it again after a while, with the same settings and what `of` makes of its messages.
fn make_anew(nats: &Nats, after: Duration, of: impl Fn(Vec<u8>) -> Vec<u8>) {
    operator(nats, async |context| {
        let stream = context.get_stream("log").await.unwrap();
        let info = stream.cached_info().clone();
        let mut messages = Vec::new();
        for sequence in 1..=info.state.last_sequence {
            let message = stream.get_raw_message(sequence).await.unwrap();
            messages.push(of(message.payload.to_vec()));
        }
        context.delete_stream("log").await.unwrap();
        std::thread::sleep(after);
        context.create_stream(info.config).await.unwrap();
        for message in messages {
            let sent = context.publish("log.log", message.into()).await.unwrap();
            sent.await.unwrap();
        }
    });
}

/// What a node is told that follows and has nothing to follow, which must come by itself.
fn told(log: &mut JetStreamLog) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        match log.follow(Duration::from_millis(200)) {
            Ok(_) => assert!(Instant::now() < until, "nothing is noticed"),
            Err(error @ Error::Shared(_)) => break error.to_string(),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A log with three records, as who has read them all has it.
fn filled(settings: &Settings) -> (JetStreamLog, Vec<Lsn>) {
    let mut log = open(settings);
    let lsns = (0..3u8).map(|n| log.append(&[vec![n]]).unwrap()[0]);
    let lsns = lsns.collect();
    (open(settings), lsns)
}

#[test]
fn who_has_read_all_that_was_purged_goes_on_and_who_has_not_is_told_though_nothing_comes() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    drop(open(&settings));
    let proxy = Proxy::start(nats.address(0));
    let mut late = open(&Settings {
        servers: vec![proxy.url()],
        ..settings.clone()
    });
    proxy.shut(true);
    let (mut one, lsns) = filled(&settings);
    purge(&nats);
    proxy.shut(false);
    let told = told(&mut late);
    assert!(
        told.contains("message 1 of the stream is wanted, and 4 is"),
        "{told}"
    );
    let next = one.append(&[b"next".to_vec()]).unwrap()[0];
    // And who had all, and starts again.
    let again = open(&settings);
    assert!(again.broken().is_none());
    for had in [lsns[2], next] {
        assert!(again.first_lsn() <= had.next());
    }
    assert!(again.first_lsn() > lsns[1].next());
    let read: Vec<_> = again
        .read_from(lsns[2].next())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, [(next, b"next".to_vec())]);
}

#[test]
fn who_has_not_read_yet_what_has_arrived_and_was_purged_reads_it_and_writes_on() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let (mut one, mut late) = (open(&settings), open(&settings));
    let first = one.append(&[b"first".to_vec()]).unwrap()[0];
    until("it has arrived", || {
        operator(&nats, async |context| {
            let stream = context.get_stream(&settings.stream).await.unwrap();
            let consumers: Vec<_> = stream.consumers().collect().await;
            let arrived = consumers
                .iter()
                .filter(|it| it.as_ref().unwrap().delivered.stream_sequence == 1);
            arrived.count() == 2
        })
    });
    purge(&nats);
    let refused = late.append(&[b"late".to_vec()]).unwrap_err();
    assert!(matches!(refused, Error::Overtaken), "{refused}");
    let read = late.follow(Duration::from_secs(20)).unwrap();
    assert_eq!(read, [(first, b"first".to_vec())]);
    late.append(&[b"late".to_vec()]).unwrap();
}

#[test]
fn a_record_that_was_purged_before_its_acknowledgement_came_is_not_told_to_be_overtaken() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let proxy = Proxy::start(nats.address(0));
    let mut log = open(&Settings {
        servers: vec![proxy.url()],
        ..settings(&nats)
    });
    log.append(&[b"before".to_vec()]).unwrap();
    // Shorter than it takes until the servers are asked again.
    let window = Duration::from_millis(100);
    change(&nats, "log", |it| it.duplicate_window = window);
    proxy.deafen(true);
    let told = std::thread::scope(|scope| {
        let write = scope.spawn(|| log.append(&[b"lost".to_vec()]));
        until("the record is there", || {
            operator(&nats, async |context| {
                let stream = context.get_stream("log").await.unwrap();
                stream.cached_info().state.last_sequence == 2
            })
        });
        purge(&nats);
        std::thread::sleep(4 * window);
        proxy.deafen(false);
        write.join().unwrap().unwrap_err()
    });
    // It was there, and others may have read it: it is not to be written again as if it had not been.
    assert!(matches!(told, Error::Unreachable(_)), "{told}");
    assert!(told.to_string().contains("was purged before"), "{told}");
}

#[test]
fn a_group_of_which_the_beginning_was_purged_is_not_asked_for_by_who_has_it() {
    let Some(nats) = Nats::start_with(1, ALWAYS, "max_payload: 70000") else {
        return;
    };
    let settings = settings(&nats);
    let mut one = open(&settings);
    let had = one.append(&[vec![1; 200_000]]).unwrap()[0];
    operator(&nats, async |context| {
        let stream = context.get_stream("log").await.unwrap();
        stream.purge().sequence(2).await.unwrap();
    });
    let again = open(&settings);
    assert!(again.broken().is_none() && again.last_lsn() >= had);
    assert_eq!(again.read_from(had.next()).unwrap().count(), 0);
    drop(again);
    let next = one.append(&[b"next".to_vec()]).unwrap()[0];
    let again = open(&settings);
    let read: Vec<_> = again
        .read_from(had.next())
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(read, [(next, b"next".to_vec())]);
    let before = again.read_from(Lsn(1)).err().unwrap();
    assert!(matches!(before, Error::Unreachable(_)), "{before}");
}

#[test]
fn a_stream_that_is_removed_is_missed_though_nobody_writes() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (mut one, _) = filled(&settings(&nats));
    operator(&nats, async |context| {
        context.delete_stream("log").await.unwrap()
    });
    let told = told(&mut one);
    assert!(told.contains("is not there any more"), "{told}");
    assert!(one.append(&[b"next".to_vec()]).is_err());
}

#[test]
fn a_stream_that_is_made_anew_is_taken_only_with_all_that_was_in_it() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let (mut one, _) = filled(&settings);
    let mut follow = |seconds| {
        let until = Instant::now() + Duration::from_secs(seconds);
        while Instant::now() < until {
            one.follow(Duration::from_millis(200)).unwrap();
        }
    };
    // It is looked how it stands when nothing has come for five seconds: then it is not there, and soon is again.
    follow(4);
    make_anew(&nats, Duration::from_secs(2), |message| message);
    // As long as it would take to be told.
    follow(12);
    one.append(&[b"next".to_vec()]).unwrap();
    let other = |mut message: Vec<u8>| {
        let last = message.len() - 1;
        message[last] ^= 1;
        message
    };
    make_anew(&nats, Duration::ZERO, other);
    let told = told(&mut one);
    assert!(
        told.contains("is another than this node has read"),
        "{told}"
    );
}

#[test]
fn a_stream_that_is_shorter_than_it_was_or_of_another_log_is_told_though_nobody_writes() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let (mut one, _) = filled(&settings);
    let made = |change: fn(&mut Config)| {
        operator(&nats, async |context| {
            let stream = context.get_stream("log").await.unwrap();
            let mut config = stream.cached_info().config.clone();
            change(&mut config);
            context.delete_stream("log").await.unwrap();
            context.create_stream(config).await.unwrap();
        });
    };
    made(|_| {});
    let told_short = told(&mut one);
    assert!(told_short.contains("ends with message 0"), "{told_short}");
    let mut one = open(&settings);
    made(|config| {
        config.metadata.insert("doppel.log".into(), "5".into());
    });
    let told = told(&mut one);
    assert!(told.contains("made anew, for another log"), "{told}");
}

#[test]
fn it_is_known_whether_anybody_can_begin_with_what_was_left() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats);
    let (_one, lsns) = filled(&settings);
    let store = Checkpoints::open(&settings).unwrap();
    assert_eq!(store.purged().unwrap(), None);
    store.put(lsns[0], String::new(), &[][..]).unwrap();
    purge(&nats);
    let (first, needed) = store.purged().unwrap().unwrap();
    assert!(first == 4 && needed > lsns[1] && needed <= lsns[2]);
    store.put(lsns[2], String::new(), &[][..]).unwrap();
    let until = Instant::now() + Duration::from_secs(60);
    while store.purged().unwrap().is_some() {
        assert!(Instant::now() < until, "the checkpoint is not seen");
    }
}
