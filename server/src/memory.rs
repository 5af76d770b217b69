//! How much memory this process may take: a write that would need more is refused before it begins,
//! so that the system never has to end the process for it. Searches and deletes always go on.
//!
//! Counted is what the process has written to and cannot be thrown away (its anonymous memory);
//! files that are mapped are the system's to page out. What writes at work still want is held back
//! beside it, and so is what the bodies of requests take while they are read. What the allocator holds
//! of memory that was freed counts until somebody would be refused for it: then it is given back first.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// Of what the machine or the cgroup gives, so much may be taken where the settings say nothing; the
/// rest is for checkpoints, for requests and for the system.
const SHARE_PERCENT: u64 = 90;
/// Bodies of requests that add nothing may take this part of the limit beside it.
const RESERVE: u64 = 16;
/// After memory that was freed has been given back, so many times as long as that took it is not asked
/// for again: all that allocate have to wait for it.
const REST: u32 = 10;
/// What to do about a write that is refused.
const WRITE: &str = "Searches and deletes go on; drop a collection, have indexes take fewer bits, or \
                     raise the limit";
/// What to do about a body that is refused.
const BODY: &str = "That is the most that this body may take while it is read: send it in smaller \
                    parts, or again when less is at work";
/// The unit of `statm` (it is the page of all systems that run this binary).
const PAGE_BYTES: u64 = 4_096;

/// The account of this process.
#[derive(Clone)]
pub(crate) struct Memory {
    /// Bytes; nothing where neither the settings nor the system say any.
    limit: Option<u64>,
    /// What writes and jobs at work have been promised.
    promised: Arc<AtomicU64>,
    /// From when on what was freed may be given back again.
    given_back: Arc<Mutex<Option<Instant>>>,
    metrics: Metrics,
}

/// Bytes that are promised to a write or a job for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Promise {
    promised: Arc<AtomicU64>,
    bytes: AtomicU64,
}

impl Promise {
    /// How much it is now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Gives back all above so many bytes: they are written to, so they count as used now.
    pub(crate) fn keep(&self, bytes: u64) {
        let before = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        let given_back = before.saturating_sub(bytes);
        self.promised.fetch_sub(given_back, Ordering::Relaxed);
    }

    /// Keeps that part of so many bytes which is still to be done.
    pub(crate) fn keep_part(&self, bytes: u64, left: u64, of: u64) {
        let part = u128::from(bytes) * u128::from(left) / u128::from(of.max(1));
        self.keep(u64::try_from(part).unwrap_or(bytes));
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        self.keep(0);
    }
}

impl Memory {
    /// With so many MiB, or by what the system gives if that is 0.
    pub(crate) fn new(limit_mib: u64, metrics: &Metrics) -> Self {
        let limit = match limit_mib {
            0 => given(machine(), &read).map(|bytes| bytes / 100 * SHARE_PERCENT),
            mib => Some(mib << 20),
        };
        match limit {
            Some(bytes) => tracing::info!(mib = bytes >> 20, "memory is limited"),
            None => tracing::warn!("the system tells no memory: memory_limit_mib is not set"),
        }
        Self {
            limit,
            promised: Arc::default(),
            given_back: Arc::default(),
            metrics: metrics.clone(),
        }
    }

    /// Bytes; 0 where there is no limit.
    pub(crate) fn limit_bytes(&self) -> u64 {
        self.limit.unwrap_or(0)
    }

    /// Bytes that writes and jobs at work have been promised.
    pub(crate) fn promised_bytes(&self) -> u64 {
        self.promised.load(Ordering::Relaxed)
    }

    /// Bytes that are taken now; 0 where the system does not tell.
    pub(crate) fn used_bytes() -> u64 {
        read(Path::new("/proc/self/statm"))
            .and_then(|statm| anonymous(&statm))
            .unwrap_or(0)
    }

    /// Room for a write that takes so many bytes, if there is.
    pub(crate) fn promise(&self, bytes: u64) -> Result<Promise, Refusal> {
        self.promise_for(bytes, 0, WRITE)
    }

    /// The same for a body that takes so many bytes while it is read. Whoever asks for what adds nothing, a
    /// search or a delete, has room where nothing can be added any more.
    pub(crate) fn promise_body(&self, bytes: u64, adds: bool) -> Result<Promise, Refusal> {
        let beyond = match adds {
            true => 0,
            false => self.limit_bytes() / RESERVE,
        };
        self.promise_for(bytes, beyond, BODY)
    }

    fn promise_for(&self, bytes: u64, beyond: u64, advice: &str) -> Result<Promise, Refusal> {
        let room = |used| self.promise_beside(used, (bytes, beyond), advice);
        let promise = room(Self::used_bytes());
        let promise = promise.or_else(|_| {
            self.give_back();
            room(Self::used_bytes())
        });
        promise.inspect_err(|_| self.metrics.memory_was_short())
    }

    /// Nobody is refused for memory that is only not given back yet.
    fn give_back(&self) {
        // Whoever comes meanwhile does not wait, but is judged by what is free now.
        let Some(mut rests_until) = self.given_back.try_lock() else {
            return;
        };
        let started = Instant::now();
        if rests_until.is_none_or(|until| started >= until) {
            engine::give_back_freed();
            let took = started.elapsed().max(Duration::from_millis(1));
            *rests_until = Some(started + took * (REST + 1));
        }
    }

    /// The same, but for a write that takes none: that always goes on.
    pub(crate) fn promise_some(&self, bytes: u64) -> Result<Promise, Refusal> {
        match bytes {
            0 => Ok(self.hold(0)),
            bytes => self.promise(bytes),
        }
    }

    /// So many bytes for what cannot be refused: others that come after are refused for it.
    pub(crate) fn hold(&self, bytes: u64) -> Promise {
        self.hold_beside(bytes).1
    }

    /// What was promised before, and a promise.
    fn hold_beside(&self, bytes: u64) -> (u64, Promise) {
        let before = self.promised.fetch_add(bytes, Ordering::Relaxed);
        let promise = Promise {
            promised: Arc::clone(&self.promised),
            bytes: bytes.into(),
        };
        (before, promise)
    }

    /// `beyond`: by how much it may be more than the limit.
    fn promise_beside(
        &self,
        used: u64,
        (bytes, beyond): (u64, u64),
        advice: &str,
    ) -> Result<Promise, Refusal> {
        let (before, promise) = self.hold_beside(bytes);
        let taken = used.saturating_add(before);
        match self.limit {
            Some(limit) if taken.saturating_add(bytes) > limit + beyond => {
                Err(Refusal::no_memory(format!(
                    "not enough memory: {} used, {} wanted, the limit is {} (memory_limit_mib). {advice}",
                    mib(taken),
                    mib(bytes),
                    mib(limit)
                )))
            }
            _ => Ok(promise),
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for people")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn read(path: &Path) -> Option<String> {
    fs::read_to_string(path).ok()
}

/// What is resident and of no file, by `/proc/self/statm` (proc(5)).
fn anonymous(statm: &str) -> Option<u64> {
    let mut pages = statm.split_ascii_whitespace().skip(1);
    let mut next = || pages.next()?.parse::<u64>().ok();
    let (resident, of_files) = (next()?, next()?);
    Some(resident.saturating_sub(of_files) * PAGE_BYTES)
}

/// The least that the machine and every cgroup around this process give.
fn given(machine: Option<u64>, read: &impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let groups = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (kinds, path) = (parts.next()?, parts.next()?);
        let (root, file) = match kinds {
            "" => ("/sys/fs/cgroup", "memory.max"),
            kinds if kinds.split(',').any(|kind| kind == "memory") => {
                ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
            }
            _ => return None,
        };
        let all = Path::new(path.trim_start_matches('/')).ancestors();
        let limits = all.filter_map(|group| {
            let told = read(&Path::new(root).join(group).join(file))?;
            told.trim().parse::<u64>().ok()
        });
        limits.min()
    });
    groups.chain(machine).min()
}

/// What the machine has; asked of the system itself, because a service may not see `/proc/meminfo`.
#[cfg(target_os = "linux")]
fn machine() -> Option<u64> {
    let told = rustix::system::sysinfo();
    #[expect(
        clippy::useless_conversion,
        reason = "the width of the field is the system's"
    )]
    u64::from(told.totalram).checked_mul(u64::from(told.mem_unit))
}

#[cfg(not(target_os = "linux"))]
fn machine() -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given_by(machine: Option<u64>, files: &[(&str, &str)]) -> Option<u64> {
        given(machine, &|path: &Path| {
            let found = files.iter().find(|(name, _)| Path::new(name) == path);
            found.map(|(_, text)| (*text).to_owned())
        })
    }

    #[test]
    fn the_least_of_machine_and_cgroups_is_what_there_is() {
        let has = Some(8_192);
        assert_eq!(given_by(None, &[]), None);
        assert_eq!(given_by(has, &[]), has);
        let group = ("/proc/self/cgroup", "0::/a/b\n");
        let inner = ("/sys/fs/cgroup/a/b/memory.max", "max\n");
        let outer = ("/sys/fs/cgroup/a/memory.max", "4096\n");
        assert_eq!(given_by(has, &[group, inner]), has);
        assert_eq!(given_by(has, &[group, inner, outer]), Some(4_096));
        let old = ("/proc/self/cgroup", "5:cpu:/x\n4:rdma,memory:/c\n");
        let limit = ("/sys/fs/cgroup/memory/c/memory.limit_in_bytes", "512\n");
        assert_eq!(given_by(has, &[old, limit]), Some(512));
        assert!(machine().is_some() || !cfg!(target_os = "linux"));
    }

    #[test]
    fn pages_of_files_do_not_count() {
        assert_eq!(anonymous("900 30 10 1 0 5 0\n"), Some(20 * PAGE_BYTES));
        assert_eq!(anonymous("900 30"), None);
        assert!(Memory::used_bytes() > 1 << 20 || !cfg!(target_os = "linux"));
    }

    #[test]
    fn what_writes_at_work_want_is_counted_until_they_end() {
        let memory = Memory::new(10, &Metrics::new());
        let of = |mib: u64| mib << 20;
        let beside = |bytes| memory.promise_beside(of(5), (bytes, 0), WRITE);
        let first = beside(of(3)).unwrap();
        let refused = beside(of(3)).unwrap_err();
        assert_eq!(refused.status(), 507);
        let message = refused.message();
        for figure in ["8.0 MiB used", "3.0 MiB wanted", "limit is 10.0 MiB"] {
            assert!(message.contains(figure), "{message}");
        }
        let second = beside(of(2)).unwrap();
        drop((first, second));
        let job = memory.hold(of(20));
        assert!(beside(1).is_err());
        job.keep_part(of(20), 1, 10);
        assert_eq!(job.bytes(), of(2));
        drop(beside(of(3)).unwrap());
        // What was given back does not come again.
        job.keep(of(9));
        assert!(beside(of(4)).is_err());
        drop(job);
        assert!(beside(of(5)).is_ok());
        // What adds nothing may go beyond.
        let beyond = |by| memory.promise_beside(of(5), (of(6), of(by)), BODY);
        assert!(beyond(0).is_err() && beyond(1).is_ok());
    }

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn nobody_is_refused_for_what_was_freed_and_only_not_given_back_yet() {
        const MIB: u64 = 1 << 20;
        let before = Memory::used_bytes();
        let mut pieces: Vec<Box<[u8]>> = (0..1_000_000).map(|_| vec![1; 100].into()).collect();
        let last = pieces.pop();
        drop(pieces);
        let mut memory = Memory::new(1, &Metrics::new());
        memory.limit = Some(before + 60 * MIB);
        assert!(Memory::used_bytes() > before + 80 * MIB, "it is held");
        drop(memory.promise(10 * MIB).unwrap());
        // What is there is there.
        let refused = memory.promise(200 * MIB).unwrap_err();
        assert_eq!(refused.status(), 507);
        drop(last);
    }
}
