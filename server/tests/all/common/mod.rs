//! A server on a port of its own with a data folder of its own, spoken to over HTTP only; its
//! embedder is the stand-in, or one that waits until the test lets it go on.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use config::{Config, Flag, Sources};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Waiting, Want};
use serde_json::{Value, json};
use server::{Embedding, Factory, Running};
use ureq::http::{Method, Request, Response};
use ureq::{Agent, Body};

/// A server that is stopped at the end of its test.
pub(crate) struct Server {
    running: Option<Running>,
    agent: Agent,
    base: String,
    dir: tempfile::TempDir,
}

/// An answer that has been read to its end.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) response: Response<()>,
    pub(crate) bytes: Vec<u8>,
}

impl Server {
    /// With default settings and the stand-in.
    pub(crate) fn start() -> Self {
        Self::start_with(&[], fake())
    }

    pub(crate) fn start_with(settings: &[(&'static str, &str)], embedding: Embedding) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), settings, embedding)
    }

    /// One whose models need not be there yet.
    pub(crate) fn starting(settings: &[(&'static str, &str)], embedding: Embedding) -> Self {
        Self::of(tempfile::tempdir().unwrap(), settings, embedding)
    }

    /// In the folder of one that was stopped; it may wait for others.
    pub(crate) fn starting_in(
        dir: tempfile::TempDir,
        settings: &[(&'static str, &str)],
        embedding: Embedding,
    ) -> Self {
        Self::of(dir, settings, embedding)
    }

    /// In the folder of one that was stopped.
    pub(crate) fn start_in(
        dir: tempfile::TempDir,
        settings: &[(&'static str, &str)],
        embedding: Embedding,
    ) -> Self {
        let server = Self::of(dir, settings, embedding);
        server.running.as_ref().unwrap().wait_ready().unwrap();
        server
    }

    fn of(dir: tempfile::TempDir, settings: &[(&'static str, &str)], embedding: Embedding) -> Self {
        let running = running(dir.path(), settings, embedding);
        let agent = Agent::config_builder().http_status_as_error(false).build();
        Self {
            base: format!("http://{}", running.addr()),
            running: Some(running),
            agent: agent.new_agent(),
            dir,
        }
    }

    /// Stops it and starts it again over the same data.
    pub(crate) fn restart(&mut self) {
        self.restart_after(|_| {});
    }

    /// Stops it and starts it again with other settings.
    pub(crate) fn restart_with(&mut self, settings: &[(&'static str, &str)]) {
        self.running.take().unwrap().stop().unwrap();
        let running = running(self.dir.path(), settings, fake());
        running.wait_ready().unwrap();
        self.base = format!("http://{}", running.addr());
        self.running = Some(running);
    }

    /// Stops it and starts it again with other models.
    pub(crate) fn restart_as(&mut self, embedding: Embedding) {
        self.restart_as_after(embedding, |_| {});
    }

    /// Stops it, has something done to the data folder, and starts it again.
    pub(crate) fn restart_after(&mut self, harm: impl FnOnce(&Path)) {
        self.restart_as_after(fake(), harm);
    }

    pub(crate) fn restart_as_after(&mut self, embedding: Embedding, harm: impl FnOnce(&Path)) {
        self.restart_while_loading(embedding, harm);
        self.running.as_ref().unwrap().wait_ready().unwrap();
    }

    /// The same, and does not wait for its models.
    pub(crate) fn restart_while_loading(&mut self, embedding: Embedding, harm: impl FnOnce(&Path)) {
        self.running.take().unwrap().stop().unwrap();
        harm(&self.data_dir());
        let running = running(self.dir.path(), &[], embedding);
        self.base = format!("http://{}", running.addr());
        self.running = Some(running);
    }

    /// Stops it; its folder goes on.
    pub(crate) fn stop(mut self) -> tempfile::TempDir {
        self.running.take().unwrap().stop().unwrap();
        std::mem::replace(&mut self.dir, tempfile::tempdir().unwrap())
    }

    /// Stops it, which may fail.
    pub(crate) fn stopped(mut self) -> Result<(), server::Error> {
        self.running.take().unwrap().stop()
    }

    pub(crate) fn data_dir(&self) -> std::path::PathBuf {
        self.dir.path().join("data")
    }

    pub(crate) fn addr(&self) -> std::net::SocketAddr {
        self.running.as_ref().unwrap().addr()
    }

    pub(crate) fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Answer {
        let mut request = Request::builder()
            .method(Method::from_bytes(method.as_bytes()).unwrap())
            .uri(format!("{}{path}", self.base));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = if body.is_empty() {
            self.agent.run(request.body(()).unwrap())
        } else {
            self.agent.run(request.body(body).unwrap())
        };
        answer(response.unwrap())
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.send("GET", path, &[], &[])
    }

    pub(crate) fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, &[], &[])
    }

    pub(crate) fn json(&self, method: &str, path: &str, body: &Value) -> Answer {
        self.raw(method, path, &body.to_string())
    }

    pub(crate) fn raw(&self, method: &str, path: &str, body: &str) -> Answer {
        let headers = [("content-type", "application/json")];
        self.send(method, path, &headers, body.as_bytes())
    }

    pub(crate) fn post(&self, path: &str, body: &Value) -> Answer {
        self.json("POST", path, body)
    }

    pub(crate) fn put(&self, path: &str, body: &Value) -> Answer {
        self.json("PUT", path, body)
    }

    /// A form; parts named `image` are files.
    pub(crate) fn form(&self, path: &str, parts: &[(&str, &[u8])]) -> Answer {
        let (content_type, body) = form(parts);
        self.send("POST", path, &[("content-type", &content_type)], &body)
    }

    /// A collection of plain vectors.
    pub(crate) fn with_vectors(&self, name: &str, size: usize, distance: &str) {
        let body = json!({"vectors": {"size": size, "distance": distance}});
        self.put(&format!("/collections/{name}"), &body).ok();
    }

    /// A collection whose one point has a long text.
    pub(crate) fn with_long_text(&self, name: &str) {
        self.with_vectors(name, 2, "Dot");
        let payload = json!({"text": "some words ".repeat(80_000)});
        let point = json!({"id": 1, "vector": [1, 2], "payload": payload});
        let path = format!("/collections/{name}/points?wait=true");
        self.put(&path, &json!({ "points": [point] })).ok();
    }

    /// A filter that lets no point through, and takes so long at least for it, however quick this
    /// machine is: each of its conditions reads that text.
    pub(crate) fn slow_filter(&self, name: &str, at_least: Duration) -> Value {
        let path = format!("/collections/{name}/points/count");
        let mut conditions = 1;
        loop {
            let condition = json!({"key": "text", "match": {"text": "others"}});
            let filter = json!({"should": vec![condition; conditions]});
            let started = Instant::now();
            self.post(&path, &json!({ "filter": filter })).ok();
            let took = started.elapsed();
            if took >= at_least {
                return filter;
            }
            conditions *= if took * 8 < at_least { 8 } else { 2 };
        }
    }

    /// A collection that takes photos.
    pub(crate) fn with_faces(&self, name: &str) {
        let body = json!({"embedder": "fake-128"});
        self.put(&format!("/collections/{name}"), &body).ok();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(running) = self.running.take() {
            let stopped = running.stop();
            if !std::thread::panicking() {
                stopped.unwrap();
            }
        }
    }
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }

    pub(crate) fn body(&self) -> Value {
        serde_json::from_slice(&self.bytes).unwrap_or_else(|_| panic!("no JSON: {}", self.text()))
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.response.headers().get(name);
        value.map_or("", |value| value.to_str().unwrap())
    }

    /// The result of a success, in its frame.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text());
        let mut body = self.body();
        assert_eq!(body["status"], "ok");
        assert!(body["time"].as_f64().unwrap() > 0.0, "{body}");
        body["result"].take()
    }

    /// The sentence of a refusal with this status, in its frame.
    #[track_caller]
    pub(crate) fn refused(self, status: u16) -> String {
        assert_eq!(self.status, status, "{}", self.text());
        let body = self.body();
        assert!(body["time"].is_number(), "{body}");
        body["status"]["error"].as_str().unwrap().to_owned()
    }
}

fn answer(response: Response<Body>) -> Answer {
    let (parts, body) = response.into_parts();
    let bytes = body.into_with_config().limit(64 << 20).read_to_vec();
    Answer {
        status: parts.status.as_u16(),
        bytes: bytes.unwrap(),
        response: Response::from_parts(parts, ()),
    }
}

/// Settings of a server over a folder, on a free port, that never fetches models.
pub(crate) fn config(dir: &Path, settings: &[(&'static str, &str)]) -> Config {
    let (data, models) = (dir.join("data"), dir.join("models"));
    let mut flags = vec![
        Flag::new("test", "data_dir", data.to_str().unwrap()),
        Flag::new("test", "models_dir", models.to_str().unwrap()),
        Flag::new("test", "models.install_on_start", "false"),
        Flag::new("test", "listen", "127.0.0.1:0"),
        Flag::new("test", "server.workers", "2"),
    ];
    flags.extend(
        settings
            .iter()
            .map(|(key, value)| Flag::new("test", key, *value)),
    );
    let sources = Sources {
        flags,
        ..Sources::default()
    };
    Config::load(&sources).unwrap()
}

fn running(dir: &Path, settings: &[(&'static str, &str)], embedding: Embedding) -> Running {
    server::start_with(config(dir, settings), embedding).unwrap()
}

/// Waits for what the server does by itself; a minute is more than it ever takes.
#[track_caller]
pub(crate) fn until(is_so: impl Fn() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_so() {
        assert!(Instant::now() < end, "a minute was not enough");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(crate) fn fake() -> Embedding {
    made(|| Box::new(FakeEmbedder::new()))
}

/// Two models whose vectors are not comparable.
pub(crate) fn two_fakes() -> Embedding {
    let one: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let other: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::other()) as _));
    Embedding::Made(vec![one, other])
}

/// A model and a head on it.
pub(crate) fn fake_and_head() -> Embedding {
    let one: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    Embedding::MadeWithHeads(vec![one], vec![FakeEmbedder::head()])
}

/// Two models, and one that has the networks of both.
pub(crate) fn fakes_and_joint() -> Embedding {
    let one: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::new()) as _));
    let other: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::other()) as _));
    let both: Arc<Factory> = Arc::new(|| Ok(Box::new(FakeEmbedder::joint()) as _));
    Embedding::Made(vec![one, other, both])
}

pub(crate) fn made(make: impl Fn() -> Box<dyn FaceEmbedder> + Send + Sync + 'static) -> Embedding {
    let factory: Arc<Factory> = Arc::new(move || Ok(make()));
    Embedding::Made(vec![factory])
}

/// Does with each photo what the test says, then what the stand-in does.
pub(crate) struct Before<F> {
    pub(crate) act: F,
    pub(crate) then: FakeEmbedder,
}

impl<F: FnMut(&[u8]) + Send> FaceEmbedder for Before<F> {
    fn model(&self) -> &ModelInfo {
        self.then.model()
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        for (image, _) in photos {
            (self.act)(image);
        }
        self.then.analyze_all(photos)
    }

    fn analyze_awaited(
        &mut self,
        photos: &[(&[u8], Want)],
        waiting: &dyn Fn(usize) -> Waiting,
        tell: &mut dyn FnMut(usize, Result<Analysis, embedder::Error>),
    ) {
        for (at, (image, _)) in photos.iter().enumerate() {
            if waiting(at) != Waiting::Over {
                (self.act)(image);
            }
        }
        self.then.analyze_awaited(photos, waiting, tell);
    }
}

/// The files below a folder that hold these bytes.
pub(crate) fn holding(dir: &Path, needle: &[u8]) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path)
                .unwrap()
                .windows(needle.len())
                .any(|run| run == needle)
            {
                found.push(path.display().to_string());
            }
        }
    }
    found
}

fn form(parts: &[(&str, &[u8])]) -> (String, Vec<u8>) {
    let boundary = "a-line-that-no-photo-holds";
    let mut body = Vec::new();
    for (name, bytes) in parts {
        let file = if *name == "image" {
            "; filename=\"a.png\""
        } else {
            ""
        };
        let head = format!(
            "--{boundary}\r\ncontent-disposition: form-data; name=\"{name}\"{file}\r\n\r\n"
        );
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(bytes);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(format!("--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

/// A PNG whose left part is bright: the stand-in tells such photos apart by how much of it.
pub(crate) fn photo(bright_columns: u32) -> Vec<u8> {
    group(&[bright_columns])
}

/// A PNG of several such faces side by side.
pub(crate) fn group(bright_columns: &[u32]) -> Vec<u8> {
    let width = 32 * u32::try_from(bright_columns.len()).unwrap();
    let picture = image::RgbImage::from_fn(width, 32, |x, y| {
        let face = usize::try_from(x / 32).unwrap();
        let bright = x % 32 < bright_columns[face];
        let base = if bright { 200 } else { 30 };
        let shade = base + u8::try_from(y).unwrap();
        image::Rgb([shade; 3])
    });
    png(&picture)
}

/// A PNG in which the stand-in finds no face.
pub(crate) fn faceless() -> Vec<u8> {
    png(&image::RgbImage::new(32, 32))
}

fn png(picture: &image::RgbImage) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture
        .write_to(&mut bytes, image::ImageFormat::Png)
        .unwrap();
    bytes.into_inner()
}
