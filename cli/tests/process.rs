//! A server as a process of its own, seen as its system and its operator see it: how much memory it
//! takes, and what it writes about itself.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use ureq::Agent;

const DIM: usize = 1_024;
const BATCH: u64 = 250;

struct Server {
    child: Child,
    url: String,
    agent: Agent,
}

/// A server on a free port, with its data in a folder and no settings from around it.
fn serve(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("DOPPEL_") {
            command.env_remove(name);
        }
    }
    command.args(["serve", "--listen", "127.0.0.1:0", "--no-install"]);
    command.arg("--data-dir").arg(dir.join("data"));
    command.current_dir(dir);
    command
}

impl Server {
    fn start(dir: &Path, settings: &[(&str, &str)]) -> Self {
        let mut command = serve(dir);
        command.envs(settings.iter().copied());
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(dir.join("said")).unwrap())
            .spawn()
            .unwrap();
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let url = line.trim().strip_prefix("listening on ").unwrap();
        let agent = Agent::config_builder().http_status_as_error(false).build();
        let this = Self {
            url: url.trim_end_matches('/').to_owned(),
            child,
            agent: agent.new_agent(),
        };
        while this.send("GET", "/readyz", &Value::Null).0 != 200 {
            std::thread::yield_now();
        }
        this
    }

    fn send(&self, method: &str, path: &str, body: &Value) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        let answer = match body {
            Value::Null => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body.to_string()).unwrap()),
        };
        let mut answer = answer.unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    }

    fn put_points(&self, first: u64) -> (u16, String) {
        let points: Vec<Value> = (first..first + BATCH).map(point).collect();
        let path = "/collections/v/points?wait=true";
        self.send("PUT", path, &json!({ "points": points }))
    }

    fn create(&self) {
        let vectors = json!({"size": DIM, "distance": "Dot", "on_disk": false});
        let created = self.send("PUT", "/collections/v", &json!({ "vectors": vectors }));
        assert_eq!(created.0, 200, "{}", created.1);
    }

    /// What the kernel counts of it that is no file's.
    fn anonymous_mib(&self) -> u64 {
        let path = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(path).unwrap();
        let line = status.lines().find_map(|it| it.strip_prefix("RssAnon:"));
        let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
        kib.parse::<u64>().unwrap() >> 10
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn vector(id: u64) -> Vec<u64> {
    (0..DIM as u64).map(|at| (id * 31 + at * at) % 97).collect()
}

fn point(id: u64) -> Value {
    json!({"id": id, "vector": vector(id)})
}

#[test]
fn a_server_short_of_memory_refuses_inserts_and_goes_on_with_all_else() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [("DOPPEL_MEMORY_LIMIT_MIB", "160")];
    let server = Server::start(dir.path(), &settings);
    server.create();
    let mut first = 0;
    let refused = loop {
        let (status, text) = server.put_points(first);
        let used = server.anonymous_mib();
        assert!(used <= 168, "{used} MiB after {first} points");
        if status != 200 {
            assert_eq!(status, 507, "{text}");
            break text;
        }
        first += BATCH;
        assert!(first < 100_000, "never refused at {used} MiB");
    };
    for word in ["MiB used", "MiB wanted", "the limit is 160.0 MiB"] {
        assert!(refused.contains(word), "{refused}");
    }
    assert!(first >= 1_000, "refused after {first} points");
    let query = json!({"query": vector(7), "limit": 1, "params": {"exact": true}});
    let found = server.send("POST", "/collections/v/points/query", &query);
    assert_eq!(found.0, 200, "{}", found.1);
    let ids: Vec<u64> = (0..first / 2).collect();
    let path = "/collections/v/points/delete?wait=true";
    let deleted = server.send("POST", path, &json!({ "points": ids }));
    assert_eq!(deleted.0, 200, "{}", deleted.1);
    let reindex = server.send("POST", "/admin/collections/v/reindex", &json!({}));
    assert_eq!(reindex.0, 507, "{}", reindex.1);
    assert_eq!(server.send("GET", "/readyz", &Value::Null).0, 200);
    let metrics = server.send("GET", "/metrics", &Value::Null).1;
    for line in [
        "doppel_memory_limit_bytes 167772160",
        "doppel_memory_refusals_total 2",
    ] {
        assert!(metrics.contains(line), "no {line}");
    }
    // With the collection its memory goes, and there is room again.
    server.send("DELETE", "/collections/v", &Value::Null);
    server.create();
    let (status, text) = server.put_points(0);
    assert_eq!(status, 200, "{text}");
}

#[test]
fn a_slow_search_is_told_with_its_request_and_stages_and_without_what_was_asked() {
    let dir = tempfile::tempdir().unwrap();
    let settings = [
        ("DOPPEL_LOG_OUTPUT__SLOW_MS", "0"),
        ("DOPPEL_LOG_OUTPUT__FORMAT", "json"),
    ];
    let server = Server::start(dir.path(), &settings);
    server.create();
    assert_eq!(server.put_points(0).0, 200);
    let payload = json!({"payload": {"name": "Ada Secret"}, "filter": {}});
    let set = server.send("POST", "/collections/v/points/payload?wait=true", &payload);
    assert_eq!(set.0, 200, "{}", set.1);
    let filter = json!({"must": [{"key": "name", "match": {"value": "Ada Secret"}}]});
    let body = json!({"query": vector(7), "limit": 250, "filter": filter, "with_payload": true});
    let request = ureq::post(format!("{}/collections/v/points/query", server.url))
        .header("content-type", "application/json")
        .header("x-request-id", "slow-one");
    assert_eq!(request.send(body.to_string()).unwrap().status(), 200);
    let said = std::fs::read_to_string(dir.path().join("said")).unwrap();
    let lines = said.lines().filter(|line| line.contains("slow search"));
    let [line] = lines.collect::<Vec<_>>()[..] else {
        panic!("{said}");
    };
    let told: Value = serde_json::from_str(line).unwrap();
    let fields = &told["fields"];
    assert_eq!(fields["collection"], "v");
    assert_eq!(fields["k"], 250);
    assert_eq!(fields["filter"], "must(value)");
    for stage in ["took_ms", "waited_ms", "index_ms", "points_ms"] {
        assert!(fields[stage].is_number(), "{stage}: {line}");
    }
    assert!(
        line.contains("slow-one") && line.contains("/points/query"),
        "{line}"
    );
    assert!(!said.contains("Secret") && !said.contains("Ada"), "{said}");
}

#[test]
fn a_server_told_to_compare_by_what_the_machine_lacks_does_not_start() {
    let dir = tempfile::tempdir().unwrap();
    let output = serve(dir.path())
        .env("DOPPEL_SIMD", "avx9")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(
        said.contains("DOPPEL_SIMD is `avx9`") && said.contains("scalar"),
        "{said}"
    );
}
