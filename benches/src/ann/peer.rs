//! A peer in a process of its own: `peers/driver.py`, asked by JSON lines over its standard input.
//!
//! The process stays, so that all systems can be asked in turn and noise hits all alike. It is
//! pinned before it loads anything. What it prints goes into a log beside the data.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use serde_json::{Value, json};

use super::catalogue::Choice;
use super::dataset::Dataset;
use super::formats::{read_ids, write_ids};
use super::system::{Ask, Built, Pass};
use super::table::Table;

/// The folder with the peers' scripts.
pub(crate) fn scripts() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers")
}

/// A running peer; it is ended when this is dropped.
pub struct Peer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    label: String,
    dir: PathBuf,
    vectors: usize,
    queries: usize,
    log: PathBuf,
}

#[derive(Deserialize)]
struct BuiltAnswer {
    cpu_s: f64,
    wall_s: f64,
    bytes: u64,
    bytes_are: String,
    rss_bytes: Option<u64>,
}

#[derive(Deserialize)]
struct PassAnswer {
    cpu_s: f64,
    wall_s: f64,
    mean_us: f64,
    p99_us: f64,
    distances: Option<f64>,
}

#[derive(Deserialize)]
struct Spent {
    cpu_s: f64,
}

#[derive(Deserialize)]
struct Size {
    bytes: u64,
}

impl Peer {
    /// Starts it for a data set.
    ///
    /// # Errors
    /// It does not know the metric, or cannot be started.
    pub fn start(python: &Path, choice: &Choice, data: &Dataset, core: usize) -> Result<Self> {
        if !choice.kind.metrics.contains(&data.metric) {
            bail!("it does not know the metric {}", data.metric.name());
        }
        let options: serde_json::Map<String, Value> = choice
            .options
            .iter()
            .map(|(name, value)| (name.to_owned(), Value::from(value)))
            .collect();
        let safe = choice.label.replace([':', '='], "-");
        let log = data.dir.join(format!("{safe}.log"));
        let mut command = Command::new(python);
        command
            .arg(scripts().join("driver.py"))
            .args([choice.kind.name, data.metric.name()])
            .args([core.to_string(), Value::from(options).to_string()])
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log)?);
        for library in ["OPENBLAS", "OMP", "MKL", "NUMEXPR"] {
            command.env(format!("{library}_NUM_THREADS"), "1");
        }
        if choice.kind.name == "hnswlib-hugepages" {
            command.env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1");
        }
        let mut child = command
            .spawn()
            .with_context(|| python.display().to_string())?;
        let input = child.stdin.take().context("no standard input")?;
        let output = child.stdout.take().context("no standard output")?;
        Ok(Self {
            child,
            input,
            output: BufReader::new(output),
            label: safe,
            dir: data.dir.clone(),
            vectors: data.base.len(),
            queries: data.queries.len(),
            log,
        })
    }

    /// Builds its index.
    ///
    /// # Errors
    /// It refuses or dies.
    pub fn build(&mut self) -> Result<Built> {
        let scratch = self.dir.join(format!("{}.index", self.label));
        let built: BuiltAnswer = self.ask(&json!({
            "do": "build",
            "base": self.dir.join("base.npy"),
            "scratch": scratch,
        }))?;
        let n = self.vectors as f64;
        Ok(Built {
            cpu_s: built.cpu_s,
            wall_s: built.wall_s,
            bytes_per_vector: built.bytes as f64 / n,
            bytes_are: built.bytes_are,
            rss_per_vector: built.rss_bytes.map(|bytes| bytes as f64 / n),
        })
    }

    /// Asks the first queries twice: in one call for the rate, one by one for the times.
    ///
    /// # Errors
    /// It refuses or dies.
    pub fn search(&mut self, ask: Ask) -> Result<Pass> {
        let queries = ask.queries.min(self.queries);
        let answers = self.dir.join(format!("{}.answers.npy", self.label));
        let pass: PassAnswer = self.ask(&json!({
            "do": "search",
            "queries": self.dir.join("queries.npy"),
            "count": queries,
            "k": ask.k,
            "param": ask.param,
            "answers": ask.want_ids.then_some(&answers),
        }))?;
        let ids = match ask.want_ids {
            true => Some(read_ids(&answers)?),
            false => None,
        };
        if let Some(ids) = &ids
            && (ids.len(), ids.width()) != (queries, ask.k)
        {
            bail!("{} answers of {} each", ids.len(), ids.width());
        }
        Ok(Pass {
            queries,
            cpu_s: pass.cpu_s,
            wall_s: pass.wall_s,
            mean_us: pass.mean_us,
            p99_us: pass.p99_us,
            distances: pass.distances,
            ids,
        })
    }

    /// Removes (`remove`) or inserts (`insert`) vectors of the base; gives the CPU seconds.
    ///
    /// # Errors
    /// It cannot do that, or dies.
    pub fn change(&mut self, what: &str, rows: &[u32]) -> Result<f64> {
        let path = self.dir.join(format!("{}.rows.npy", self.label));
        write_ids(&path, &Table::new(1, rows.to_vec())?)?;
        let mut request = json!({"do": what, "rows": path});
        if what == "insert" {
            request["base"] = json!(self.dir.join("base.npy"));
        }
        let spent: Spent = self.ask(&request)?;
        Ok(spent.cpu_s)
    }

    /// Size of its index, found as at its build.
    ///
    /// # Errors
    /// It dies.
    pub fn bytes(&mut self) -> Result<u64> {
        let scratch = self.dir.join(format!("{}.index", self.label));
        let size: Size = self.ask(&json!({"do": "size", "scratch": scratch}))?;
        Ok(size.bytes)
    }

    /// Sends one request and understands the answer.
    ///
    /// # Errors
    /// The peer refuses, dies or answers nonsense.
    pub fn ask<T: for<'a> Deserialize<'a>>(&mut self, request: &Value) -> Result<T> {
        let sent = writeln!(self.input, "{request}").and_then(|()| self.input.flush());
        let mut line = String::new();
        let read = sent.and_then(|()| self.output.read_line(&mut line));
        if !matches!(read, Ok(bytes) if bytes > 0) {
            let status = self.child.wait()?;
            return Err(anyhow!(
                "its process ended ({status}): {}",
                self.last_words()
            ));
        }
        let answer: Value =
            serde_json::from_str(&line).with_context(|| format!("it answered {line:?}"))?;
        if let Some(error) = answer["error"].as_str() {
            bail!("{error}");
        }
        Ok(serde_json::from_value(answer)?)
    }

    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let last = log.lines().rev().find(|line| !line.trim().is_empty());
        last.unwrap_or("it left no word").to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It has nothing to lose, and may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
