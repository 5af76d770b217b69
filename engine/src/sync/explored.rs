//! The same under shuttle's scheduler, which decides at each of these calls who goes on. Time does
//! not pass there: what waits for so long waits until it is woken, and patience is a number of
//! attempts.

use std::collections::VecDeque;
use std::io;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::{RecvError, SendError, TryRecvError};
pub(crate) use crossbeam_channel::{RecvTimeoutError, TrySendError};
use shuttle::sync as shuttled;
pub(crate) use shuttle::sync::atomic::{AtomicBool, AtomicU64};
pub(crate) use shuttle::sync::{RwLockReadGuard, RwLockWriteGuard};
pub(crate) use shuttle::thread::JoinHandle;

/// What a lock says whose holder panicked: the test has failed by then.
const HELD: &str = "no holder of this lock has panicked";
const ATTEMPTS: usize = 2;

#[derive(Default)]
pub(crate) struct Mutex<T>(shuttled::Mutex<T>);

/// Empty only while its condition is waited for.
pub(crate) struct MutexGuard<'a, T>(Option<shuttled::MutexGuard<'a, T>>);

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttled::Mutex::new(value))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        MutexGuard(Some(self.0.lock().expect(HELD)))
    }

    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        self.0.try_lock().ok().map(|held| MutexGuard(Some(held)))
    }

    pub(crate) fn into_inner(self) -> T {
        self.0.into_inner().expect(HELD)
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().expect(HELD)
    }
}

/// Whoever lets go may be held up right after; shuttle itself only lets others go on before a call.
impl<T> Drop for MutexGuard<'_, T> {
    fn drop(&mut self) {
        if self.0.take().is_some() && !std::thread::panicking() {
            shuttle::thread::yield_now();
        }
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.as_deref_mut().expect(HELD)
    }
}

#[derive(Default)]
pub(crate) struct Condvar(shuttled::Condvar);

impl Condvar {
    /// Whoever is about to wait may be held up before it does.
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        shuttle::thread::yield_now();
        guard.0 = guard.0.take().map(|held| self.0.wait(held).expect(HELD));
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

#[derive(Default)]
pub(crate) struct RwLock<T>(shuttled::RwLock<T>);

impl<T> RwLock<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(shuttled::RwLock::new(value))
    }

    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().expect(HELD)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().expect(HELD)
    }

    pub(crate) fn try_read(&self) -> Option<RwLockReadGuard<'_, T>> {
        self.0.try_read().ok()
    }

    pub(crate) fn try_write(&self) -> Option<RwLockWriteGuard<'_, T>> {
        self.0.try_write().ok()
    }
}

pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    shuttle::thread::Builder::new().name(name.into()).spawn(run)
}

pub(crate) fn try_awake<G>(_: Duration, attempt: impl Fn() -> Option<G>) -> Option<G> {
    (0..ATTEMPTS).find_map(|_| {
        shuttle::hint::spin_loop();
        attempt()
    })
}

/// A channel in the way of crossbeam's, as far as the engine uses it.
struct Channel<T> {
    state: Mutex<Queue<T>>,
    changed: Condvar,
}

struct Queue<T> {
    waiting: VecDeque<T>,
    room: usize,
    senders: usize,
    received: bool,
}

pub(crate) struct Sender<T>(Arc<Channel<T>>);
pub(crate) struct Receiver<T>(Arc<Channel<T>>);

pub(crate) fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

pub(crate) fn bounded<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let channel = Arc::new(Channel {
        state: Mutex::new(Queue {
            waiting: VecDeque::new(),
            room,
            senders: 1,
            received: true,
        }),
        changed: Condvar::default(),
    });
    (Sender(Arc::clone(&channel)), Receiver(channel))
}

impl<T> Sender<T> {
    pub(crate) fn send(&self, item: T) -> Result<(), SendError<T>> {
        let mut queue = self.0.state.lock();
        while queue.received && queue.waiting.len() >= queue.room {
            self.0.changed.wait(&mut queue);
        }
        if !queue.received {
            return Err(SendError(item));
        }
        queue.waiting.push_back(item);
        self.0.changed.notify_all();
        Ok(())
    }

    pub(crate) fn try_send(&self, item: T) -> Result<(), TrySendError<T>> {
        let mut queue = self.0.state.lock();
        if !queue.received {
            return Err(TrySendError::Disconnected(item));
        }
        if queue.waiting.len() >= queue.room {
            return Err(TrySendError::Full(item));
        }
        queue.waiting.push_back(item);
        self.0.changed.notify_all();
        Ok(())
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.0.state.lock().senders += 1;
        Self(Arc::clone(&self.0))
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.0.state.lock().senders -= 1;
        self.0.changed.notify_all();
    }
}

impl<T> Receiver<T> {
    pub(crate) fn recv(&self) -> Result<T, RecvError> {
        let mut queue = self.0.state.lock();
        loop {
            if let Some(item) = queue.waiting.pop_front() {
                self.0.changed.notify_all();
                return Ok(item);
            }
            if queue.senders == 0 {
                return Err(RecvError);
            }
            self.0.changed.wait(&mut queue);
        }
    }

    pub(crate) fn recv_timeout(&self, _: Duration) -> Result<T, RecvTimeoutError> {
        self.recv().map_err(|_| RecvTimeoutError::Disconnected)
    }

    pub(crate) fn try_recv(&self) -> Result<T, TryRecvError> {
        let mut queue = self.0.state.lock();
        let item = queue.waiting.pop_front().ok_or(TryRecvError::Empty);
        self.0.changed.notify_all();
        item
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut queue = self.0.state.lock();
        queue.received = false;
        let unread = std::mem::take(&mut queue.waiting);
        drop(queue);
        self.0.changed.notify_all();
        drop(unread);
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Items<'a, T>;

    fn into_iter(self) -> Items<'a, T> {
        Items(self)
    }
}

/// Ends when every sender is gone.
pub(crate) struct Items<'a, T>(&'a Receiver<T>);

impl<T> Iterator for Items<'_, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        self.0.recv().ok()
    }
}
