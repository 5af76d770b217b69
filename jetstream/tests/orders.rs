//! Nodes that are killed and started, write, and take checkpoints, in any order, while their stream is purged: nothing that
//! was acknowledged is missing, nobody is stopped who had all that was purged, and all come to the same records at the same
//! positions. A node here is what it applies, a checkpoint of that, and the log with its copy.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use ::jetstream::{Access, Checkpoints, JetStreamLog, Settings};
use async_nats::jetstream as nats_jetstream;
use common::{ALWAYS, Nats};
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
    Kill(usize),
    Start(usize),
    /// With so many messages.
    Write(usize, usize),
    Checkpoint(usize),
    /// One that is on its disk when the power fails, which takes the copy.
    PowerCut(usize),
    /// For others to begin with.
    Put(usize),
    /// What a node does on its own that finds the stream empty.
    Mark(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let node = 0..2usize;
    let step = prop_oneof![
        2 => Just(Step::PurgeAll),
        1 => (1..9u64).prop_map(Step::Purge),
        2 => node.clone().prop_map(Step::Kill),
        3 => node.clone().prop_map(Step::Start),
        4 => (node.clone(), 1..3usize).prop_map(|(node, messages)| Step::Write(node, messages)),
        1 => node.clone().prop_map(Step::Checkpoint),
        1 => node.clone().prop_map(Step::PowerCut),
        1 => node.clone().prop_map(Step::Put),
        1 => node.prop_map(Step::Mark),
    ];
    vec(step, 4..24)
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
            self.applied
                .extend(log.follow(Duration::from_secs(1)).unwrap());
            assert!(Instant::now() < until, "what was written does not arrive");
        }
        // Nothing is here, and how it stands is kept.
        self.applied.extend(log.follow(Duration::ZERO).unwrap());
    }

    /// Whether it is written, or the node waits and says why.
    fn write(&mut self, record: Vec<u8>) -> bool {
        self.follow();
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
            Err(error) => panic!("a node is stopped: {error}"),
        }
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
    settings: Settings,
    nodes: [Node; 2],
    store: Option<Seed>,
    acknowledged: Vec<Vec<u8>>,
}

impl Run<'_> {
    /// Every node that runs has read what it can read before an operator comes.
    fn purge(&mut self, part: impl Fn(u64, u64) -> Option<u64>) {
        self.nodes.iter_mut().for_each(Node::follow);
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
            Step::PurgeAll => self.purge(|_, _| None),
            Step::Purge(parts) => {
                self.purge(|first, last| {
                    Some(first + (last + 1).saturating_sub(first) * parts / 8)
                });
            }
            Step::Kill(node) => self.nodes[node].log = None,
            Step::Start(node) => {
                self.nodes[node].log = None;
                self.nodes[node].start(&self.settings, &self.store);
            }
            Step::Write(node, messages) => {
                let number = self.acknowledged.len().to_le_bytes();
                let record = [&number[..], &vec![7; (messages - 1) * 80_000]].concat();
                if self.nodes[node].write(record.clone()) {
                    self.acknowledged.push(record);
                }
            }
            Step::Checkpoint(node) => self.nodes[node].take_checkpoint(),
            Step::PowerCut(node) => self.nodes[node].loses_power(),
            Step::Put(node) => {
                if self.nodes[node].log.is_some() {
                    self.store = self.nodes[node].seed();
                }
            }
            Step::Mark(node) => {
                let store = Checkpoints::open(&self.settings).unwrap();
                if store.emptied().unwrap().is_some() {
                    self.nodes[node].write(b"mark".to_vec());
                }
            }
        }
    }

    /// All nodes are started, and do what they do on their own.
    fn settle(&mut self) {
        for _ in 0..2 {
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
        let records = one.applied.iter().map(|(_, record)| record);
        let records: Vec<_> = records.filter(|it| *it != b"mark").cloned().collect();
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

#[test]
fn in_any_order_of_purges_and_starts_nothing_is_lost_and_nobody_is_stopped() {
    let Some(nats) = Nats::start_with(1, ALWAYS, "max_payload: 70000") else {
        return;
    };
    let streams = std::cell::Cell::new(0);
    let config = Config {
        cases: 24,
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
        let mut run = Run {
            nats: &nats,
            settings,
            nodes: [Node::new(), Node::new()],
            store: None,
            acknowledged: Vec::new(),
        };
        run.go(Step::Start(0));
        for step in steps {
            run.go(step);
        }
        run.settle();
        Ok(())
    };
    TestRunner::new(config).run(&steps(), run).unwrap();
}
