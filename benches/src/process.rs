//! A `doppel serve` of its own to measure, on a free port.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// A running server; it is killed when this is dropped.
pub struct Process {
    child: Child,
    url: String,
    agent: Agent,
    /// From its start until it was ready.
    pub time_to_ready: Duration,
}

impl Process {
    /// Starts the binary that was built beside this one and waits until it is ready.
    ///
    /// # Errors
    /// There is no such binary, or it does not get ready.
    pub fn start(data_dir: &Path) -> Result<Self> {
        let started = Instant::now();
        let mut child = Command::new(binary()?)
            .args(["serve", "--listen", "127.0.0.1:0", "--no-install"])
            .arg("--data-dir")
            .arg(data_dir)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let url = line.trim().strip_prefix("listening on ");
        let url = url.context("the server did not say where it listens")?;
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .build();
        let mut this = Self {
            child,
            url: url.trim_end_matches('/').to_owned(),
            agent: agent.new_agent(),
            time_to_ready: Duration::ZERO,
        };
        while this.agent.get(this.at("/readyz")).call()?.status() != 200 {
            thread::sleep(Duration::from_millis(2));
        }
        this.time_to_ready = started.elapsed();
        Ok(this)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends a body and gives the `result` of the answer.
    ///
    /// # Errors
    /// The server is gone or refuses.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(self.at(path))
            .header("content-type", "application/json")
            .body(body.to_string())?;
        let mut answer = self.agent.run(request)?;
        let text = answer.body_mut().read_to_string()?;
        if answer.status() != 200 {
            bail!("{method} {path}: {text}");
        }
        let mut answer: Value = serde_json::from_str(&text)?;
        Ok(answer["result"].take())
    }

    /// One value of `/metrics`.
    ///
    /// # Errors
    /// The server is gone or has no such metric.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let mut answer = self.agent.get(self.at("/metrics")).call()?;
        let text = answer.body_mut().read_to_string()?;
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        Ok(line.with_context(|| format!("no metric {name}"))?.parse()?)
    }

    /// Ends it as an operator does (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It does not end well.
    pub fn stop(mut self) -> Result<()> {
        let pid = self.child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = self.child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }

    /// Ends it as a crash does (SIGKILL).
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already if it was stopped.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("doppel");
    if !path.exists() {
        bail!("no {}: run `cargo build --release` first", path.display());
    }
    Ok(path)
}
