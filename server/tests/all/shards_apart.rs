//! Shards when something is in the way: points that are not there, nodes that hang, clients that take all
//! connections, collections that are dropped, models that are late.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::{Duration, Instant};

use embedder::FakeEmbedder;
use jetstream::Leases;
use parking_lot::Mutex;
use serde_json::{Value, json};
use server::{Embedding, Factory};

use crate::common::{Server, fake, until};
use crate::replicas::nats::{ALWAYS, Nats};
use crate::replicas::reached;
use crate::shards::{KEY, node, spread, with_settings};

const POINTS: &str = "/collections/c/points?wait=true";

fn points(ids: impl Iterator<Item = u64>) -> Value {
    let points = ids.map(|id| json!({"id": id, "vector": [id, 0, 0, 0, 0, 0, 0, 0]}));
    json!({"points": points.collect::<Vec<_>>()})
}

/// What a node says in a shard to another that shows the key.
fn in_shard(server: &Server, path: &str) -> Value {
    let key = format!("Bearer {KEY}");
    let answer = server.send("GET", path, &[("authorization", &key)], &[]);
    answer.ok()
}

#[test]
fn points_that_are_not_there_are_named_before_any_shard_has_changed_those_that_are() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let node = node(&nats, "all", KEY);
    spread(&node, "c", "Euclid");
    node.put(POINTS, &points(0..30)).ok();
    let mut ids: Vec<u64> = (0..30).collect();
    ids.push(999);
    let marked = json!({"mark": true});
    let vectors = ids.iter();
    let vectors = vectors.map(|id| json!({"id": id, "vector": [9, 9, 9, 9, 9, 9, 9, 9]}));
    let changes = [
        ("POST", "payload", json!({"points": ids, "payload": marked})),
        ("PUT", "payload", json!({"points": ids, "payload": marked})),
        (
            "POST",
            "payload/delete",
            json!({"points": ids, "keys": ["n"]}),
        ),
        ("POST", "payload/clear", json!({ "points": ids })),
        (
            "PUT",
            "vectors",
            json!({"points": vectors.collect::<Vec<_>>()}),
        ),
    ];
    for (method, path, body) in changes {
        let path = format!("/collections/c/points/{path}?wait=true");
        let told = node.json(method, &path, &body).refused(404);
        assert_eq!(told, "point 999 does not exist", "{method} {path}");
    }
    let page = json!({"limit": 100, "with_vector": true});
    let page = node.post("/collections/c/points/scroll", &page).ok();
    for point in page["points"].as_array().unwrap() {
        assert_eq!(point["payload"], json!({}), "{point}");
        assert_ne!(point["vector"][1], 9.0, "{point}");
    }
    // Of one alone, which only one shard is asked about.
    let alone = json!({"points": [999], "payload": {"mark": true}});
    let told = node.post("/collections/c/points/payload", &alone);
    assert_eq!(told.refused(404), "point 999 does not exist");
    // Whoever is to go need not be there.
    let gone = json!({"points": ids});
    node.post("/collections/c/points/delete?wait=true", &gone)
        .ok();
    let count = node.post("/collections/c/points/count", &json!({}));
    assert_eq!(count.ok()["count"], 0);
}

/// Says that it serves shard 0, takes connections and never answers, but that it is there.
struct Hung {
    answers: AtomicBool,
    is_there: AtomicBool,
    asked: AtomicBool,
}

impl Hung {
    fn connection(&self, connection: TcpStream) {
        let mut lines = BufReader::new(connection.try_clone().unwrap()).lines();
        while let Some(Ok(head)) = lines.next() {
            while lines
                .next()
                .is_some_and(|it| it.is_ok_and(|it| !it.is_empty()))
            {}
            if !head.contains("/livez") || !self.answers.load(Ordering::SeqCst) {
                self.asked.store(!head.contains("/livez"), Ordering::SeqCst);
                // Until the other end gives up.
                lines.by_ref().for_each(drop);
                return;
            }
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nalive";
            (&connection).write_all(answer.as_bytes()).unwrap();
        }
    }

    fn serve(self: &Arc<Self>) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let own = Arc::clone(self);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let own = Arc::clone(&own);
                thread::spawn(move || own.connection(connection));
            }
        });
        url
    }

    fn say(self: &Arc<Self>, nats: &Nats, url: &str) -> thread::JoinHandle<()> {
        let leases = Leases::open(&reached(nats), Duration::from_secs(5)).unwrap();
        let (own, said) = (
            Arc::clone(self),
            json!({"url": url, "shards": {"0": 1}}).to_string(),
        );
        thread::spawn(move || {
            while own.is_there.load(Ordering::SeqCst) {
                leases.say("hung", &said).unwrap();
                thread::sleep(Duration::from_millis(500));
            }
        })
    }
}

#[test]
fn a_write_is_kept_from_a_node_that_hangs_and_given_up_when_one_that_had_it_has_gone() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let (first, own) = (node(&nats, "0", KEY), node(&nats, "1,2", KEY));
    spread(&own, "c", "Euclid");
    own.put(POINTS, &points(0..30)).ok();
    drop(first);
    let search = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 1});
    let search = || own.post("/collections/c/points/search", &search);
    until(|| search().refused(503).contains("by no node that is there"));
    let hung = Arc::new(Hung {
        answers: AtomicBool::new(false),
        is_there: AtomicBool::new(true),
        asked: AtomicBool::new(false),
    });
    let url = hung.serve();
    let saying = hung.say(&nats, &url);
    let put = || own.put(POINTS, &points(0..30)).refused(503);
    until(|| {
        let told = put();
        assert!(
            told.contains("shards 1, 2 done; shard 0 not done: "),
            "{told}"
        );
        told.contains(&url)
    });
    assert!(
        !hung.asked.load(Ordering::SeqCst),
        "no write was sent there"
    );
    // It says that it is there, is given a write, and is gone.
    hung.answers.store(true, Ordering::SeqCst);
    let told = thread::scope(|scope| {
        let told = scope.spawn(put);
        until(|| hung.asked.load(Ordering::SeqCst));
        hung.is_there.store(false, Ordering::SeqCst);
        told.join().unwrap()
    });
    assert!(
        told.contains("shards 1, 2 done; shard 0 may be done, or not (points ")
            && told.contains(&url),
        "{told}"
    );
    assert!(told.contains("send it again"), "{told}");
    saying.join().unwrap();
}

#[test]
fn a_read_is_not_kept_by_a_node_that_hangs_and_has_its_place_back() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let own = with_settings(&nats, "1,2", KEY, |settings| {
        let mut settings = settings.to_vec();
        settings.push(("server.concurrent_searches", "1"));
        Server::start_with(&settings, fake())
    });
    let first = node(&nats, "0", KEY);
    spread(&own, "c", "Euclid");
    own.put(POINTS, &points(0..30)).ok();
    drop(first);
    let body = json!({"vector": [0, 0, 0, 0, 0, 0, 0, 0], "limit": 1});
    let search = || own.post("/collections/c/points/search", &body);
    until(|| search().refused(503).contains("by no node that is there"));
    let hung = Arc::new(Hung {
        answers: AtomicBool::new(false),
        is_there: AtomicBool::new(true),
        asked: AtomicBool::new(false),
    });
    let url = hung.serve();
    let saying = hung.say(&nats, &url);
    until(|| search().refused(503).contains(&url));
    // More of them than there are places of reads, six, for as long as one of them would wait.
    for _ in 0..8 {
        let started = Instant::now();
        let told = search().refused(503);
        assert!(told.contains("nor said that it is there"), "{told}");
        assert!(started.elapsed() < Duration::from_secs(10), "{started:?}");
    }
    let part = own.post("/collections/c/points/search?allow_partial=true", &body);
    assert_eq!(part.body()["missing_shards"], json!([0]));
    hung.is_there.store(false, Ordering::SeqCst);
    saying.join().unwrap();
}

#[test]
fn other_nodes_are_let_in_where_clients_have_taken_all_connections() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let full = with_settings(&nats, "0,1,2", KEY, |settings| {
        let mut settings = settings.to_vec();
        settings.push(("server.max_connections", "4"));
        Server::start_with(&settings, fake())
    });
    let other = node(&nats, "none", KEY);
    spread(&other, "c", "Euclid");
    other.put(POINTS, &points(0..30)).ok();
    let kept: Vec<_> = (0..6)
        .map(|_| {
            let mut kept = TcpStream::connect(full.addr()).unwrap();
            let head = "GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n";
            kept.write_all(head.as_bytes()).unwrap();
            let mut line = String::new();
            let mut answer = BufReader::new(kept.try_clone().unwrap());
            answer.read_line(&mut line).unwrap();
            kept
        })
        .collect();
    let mut client = TcpStream::connect(full.addr()).unwrap();
    client
        .write_all(b"GET /collections HTTP/1.1\r\nhost: localhost\r\n\r\n")
        .unwrap();
    let mut line = String::new();
    BufReader::new(client).read_line(&mut line).unwrap();
    assert!(line.starts_with("HTTP/1.1 503"), "{line}");
    for _ in 0..20 {
        let search = json!({"vector": [1, 0, 0, 0, 0, 0, 0, 0], "limit": 3});
        let hits = other.post("/collections/c/points/search", &search).ok();
        assert_eq!(hits.as_array().unwrap().len(), 3);
    }
    drop(kept);
}

#[test]
fn the_parts_of_a_collection_that_is_dropped_are_gone_when_that_is_answered() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let nodes = [node(&nats, "0,1", KEY), node(&nats, "2", KEY)];
    for _ in 0..3 {
        spread(&nodes[0], "c", "Euclid");
        nodes[1].put(POINTS, &points(0..30)).ok();
        assert_eq!(nodes[0].delete("/collections/c").ok(), true);
        for (node, shard) in [(0, 0), (0, 1), (1, 2)] {
            let path = format!("/shards/{shard}/collections");
            let told = in_shard(&nodes[node], &path);
            assert_eq!(told["collections"], json!([]), "shard {shard}");
        }
    }
}

#[test]
fn shards_are_served_before_the_models_are_there_and_who_serves_none_is_counted() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let first = node(&nats, "none", KEY);
    let unserved = |count: &str| {
        let text = first.get("/metrics").text();
        text.contains(&format!("\ndoppel_shards_unserved {count}\n"))
    };
    until(|| unserved("3"));
    let (go_on, waits) = channel::<()>();
    let waits = Mutex::new(waits);
    let factory: Arc<Factory> = Arc::new(move || {
        let _ = waits.lock().recv();
        Ok(Box::new(FakeEmbedder::new()) as _)
    });
    let late = with_settings(&nats, "all", KEY, |settings| {
        Server::starting(settings, Embedding::Made(vec![factory]))
    });
    // Dropped first, so that it ends also where this fails.
    let go_on = go_on;
    spread(&first, "c", "Euclid");
    first.put(POINTS, &points(0..30)).ok();
    let told = late.get("/readyz").refused(503);
    assert!(told.contains("models"), "{told}");
    until(|| unserved("0"));
    let key = format!("Bearer {KEY}");
    for shard in 0..3 {
        let path = format!("/shards/{shard}/readyz");
        let ready = || late.send("GET", &path, &[("authorization", &key)], &[]);
        until(|| ready().status == 200);
    }
    until(|| {
        let text = late.get("/metrics").text();
        text.contains("\ndoppel_shards_behind_messages 0\n")
    });
    drop(go_on);
    until(|| late.get("/readyz").status == 200);
}

#[test]
fn a_node_that_is_ready_names_what_shards_are_short_of_and_who_has_other_settings() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let first = node(&nats, "0", KEY);
    let ready = || first.get("/readyz").text();
    until(|| ready().starts_with("ready, but shard 1 is served by no node"));
    let other = node(&nats, "1,2", "another-key-between-nodes");
    until(|| ready().contains("has another nats.node_key"));
    until(|| {
        first
            .get("/metrics")
            .text()
            .contains("doppel_nodes_disagreeing 1")
    });
    until(|| {
        other
            .get("/readyz")
            .text()
            .contains("has another nats.node_key")
    });
    drop(other);
    let _other = node(&nats, "1,2", KEY);
    until(|| ready() == "ready");
    until(|| {
        first
            .get("/metrics")
            .text()
            .contains("doppel_nodes_disagreeing 0")
    });
    spread(&first, "c", "Euclid");
    first.put(POINTS, &points(0..30)).ok();
    let asked = |lsns: &str| {
        let headers = [("x-doppel-shard-lsns", lsns)];
        first.send("GET", "/collections/c/points/1", &headers, &[])
    };
    let seen = first.get("/collections/c");
    asked(seen.header("x-doppel-shard-lsns")).ok();
    let none = asked("3=65536").refused(400);
    assert!(none.contains("there are 3"), "{none}");
    let far = (0..3).map(|shard| format!("{shard}={}", 1_u64 << 40));
    let far = asked(&far.collect::<Vec<_>>().join(",")).refused(400);
    assert!(far.contains("is of another log"), "{far}");
}

#[test]
fn a_shard_that_cannot_be_opened_leaves_the_others_working() {
    let Some(nats) = Nats::start(1, ALWAYS) else {
        return;
    };
    let server = node(&nats, "all", KEY);
    spread(&server, "c", "Euclid");
    server.put(POINTS, &points(0..30)).ok();
    let dir = server.stop();
    let follows = dir.path().join("data/shards/1/FOLLOWS");
    storage::replace_whole(&follows, &[7; 24]).unwrap();
    let server = with_settings(&nats, "all", KEY, |settings| {
        Server::start_in(dir, settings, fake())
    });
    until(|| server.get("/readyz").status == 200);
    let ready = server.get("/readyz").text();
    assert!(ready.contains("shard 1 is not served here"), "{ready}");
    assert!(ready.contains("follows another shared log"), "{ready}");
    let key = format!("Bearer {KEY}");
    let own = server.send("GET", "/shards/1/readyz", &[("authorization", &key)], &[]);
    assert!(own.refused(503).contains("cannot be opened"));
    let search = json!({"vector": [1, 0, 0, 0, 0, 0, 0, 0], "limit": 30});
    let path = "/collections/c/points/search";
    let partial = || server.post(&format!("{path}?allow_partial=true"), &search);
    until(|| partial().body()["missing_shards"] == json!([1]));
    let told = server.post(path, &search).refused(503);
    assert!(told.contains("shard 1"), "{told}");
    server.with_vectors("whole", 2, "Euclid");
}
