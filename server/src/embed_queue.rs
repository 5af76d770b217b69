//! Photos that wait for a worker, first come, first served, and so many at most. Whose client has gone is passed
//! over, and where all places are taken makes room for the next.

use std::collections::VecDeque;
use std::time::Instant;

use parking_lot::{Condvar, Mutex};

/// Something that may not be waited for any more.
pub(crate) trait Awaited {
    fn is_awaited(&self) -> bool;
}

/// The line.
pub(crate) struct Queue<T> {
    line: Mutex<Line<T>>,
    changed: Condvar,
    places: usize,
}

struct Line<T> {
    waiting: VecDeque<T>,
    closed: bool,
}

impl<T: Awaited> Line<T> {
    fn first(&mut self) -> Option<T> {
        loop {
            let first = self.waiting.pop_front()?;
            if first.is_awaited() {
                return Some(first);
            }
        }
    }
}

impl<T: Awaited> Queue<T> {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            line: Mutex::new(Line {
                waiting: VecDeque::new(),
                closed: false,
            }),
            changed: Condvar::new(),
            places,
        }
    }

    /// Puts one at the end; gives it back where all places are taken by such as are awaited.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut line = self.line.lock();
        if line.waiting.len() >= self.places {
            line.waiting.retain(Awaited::is_awaited);
        }
        if line.waiting.len() >= self.places {
            return Err(job);
        }
        line.waiting.push_back(job);
        drop(line);
        self.changed.notify_one();
        Ok(())
    }

    /// The first, once there is one; nothing when the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<T> {
        let mut line = self.line.lock();
        loop {
            match line.first() {
                Some(job) => return Some(job),
                None if line.closed => return None,
                None => self.changed.wait(&mut line),
            }
        }
    }

    /// The first, if there is one until then.
    pub(crate) fn next_until(&self, until: Instant) -> Option<T> {
        let mut line = self.line.lock();
        loop {
            let job = line.first();
            let is_late = || line.closed || Instant::now() >= until;
            if job.is_some() || is_late() {
                return job;
            }
            let _ = self.changed.wait_until(&mut line, until);
        }
    }

    /// The first, if there is one now.
    pub(crate) fn next_now(&self) -> Option<T> {
        self.line.lock().first()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.line.lock().waiting.len()
    }

    /// No more come; whoever waits for one is told once the last is taken.
    pub(crate) fn close(&self) {
        self.line.lock().closed = true;
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[derive(Clone)]
    struct Asked(usize, Arc<AtomicBool>);

    impl Asked {
        fn new(number: usize) -> Self {
            Self(number, Arc::new(AtomicBool::new(true)))
        }

        fn goes(&self) {
            self.1.store(false, Ordering::Relaxed);
        }
    }

    impl Awaited for Asked {
        fn is_awaited(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn those_who_have_gone_take_no_place_and_are_passed_over() {
        let queue = Queue::new(3);
        let all: Vec<_> = (0..5).map(Asked::new).collect();
        for asked in &all[..3] {
            queue.push(asked.clone()).unwrap_or_else(|_| panic!());
        }
        assert!(queue.push(all[3].clone()).is_err(), "all are awaited");
        all[0].goes();
        all[2].goes();
        for asked in &all[3..] {
            queue.push(asked.clone()).unwrap_or_else(|_| panic!());
        }
        assert_eq!(queue.len(), 3);
        all[3].goes();
        let numbers = [queue.next_now(), queue.next(), queue.next_now()];
        let numbers = numbers.map(|asked| asked.map(|it| it.0));
        assert_eq!(numbers, [Some(1), Some(4), None]);
    }

    #[test]
    fn who_waits_is_told_of_one_that_comes_of_the_time_and_of_the_end() {
        let queue = Queue::new(1);
        assert!(queue.next_until(Instant::now()).is_none());
        let late = Instant::now() + Duration::from_secs(600);
        thread::scope(|scope| {
            let first = scope.spawn(|| queue.next_until(late));
            queue.push(Asked::new(7)).unwrap_or_else(|_| panic!());
            assert_eq!(first.join().unwrap().map(|it| it.0), Some(7));
            let others = [
                scope.spawn(|| queue.next()),
                scope.spawn(|| queue.next_until(late)),
            ];
            queue.close();
            assert!(others.into_iter().all(|it| it.join().unwrap().is_none()));
        });
        queue.push(Asked::new(8)).unwrap_or_else(|_| panic!());
        assert_eq!(
            queue.next().map(|it| it.0),
            Some(8),
            "what waits is still taken"
        );
    }
}
