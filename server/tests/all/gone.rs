//! Clients that go away in the middle: whatever was held for them is given back, and what they had
//! asked for is done whole or not at all.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use crate::common;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use common::{Before, Server, fake, made, photo, until};
use embedder::FakeEmbedder;
use serde_json::{Value, json};

const POINTS: &str = "/collections/v/points";

/// Asks for something small, and gives the status of the answer.
type Ask = fn(&Server) -> u16;

/// A request as it goes over the wire.
fn request(method: &str, path: &str, content_type: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {content_type}\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn of_json(method: &str, path: &str, body: &Value) -> Vec<u8> {
    request(
        method,
        path,
        "application/json",
        body.to_string().as_bytes(),
    )
}

/// A client that has sent this; it is gone when it is dropped.
fn client(server: &Server, bytes: &[u8]) -> TcpStream {
    let mut client = TcpStream::connect(server.addr()).unwrap();
    client.write_all(bytes).unwrap();
    client
}

fn with_one_place() -> Server {
    let settings = [
        ("server.concurrent_searches", "1"),
        ("server.concurrent_writes", "1"),
        ("embedding.workers", "1"),
        ("embedding.queue", "1"),
    ];
    Server::start_with(&settings, fake())
}

fn search(server: &Server) -> u16 {
    let body = json!({"query": [1, 0], "limit": 1});
    server.post(&format!("{POINTS}/query"), &body).status
}

fn put(server: &Server) -> u16 {
    let body = json!({"points": [{"id": 2, "vector": [1, 2]}]});
    server.put(&format!("{POINTS}?wait=true"), &body).status
}

/// Nothing is at work but the request for this, and nothing is held for any other.
fn is_quiet(server: &Server) -> bool {
    let metrics = server.get("/metrics").text();
    let lines = [
        "doppel_http_requests_in_flight 1\n",
        "doppel_memory_promised_bytes 0\n",
        "doppel_jobs_running 0\n",
        "doppel_pipeline_queue_length 0\n",
        "doppel_log_queued_bytes 0\n",
    ];
    lines.iter().all(|line| metrics.contains(line))
}

/// A client whose request holds the one place there is: another is turned away for it.
fn at_work(server: &Server, bytes: &[u8], other: Ask) -> TcpStream {
    let two = "doppel_http_requests_in_flight 2\n";
    loop {
        let client = client(server, bytes);
        until(|| server.get("/metrics").text().contains(two));
        // It may have come before the place was taken, and turned away the one that is meant.
        if other(server) == 503 {
            return client;
        }
        drop(client);
        until(|| is_quiet(server));
    }
}

#[test]
fn the_place_of_a_search_or_write_whose_client_has_gone_is_free_once_it_ends() {
    let server = with_one_place();
    server.with_long_text("v");
    let filter = server.slow_filter("v", Duration::from_millis(1_500));
    let query = json!({"query": [1, 0], "limit": 1, "filter": filter});
    let query = of_json("POST", &format!("{POINTS}/query"), &query);
    let delete = of_json(
        "POST",
        &format!("{POINTS}/delete"),
        &json!({ "filter": filter }),
    );
    let cases: [(_, Ask); 2] = [(query, search), (delete, put)];
    for (bytes, other) in cases {
        drop(at_work(&server, &bytes, other));
        until(|| other(&server) == 200);
        until(|| is_quiet(&server));
    }
}

#[test]
fn a_request_that_breaks_off_anywhere_leaves_nothing_behind() {
    let server = with_one_place();
    server.with_vectors("v", 2, "Dot");
    server.with_faces("f");
    let payload = json!({"text": "x".repeat(20_000)});
    let points = |ids: std::ops::Range<u64>| {
        let point = |id| json!({"id": id, "vector": [id, 1], "payload": payload});
        json!({"points": ids.map(point).collect::<Vec<_>>()})
    };
    let put_points = format!("{POINTS}?wait=true");
    server.put(&put_points, &points(0..100)).ok();
    let shelf = "/collections/v/snapshots";
    let name = server.post(shelf, &json!({})).ok()["name"].clone();
    let backup = server.get(&format!("{shelf}/{}", name.as_str().unwrap()));
    let upload = "/collections/w/snapshots/upload";
    // A larger answer than any buffer between the two: the client that reads none of it goes away in it.
    let scroll = json!({"limit": 100, "with_payload": true, "with_vector": true});
    let requests = [
        of_json("POST", &format!("{POINTS}/scroll"), &scroll),
        of_json("PUT", &put_points, &points(1_000..1_100)),
        of_json(
            "POST",
            &format!("{POINTS}/query"),
            &json!({"query": [1, 0], "limit": 5}),
        ),
        request(
            "POST",
            "/collections/f/faces/search",
            "image/png",
            &photo(4),
        ),
        request("POST", "/collections/f/faces", "image/png", &photo(4)),
        request("POST", upload, "application/octet-stream", &backup.bytes),
    ];
    for bytes in &requests {
        let head = bytes
            .windows(4)
            .position(|four| four == b"\r\n\r\n")
            .unwrap()
            + 4;
        let end = bytes.len();
        for cut in [
            0,
            1,
            head / 2,
            head,
            (head + end) / 2,
            end - 1,
            end,
            end,
            end,
        ] {
            drop(client(&server, &bytes[..cut]));
        }
    }
    until(|| is_quiet(&server));
    until(|| search(&server) == 200 && put(&server) == 200);
    let image = photo(9);
    until(|| {
        let seen = server.form("/collections/f/faces/search", &[("image", &image)]);
        seen.status == 200
    });
    // All of a batch is there in the end, or none of it; one whose client has gone may still be on its way into the
    // index, piece by piece.
    until(|| {
        let count = server.post(&format!("{POINTS}/count"), &json!({})).ok();
        [100, 200].contains(&count["count"].as_u64().unwrap())
    });
    let w = server.get("/collections/w");
    if w.status == 200 {
        assert_eq!(w.ok()["points_count"], 100);
    }
    until(|| unfinished(&server).is_empty());
}

/// Files that were on their way in.
fn unfinished(server: &Server) -> Vec<std::path::PathBuf> {
    let (mut found, mut folders) = (Vec::new(), vec![server.data_dir()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "tmp") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn a_job_whose_client_has_gone_comes_to_its_end_and_makes_room_for_others() {
    let server = with_one_place();
    server.with_vectors("v", 2, "Dot");
    assert_eq!(put(&server), 200);
    let begin = json!({"kind": "backup"});
    let bytes = of_json("POST", "/admin/collections/v/jobs", &begin);
    for _ in 0..6 {
        drop(client(&server, &bytes));
        until(|| is_quiet(&server));
    }
    let job = server.post("/admin/collections/v/jobs", &begin).ok();
    until(|| {
        let job = server.get(&format!("/admin/jobs/{}", job["id"])).ok();
        job["status"] == "completed"
    });
    // One of them may have been read only now.
    until(|| !server.get("/admin/jobs").text().contains("running"));
    let jobs = server.get("/admin/jobs").ok();
    let ends = jobs["jobs"].as_array().unwrap().iter();
    assert!(
        ends.clone().count() > 1,
        "none of those that were begun before ran"
    );
    assert!(
        ends.clone().all(|job| job["status"] == "completed"),
        "{jobs}"
    );
}

#[test]
fn the_places_of_photos_whose_clients_have_gone_are_free_once_they_were_looked_at() {
    let (at_work, began) = mpsc::channel::<()>();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let (at_work, wait) = (at_work.clone(), wait.clone());
        let act = move |_: &[u8]| {
            // Nobody listens, and nobody is waited for, once the test has let all of them go on.
            let _ = at_work.send(());
            let _ = wait.lock().unwrap().recv();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let settings = [("embedding.workers", "1"), ("embedding.queue", "1")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let path = "/collections/f/faces/search";
    let bytes = request("POST", path, "image/png", &photo(4));
    let first = client(&server, &bytes);
    began.recv().unwrap();
    let second = client(&server, &bytes);
    let image = photo(9);
    let look = || server.form(path, &[("image", &image)]).status;
    until(|| {
        server
            .get("/metrics")
            .text()
            .contains("doppel_pipeline_queue_length 1\n")
    });
    assert_eq!(look(), 503, "both places are taken");
    drop((first, second));
    drop(go);
    until(|| look() == 200);
    until(|| is_quiet(&server));
}

#[test]
fn a_photo_whose_client_goes_while_another_of_its_batch_is_looked_at_is_not_looked_at_any_more() {
    let (at_work, began) = mpsc::channel::<Vec<u8>>();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let (at_work, wait) = (at_work.clone(), wait.clone());
        let act = move |image: &[u8]| {
            let _ = at_work.send(image.to_vec());
            let _ = wait.lock().unwrap().recv();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let settings = [("embedding.workers", "1"), ("embedding.batch", "2")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let asks = |columns| {
        let path = "/collections/f/faces/search";
        client(
            &server,
            &request("POST", path, "image/png", &photo(columns)),
        )
    };
    let until_it_says = |line: &str| until(|| server.get("/metrics").text().contains(line));
    let first = asks(4);
    assert_eq!(began.recv().unwrap(), photo(4));
    let second = asks(8);
    until_it_says("doppel_pipeline_queue_length 1\n");
    let third = asks(12);
    until_it_says("doppel_pipeline_queue_length 2\n");
    let heard = Instant::now();
    go.send(()).unwrap();
    assert_eq!(began.recv().unwrap(), photo(8));
    // Sooner it may only have no more to say.
    until(|| heard.elapsed() > Duration::from_secs(1));
    drop((first, third));
    until_it_says("doppel_http_requests_in_flight 2\n");
    drop(go);
    until(|| is_quiet(&server));
    assert_eq!(began.try_iter().count(), 0, "nobody waited for the third");
    drop(second);
}

/// As `nc -N` and old clients do.
#[test]
fn a_client_that_ends_its_side_after_its_request_and_still_reads_gets_its_answer() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let wait = wait.clone();
        let act = move |_: &[u8]| {
            let _ = wait.lock().unwrap().recv();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let server = Server::start_with(&[], embedding);
    let asked = request("POST", "/faces/detect", "image/png", &photo(4));
    let mut client = client(&server, &asked);
    client.shutdown(Shutdown::Write).unwrap();
    let two = "doppel_http_requests_in_flight 2\n";
    until(|| server.get("/metrics").text().contains(two));
    go.send(()).unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
