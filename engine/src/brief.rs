//! A lock that is held briefly, and so is waited for awake.
//!
//! An insert takes the lock for some ten short changes, between which searches run. Whoever sleeps
//! for it has to be woken, which takes longer than most changes and most searches; and a writer that
//! sleeps keeps every reader out meanwhile, though it does nothing. So both first try for as long
//! as the other side usually needs, and only then wait in line, where nobody waits for ever.

use crate::limits::{READER_PATIENCE, WRITER_PATIENCE};
use crate::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard, try_awake};

pub(crate) struct BriefLock<T>(RwLock<T>);

impl<T> BriefLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(RwLock::new(value))
    }

    /// Shared with other readers.
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        try_awake(READER_PATIENCE, || self.0.try_read()).unwrap_or_else(|| self.0.read())
    }

    /// Alone.
    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        try_awake(WRITER_PATIENCE, || self.0.try_write()).unwrap_or_else(|| self.0.write())
    }
}

#[cfg(all(test, feature = "shuttle"))]
mod interleavings {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn a_change_is_seen_whole_and_everybody_gets_in() {
        let life = || {
            let lock = Arc::new(BriefLock::new((0, 0)));
            let change = |lock: Arc<BriefLock<(u64, u64)>>| {
                move || {
                    let mut pair = lock.write();
                    pair.0 += 1;
                    shuttle::thread::yield_now();
                    pair.1 += 1;
                }
            };
            let look = |lock: Arc<BriefLock<(u64, u64)>>| {
                move || {
                    let first = lock.read();
                    shuttle::thread::yield_now();
                    assert_eq!(first.0, first.1, "half a change");
                }
            };
            let threads = [
                shuttle::thread::spawn(change(Arc::clone(&lock))),
                shuttle::thread::spawn(change(Arc::clone(&lock))),
                shuttle::thread::spawn(look(Arc::clone(&lock))),
                shuttle::thread::spawn(look(Arc::clone(&lock))),
            ];
            assert!(threads.into_iter().all(|thread| thread.join().is_ok()));
            assert_eq!(*lock.read(), (2, 2));
        };
        shuttle::check_random(life, 1_000);
    }
}
