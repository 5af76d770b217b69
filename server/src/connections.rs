//! How many connections are open. Beyond those that the settings let in there is room for a few more,
//! on which only probes and operators are answered, and all others are told to come back: whoever asks
//! whether the server is well need not wait until somebody leaves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// All connections.
#[derive(Clone)]
pub(crate) struct Connections {
    open: Arc<AtomicUsize>,
    most: usize,
}

/// That a connection is open, until the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Admitted(Arc<Taken>);

struct Taken {
    connections: Connections,
    beyond: AtomicBool,
}

impl Connections {
    pub(crate) fn new(most: usize) -> Self {
        let open = Arc::default();
        Self { open, most }
    }

    pub(crate) fn enter(&self) -> Admitted {
        let before = self.open.fetch_add(1, Ordering::Relaxed);
        Admitted(Arc::new(Taken {
            connections: self.clone(),
            beyond: AtomicBool::new(before >= self.most),
        }))
    }
}

impl Admitted {
    /// Whether it is one of those beyond: it came when all places were taken, and they still are.
    pub(crate) fn is_beyond(&self) -> bool {
        let Taken {
            connections,
            beyond,
        } = &*self.0;
        let is = beyond.load(Ordering::Relaxed)
            && connections.open.load(Ordering::Relaxed) > connections.most;
        beyond.store(is, Ordering::Relaxed);
        is
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.connections.open.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
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
}
