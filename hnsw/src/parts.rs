//! Work that is shared by several threads for as long as one call lasts.

use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What somebody has said, or 0.
static THREADS: AtomicUsize = AtomicUsize::new(0);

/// Threads that work is shared by: what [`set_threads`] was told, or one a core.
pub fn threads() -> usize {
    match THREADS.load(Ordering::Relaxed) {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        threads => threads,
    }
}

/// Has work in this process be shared by so many threads from now on; 0 for one a core. Nothing but
/// the time depends on it.
pub fn set_threads(threads: usize) {
    THREADS.store(threads, Ordering::Relaxed);
}

/// Takes at most so many slots from the front.
pub(crate) fn first(slots: &mut Range<u32>, count: usize) -> Range<u32> {
    let end = u32::try_from(count).map_or(slots.end, |count| slots.start.saturating_add(count));
    let taken = slots.start..end.min(slots.end);
    slots.start = taken.end;
    taken
}

/// Parts that each thread is to have, so that none waits long for the one that had the hard ones.
const PARTS_A_THREAD: usize = 8;

/// Does `0..count` in parts, of which so many threads, the calling one among them, take one after
/// another, and joins the results in their order.
pub fn in_parts<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let threads = threads.clamp(1, count.max(1));
    if threads == 1 {
        return work(0..count);
    }
    let share = count.div_ceil(threads * PARTS_A_THREAD);
    let next = AtomicUsize::new(0);
    let some = || {
        let mut done = Vec::new();
        loop {
            let start = next.fetch_add(share, Ordering::Relaxed);
            if start >= count {
                return done;
            }
            done.push((start, work(start..(start + share).min(count))));
        }
    };
    let mut parts = std::thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(some)).collect();
        let mut parts = some();
        for other in others {
            let theirs = other.join();
            parts.extend(theirs.unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        parts
    });
    parts.sort_unstable_by_key(|(start, _)| *start);
    parts.into_iter().flat_map(|(_, part)| part).collect()
}
