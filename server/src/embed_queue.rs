//! Photos that wait for a worker, first come, first served, and so many at most. Whose client has gone is passed
//! over, and where all places are taken makes room for the next.
//!
//! Those that take long, which shows when they are looked at, come back and wait in a line of their own. Who comes for
//! work is given one of each line in turn, so that neither waits for all of the other. To come back is no turn.

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
    /// Those that take long.
    long: VecDeque<T>,
    /// Whether one of those is the next, if there is one.
    is_turn_of_long: bool,
    closed: bool,
}

/// What there is to do.
#[derive(Debug, PartialEq)]
pub(crate) enum Next<T> {
    /// It may be looked at together with others.
    Quick(T),
    /// It takes long, as was seen before, and is looked at alone.
    Long(T),
}

impl<T: Awaited> Line<T> {
    fn first(&mut self) -> Option<T> {
        first_of(&mut self.waiting)
    }

    fn next(&mut self) -> Option<Next<T>> {
        let quick = |line: &mut Self| line.first().map(Next::Quick);
        let long = |line: &mut Self| first_of(&mut line.long).map(Next::Long);
        let next = match self.is_turn_of_long {
            true => long(self).or_else(|| quick(self)),
            false => quick(self).or_else(|| long(self)),
        };
        self.is_turn_of_long = matches!(next, Some(Next::Quick(_)));
        next
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.long.len()
    }
}

fn first_of<T: Awaited>(line: &mut VecDeque<T>) -> Option<T> {
    loop {
        let first = line.pop_front()?;
        if first.is_awaited() {
            return Some(first);
        }
    }
}

impl<T: Awaited> Queue<T> {
    pub(crate) fn new(places: usize) -> Self {
        Self {
            line: Mutex::new(Line {
                waiting: VecDeque::new(),
                long: VecDeque::new(),
                is_turn_of_long: false,
                closed: false,
            }),
            changed: Condvar::new(),
            places,
        }
    }

    /// Puts one at the end; gives it back where all places are taken by such as are awaited.
    pub(crate) fn push(&self, job: T) -> Result<(), T> {
        let mut line = self.line.lock();
        if line.len() >= self.places {
            line.waiting.retain(Awaited::is_awaited);
            line.long.retain(Awaited::is_awaited);
        }
        if line.len() >= self.places {
            return Err(job);
        }
        line.waiting.push_back(job);
        drop(line);
        self.changed.notify_one();
        Ok(())
    }

    /// Puts one back that takes long; it had a place before.
    pub(crate) fn put_off(&self, job: T) {
        self.line.lock().long.push_back(job);
        // Not all who wait take it.
        self.changed.notify_all();
    }

    /// Who was given some that do not take long has put all of them off: the next of those is due as before.
    pub(crate) fn had_no_turn(&self) {
        self.line.lock().is_turn_of_long = false;
    }

    /// What comes next, once there is something; nothing when the queue is closed and empty.
    pub(crate) fn next(&self) -> Option<Next<T>> {
        let mut line = self.line.lock();
        loop {
            match line.next() {
                Some(next) => return Some(next),
                None if line.closed => return None,
                None => self.changed.wait(&mut line),
            }
        }
    }

    /// The first that does not take long, if there is one until then.
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

    /// The first that does not take long, if there is one now.
    pub(crate) fn next_now(&self) -> Option<T> {
        self.line.lock().first()
    }

    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.line.lock().len()
    }

    /// How many of them do not take long, as far as is known.
    pub(crate) fn quick(&self) -> usize {
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
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{Arc, mpsc};
    use std::thread;
    use std::time::Duration;

    use super::*;

    #[derive(Debug, Clone)]
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
        let numbers = [queue.next_now(), queue.next().map(alone), queue.next_now()];
        let numbers = numbers.map(|asked| asked.map(|it| it.0));
        assert_eq!(numbers, [Some(1), Some(4), None]);
    }

    fn alone(next: Next<Asked>) -> Asked {
        match next {
            Next::Quick(asked) | Next::Long(asked) => asked,
        }
    }

    #[test]
    fn what_takes_long_and_what_does_not_come_in_turn_and_only_the_latter_with_others() {
        let queue = Queue::new(9);
        let all: Vec<_> = (0..9).map(Asked::new).collect();
        all[..4].iter().for_each(|it| queue.put_off(it.clone()));
        for asked in &all[4..] {
            queue.push(asked.clone()).unwrap_or_else(|_| panic!());
        }
        assert!(queue.push(Asked::new(9)).is_err(), "those have places too");
        assert_eq!((queue.len(), queue.quick()), (9, 5));
        all[1].goes();
        let told = |next: Option<Next<Asked>>| {
            next.map(|next| match next {
                Next::Quick(asked) => (asked.0, "quick"),
                Next::Long(asked) => (asked.0, "long"),
            })
        };
        assert_eq!(told(queue.next()), Some((4, "quick")));
        assert_eq!(queue.next_now().map(|it| it.0), Some(5));
        assert_eq!(told(queue.next()), Some((0, "long")));
        assert_eq!(told(queue.next()), Some((6, "quick")));
        assert_eq!(told(queue.next()), Some((2, "long")));
        all[7].goes();
        assert_eq!(told(queue.next()), Some((8, "quick")));
        assert!(queue.next_now().is_none() && queue.next_until(Instant::now()).is_none());
        assert_eq!(told(queue.next()), Some((3, "long")));
        // Whoever comes last may still come.
        queue.put_off(Asked::new(10));
        queue.put_off(Asked::new(11));
        queue.close();
        assert_eq!(told(queue.next()), Some((10, "long")));
        assert_eq!(told(queue.next()), Some((11, "long")));
        assert_eq!(told(queue.next()), None);
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
                scope.spawn(|| queue.next().map(alone)),
                scope.spawn(|| queue.next_until(late)),
            ];
            queue.close();
            assert!(others.into_iter().all(|it| it.join().unwrap().is_none()));
        });
        queue.push(Asked::new(8)).unwrap_or_else(|_| panic!());
        assert_eq!(
            queue.next().map(|it| alone(it).0),
            Some(8),
            "what waits is still taken"
        );
    }

    #[test]
    fn one_that_is_put_off_is_told_to_who_takes_it_though_another_waits_longer() {
        let queue = Queue::new(9);
        let late = Instant::now() + Duration::from_secs(600);
        let (told, heard) = mpsc::channel();
        thread::scope(|scope| {
            // So that they wait in this order, which they do not say.
            let moment = Duration::from_millis(100);
            let quick = scope.spawn(|| queue.next_until(late).map(|it: Asked| it.0));
            thread::sleep(moment);
            scope.spawn(|| told.send(queue.next().map(|it| alone(it).0)));
            thread::sleep(moment);
            queue.put_off(Asked::new(1));
            let first = heard.recv_timeout(Duration::from_secs(60));
            queue.close();
            assert_eq!(first, Ok(Some(1)));
            assert_eq!(quick.join().unwrap(), None);
        });
    }

    #[test]
    fn those_that_are_all_put_off_had_no_turn() {
        let queue = Queue::new(9);
        for number in 0..3 {
            queue.push(Asked::new(number)).unwrap_or_else(|_| panic!());
        }
        let Some(Next::Quick(first)) = queue.next() else {
            panic!("none is long yet")
        };
        queue.put_off(first);
        queue.had_no_turn();
        assert!(matches!(queue.next(), Some(Next::Quick(Asked(1, _)))));
        assert!(matches!(queue.next(), Some(Next::Long(Asked(0, _)))));
    }
}
