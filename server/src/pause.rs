//! The rest of a background thread, which ends at once when the server stops.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

/// Whether to go on, and a way to be woken.
#[derive(Default)]
pub(crate) struct Pause {
    closed: Mutex<bool>,
    woken: Condvar,
}

impl Pause {
    /// Waits; `false` if it was closed.
    pub(crate) fn rests(&self, rest: Duration) -> bool {
        let until = Instant::now() + rest;
        let mut closed = self.closed.lock();
        while !*closed && !self.woken.wait_until(&mut closed, until).timed_out() {}
        !*closed
    }

    pub(crate) fn close(&self) {
        *self.closed.lock() = true;
        self.woken.notify_all();
    }
}
