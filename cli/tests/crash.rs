//! A server that is killed (`SIGKILL`) again and again while photos come in, as processes of their
//! own: what was acknowledged is there and found, and the import goes on where it was.
//!
//! Once with the stand-in for the models, which needs nothing, and once with the real binary, the
//! real models and real photos, where those are.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use config::{Config, Flag, Sources};
use embedder::{Analysis, FaceEmbedder, FakeEmbedder, ModelInfo, Want};
use serde_json::{Value, json};
use server::{Embedding, Factory};
use ureq::Agent;

const ROUNDS: u64 = 10;
/// Photos that the other client adds in a round, at most.
const INSERTS: u64 = 40;
/// Photos that the stand-in looks at in a round, at most.
const LOOKS: u64 = 190;
/// Photos to import with the stand-in: more than it can look at before the last round, however long
/// a busy machine lets the test wait before it kills.
const PHOTOS: u32 = 2_000;
const COLLECTION: &str = "/collections/people";

/// A process that serves a data folder.
struct Process {
    child: Child,
    url: String,
    agent: Agent,
}

impl Process {
    /// Starts it and waits until it is ready.
    fn start(mut command: Command) -> Self {
        let command = command.stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = without_settings(command).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("the server ended early").unwrap();
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim_end_matches('/').to_owned();
            }
        };
        // Whatever else it prints must not fill the pipe.
        thread::spawn(move || lines.for_each(drop));
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(60)))
            .build()
            .new_agent();
        let this = Self { child, url, agent };
        let until = Instant::now() + Duration::from_secs(120);
        while this.get("/readyz").is_none_or(|(status, _)| status != 200) {
            assert!(Instant::now() < until, "not ready after two minutes");
            thread::sleep(Duration::from_millis(20));
        }
        this
    }

    fn get(&self, path: &str) -> Option<(u16, String)> {
        let answer = self.agent.get(format!("{}{path}", self.url)).call();
        read(answer)
    }

    fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let (status, text) = post(&self.agent, &self.url, path, body)?;
        Some((status, serde_json::from_str(&text).unwrap()))
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn post(agent: &Agent, url: &str, path: &str, body: &Value) -> Option<(u16, String)> {
    let request = agent.post(format!("{url}{path}"));
    let request = request.header("content-type", "application/json");
    read(request.send(body.to_string()))
}

/// Nothing, if the server is gone before the answer is whole.
fn read(answer: Result<ureq::http::Response<ureq::Body>, ureq::Error>) -> Option<(u16, String)> {
    let mut answer = answer.ok()?;
    let text = answer.body_mut().read_to_string().ok()?;
    Some((answer.status().as_u16(), text))
}

fn without_settings(command: &mut Command) -> &mut Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOPPEL_") {
            command.env_remove(name);
        }
    }
    command
}

/// Runs `doppel import` in the background.
fn import(photos: &Path, url: &str) -> thread::JoinHandle<Output> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
    command
        .args(["import", "--collection", "people", "--json", "--url", url])
        .arg(photos);
    thread::spawn(move || without_settings(&mut command).output().unwrap())
}

/// Adds one photo after another under ids of its own until the server is gone, or enough are in;
/// gives the ids that were acknowledged, and counts them meanwhile.
fn insert(
    url: &str,
    from: u64,
    photos: &[PathBuf],
    inserted: &Arc<AtomicU64>,
) -> thread::JoinHandle<Vec<u64>> {
    let (url, photos, inserted) = (url.to_owned(), photos.to_vec(), Arc::clone(inserted));
    thread::spawn(move || {
        let agent = Agent::config_builder().http_status_as_error(false).build();
        let agent = agent.new_agent();
        let mut acknowledged = Vec::new();
        let mut id = from;
        while id < from + INSERTS {
            let photo = &photos[usize::try_from(id).unwrap() % photos.len()];
            let image = BASE64_STANDARD.encode(fs::read(photo).unwrap());
            let body = json!({"image": image, "id": id, "payload": {"photo": photo}});
            match post(&agent, &url, &format!("{COLLECTION}/faces"), &body) {
                Some((200, _)) => {
                    acknowledged.push(id);
                    inserted.fetch_add(1, Ordering::Release);
                    id += 1;
                }
                // Full, or the import has not come to making the collection.
                Some((503 | 404, _)) => thread::sleep(Duration::from_millis(2)),
                Some((status, text)) => panic!("{status}: {text}"),
                None => break,
            }
        }
        acknowledged
    })
}

/// Every acknowledged face is there with its crop, and its photo finds it.
fn expect_acknowledged(server: &Process, acknowledged: &[u64], photos: &[PathBuf]) {
    for id in acknowledged {
        let (status, text) = server.get(&format!("{COLLECTION}/faces/{id}")).unwrap();
        assert_eq!(status, 200, "face {id}: {text}");
        let crop = server
            .agent
            .get(format!("{}{COLLECTION}/faces/{id}/image", server.url))
            .call();
        assert_eq!(crop.unwrap().status(), 200, "the crop of face {id}");
    }
    // Searching is the slow part; a sample that differs from round to round.
    for id in acknowledged.iter().rev().step_by(7).take(8) {
        let photo = &photos[usize::try_from(*id).unwrap() % photos.len()];
        let image = BASE64_STANDARD.encode(fs::read(photo).unwrap());
        let body = json!({"image": image, "faces": "largest", "limit": 100});
        let path = format!("{COLLECTION}/faces/search");
        let (status, found) = server.post(&path, &body).unwrap();
        assert_eq!(status, 200, "{found}");
        let hits = found["result"]["faces"][0]["hits"].as_array().unwrap();
        assert!(hits.iter().any(|hit| hit["id"] == *id), "face {id}");
    }
}

/// The files that the import has put in, each as often as it is there.
fn imported(server: &Process) -> Vec<String> {
    let mut files = Vec::new();
    let mut offset = Value::Null;
    loop {
        let body = json!({"limit": 1_000, "with_payload": true, "offset": offset});
        let path = format!("{COLLECTION}/points/scroll");
        let (_, page) = server.post(&path, &body).unwrap();
        let points = page["result"]["points"].as_array().unwrap();
        let file = |point: &Value| Some(point["payload"]["file"].as_str()?.to_owned());
        files.extend(points.iter().filter_map(file));
        offset = page["result"]["next_page_offset"].clone();
        if offset.is_null() {
            return files;
        }
    }
}

/// Faces in the collection.
fn count(server: &Process) -> u64 {
    let counted = server.post(&format!("{COLLECTION}/points/count"), &json!({}));
    let count = counted.map(|(_, body)| body["result"]["count"].as_u64());
    // The import has not made it yet.
    count.flatten().unwrap_or(0)
}

/// `server` gives the command that serves the data folder and looks at so many photos, if it can be
/// told; a round ends when the import has brought some `step` photos and the other client any.
fn survives(server: impl Fn(u64) -> Command, photos: &Path, step: u64) {
    let files = files_in(photos);
    let mut acknowledged = Vec::new();
    let mut next = 0;
    for round in 0..ROUNDS {
        let running = Process::start(server(LOOKS));
        expect_acknowledged(&running, &acknowledged, &files);
        let before = count(&running);
        let inserted = Arc::new(AtomicU64::new(0));
        let importing = import(photos, &running.url);
        let inserting = insert(&running.url, next, &files, &inserted);
        // Not at the same place each time, and a little after an acknowledgement. One face more
        // than was acknowledged may be the other client's.
        let until = before + 1 + step / 2 + step * (round * 7 % ROUNDS) / ROUNDS;
        loop {
            let own = inserted.load(Ordering::Acquire);
            if own > 0 && count(&running) > until + own {
                break;
            }
            assert!(!importing.is_finished(), "the import has ended");
            thread::sleep(Duration::from_millis(1));
        }
        thread::sleep(Duration::from_micros(round * 700));
        running.kill();
        let output = importing.join().unwrap();
        let complaint = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "at work: {complaint}");
        let new = inserting.join().unwrap();
        // The last one may have come in without an answer.
        next = new.last().map_or(next, |last| last + 1) + 1;
        acknowledged.extend(new);
    }
    let running = Process::start(server(u64::MAX));
    let before = imported(&running).len();
    assert!(before > 0 && before < files.len(), "{before} were there");
    let output = import(photos, &running.url).join().unwrap();
    let report = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{report}");
    let report: Value = serde_json::from_str(&report).unwrap();
    let of = |key: &str| usize::try_from(report[key].as_u64().unwrap()).unwrap();
    let now = of("imported") - of("imported_before");
    assert_eq!(now, files.len() - before, "{report}");
    let files_there = imported(&running);
    let distinct: BTreeSet<_> = files_there.iter().collect();
    assert_eq!(
        (files_there.len(), distinct.len()),
        (files.len(), files.len())
    );
    expect_acknowledged(&running, &acknowledged, &files);
}

fn files_in(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
    {
        if entry.is_dir() {
            files.extend(files_in(&entry));
        } else {
            files.push(entry);
        }
    }
    files.sort();
    files
}

/// The stand-in, as slow as a small network and under the name that an import asks for. When it has
/// looked at all the photos it may, it looks at the next one for ever.
struct Slow {
    model: ModelInfo,
    inner: FakeEmbedder,
    left: Arc<AtomicU64>,
}

impl Slow {
    fn new(left: Arc<AtomicU64>) -> Self {
        let inner = FakeEmbedder::new();
        let model = ModelInfo {
            calibration: None,
            name: "facenet-128".into(),
            ..inner.model().clone()
        };
        Self { model, inner, left }
    }
}

impl FaceEmbedder for Slow {
    fn model(&self) -> &ModelInfo {
        &self.model
    }

    fn analyze_all(&mut self, photos: &[(&[u8], Want)]) -> Vec<Result<Analysis, embedder::Error>> {
        for _ in photos {
            let left = self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1));
            if left.is_err() {
                loop {
                    thread::park();
                }
            }
            thread::sleep(Duration::from_millis(3));
        }
        self.inner.analyze_all(photos)
    }
}

const STAND_IN_DATA: &str = "STAND_IN_DATA";
const STAND_IN_LOOKS: &str = "STAND_IN_LOOKS";

/// Not a test: the server process of the one below, which this very binary becomes.
#[test]
#[ignore = "started by the test below"]
fn stand_in_server() {
    let Some(dir) = std::env::var_os(STAND_IN_DATA) else {
        return;
    };
    let dir = PathBuf::from(dir);
    let flags = [
        ("data_dir", dir.join("data")),
        ("models_dir", dir.join("models")),
        ("listen", "127.0.0.1:0".into()),
        ("checkpoint.log_mib", "1".into()),
    ];
    let flags = flags.map(|(key, value)| Flag::new("test", key, value.to_str().unwrap()));
    let sources = Sources {
        flags: flags.into(),
        ..Sources::default()
    };
    let looks = std::env::var(STAND_IN_LOOKS).unwrap().parse().unwrap();
    let left = Arc::new(AtomicU64::new(looks));
    let factory: Arc<Factory> = Arc::new(move || Ok(Box::new(Slow::new(left.clone())) as _));
    let config = Config::load(&sources).unwrap();
    let signals = server::Signals::catch().unwrap();
    let running = server::start_with(config, Embedding::Made(vec![factory])).unwrap();
    writeln!(std::io::stdout(), "listening on http://{}/", running.addr()).unwrap();
    running.wait(signals).unwrap();
}

/// A photo that the stand-in tells from all others.
fn picture(seed: u32) -> image::RgbImage {
    let mut state = seed;
    let mut shades = [0; 128];
    for shade in &mut shades {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *shade = u8::try_from(state >> 24).unwrap();
    }
    image::RgbImage::from_fn(32, 16, |x, y| {
        let at = usize::try_from(y / 2 * 16 + x / 2).unwrap();
        image::Rgb([shades[at]; 3])
    })
}

#[test]
fn ten_kills_during_an_import_lose_nothing_that_was_acknowledged() {
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    for n in 0..PHOTOS {
        let person = photos.join(format!("Person_{}", n / 4));
        fs::create_dir_all(&person).unwrap();
        picture(n).save(person.join(format!("{n}.png"))).unwrap();
    }
    let server = |looks: u64| {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["--ignored", "--exact", "--nocapture", "stand_in_server"])
            .env(STAND_IN_DATA, dir.path())
            .env(STAND_IN_LOOKS, looks.to_string());
        command
    };
    survives(server, &photos, 60);
}

#[test]
fn ten_kills_of_the_real_server_with_real_photos_lose_nothing_either() {
    let shared = std::env::var_os("DOPPEL_SHARED").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"),
        PathBuf::from,
    );
    let source = shared.join("data/lfw-dev/images");
    let models = std::env::var_os("DOPPEL_MODELS_DIR");
    let (Some(models), true) = (models, source.is_dir()) else {
        eprintln!("skipped: needs DOPPEL_MODELS_DIR and {}", source.display());
        return;
    };
    let dir = tempfile::tempdir().unwrap();
    let photos = dir.path().join("photos");
    for file in files_in(&source).iter().step_by(8) {
        let target = photos.join(file.strip_prefix(&source).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, target).unwrap();
    }
    let server = |_| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--no-install"])
            .arg("--data-dir")
            .arg(dir.path().join("data"))
            .arg("--models-dir")
            .arg(&models);
        command
    };
    survives(server, &photos, 12);
}
