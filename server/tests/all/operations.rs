//! What operators and browsers see: probes, metrics, keys, limits at work, the page, stopping.

use crate::common;

use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;

use common::{Before, Server, config, fake, made, photo};
use embedder::FakeEmbedder;
use serde_json::json;
use server::{Embedding, Factory, Signals};

#[test]
fn programs_get_the_version_and_browsers_the_page() {
    let server = Server::start();
    let version = server.get("/").body();
    assert_eq!(version["version"], "1.19.0");
    assert_eq!(version["doppel_version"], env!("CARGO_PKG_VERSION"));
    let html = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let page = server.send("GET", "/", &html, &[]);
    assert_eq!(page.header("content-type"), "text/html; charset=utf-8");
    let policy = page.header("content-security-policy");
    assert!(
        policy.contains("default-src 'none'") && !policy.contains("unsafe"),
        "{policy}"
    );
    let text = page.text();
    for (path, content_type) in [
        ("/web/main.js", "text/javascript; charset=utf-8"),
        ("/style.css", "text/css; charset=utf-8"),
        ("/favicon.svg", "image/svg+xml"),
    ] {
        assert!(text.contains(path), "{path}");
        let part = server.get(path);
        assert_eq!(
            (part.status, part.header("content-type")),
            (200, content_type)
        );
        assert!(!part.text().contains("innerHTML"), "{path}");
    }
    let scripts = text.matches("<script").count();
    assert_eq!(
        scripts,
        text.matches("<script src=\"/").count(),
        "an inline script"
    );
    assert!(
        !text.contains("://") && !text.contains(" style="),
        "the policy forbids it"
    );
}

#[test]
fn probes_say_when_it_is_alive_and_ready() {
    let server = Server::start();
    for path in ["/healthz", "/livez", "/readyz"] {
        assert_eq!(server.get(path).status, 200, "{path}");
        assert_eq!(server.send("HEAD", path, &[], &[]).status, 200, "{path}");
    }
}

#[test]
fn until_the_models_are_loaded_it_is_alive_but_not_ready() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let embedding = made(move || {
        wait.lock().unwrap().recv().unwrap();
        Box::new(FakeEmbedder::new())
    });
    let dir = tempfile::tempdir().unwrap();
    let settings = [("embedding.workers", "1")];
    let running = server::start_with(config(dir.path(), &settings), embedding).unwrap();
    let url = format!("http://{}", running.addr());
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let get = |path: &str| agent.get(format!("{url}{path}")).call().unwrap();
    assert_eq!(get("/livez").status(), 200);
    let ready = get("/readyz");
    assert_eq!(ready.status(), 503);
    assert_eq!(ready.headers()["retry-after"], "1");
    assert_eq!(get("/metrics").status(), 200);
    go.send(()).unwrap();
    running.wait_ready().unwrap();
    assert_eq!(get("/readyz").status(), 200);
    running.stop().unwrap();
}

/// A second one is being loaded: who sends photos for it, or for one that is not there yet, is to try again.
#[test]
fn photos_that_come_while_models_are_being_loaded_are_to_be_sent_again() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let first: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let second: Arc<Factory> = Arc::new(move || {
        wait.lock().unwrap().recv().unwrap();
        Ok(Box::new(FakeEmbedder::other()) as _)
    });
    let dir = tempfile::tempdir().unwrap();
    let settings = [("embedding.workers", "1")];
    let models = Embedding::Made(vec![first, second]);
    let running = server::start_with(config(dir.path(), &settings), models).unwrap();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let base = format!("http://{}", running.addr());
    let is_loaded = || {
        let models = agent.get(format!("{base}/faces/models")).call().unwrap();
        let text = models.into_body().read_to_string().unwrap();
        text.contains("\"fake-128\"")
    };
    common::until(is_loaded);
    let body = r#"{"embedder": "facenet-128"}"#;
    let put = agent.put(format!("{base}/collections/f"));
    let put = put.content_type("application/json").send(body);
    assert_eq!(put.unwrap().status(), 200);
    let send = |path: &str| {
        let post = agent.post(format!("{base}/collections/f{path}"));
        let photo = r#"{"image": "aGVsbG8="}"#;
        let mut answer = post.content_type("application/json").send(photo).unwrap();
        let retry = answer.headers().get("retry-after").is_some();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), retry, text)
    };
    for path in ["/faces", "/faces/search"] {
        let (status, retry, text) = send(path);
        assert_eq!((status, retry), (503, true), "{text}");
        assert!(text.contains("are being loaded"), "{text}");
    }
    go.send(()).unwrap();
    running.wait_ready().unwrap();
    let (status, retry, text) = send("/faces");
    assert_eq!((status, retry), (501, false), "{text}");
    assert!(text.contains("doppel models install"), "{text}");
    running.stop().unwrap();
}

#[test]
fn without_models_vectors_are_served_and_photos_are_told_how_to_install() {
    let server = Server::start_with(&[], Embedding::Models);
    assert_eq!(server.get("/readyz").status, 200);
    server.with_vectors("v", 2, "Dot");
    server
        .put("/collections/f", &json!({"embedder": "facenet-128"}))
        .ok();
    assert_eq!(
        server.get("/collections/f").ok()["config"]["params"]["vectors"]["size"],
        128
    );
    for path in ["/collections/f/faces", "/collections/f/faces/search"] {
        let message = server.form(path, &[("image", &photo(4))]).refused(501);
        assert!(
            message.contains("doppel models install --models-dir"),
            "{message}"
        );
    }
}

#[test]
fn models_that_are_damaged_are_not_loaded_and_the_server_starts_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let models = dir.path().join("models");
    std::fs::create_dir(&models).unwrap();
    let manifest = embedder::Manifest::builtin();
    let runtime = "libonnxruntime.so.1.32.0";
    let names = [manifest.files().as_slice(), &[runtime]].concat();
    for name in &names {
        std::fs::write(models.join(name), "cut short").unwrap();
    }
    let files = names
        .iter()
        .map(|name| json!({"name": name, "sha256": "00"}));
    let record = json!({ "files": files.collect::<Vec<_>>() }).to_string();
    std::fs::write(models.join("installed.json"), record).unwrap();
    let running = server::start_with(config(dir.path(), &[]), Embedding::Models).unwrap();
    running.wait_ready().unwrap();
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let url = format!("http://{}/collections/f", running.addr());
    let send = |request: ureq::RequestBuilder<_>, body: &str| {
        let sent = request.content_type("application/json").send(body);
        let mut answer = sent.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    };
    send(agent.put(&url), r#"{"embedder": "facenet-128"}"#);
    let (status, message) = send(agent.post(format!("{url}/faces")), "{}");
    assert_eq!(status, 501);
    assert!(message.contains("SHA-256"), "{message}");
    running.stop().unwrap();
}

#[test]
fn a_collection_of_another_model_takes_no_photos() {
    let dir = tempfile::tempdir().unwrap();
    let start = |embedding| {
        let running = server::start_with(config(dir.path(), &[]), embedding).unwrap();
        running.wait_ready().unwrap();
        running
    };
    let agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .build()
        .new_agent();
    let running = start(Embedding::Models);
    let url = format!("http://{}/collections/f", running.addr());
    let body = json!({"embedder": "facenet-128"}).to_string();
    let put = agent.put(&url).content_type("application/json").send(&body);
    assert_eq!(put.unwrap().status(), 200);
    running.stop().unwrap();
    let running = start(fake());
    let url = format!("http://{}/collections/f/faces", running.addr());
    let photo = agent.post(&url).content_type("application/json").send("{}");
    let mut photo = photo.unwrap();
    assert_eq!(photo.status(), 501);
    let message = photo.body_mut().read_to_string().unwrap();
    assert!(message.contains("facenet-128"), "{message}");
    running.stop().unwrap();
    // A model of the same name with other weights is another one.
    let running = start(made(|| Box::new(FakeEmbedder::named("facenet-128"))));
    let url = format!("http://{}/collections/f/faces", running.addr());
    let photo = agent.post(&url).content_type("application/json").send("{}");
    let mut photo = photo.unwrap();
    assert_eq!(photo.status(), 409);
    let message = photo.body_mut().read_to_string().unwrap();
    assert!(
        message.contains("vectors of two models") && message.contains("00000000"),
        "{message}"
    );
    running.stop().unwrap();
}

#[test]
fn a_full_pool_answers_503_and_when_to_come_back() {
    let (at_work, began) = mpsc::channel::<()>();
    let (go, wait) = mpsc::channel::<()>();
    let wait = std::sync::Arc::new(Mutex::new(wait));
    let embedding = made(move || {
        let (at_work, wait) = (at_work.clone(), wait.clone());
        let act = move |_: &[u8]| {
            at_work.send(()).unwrap();
            wait.lock().unwrap().recv().unwrap();
        };
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let settings = [("embedding.workers", "1"), ("embedding.queue", "1")];
    let server = Server::start_with(&settings, embedding);
    server.with_faces("f");
    let search = || server.form("/collections/f/faces/search", &[("image", &photo(4))]);
    thread::scope(|scope| {
        let first = scope.spawn(search);
        began.recv().unwrap();
        let second = scope.spawn(search);
        // The second waits once it can be seen in the queue.
        while !server
            .get("/metrics")
            .text()
            .contains("doppel_pipeline_queue_length 1")
        {
            thread::yield_now();
        }
        let third = search();
        assert_eq!(third.header("retry-after"), "1");
        let message = third.refused(503);
        assert!(message.contains("try again"), "{message}");
        go.send(()).unwrap();
        go.send(()).unwrap();
        first.join().unwrap().ok();
        second.join().unwrap().ok();
    });
}

#[test]
fn a_photo_that_breaks_the_embedder_costs_one_answer() {
    let embedding = made(|| {
        let act = |image: &[u8]| assert_ne!(image, b"poison");
        let then = FakeEmbedder::new();
        Box::new(Before { act, then })
    });
    let server = Server::start_with(&[("embedding.workers", "1")], embedding);
    server.with_faces("f");
    server
        .form("/collections/f/faces", &[("image", b"poison")])
        .refused(500);
    server
        .form("/collections/f/faces", &[("image", &photo(4))])
        .ok();
    assert!(
        server
            .get("/metrics")
            .text()
            .contains("doppel_panics_total 1")
    );
}

#[test]
fn with_a_key_only_probes_and_the_page_are_open() {
    let server = Server::start_with(&[("api_key", "a-good-secret")], fake());
    for path in [
        "/",
        "/web/main.js",
        "/style.css",
        "/healthz",
        "/livez",
        "/readyz",
    ] {
        assert_eq!(server.get(path).status, 200, "{path}");
    }
    for path in [
        "/collections",
        "/metrics",
        "/collections/x/faces/1/image",
        "/nowhere",
    ] {
        let missing = server.get(path);
        assert_eq!(missing.status, 401, "{path}");
        assert_eq!(missing.header("content-type"), "text/plain; charset=utf-8");
        for (name, value) in [
            ("api-key", "a-good-secreT"),
            ("api-key", "a-good-secret2"),
            ("authorization", "Basic a-good-secret"),
        ] {
            let wrong = server.send("GET", path, &[(name, value)], &[]);
            assert_eq!(wrong.status, 401, "{path} {name}");
        }
    }
    for header in [
        ("api-key", "a-good-secret"),
        ("authorization", "Bearer a-good-secret"),
    ] {
        assert_eq!(
            server.send("GET", "/collections", &[header], &[]).status,
            200
        );
    }
    let metrics = server
        .send("GET", "/metrics", &[("api-key", "a-good-secret")], &[])
        .text();
    assert!(
        metrics.contains("doppel_auth_failures_total{reason=\"missing\"}"),
        "{metrics}"
    );
}

#[test]
fn web_pages_of_another_origin_cannot_write() {
    let server = Server::start();
    server.with_faces("f");
    let origin = |origin: &str| {
        let headers = [("origin", origin)];
        server.send("GET", "/collections", &headers, &[]).status
    };
    assert_eq!(origin("http://evil.example"), 403);
    assert_eq!(origin("null"), 403);
    assert_eq!(origin(&format!("http://{}", server.addr())), 200);
}

#[test]
fn every_answer_carries_an_id_of_its_request() {
    let server = Server::start();
    let own = server.send("GET", "/collections", &[("x-request-id", "abc-1")], &[]);
    assert_eq!(own.header("x-request-id"), "abc-1");
    let long = "x".repeat(129);
    for strange in ["a b", &long] {
        let made = server.send("GET", "/nowhere", &[("x-request-id", strange)], &[]);
        assert_eq!(made.header("x-request-id").len(), 36, "{strange}");
    }
}

#[test]
fn one_damaged_collection_answers_503_with_the_remedy_and_the_rest_is_served() {
    let settings = [("log.segment_mib", "1")];
    let mut server = Server::start_with(&settings, fake());
    server.with_vectors("quiet", 2, "Dot");
    server.with_vectors("busy", 2, "Dot");
    let point = json!({"points": [{"id": 1, "vector": [1, 2]}]});
    server
        .put("/collections/quiet/points?wait=true", &point)
        .ok();
    let text = json!({"text": "x".repeat(600 << 10)});
    for id in 0..12 {
        let point = json!({"points": [{"id": id, "vector": [1, id], "payload": text}]});
        server
            .put("/collections/busy/points?wait=true", &point)
            .ok();
        if id % 4 == 3 {
            server.restart_with(&settings);
        }
    }
    server.restart_after(|data| {
        let files = std::fs::read_dir(data.join("snapshots")).unwrap();
        let mut files: Vec<_> = files.map(|entry| entry.unwrap().path()).collect();
        files.sort();
        for file in &files[..2] {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[150] ^= 1;
            std::fs::write(file, bytes).unwrap();
        }
    });
    for path in ["/collections/quiet", "/collections/quiet/points/1"] {
        let message = server.get(path).refused(503);
        assert!(message.contains("backup"), "{message}");
        assert!(message.contains(".snap"), "{message}");
    }
    let query = json!({"query": [0, 1], "limit": 1});
    let refused = server.post("/collections/quiet/points/query", &query);
    refused.refused(503);
    let found = server.post("/collections/busy/points/query", &query).ok();
    assert_eq!(found["points"][0]["id"], 11);
    server
        .put("/collections/busy/points?wait=true", &point)
        .ok();
    assert_eq!(server.get("/readyz").status, 200);
    let list = server.get("/collections").ok();
    assert_eq!(list["collections"][0]["name"], "busy");
    assert_eq!(list["collections"][1]["name"], "quiet");
    assert!(list["collections"][1]["damaged"].is_string());
    let metrics = server.get("/metrics").text();
    assert!(metrics.contains("doppel_collections_quarantined 1"));
}

#[test]
fn a_folder_that_another_server_uses_ends_the_server_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let first = server::start_with(config(dir.path(), &[]), fake()).unwrap();
    first.wait_ready().unwrap();
    let second = server::start_with(config(dir.path(), &[]), fake()).unwrap();
    let error = second
        .wait(Signals::catch().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("another process has this"), "{error}");
    first.stop().unwrap();
}

#[test]
fn a_data_folder_that_is_a_file_ends_the_server_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("data"), "not a folder").unwrap();
    let running = server::start_with(config(dir.path(), &[]), fake()).unwrap();
    assert!(running.wait_ready().is_err());
    let error = running
        .wait(Signals::catch().unwrap())
        .unwrap_err()
        .to_string();
    assert!(error.contains("Not a directory"), "{error}");
}

#[test]
fn an_address_that_is_taken_ends_the_server_with_the_reason() {
    let server = Server::start();
    let dir = tempfile::tempdir().unwrap();
    let addr = server.addr().to_string();
    let taken = [("listen", addr.as_str())];
    let error = server::start(config(dir.path(), &taken)).err().unwrap();
    let error = error.to_string();
    assert!(error.contains("cannot listen on 127.0.0.1"), "{error}");
}
