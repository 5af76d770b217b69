//! How many connections are open. Beyond those that the settings let in there is room for a few more,
//! on which only probes and operators are answered, and all others are told to come back: whoever asks
//! whether the server is well need not wait until somebody leaves. And where all places are taken, the
//! connection that has asked nothing for the longest has to leave for each that comes, so that strangers who
//! hold ever new ones keep nobody waiting. Who has one of the places further on, or has come a moment ago, need
//! not, as long as there are enough of those: it may be about to ask. Connections of other nodes are none of
//! these: what they ask has places of its own.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::limits::CONNECTIONS_BEYOND;

/// For how long it is nobody's business that a connection has asked nothing.
const NEW: Duration = Duration::from_secs(1);

/// All connections.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<AtomicUsize>,
    /// Those that have asked nothing yet, the oldest first, and some that have by now, or are closed.
    silent: Arc<Mutex<VecDeque<Weak<Taken>>>>,
    most: usize,
}

/// That a connection is open, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Admitted(Arc<Taken>);

struct Taken {
    connections: Connections,
    beyond: AtomicBool,
    /// Whether it takes none of the places.
    apart: AtomicBool,
    since: Instant,
    /// Whether it has brought a request.
    has_asked: AtomicBool,
    /// That it is to make room.
    leave: Notify,
}

/// Whether a connection has to make room, of one that has asked nothing yet.
pub(crate) struct Leaving {
    of: Arc<Taken>,
    told: Option<Pin<Box<dyn Future<Output = ()>>>>,
}

impl Leaving {
    /// Whether it may still have to.
    pub(crate) fn is_possible(&self) -> bool {
        self.told.is_some() && !self.of.has_asked.load(Ordering::Relaxed)
    }

    /// Ready when it has to, once.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.is_possible() {
            return Poll::Pending;
        }
        let told = self.told.as_mut();
        let polled = told.map_or(Poll::Pending, |told| told.as_mut().poll(context));
        if polled.is_ready() {
            self.told = None;
        }
        polled
    }
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            open: Arc::default(),
            silent: Arc::default(),
            most,
        }
    }

    pub(crate) fn enter(&self) -> Admitted {
        self.enter_at(Instant::now())
    }

    fn enter_at(&self, now: Instant) -> Admitted {
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        let is_beyond = open >= self.most;
        let is_crowded = open >= self.most + CONNECTIONS_BEYOND / 2;
        let taken = Arc::new(Taken {
            connections: self.clone(),
            beyond: AtomicBool::new(is_beyond),
            apart: AtomicBool::new(false),
            since: now,
            has_asked: AtomicBool::new(false),
            leave: Notify::new(),
        });
        let mut silent = self.silent.lock();
        let is_silent = |it: &Taken| !it.has_asked.load(Ordering::Relaxed);
        let oldest = loop {
            match silent
                .front()
                .map(|it| it.upgrade().filter(|it| is_silent(it)))
            {
                Some(None) => drop(silent.pop_front()),
                oldest => break oldest.flatten(),
            }
        };
        let has_to = |it: &Taken| {
            let is_new = now.saturating_duration_since(it.since) < NEW;
            is_crowded || (is_beyond && !is_new && !it.beyond.load(Ordering::Relaxed))
        };
        if let Some(oldest) = oldest.filter(|it| has_to(it)) {
            silent.pop_front();
            oldest.leave.notify_one();
        }
        silent.push_back(Arc::downgrade(&taken));
        Admitted(taken)
    }
}

impl Admitted {
    /// Whether it is one of those beyond: it came when all places were taken, and they still are.
    pub(crate) fn is_beyond(&self) -> bool {
        let Taken {
            connections,
            beyond,
            apart,
            ..
        } = &*self.0;
        if apart.load(Ordering::Relaxed) {
            return false;
        }
        let is = beyond.load(Ordering::Relaxed)
            && connections.open.load(Ordering::Relaxed) > connections.most;
        beyond.store(is, Ordering::Relaxed);
        is
    }

    /// It has brought a request, and need not make room for others any more.
    pub(crate) fn has_asked(&self) {
        self.0.has_asked.store(true, Ordering::Relaxed);
    }

    /// To be asked whether it has to make room for another.
    pub(crate) fn leaving(&self) -> Leaving {
        let taken = Arc::clone(&self.0);
        Leaving {
            of: Arc::clone(&self.0),
            told: Some(Box::pin(async move { taken.leave.notified().await })),
        }
    }

    /// It is of another node, as it has shown.
    pub(crate) fn is_of_a_node(&self) {
        if !self.0.apart.swap(true, Ordering::Relaxed) {
            self.0.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        if !self.apart.load(Ordering::Relaxed) {
            self.connections.open.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn who_comes_when_all_places_are_taken_is_beyond_until_one_is_free() {
        let connections = Connections::new(2);
        let (one, two) = (connections.enter(), connections.enter());
        let (three, four) = (connections.enter(), connections.enter());
        assert!(!one.is_beyond() && !two.is_beyond());
        assert!(three.is_beyond() && four.is_beyond());
        drop(one);
        assert!(three.is_beyond(), "four is open too");
        drop(two.clone());
        drop(two);
        assert!(!three.is_beyond() && !four.is_beyond());
        let five = connections.enter();
        assert!(five.is_beyond() && !three.is_beyond());
    }

    fn has_to_leave(it: &Admitted) -> bool {
        let mut leaving = it.leaving();
        let polled = poll_fn(|context| leaving.poll(context)).now_or_never();
        polled.is_some()
    }

    #[test]
    fn who_has_asked_nothing_for_the_longest_leaves_for_each_that_comes_when_all_places_are_taken()
    {
        let connections = Connections::new(4);
        let (then, now) = (Instant::now(), Instant::now() + NEW);
        let all: Vec<_> = (0..4).map(|_| connections.enter_at(then)).collect();
        all[1].has_asked();
        let gone = connections.enter_at(now);
        assert!(has_to_leave(&all[0]), "the first of all");
        drop(gone);
        let others: Vec<_> = (0..3).map(|_| connections.enter_at(now)).collect();
        let leaving: Vec<_> = all.iter().chain(&others).map(has_to_leave).collect();
        assert_eq!(leaving, [false, false, true, true, false, false, false]);
    }

    #[test]
    fn who_has_just_come_or_is_beyond_may_still_ask_while_there_is_room_beyond() {
        let connections = Connections::new(4);
        let (then, now) = (Instant::now(), Instant::now() + NEW);
        let all: Vec<_> = (0..4).map(|_| connections.enter_at(now)).collect();
        let others: Vec<_> = (0..3).map(|_| connections.enter_at(now)).collect();
        assert!(!all.iter().chain(&others).any(has_to_leave), "all are new");
        drop((all, others));
        // All places are of clients that have asked.
        let all: Vec<_> = (0..4).map(|_| connections.enter_at(then)).collect();
        all.iter().for_each(Admitted::has_asked);
        let half = CONNECTIONS_BEYOND / 2;
        let others: Vec<_> = (0..half).map(|_| connections.enter_at(then)).collect();
        let late = connections.enter_at(now);
        let leaving: Vec<_> = others.iter().map(has_to_leave).collect();
        assert!(leaving[0] && !leaving[1..].contains(&true), "half is taken");
        assert!(!all.iter().any(has_to_leave) && !has_to_leave(&late));
    }

    #[test]
    fn a_node_takes_no_place_and_is_never_beyond() {
        let connections = Connections::new(1);
        let (client, node) = (connections.enter(), connections.enter());
        assert!(node.is_beyond());
        node.is_of_a_node();
        node.clone().is_of_a_node();
        assert!(!node.is_beyond() && !client.is_beyond());
        drop(client);
        let (first, second) = (connections.enter(), connections.enter());
        assert!(!first.is_beyond() && second.is_beyond());
        drop((node, second));
        assert!(connections.enter().is_beyond(), "the first is there");
    }
}
