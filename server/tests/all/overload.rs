//! More load than the server bears: searches and writes are turned away, those who take too long are
//! told so, and whoever has to look after it gets through.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Server, fake, until};
use serde_json::{Value, json};

const POINTS: &str = "/collections/v/points";

fn full_with_one() -> Server {
    let settings = [
        ("server.concurrent_searches", "1"),
        ("server.concurrent_writes", "1"),
    ];
    let server = Server::start_with(&settings, fake());
    server.with_long_text("v");
    server
}

fn search(server: &Server, filter: &Value) -> common::Answer {
    let body = json!({"query": [1, 0], "limit": 1, "filter": filter});
    server.post(&format!("{POINTS}/query"), &body)
}

fn put(server: &Server) -> common::Answer {
    let point = json!({"points": [{"id": 2, "vector": [1, 2]}]});
    server.put(&format!("{POINTS}?wait=true"), &point)
}

/// Tells those who make the load that it may end, also where a check has failed.
struct Load<'a>(&'a AtomicBool);

impl Drop for Load<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Asks again and again until the load may end; gives how often it was served and how often turned away.
fn ask_on(ended: &AtomicBool, ask: impl Fn() -> u16) -> [usize; 2] {
    let mut told = [0; 2];
    while !ended.load(Ordering::Relaxed) {
        match ask() {
            200 => told[0] += 1,
            503 => told[1] += 1,
            other => panic!("{other}"),
        }
    }
    told
}

#[test]
fn operators_get_through_while_searches_and_writes_are_told_to_come_back() {
    let server = full_with_one();
    server.with_vectors("w", 2, "Dot");
    let filter = server.slow_filter("v", Duration::from_millis(200));
    let delete = json!({ "filter": filter });
    let slow_search = || search(&server, &filter).status;
    let slow_write = || {
        let path = format!("{POINTS}/delete?wait=true");
        server.post(&path, &delete).status
    };
    let both_full = || search(&server, &Value::Null).status == 503 && put(&server).status == 503;
    let ended = AtomicBool::new(false);
    thread::scope(|scope| {
        // Two each, so that there is always one that takes the place of the one that gives it back.
        let searching = [(); 2].map(|()| scope.spawn(|| ask_on(&ended, slow_search)));
        let writing = [(); 2].map(|()| scope.spawn(|| ask_on(&ended, slow_write)));
        let load = Load(&ended);
        until(both_full);
        until(|| put(&server).header("retry-after") == "1");
        for path in [
            "/livez",
            "/readyz",
            "/healthz",
            "/metrics",
            "/telemetry",
            "/issues",
            "/admin/jobs",
            "/admin/keys",
            "/collections/v",
            "/collections/v/snapshots",
            "/admin/collections/v/checksum",
        ] {
            let answer = server.get(path);
            assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        }
        for (path, body) in [
            ("/admin/checkpoint", json!({})),
            ("/admin/collections/v/jobs", json!({"kind": "backup"})),
            ("/admin/collections/w/reindex", json!({})),
        ] {
            server.post(path, &body).ok();
        }
        until(both_full);
        drop(load);
        for load in [searching, writing] {
            let told = load.map(|it| it.join().unwrap());
            let [served, turned_away] = [0, 1].map(|at| told[0][at] + told[1][at]);
            assert!(served > 0, "what was at work was hindered");
            assert!(turned_away > 0, "there was room for all");
        }
    });
    search(&server, &Value::Null).ok();
    put(&server).ok();
}

#[test]
fn a_search_that_takes_too_long_is_answered_504_and_gives_its_place_back_when_it_ends() {
    let settings = [
        ("server.request_timeout_s", "1"),
        ("server.concurrent_searches", "1"),
    ];
    let measuring = Server::start();
    measuring.with_long_text("v");
    let server = Server::start_with(&settings, fake());
    server.with_long_text("v");
    let mut at_least = Duration::from_secs(2);
    let message = loop {
        let told = search(&server, &measuring.slow_filter("v", at_least));
        if told.status != 200 {
            break told.refused(504);
        }
        // The machine has become quicker since it was measured.
        at_least *= 2;
    };
    assert!(message.contains("server.request_timeout_s"), "{message}");
    // What it has begun ends on its thread, and holds its place until then.
    let busy = search(&server, &Value::Null);
    assert_eq!((busy.status, busy.header("retry-after")), (503, "1"));
    until(|| search(&server, &Value::Null).status == 200);
    let metrics = server.get("/metrics").text();
    let route = "/collections/{collection}/points/query";
    for line in [
        format!("api=\"points\",code=\"504\",method=\"POST\",route=\"{route}\"}} 1"),
        "doppel_http_requests_in_flight 1\n".to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line} is not in\n{metrics}");
    }
}

#[test]
fn searches_of_one_request_wait_for_each_other_where_there_are_few_places() {
    for places in ["1", "2", "3", "4"] {
        let settings = [("server.concurrent_searches", places)];
        let server = Server::start_with(&settings, fake());
        server.with_vectors("v", 2, "Dot");
        let points: Vec<_> = (1..40)
            .map(|id| json!({"id": id, "vector": [id, 1]}))
            .collect();
        let path = format!("{POINTS}?wait=true");
        server.put(&path, &json!({ "points": points })).ok();
        let query = json!({"query": [1, 0], "limit": 3});
        let fused =
            json!({"query": {"fusion": "rrf"}, "limit": 3, "prefetch": vec![query.clone(); 5]});
        let nested = json!({"query": [1, 0], "limit": 3, "prefetch": vec![fused.clone(); 3]});
        for search in [&query, &fused, &nested] {
            let body = json!({"searches": vec![search; 20]});
            for _ in 0..5 {
                let all = server.post(&format!("{POINTS}/query/batch"), &body).ok();
                assert_eq!(all.as_array().unwrap().len(), 20);
            }
            server.post(&format!("{POINTS}/query"), search).ok();
        }
        let mut grouped = fused.clone();
        grouped["group_by"] = json!("person");
        server
            .post(&format!("{POINTS}/query/groups"), &grouped)
            .ok();
        // Each has given back what it had.
        server.post(&format!("{POINTS}/query"), &query).ok();
    }
}

/// A connection that stays open, with one request behind it.
struct Kept(BufReader<TcpStream>);

impl Kept {
    fn open(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr()).unwrap();
        Self(BufReader::new(stream))
    }

    /// The head and the body of an answer.
    fn ask(&mut self, path: &str) -> (String, String) {
        let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        self.0.get_mut().write_all(head.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(self.0.read_line(&mut head).unwrap(), 0, "{head}");
        }
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.unwrap().parse().unwrap()];
        self.0.read_exact(&mut body).unwrap();
        (head, String::from_utf8(body).unwrap())
    }
}

#[test]
fn probes_are_answered_where_connections_have_run_out_and_all_else_is_told_to_come_back() {
    let settings = [
        ("server.max_connections", "3"),
        ("server.workers", "1"),
        ("compreface.collection", "people"),
    ];
    let server = Server::start_with(&settings, fake());
    let mut kept: Vec<_> = (0..3).map(|_| Kept::open(&server)).collect();
    for one in &mut kept {
        assert!(one.ask("/collections").0.starts_with("HTTP/1.1 200"));
    }
    for path in ["/readyz", "/livez", "/metrics", "/admin/jobs"] {
        let (head, _) = Kept::open(&server).ask(path);
        assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        assert!(head.contains("connection: close"), "{path}: {head}");
    }
    let (head, body) = Kept::open(&server).ask("/collections");
    assert!(head.starts_with("HTTP/1.1 503"), "{head}");
    assert!(
        head.contains("retry-after: 1") && head.contains("connection: close"),
        "{head}"
    );
    assert!(body.contains("server.max_connections"), "{body}");
    // As the clients of the path read it.
    let (head, body) = Kept::open(&server).ask("/api/v1/recognition/subjects");
    assert!(head.starts_with("HTTP/1.1 503") && head.contains("retry-after: 1"));
    let told: Value = serde_json::from_str(&body).unwrap();
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("server.max_connections"), "{body}");
    assert_eq!(told["code"], 0);
    for one in &mut kept {
        assert!(one.ask("/collections").0.starts_with("HTTP/1.1 200"));
    }
    drop(kept.pop());
    until(|| {
        Kept::open(&server)
            .ask("/collections")
            .0
            .starts_with("HTTP/1.1 200")
    });
}

/// Ever new connections that say nothing, or only begin to: several times as many as there are places.
#[test]
fn who_asks_how_the_server_is_does_not_wait_for_strangers_who_say_nothing() {
    let settings = [("server.max_connections", "20"), ("server.workers", "1")];
    let server = Server::start_with(&settings, fake());
    let mut kept = Kept::open(&server);
    assert!(kept.ask("/collections").0.starts_with("HTTP/1.1 200"));
    let strangers = |says: &[u8]| {
        let all = (0..300).map(|_| {
            let mut stranger = TcpStream::connect(server.addr()).unwrap();
            stranger.write_all(says).unwrap_or_default();
            stranger
        });
        all.collect::<Vec<_>>()
    };
    for says in [&b""[..], b"GET /livez HTTP/1.1\r\nhost: local"] {
        let held = strangers(says);
        let asked = Instant::now();
        for path in ["/livez", "/readyz", "/metrics"] {
            let (head, _) = Kept::open(&server).ask(path);
            assert!(head.starts_with("HTTP/1.1 200"), "{path}: {head}");
        }
        // Four times five seconds, if each were waited for.
        let waited = asked.elapsed();
        assert!(waited < Duration::from_secs(10), "{waited:?}");
        assert!(
            kept.ask("/collections").0.starts_with("HTTP/1.1 200"),
            "one that asks stays"
        );
        drop(held);
    }
}
