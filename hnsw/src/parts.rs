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

/// Does `0..count` in parts of equal size, one a thread, and joins the results in their order.
pub fn in_parts<T: Send>(
    threads: usize,
    count: usize,
    work: impl Fn(Range<usize>) -> Vec<T> + Sync,
) -> Vec<T> {
    let share = count.div_ceil(threads.clamp(1, count.max(1))).max(1);
    if share >= count {
        return work(0..count);
    }
    let part = |start: usize| start..(start + share).min(count);
    std::thread::scope(|scope| {
        let work = &work;
        let starts = (0..count).step_by(share);
        let running: Vec<_> = starts
            .map(|start| scope.spawn(move || work(part(start))))
            .collect();
        let join = |thread: std::thread::ScopedJoinHandle<'_, Vec<T>>| {
            thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        running.into_iter().flat_map(join).collect()
    })
}
