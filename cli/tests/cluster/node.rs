//! A node of a cluster, as a process of its own, and what a client does with several.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use ureq::Agent;

use crate::nats::Nats;

/// Where a node lies, and how it reaches the log.
pub(crate) struct Place {
    pub(crate) dir: PathBuf,
    pub(crate) servers: Vec<String>,
    pub(crate) monitors: Vec<String>,
    pub(crate) models: Option<PathBuf>,
    pub(crate) port: u16,
    /// Seconds between two checkpoints in the store.
    pub(crate) checkpoints_s: u32,
    /// More settings, as `key=value`.
    pub(crate) more: Vec<String>,
    /// What stands in its environment beside what stands in the test's.
    pub(crate) env: Vec<(String, String)>,
}

impl Place {
    /// On these servers, the node of this number in `dir`.
    pub(crate) fn new(nats: &Nats, dir: &Path, n: usize, port: u16) -> Self {
        Self {
            dir: self::dir(dir, n),
            servers: nats.urls(),
            monitors: nats.monitors(),
            models: None,
            port,
            checkpoints_s: 4,
            more: Vec::new(),
            env: Vec::new(),
        }
    }
}

pub(crate) struct Node {
    child: Child,
    pub(crate) url: String,
}

/// An answer: its status, its `x-doppel-lsn`, and its body.
pub(crate) type Answer = (u16, Option<u64>, Value);

impl Node {
    fn command(place: &Place) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DOPPEL_") {
                command.env_remove(name);
            }
        }
        command
            .args(["serve", "--no-install", "--log-level", "warn"])
            .arg("--data-dir")
            .arg(&place.dir)
            .arg("--listen")
            .arg(format!("127.0.0.1:{}", place.port))
            .arg("--log")
            .arg(place.servers.join(","))
            .arg("--set")
            .arg(format!("nats.monitors={}", place.monitors.join(",")))
            .arg("--set")
            .arg("checkpoint.interval_s=2")
            .arg("--set")
            .arg("server.workers=2")
            .arg("--set")
            .arg(format!(
                "nats.checkpoint_interval_s={}",
                place.checkpoints_s
            ))
            .arg("--set")
            .arg("nats.compare_interval_s=6")
            .arg("--models-dir")
            .arg(place.models.clone().unwrap_or(place.dir.join("no-models")))
            .envs(place.env.iter().map(|(name, value)| (name, value)))
            .args(place.more.iter().flat_map(|it| ["--set", it]));
        command
    }

    /// Starts it; it may not be ready yet.
    pub(crate) fn start(place: &Place) -> Self {
        let child = Self::command(place).stdout(Stdio::piped()).spawn();
        let mut child = child.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let url = loop {
            let line = lines.next().expect("the node ended early").unwrap();
            if let Some((_, url)) = line.split_once("listening on ") {
                break url.trim_end_matches('/').to_owned();
            }
        };
        thread::spawn(move || lines.for_each(drop));
        Self { child, url }
    }

    /// Begins the log of this place with a backup, behind an LSN.
    pub(crate) fn begin_log(place: &Place, backup: &Path, behind: &str) {
        let more = place.more.iter().filter_map(|it| it.split_once('='));
        let more = more.map(|(key, value)| {
            let name = key.to_uppercase().replace('.', "__");
            (format!("DOPPEL_{name}"), value.to_owned())
        });
        let begun = Command::new(env!("CARGO_BIN_EXE_doppel"))
            .arg("restore")
            .arg(backup)
            .args(["--begin-log", "--behind", behind])
            .env("DOPPEL_NATS__SERVERS", place.servers.join(","))
            .env("DOPPEL_NATS__MONITORS", place.monitors.join(","))
            .envs(more)
            .envs(place.env.iter().map(|(name, value)| (name, value)))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&begun.stderr);
        assert!(begun.status.success(), "{said}");
    }

    /// What a start says that comes to nothing.
    pub(crate) fn refused(place: &Place) -> String {
        let ended = Self::command(place).output().unwrap();
        assert!(!ended.status.success());
        String::from_utf8_lossy(&ended.stderr).into_owned()
    }

    pub(crate) fn ready(place: &Place) -> Self {
        let node = Self::start(place);
        let client = Client::new(60);
        let until = Instant::now() + Duration::from_secs(120);
        while client
            .call("GET", &node.url, "/readyz", None, None)
            .is_none_or(|(status, _, _)| status != 200)
        {
            assert!(Instant::now() < until, "not ready after two minutes");
            thread::sleep(Duration::from_millis(20));
        }
        node
    }

    /// Lets it do nothing any more, or go on: a node that hangs, and takes connections nevertheless.
    pub(crate) fn signal(&self, name: &str) {
        let mut kill = Command::new("kill");
        let sent = kill
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string());
        assert!(sent.status().unwrap().success());
    }

    /// Has it end by itself.
    pub(crate) fn stop(&mut self) {
        self.signal("TERM");
        self.child.wait().unwrap();
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have been killed already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) struct Client(Agent);

impl Client {
    pub(crate) fn new(timeout_s: u64) -> Self {
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(timeout_s)))
            .build();
        Self(agent.new_agent())
    }

    pub(crate) fn text(&self, url: &str) -> String {
        let answer = self.0.get(url).call();
        answer.unwrap().body_mut().read_to_string().unwrap()
    }

    /// Nothing, if the node is gone before the answer is whole.
    pub(crate) fn call(
        &self,
        method: &str,
        url: &str,
        path: &str,
        body: Option<&Value>,
        lsn: Option<u64>,
    ) -> Option<Answer> {
        let mut request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{url}{path}"))
            .header("content-type", "application/json");
        if let Some(lsn) = lsn {
            request = request.header("x-doppel-lsn", lsn);
        }
        let body = body.map(Value::to_string).unwrap_or_default();
        let mut answer = match method {
            "GET" => self.0.run(request.body(()).unwrap()),
            _ => self.0.run(request.body(body).unwrap()),
        }
        .ok()?;
        let seen = answer.headers().get("x-doppel-lsn");
        let seen = seen.and_then(|it| it.to_str().ok()?.parse().ok());
        let bytes = answer.body_mut().read_to_vec().ok()?;
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        Some((answer.status().as_u16(), seen, value))
    }
}

pub(crate) fn dir(of: &Path, n: usize) -> PathBuf {
    of.join(format!("node{n}"))
}
