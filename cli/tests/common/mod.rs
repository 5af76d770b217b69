//! A stand-in for a server, so that the client commands can meet answers that a healthy server
//! seldom gives: it keeps photos in memory, and is busy, picky or gone when told so.
#![allow(dead_code, reason = "no test file uses all of it")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

/// What the stand-in holds and how it behaves.
#[derive(Default)]
pub(crate) struct State {
    /// The images it has taken, by id, as they came.
    pub(crate) images: BTreeMap<String, Value>,
    pub(crate) collection: Option<Value>,
    /// Answers 503 this many times more.
    pub(crate) busy: usize,
    /// Refuses requests with more images, or points, than this as too large, with this status.
    pub(crate) most_images: Option<(usize, u16)>,
    /// Its disk has failed.
    pub(crate) read_only: bool,
    /// Breaks the connection once it holds this many images.
    pub(crate) gone_at: Option<usize>,
    pub(crate) api_key: Option<String>,
    /// Requests that added photos, successful or not.
    pub(crate) posts: usize,
    /// A process of whose memory every request takes note.
    pub(crate) watched: Option<u32>,
    /// The most that it has held, in KiB.
    pub(crate) peak_kib: u64,
}

pub(crate) struct FakeServer {
    pub(crate) url: String,
    state: Arc<Mutex<State>>,
}

impl FakeServer {
    pub(crate) fn start(state: State) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(state));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream.unwrap(), &shared));
            }
        });
        Self { url, state }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Runs `doppel` against it, with nothing of this process's own settings.
    pub(crate) fn doppel(&self, arguments: &[&str]) -> Output {
        doppel(&[("DOPPEL_URL", self.url.as_str())], arguments)
    }

    /// Runs `doppel` against it and says how much memory it has held, in KiB, by its last request.
    pub(crate) fn doppel_watched(&self, arguments: &[&str]) -> (Output, u64) {
        let mut command = command(&[("DOPPEL_URL", self.url.as_str())], arguments);
        let piped = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let running = piped.spawn().unwrap();
        (self.state().watched, self.state().peak_kib) = (Some(running.id()), 0);
        let output = running.wait_with_output().unwrap();
        let peak_kib = self.state().peak_kib;
        (output, peak_kib)
    }
}

/// Runs the binary with these variables and no other `DOPPEL_*` ones.
pub(crate) fn doppel(variables: &[(&str, &str)], arguments: &[&str]) -> Output {
    command(variables, arguments).output().unwrap()
}

/// What it ended with.
pub(crate) fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

/// What it complained of.
pub(crate) fn complaint(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// What it printed.
pub(crate) fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The same, to be started.
pub(crate) fn command(variables: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOPPEL_") {
            command.env_remove(name);
        }
    }
    // What is kept of imports that were stopped.
    command.env(
        "XDG_STATE_HOME",
        concat!(env!("CARGO_TARGET_TMPDIR"), "/state"),
    );
    command.envs(variables.iter().copied());
    command.args(arguments);
    command
}

/// The most memory that a process has held, as Linux tells it; 0 of one that has ended.
fn peak_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().strip_suffix(" kB"));
    number.map_or(0, |number| number.parse().unwrap())
}

/// Writes files, each holding its own path; folders come about as needed.
pub(crate) fn folder_with(files: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in files {
        let path = folder.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).unwrap();
        std::fs::write(path, file).unwrap();
    }
    folder
}

/// One request a connection. A client that goes away is none of the stand-in's business.
fn serve(stream: TcpStream, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap_or(0) == 0 {
            return;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |name: &str| {
        let found = lines.iter().filter_map(|line| line.split_once(": "));
        let mut found = found.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        found.next().map(|(_, value)| value.to_owned())
    };
    let length = header("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    if reader.read_exact(&mut body).is_err() {
        return;
    }
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let mut state = state.lock().unwrap();
    let Some((status, answer)) = state.answer(&lines[0], header("api-key"), &body) else {
        return;
    };
    let answer = answer.to_string();
    let length = answer.len();
    let retry = if status == 503 {
        "retry-after: 0\r\n"
    } else {
        ""
    };
    let text = format!(
        "HTTP/1.1 {status} Whatever\r\ncontent-type: application/json\r\n{retry}\
         content-length: {length}\r\nconnection: close\r\n\r\n{answer}"
    );
    drop(reader.get_mut().write_all(text.as_bytes()));
}

impl State {
    /// Status and body; nothing when the connection is to break.
    fn answer(&mut self, line: &str, key: Option<String>, body: &Value) -> Option<(u16, Value)> {
        if let Some(process) = self.watched {
            self.peak_kib = self.peak_kib.max(peak_kib(process));
        }
        if self.api_key.is_some() && key != self.api_key {
            return Some(failure(401, "wrong key"));
        }
        let (method, path) = line.trim_end_matches(" HTTP/1.1").split_once(' ').unwrap();
        let answer = match (method, path) {
            ("GET", "/collections") => success(json!({"collections": [{"name": "stars"}]})),
            ("GET", "/collections/stars") if self.collection.is_some() => success(json!({})),
            ("PUT", "/collections/stars") => {
                self.collection = Some(body.clone());
                success(json!(true))
            }
            ("POST", "/collections/stars/points") if self.collection.is_some() => {
                let ids = body["ids"].as_array().unwrap().iter();
                let known = ids.filter(|id| self.images.contains_key(id.as_str().unwrap()));
                success(known.map(|id| json!({"id": id})).collect())
            }
            ("PUT", "/collections/stars/points?wait=true") => self.put(body),
            ("POST", "/collections/stars/faces") => return self.add(body),
            ("POST", "/collections/stars/faces/search") => success(json!({"faces": [{
                "box": [1, 2, 3, 4], "landmarks": [], "confidence": 0.9, "hits": [{
                    "id": 7, "score": 0.5, "person": "Ada", "payload": {"file": "a.jpg"},
                    "image": null}],
            }]})),
            _ => failure(404, "no such thing"),
        };
        Some(answer)
    }

    fn too_many(&self, count: usize) -> Option<(u16, Value)> {
        if self.read_only {
            let mut refused = failure(507, "no space left on the device");
            refused.1["status"]["short_of"] = "disk".into();
            return Some(refused);
        }
        let (most, status) = self.most_images?;
        let mut refused = failure(status, "too large");
        if status == 507 {
            refused.1["status"]["short_of"] = "memory".into();
        }
        (count > most).then_some(refused)
    }

    fn put(&mut self, body: &Value) -> (u16, Value) {
        let points = body["points"].as_array().unwrap();
        if let Some(refused) = self.too_many(points.len()) {
            return refused;
        }
        for point in points {
            let id = point["id"].as_str().unwrap().to_owned();
            self.images.insert(id, point.clone());
        }
        success(json!({"status": "completed"}))
    }

    fn add(&mut self, body: &Value) -> Option<(u16, Value)> {
        self.posts += 1;
        if self
            .gone_at
            .is_some_and(|images| self.images.len() >= images)
        {
            return None;
        }
        if self.busy > 0 {
            self.busy -= 1;
            return Some(failure(503, "busy"));
        }
        let images = body["images"].as_array().unwrap();
        if let Some(refused) = self.too_many(images.len()) {
            return Some(refused);
        }
        let (mut faces, mut errors) = (Vec::new(), Vec::new());
        for (index, image) in images.iter().enumerate() {
            let id = image["id"].as_str().unwrap().to_owned();
            if image["name"].as_str().unwrap().contains("faceless") {
                let error = "no face found";
                errors.push(json!({"image_index": index, "status": 422, "error": error}));
            } else {
                let mut face = json!({"image_index": index, "id": id});
                if image["name"].as_str().unwrap().contains("twin") {
                    face["duplicate_of"] = json!({"id": 7, "score": 0.99});
                }
                faces.push(face);
                self.images.insert(id, image.clone());
            }
        }
        if images.len() == 1 && !errors.is_empty() {
            return Some(failure(422, "no face found"));
        }
        Some(success(json!({"faces": faces, "errors": errors})))
    }
}

fn success(result: Value) -> (u16, Value) {
    (200, json!({"result": result, "status": "ok", "time": 0.0}))
}

fn failure(status: u16, error: &str) -> (u16, Value) {
    (status, json!({"status": {"error": error}, "time": 0.0}))
}
