//! Nodes that are killed and started, write, and take checkpoints, in any order, while their stream is purged: nothing that
//! was acknowledged is missing, nobody is stopped who had all that was purged, and all come to the same records at the same
//! positions. Who had not stops with what it has, and begins with a checkpoint. A node here is what it applies, a checkpoint
//! of that, and the log with its copy.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::jetstream::{Access, Checkpoints, JetStreamLog, Settings};
use async_nats::jetstream as nats_jetstream;
use common::{ALWAYS, Nats, Proxy};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use storage::{Bookmark, CopiedLog, Error, History, Log, Lsn, OsDisk};
use tempfile::TempDir;

type Records = Vec<(Lsn, Vec<u8>)>;

#[derive(Debug, Clone, Copy)]
enum Step {
    PurgeAll,
    /// Of what is there, so many parts of 8.
    Purge(u64),
    /// Of what this node has not read: the other writes so many messages meanwhile, and maybe goes on.
    PurgeUnread(usize, usize, u64, bool),
    Kill(usize),
    Start(usize),
    /// With so many messages.
    Write(usize, usize),
    /// Without reading first what others have written.
    WriteBlindly(usize),
    Checkpoint(usize),
    /// One that is on its disk when the power fails, which takes the copy.
    PowerCut(usize),
    /// For others to begin with.
    Put(usize),
    /// What a node does on its own that finds the stream empty.
    Mark(usize),
}

fn steps() -> impl Strategy<Value = Step> {
    let node = 0..2usize;
    prop_oneof![
        2 => Just(Step::PurgeAll),
        1 => (1..9u64).prop_map(Step::Purge),
        2 => node.clone().prop_map(Step::Kill),
        3 => node.clone().prop_map(Step::Start),
        4 => (node.clone(), 1..3usize).prop_map(|(node, messages)| Step::Write(node, messages)),
        1 => node.clone().prop_map(Step::WriteBlindly),
        1 => node.clone().prop_map(Step::Checkpoint),
        1 => node.clone().prop_map(Step::PowerCut),
        1 => node.clone().prop_map(Step::Put),
        1 => node.prop_map(Step::Mark),
    ]
}

fn purged_unread() -> impl Strategy<Value = Step> {
    let step = (0..2usize, 1..3usize, 1..9u64, prop::bool::weighted(0.75));
    step.prop_map(|(node, messages, parts, goes_on)| {
        Step::PurgeUnread(node, messages, parts, goes_on)
    })
}

/// What is in the store, made where, and how the log stood there.
#[derive(Clone)]
struct Seed {
    records: Records,
    lsn: Lsn,
    bookmark: Option<Bookmark>,
}

struct Node {
    dir: TempDir,
    checkpoint: Records,
    before: Lsn,
    /// How the log stood at the checkpoint.
    stood: Option<Bookmark>,
    applied: Records,
    log: Option<CopiedLog>,
    /// How often it has ended because of what it had not read.
    stopped: usize,
}

fn last(records: &Records) -> Lsn {
    records.last().map_or(Lsn(0), |(lsn, _)| *lsn)
}

impl Node {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            checkpoint: Vec::new(),
            before: Lsn(0),
            stood: None,
            applied: Vec::new(),
            log: None,
            stopped: 0,
        }
    }

    /// Starts it, unless it is behind where the log begins and nothing in the store goes up to there: it says so.
    fn start(&mut self, settings: &Settings, store: &Option<Seed>) {
        let log = Box::new(JetStreamLog::open(settings).unwrap());
        let dir = self.dir.path().join("copy");
        let kept = last(&self.checkpoint);
        let mut log = CopiedLog::open(log, Arc::new(OsDisk), dir, (7, kept), self.stood).unwrap();
        assert_eq!((log.broken(), log.rewritten()), (None, None));
        if log.first_lsn() > kept.next() {
            let reaches = Lsn(log.first_lsn().0 - 1).max(log.copied_to());
            let Some(seed) = store.as_ref().filter(|seed| seed.lsn >= reaches) else {
                return;
            };
            if let Some(bookmark) = &seed.bookmark {
                let history = log.remember(bookmark).unwrap();
                assert!(!matches!(history, History::Another(_)), "{history:?}");
            }
            log.begin_copy(seed.lsn);
            self.checkpoint = seed.records.clone();
            self.stood = seed.bookmark;
        }
        self.applied = self.checkpoint.clone();
        let from = last(&self.applied).next();
        let read = log.read_from(from).unwrap().map(Result::unwrap);
        let read: Vec<_> = read.collect();
        self.applied.extend(read);
        self.log = Some(log);
    }

    fn follow(&mut self) {
        let Some(log) = &mut self.log else { return };
        let until = Instant::now() + Duration::from_secs(60);
        let end = loop {
            match log.end() {
                Ok(end) => break end.0 >> 16,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
        };
        while log.seen() < end {
            match log.follow(Duration::from_secs(1)) {
                Ok(followed) => self.applied.extend(followed),
                Err(error) => {
                    assert!(error.to_string().contains("is wanted, and"), "{error}");
                    return self.stops();
                }
            }
            assert!(Instant::now() < until, "what was written does not arrive");
        }
        // Nothing is here, and how it stands is kept.
        self.applied.extend(log.follow(Duration::ZERO).unwrap());
    }

    /// It had not read what was purged, and takes a checkpoint of what it has before it ends.
    fn stops(&mut self) {
        let log = self.log.as_mut().unwrap();
        let record = b"behind what is missing".to_vec();
        let told = log.append(&[record]).unwrap_err();
        assert!(matches!(told, Error::Shared(_)), "{told}");
        self.take_checkpoint();
        self.log = None;
        self.stopped += 1;
    }

    /// Whether it is written, or the node waits and says why.
    fn write(&mut self, record: Vec<u8>) -> bool {
        self.follow();
        self.append(record)
    }

    fn append(&mut self, record: Vec<u8>) -> bool {
        let Some(log) = &mut self.log else {
            return false;
        };
        match log.append(std::slice::from_ref(&record)) {
            Ok(lsns) => {
                self.applied.push((lsns[0], record));
                true
            }
            Err(Error::Waits(why)) => {
                assert!(why.contains("was purged") && log.waits().is_some(), "{why}");
                false
            }
            Err(Error::Overtaken) => false,
            Err(error) => panic!("a node is stopped: {error}"),
        }
    }

    /// All that it has applied but for marks.
    fn records(&self) -> Vec<Vec<u8>> {
        let records = self.applied.iter().map(|(_, record)| record);
        records.filter(|it| *it != b"mark").cloned().collect()
    }

    fn take_checkpoint(&mut self) {
        let Some(log) = &mut self.log else { return };
        log.rotate().unwrap();
        self.before = last(&self.checkpoint);
        self.checkpoint = self.applied.clone();
        self.stood = log.bookmark();
        log.release_below(self.before.next()).unwrap();
    }

    fn loses_power(&mut self) {
        self.follow();
        if self.log.is_some() {
            self.take_checkpoint();
            self.log = None;
            std::fs::remove_dir_all(self.dir.path().join("copy")).unwrap();
        }
    }

    fn seed(&mut self) -> Option<Seed> {
        self.follow();
        let lsn = last(&self.applied);
        Some(Seed {
            records: self.applied.clone(),
            lsn,
            bookmark: self.log.as_ref()?.bookmark().filter(|it| it.last == lsn),
        })
    }
}

struct Run<'a> {
    nats: &'a Nats,
    /// In the way of each node.
    proxies: &'a [Proxy; 2],
    settings: Settings,
    nodes: [Node; 2],
    store: Option<Seed>,
    acknowledged: Vec<Vec<u8>>,
}

impl Run<'_> {
    /// Every node that runs has read what it can read before an operator comes.
    fn purge_read(&mut self, part: impl Fn(u64, u64) -> Option<u64>) {
        self.nodes.iter_mut().for_each(Node::follow);
        self.purge(part);
    }

    fn purge(&self, part: impl Fn(u64, u64) -> Option<u64>) {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_all().build().unwrap();
        runtime.block_on(async {
            let client = async_nats::connect(self.nats.urls()[0].clone());
            let context = nats_jetstream::new(client.await.unwrap());
            let stream = context.get_stream(&self.settings.stream).await.unwrap();
            let state = &stream.cached_info().state;
            match part(state.first_sequence, state.last_sequence) {
                None => stream.purge().await.unwrap(),
                Some(first) => stream.purge().sequence(first).await.unwrap(),
            };
        });
    }

    fn go(&mut self, step: Step) {
        match step {
            Step::PurgeAll => self.purge_read(|_, _| None),
            Step::Purge(parts) => self.purge_read(share(parts)),
            Step::PurgeUnread(node, messages, parts, goes_on) => {
                self.nodes.iter_mut().for_each(Node::follow);
                self.proxies[node].shut(true);
                for _ in 0..messages {
                    self.go(Step::Write(1 - node, messages));
                }
                self.purge(share(parts));
                if goes_on {
                    self.go(Step::Write(1 - node, 1));
                }
                self.proxies[node].shut(false);
            }
            Step::Kill(node) => self.nodes[node].log = None,
            Step::Start(node) => {
                self.nodes[node].log = None;
                let through = Settings {
                    servers: vec![self.proxies[node].url()],
                    ..self.settings.clone()
                };
                self.nodes[node].start(&through, &self.store);
            }
            Step::Write(node, messages) => {
                self.nodes[node].follow();
                self.write(node, messages);
            }
            Step::WriteBlindly(node) => self.write(node, 1),
            Step::Checkpoint(node) => self.nodes[node].take_checkpoint(),
            Step::PowerCut(node) => self.nodes[node].loses_power(),
            Step::Put(node) => {
                let seed = self.nodes[node].seed();
                self.store = seed.or(self.store.take());
            }
            Step::Mark(node) => {
                let store = Checkpoints::open(&self.settings).unwrap();
                if store.emptied().unwrap().is_some() {
                    self.nodes[node].write(b"mark".to_vec());
                }
            }
        }
    }

    /// Who takes a record has all that was acknowledged before.
    fn write(&mut self, node: usize, messages: usize) {
        let number = self.acknowledged.len().to_le_bytes();
        let record = [&number[..], &vec![7; (messages - 1) * 80_000]].concat();
        if self.nodes[node].append(record.clone()) {
            self.acknowledged.push(record);
            assert_eq!(self.nodes[node].records(), self.acknowledged);
        }
    }

    /// All nodes are started, and do what they do on their own.
    fn settle(&mut self) {
        for node in &self.nodes {
            let has = node.records();
            assert_eq!(has, self.acknowledged[..has.len()], "nothing else");
        }
        for _ in 0..3 {
            for node in 0..2 {
                if self.nodes[node].log.is_none() {
                    self.go(Step::Start(node));
                }
                self.go(Step::Mark(node));
                self.go(Step::Put(node));
            }
        }
        self.nodes.iter_mut().for_each(Node::follow);
        let [one, other] = &self.nodes;
        assert!(one.log.is_some() && other.log.is_some(), "one cannot begin");
        assert_eq!(one.applied, other.applied);
        let records = one.records();
        assert_eq!(records, self.acknowledged);
        for node in 0..2 {
            self.go(Step::Write(node, 1));
        }
        assert_eq!(
            self.acknowledged.len(),
            records.len() + 2,
            "one takes nothing"
        );
        self.nodes.iter_mut().for_each(Node::follow);
        assert_eq!(self.nodes[0].applied, self.nodes[1].applied);
    }
}

/// So many parts of 8 of what is there.
fn share(parts: u64) -> impl Fn(u64, u64) -> Option<u64> {
    move |first, last| Some(first + (last + 1).saturating_sub(first) * parts / 8)
}

/// `begin`: so many nodes are there from the beginning on. Returns how often one was stopped.
fn in_any_order(cases: u32, begin: usize, steps: impl Strategy<Value = Vec<Step>>) -> usize {
    let Some(nats) = Nats::start_with(1, ALWAYS, "max_payload: 70000") else {
        return usize::MAX;
    };
    let proxies = [0, 1].map(|_| Proxy::start(nats.address(0)));
    let (streams, stopped) = (std::cell::Cell::new(0), std::cell::Cell::new(0));
    let config = Config {
        cases,
        max_shrink_iters: 40,
        failure_persistence: None,
        ..Config::default()
    };
    let run = |steps: Vec<Step>| {
        streams.set(streams.get() + 1);
        let settings = Settings {
            servers: nats.urls(),
            stream: format!("log{}", streams.get()),
            replicas: 1,
            monitors: nats.monitors(),
            lazy_sync: false,
            checkpoints: None,
            access: Access::default(),
        };
        proxies.iter().for_each(|proxy| proxy.shut(false));
        let mut run = Run {
            nats: &nats,
            proxies: &proxies,
            settings,
            nodes: [Node::new(), Node::new()],
            store: None,
            acknowledged: Vec::new(),
        };
        (0..begin).for_each(|node| run.go(Step::Start(node)));
        for step in steps {
            run.go(step);
        }
        run.settle();
        let ended = run.nodes.iter().map(|node| node.stopped).sum::<usize>();
        stopped.set(stopped.get() + ended);
        Ok(())
    };
    TestRunner::new(config).run(&steps, run).unwrap();
    stopped.get()
}

#[test]
fn in_any_order_of_purges_and_starts_nothing_is_lost_and_nobody_is_stopped() {
    let stopped = in_any_order(24, 1, vec(steps(), 4..24));
    assert!(stopped == 0 || stopped == usize::MAX, "{stopped}");
}

#[test]
fn who_has_not_read_what_was_purged_stops_with_what_it_has_and_begins_with_a_checkpoint() {
    let stopped = in_any_order(
        10,
        2,
        vec(prop_oneof![3 => steps(), 1 => purged_unread()], 4..12),
    );
    assert!(stopped > 0, "nobody ever was behind");
}
