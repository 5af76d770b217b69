//! Several nodes on one log, as processes of their own, on real servers of NATS, while clients write and
//! search: servers and nodes are killed, and a network is cut. What was acknowledged is there on all nodes
//! after, nothing that was deleted is, and all come to the same bytes.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod damaged;
mod elsewhere;
#[path = "../../../jetstream/tests/common/mod.rs"]
mod nats;
mod node;
mod photos;
mod shards;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use nats::{ALWAYS, Nats, Proxy, free_ports};
use node::{Answer, Client, Node, Place};
use serde_json::{Value, json};
use tempfile::TempDir;

const POINTS: &str = "/collections/c/points?wait=true";
const DELETE: &str = "/collections/c/points/delete?wait=true";
const SEARCH: &str = "/collections/c/points/search";

/// Servers, nodes and the folders of both.
struct Cluster {
    nats: Nats,
    places: Vec<Place>,
    nodes: Vec<Option<Node>>,
    _dir: TempDir,
}

impl Cluster {
    /// `through` says which servers a node is told of.
    fn start(nats: Nats, nodes: usize, through: &dyn Fn(usize, &Nats) -> Vec<String>) -> Self {
        Self::start_with(nats, nodes, through, None)
    }

    /// The same with face models.
    fn start_with(
        nats: Nats,
        nodes: usize,
        through: &dyn Fn(usize, &Nats) -> Vec<String>,
        models: Option<&Path>,
    ) -> Self {
        Self::start_set(nats, nodes, through, models, &[])
    }

    /// The same with more settings.
    fn start_set(
        nats: Nats,
        nodes: usize,
        through: &dyn Fn(usize, &Nats) -> Vec<String>,
        models: Option<&Path>,
        more: &[String],
    ) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(nodes);
        let apart = (0..nodes).any(|n| through(n, &nats) != nats.urls());
        let places = ports.into_iter().enumerate().map(|(n, port)| Place {
            servers: through(n, &nats),
            models: models.map(Path::to_owned),
            // A node that is cut off shall find what it missed in the stream.
            checkpoints_s: if apart { 3_600 } else { 4 },
            more: more.to_vec(),
            ..Place::new(&nats, dir.path(), n, port)
        });
        let places: Vec<_> = places.collect();
        let nodes = places
            .iter()
            .map(|place| Some(Node::ready(place)))
            .collect();
        let cluster = Self {
            nats,
            places,
            nodes,
            _dir: dir,
        };
        let body = json!({"vectors": {"size": 4, "distance": "Euclid"}});
        let made = cluster.ask(0, "PUT", "/collections/c", Some(&body), None);
        let (status, lsn, said) = made.unwrap();
        assert_eq!(status, 200, "{said}");
        for n in 1..cluster.nodes.len() {
            let there = cluster.ask(n, "GET", "/collections/c", None, lsn);
            assert_eq!(there.unwrap().0, 200, "node {n} waits until it has it");
        }
        cluster
    }

    fn url(&self, n: usize) -> String {
        format!("http://127.0.0.1:{}", self.places[n].port)
    }

    fn urls(&self) -> Vec<String> {
        (0..self.places.len()).map(|n| self.url(n)).collect()
    }

    fn ask(
        &self,
        n: usize,
        method: &str,
        path: &str,
        body: Option<&Value>,
        lsn: Option<u64>,
    ) -> Option<Answer> {
        Client::new(60).call(method, &self.url(n), path, body, lsn)
    }

    fn kill(&mut self, n: usize) {
        self.nodes[n].take().unwrap().kill();
    }

    fn restart(&mut self, n: usize) {
        self.nodes[n] = Some(Node::ready(&self.places[n]));
    }

    /// One more, whose folder is empty.
    fn join(&mut self) {
        let n = self.places.len();
        let place = Place::new(&self.nats, self._dir.path(), n, free_ports(1)[0]);
        self.nodes.push(Some(Node::ready(&place)));
        self.places.push(place);
    }

    /// Once nobody writes any more, all nodes hold the same, bit for bit; the ids are told.
    fn expect_same(&self) -> BTreeSet<u64> {
        let seen = (0..self.places.len()).map(|n| {
            let (_, lsn, _) = self.ask(n, "GET", "/collections/c", None, None).unwrap();
            lsn.unwrap()
        });
        let last = seen.max();
        let sums = (0..self.places.len()).map(|n| {
            let until = Instant::now() + Duration::from_secs(60);
            loop {
                let path = "/admin/collections/c/checksum";
                let (status, _, body) = self.ask(n, "GET", path, None, last).unwrap();
                if status == 200 {
                    let sum = &body["result"];
                    break ["points", "content", "graph"].map(|key| sum[key].clone());
                }
                assert!(status == 503 && Instant::now() < until, "{body}");
            }
        });
        let sums: Vec<_> = sums.collect();
        assert!(sums.windows(2).all(|pair| pair[0] == pair[1]), "{sums:?}");
        let body = json!({"limit": 10_000, "with_payload": false});
        let (_, _, page) = self
            .ask(0, "POST", "/collections/c/points/scroll", Some(&body), None)
            .unwrap();
        let points = page["result"]["points"].as_array().unwrap().iter();
        points.map(|point| point["id"].as_u64().unwrap()).collect()
    }
}

impl Cluster {
    /// All nodes have been compared with others after `lsn`, and none held something else.
    fn expect_compared(&self, lsn: u64) {
        let until = Instant::now() + Duration::from_secs(60);
        for n in 0..self.places.len() {
            let metric = |name: &str| {
                let text = Client::new(10).text(&format!("{}/metrics", self.url(n)));
                let line = text
                    .lines()
                    .find(|line| line.starts_with(&format!("{name} ")));
                let value = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
                value.expect("the metric is there")
            };
            while metric("doppel_replicas_compared_lsn") <= lsn as f64 {
                assert!(Instant::now() < until, "node {n} is not compared");
                thread::sleep(Duration::from_millis(50));
            }
            assert!(metric("doppel_replicas_differ") == 0.0, "node {n}");
        }
    }
}

/// What clients have seen.
#[derive(Default)]
struct Seen {
    put: Mutex<BTreeSet<u64>>,
    deleted: Mutex<BTreeSet<u64>>,
    acknowledged: AtomicU64,
    refused: AtomicU64,
    searches: AtomicU64,
    /// Milliseconds of the longest time without an answer to a search.
    longest_ms: AtomicU64,
    stop: AtomicBool,
    next: AtomicU64,
}

impl Seen {
    /// Waits until so many more writes are acknowledged.
    fn wait_more(&self, writes: u64) {
        let goal = self.acknowledged.load(Ordering::SeqCst) + writes;
        let until = Instant::now() + Duration::from_secs(90);
        while self.acknowledged.load(Ordering::SeqCst) < goal {
            assert!(Instant::now() < until, "nobody can write any more");
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Puts points and takes some of them out, at the first node, or at the next that answers.
    fn write(&self, urls: &RwLock<Vec<String>>) {
        let client = Client::new(30);
        let mut at = 0;
        while !self.stop.load(Ordering::SeqCst) {
            let id = self.next.fetch_add(1, Ordering::SeqCst);
            let x = id as f64;
            let point =
                json!({"id": id, "vector": [x, x % 7.0, x % 3.0, 1.0], "payload": {"n": id}});
            let put = json!({"points": [point]});
            let url = |at: usize| {
                let urls = urls.read().unwrap();
                urls[at % urls.len()].clone()
            };
            if !self.done(client.call("PUT", &url(at), POINTS, Some(&put), None)) {
                at += 1;
                continue;
            }
            self.put.lock().unwrap().insert(id);
            if id.is_multiple_of(5) {
                let gone = json!({"points": [id]});
                // Not acknowledged, it may be there or not.
                self.put.lock().unwrap().remove(&id);
                match self.done(client.call("POST", &url(at), DELETE, Some(&gone), None)) {
                    true => drop(self.deleted.lock().unwrap().insert(id)),
                    false => at += 1,
                }
            }
        }
    }

    fn done(&self, answer: Option<Answer>) -> bool {
        let done = answer.as_ref().is_some_and(|(status, _, _)| *status == 200);
        match (done, answer) {
            (true, _) => self.acknowledged.fetch_add(1, Ordering::SeqCst),
            (false, Some((503, _, _)) | None) => self.refused.fetch_add(1, Ordering::SeqCst),
            (false, Some(other)) => panic!("{other:?}"),
        };
        done
    }

    /// Searches at one node, and at the next when it does not answer.
    fn search(&self, urls: &RwLock<Vec<String>>) {
        let client = Client::new(2);
        let (mut at, mut last) = (1, Instant::now());
        let body = json!({"vector": [1.0, 1.0, 1.0, 1.0], "limit": 3});
        while !self.stop.load(Ordering::SeqCst) {
            let url = {
                let urls = urls.read().unwrap();
                urls[at % urls.len()].clone()
            };
            match client.call("POST", &url, SEARCH, Some(&body), None) {
                Some((200, _, answer)) => {
                    assert!(answer["result"].is_array(), "{answer}");
                    let took = u64::try_from(last.elapsed().as_millis()).unwrap();
                    self.longest_ms.fetch_max(took, Ordering::SeqCst);
                    last = Instant::now();
                    self.searches.fetch_add(1, Ordering::SeqCst);
                    thread::sleep(Duration::from_millis(2));
                }
                Some((503, _, _)) | None => at += 1,
                other => panic!("{other:?}"),
            }
        }
    }

    /// All that was acknowledged, and nothing that was deleted, is among these.
    fn expect_in(&self, ids: &BTreeSet<u64>) {
        let put = self.put.lock().unwrap();
        let lost: Vec<_> = put.difference(ids).collect();
        let deleted = self.deleted.lock().unwrap();
        let back: Vec<_> = deleted.intersection(ids).collect();
        assert!(
            lost.is_empty() && back.is_empty(),
            "lost {lost:?}, back {back:?}"
        );
        eprintln!(
            "{} writes acknowledged, {} not, {} searches, none waited longer than {} ms",
            self.acknowledged.load(Ordering::SeqCst),
            self.refused.load(Ordering::SeqCst),
            self.searches.load(Ordering::SeqCst),
            self.longest_ms.load(Ordering::SeqCst),
        );
    }
}

/// How long a search may have to wait for a node that answers: a second, and what a busy machine adds.
const SEARCH_GAP_MS: u64 = 3_000;

#[test]
fn nothing_acknowledged_is_lost_when_servers_and_nodes_are_killed() {
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let mut cluster = Cluster::start(nats, 3, &|_, nats| nats.urls());
    let (seen, urls) = (Seen::default(), RwLock::new(cluster.urls()));
    thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| seen.write(&urls));
        }
        scope.spawn(|| seen.search(&urls));
        seen.wait_more(100);
        let leader = cluster
            .nats
            .leader("doppel")
            .expect("the stream has a leader");
        cluster.nats.kill(leader);
        seen.wait_more(100);
        cluster.nats.restart(leader);
        cluster.nats.wait_healthy();
        cluster.kill(1);
        seen.wait_more(100);
        cluster.restart(1);
        // Clients write to the first.
        cluster.kill(0);
        seen.wait_more(100);
        cluster.restart(0);
        cluster.join();
        seen.wait_more(50);
        seen.stop.store(true, Ordering::SeqCst);
    });
    seen.expect_in(&cluster.expect_same());
    let longest = seen.longest_ms.load(Ordering::SeqCst);
    assert!(longest < SEARCH_GAP_MS, "{longest} ms");
    let (_, last, _) = cluster.ask(0, "GET", "/collections/c", None, None).unwrap();
    cluster.expect_compared(last.unwrap());
    // As nodes that are stopped, and find what they had.
    for n in 0..cluster.places.len() {
        cluster.kill(n);
        cluster.restart(n);
    }
    seen.expect_in(&cluster.expect_same());
}

#[test]
fn a_node_that_is_cut_off_answers_searches_refuses_writes_and_catches_up() {
    let Some(nats) = Nats::start(3, ALWAYS) else {
        return;
    };
    let proxies: Vec<_> = (0..3).map(|n| Proxy::start(nats.address(n))).collect();
    let through = |n: usize, nats: &Nats| match n {
        2 => proxies.iter().map(Proxy::url).collect(),
        _ => nats.urls(),
    };
    let cluster = Cluster::start(nats, 3, &through);
    let put = |n: usize, id: u64| {
        let point = json!({"id": id, "vector": [id, 0, 0, 0]});
        let body = json!({"points": [point]});
        cluster.ask(n, "PUT", POINTS, Some(&body), None).unwrap()
    };
    let search = |n: usize, lsn: Option<u64>| {
        let body = json!({"vector": [0, 0, 0, 0], "limit": 100});
        cluster.ask(n, "POST", SEARCH, Some(&body), lsn).unwrap()
    };
    let found = |answer: &Value| answer["result"].as_array().unwrap().len();
    let mut before = None;
    for (id, n) in (0..10).zip([0, 1, 2].into_iter().cycle()) {
        before = put(n, id).1;
    }
    assert_eq!(found(&search(2, before).2), 10);
    proxies.iter().for_each(|proxy| proxy.shut(true));
    let (status, after, _) = put(0, 100);
    assert_eq!(status, 200, "the others go on");
    let (status, _, refused) = put(2, 200);
    assert_eq!(status, 503, "{refused}");
    let told = refused["status"]["error"].as_str().unwrap();
    assert!(told.contains("the log cannot be reached"), "{told}");
    assert_eq!(found(&search(2, None).2), 10, "what it had");
    let (status, _, refused) = search(2, after);
    assert_eq!(status, 503, "{refused}");
    assert_eq!(found(&search(1, after).2), 11);
    proxies.iter().for_each(|proxy| proxy.shut(false));
    let until = Instant::now() + Duration::from_secs(60);
    while search(2, after).0 != 200 {
        assert!(Instant::now() < until, "it does not catch up");
    }
    assert_eq!(put(2, 300).0, 200);
    let ids = cluster.expect_same();
    assert!(
        ids.is_superset(&(0..10).chain([100, 300]).collect()),
        "{ids:?}"
    );
}
