//! Servers of NATS to measure on, on free ports of loopback.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

/// A cluster of servers that sync before they acknowledge; they are killed when this is dropped.
pub struct Nats {
    children: Vec<Child>,
    clients: Vec<u16>,
    monitors: Vec<u16>,
    _dir: TempDir,
}

impl Nats {
    /// Starts so many and waits until they work.
    ///
    /// # Errors
    /// They do not start.
    pub fn start(binary: &Path, count: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let ports = free_ports(3 * count)?;
        let (clients, rest) = ports.split_at(count);
        let (monitors, routes) = rest.split_at(count);
        let all = routes.iter().fold(String::new(), |mut all, port| {
            // Writing into text cannot fail.
            let _ = write!(all, "nats://127.0.0.1:{port}, ");
            all
        });
        let mut children = Vec::new();
        for (n, ((client, monitor), route)) in clients.iter().zip(monitors).zip(routes).enumerate()
        {
            let config = dir.path().join(format!("n{n}.conf"));
            let store = dir.path().join(format!("n{n}"));
            let text = format!(
                "server_name: n{n}\nlisten: 127.0.0.1:{client}\nhttp: 127.0.0.1:{monitor}\n\
                 max_payload: 8MB\njetstream {{ store_dir: {store:?}, sync_interval: always }}\n\
                 cluster {{ name: doppel, listen: 127.0.0.1:{route}, routes: [{all}] }}\n"
            );
            fs::write(&config, text)?;
            let mut command = Command::new(binary);
            let command = command.arg("-c").arg(&config).stderr(Stdio::null());
            let child = command.spawn();
            children.push(child.with_context(|| format!("cannot start {}", binary.display()))?);
        }
        let this = Self {
            children,
            clients: clients.to_vec(),
            monitors: monitors.to_vec(),
            _dir: dir,
        };
        let started = Instant::now();
        for monitor in &this.monitors {
            while ureq::get(format!("http://127.0.0.1:{monitor}/healthz"))
                .call()
                .is_err()
            {
                if started.elapsed() > Duration::from_secs(60) {
                    bail!("the servers of NATS do not work after a minute");
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        Ok(this)
    }

    /// The flags that have a node share their log, as this stream.
    pub fn flags(&self, stream: &str) -> Vec<String> {
        let listed = |scheme: &str, ports: &[u16]| {
            let all = ports
                .iter()
                .map(|port| format!("{scheme}://127.0.0.1:{port}"));
            all.collect::<Vec<_>>().join(",")
        };
        let monitors = listed("http", &self.monitors);
        vec![
            "--log".into(),
            listed("nats", &self.clients),
            "--set".into(),
            format!("nats.monitors={monitors}"),
            "--set".into(),
            format!("nats.stream={stream}"),
        ]
    }
}

impl Drop for Nats {
    fn drop(&mut self) {
        for child in &mut self.children {
            // It may have ended by itself.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn free_ports(count: usize) -> Result<Vec<u16>> {
    let held = (0..count).map(|_| TcpListener::bind("127.0.0.1:0"));
    let held = held.collect::<Result<Vec<_>, _>>()?;
    let ports = held.iter().map(|it| Ok(it.local_addr()?.port()));
    ports.collect()
}
