//! Collections moved from one model to another, over HTTP with two stand-ins for the models: what
//! was kept is embedded anew, searches go on meanwhile, nothing is lost unseen.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod changed;
mod ended;
mod heads;
mod nodes;

use crate::common;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use common::{Before, Server, fake_and_head, fakes_and_joint, photo, two_fakes, until};
use embedder::FakeEmbedder;
use engine::{CollectionChange, Engine, Options};
use parking_lot::Mutex;
use serde_json::{Value, json};
use server::{Embedding, Factory};

const FACES: &str = "/collections/f/faces";
const SEARCH: &str = "/collections/f/faces/search";
const REEMBED: &str = "/admin/collections/f/reembed";

fn add(server: &Server, id: u32, fields: &[(&str, &[u8])]) -> Value {
    let (image, id) = (photo(id), id.to_string());
    let parts = [("image", image.as_slice()), ("id", id.as_bytes())];
    server.form(FACES, &[&parts, fields].concat()).ok()
}

/// Two models, of which the second says that it looks at a photo, and waits until it may.
fn one_that_waits() -> (Embedding, Receiver<()>, Sender<()>) {
    let (looked, seen) = channel::<()>();
    let (go, wait) = channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let one: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let other: Arc<Factory> = Arc::new(move || {
        let (looked, wait) = (looked.clone(), wait.clone());
        let act = move |_: &[u8]| {
            looked.send(()).unwrap();
            wait.lock().recv().unwrap_or_default();
        };
        Ok(Box::new(Before {
            act,
            then: FakeEmbedder::other(),
        }) as _)
    });
    (Embedding::Made(vec![one, other]), seen, go)
}

/// A server with those. Where a test fails it may before the server is to end, which waits for it.
fn one_waiting() -> (Server, Receiver<()>, Sender<()>) {
    let (models, seen, go) = one_that_waits();
    (Server::start_with(&[], models), seen, go)
}

/// Of one the photo is kept, of one the crop, of one nothing.
fn fill(server: &Server) {
    server.with_faces("f");
    add(
        server,
        4,
        &[("keep_photo", b"true"), ("keep_crop", b"false")],
    );
    add(server, 9, &[("person", b"Ada")]);
    add(server, 14, &[("keep_crop", b"false")]);
}

fn ended(server: &Server, id: &Value) -> Value {
    loop {
        let job = server.get(&format!("/admin/jobs/{id}")).ok();
        if job["status"] != "running" {
            return job;
        }
        std::thread::yield_now();
    }
}

fn reembed(server: &Server, body: &Value) -> Value {
    let started = server.post(REEMBED, body).ok();
    let job = ended(server, &started["id"]);
    assert_eq!(job["status"], "completed", "{job}");
    job["result"].clone()
}

fn best(server: &Server, columns: u32) -> (Value, String) {
    let found = server.form(SEARCH, &[("image", &photo(columns))]).ok();
    let hit = found["faces"][0]["hits"][0]["id"].clone();
    (hit, found["model"].as_str().unwrap().to_owned())
}

fn vectors(server: &Server, id: u32) -> Vec<String> {
    let body = json!({"ids": [id], "with_vector": true});
    let point = server.post("/collections/f/points", &body).ok();
    match &point[0]["vector"] {
        Value::Array(_) => vec![String::new()],
        Value::Object(named) => named.keys().cloned().collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_is_kept_is_embedded_anew_and_what_is_not_keeps_the_old_vector_in_place() {
    let server = Server::start_with(&[], two_fakes());
    fill(&server);
    let result = reembed(&server, &json!({"model": "fake-72"}));
    assert_eq!(result["of_photos"], 1, "{result}");
    assert_eq!(result["of_crops"], 1, "{result}");
    assert_eq!(result["missing"]["no_picture"], 1, "{result}");
    let first = json!([{"id": 14, "why": "no_picture"}]);
    assert_eq!(result["missing"]["first"], first);
    assert_eq!(result["without_new_vector"], 1);
    assert_eq!(result["old_vector"], "kept");
    assert_eq!(best(&server, 14), (json!(14), "fake-128".into()));
    // New photos get both as long as the old one is there.
    add(&server, 20, &[]);
    assert_eq!(vectors(&server, 20), ["", "fake-72"]);

    let again = json!({"model": "fake-72", "accept_missing": true});
    let result = reembed(&server, &again);
    assert_eq!(
        (&result["embedded"], &result["old_vector"]),
        (&json!(0), &json!("removed"))
    );
    for columns in [4, 9, 20] {
        let hit = best(&server, columns);
        assert_eq!(hit, (json!(columns), "fake-72".into()));
    }
    assert_eq!(vectors(&server, 14), [""; 0]);
    let kept = server.get("/collections/f/faces/9").ok();
    assert_eq!(kept["person"], "Ada");
    let told = server.get("/collections/f").ok();
    assert_eq!(told["embedder"]["name"], "fake-72");
    assert!(told["config"]["metadata"].is_null(), "{told}");
    // And back, from a vector with a name.
    add(&server, 25, &[]);
    let result = reembed(&server, &json!({"model": "fake-128"}));
    assert_eq!(result["of_crops"], 3, "{result}");
    assert_eq!(best(&server, 25), (json!(25), "fake-128".into()));
}

#[test]
fn giving_up_takes_no_vector_away_that_was_there_before_the_move() {
    let server = Server::start_with(&[], two_fakes());
    server.with_faces("f");
    add(&server, 9, &[]);
    reembed(&server, &json!({"model": "fake-72", "keep_old": true}));
    let point = json!({"id": 30, "vector": vec![0.5; 128]});
    let points = json!({"points": [point]});
    server.put("/collections/f/points?wait=true", &points).ok();
    // The same again, to end with the new vector alone, which it cannot: a point has no picture.
    let result = reembed(&server, &json!({"model": "fake-72", "keep_old": false}));
    assert_eq!(result["old_vector"], "kept", "{result}");
    server.delete(REEMBED).refused(409);
    assert_eq!(vectors(&server, 9), ["", "fake-72"]);
}

/// A move as it stands in the metadata.
fn noted(state: &str) -> Value {
    json!({
        "model": "fake-72", "from": "", "to": "fake-72", "keep_old": false,
        "accept_missing": false, "state": state,
    })
}

/// Writes into a data folder that its collection is being moved.
fn note(data: &Path, state: &str) {
    note_as(data, noted(state));
}

fn note_as(data: &Path, told: Value) {
    let engine = Engine::open(Options::new(data)).unwrap();
    let metadata = [("reembedding".to_owned(), told)];
    let change = CollectionChange {
        metadata: Some(metadata.into_iter().collect()),
        ..CollectionChange::default()
    };
    engine.update_collection("f", change).unwrap();
    engine.shutdown().unwrap();
}

/// What a server that was killed in the middle leaves: that it is under way stands in the metadata,
/// and some points have the new vector.
#[test]
fn a_move_goes_on_after_a_restart_with_those_that_are_not_done() {
    let mut server = Server::start_with(&[], two_fakes());
    server.with_faces("f");
    for id in 1..=20 {
        add(&server, id, &[]);
    }
    let new = json!({"dense": {"embedder": "fake-72"}});
    server.put("/collections/f/vectors/fake-72", &new).ok();
    for id in 1..=12 {
        let (image, model) = (photo(id), b"fake-72".as_slice());
        let parts = [("image", image.as_slice()), ("model", model)];
        let told = server.form("/faces/embed", &parts).ok();
        let vector = &told["faces"][0]["vector"];
        let points = json!({"points": [{"id": id, "vector": {"fake-72": vector}}]});
        server.put("/collections/f/points/vectors", &points).ok();
    }
    let metadata = json!({"metadata": {"reembedding": noted("running")}});
    // The server's own, which nobody else may say.
    server
        .json("PATCH", "/collections/f", &metadata)
        .refused(400);
    server.restart_as_after(two_fakes(), |data| note(data, "running"));
    let jobs = server.get("/admin/jobs").ok();
    let job = &jobs["jobs"][0];
    assert_eq!(job["kind"], "reembed", "{jobs}");
    let result = ended(&server, &job["id"])["result"].clone();
    assert_eq!(result["embedded"], 8, "{result}");
    assert_eq!(result["old_vector"], "removed", "{result}");
    for id in 1..=20 {
        assert_eq!(vectors(&server, id), ["fake-72"]);
        assert_eq!(best(&server, id), (json!(id), "fake-72".into()));
    }
    server.restart_as(two_fakes());
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
}

/// The new model of a move, and the old one, which is there only once the test lets it.
fn new_before_old() -> (Embedding, Sender<()>) {
    let (go, wait) = channel::<()>();
    let wait = Mutex::new(wait);
    let new: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::other()) as _));
    let old: Arc<Factory> = Arc::new(move || {
        wait.lock().recv().unwrap_or_default();
        Ok(Box::new(FakeEmbedder::new()) as _)
    });
    (Embedding::Made(vec![new, old]), go)
}

#[test]
fn photos_that_come_before_both_models_of_a_move_are_there_are_to_be_sent_again() {
    let mut server = Server::start_with(&[], two_fakes());
    server.with_faces("f");
    add(&server, 4, &[]);
    let new = json!({"dense": {"embedder": "fake-72"}});
    server.put("/collections/f/vectors/fake-72", &new).ok();
    let (models, go) = new_before_old();
    server.restart_while_loading(models, |data| note(data, "stopped"));
    until(|| {
        let told = server.get("/faces/models");
        told.status == 200 && told.ok()["models"][0]["name"] == "fake-72"
    });
    let image = photo(9);
    for path in [FACES, SEARCH] {
        let answer = server.form(path, &[("image", &image)]);
        assert!(answer.response.headers().contains_key("retry-after"));
        let told = answer.refused(503);
        assert!(told.contains("being loaded"), "{path}: {told}");
    }
    drop(go);
    until(|| server.form(SEARCH, &[("image", &image)]).status == 200);
    add(&server, 9, &[]);
    assert_eq!(vectors(&server, 9), ["", "fake-72"]);
    assert_eq!(best(&server, 9), (json!(9), "fake-128".into()));
    // A server that has lost the old one would keep faces that no search finds, and search what is half made.
    let new: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::other()) as _));
    server.restart_as(Embedding::Made(vec![new]));
    for path in [FACES, SEARCH] {
        let told = server.form(path, &[("image", &image)]).refused(409);
        assert!(told.contains("fake-128"), "{path}: {told}");
    }
}

#[test]
fn a_move_that_is_cancelled_stays_so_and_searches_go_by_the_old_model() {
    let (mut server, seen, go) = one_waiting();
    server.with_faces("f");
    for id in 1..=3 {
        add(&server, id, &[]);
    }
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    seen.recv().unwrap();
    assert_eq!(best(&server, 3), (json!(3), "fake-128".into()));
    let second = server.post(REEMBED, &json!({"model": "fake-72"}));
    assert!(second.refused(409).contains(&job["id"].to_string()));
    server.delete(&format!("/admin/jobs/{}", job["id"])).ok();
    drop(go);
    assert_eq!(ended(&server, &job["id"])["status"], "cancelled");
    server.restart_as(two_fakes());
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
    assert_eq!(best(&server, 2), (json!(2), "fake-128".into()));
    let result = reembed(&server, &json!({"model": "fake-72"}));
    assert_eq!(result["old_vector"], "removed", "{result}");
}

#[test]
fn a_photo_whose_vector_goes_while_it_is_looked_at_is_to_be_sent_again() {
    let (server, seen, go) = one_waiting();
    server.with_faces("f");
    let new = json!({"dense": {"embedder": "fake-72"}});
    for path in ["/collections/f/faces", "/collections/f/faces/search"] {
        server.put("/collections/f/vectors/fake-72", &new).ok();
        std::thread::scope(|scope| {
            let sent = scope.spawn(|| {
                let image = photo(4);
                let using = b"fake-72".as_slice();
                server.form(path, &[("image", &image), ("using", using)])
            });
            seen.recv().unwrap();
            server.delete("/collections/f/vectors/fake-72").ok();
            go.send(()).unwrap();
            assert!(sent.join().unwrap().refused(503).contains("send it again"));
        });
    }
}

/// A kill may come right after the answer: by then the next start must know of it.
#[test]
fn a_move_that_was_answered_is_in_the_log() {
    let (server, seen, go) = one_waiting();
    fill(&server);
    let job = server.post(REEMBED, &json!({"model": "fake-72"})).ok();
    let told = server.get("/collections/f").ok();
    let noted = &told["config"]["metadata"]["reembedding"];
    assert_eq!(noted["state"], "running", "{told}");
    seen.recv().unwrap();
    drop(go);
    assert_eq!(ended(&server, &job["id"])["status"], "completed");
}

#[test]
fn what_cannot_be_moved_is_told_and_nothing_is_changed() {
    let server = Server::start_with(&[], two_fakes());
    fill(&server);
    server.with_vectors("plain", 4, "Dot");
    let told = |body: Value, status: u16| server.post(REEMBED, &body).refused(status);
    assert!(told(json!({"model": "nobody"}), 400).contains("`fake-72`"));
    assert!(told(json!({"model": "facenet-128"}), 501).contains("models install"));
    assert!(told(json!({"model": "fake-128"}), 409).contains("already"));
    assert!(told(json!({"model": "fake-72", "from": "x"}), 400).contains("`x`"));
    assert!(told(json!({"model": "fake-72", "vector": ""}), 400).contains("`vector`"));
    assert!(told(json!({"models": "fake-72"}), 400).contains("models"));
    let plain = server.post(
        "/admin/collections/plain/reembed",
        &json!({"model": "fake-72"}),
    );
    assert!(plain.refused(409).contains("no vector that a model makes"));
    let missing = server.post(
        "/admin/collections/no/reembed",
        &json!({"model": "fake-72"}),
    );
    assert!(missing.refused(404).contains("`no`"));
    assert_eq!(vectors(&server, 9), [""]);
    assert_eq!(server.get("/admin/jobs").ok()["jobs"], json!([]));
}

#[test]
fn photos_are_looked_at_by_the_model_that_is_named() {
    let server = Server::start_with(&[], two_fakes());
    let embed = |fields: &[(&str, &[u8])]| {
        let image = photo(4);
        let parts = [&[("image", image.as_slice())], fields].concat();
        server.form("/faces/embed", &parts)
    };
    let size = |told: &Value| told["faces"][0]["vector"].as_array().unwrap().len();
    let told = embed(&[]).ok();
    assert_eq!((&told["model"], size(&told)), (&json!("fake-128"), 128));
    let told = embed(&[("model", b"fake-72")]).ok();
    assert_eq!((&told["model"], size(&told)), (&json!("fake-72"), 72));
    assert!(
        embed(&[("model", b"nobody")])
            .refused(400)
            .contains("`fake-72`")
    );
    let (a, b) = (photo(4), photo(5));
    let both = [
        ("image", a.as_slice()),
        ("image", &b),
        ("model", b"fake-72"),
    ];
    assert_eq!(
        server.form("/faces/compare", &both).ok()["model"],
        "fake-72"
    );
    let models = server.get("/faces/models").ok();
    let names = models["models"].as_array().unwrap().iter();
    let loaded: Vec<_> = names.filter(|it| it["loaded"] == true).collect();
    assert_eq!(loaded.len(), 2, "{models}");
    assert_eq!(models["models"][2]["name"], "facenet-128");
}

/// Of one photo, one crop, nothing, and a vector that never had a face: all move, and find what they
/// found; what a photo gives then is what the old vector gave.
#[test]
fn a_move_to_a_head_maps_the_vectors_that_are_there_and_needs_no_pictures() {
    let server = Server::start_with(&[], fake_and_head());
    fill(&server);
    let image = photo(30);
    let told = server
        .form("/faces/embed", &[("image", image.as_slice())])
        .ok();
    let vector = &told["faces"][0]["vector"];
    let points = json!({"points": [{"id": 30, "vector": vector}]});
    server.put("/collections/f/points?wait=true", &points).ok();
    let result = reembed(&server, &json!({"model": "fake-64", "keep_old": false}));
    assert_eq!(result["of_vectors"], 4, "{result}");
    assert_eq!(
        (&result["of_photos"], &result["of_crops"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(result["old_vector"], "removed", "{result}");
    for id in [4, 9, 14, 30] {
        assert_eq!(vectors(&server, id), ["fake-64"]);
        assert_eq!(best(&server, id), (json!(id), "fake-64".into()));
    }
    let image = photo(14);
    let parts = [("image", image.as_slice()), ("model", b"fake-64")];
    let fresh = server.form("/faces/embed", &parts).ok()["faces"][0]["vector"].clone();
    let body = json!({"ids": [14], "with_vector": true});
    let kept = server.post("/collections/f/points", &body).ok();
    let kept = kept[0]["vector"]["fake-64"].as_array().unwrap();
    assert_eq!(kept.len(), 64);
    let apart = kept.iter().zip(fresh.as_array().unwrap());
    let apart = apart.map(|(a, b)| (a.as_f64().unwrap() - b.as_f64().unwrap()).abs());
    assert!(apart.fold(0.0, f64::max) < 1e-5);
    // And a collection begins on it.
    server
        .put("/collections/g", &json!({"embedder": "fake-64"}))
        .ok();
    let told = server.get("/collections/g").ok();
    assert_eq!(told["config"]["params"]["vectors"]["size"], 64, "{told}");
}

#[test]
fn a_collection_moves_to_a_model_of_two_networks_whose_cosines_are_the_means_of_theirs() {
    let server = Server::start_with(&[], fakes_and_joint());
    server.with_faces("f");
    add(&server, 4, &[("keep_photo", b"true")]);
    add(&server, 9, &[("keep_photo", b"true")]);
    let result = reembed(&server, &json!({"model": "fake-200"}));
    assert_eq!(
        (&result["of_photos"], &result["old_vector"]),
        (&json!(2), &json!("removed"))
    );
    let told = server.get("/collections/f").ok();
    assert_eq!(told["config"]["params"]["vectors"]["fake-200"]["size"], 200);
    assert_eq!(best(&server, 9), (json!(9), "fake-200".into()));
    let cosine = |model: &str| {
        let (one, other) = (photo(4), photo(9));
        let parts: [(&str, &[u8]); 3] = [
            ("image", &one),
            ("image", &other),
            ("model", model.as_bytes()),
        ];
        let told = server.form("/faces/compare", &parts).ok();
        told["score"].as_f64().unwrap()
    };
    let [one, other, both] = ["fake-128", "fake-72", "fake-200"].map(cosine);
    assert!((one - other).abs() > 1e-3, "{one} {other}");
    assert!(
        (both - f64::midpoint(one, other)).abs() < 1e-4,
        "{one} {other} {both}"
    );
}

#[test]
fn a_head_has_no_workers_of_its_own_but_goes_by_those_of_its_base() {
    let made = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&made);
    let factory: Arc<Factory> = Arc::new(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(FakeEmbedder::new()))
    });
    let models = Embedding::MadeWithHeads(vec![factory], vec![FakeEmbedder::head()]);
    let server = Server::start_with(&[("embedding.workers", "2")], models);
    let image = photo(4);
    let embed = |model: &[u8]| {
        let parts = [("image", image.as_slice()), ("model", model)];
        server.form("/faces/embed", &parts).ok()["faces"][0]["vector"].clone()
    };
    let numbers = |vector: &Value| -> Vec<f32> { serde_json::from_value(vector.clone()).unwrap() };
    let (base, head) = (numbers(&embed(b"fake-128")), numbers(&embed(b"fake-64")));
    let mapped = FakeEmbedder::head().map(&[base]).unwrap();
    assert_eq!(head.len(), 64);
    let apart = head.iter().zip(&mapped[0]).map(|(a, b)| (a - b).abs());
    assert!(apart.fold(0.0, f32::max) < 1e-6);
    assert_eq!(made.load(Ordering::Relaxed), 2);
}
