//! The real ones.

use std::hint::spin_loop;
use std::io;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

pub(crate) use crossbeam_channel::{
    Receiver, RecvTimeoutError, Sender, TrySendError, bounded, unbounded,
};
pub(crate) use parking_lot::{
    Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard,
};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64};
pub(crate) use std::thread::JoinHandle;

/// A thread with a name.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    std::thread::Builder::new().name(name.into()).spawn(run)
}

/// Tries until it succeeds or patience ends.
pub(crate) fn try_awake<G>(patience: Duration, attempt: impl Fn() -> Option<G>) -> Option<G> {
    attempt().or_else(|| {
        let started = Instant::now();
        while *SPINNING_PAYS && started.elapsed() < patience {
            spin_loop();
            if let Some(guard) = attempt() {
                return Some(guard);
            }
        }
        None
    })
}

/// With one core, whoever is waited for could not go on meanwhile.
static SPINNING_PAYS: LazyLock<bool> =
    LazyLock::new(|| available_parallelism().is_ok_and(|cores| cores.get() > 1));
