//! Each limit of the server, reached over HTTP: what is told, and with which status. Limits of body,
//! name, dimension and number of hits are in `bad_input.rs`, those of what a compressed body expands
//! to in `http.rs`, that of photos at work in `operations.rs`.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use common::{Answer, Before, Server, fake, made, photo};
use embedder::FakeEmbedder;
use serde_json::{Value, json};

const POINTS: &str = "/collections/v/points";

fn server() -> Server {
    let server = Server::start();
    server.with_vectors("v", 2, "Dot");
    server
}

fn times(item: &Value, count: usize) -> Value {
    vec![item.clone(); count].into()
}

#[test]
fn more_in_one_request_than_it_may_have_is_refused_with_how_much_it_may() {
    let server = server();
    let point = json!({"id": 1, "vector": [1, 2]});
    let search = json!({"query": [1, 0], "limit": 1});
    let delete = json!({"delete": {"points": [1]}});
    let cases = [
        ("PUT", "", json!({"points": times(&point, 10_001)}), "10000"),
        (
            "POST",
            "",
            json!({"ids": times(&json!(1), 100_001)}),
            "100000",
        ),
        (
            "POST",
            "/batch",
            json!({"operations": times(&delete, 1_001)}),
            "1000",
        ),
        (
            "POST",
            "/query/batch",
            json!({"searches": times(&search, 1_001)}),
            "1000",
        ),
        (
            "POST",
            "/recommend",
            json!({"positive": times(&json!([1, 0]), 1_001)}),
            "1000",
        ),
        (
            "POST",
            "/query",
            json!({"query": {"fusion": "rrf"}, "prefetch": times(&search, 65)}),
            "64",
        ),
        (
            "POST",
            "/query",
            json!({"query": [1, 0], "params": {"hnsw_ef": 100_001}}),
            "100000",
        ),
    ];
    for (method, path, body, most) in cases {
        let answer = server.json(method, &format!("{POINTS}{path}"), &body);
        let message = answer.refused(413);
        assert!(message.contains(most), "{path}: {message}");
    }
    let count = server.post(&format!("{POINTS}/count"), &json!({})).ok();
    assert_eq!(count["count"], 0, "nothing of it was done");
}

#[test]
fn a_payload_or_metadata_that_is_too_large_is_refused_and_its_point_named() {
    let server = server();
    let payload = json!({"text": "x".repeat(1 << 20)});
    let point = json!({"id": 77, "vector": [1, 2], "payload": payload});
    let message = server.put(POINTS, &json!({"points": [point]})).refused(413);
    assert!(message.contains("77"), "{message}");
    let metadata = json!({"metadata": {"text": "x".repeat(64 << 10)}});
    let changed = server.json("PATCH", "/collections/v", &metadata);
    let message = changed.refused(413);
    assert!(message.contains("metadata"), "{message}");
}

#[test]
fn a_filter_or_a_prefetch_that_is_nested_too_deep_is_refused() {
    let server = server();
    let deep = |levels: usize| (0..levels).fold(json!({}), |inner, _| json!({"must": [inner]}));
    let ask = |filter: Value| {
        let body = json!({ "filter": filter });
        server.post(&format!("{POINTS}/count"), &body)
    };
    ask(deep(16)).ok();
    let message = ask(deep(17)).refused(400);
    assert!(message.contains("16 deep"), "{message}");
    let search = json!({"query": [1, 0]});
    let before = |levels: usize| {
        (0..levels).fold(
            search.clone(),
            |inner, _| json!({"query": [1, 0], "prefetch": inner}),
        )
    };
    server.post(&format!("{POINTS}/query"), &before(8)).ok();
    let message = server
        .post(&format!("{POINTS}/query"), &before(9))
        .refused(400);
    assert!(message.contains("8 deep"), "{message}");
}

/// Asks from several threads, again and again, until one of them is refused.
fn until_refused(ask: impl Fn() -> Answer + Sync) -> Answer {
    let refused = Mutex::new(None);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while refused.lock().unwrap().is_none() {
                    let answer = ask();
                    if answer.status != 200 {
                        *refused.lock().unwrap() = Some(answer);
                    }
                }
            });
        }
    });
    refused.into_inner().unwrap().unwrap()
}

#[test]
fn one_more_search_or_write_than_may_be_at_work_is_told_to_come_back() {
    let settings = [
        ("server.concurrent_searches", "1"),
        ("server.concurrent_writes", "1"),
    ];
    let server = Server::start_with(&settings, fake());
    server.with_vectors("v", 2, "Dot");
    let points = json!({"points": [{"id": 1, "vector": [1, 2]}]});
    let put = || server.put(POINTS, &points);
    let search = json!({"query": [1, 0], "limit": 1});
    let query = || server.post(&format!("{POINTS}/query"), &search);
    let many = json!({"searches": times(&search, 8)});
    let batch = || server.post(&format!("{POINTS}/query/batch"), &many);
    for (refused, what) in [
        (until_refused(put), "writes"),
        (until_refused(batch), "searches"),
    ] {
        assert_eq!(refused.header("retry-after"), "1");
        let message = refused.refused(503);
        assert!(message.contains(what), "{message}");
    }
    put().ok();
    query().ok();
}

#[test]
fn a_request_that_takes_too_long_is_answered_504_and_the_server_goes_on() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let wait = wait.clone();
        let act = move |_: &[u8]| wait.lock().unwrap().recv().unwrap();
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let settings = [
        ("server.request_timeout_s", "1"),
        ("embedding.workers", "1"),
    ];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let search = || server.form("/collections/f/faces/search", &[("image", &photo(4))]);
    let message = search().refused(504);
    assert!(message.contains("server.request_timeout_s"), "{message}");
    go.send(()).unwrap();
    go.send(()).unwrap();
    search().ok();
}

#[test]
fn a_client_that_does_not_go_on_sending_is_given_up() {
    let server = Server::start_with(&[("server.request_timeout_s", "1")], fake());
    // What has no limit of time is a matter of the route, whatever collections are called.
    for name in ["v", "snapshots", "snapshots-v"] {
        server.with_vectors(name, 2, "Dot");
        let mut body = TcpStream::connect(server.addr()).unwrap();
        let head = format!(
            "POST /collections/{name}/points/query HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: 100\r\n\r\n{{\"query\""
        );
        body.write_all(head.as_bytes()).unwrap();
        let mut answer = String::new();
        body.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 504"), "{answer}");
        assert!(answer.contains("request_timeout_s"), "{answer}");
    }
    // A head that does not come to its end is given up by the parser of heads, within seconds.
    let mut head = TcpStream::connect(server.addr()).unwrap();
    head.write_all(b"POST /collections/v/points/que").unwrap();
    let mut answer = String::new();
    head.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[test]
fn a_connection_that_says_nothing_or_dribbles_a_later_head_is_closed() {
    let server = server();
    let mut silent = TcpStream::connect(server.addr()).unwrap();
    let mut second = TcpStream::connect(server.addr()).unwrap();
    let head = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n";
    second.write_all(head).unwrap();
    second.write_all(b"\r\n").unwrap();
    let mut answer = [0; 12];
    second.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 200");
    let dribble = thread::spawn(move || {
        let header = head.iter().chain(b"x-a: ").chain(std::iter::repeat(&b'a'));
        for byte in header.take(300) {
            if second.write_all(&[*byte]).is_err() {
                return true;
            }
            // This is what is tested: a client that takes its time.
            thread::sleep(std::time::Duration::from_millis(100));
        }
        false
    });
    assert_eq!(
        silent.read(&mut answer).unwrap_or(0),
        0,
        "nothing was asked"
    );
    assert!(dribble.join().unwrap(), "300 bytes were taken one by one");
    server.get("/livez");
}

#[test]
fn what_would_take_too_much_memory_is_refused_and_searches_and_deletes_go_on() {
    let mut server = server();
    let one = json!({"id": 1, "vector": [1, 2], "payload": {"a": "b"}});
    let point = json!({"points": [one, {"id": 2, "vector": [1, 3]}]});
    server.put(&format!("{POINTS}?wait=true"), &point).ok();
    let kept = server.post("/collections/v/snapshots", &json!({})).ok();
    let kept = kept["name"].as_str().unwrap();
    let backup = server.get(&format!("/collections/v/snapshots/{kept}"));
    // Less than any process takes.
    server.restart_with(&[("memory_limit_mib", "1")]);
    let vectors = json!({"points": [{"id": 1, "vector": [3, 4]}]});
    let batch = json!({"operations": [{"upsert": point}]});
    let told = [
        server.put(&format!("{POINTS}?wait=true"), &point),
        server.put(&format!("{POINTS}/vectors"), &vectors),
        server.post(&format!("{POINTS}/batch"), &batch),
        server.post("/admin/collections/v/reindex", &json!({})),
        server.post(
            &format!("{POINTS}/payload"),
            &json!({"payload": {"c": 1}, "points": [1]}),
        ),
        server.put(
            &format!("{POINTS}/payload"),
            &json!({"payload": {"c": 1}, "filter": {}}),
        ),
        server.put(
            "/collections/v/index",
            &json!({"field_name": "a", "field_schema": "keyword"}),
        ),
        server.put(
            "/collections/v/snapshots/recover",
            &json!({"location": kept}),
        ),
        server.send(
            "POST",
            "/collections/w/snapshots/upload",
            &[("content-type", "application/octet-stream")],
            &backup.bytes,
        ),
    ];
    let refusals = told.len();
    for answer in told {
        let message = answer.refused(507);
        for word in ["MiB used", "MiB wanted", "limit is 1.0 MiB"] {
            assert!(message.contains(word), "{message}");
        }
    }
    let query = json!({"query": [0, 1], "limit": 1});
    let found = server.post(&format!("{POINTS}/query"), &query).ok();
    assert_eq!(found["points"][0]["id"], 2);
    let less = json!({"keys": ["a"], "points": [1]});
    server.post(&format!("{POINTS}/payload/delete"), &less).ok();
    let gone = json!({"points": [2]});
    server
        .post(&format!("{POINTS}/delete?wait=true"), &gone)
        .ok();
    assert_eq!(server.get("/readyz").status, 200);
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("doppel_memory_limit_bytes 1048576"));
    assert!(metrics.contains(&format!("doppel_memory_refusals_total {refusals}\n")));
    assert_eq!(server.get("/collections/w").status, 404);
}
