//! The log on real servers: what every log keeps to, and what servers and networks do to this one.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;
#[path = "common/reach.rs"]
mod reach;

use std::time::Duration;

use async_nats::jetstream::stream::Config;
use common::{ALWAYS, LAZY, Nats, Proxy};
use jetstream::{Checkpoints, JetStreamLog, Settings, begin, begins_at};
use reach::{change, is_there, operator, settings, until};
use storage::{Error, Log, Lsn, keeps_log_contract, keeps_shared_log_contract};

fn open(settings: &Settings) -> JetStreamLog {
    JetStreamLog::open(settings).unwrap()
}

fn all(log: &dyn Log) -> Vec<Vec<u8>> {
    let records = log.read_from(Lsn(1)).unwrap();
    records.map(|record| record.unwrap().1).collect()
}

fn messages(nats: &Nats, stream: &str) -> u64 {
    operator(nats, async |context| {
        let there = context.get_stream(stream).await.unwrap();
        there.cached_info().state.messages
    })
}

fn keep_contracts(servers: usize) {
    let Some(nats) = Nats::start(servers, ALWAYS) else {
        return;
    };
    let alone = settings(&nats, "alone");
    keeps_log_contract(&mut || Box::new(open(&alone)));
    let shared = settings(&nats, "shared");
    keeps_shared_log_contract(&mut || Box::new(open(&shared)));
}

#[test]
fn it_keeps_what_every_log_keeps() {
    keep_contracts(1);
}

#[test]
fn three_servers_keep_what_every_log_keeps() {
    keep_contracts(3);
}

#[test]
fn records_larger_than_a_message_may_be_are_kept_whole() {
    let Some(nats) = Nats::start_with(1, ALWAYS, "max_payload: 70000") else {
        return;
    };
    let settings = settings(&nats, "large");
    let (mut one, mut other) = (open(&settings), open(&settings));
    let large = |byte: u8, bytes: usize| vec![byte; bytes];
    let first = vec![large(1, 1_000_000), large(2, 10), large(3, 200_000)];
    let lsns = one.append(&first).unwrap();
    assert!(lsns.windows(2).all(|pair| pair[0] < pair[1]));
    assert!(matches!(
        other.append(&[large(4, 300_000)]),
        Err(Error::Overtaken)
    ));
    let mut followed = Vec::new();
    until("three records are followed", || {
        followed.extend(other.follow(Duration::from_secs(5)).unwrap());
        followed.len() >= 3
    });
    let expected: Vec<_> = lsns.iter().copied().zip(first.clone()).collect();
    assert_eq!(followed, expected);
    other.append(&[large(4, 300_000)]).unwrap();
    let late = open(&settings);
    assert_eq!(late.last_lsn(), other.last_lsn());
    assert_eq!(all(&late).len(), 4);
    let from: Vec<_> = late
        .read_from(lsns[1])
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(from[0], (lsns[1], first[1].clone()));
    let too_large = one.append(&[large(0, 300 << 20)]);
    assert!(
        matches!(too_large, Err(Error::TooLarge { .. })),
        "{too_large:?}"
    );
}

#[test]
fn a_record_whose_acknowledgement_is_lost_is_there_once() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let proxy = Proxy::start(nats.address(0));
    let through = Settings {
        servers: vec![proxy.url()],
        ..settings(&nats, "lost")
    };
    let mut log = open(&through);
    log.append(&[b"before".to_vec()]).unwrap();
    // With the servers' memory of ids, and without it.
    for (window, text) in [(120_000, "remembered"), (100, "forgotten")] {
        change(&nats, "lost", |it| {
            it.duplicate_window = Duration::from_millis(window)
        });
        proxy.deafen(true);
        let there = messages(&nats, "lost") + 1;
        std::thread::scope(|scope| {
            let write = scope.spawn(|| log.append(&[text.as_bytes().to_vec()]));
            until("the record is there", || messages(&nats, "lost") >= there);
            if window < 1000 {
                std::thread::sleep(Duration::from_millis(4 * window));
            }
            proxy.deafen(false);
            write.join().unwrap().unwrap();
        });
        assert_eq!(messages(&nats, "lost"), there, "once");
    }
    let expected = ["before", "remembered", "forgotten"];
    let expected = expected.map(|text| text.as_bytes().to_vec());
    assert_eq!(all(&open(&settings(&nats, "lost"))), expected);
}

#[test]
fn a_log_that_cannot_be_reached_says_so_and_goes_on_when_it_can() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let proxy = Proxy::start(nats.address(0));
    let through = Settings {
        servers: vec![proxy.url()],
        ..settings(&nats, "cut")
    };
    let mut log = open(&through);
    log.append(&[b"one".to_vec()]).unwrap();
    proxy.shut(true);
    let refused = log.append(&[b"two".to_vec()]);
    assert!(matches!(refused, Err(Error::Unreachable(_))), "{refused:?}");
    assert_eq!(log.follow(Duration::ZERO).unwrap(), []);
    let mut other = open(&settings(&nats, "cut"));
    other.append(&[b"three".to_vec()]).unwrap();
    proxy.shut(false);
    let mut followed = Vec::new();
    until("what the other wrote is followed", || {
        followed = log.follow(Duration::from_secs(1)).unwrap();
        !followed.is_empty()
    });
    assert_eq!(followed[0].1, b"three");
    log.append(&[b"four".to_vec()]).unwrap();
    assert_eq!(all(&log), [&b"one"[..], b"three", b"four"]);
}

#[test]
fn a_leader_that_is_killed_loses_nothing() {
    let Some(mut nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "killed");
    let mut log = open(&settings);
    let mut expected = Vec::new();
    for n in 0..200u32 {
        if n == 60 {
            let leader = nats.leader("killed").expect("the stream has a leader");
            nats.kill(leader);
        }
        let record = n.to_le_bytes().to_vec();
        log.append(std::slice::from_ref(&record)).unwrap();
        expected.push(record);
    }
    assert_eq!(all(&log), expected);
    drop(log);
    assert_eq!(all(&open(&settings)), expected, "with two of three servers");
}

#[test]
fn servers_that_do_not_sync_are_refused_or_taken_if_told() {
    let Some(nats) = Nats::start(1, LAZY) else {
        return;
    };
    let strict = settings(&nats, "lazy");
    let told = |settings: &Settings| {
        let refused = JetStreamLog::open(settings).err();
        refused.expect("it is refused").to_string()
    };
    assert!(told(&strict).contains("sync_interval: always"));
    let unknown = Settings {
        monitors: Vec::new(),
        ..strict.clone()
    };
    assert!(told(&unknown).contains("nats.monitors"));
    let lenient = Settings {
        lazy_sync: true,
        ..strict.clone()
    };
    assert_eq!(open(&lenient).last_lsn(), Lsn(0));
    // Also where the stream is there already.
    assert!(told(&strict).contains("sync_interval: always"));
}

#[test]
fn a_stream_that_may_lose_records_or_is_somebody_elses_is_refused() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let ours = settings(&nats, "ours");
    drop(open(&ours));
    // One that refuses what has no room keeps what it has.
    change(&nats, "ours", |it| it.max_bytes = 1 << 20);
    drop(open(&ours));
    change(&nats, "ours", |it| it.max_age = Duration::from_secs(3_600));
    let told = JetStreamLog::open(&ours).err().unwrap().to_string();
    assert!(told.contains("max_age"), "{told}");
    operator(&nats, async |context| {
        let theirs = Config {
            name: "theirs".into(),
            ..Default::default()
        };
        context.create_stream(theirs).await.unwrap();
    });
    let told = JetStreamLog::open(&settings(&nats, "theirs"))
        .err()
        .unwrap();
    assert!(told.to_string().contains("no log of doppel's"), "{told}");
}

#[test]
fn a_message_that_others_put_into_the_stream_is_not_passed_over() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "foreign");
    let mut log = open(&settings);
    log.append(&[b"ours".to_vec()]).unwrap();
    operator(&nats, async |context| {
        let sent = context.publish("foreign.log", "theirs".into());
        sent.await.unwrap().await.unwrap();
    });
    let mut told = String::new();
    until("the message is noticed", || {
        match log.follow(Duration::from_secs(1)) {
            Ok(none) => assert_eq!(none, []),
            Err(error) => told = error.to_string(),
        }
        !told.is_empty()
    });
    let damaged = "message 2 of the stream is damaged";
    assert!(told.contains(damaged), "{told}");
    let refused = log.append(&[b"more".to_vec()]);
    assert!(matches!(refused, Err(Error::Shared(_))), "{refused:?}");
    // Whoever opens it then has what comes before.
    let mut late = JetStreamLog::reopen(&settings, log.shared().unwrap()).unwrap();
    assert!(late.broken().unwrap().contains(damaged));
    let mut records = late.read_from(Lsn(1)).unwrap();
    assert_eq!(records.next().unwrap().unwrap().1, b"ours");
    let told = records.next().unwrap().unwrap_err().to_string();
    assert!(told.contains(damaged) && records.next().is_none(), "{told}");
    drop(records);
    assert!(late.append(&[b"more".to_vec()]).is_err());
}

#[test]
fn what_comes_before_damage_is_handed_on_first() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "before");
    let (mut one, mut other) = (open(&settings), open(&settings));
    one.append(&[b"ours".to_vec()]).unwrap();
    nats.publish("before.log", "theirs");
    // Both have arrived by then.
    until("both are there", || messages(&nats, "before") == 2);
    std::thread::sleep(Duration::from_millis(500));
    let followed = other.follow(Duration::from_secs(5)).unwrap();
    assert_eq!(followed.len(), 1);
    let next = other.follow(Duration::from_secs(5));
    assert!(matches!(next, Err(Error::Shared(_))), "{next:?}");
}

/// Takes a stream away, as an operator or a server that has lost it would.
fn remove(nats: &Nats, stream: &str) {
    operator(nats, async |context| {
        context.delete_stream(stream).await.unwrap();
    });
}

#[test]
fn a_stream_that_is_gone_is_made_anew_neither_for_who_has_followed_it_nor_beside_its_checkpoints() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "gone");
    let number = open(&settings).shared().unwrap();
    drop(Checkpoints::open(&settings).unwrap());
    remove(&nats, "gone");
    let gone = JetStreamLog::reopen(&settings, number).err().unwrap();
    assert!(matches!(gone, Error::Gone(_)), "{gone}");
    assert!(gone.to_string().contains("`nats.stream`"), "{gone}");
    assert!(Checkpoints::open(&settings).is_err());
    let told = JetStreamLog::open(&settings).err().unwrap().to_string();
    assert!(told.contains("OBJ_gone-checkpoints"), "{told}");
    assert!(!is_there(&nats, "gone"));
}

#[test]
fn settings_that_name_another_stream_than_the_data_came_from_are_told_which_that_was() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "right");
    drop(open(&Settings {
        stream: "of-others".to_owned(),
        ..settings.clone()
    }));
    let number = open(&settings).shared().unwrap();
    let wrong = Settings {
        stream: "wrong".to_owned(),
        ..settings
    };
    let told = JetStreamLog::reopen(&wrong, number).err().unwrap();
    // It does not mend itself.
    assert!(matches!(told, Error::Shared(_)), "{told}");
    let told = told.to_string();
    for part in ["`wrong`", "`right`", "`nats.stream`"] {
        assert!(told.contains(part), "{told}");
    }
    assert!(!is_there(&nats, "wrong"));
}

#[test]
fn a_stream_that_has_lost_its_end_takes_no_more() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "short");
    let mut log = open(&settings);
    log.append(&[b"one".to_vec()]).unwrap();
    remove(&nats, "short");
    drop(open(&settings));
    let refused = log.append(&[b"two".to_vec()]);
    let told = refused.unwrap_err();
    assert!(matches!(told, Error::Shared(_)), "{told}");
    assert!(told.to_string().contains("ends before message 1"), "{told}");
}

#[test]
fn nothing_is_made_for_a_start_that_is_refused() {
    let Some(nats) = Nats::start(1, LAZY) else {
        return;
    };
    let strict = settings(&nats, "strict");
    assert!(JetStreamLog::open(&strict).is_err());
    let unknown = Settings {
        monitors: Vec::new(),
        ..strict
    };
    assert!(JetStreamLog::open(&unknown).is_err());
    assert!(!is_there(&nats, "strict"));
}

#[test]
fn a_log_begins_with_a_backup_behind_all_that_clients_have_seen() {
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let settings = settings(&nats, "begun");
    for made in [Lsn(7), Lsn((41 << 16) + 3)] {
        let at = begins_at(made);
        assert!(at >= made);
        begin(&settings, at, "about".to_owned(), &b"the backup"[..]).unwrap();
        let refused = begin(&settings, at, String::new(), &b""[..]).unwrap_err();
        assert!(
            refused.to_string().contains("is there already"),
            "{refused}"
        );
        let mut log = open(&settings);
        assert_eq!(log.last_lsn(), at);
        let store = Checkpoints::open(&settings).unwrap();
        let found = store.all().unwrap();
        let about = store.fetch(&found[0], &mut |_| Ok(())).unwrap();
        assert_eq!((found[0].lsn, about.as_str()), (at, "about"));
        // A node that has nothing begins with it.
        assert!(found[0].lsn >= Lsn(log.first_lsn().0 - 1));
        let written = log.append(&[b"first".to_vec()]).unwrap();
        assert!(written[0] > at);
        assert_eq!(store.trim(Duration::ZERO).unwrap(), Lsn(1));
        store.put(written[0], String::new(), &b""[..]).unwrap();
        until("both checkpoints are listed", || {
            store.all().unwrap().len() == 2
        });
        assert_eq!(store.trim(Duration::ZERO).unwrap(), at);
        let records = open(&settings);
        let records: Vec<_> = records
            .read_from(written[0])
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert_eq!(records, [(written[0], b"first".to_vec())]);
        remove(&nats, "begun");
        remove(&nats, "OBJ_begun-checkpoints");
    }
}
