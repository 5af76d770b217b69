//! A server of any make as a process with children: its start, its memory, its end.

use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a server may take to answer after its start, or to end.
const PATIENCE: Duration = Duration::from_secs(300);
const PAUSE: Duration = Duration::from_millis(2);

/// A running server; it is killed when this is dropped.
pub(super) struct Running {
    child: Child,
    log: PathBuf,
    pub(super) started: Instant,
}

impl Running {
    /// Starts it; what it says goes into a log.
    pub(super) fn start(mut command: Command, log: &Path) -> Result<Self> {
        let said = std::fs::File::create(log)?;
        let started = Instant::now();
        let child = command.stdout(said.try_clone()?).stderr(said).spawn()?;
        Ok(Self {
            child,
            log: log.to_owned(),
            started,
        })
    }

    /// Tries something until it works; gives how long after the start that was.
    pub(super) fn until<T>(&mut self, mut work: impl FnMut() -> Result<T>) -> Result<(T, f64)> {
        loop {
            match work() {
                Ok(done) => return Ok((done, self.started.elapsed().as_secs_f64())),
                Err(why) if self.started.elapsed() > PATIENCE => return Err(why),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                let said = std::fs::read_to_string(&self.log).unwrap_or_default();
                let last = said.lines().rev().find(|line| !line.trim().is_empty());
                bail!("it ended ({status}): {}", last.unwrap_or("it left no word"));
            }
            thread::sleep(PAUSE);
        }
    }

    /// MB of memory that it and its children have written to and that are no file's, what they share
    /// counted once.
    pub(super) fn memory_mb(&self) -> Result<f64> {
        let mut kib = 0;
        for pid in family(self.child.id())? {
            let Ok(text) = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")) else {
                continue; // it has just ended
            };
            for name in ["Pss_Anon:", "Pss_Shmem:"] {
                let line = text.lines().find_map(|line| line.strip_prefix(name));
                let number = line.and_then(|line| line.trim().strip_suffix("kB"));
                kib += number.map_or(Ok(0), |number| number.trim().parse::<u64>())?;
            }
        }
        Ok(kib as f64 / 1_024.0)
    }

    /// Ends it by a signal and waits.
    pub(super) fn end(mut self, signal: &str) -> Result<()> {
        let pid = self.child.id().to_string();
        // Children go with it where it does not see to that itself.
        let family = family(self.child.id())?;
        Command::new("kill").args([signal, &pid]).status()?;
        self.child.wait()?;
        let asked = Instant::now();
        while family
            .iter()
            .any(|pid| Path::new(&format!("/proc/{pid}")).exists())
        {
            if asked.elapsed() > PATIENCE {
                bail!("a child of it does not end");
            }
            thread::sleep(PAUSE);
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended already if it was ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process and all below it.
fn family(pid: u32) -> Result<Vec<u32>> {
    let mut all = vec![pid];
    let mut at = 0;
    while let Some(pid) = all.get(at).copied() {
        let tasks = std::fs::read_dir(format!("/proc/{pid}/task"));
        for task in tasks.into_iter().flatten() {
            let children = std::fs::read_to_string(task?.path().join("children"));
            let children = children.unwrap_or_default();
            for child in children.split_whitespace() {
                all.push(child.parse().context("a process number")?);
            }
        }
        at += 1;
    }
    Ok(all)
}
