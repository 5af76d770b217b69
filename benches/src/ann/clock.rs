//! CPU time and one core to run on.
//!
//! CPU time is the whole process's, so that a thread which a library starts in secret counts too.

use anyhow::{Context, Result, bail};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Seconds of CPU that this process has used.
pub fn cpu_s() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// The last core this process may run on: the first ones serve most interrupts.
///
/// # Errors
/// The system does not say.
pub fn last_core() -> Result<usize> {
    let set = sched_getaffinity(None)?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|core| set.is_set(*core));
    last.context("this process may run on no core")
}

/// Runs `work` with the calling thread (and the threads it starts) on one core, then on all again.
///
/// # Errors
/// There is no such core, or the work's own.
pub fn pinned<T>(core: usize, work: impl FnOnce() -> Result<T>) -> Result<T> {
    let before = sched_getaffinity(None)?;
    if core >= CpuSet::MAX_CPU || !before.is_set(core) {
        bail!("this process may not run on core {core}");
    }
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).with_context(|| format!("core {core}"))?;
    let result = work();
    sched_setaffinity(None, &before)?;
    result
}

/// Bytes of memory that this process has written to and that are no file's (Linux; else `None`).
pub fn private_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1_024)
}

/// The middle of some measurements; 0 of none.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => 0.0,
        len if len % 2 == 1 => values[len / 2],
        len => f64::midpoint(values[len / 2 - 1], values[len / 2]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle_one_or_the_mean_of_the_middle_two() {
        assert_eq!(median(vec![]), 0.0);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }

    #[test]
    fn pinned_work_runs_on_one_core_and_all_are_given_back() {
        let core = last_core().unwrap();
        let before = sched_getaffinity(None).unwrap();
        let count = pinned(core, || Ok(sched_getaffinity(None)?.count())).unwrap();
        assert_eq!(count, 1);
        assert_eq!(sched_getaffinity(None).unwrap(), before);
        assert!(pinned(CpuSet::MAX_CPU, || Ok(())).is_err());
    }

    #[test]
    fn cpu_time_grows_with_work() {
        let before = cpu_s();
        let mut sum = 0.0_f64;
        while cpu_s() - before < 0.002 {
            sum += sum.sin() + 1.0;
        }
        assert!(sum > 0.0);
    }
}
