//! A lock that is held briefly, and so is waited for awake.
//!
//! An insert takes the lock for some ten short changes, between which searches run. Whoever sleeps
//! for it has to be woken, which takes longer than most changes and most searches; and a writer that
//! sleeps keeps every reader out meanwhile, though it does nothing. So both first try for as long
//! as the other side usually needs, and only then wait in line, where nobody waits for ever.

use std::hint::spin_loop;
use std::sync::LazyLock;
use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use parking_lot::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::limits::{READER_PATIENCE, WRITER_PATIENCE};

pub(crate) struct BriefLock<T>(RwLock<T>);

impl<T> BriefLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// Shared with other readers.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        awake(READER_PATIENCE, || self.0.try_read()).unwrap_or_else(|| self.0.read())
    }

    /// Alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        awake(WRITER_PATIENCE, || self.0.try_write()).unwrap_or_else(|| self.0.write())
    }
}

/// Tries until it succeeds or patience ends.
fn awake<G>(patience: Duration, attempt: impl Fn() -> Option<G>) -> Option<G> {
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
