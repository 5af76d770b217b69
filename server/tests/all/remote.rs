//! Two servers: one looks at photos, the other keeps what comes of it.

use crate::common;

use std::io::Write;
use std::net::TcpStream;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use common::{Before, Server, faceless, fake, group, made, photo};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Waiting, Want};
use engine::{CollectionChange, Engine, Options};
use parking_lot::Mutex;
use serde_json::json;
use server::{Embedding, Factory};

const KEY: &str = "a-good-secret";
const FACES: &str = "/collections/f/faces";

fn embedding() -> Server {
    Server::start_with(&[("api_key", KEY)], fake())
}

fn keeping(url: &str, key: &str) -> Server {
    let settings = [
        ("embedding.remote_url", url),
        ("embedding.remote_key", key),
        ("embedding.remote_timeout_s", "10"),
    ];
    let server = Server::start_with(&settings, Embedding::Models);
    // It is ready once it has asked.
    common::until(|| server.get("/readyz").status == 200);
    server
}

fn loaded(server: &Server) -> Vec<String> {
    let models = server.get("/faces/models").ok();
    let models = models["models"].as_array().cloned().unwrap_or_default();
    let loaded = models.iter().filter(|it| it["loaded"] == true);
    loaded.map(|it| it["name"].to_string()).collect()
}

/// Another model of the same name.
struct LearnedAnew(FakeEmbedder, ModelInfo);

impl LearnedAnew {
    fn new() -> Self {
        let first = FakeEmbedder::new();
        let sha256 = "9".repeat(64);
        let model = ModelInfo {
            sha256,
            ..first.model().clone()
        };
        Self(first, model)
    }
}

impl FaceEmbedder for LearnedAnew {
    fn model(&self) -> &ModelInfo {
        &self.1
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        self.0.analyze_all(photos)
    }
}

#[test]
fn one_server_looks_at_photos_and_another_keeps_and_finds_them() {
    let far = embedding();
    let address = far.addr().to_string();
    let server = keeping(&format!("http://{address}/"), KEY);
    let models = server.get("/faces/models").ok();
    assert_eq!(models["models"][0]["name"], "fake-128");
    assert_eq!(models["models"][0]["loaded"], true);
    server.with_faces("f");
    let parts = [
        ("image", &photo(4)[..]),
        ("person", b"Ada"),
        ("keep_crop", b"true"),
    ];
    let kept = server.form(FACES, &parts).ok();
    let id = kept["faces"][0]["id"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let crop = server.get(&format!("{FACES}/{id}/image"));
    assert_eq!(crop.header("content-type"), "image/jpeg");
    let search = || server.form(&format!("{FACES}/search"), &[("image", &photo(4))]);
    let found = search().ok();
    let hit = &found["faces"][0]["hits"][0];
    assert_eq!((&hit["id"], &hit["person"]), (&json!(id), &json!("Ada")));
    assert!(hit["score"].as_f64() > Some(0.999), "{hit}");
    assert_eq!(found["faces"][0]["quality"], kept["faces"][0]["quality"]);
    let places = server.form("/faces/detect", &[("image", &photo(4))]).ok();
    assert_eq!(places["faces"][0]["box"], found["faces"][0]["box"]);
    // What is wrong with a photo is told as the other server tells it.
    let wrong = server.form(FACES, &[("image", b"no photo")]).refused(422);
    assert!(wrong.contains("not an image"), "{wrong}");
    server.form(FACES, &[("image", &faceless())]).refused(422);
    // Nothing of it is there.
    let header = [("api-key", KEY)];
    let there = far.send("GET", "/collections", &header, &[]).ok();
    assert_eq!(there["collections"], json!([]));

    drop(far);
    let away = search();
    assert_eq!(away.header("retry-after"), "1");
    let away = away.refused(503);
    assert!(away.contains(&address), "{away}");
    let point = server.get(&format!("/collections/f/points/{id}")).ok();
    assert_eq!(point["payload"]["person"], "Ada");
    // It comes back with another model: vectors of two are never mixed.
    let settings = [("api_key", KEY), ("listen", address.as_str())];
    let other = Server::start_with(&settings, made(|| Box::new(FakeEmbedder::other())));
    let message = search().refused(502);
    assert!(message.contains(&address), "{message}");
    drop(other);
    let anew = Server::start_with(&settings, made(|| Box::new(LearnedAnew::new())));
    let message = search().refused(502);
    assert!(message.contains("fake-128 is now"), "{message}");
    drop(anew);
    let _far = Server::start_with(&settings, fake());
    search().ok();
}

#[test]
fn a_server_whose_embedder_is_away_or_refuses_it_serves_all_else_and_goes_on_asking() {
    let far = embedding();
    let address = far.addr().to_string();
    let url = format!("http://{address}");
    let refused = keeping(&url, "a-wrong-secret");
    let why = refused.form("/faces/embed", &[("image", &photo(4))]);
    let why = why.refused(503);
    assert!(why.contains("refuses the key"), "{why}");
    drop(far);
    let server = keeping(&url, KEY);
    server.with_vectors("v", 2, "Dot");
    assert_eq!(server.get("/readyz").status, 200);
    let look = || server.form("/faces/embed", &[("image", &photo(4))]);
    assert!(look().refused(503).contains(&address));
    let settings = [("api_key", KEY), ("listen", address.as_str())];
    let _far = Server::start_with(&settings, fake());
    common::until(|| look().status == 200);
}

#[test]
fn photos_for_a_model_that_the_other_server_may_be_loading_are_to_be_sent_again() {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let first: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let second: Arc<Factory> = Arc::new(move || {
        wait.lock().recv().expect("the test says when");
        Ok(Box::new(FakeEmbedder::other()) as _)
    });
    let dir = tempfile::tempdir().expect("a folder");
    let settings = [("api_key", KEY), ("embedding.workers", "1")];
    let models = Embedding::Made(vec![first, second]);
    let far = server::start_with(common::config(dir.path(), &settings), models);
    let far = far.expect("it starts");
    let server = keeping(&format!("http://{}", far.addr()), KEY);
    server
        .put("/collections/f", &json!({"embedder": "facenet-128"}))
        .ok();
    common::until(|| loaded(&server) == [r#""fake-128""#]);
    let add = || server.form(FACES, &[("image", &photo(4))]);
    assert!(add().refused(503).contains("being loaded"));
    go.send(()).expect("it is waited for");
    common::until(|| add().status == 501);
    assert!(add().refused(501).contains("facenet-128"));
    far.stop().expect("it stops");
}

#[test]
fn models_that_the_other_server_loads_later_count_and_a_move_waits_for_them() {
    let far = embedding();
    let address = far.addr().to_string();
    let url = format!("http://{address}");
    let server = keeping(&url, KEY);
    server.with_faces("f");
    server.form(FACES, &[("image", &photo(4))]).ok();
    assert_eq!(loaded(&server), [r#""fake-128""#]);
    let data = server.stop();
    // A stop in the middle of a move, and a start at which its model is not up.
    let engine = Engine::open(Options::new(data.path().join("data")));
    let engine = engine.expect("nobody else has it open");
    let under_way = json!({"reembedding": {
        "model": "fake-72", "from": "", "to": "fake-72", "keep_old": false,
        "accept_missing": false, "state": "running",
    }});
    let change = CollectionChange {
        metadata: under_way.as_object().cloned(),
        ..CollectionChange::default()
    };
    engine.update_collection("f", change).expect("it is noted");
    engine.shutdown().expect("it closes");
    drop(engine);
    let settings = [
        ("embedding.remote_url", &*url),
        ("embedding.remote_key", KEY),
        // What was let in once is not refused at a start.
        ("memory_limit_mib", "1"),
    ];
    let server = Server::start_in(data, &settings, Embedding::Models);
    common::until(|| server.get("/readyz").status == 200);
    let waits = server.get("/admin/jobs").ok()["jobs"][0]["waits"].clone();
    assert!(waits.is_string(), "{waits}");
    drop(far);
    let settings = [("api_key", KEY), ("listen", address.as_str())];
    let _far = Server::start_with(&settings, common::two_fakes());
    common::until(|| server.get("/admin/jobs").ok()["jobs"][0]["status"] == "completed");
    assert_eq!(loaded(&server), [r#""fake-128""#, r#""fake-72""#]);
    let told = server.get("/collections/f").ok();
    assert_eq!(told["embedder"]["name"], "fake-72");
}

#[test]
fn a_key_for_the_other_server_needs_three_scopes_and_no_more() {
    let far = embedding();
    let url = format!("http://{}", far.addr());
    let key = |scopes: &[&str]| {
        let headers = [("api-key", KEY), ("content-type", "application/json")];
        let body = json!({"name": scopes.join("-"), "scopes": scopes}).to_string();
        let made = far
            .send("POST", "/admin/keys", &headers, body.as_bytes())
            .ok();
        made["secret"].as_str().unwrap_or_default().to_owned()
    };
    let all = ["read", "search", "embeddings"];
    let server = keeping(&url, &key(&all));
    let photos = |path: &str| server.form(path, &[("image", &photo(4))]);
    photos("/faces/embed").ok();
    photos("/faces/detect").ok();
    for lacks in all {
        let rest: Vec<&str> = all.into_iter().filter(|it| *it != lacks).collect();
        let server = keeping(&url, &key(&rest));
        let refused = server.form("/faces/embed", &[("image", &photo(4))]);
        let status = if lacks == "read" { 503 } else { 502 };
        let message = refused.refused(status);
        assert!(message.contains("refuses the key"), "{lacks}: {message}");
    }
}

/// Each waits until the other is there: one after another they would wait for ever.
#[test]
fn photos_of_a_batch_are_looked_at_by_the_other_server_at_the_same_time() {
    let both = Arc::new(Barrier::new(2));
    let met = move || -> Box<dyn FaceEmbedder> {
        let both = Arc::clone(&both);
        let act = move |_: &[u8]| {
            both.wait();
        };
        Box::new(Before {
            act,
            then: FakeEmbedder::new(),
        })
    };
    let settings = [
        ("api_key", KEY),
        ("embedding.workers", "2"),
        ("embedding.batch", "1"),
    ];
    let far = Server::start_with(&settings, made(met));
    let url = format!("http://{}", far.addr());
    let settings = [
        ("embedding.remote_url", url.as_str()),
        ("embedding.remote_key", KEY),
        ("embedding.workers", "1"),
        ("embedding.batch", "2"),
        ("embedding.batch_wait_ms", "1000"),
    ];
    let server = Server::start_with(&settings, Embedding::Models);
    common::until(|| server.get("/readyz").status == 200);
    let (one, other) = (photo(4), photo(9));
    let compared = server.form("/faces/compare", &[("image", &one), ("image", &other)]);
    compared.ok();
}

#[test]
fn a_photo_is_answered_as_soon_as_the_other_server_has_whatever_went_there_with_it() {
    let [first, slow, quick] = [4, 8, 12].map(photo);
    let ((began, begun), (go, wait)) = (channel(), channel::<()>());
    let (wait, held) = (Arc::new(Mutex::new(wait)), [first.clone(), slow.clone()]);
    let patient = move || -> Box<dyn FaceEmbedder> {
        let (began, wait, held) = (began.clone(), Arc::clone(&wait), held.clone());
        let act = move |image: &[u8]| {
            if held.iter().any(|it| it == image) {
                began.send(()).unwrap();
                wait.lock().recv().unwrap();
            }
        };
        Box::new(Before {
            act,
            then: FakeEmbedder::new(),
        })
    };
    let settings = [
        ("api_key", KEY),
        ("embedding.workers", "2"),
        ("embedding.batch", "1"),
    ];
    let far = Server::start_with(&settings, made(patient));
    let url = format!("http://{}", far.addr());
    let settings = [
        ("embedding.remote_url", url.as_str()),
        ("embedding.remote_key", KEY),
        ("embedding.workers", "1"),
    ];
    let server = Server::start_with(&settings, Embedding::Models);
    common::until(|| server.get("/readyz").status == 200);
    let (told, answers) = channel();
    std::thread::scope(|scope| {
        // Whoever still waits when something is wrong ends, and with it the test.
        let go = go;
        let ask = |name: &'static str, image: &[u8]| {
            let (server, told, image) = (&server, told.clone(), image.to_vec());
            scope.spawn(move || {
                server.form("/faces/detect", &[("image", &image)]).ok();
                told.send(name).unwrap();
            });
        };
        let minute = std::time::Duration::from_secs(60);
        let answered = || answers.recv_timeout(minute).unwrap_or("nobody");
        ask("first", &first);
        begun.recv_timeout(minute).unwrap();
        for (waiting, name, image) in [(1, "slow", &slow), (2, "quick", &quick)] {
            ask(name, image);
            let line = format!("doppel_pipeline_queue_length {waiting}\n");
            common::until(|| server.get("/metrics").text().contains(&line));
        }
        go.send(()).unwrap();
        let mut two = [answered(), answered()];
        two.sort_unstable();
        assert_eq!(two, ["first", "quick"]);
        go.send(()).unwrap();
        assert_eq!(answered(), "slow");
    });
}

#[test]
fn a_face_is_sent_along_cut_out_where_that_is_asked() {
    let server = Server::start();
    let image = ("image", &photo(4)[..]);
    let told = server
        .form("/faces/embed", &[image, ("with_crop", b"true")])
        .ok();
    let crop = told["faces"][0]["crop"].as_str().unwrap_or_default();
    assert!(crop.starts_with("/9j/"), "no JPEG: {crop}");
    assert_eq!(told["sha256"].as_str().map(str::len), Some(64));
    let without = server.form("/faces/embed", &[image]).ok();
    assert!(without["faces"][0].get("crop").is_none());
    let detect = server.form("/faces/detect", &[image, ("with_crop", b"true")]);
    assert!(detect.refused(400).contains("with_crop"));
}

/// The head's own file is there, not here: vectors cannot be mapped, and that is told.
#[test]
fn a_move_to_a_head_that_runs_only_on_the_other_server_goes_by_pictures_and_says_why() {
    let far = Server::start_with(&[("api_key", KEY)], common::fake_and_head());
    let server = keeping(&format!("http://{}", far.addr()), KEY);
    let models = server.get("/faces/models").ok();
    assert_eq!(models["models"][1]["name"], "fake-64");
    assert_eq!(models["models"][1]["base"]["name"], "fake-128");
    server.with_faces("f");
    let parts = [("image", &photo(4)[..]), ("keep_crop", b"true")];
    server.form(FACES, &parts).ok();
    let body = json!({"model": "fake-64", "keep_old": true});
    let job = server.post("/admin/collections/f/reembed", &body).ok();
    let job = format!("/admin/jobs/{}", job["id"]);
    common::until(|| server.get(&job).ok()["status"] == "completed");
    let result = &server.get(&job).ok()["result"];
    assert_eq!(
        (&result["of_vectors"], &result["of_crops"]),
        (&json!(0), &json!(1)),
        "{result}"
    );
    let why = result["by_pictures_because"].as_str().unwrap_or_default();
    assert!(
        why.contains("fake-64 is a head on fake-128") && why.contains("folder of models"),
        "{result}"
    );
}

/// Takes note of how small the faces are that are wanted.
struct Noting(FakeEmbedder, Arc<Mutex<Vec<u32>>>);

impl FaceEmbedder for Noting {
    fn model(&self) -> &ModelInfo {
        self.0.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        let smallest = photos.iter().map(|(_, want)| want.smallest);
        self.1.lock().extend(smallest);
        self.0.analyze_all(photos)
    }
}

#[test]
fn faces_smaller_than_a_request_wants_are_not_looked_for_also_on_another_server() {
    let noted = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&noted);
    let noting = made(move || Box::new(Noting(FakeEmbedder::new(), Arc::clone(&notes))));
    let far = Server::start_with(&[("api_key", KEY)], noting);
    let server = keeping(&format!("http://{}", far.addr()), KEY);
    server.with_faces("f");
    let image = photo(4);
    let (image, least) = (("image", &image[..]), ("min_face_size", &b"20.5"[..]));
    for path in [
        FACES,
        "/collections/f/faces/search",
        "/faces/detect",
        "/faces/embed",
    ] {
        server.form(path, &[image, least]).ok();
        server.form(path, &[image]).ok();
        assert_eq!(std::mem::take(&mut *noted.lock()), [20, 0], "{path}");
    }
    server.form("/faces/compare", &[image, image, least]).ok();
    assert_eq!(*noted.lock(), [20, 20]);
    let crowd = group(&[4; 103]);
    let told = server.form("/faces/detect", &[("image", &crowd)]).ok();
    assert_eq!(told["faces_left_out"], 3, "as the other server says");
}

/// Looks at its first photo until nobody waits for it any more; says when it begins and when it has seen that.
struct Lingering(FakeEmbedder, Arc<Mutex<Option<Sender<&'static str>>>>);

impl FaceEmbedder for Lingering {
    fn model(&self) -> &ModelInfo {
        self.0.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        self.0.analyze_all(photos)
    }

    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, embedder::Error>),
    ) {
        if let Some(says) = self.1.lock().take() {
            says.send("begun").expect("the test hears it");
            common::until(|| waiting(0) == Waiting::Over);
            says.send("left").expect("the test hears it");
        }
        self.0.analyze_awaited(photos, waiting, tell);
    }
}

#[test]
fn a_photo_whose_client_has_gone_is_left_by_the_other_server_too() {
    let (says, said) = channel();
    let says = Arc::new(Mutex::new(Some(says)));
    let lingering = made(move || Box::new(Lingering(FakeEmbedder::new(), Arc::clone(&says))));
    let far = Server::start_with(&[("api_key", KEY)], lingering);
    let url = format!("http://{}", far.addr());
    let settings = [
        ("embedding.remote_url", url.as_str()),
        ("embedding.remote_key", KEY),
        ("embedding.remote_timeout_s", "120"),
        // The next photo goes by the same line.
        ("embedding.workers", "1"),
    ];
    let server = Server::start_with(&settings, Embedding::Models);
    common::until(|| server.get("/readyz").status == 200);
    let image = photo(4);
    let head = format!(
        "POST /faces/embed HTTP/1.1\r\nhost: localhost\r\ncontent-type: image/png\r\ncontent-length: {}\r\n\r\n",
        image.len()
    );
    let mut client = TcpStream::connect(server.addr()).expect("it listens");
    let request = [head.as_bytes(), &image].concat();
    client.write_all(&request).expect("it reads");
    let patience = Duration::from_secs(60);
    assert_eq!(said.recv_timeout(patience), Ok("begun"));
    // One that ends its side within a second of its last byte may still be waiting.
    thread::sleep(Duration::from_secs(2));
    drop(client);
    assert_eq!(said.recv_timeout(patience), Ok("left"));
    // The next one finds its way there.
    let told = server.form("/faces/embed", &[("image", &image)]).ok();
    assert_eq!(told["faces"].as_array().map(Vec::len), Some(1), "{told}");
}
