//! How a soaked server stands, and what is flat.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::work::{Done, Work};
use crate::Process;

/// A server after an interval; nothing is asked of it meanwhile.
#[derive(Debug, Clone)]
pub struct Look {
    /// Requests of the interval.
    pub operations: u64,
    /// Memory that is no file's.
    pub memory_bytes: u64,
    /// Open files and sockets.
    pub handles: usize,
    /// All files of the data folder, after a checkpoint.
    pub disk_bytes: u64,
    /// Of searches under load, in milliseconds.
    pub search_p50_ms: f64,
    /// Of searches under load, in milliseconds.
    pub search_p99_ms: f64,
    /// Of writes of 16 points, in milliseconds.
    pub write_p99_ms: f64,
    /// The part of the true neighbours that searches find, 0 to 1.
    pub recall: f64,
}

impl Look {
    pub(super) fn at(server: &Process, data: &Path, work: &Work, done: Done) -> Result<Self> {
        work.count(server)?;
        Ok(Self {
            operations: done.operations,
            search_p50_ms: percentile_ms(done.searches.clone(), 50),
            search_p99_ms: percentile_ms(done.searches, 99),
            write_p99_ms: percentile_ms(done.writes, 99),
            recall: work.recall(server)?,
            memory_bytes: server
                .private_bytes()
                .context("this system does not tell how much memory a process has")?,
            handles: server.open_files().context("nor which files it has open")?,
            disk_bytes: disk_bytes(data)?,
        })
    }
}

impl fmt::Display for Look {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:8} requests, memory {:6.1} MB, {:3} handles, disk {:6.1} MB, searches p50 {:5.2} p99 \
             {:6.2} ms, writes p99 {:6.2} ms, recall {:.4}",
            self.operations,
            mb(self.memory_bytes),
            self.handles,
            mb(self.disk_bytes),
            self.search_p50_ms,
            self.search_p99_ms,
            self.write_p99_ms,
            self.recall
        )
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for people")]
fn mb(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

fn percentile_ms(mut times: Vec<Duration>, percent: usize) -> f64 {
    times.sort_unstable();
    let time = times.get(times.len() * percent / 100);
    time.map_or(0.0, Duration::as_secs_f64) * 1_000.0
}

/// What counts as flat: how the end may differ from the start.
#[derive(Debug, Clone, Copy)]
pub struct Flat {
    /// Times the memory of the start.
    pub memory: f64,
    /// Handles more.
    pub handles: usize,
    /// Times the disk of the start.
    pub disk: f64,
    /// Recall less.
    pub recall: f64,
    /// Times the p99 of searches; nothing where the machine is not the soak's alone.
    pub p99: Option<f64>,
}

impl Flat {
    /// What is not flat, in words. The start is the first quarter of the looks, the end the last:
    /// their medians are compared, so that one bad moment is none.
    pub fn violations(&self, looks: &[Look]) -> Vec<String> {
        let part = looks.len().div_ceil(4);
        let (start, end) = (&looks[..part], &looks[looks.len() - part..]);
        let of = |what: fn(&Look) -> f64| (median(start, what), median(end, what));
        let mut found = Vec::new();
        let mut check = |what: &str, (before, after): (f64, f64), most: f64| {
            if after > most {
                found.push(format!(
                    "{what}: {before:.3} at the start, {after:.3} at the end, more than {most:.3}"
                ));
            }
        };
        let memory = of(|look| mb(look.memory_bytes));
        check("memory in MB", memory, memory.0 * self.memory);
        #[expect(clippy::cast_precision_loss, reason = "handles are few")]
        let handles = of(|look| look.handles as f64);
        #[expect(clippy::cast_precision_loss, reason = "handles are few")]
        check("handles", handles, handles.0 + self.handles as f64);
        let disk = of(|look| mb(look.disk_bytes));
        check("disk in MB", disk, disk.0 * self.disk);
        let missed = of(|look| 1.0 - look.recall);
        check(
            "part of the true hits missed",
            missed,
            missed.0 + self.recall,
        );
        if let Some(times) = self.p99 {
            let p99 = of(|look| look.search_p99_ms);
            check("p99 of searches in ms", p99, p99.0 * times);
        }
        found
    }
}

fn median(looks: &[Look], what: fn(&Look) -> f64) -> f64 {
    let mut values: Vec<f64> = looks.iter().map(what).collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(0.0)
}

/// Bytes of all files below a folder.
///
/// # Errors
/// It cannot be read.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        sum += match entry.metadata() {
            Ok(data) if data.is_dir() => disk_bytes(&entry.path())?,
            Ok(data) => data.len(),
            // It has gone since it was listed.
            Err(_) => 0,
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_is_told_and_what_is_level_is_not() {
        let look = |memory_bytes: u64, handles: usize, recall: f64, search_p99_ms: f64| Look {
            operations: 1,
            memory_bytes,
            handles,
            disk_bytes: 1_000_000,
            search_p50_ms: 1.0,
            search_p99_ms,
            write_p99_ms: 1.0,
            recall,
        };
        let flat = Flat {
            memory: 1.2,
            handles: 4,
            disk: 1.5,
            recall: 0.01,
            p99: Some(2.0),
        };
        let start = look(100_000_000, 20, 0.95, 3.0);
        let worse = look(130_000_000, 25, 0.93, 7.0);
        assert!(flat.violations(&vec![start.clone(); 8]).is_empty());
        // One bad moment is none.
        let mut looks = vec![start.clone(); 12];
        looks[11] = worse.clone();
        assert!(flat.violations(&looks).is_empty());
        let looks = [start, worse];
        let found = flat.violations(&looks);
        assert_eq!(found.len(), 4, "{found:?}");
        let untimed = Flat { p99: None, ..flat };
        assert_eq!(untimed.violations(&looks).len(), 3);
    }
}
