//! `doppel reembed` against a server one of whose models takes its time.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::io::Cursor;
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use common::{code, complaint, doppel};
use config::{Config, Flag, Sources};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Want};
use image::{ImageFormat, Rgb, RgbImage};
use serde_json::{Value, json};
use server::{Embedding, Factory, Running};

/// Tells that it has photos, and waits to be let go.
struct Waiting {
    began: Sender<()>,
    go: Arc<Mutex<Receiver<()>>>,
    then: FakeEmbedder,
}

impl FaceEmbedder for Waiting {
    fn model(&self) -> &ModelInfo {
        self.then.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        let _ = self.began.send(());
        let _ = self.go.lock().unwrap().recv();
        self.then.analyze_all(photos)
    }
}

fn serve(dir: &std::path::Path, models: Vec<Arc<Factory>>) -> Running {
    let data = dir.join("data").display().to_string();
    let flags = [("data_dir", data.as_str()), ("listen", "127.0.0.1:0")];
    let sources = Sources {
        flags: flags
            .map(|(key, value)| Flag::new("test", key, value))
            .into(),
        ..Sources::default()
    };
    let config = Config::load(&sources).unwrap();
    let running = server::start_with(config, Embedding::Made(models)).unwrap();
    running.wait_ready().unwrap();
    running
}

fn text(url: &str, method: &str, path: &str, body: &Value) -> String {
    let request = ureq::http::Request::builder()
        .method(method)
        .uri(format!("{url}{path}"))
        .header("content-type", "application/json");
    let answer = ureq::Agent::new_with_defaults().run(request.body(body.to_string()).unwrap());
    answer.unwrap().body_mut().read_to_string().unwrap()
}

#[test]
fn a_move_is_given_up_by_another_name_of_the_collection_too_while_it_is_at_work() {
    let (began, at_work) = mpsc::channel();
    let (go, wait) = mpsc::channel::<()>();
    let wait = Arc::new(Mutex::new(wait));
    let quick: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new())));
    let slow: Arc<Factory> = Arc::new(move || {
        Ok(Box::new(Waiting {
            began: began.clone(),
            go: Arc::clone(&wait),
            then: FakeEmbedder::other(),
        }))
    });
    let folder = tempfile::tempdir().unwrap();
    let server = serve(folder.path(), vec![quick, slow]);
    let url = format!("http://{}", server.addr());
    let ask = |method: &str, path: &str, body: Value| text(&url, method, path, &body);
    let done = |method: &str, path: &str, body: Value| {
        let answer = ask(method, path, body);
        assert!(answer.contains("\"status\":\"ok\""), "{path}: {answer}");
    };
    done("PUT", "/collections/f", json!({"embedder": "fake-128"}));
    let alias = json!({"create_alias": {"collection_name": "f", "alias_name": "people"}});
    done("POST", "/collections/aliases", json!({"actions": [alias]}));
    let mut image = Cursor::new(Vec::new());
    let bright = RgbImage::from_pixel(32, 32, Rgb([200; 3]));
    bright.write_to(&mut image, ImageFormat::Png).unwrap();
    let image = BASE64_STANDARD.encode(image.into_inner());
    let photo = json!({"image": image, "keep_photo": true});
    done("POST", "/collections/f/faces", photo);
    let model = json!({"model": "fake-72"});
    done("POST", "/admin/collections/people/reembed", model);
    at_work.recv().unwrap();
    let command = ["reembed", "-c", "people", "--give-up"];
    let given_up = thread::scope(|scope| {
        let giving_up = scope.spawn(|| doppel(&[("DOPPEL_URL", &url)], &command));
        let cancelled = || {
            let metrics = ask("GET", "/metrics", Value::Null);
            let mut lines = metrics.lines();
            lines.any(|it| it.contains("\"/admin/jobs/{job}\"") && it.contains("DELETE"))
        };
        while !giving_up.is_finished() && !cancelled() {
            thread::yield_now();
        }
        drop(go);
        giving_up.join().unwrap()
    });
    assert_eq!(code(&given_up), 0, "{}", complaint(&given_up));
    let told: Value = serde_json::from_slice(&given_up.stdout).unwrap();
    assert_eq!(told["vector"], "fake-72");
    let left = ask("GET", "/collections/f", Value::Null);
    assert!(!left.contains("fake-72"), "{left}");
}
