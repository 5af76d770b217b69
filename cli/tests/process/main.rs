//! A server as a process of its own, seen as its system and its operator see it: how much memory it
//! takes, and what it writes about itself.
#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, reason = "a test may panic")]

mod clock;
mod memory;
mod photos;

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

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
        Self::of(command, dir)
    }

    /// What a command runs, once it is ready.
    fn of(mut command: Command, dir: &Path) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(File::create(dir.join("said")).unwrap())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut urls = lines.filter_map(|line| {
            let line = line.unwrap();
            line.strip_prefix("listening on ").map(str::to_owned)
        });
        let url = urls.next().unwrap();
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
        match body {
            Value::Null => self.text(method, path, ""),
            body => self.text(method, path, &body.to_string()),
        }
    }

    fn text(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.url))
            .header("content-type", "application/json");
        let answer = match body {
            "" => self.agent.run(request.body(()).unwrap()),
            body => self.agent.run(request.body(body).unwrap()),
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
fn a_key_in_a_url_opens_nothing_and_no_key_is_written_anywhere() {
    const KEY: &str = "the-key-of-the-settings";
    const WRONG: &str = "a-key-that-is-none";
    let dir = tempfile::tempdir().unwrap();
    let trail = dir.path().join("trail");
    let settings = [
        ("DOPPEL_API_KEY", KEY),
        ("DOPPEL_AUDIT__DIR", trail.to_str().unwrap()),
        ("DOPPEL_LOG_OUTPUT__LEVEL", "trace"),
        ("DOPPEL_LOG_OUTPUT__SLOW_MS", "0"),
    ];
    let server = Server::start(dir.path(), &settings);
    let ask = |method: &str, path: &str, headers: &[(&str, &str)], body: &str| {
        let request = ureq::http::Request::builder().method(method);
        let request = request.uri(format!("{}{path}", server.url));
        let headers = headers
            .iter()
            .chain(&[("content-type", "application/json")]);
        let request = headers.fold(request, |it, (name, value)| it.header(*name, *value));
        let mut answer = server
            .agent
            .run(request.body(body.to_owned()).unwrap())
            .unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        assert!(!format!("{:?}", answer.headers()).contains(KEY), "{path}");
        (answer.status().as_u16(), text)
    };
    let vectors = r#"{"vectors": {"size": 2, "distance": "Dot"}}"#;
    let made = ask("PUT", "/collections/v", &[("api-key", KEY)], vectors);
    assert_eq!(made.0, 200, "{}", made.1);
    let body = r#"{"name": "reader", "scopes": ["read", "search"]}"#;
    let made = ask("POST", "/admin/keys", &[("api-key", KEY)], body);
    let made: Value = serde_json::from_str(&made.1).unwrap();
    let secret = made["result"]["secret"].as_str().unwrap().to_owned();
    let query = r#"{"query": [1, 0], "limit": 1}"#;
    let routes = [
        ("GET", "/collections", ""),
        ("PUT", "/collections/w", vectors),
        ("POST", "/collections/v/points/query", query),
        ("DELETE", "/collections/v", ""),
        ("GET", "/metrics", ""),
        ("GET", "/admin/keys", ""),
        ("POST", "/admin/checkpoint", ""),
        ("GET", "/nowhere", ""),
    ];
    let names = "api_key api-key apikey key token access_token x-api-key authorization";
    let mut told = String::new();
    for (method, path, body) in routes {
        for name in names.split(' ') {
            for key in [KEY, secret.as_str()] {
                let path = format!("{path}?wait=true&{name}={key}");
                let (status, text) = ask(method, &path, &[], body);
                assert_eq!(status, 401, "{method} {path}: {text}");
                told += &text;
                // Beside a key where it belongs it is a parameter that nobody knows, or no matter.
                if method == "GET" {
                    told += &ask(method, &path, &[("api-key", WRONG)], body).1;
                    told += &ask(method, &path, &[("authorization", "Bearer ")], body).1;
                    if path.contains("/nowhere") {
                        let bearer = format!("Bearer {secret}");
                        told += &ask(method, &path, &[("authorization", &bearer)], body).1;
                    }
                }
            }
        }
    }
    // Refused for what it may not do, which the trail tells of, with a key in its URL too.
    let beyond = format!("/collections/v?timeout=1&api_key={secret}");
    assert_eq!(ask("DELETE", &beyond, &[("api-key", &secret)], "").0, 403);
    let listed = ask("GET", "/admin/keys", &[("api-key", KEY)], "");
    assert_eq!(listed.0, 200, "{}", listed.1);
    told += &listed.1;
    told += &ask("GET", "/metrics", &[("api-key", KEY)], "").1;
    let said = std::fs::read_to_string(dir.path().join("said")).unwrap();
    let trail = std::fs::read_to_string(trail.join("audit.jsonl")).unwrap();
    assert!(said.contains("answered") && trail.contains("/collections/v"));
    for (place, text) in [("an answer", told), ("the log", said), ("the trail", trail)] {
        for key in [KEY, WRONG, &secret] {
            let line = text.lines().find(|line| line.contains(key));
            assert!(line.is_none(), "{place} tells a key: {line:?}");
        }
    }
}

#[test]
fn a_stop_under_load_answers_what_is_at_work_and_loses_nothing_that_was_acknowledged() {
    const CLIENTS: u64 = 4;
    let dir = tempfile::tempdir().unwrap();
    let mut server = Server::start(dir.path(), &[]);
    let vectors = json!({"vectors": {"size": 8, "distance": "Dot"}});
    assert_eq!(server.send("PUT", "/collections/v", &vectors).0, 200);
    let count = AtomicU64::new(0);
    // Each writes until nobody answers any more, half of them without waiting to be found.
    let write = |client: u64| {
        let mut acknowledged = Vec::new();
        loop {
            let id = client + CLIENTS * acknowledged.len() as u64;
            let wait = client.is_multiple_of(2);
            let url = format!("{}/collections/v/points?wait={wait}", server.url);
            let point = json!({"points": [{"id": id, "vector": [id, 1, 2, 3, 4, 5, 6, 7]}]});
            let request = server.agent.put(url).content_type("application/json");
            match request.send(point.to_string()) {
                Ok(answer) => assert_eq!(answer.status(), 200, "a write was cut short"),
                Err(_) => return acknowledged,
            }
            acknowledged.push(id);
            count.fetch_add(1, Ordering::Relaxed);
        }
    };
    let pid = server.child.id().to_string();
    let acknowledged = std::thread::scope(|scope| {
        let clients = (0..CLIENTS).map(|client| {
            scope.spawn({
                let write = &write;
                move || write(client)
            })
        });
        let clients: Vec<_> = clients.collect();
        while count.load(Ordering::Relaxed) < 400 {
            std::thread::yield_now();
        }
        let told = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(told.unwrap().success());
        let ids = clients
            .into_iter()
            .flat_map(|client| client.join().unwrap());
        ids.collect::<Vec<u64>>()
    });
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(acknowledged.len() >= 400);
    let server = Server::start(dir.path(), &[]);
    let ids = json!({"ids": acknowledged, "with_vector": false});
    let found = server.send("POST", "/collections/v/points", &ids);
    let found: Value = serde_json::from_str(&found.1).unwrap();
    assert_eq!(
        found["result"].as_array().unwrap().len(),
        acknowledged.len()
    );
    let metrics = server.send("GET", "/metrics", &Value::Null).1;
    let line = "doppel_recovery_replayed_records 0\n";
    assert!(metrics.contains(line), "it did not end with a checkpoint");
}

#[test]
fn a_rebuild_that_a_kill_interrupts_goes_on_as_the_same_job_from_where_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.create();
    for first in (0..16).map(|batch| batch * BATCH) {
        assert_eq!(server.put_points(first).0, 200);
    }
    let wanted = json!({"hnsw_config": {"m": 9}});
    let begun = server.send("POST", "/admin/collections/v/reindex", &wanted);
    let begun: Value = serde_json::from_str(&begun.1).unwrap();
    let path = format!("/admin/jobs/{}", begun["result"]["id"]);
    let job = |server: &Server| {
        let (status, text) = server.send("GET", &path, &Value::Null);
        assert_eq!(status, 200, "{text}");
        let mut told: Value = serde_json::from_str(&text).unwrap();
        told["result"].take()
    };
    let done = loop {
        let told = job(&server);
        assert_eq!(told["status"], "running", "{told}");
        match told["done"].as_u64() {
            Some(done) if done > 500 => break done,
            _ => std::thread::yield_now(),
        }
    };
    drop(server);
    let server = Server::start(dir.path(), &[]);
    let told = job(&server);
    assert_eq!(
        (&told["kind"], &told["started"]),
        (&json!("reindex"), &begun["result"]["started"])
    );
    assert!(told["done"].as_u64().unwrap() >= done, "{done}: {told}");
    loop {
        let told = job(&server);
        if told["status"] != "running" {
            assert_eq!(told["status"], "completed", "{told}");
            break;
        }
        std::thread::yield_now();
    }
    let told = server.send("GET", "/collections/v", &Value::Null).1;
    assert!(told.contains("\"m\":9"), "{told}");
}

#[test]
fn an_operator_has_upkeep_done_from_the_command_line_and_sees_what_came_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(dir.path(), &[]);
    server.create();
    assert_eq!(server.put_points(0).0, 200);
    let admin = |words: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_doppel"));
        command.args([&["admin"], words, &["--url", &server.url]].concat());
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        (output.status.code(), format!("{told}{said}"))
    };
    let done = |words: &[&str], word: &str| {
        let (code, told) = admin(words);
        assert_eq!(code, Some(0), "{words:?}: {told}");
        assert!(told.contains(word), "{words:?}: {told}");
    };
    done(&["jobs"], "no job");
    done(&["checkpoint"], "\"lsn\"");
    done(&["warm-up", "--collection", "v"], "\"vectors\": 250");
    done(&["compact"], "\"tables_bytes\"");
    done(&["verify"], "\"damaged\": []");
    done(&["jobs"], "warm_up    v");
    let (_, listed) = admin(&["jobs"]);
    let ids = listed.lines().skip(1);
    let ids: Vec<_> = ids
        .map(|it| it.split_whitespace().next().unwrap())
        .collect();
    done(&["watch", ids[1]], "\"log_bytes\"");
    done(&["cancel", ids[0]], &format!("job {}: completed", ids[0]));
    let (code, told) = admin(&["watch", "99"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("job 99 does not exist"), "{told}");
    let (code, told) = admin(&["warm-up", "--collection", "none"]);
    assert_eq!(code, Some(1));
    assert!(told.contains("none"), "{told}");
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
