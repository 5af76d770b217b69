//! A `doppel serve` of its own to measure, on a free port.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use ureq::Agent;

/// A running server; it is killed when this is dropped.
pub struct Process {
    child: Mutex<Child>,
    /// Its standard error.
    said: File,
    started: Instant,
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
        let mut command = Command::new(binary()?);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--no-install"])
            .arg("--data-dir")
            .arg(data_dir);
        let mut this = Self::spawn(command)?;
        this.wait_ready()?;
        Ok(this)
    }

    /// Starts a server that says where it listens; it need not be ready.
    ///
    /// # Errors
    /// It does not start.
    pub fn spawn(mut command: Command) -> Result<Self> {
        let started = Instant::now();
        let mut said = tempfile::tempfile()?;
        let errors = said.try_clone()?;
        let command = command.stdout(Stdio::piped()).stderr(errors);
        let mut child = command.spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("no standard output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let Some(url) = line.trim().strip_prefix("listening on ") else {
            let why = last_words(&mut said)?;
            bail!("the server did not say where it listens: {why}");
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .timeout_global(Some(Duration::from_secs(120)))
            .build();
        Ok(Self {
            child: Mutex::new(child),
            said,
            url: url.trim_end_matches('/').to_owned(),
            agent: agent.new_agent(),
            started,
            time_to_ready: Duration::ZERO,
        })
    }

    /// Waits until it is ready.
    ///
    /// # Errors
    /// It ends before.
    pub fn wait_ready(&mut self) -> Result<()> {
        while !self.is_ready() {
            if self
                .child
                .lock()
                .ok()
                .and_then(|mut child| child.try_wait().ok()?)
                .is_some()
            {
                let why = last_words(&mut self.said)?;
                bail!("the server ended before it was ready: {why}");
            }
            thread::sleep(Duration::from_millis(2));
        }
        self.time_to_ready = self.started.elapsed();
        Ok(())
    }

    /// Whether it is ready.
    pub fn is_ready(&self) -> bool {
        let answer = self.agent.get(self.at("/readyz")).call();
        answer.is_ok_and(|answer| answer.status() == 200)
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }

    /// Sends a body and gives the `result` of the answer.
    ///
    /// # Errors
    /// The server is gone or refuses.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Result<Value> {
        let (status, text) = self.call(method, path, Some(body))?;
        if status != 200 {
            bail!("{method} {path}: {text}");
        }
        let mut answer: Value = serde_json::from_str(&text)?;
        Ok(answer["result"].take())
    }

    /// Sends a body, if there is one, and gives status and text of the answer.
    ///
    /// # Errors
    /// The server is gone.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, String)> {
        self.bytes(
            method,
            path,
            body.map(Value::to_string).unwrap_or_default().into_bytes(),
        )
    }

    /// Sends any bytes as a JSON body and gives status and text of the answer.
    ///
    /// # Errors
    /// The server is gone.
    pub fn bytes(&self, method: &str, path: &str, body: Vec<u8>) -> Result<(u16, String)> {
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(self.at(path))
            .header("content-type", "application/json");
        let mut answer = match body.is_empty() && method == "GET" {
            true => self.agent.run(request.body(())?)?,
            false => self.agent.run(request.body(body)?)?,
        };
        let text = answer.body_mut().read_to_string()?;
        Ok((answer.status().as_u16(), text))
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

    /// Where it listens, as host and port.
    pub fn address(&self) -> &str {
        self.url.trim_start_matches("http://")
    }

    /// Its number among the system's processes.
    pub fn pid(&self) -> Option<u32> {
        self.child.lock().ok().map(|child| child.id())
    }

    /// Bytes of memory that it has written to and that are no file's (Linux; else `None`).
    pub fn private_bytes(&self) -> Option<u64> {
        let pid = self.pid()?;
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
        let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib * 1_024)
    }

    /// Files, sockets and the like that it has open (Linux; else `None`).
    pub fn open_files(&self) -> Option<usize> {
        let pid = self.pid()?;
        Some(std::fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count())
    }

    /// Ends it as an operator does (SIGTERM) and waits for that.
    ///
    /// # Errors
    /// It does not end well.
    pub fn stop(self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        let pid = child.id().to_string();
        Command::new("kill").args(["-TERM", &pid]).status()?;
        let status = child.wait()?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(())
    }

    /// Ends it as a crash does (SIGKILL).
    ///
    /// # Errors
    /// The system refuses.
    pub fn kill(&self) -> Result<()> {
        let mut child = self.child.lock().unwrap_or_else(PoisonError::into_inner);
        child.kill()?;
        child.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It has ended already if it was stopped.
        let _ = self.kill();
    }
}

/// The end of what a server had to say.
fn last_words(said: &mut File) -> Result<String> {
    let mut text = String::new();
    said.seek(SeekFrom::Start(0))?;
    said.read_to_string(&mut text)?;
    let from = text.len().saturating_sub(2_000);
    Ok(text.get(from..).unwrap_or(&text).trim().to_owned())
}

fn binary() -> Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("doppel");
    if !path.exists() {
        bail!("no {}: run `cargo build --release` first", path.display());
    }
    Ok(path)
}
