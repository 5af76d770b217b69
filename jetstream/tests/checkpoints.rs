//! Checkpoints in the store beside the stream, and the stream trimmed below them; what nodes say of places
//! in the log.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use common::{ALWAYS, Nats};
use jetstream::{Access, Checkpoints, JetStreamLog, Settings, Sums};
use storage::{Log, Lsn};

fn settings(nats: &Nats) -> Settings {
    Settings {
        servers: nats.urls(),
        stream: "log".to_owned(),
        replicas: nats.count(),
        monitors: nats.monitors(),
        lazy_sync: false,
        access: Access::default(),
    }
}

fn fetched(store: &Checkpoints, which: &jetstream::Checkpoint) -> Vec<u8> {
    let mut all = Vec::new();
    let mut take = |bytes: &[u8]| {
        all.extend(bytes);
        Ok(())
    };
    store.fetch(which, &mut take).unwrap();
    all
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
        let kept_from = store.trim().unwrap();
        let expected = if n == 0 {
            Lsn(1)
        } else {
            lsns[usize::from(n) - 1]
        };
        assert_eq!(kept_from, expected);
    }
    let all = store.all().unwrap();
    let told: Vec<_> = all.iter().map(|it| (it.lsn, it.about.as_str())).collect();
    assert_eq!(told, [(lsns[2], "number 2"), (lsns[1], "number 1")]);
    assert!(fetched(&store, &all[0]) == large[2..]);
    assert!(fetched(&store, &all[1]) == large[1..]);
    drop(log);
    let log = JetStreamLog::open(&settings).unwrap();
    assert!(log.first_lsn() > Lsn(1) && log.first_lsn() <= lsns[1].next());
    let after = log.read_from(lsns[1].next()).unwrap();
    let after: Vec<_> = after.map(|record| record.unwrap().1).collect();
    assert_eq!(after, [[2, 0], [2, 1], [2, 2], [2, 3]]);
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
