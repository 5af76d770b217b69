//! How much memory this process may take: a write that would need more is refused before it begins,
//! so that the system never has to end the process for it. Searches and deletes always go on.
//!
//! Counted is what the process has written to and cannot be thrown away (its anonymous memory);
//! files that are mapped are the system's to page out. What writes at work still want is held back
//! beside it, and so is what the bodies of requests take while they are read, and photos while they are
//! decoded. What the allocator holds of memory that was freed counts until somebody would be refused for
//! it: then it is given back first.
//!
//! Who would have room if nobody else were at work is told to come back (503); who would not, that it
//! cannot be (507). A photo is told to come back unless it can never be: 413, for others may do.

mod given;
mod photo;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::metrics::Metrics;
use crate::refusal::Refusal;

/// Of what the machine or the cgroup gives, so much may be taken where the settings say nothing; the
/// rest is for checkpoints, for requests and for the system.
const SHARE_PERCENT: u64 = 90;
/// Bodies of requests that add nothing, and photos while they are decoded, may take this part of the limit
/// beside it.
const RESERVE: u64 = 16;
/// After memory that was freed has been given back, so many times as long as that took it is not asked
/// for again: all that allocate have to wait for it.
const REST: u32 = 10;
/// What to do where others are at work.
const LATER: &str =
    "Others at work have what is missing: try again when they are done, or send smaller parts";

/// What to do where what is kept has it, and a photo waits.
const FULL: &str = "What is kept has the rest: photos are looked at again when a collection is dropped, indexes \
    take fewer bits or the limit is raised; a smaller one may do";

/// The account of this process.
#[derive(Clone)]
pub(crate) struct Memory {
    /// Bytes; nothing where neither the settings nor the system say any.
    limit: Option<u64>,
    account: Arc<Account>,
    /// From when on what was freed may be given back again.
    given_back: Arc<Mutex<Option<Instant>>>,
    metrics: Metrics,
}

/// Bytes of all who are at work.
#[derive(Debug, Default)]
struct Account {
    /// What they have been promised and may still take.
    promised: AtomicU64,
    /// What they were promised and have taken: it is used, and goes with them.
    taken: AtomicU64,
    /// What has gone with those who ended since memory was last given back.
    gone: AtomicU64,
}

/// Bytes that are promised to a write or a job for as long as this is kept.
#[derive(Debug)]
pub(crate) struct Promise {
    account: Arc<Account>,
    bytes: AtomicU64,
    taken: AtomicU64,
}

impl Promise {
    /// How much it is now.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// What it was in all, taken or not.
    pub(crate) fn whole(&self) -> u64 {
        self.bytes() + self.taken.load(Ordering::Relaxed)
    }

    /// Gives back all above so many bytes: they are written to, so they count as used now.
    pub(crate) fn keep(&self, bytes: u64) {
        let before = self.bytes.fetch_min(bytes, Ordering::Relaxed);
        let taken = before.saturating_sub(bytes);
        self.has_taken(taken);
        self.account.promised.fetch_sub(taken, Ordering::Relaxed);
    }

    fn has_taken(&self, bytes: u64) {
        self.taken.fetch_add(bytes, Ordering::Relaxed);
        self.account.taken.fetch_add(bytes, Ordering::Relaxed);
    }

    /// Stands in the account again as it did.
    fn comes_back(&self, bytes: u64, taken: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.account.promised.fetch_add(bytes, Ordering::Relaxed);
        self.has_taken(taken);
    }

    /// Leaves the account; returns what it was in all.
    fn leave(&self) -> u64 {
        self.keep(0);
        let taken = self.taken.swap(0, Ordering::Relaxed);
        self.account.taken.fetch_sub(taken, Ordering::Relaxed);
        taken
    }

    /// Keeps that part of so many bytes which is still to be done.
    pub(crate) fn keep_part(&self, bytes: u64, left: u64, of: u64) {
        let part = u128::from(bytes) * u128::from(left) / u128::from(of.max(1));
        self.keep(u64::try_from(part).unwrap_or(bytes));
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let gone = self.leave();
        self.account.gone.fetch_add(gone, Ordering::Relaxed);
    }
}

/// What somebody asks for.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    bytes: u64,
    /// By how much it may be more than the limit.
    beyond: u64,
    /// What whoever asks has beside it: nobody comes back for that.
    own: u64,
    what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Write,
    Body,
    Photo,
}

impl What {
    /// What is told where it can never be.
    fn refusal(self, figures: &str) -> Refusal {
        match self {
            Self::Write => Refusal::no_memory(format!(
                "{figures}. Searches and deletes go on; drop a collection, have indexes take fewer bits, or \
                 raise the limit"
            )),
            Self::Body => Refusal::no_memory(format!(
                "{figures}. That is the most that this body may take while it is read: send it in smaller \
                 parts"
            )),
            Self::Photo => Refusal::too_large(format!(
                "{figures}. That is the most that this photo may take while it is decoded: send a smaller one"
            )),
        }
    }
}

impl Memory {
    /// With so many MiB, or by what the system gives if that is 0.
    pub(crate) fn new(limit_mib: u64, metrics: &Metrics) -> Self {
        let limit = match limit_mib {
            0 => given::bytes().map(|bytes| bytes / 100 * SHARE_PERCENT),
            mib => Some(mib << 20),
        };
        match limit {
            Some(bytes) => tracing::info!(mib = bytes >> 20, "memory is limited"),
            None => tracing::warn!("the system tells no memory: memory_limit_mib is not set"),
        }
        Self {
            limit,
            account: Arc::default(),
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
        self.account.promised.load(Ordering::Relaxed)
    }

    /// Bytes that are taken now; 0 where the system does not tell.
    pub(crate) fn used_bytes() -> u64 {
        given::used().unwrap_or(0)
    }

    /// Room for a write that takes so many bytes, if there is.
    pub(crate) fn promise(&self, bytes: u64) -> Result<Promise, Refusal> {
        self.promise_beside(bytes, None)
    }

    /// The same for a write whose body has been read and lies in memory: with it goes what that was
    /// promised. Who takes nothing always goes on.
    pub(crate) fn promise_beside(
        &self,
        bytes: u64,
        body: Option<Promise>,
    ) -> Result<Promise, Refusal> {
        let lies = body.as_ref().map_or(0, Promise::leave);
        let promise = match bytes {
            0 => Ok(self.hold(0)),
            bytes => self.told(self.promise_for(Wanted {
                bytes,
                beyond: 0,
                own: 0,
                what: What::Write,
            })),
        };
        match (&promise, body) {
            (Ok(promise), _) => promise.has_taken(lies),
            (Err(_), Some(body)) => body.has_taken(lies),
            (Err(_), None) => {}
        }
        promise
    }

    /// Room for a body that takes so many bytes while it is read, in the place of what it was promised
    /// before. Whoever asks for what adds nothing, a search or a delete, has room where nothing can be
    /// added any more.
    pub(crate) fn promise_body(
        &self,
        bytes: u64,
        adds: bool,
        before: &mut Option<Promise>,
    ) -> Result<(), Refusal> {
        let wanted = Wanted {
            bytes,
            beyond: if adds { 0 } else { self.reserve() },
            own: 0,
            what: What::Body,
        };
        self.told(self.promise_instead(wanted, before))
    }

    fn reserve(&self) -> u64 {
        self.limit_bytes() / RESERVE
    }

    /// In the place of what was promised before, which stays where this is refused.
    fn promise_instead(&self, wanted: Wanted, before: &mut Option<Promise>) -> Result<(), Refusal> {
        let (kept, had) = match before {
            Some(before) => (before.bytes(), before.leave()),
            None => (0, 0),
        };
        match self.promise_for(wanted) {
            Ok(promise) => *before = Some(promise),
            Err(refusal) => {
                if let Some(before) = before {
                    before.comes_back(kept, had - kept);
                }
                return Err(refusal);
            }
        }
        Ok(())
    }

    fn promise_for(&self, wanted: Wanted) -> Result<Promise, Refusal> {
        let promise = self.promise_at(Self::used_bytes(), wanted);
        promise.or_else(|_| {
            self.give_back();
            self.promise_at(Self::used_bytes(), wanted)
        })
    }

    /// Counts who is refused.
    fn told<T>(&self, outcome: Result<T, Refusal>) -> Result<T, Refusal> {
        outcome.inspect_err(|_| self.metrics.memory_was_short())
    }

    /// Nobody is refused for memory that is only not given back yet.
    fn give_back(&self) {
        // Whoever comes meanwhile does not wait, but is judged by what is free now.
        let Some(mut rests_until) = self.given_back.try_lock() else {
            return;
        };
        let started = Instant::now();
        if rests_until.is_none_or(|until| started >= until) {
            self.account.gone.store(0, Ordering::Relaxed);
            engine::give_back_freed();
            let took = started.elapsed().max(Duration::from_millis(1));
            *rests_until = Some(started + took * (REST + 1));
        }
    }

    /// So many bytes for what cannot be refused: others that come after are refused for it.
    pub(crate) fn hold(&self, bytes: u64) -> Promise {
        self.hold_beside(bytes).1
    }

    /// What was promised before, and a promise.
    fn hold_beside(&self, bytes: u64) -> (u64, Promise) {
        let before = self.account.promised.fetch_add(bytes, Ordering::Relaxed);
        let promise = Promise {
            account: Arc::clone(&self.account),
            bytes: bytes.into(),
            taken: AtomicU64::default(),
        };
        (before, promise)
    }

    /// Where so much is used.
    fn promise_at(&self, used: u64, wanted: Wanted) -> Result<Promise, Refusal> {
        let bytes = wanted.bytes;
        let (before, promise) = self.hold_beside(bytes);
        let Some(limit) = self.limit else {
            return Ok(promise);
        };
        let fits = |taken: u64| taken.saturating_add(bytes) <= limit + wanted.beyond;
        let taken = used.saturating_add(before);
        if fits(taken) {
            return Ok(promise);
        }
        promise.leave();
        let load = |bytes: &AtomicU64| bytes.load(Ordering::Relaxed);
        let of_all = before + load(&self.account.taken) + load(&self.account.gone);
        let of_others = of_all.saturating_sub(wanted.own);
        let figures = format!(
            "not enough memory: {} used, {} wanted, the limit is {} (memory_limit_mib)",
            mib(taken),
            mib(bytes),
            mib(limit)
        );
        let is_of_others = of_others > 0 && fits(used.saturating_sub(of_others));
        Err(match wanted.what {
            _ if is_of_others => Refusal::busy(format!("{figures}. {LATER}")),
            What::Photo if fits(wanted.own) => Refusal::busy(format!("{figures}. {FULL}")),
            what => what.refusal(&figures),
        })
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is for people")]
fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_writes_at_work_want_is_counted_until_they_end() {
        let memory = Memory::new(10, &Metrics::new());
        let of = |mib: u64| mib << 20;
        let wanted = |bytes, beyond| Wanted {
            bytes,
            beyond,
            own: 0,
            what: What::Write,
        };
        let beside = |bytes| memory.promise_at(of(5), wanted(bytes, 0));
        let first = beside(of(3)).unwrap();
        let refused = beside(of(3)).unwrap_err();
        assert_eq!((refused.status().as_u16(), refused.is_busy()), (503, true));
        let message = refused.message();
        for figure in [
            "8.0 MiB used",
            "3.0 MiB wanted",
            "limit is 10.0 MiB",
            "try again",
        ] {
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
        let beyond = |by| memory.promise_at(of(5), wanted(of(6), of(by)));
        assert!(beyond(0).is_err() && beyond(1).is_ok());
    }

    #[test]
    fn who_would_have_room_alone_is_told_to_come_back_and_who_would_not_that_it_cannot_be() {
        let memory = Memory::new(10, &Metrics::new());
        let of = |mib: u64| mib << 20;
        let status = |used, bytes| {
            let wanted = Wanted {
                bytes: of(bytes),
                beyond: 0,
                own: 0,
                what: What::Write,
            };
            let asked = memory.promise_at(of(used), wanted);
            asked.map_or_else(|refusal| refusal.status().as_u16(), |_| 200)
        };
        assert_eq!(status(5, 6), 507, "the store is full");
        // Another has been promised 4, and has taken none of it, half or all.
        let other = memory.hold(of(4));
        let asked = [(5, 1), (5, 2), (5, 5), (5, 10), (7, 5), (9, 5)];
        let statuses = |kept| {
            other.keep(of(kept));
            asked.map(|(used, bytes)| {
                memory.account.gone.store(0, Ordering::Relaxed);
                status(used, bytes)
            })
        };
        assert_eq!(statuses(4), [200, 503, 503, 507, 503, 503]);
        assert_eq!(statuses(2), [200, 200, 503, 507, 503, 503]);
        assert_eq!(statuses(0), [200, 200, 200, 507, 503, 503]);
        // It has gone, but what it had may not be free yet.
        drop(other);
        assert_eq!((status(9, 5), memory.promised_bytes()), (503, 0));
        memory.give_back();
        assert_eq!(status(9, 5), 507);
    }

    #[test]
    fn a_photo_is_too_large_only_where_it_can_never_be() {
        let memory = Memory::new(10, &Metrics::new());
        let status = |used: u64, bytes: u64, own: u64| {
            let wanted = Wanted {
                bytes: bytes << 20,
                beyond: 0,
                own: own << 20,
                what: What::Photo,
            };
            let refused = memory.promise_at(used << 20, wanted).unwrap_err();
            (refused.status().as_u16(), refused.is_busy())
        };
        assert_eq!(status(9, 2, 0), (503, true), "the store is full");
        assert_eq!(status(1, 11, 0), (413, false));
        assert_eq!(status(9, 6, 5), (413, false), "beside its own request");
    }

    #[test]
    fn nobody_comes_back_for_what_they_have_themselves() {
        let memory = Memory::new(1, &Metrics::new());
        let mut body = Some(memory.hold(100 << 20));
        let of_body = memory.promise_body(1 << 40, true, &mut body).unwrap_err();
        assert_eq!(of_body.status(), 507);
        assert_eq!(body.as_ref().map(Promise::bytes), Some(100 << 20));
        let of_write = memory.promise_beside(1 << 40, body).unwrap_err();
        assert_eq!(of_write.status(), 507);
        assert_eq!(memory.account.taken.load(Ordering::Relaxed), 0);
        let body = memory.hold(7);
        let write = memory.promise_beside(0, Some(body)).unwrap();
        assert_eq!(memory.account.taken.load(Ordering::Relaxed), 7);
        drop(write);
        assert_eq!(memory.account.taken.load(Ordering::Relaxed), 0);
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
