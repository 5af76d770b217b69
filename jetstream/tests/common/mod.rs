//! Servers of NATS for tests, on loopback, and a proxy that can lose what they answer. Tests that find no
//! server (`DOPPEL_NATS_SERVER`, which `cargo xtask ci` sets) say that they were skipped.

#![expect(clippy::unwrap_used, reason = "a test may panic")]
#![allow(dead_code, reason = "not every test uses all of it")]

use std::fmt::Write as _;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// A cluster of servers.
pub(crate) struct Nats {
    binary: PathBuf,
    dir: TempDir,
    servers: Vec<Server>,
}

struct Server {
    config: PathBuf,
    client: u16,
    monitor: u16,
    child: Option<Child>,
}

/// How servers keep what they acknowledge.
pub(crate) const ALWAYS: &str = "sync_interval: always";
/// The servers' own default.
pub(crate) const LAZY: &str = "sync_interval: 2m";

impl Nats {
    /// So many servers, or nothing where there are none to be had.
    pub(crate) fn start(count: usize, sync: &str) -> Option<Self> {
        Self::start_with(count, sync, "")
    }

    /// The same, with more settings of each server.
    pub(crate) fn start_with(count: usize, sync: &str, more: &str) -> Option<Self> {
        let Some(binary) = std::env::var_os("DOPPEL_NATS_SERVER").map(PathBuf::from) else {
            eprintln!("skipped: DOPPEL_NATS_SERVER names no server of NATS");
            return None;
        };
        // Another test may have taken a port that was free.
        let nats = (0..3).find_map(|_| Self::started(binary.clone(), count, (sync, more)));
        assert!(nats.is_some(), "it stays unhealthy");
        nats
    }

    fn started(binary: PathBuf, count: usize, (sync, more): (&str, &str)) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let ports = free_ports(count * 3);
        let routes = ports.iter().take(count);
        let routes = routes.fold(String::new(), |mut all, port| {
            write!(all, "nats://127.0.0.1:{port}, ").unwrap();
            all
        });
        let servers = (0..count).map(|n| {
            let (route, client, monitor) = (ports[n], ports[count + n], ports[2 * count + n]);
            let store = dir.path().join(format!("n{n}"));
            let mut text = format!(
                "server_name: n{n}\nlisten: 127.0.0.1:{client}\nhttp: 127.0.0.1:{monitor}\n\
                 jetstream {{ store_dir: \"{}\", max_file_store: 20GB, {sync} }}\n{more}\n",
                store.display()
            );
            if count > 1 {
                writeln!(
                    text,
                    "cluster {{ name: doppel, listen: 127.0.0.1:{route}, no_advertise: true, routes: [{routes}] }}"
                )
                .unwrap();
            }
            let config = dir.path().join(format!("n{n}.conf"));
            fs::write(&config, text).unwrap();
            Server {
                config,
                client,
                monitor,
                child: None,
            }
        });
        let servers = servers.collect();
        let mut nats = Self {
            binary,
            dir,
            servers,
        };
        (0..count).for_each(|n| nats.restart(n));
        nats.is_healthy_within(Duration::from_secs(30))
            .then_some(nats)
    }

    /// Waits until JetStream works on all servers that run.
    pub(crate) fn wait_healthy(&self) {
        let is_healthy = self.is_healthy_within(Duration::from_secs(60));
        assert!(is_healthy, "it stays unhealthy");
    }

    fn is_healthy_within(&self, patience: Duration) -> bool {
        let started = Instant::now();
        let mut running = self.servers.iter().filter(|it| it.child.is_some());
        running.all(|server| {
            while !healthy(server.monitor) && started.elapsed() < patience {
                thread::sleep(Duration::from_millis(20));
            }
            healthy(server.monitor)
        })
    }

    pub(crate) fn restart(&mut self, n: usize) {
        let log = self.dir.path().join(format!("n{n}.log"));
        let server = &mut self.servers[n];
        let child = Command::new(&self.binary)
            .arg("-c")
            .arg(&server.config)
            .arg("-l")
            .arg(log)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        server.child = Some(child.unwrap());
    }

    /// Ends a server at once.
    pub(crate) fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.servers[n].child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Has a server stand still, or go on.
    pub(crate) fn pause(&self, n: usize, stands: bool) {
        let pid = self.servers[n].child.as_ref().unwrap().id().to_string();
        let signal = if stands { "-STOP" } else { "-CONT" };
        let sent = Command::new("kill").args([signal, &pid]).status();
        assert!(sent.unwrap().success());
    }

    /// Sends a message, as anybody may who has the servers' password.
    pub(crate) fn publish(&self, subject: &str, text: &str) {
        let mut stream = TcpStream::connect(self.address(0)).unwrap();
        let said = format!(
            "CONNECT {{\"verbose\":true}}\r\nPUB {subject} {}\r\n{text}\r\nPING\r\n",
            text.len()
        );
        stream.write_all(said.as_bytes()).unwrap();
        let mut heard: Vec<u8> = Vec::new();
        let mut piece = [0; 4 << 10];
        while !heard.windows(4).any(|it| it == b"PONG") {
            let len = stream.read(&mut piece).unwrap();
            assert!(len > 0, "the server has closed");
            heard.extend(&piece[..len]);
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn address(&self, n: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.servers[n].client))
    }

    pub(crate) fn urls(&self) -> Vec<String> {
        let all = self.servers.iter();
        all.map(|it| format!("nats://127.0.0.1:{}", it.client))
            .collect()
    }

    pub(crate) fn monitors(&self) -> Vec<String> {
        let all = self.servers.iter();
        all.map(|it| format!("http://127.0.0.1:{}", it.monitor))
            .collect()
    }

    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The number of the server that leads the stream.
    pub(crate) fn leader(&self, stream: &str) -> Option<usize> {
        let path = "/jsz?streams=true";
        let running = self.servers.iter().filter(|it| it.child.is_some());
        for server in running {
            let Some(body) = get(server.monitor, path) else {
                continue;
            };
            let Some(at) = body.find(&format!("\"name\": \"{stream}\"")) else {
                continue;
            };
            let rest = &body[at..];
            let leader = rest.split("\"leader\": \"n").nth(1);
            let leader = leader.and_then(|rest| rest.split('"').next()?.parse().ok());
            if leader.is_some() {
                return leader;
            }
        }
        None
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        for server in &mut self.servers {
            if let Some(child) = &mut server.child {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

fn healthy(monitor: u16) -> bool {
    get(monitor, "/healthz").is_some_and(|body| body.contains("\"ok\""))
}

fn get(port: u16, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let request = format!("GET {path} HTTP/1.0\r\nhost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    answer.starts_with("HTTP/1.0 200").then_some(answer)
}

/// Ports that nobody uses now.
pub(crate) fn free_ports(count: usize) -> Vec<u16> {
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
    let held: Vec<_> = held.collect();
    held.iter()
        .map(|it| it.local_addr().unwrap().port())
        .collect()
}

/// Stands between a node and a server.
pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<State>,
}

struct State {
    /// Nothing that the server says gets through.
    deaf: AtomicBool,
    /// Nobody gets through.
    shut: AtomicBool,
    open: Mutex<Vec<TcpStream>>,
}

impl Proxy {
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State {
            deaf: AtomicBool::new(false),
            shut: AtomicBool::new(false),
            open: Mutex::default(),
        });
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if shared.shut.load(Ordering::SeqCst) {
                    continue;
                }
                let Ok(server) = TcpStream::connect(server) else {
                    continue;
                };
                let both = [&client, &server].map(|it| it.try_clone().unwrap());
                shared.open.lock().unwrap().extend(both);
                let (to, from) = (server.try_clone().unwrap(), client.try_clone().unwrap());
                thread::spawn(move || pass(from, to, &|| false));
                let shared = Arc::clone(&shared);
                thread::spawn(move || pass(server, client, &|| shared.deaf.load(Ordering::SeqCst)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("nats://{}", self.address)
    }

    /// From now on nothing that the server says gets through, or all does again; what was connected
    /// before is then cut.
    pub(crate) fn deafen(&self, deaf: bool) {
        self.state.deaf.store(deaf, Ordering::SeqCst);
        if !deaf {
            self.cut();
        }
    }

    /// Lets nobody through, or everybody again.
    pub(crate) fn shut(&self, shut: bool) {
        self.state.shut.store(shut, Ordering::SeqCst);
        self.cut();
    }

    fn cut(&self) {
        for stream in self.state.open.lock().unwrap().drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, lost: &dyn Fn() -> bool) {
    let mut piece = vec![0; 64 << 10];
    while let Ok(len @ 1..) = from.read(&mut piece) {
        if !lost() && to.write_all(&piece[..len]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
}
